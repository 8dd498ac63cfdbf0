#include "cc/cost/local_machine.h"

#include <sched.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string_view>

namespace grappler_go {
namespace {

constexpr std::string_view kThisProcess = "/job:localhost/";

// The file as it was when it was first asked for: what a process decides does
// not change under its feet.
const StatusOr<Device>& LocalDevice() {
  static const auto& device =
      *new StatusOr<Device>(ReadLocalDevice(LocalMachinePath()));
  return device;
}

}  // namespace

std::string LocalMachinePath() {
  if (const char* given = std::getenv("GRAPPLER_GO_MACHINE");
      given != nullptr && *given != '\0') {
    return std::string_view(given) == "0" ? "" : given;
  }
  if (const char* cache = std::getenv("XDG_CACHE_HOME");
      cache != nullptr && *cache == '/') {
    return std::string(cache) + "/grappler-go/machine.json";
  }
  const char* home = std::getenv("HOME");
  if (home == nullptr || *home == '\0') return "";
  return std::string(home) + "/.cache/grappler-go/machine.json";
}

std::string CpuModel() {
  std::ifstream file("/proc/cpuinfo");
  std::string line;
  while (std::getline(file, line)) {
    if (line.rfind("model name", 0) != 0) continue;
    const size_t at = line.find_first_not_of(" \t", line.find(':') + 1);
    return at == std::string::npos ? "" : line.substr(at);
  }
  return "";
}

int32_t NumCores() {
  cpu_set_t cores;
  if (sched_getaffinity(0, sizeof(cores), &cores) != 0) return 1;
  return CPU_COUNT(&cores);
}

StatusOr<Device> ReadLocalDevice(const std::string& path) {
  if (path.empty()) return NotFound("GRAPPLER_GO_MACHINE is 0.");
  std::ifstream file(path);
  if (!file) {
    return NotFound("There is no " + path +
                    "; grappler-go calibrate makes it.");
  }
  std::ostringstream text;
  text << file.rdbuf();
  StatusOr<Machine> machine = MachineFromJson(text.str());
  if (!machine.ok()) {
    return InvalidArgument(path + ": " + machine.status().message());
  }
  for (Device& device : machine->devices) {
    const Calibration* timed = device.calibration.get();
    if (device.type != "CPU" || timed == nullptr) continue;
    if (timed->cpu == CpuModel() && timed->cores == NumCores()) return device;
    return InvalidArgument(path + " was timed on " +
                           std::to_string(timed->cores) + " cores of \"" +
                           timed->cpu + "\"; here are " +
                           std::to_string(NumCores()) + " of \"" + CpuModel() +
                           "\". Run grappler-go calibrate again.");
  }
  return InvalidArgument(path + " has no CPU with a calibration.");
}

void ApplyLocalMachine(Machine* machine) {
  const StatusOr<Device>& local = LocalDevice();
  if (!local.ok()) return;
  for (Device& device : machine->devices) {
    if (device.type != "CPU" || device.calibration != nullptr ||
        device.name.rfind(kThisProcess, 0) != 0) {
      continue;
    }
    device.gflops = local->gflops;
    device.gbytes_per_s = local->gbytes_per_s;
    device.achieved = local->achieved;
    device.dispatch_us = local->dispatch_us;
    device.calibration = local->calibration;
  }
}

std::string LocalMachineState() {
  return LocalDevice().ok() ? "" : LocalDevice().status().message();
}

}  // namespace grappler_go
