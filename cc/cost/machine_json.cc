// Machines as JSON files; the format stands in machine.h.
#include <charconv>
#include <exception>
#include <initializer_list>
#include <set>
#include <string>
#include <utility>

#include "cc/base/json.h"
#include "cc/cost/calibration_json.h"
#include "cc/cost/json_reader.h"
#include "cc/cost/machine.h"

namespace grappler_go {
namespace {

constexpr char kFormat[] = "grappler-go-machine";
constexpr char kVersion[] = "1.4";
constexpr int kMajor = 1, kMinor = 4;
// In "achieved": every class that is not named.
constexpr char kDefaultClass[] = "default";

// "1.7" -> {1, 7}; {-1, -1} for anything else.
std::pair<int, int> ParseVersion(const std::string& text) {
  int major = -1, minor = -1;
  const char* const end = text.data() + text.size();
  const auto first = std::from_chars(text.data(), end, major);
  if (first.ec != std::errc() || first.ptr == end || *first.ptr != '.') {
    return {-1, -1};
  }
  const auto second = std::from_chars(first.ptr + 1, end, minor);
  if (second.ec != std::errc() || second.ptr != end || major < 0 || minor < 0) {
    return {-1, -1};
  }
  return {major, minor};
}

constexpr auto kNumClasses = static_cast<int>(OpClass::kNumClasses);

std::string ClassName(int op_class) {
  return OpClassName(static_cast<OpClass>(op_class));
}

Status ReadFractions(const Json& json, const std::string& where,
                     Achieved* fractions) {
  ObjectReader reader(json, where);
  reader.CheckFields({"gflops", "gbytes_per_s"});
  reader.Read("gflops", &fractions->gflops);
  reader.Read("gbytes_per_s", &fractions->gbytes_per_s);
  return reader.status();
}

Status ReadAchieved(const Json& json, const std::string& where,
                    AchievedByClass* achieved) {
  if (!json.is_object()) {
    return InvalidArgument(where + " must be a JSON object.");
  }
  std::set<std::string> known = {kDefaultClass};
  if (json.contains(kDefaultClass)) {
    Achieved fractions;
    GO_RETURN_IF_ERROR(ReadFractions(json[kDefaultClass],
                                     where + "." + kDefaultClass, &fractions));
    achieved->fill(fractions);
  }
  for (int k = 0; k < kNumClasses; ++k) {
    const std::string name = ClassName(k);
    known.insert(name);
    if (!json.contains(name)) continue;
    GO_RETURN_IF_ERROR(
        ReadFractions(json[name], where + "." + name, &(*achieved)[k]));
  }
  for (const auto& [key, unused] : json.items()) {
    if (known.count(key) > 0) continue;
    std::string names;
    for (const std::string& name : known) {
      names += (names.empty() ? "" : ", ") + name;
    }
    return InvalidArgument(where + " has an unknown class of ops " +
                           Quoted(key) + "; allowed: " + names + ".");
  }
  return OkStatus();
}

Status ReadDevice(const Json& json, const std::string& where, Device* device) {
  ObjectReader reader(json, where);
  reader.CheckFields({"name", "type", "gflops", "gbytes_per_s", "memory_bytes",
                      "cores", "dispatch_us", "achieved", "calibration"});
  reader.Read("name", &device->name);
  if (reader.Has("type")) reader.Read("type", &device->type);
  reader.Read("gflops", &device->gflops);
  reader.Read("gbytes_per_s", &device->gbytes_per_s);
  if (reader.Has("memory_bytes")) {
    reader.Read("memory_bytes", &device->memory_bytes);
  }
  if (reader.Has("cores")) reader.Read("cores", &device->cores);
  if (reader.Has("dispatch_us")) {
    reader.Read("dispatch_us", &device->dispatch_us);
  }
  GO_RETURN_IF_ERROR(reader.status());
  if (json.contains("achieved")) {
    GO_RETURN_IF_ERROR(
        ReadAchieved(json["achieved"], where + ".achieved", &device->achieved));
  }
  if (!json.contains("calibration")) return OkStatus();
  StatusOr<Calibration> calibration =
      CalibrationFromJson(json["calibration"], where + ".calibration");
  if (!calibration.ok()) return calibration.status();
  device->calibration =
      std::make_shared<const Calibration>(std::move(*calibration));
  return OkStatus();
}

// What a link has without its ends.
void ReadCosts(ObjectReader* reader, Link* link) {
  reader->Read("gbytes_per_s", &link->gbytes_per_s);
  reader->Read("latency_us", &link->latency_us);
  if (reader->Has("cpu_us")) reader->Read("cpu_us", &link->cpu_us);
  if (reader->Has("cpu_us_per_mb")) {
    reader->Read("cpu_us_per_mb", &link->cpu_us_per_mb);
  }
}

Status ReadLink(const Json& json, const std::string& where, Link* link) {
  ObjectReader reader(json, where);
  reader.CheckFields(
      {"src", "dst", "gbytes_per_s", "latency_us", "cpu_us", "cpu_us_per_mb"});
  reader.Read("src", &link->src);
  reader.Read("dst", &link->dst);
  ReadCosts(&reader, link);
  return reader.status();
}

// Rates without ends.
Status ReadDefaultLink(const Json& json, Link* link) {
  const std::string where = "default_link";
  ObjectReader reader(json, where);
  reader.CheckFields({"gbytes_per_s", "latency_us", "cpu_us", "cpu_us_per_mb"});
  ReadCosts(&reader, link);
  GO_RETURN_IF_ERROR(reader.status());
  // Where every link is named, Validate() does not see it.
  if (!(link->gbytes_per_s > 0)) {
    return InvalidArgument(where + ".gbytes_per_s must be a positive number.");
  }
  const std::pair<const char*, double> others[] = {
      {"latency_us", link->latency_us},
      {"cpu_us", link->cpu_us},
      {"cpu_us_per_mb", link->cpu_us_per_mb}};
  for (const auto& [field, micros] : others) {
    if (micros >= 0) continue;
    return InvalidArgument(where + "." + field +
                           " must be zero or a positive number.");
  }
  return OkStatus();
}

Status ReadSources(const Json& json,
                   std::map<std::string, std::string>* sources) {
  if (!json.is_object()) {
    return InvalidArgument("machine.sources must be a JSON object.");
  }
  for (const auto& [key, value] : json.items()) {
    if (!value.is_string()) {
      return InvalidArgument("machine.sources." + key + " must be a string.");
    }
    (*sources)[key] = value.get<std::string>();
  }
  return OkStatus();
}

std::set<std::pair<int32_t, int32_t>> LinkedPairs(const Machine& machine) {
  std::set<std::pair<int32_t, int32_t>> pairs;
  for (const Link& link : machine.links) pairs.emplace(link.src, link.dst);
  return pairs;
}

// Calls missing(src, dst) for each pair without a link until it returns false.
template <typename Function>
void ForEachMissingLink(const Machine& machine, const Function& missing) {
  const auto linked = LinkedPairs(machine);
  const auto count = static_cast<int32_t>(machine.devices.size());
  for (int32_t src = 0; src < count; ++src) {
    for (int32_t dst = 0; dst < count; ++dst) {
      if (src == dst || linked.count({src, dst}) > 0) continue;
      if (!missing(src, dst)) return;
    }
  }
}

Status ReadBody(const Json& json, ObjectReader* reader, Machine* machine) {
  reader->CheckFields({"format", "version", "name", "devices", "default_link",
                       "links", "sources"});
  if (reader->Has("name")) reader->Read("name", &machine->name);
  const Json* devices = reader->ReadArray("devices", true);
  const Json* links = reader->ReadArray("links", false);
  GO_RETURN_IF_ERROR(reader->status());
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
  if (json.contains("sources")) {
    GO_RETURN_IF_ERROR(ReadSources(json["sources"], &machine->sources));
  }
  Link other;
  const bool has_default = json.contains("default_link");
  if (has_default) {
    GO_RETURN_IF_ERROR(ReadDefaultLink(json["default_link"], &other));
  }
  machine->CompleteNames();
  GO_RETURN_IF_ERROR(machine->Validate());
  std::vector<Link> added;
  Status status;
  ForEachMissingLink(*machine, [&](int32_t src, int32_t dst) {
    if (!has_default) {
      status = InvalidArgument(
          "links has none from " + std::to_string(src) + " (" +
          machine->devices[src].name + ") to " + std::to_string(dst) + " (" +
          machine->devices[dst].name +
          "); add it, or a default_link for all that are not listed.");
      return false;
    }
    added.push_back(other);
    added.back().src = src;
    added.back().dst = dst;
    return true;
  });
  machine->links.insert(machine->links.end(), added.begin(), added.end());
  return status;
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
  const auto [major, minor] = ParseVersion(version);
  if (major != kMajor) {
    return InvalidArgument("machine.version is " + Quoted(version) +
                           "; this release reads version " + kVersion + ".");
  }
  const Status status = ReadBody(json, &reader, machine);
  if (status.ok() || minor <= kMinor) return status;
  return InvalidArgument(status.message() + " The file is of version " +
                         version + "; this release knows " + kVersion + ".");
}

Json FractionsJson(const Achieved& fractions) {
  Json json;
  json["gflops"] = fractions.gflops;
  json["gbytes_per_s"] = fractions.gbytes_per_s;
  return json;
}

bool Same(const Achieved& a, const Achieved& b) {
  return a.gflops == b.gflops && a.gbytes_per_s == b.gbytes_per_s;
}

// The class of everything else stands for those that are as it is.
Json AchievedJson(const AchievedByClass& achieved) {
  const Achieved& other = achieved[static_cast<size_t>(OpClass::kOther)];
  Json json = Json::object();
  if (!Same(other, Achieved())) json[kDefaultClass] = FractionsJson(other);
  for (int k = 0; k < kNumClasses; ++k) {
    if (Same(achieved[k], other)) continue;
    json[ClassName(k)] = FractionsJson(achieved[k]);
  }
  return json;
}

// What ReadCosts reads.
void AddCosts(const Link& link, Json* fields) {
  (*fields)["gbytes_per_s"] = link.gbytes_per_s;
  (*fields)["latency_us"] = link.latency_us;
  if (link.cpu_us != 0) (*fields)["cpu_us"] = link.cpu_us;
  if (link.cpu_us_per_mb != 0) (*fields)["cpu_us_per_mb"] = link.cpu_us_per_mb;
}

}  // namespace

StatusOr<Machine> MachineFromJson(std::string_view json) {
  try {
    const Json parsed = ParseJson(json);
    Machine machine;
    GO_RETURN_IF_ERROR(ReadMachine(parsed, &machine));
    return machine;
  } catch (const std::exception& e) {
    return InvalidArgument(std::string("The machine is not valid JSON: ") +
                           e.what());
  }
}

std::string MachineToJson(const Machine& machine) {
  Json json;
  json["format"] = kFormat;
  json["version"] = kVersion;
  json["name"] = machine.name;
  json["devices"] = Json::array();
  for (const Device& device : machine.devices) {
    Json fields;
    fields["name"] = device.name;
    fields["type"] = device.type;
    fields["gflops"] = device.gflops;
    fields["gbytes_per_s"] = device.gbytes_per_s;
    fields["memory_bytes"] = device.memory_bytes;
    fields["cores"] = device.cores;
    fields["dispatch_us"] = device.dispatch_us;
    Json achieved = AchievedJson(device.achieved);
    if (!achieved.empty()) fields["achieved"] = std::move(achieved);
    if (device.calibration != nullptr) {
      fields["calibration"] = CalibrationToJson(*device.calibration);
    }
    json["devices"].push_back(std::move(fields));
  }
  ForEachMissingLink(machine, [&](int32_t, int32_t) {
    AddCosts(SlowestLink(machine), &json["default_link"]);
    return false;
  });
  json["links"] = Json::array();
  for (const Link& link : machine.links) {
    Json fields;
    fields["src"] = link.src;
    fields["dst"] = link.dst;
    AddCosts(link, &fields);
    json["links"].push_back(std::move(fields));
  }
  for (const auto& [key, source] : machine.sources) {
    json["sources"][key] = source;
  }
  return JsonText(json, 2) + "\n";
}

}  // namespace grappler_go
