#include "cc/plugin/config.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <sstream>
#include <string_view>
#include <utility>

#include "cc/plugin/freed_memory.h"
#include "cc/plugin/plan_cache.h"
#include "cc/policy/package_folder.h"

namespace grappler_go {
namespace {

struct Holder {
  std::mutex mutex;
  std::shared_ptr<const Config> config = std::make_shared<const Config>();
};

Holder& TheHolder() {
  static Holder* const holder = new Holder;
  return *holder;
}

// Empty when not set.
std::string Variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

Status BadVariable(const char* name, const std::string& value,
                   const char* expected) {
  return InvalidArgument(std::string(name) + "='" + value + "' should be " +
                         expected);
}

std::vector<std::string> SplitAtCommas(const std::string& text) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, ',');) {
    const size_t begin = part.find_first_not_of(' ');
    if (begin == std::string::npos) continue;
    parts.push_back(part.substr(begin, part.find_last_not_of(' ') - begin + 1));
  }
  return parts;
}

Status ReadDecisions(const std::string& value, PlanOptions* options) {
  if (value.empty()) return OkStatus();
  options->device = options->fusion = options->memory = false;
  for (const std::string& decision : SplitAtCommas(value)) {
    if (decision == "device") {
      options->device = true;
    } else if (decision == "fusion") {
      options->fusion = true;
    } else if (decision == "memory") {
      options->memory = true;
    } else {
      return BadVariable("GRAPPLER_GO_DECISIONS", value,
                         "some of device,fusion,memory, separated by commas");
    }
  }
  return OkStatus();
}

// "4000000000", "500MB", "4GB", "1.5GiB"; "0.6" for a share of the peak.
Status ReadMemoryLimit(const std::string& value, PlanOptions* options) {
  if (value.empty()) return OkStatus();
  char* end = nullptr;
  const double number = std::strtod(value.c_str(), &end);
  const std::string_view unit(end);
  double scale = 0;
  if (unit.empty() || unit == "B") scale = 1;
  if (unit == "KB") scale = 1e3;
  if (unit == "MB") scale = 1e6;
  if (unit == "GB") scale = 1e9;
  if (unit == "KiB") scale = 1024.0;
  if (unit == "MiB") scale = 1024.0 * 1024;
  if (unit == "GiB") scale = 1024.0 * 1024 * 1024;
  const double result = number * scale;
  if (end != value.c_str() && unit.empty() && number > 0 && number < 1) {
    options->memory_fraction = number;
    return OkStatus();
  }
  if (end == value.c_str() || !(result >= 1) || result > 9e18) {
    return BadVariable("GRAPPLER_GO_MEMORY_LIMIT", value,
                       "a number of bytes, such as 4000000000, 500MB or 4GiB, "
                       "or a share of the peak, such as 0.6");
  }
  options->memory_limit = static_cast<int64_t>(result);
  return OkStatus();
}

Status ReadBudget(const std::string& value, int64_t* budget_ms) {
  if (value.empty()) return OkStatus();
  int64_t number = 0;
  const char* const end = value.data() + value.size();
  const auto [stop, error] = std::from_chars(value.data(), end, number);
  if (error != std::errc() || stop != end || number <= 0) {
    return BadVariable("GRAPPLER_GO_BUDGET_MS", value,
                       "a positive number of milliseconds");
  }
  *budget_ms = number;
  return OkStatus();
}

Status ReadKeepMemory(const std::string& value, bool* keep_memory) {
  if (value.empty()) return OkStatus();
  if (value != "0" && value != "1") {
    return BadVariable("GRAPPLER_GO_KEEP_MEMORY", value, "0 or 1");
  }
  *keep_memory = value == "1";
  return OkStatus();
}

Status ReadMinGain(const std::string& value, double* min_gain) {
  if (value.empty()) return OkStatus();
  char* end = nullptr;
  const double number = std::strtod(value.c_str(), &end);
  if (end == value.c_str() || *end != '\0' || !(number >= 0 && number < 1)) {
    return BadVariable("GRAPPLER_GO_MIN_GAIN", value,
                       "a share of the step, from 0 to below 1, such as 0.05");
  }
  *min_gain = number;
  return OkStatus();
}

Status ReadCompileBudget(const std::string& value, double* seconds) {
  if (value.empty()) return OkStatus();
  char* end = nullptr;
  const double number = std::strtod(value.c_str(), &end);
  if (end == value.c_str() || *end != '\0' || !(number >= 0) ||
      !std::isfinite(number)) {
    return BadVariable("GRAPPLER_GO_COMPILE_BUDGET_S", value,
                       "a number of seconds, 0 or more");
  }
  *seconds = number;
  return OkStatus();
}

// "CPU:1" -> /job:localhost/replica:0/task:0/device:CPU:1, and so with what
// else a name leaves out: "/job:worker/device:CPU:0" is of replica and task 0.
// A device without a type when that is no name of one.
Device DeviceNamed(const std::string& name) {
  std::string job = "localhost", replica = "0", task = "0", type, index;
  std::istringstream parts(name[0] == '/' ? name.substr(1) : "device:" + name);
  for (std::string part; std::getline(parts, part, '/');) {
    const size_t colon = part.find(':');
    if (colon == std::string::npos || !type.empty()) return {};
    const std::string key = part.substr(0, colon);
    const std::string rest = part.substr(colon + 1);
    if (key == "job") {
      job = rest;
    } else if (key == "replica") {
      replica = rest;
    } else if (key == "task") {
      task = rest;
    } else if (key == "device") {
      type = rest.substr(0, rest.find(':'));
      index = rest.substr(std::min(rest.size(), type.size() + 1));
    } else {
      return {};
    }
  }
  Device device;
  if (type.empty() || index.empty()) return device;
  device.type = type;
  device.name = "/job:" + job + "/replica:" + replica + "/task:" + task +
                "/device:" + type + ":" + index;
  return device;
}

