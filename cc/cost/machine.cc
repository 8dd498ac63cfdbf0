#include "cc/cost/machine.h"

#include <cctype>
#include <cmath>
#include <exception>
#include <initializer_list>
#include <set>
#include <utility>

#include "nlohmann/json.hpp"

namespace grappler_go {
namespace {

using Json = nlohmann::json;

constexpr char kFormat[] = "grappler-go-machine";
constexpr char kVersion[] = "1.0";

std::string Quoted(std::string_view text) {
  return "\"" + std::string(text) + "\"";
}

// The part of a device name that a short form must end with: "CPU:0" of
// "/job:a/replica:0/task:0/device:CPU:0".
std::string_view TypeAndIndex(std::string_view name) {
  const size_t slash = name.rfind('/');
  if (slash != std::string_view::npos) name.remove_prefix(slash + 1);
  constexpr std::string_view kDevice = "device:";
  if (name.substr(0, kDevice.size()) == kDevice) {
    name.remove_prefix(kDevice.size());
  }
  return name;
}

// TensorFlow compares device types without case: "/cpu:0" is a CPU.
bool SameIgnoringCase(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (std::tolower(static_cast<unsigned char>(a[i])) !=
        std::tolower(static_cast<unsigned char>(b[i]))) {
      return false;
    }
  }
  return true;
}

bool IsNumber(std::string_view text) {
  if (text.empty() || text.size() > 9) return false;
  for (char c : text) {
    if (c < '0' || c > '9') return false;
  }
  return true;
}

bool IsIdentifier(std::string_view text) {
  if (text.empty()) return false;
  for (char c : text) {
    if (!std::isalnum(static_cast<unsigned char>(c)) && c != '_') return false;
  }
  return true;
}

// "[/job:NAME][/replica:N][/task:N]/device:TYPE:N", as DeviceNameUtils reads.
bool WellFormed(std::string_view name) {
  if (name.empty() || name[0] != '/') return false;
  bool has_device = false;
  while (!name.empty()) {
    if (name[0] != '/' || has_device) return false;
    name.remove_prefix(1);
    const std::string_view part = name.substr(0, name.find('/'));
    name.remove_prefix(part.size());
    const size_t colon = part.find(':');
    if (colon == std::string_view::npos) return false;
    const std::string_view key = part.substr(0, colon);
    const std::string_view value = part.substr(colon + 1);
    if (key == "job") {
      if (!IsIdentifier(value)) return false;
    } else if (key == "replica" || key == "task") {
      if (!IsNumber(value)) return false;
    } else if (key == "device") {
      const size_t at = value.find(':');
      if (at == std::string_view::npos || !IsIdentifier(value.substr(0, at)) ||
          !IsNumber(value.substr(at + 1))) {
        return false;
      }
      has_device = true;
    } else {
      return false;
    }
  }
  return has_device;
}

Status CheckPositive(const std::string& field, double value) {
  if (std::isfinite(value) && value > 0) return OkStatus();
  return InvalidArgument(field + " must be a positive number.");
}

std::string DeviceField(size_t i, const char* field) {
  return "devices[" + std::to_string(i) + "]." + field;
}

std::string LinkField(size_t i, const char* field) {
  return "links[" + std::to_string(i) + "]." + field;
}

// Reads the fields of one JSON object and remembers the first thing wrong.
class ObjectReader {
 public:
  ObjectReader(const Json& object, std::string where)
      : object_(object), where_(std::move(where)) {
    if (!object.is_object()) Fail(where_ + " must be a JSON object.");
  }

  void CheckFields(std::initializer_list<std::string_view> allowed) {
    if (!status_.ok()) return;
    for (const auto& [key, unused] : object_.items()) {
      bool found = false;
      for (const std::string_view name : allowed) found |= name == key;
      if (found) continue;
      std::string names;
      for (const std::string_view name : allowed) {
        names += (names.empty() ? "" : ", ") + std::string(name);
      }
      Fail(where_ + " has an unknown field " + Quoted(key) +
           "; allowed: " + names + ".");
      return;
    }
  }

  void Read(const char* key, std::string* out) {
    const Json* value = Find(key);
    if (value == nullptr) return;
    if (!value->is_string()) return Fail(Field(key) + " must be a string.");
    *out = value->get<std::string>();
  }

  void Read(const char* key, double* out) {
    const Json* value = Find(key);
    if (value == nullptr) return;
    if (!value->is_number()) return Fail(Field(key) + " must be a number.");
    *out = value->get<double>();
  }

