// The file in which `grappler-go calibrate` keeps what it timed on this
// machine, and its use wherever a machine is made from live devices.
#ifndef GRAPPLER_GO_COST_LOCAL_MACHINE_H_
#define GRAPPLER_GO_COST_LOCAL_MACHINE_H_

#include <string>

#include "cc/base/status.h"
#include "cc/cost/machine.h"

namespace grappler_go {

// GRAPPLER_GO_MACHINE, or grappler-go/machine.json in $XDG_CACHE_HOME or
// ~/.cache. Empty: GRAPPLER_GO_MACHINE is 0, or there is no home.
std::string LocalMachinePath();

// As /proc/cpuinfo has it; empty where it has none.
std::string CpuModel();
// The cores that this process may run on.
int32_t NumCores();

// The device that was timed here. Errors: kNotFound, there is no file;
// kInvalidArgument, it is malformed or of another processor or number of cores:
// a sentence that says so.
StatusOr<Device> ReadLocalDevice(const std::string& path);

// Gives this process's CPUs (/job:localhost) that have no calibration the rates
// and the calibration of the file, read once a process. Without one, or with
// one that is of no use, does nothing: LocalMachineState() says which.
void ApplyLocalMachine(Machine* machine);

// "" when the file is in use; otherwise why not.
std::string LocalMachineState();

}  // namespace grappler_go

#endif  // GRAPPLER_GO_COST_LOCAL_MACHINE_H_
