#include "cc/cost/machine.h"

#include <cctype>
#include <cmath>
#include <set>
#include <utility>

namespace grappler_go {
namespace {

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

// A name with a job or a task is not a short form.
bool IsShort(std::string_view name) {
  return name.rfind('/') == std::string_view::npos || name.rfind('/') == 0;
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

Status CheckAchieved(size_t i, const AchievedByClass& achieved) {
  for (size_t k = 0; k < achieved.size(); ++k) {
    const std::string where =
        DeviceField(i, "achieved.") + OpClassName(static_cast<OpClass>(k));
    const std::pair<const char*, double> fractions[] = {
        {".gflops", achieved[k].gflops},
        {".gbytes_per_s", achieved[k].gbytes_per_s}};
    for (const auto& [field, fraction] : fractions) {
      if (fraction > 0 && fraction <= 1) continue;  // neither is a NaN
      return InvalidArgument(where + field +
                             " must be a fraction above 0 and at most 1.");
    }
  }
  return OkStatus();
}

std::string LinkField(size_t i, const char* field) {
  return "links[" + std::to_string(i) + "]." + field;
}

}  // namespace

std::string FullDeviceName(std::string_view name) {
  if (!IsShort(name)) return std::string(name);
  const std::string_view type_and_index = TypeAndIndex(name);
  const std::string full =
      "/job:localhost/replica:0/task:0/device:" + std::string(type_and_index);
  return WellFormed(full) ? full : std::string(name);
}

void Machine::CompleteNames() {
  for (Device& device : devices) {
    device.name = FullDeviceName(device.name);
    if (!device.type.empty() || !WellFormed(device.name)) continue;
    const std::string_view type = TypeAndIndex(device.name);
    device.type = std::string(type.substr(0, type.find(':')));
  }
}

int32_t Machine::find_device(std::string_view name) const {
  int32_t found = -1;
  for (size_t i = 0; i < devices.size(); ++i) {
    if (devices[i].name == name) return static_cast<int32_t>(i);
  }
  if (!IsShort(name)) return -1;
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
    if (!std::isfinite(device.dispatch_us) || device.dispatch_us < 0) {
      return InvalidArgument(DeviceField(i, "dispatch_us") +
                             " must be zero or a positive number.");
    }
    GO_RETURN_IF_ERROR(CheckAchieved(i, device.achieved));
    if (device.calibration != nullptr) {
      GO_RETURN_IF_ERROR(
          device.calibration->Validate(DeviceField(i, "calibration")));
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
    const std::pair<const char*, double> costs[] = {
        {"cpu_us", link.cpu_us}, {"cpu_us_per_mb", link.cpu_us_per_mb}};
    for (const auto& [field, micros] : costs) {
      if (std::isfinite(micros) && micros >= 0) continue;
      return InvalidArgument(LinkField(i, field) +
                             " must be zero or a positive number.");
    }
  }
  return OkStatus();
}

Link SlowestLink(const Machine& machine) {
  Link slowest;
  for (size_t k = 0; k < machine.links.size(); ++k) {
    const Link& link = machine.links[k];
    if (k == 0 || link.gbytes_per_s < slowest.gbytes_per_s ||
        (link.gbytes_per_s == slowest.gbytes_per_s &&
         link.latency_us > slowest.latency_us)) {
      slowest = link;
    }
  }
  return slowest;
}

}  // namespace grappler_go