  void Read(const char* key, int64_t* out) {
    const Json* value = Find(key);
    if (value == nullptr) return;
    // A number past int64 is read as unsigned: get() would wrap it.
    if (!value->is_number_integer() ||
        (value->is_number_unsigned() &&
         value->get<uint64_t>() > uint64_t{INT64_MAX})) {
      return Fail(Field(key) + " must be a 64-bit integer.");
    }
    *out = value->get<int64_t>();
  }

  void Read(const char* key, int32_t* out) {
    int64_t wide = *out;
    Read(key, &wide);
    if (!status_.ok()) return;
    if (wide < INT32_MIN || wide > INT32_MAX) {
      return Fail(Field(key) + " must be a 32-bit integer.");
    }
    *out = static_cast<int32_t>(wide);
  }

  // Null when it is absent and may be.
  const Json* ReadArray(const char* key, bool required) {
    const Json* value = required ? Find(key) : Optional(key);
    if (value != nullptr && !value->is_array()) {
      Fail(Field(key) + " must be a list.");
      return nullptr;
    }
    return value;
  }

  bool Has(const char* key) const {
    return status_.ok() && object_.contains(key);
  }
  const Status& status() const { return status_; }

 private:
  std::string Field(const char* key) const { return where_ + "." + key; }

  const Json* Optional(const char* key) {
    if (!status_.ok()) return nullptr;
    const auto it = object_.find(key);
    return it == object_.end() ? nullptr : &*it;
  }

  const Json* Find(const char* key) {
    const Json* value = Optional(key);
    if (value == nullptr && status_.ok()) Fail(Field(key) + " is missing.");
    return value;
  }

  void Fail(std::string message) {
    if (status_.ok()) status_ = InvalidArgument(std::move(message));
  }

  const Json& object_;
  std::string where_;
  Status status_;
};

Status ReadDevice(const Json& json, const std::string& where, Device* device) {
  ObjectReader reader(json, where);
  reader.CheckFields(
      {"name", "type", "gflops", "gbytes_per_s", "memory_bytes", "cores"});
  reader.Read("name", &device->name);
  reader.Read("type", &device->type);
  reader.Read("gflops", &device->gflops);
  reader.Read("gbytes_per_s", &device->gbytes_per_s);
  if (reader.Has("memory_bytes")) {
    reader.Read("memory_bytes", &device->memory_bytes);
  }
  if (reader.Has("cores")) reader.Read("cores", &device->cores);
  return reader.status();
}

Status ReadLink(const Json& json, const std::string& where, Link* link) {
  ObjectReader reader(json, where);
  reader.CheckFields({"src", "dst", "gbytes_per_s", "latency_us"});
  reader.Read("src", &link->src);
  reader.Read("dst", &link->dst);
  reader.Read("gbytes_per_s", &link->gbytes_per_s);
  reader.Read("latency_us", &link->latency_us);
  return reader.status();
}

Status ReadMachine(const Json& json, Machine* machine) {
  ObjectReader reader(json, "machine");
  std::string format, version;
  reader.Read("format", &format);
  reader.Read("version", &version);
  GO_RETURN_IF_ERROR(reader.status());
  if (format != kFormat) {
    return InvalidArgument("machine.format is " + Quoted(format) +
                           "; a machine file has " + Quoted(kFormat) + ".");
  }
  if (version != kVersion) {
    return InvalidArgument("machine.version is " + Quoted(version) +
                           "; this release reads version " + kVersion + ".");
  }
  reader.CheckFields({"format", "version", "name", "devices", "links"});
  if (reader.Has("name")) reader.Read("name", &machine->name);
  const Json* devices = reader.ReadArray("devices", true);
  const Json* links = reader.ReadArray("links", false);
  GO_RETURN_IF_ERROR(reader.status());
  for (size_t i = 0; i < devices->size(); ++i) {
    machine->devices.emplace_back();
    GO_RETURN_IF_ERROR(ReadDevice((*devices)[i],
                                  "devices[" + std::to_string(i) + "]",
                                  &machine->devices.back()));
  }
  for (size_t i = 0; links != nullptr && i < links->size(); ++i) {
    machine->links.emplace_back();
    GO_RETURN_IF_ERROR(ReadLink((*links)[i], "links[" + std::to_string(i) + "]",
                                &machine->links.back()));
  }
  return machine->Validate();
}

}  // namespace

int32_t Machine::find_device(std::string_view name) const {
  int32_t found = -1;
  for (size_t i = 0; i < devices.size(); ++i) {
    if (devices[i].name == name) return static_cast<int32_t>(i);
  }
  // A name with a job or a task is not a short form.
  const bool is_short =
      name.rfind('/') == std::string_view::npos || name.rfind('/') == 0;
  if (!is_short) return -1;
  const std::string_view wanted = TypeAndIndex(name);
  for (size_t i = 0; i < devices.size(); ++i) {
    if (!SameIgnoringCase(TypeAndIndex(devices[i].name), wanted)) continue;
    if (found >= 0) return -1;
    found = static_cast<int32_t>(i);
  }
  return found;
}