// The file that `value` names: its own, or that of a machine that ships. Empty:
// neither.
std::string MachineFile(const std::string& value) {
  namespace fs = std::filesystem;
  std::error_code error;
  if (fs::is_regular_file(value, error)) return value;
  if (value.find('/') != std::string::npos) return "";
  const std::string ships = PackageFolder() + "/machines/" + value + ".json";
  return fs::is_regular_file(ships, error) ? ships : "";
}

Status ReadDevices(const std::string& value, Machine* machine) {
  static const char kName[] = "GRAPPLER_GO_DEVICES";
  static const char kExpected[] =
      "a machine's file (*.json), one of `grappler-go machines`, or names of "
      "devices such as CPU:0, separated by commas";
  if (value.empty()) return OkStatus();
  const auto failed = [&](const Status& status) {
    return InvalidArgument(std::string(kName) + "='" + value +
                           "': " + status.message());
  };
  if (const std::string path = MachineFile(value); !path.empty()) {
    std::ifstream file(path, std::ios::binary);
    if (!file) return BadVariable(kName, value, "a file that can be read");
    std::ostringstream text;
    text << file.rdbuf();
    StatusOr<Machine> read = MachineFromJson(text.str());
    if (!read.ok()) return failed(read.status());
    *machine = std::move(*read);
    return OkStatus();
  }
  machine->name = "environment";
  for (const std::string& name : SplitAtCommas(value)) {
    Device device = DeviceNamed(name);
    if (device.type.empty()) return BadVariable(kName, value, kExpected);
    machine->devices.push_back(std::move(device));
  }
  const Status valid = machine->Validate();
  return valid.ok() ? valid : failed(valid);
}

}  // namespace

bool KeepsMemory(const Config& config) {
  return config.enabled && config.keep_memory && config.plan.memory &&
         config.plan.memory_limit == 0 && config.plan.memory_fraction == 0 &&
         (config.policy != nullptr || !config.policy_spec.empty());
}

std::shared_ptr<const Config> CurrentConfig() {
  Holder& holder = TheHolder();
  const std::lock_guard<std::mutex> lock(holder.mutex);
  return holder.config;
}

void SetConfig(Config config) {
  // Not from the first graph on only: TensorFlow may not have its threads yet.
  KeepFreedMemory(KeepsMemory(config));
  config.decisions = std::make_shared<DecisionCache>();
  config.shapes = std::make_shared<ShapeTracker>();
  auto next = std::make_shared<const Config>(std::move(config));
  Holder& holder = TheHolder();
  const std::lock_guard<std::mutex> lock(holder.mutex);
  // The old one leaves by `next`, and with it perhaps the last reference to a
  // policy, whose end may take a while: not under the lock.
  holder.config.swap(next);
}

bool KilledByEnvironment() {
  const char* value = std::getenv("GRAPPLER_GO");
  return value != nullptr && std::string_view(value) == "0";
}

StatusOr<Config> ConfigFromEnvironment() {
  Config config;
  const std::string enabled = Variable("GRAPPLER_GO");
  if (!enabled.empty() && enabled != "0" && enabled != "1") {
    return BadVariable("GRAPPLER_GO", enabled, "0 or 1");
  }
  config.enabled = enabled == "1";
  config.policy_spec = Variable("GRAPPLER_GO_POLICY");
  if (config.policy_spec.empty()) config.policy_spec = "default";
  config.record_dir = Variable("GRAPPLER_GO_RECORD");
  config.devices_exist = false;
  GO_RETURN_IF_ERROR(
      ReadDevices(Variable("GRAPPLER_GO_DEVICES"), &config.machine));
  GO_RETURN_IF_ERROR(
      ReadDecisions(Variable("GRAPPLER_GO_DECISIONS"), &config.plan));
  GO_RETURN_IF_ERROR(
      ReadMemoryLimit(Variable("GRAPPLER_GO_MEMORY_LIMIT"), &config.plan));
  GO_RETURN_IF_ERROR(
      ReadBudget(Variable("GRAPPLER_GO_BUDGET_MS"), &config.budget_ms));
  GO_RETURN_IF_ERROR(
      ReadMinGain(Variable("GRAPPLER_GO_MIN_GAIN"), &config.plan.min_gain));
  GO_RETURN_IF_ERROR(ReadCompileBudget(Variable("GRAPPLER_GO_COMPILE_BUDGET_S"),
                                       &config.plan.compile_budget_s));
  GO_RETURN_IF_ERROR(
      ReadKeepMemory(Variable("GRAPPLER_GO_KEEP_MEMORY"), &config.keep_memory));
  if (config.policy_spec == "default" ||
      !Variable("GRAPPLER_GO_PLANS").empty()) {
    config.plan_folders = DefaultPlanFolders();
  }
  return config;
}

}  // namespace grappler_go