Status Machine::Validate() const {
  if (devices.empty()) {
    return InvalidArgument("devices is empty; a machine needs at least one.");
  }
  std::set<std::string_view> names;
  for (size_t i = 0; i < devices.size(); ++i) {
    const Device& device = devices[i];
    if (!WellFormed(device.name)) {
      return InvalidArgument(
          DeviceField(i, "name") + " is " + Quoted(device.name) +
          "; write it as TensorFlow does, for example "
          "\"/job:localhost/replica:0/task:0/device:CPU:0\".");
    }
    if (!names.insert(device.name).second) {
      return InvalidArgument(DeviceField(i, "name") + " " +
                             Quoted(device.name) +
                             " is used twice; give each device its own name.");
    }
    const std::string_view name_type = TypeAndIndex(device.name);
    if (!SameIgnoringCase(name_type.substr(0, name_type.find(':')),
                          device.type)) {
      return InvalidArgument(DeviceField(i, "type") + " is " +
                             Quoted(device.type) + " but the name says " +
                             Quoted(device.name) + "; make them agree.");
    }
    GO_RETURN_IF_ERROR(CheckPositive(DeviceField(i, "gflops"), device.gflops));
    GO_RETURN_IF_ERROR(
        CheckPositive(DeviceField(i, "gbytes_per_s"), device.gbytes_per_s));
    if (device.memory_bytes < 0) {
      return InvalidArgument(DeviceField(i, "memory_bytes") +
                             " is negative; use 0 for no limit.");
    }
    if (device.cores < 1) {
      return InvalidArgument(DeviceField(i, "cores") + " must be at least 1.");
    }
  }
  std::set<std::pair<int32_t, int32_t>> pairs;
  for (size_t i = 0; i < links.size(); ++i) {
    const Link& link = links[i];
    const auto num_devices = static_cast<int64_t>(devices.size());
    const std::pair<const char*, int32_t> ends[] = {{"src", link.src},
                                                    {"dst", link.dst}};
    for (const auto& [field, end] : ends) {
      if (end >= 0 && end < num_devices) continue;
      return InvalidArgument(LinkField(i, field) + " is " +
                             std::to_string(end) + "; it must be from 0 to " +
                             std::to_string(num_devices - 1) +
                             ", a position in devices.");
    }
    if (link.src == link.dst) {
      return InvalidArgument(LinkField(i, "dst") +
                             " is the same device as src; leave it out.");
    }
    if (!pairs.emplace(link.src, link.dst).second) {
      return InvalidArgument(
          LinkField(i, "src") + ": the link from " + std::to_string(link.src) +
          " to " + std::to_string(link.dst) + " is given twice; keep one.");
    }
    GO_RETURN_IF_ERROR(
        CheckPositive(LinkField(i, "gbytes_per_s"), link.gbytes_per_s));
    if (!std::isfinite(link.latency_us) || link.latency_us < 0) {
      return InvalidArgument(LinkField(i, "latency_us") +
                             " must be zero or a positive number.");
    }
  }
  return OkStatus();
}

StatusOr<Machine> MachineFromJson(std::string_view json) {
  try {
    const Json parsed = Json::parse(json.begin(), json.end());
    Machine machine;
    GO_RETURN_IF_ERROR(ReadMachine(parsed, &machine));
    return machine;
  } catch (const std::exception& e) {
    return InvalidArgument(std::string("The machine is not valid JSON: ") +
                           e.what());
  }
}

std::string MachineToJson(const Machine& machine) {
  using Ordered = nlohmann::ordered_json;
  Ordered json = {{"format", kFormat},
                  {"version", kVersion},
                  {"name", machine.name},
                  {"devices", Ordered::array()},
                  {"links", Ordered::array()}};
  for (const Device& device : machine.devices) {
    json["devices"].push_back({{"name", device.name},
                               {"type", device.type},
                               {"gflops", device.gflops},
                               {"gbytes_per_s", device.gbytes_per_s},
                               {"memory_bytes", device.memory_bytes},
                               {"cores", device.cores}});
  }
  for (const Link& link : machine.links) {
    json["links"].push_back({{"src", link.src},
                             {"dst", link.dst},
                             {"gbytes_per_s", link.gbytes_per_s},
                             {"latency_us", link.latency_us}});
  }
  // A name that is not UTF-8 must not throw; it comes out with replacements.
  return json.dump(2, ' ', false, Ordered::error_handler_t::replace) + "\n";
}

}  // namespace grappler_go
