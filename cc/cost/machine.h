// The devices a plan may use and the links between them.
#ifndef GRAPPLER_GO_COST_MACHINE_H_
#define GRAPPLER_GO_COST_MACHINE_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cc/base/status.h"

namespace grappler_go {

struct Device {
  std::string name;            // as TensorFlow spells it:
                               // /job:worker/replica:0/task:0/device:CPU:0
  std::string type;            // "CPU", "GPU"
  double gflops = 100.0;       // float32 multiply-adds count as two
  double gbytes_per_s = 20.0;  // memory bandwidth
  int64_t memory_bytes = 0;    // 0: no limit
  int32_t cores = 1;           // ops that can run side by side
};

struct Link {
  int32_t src = 0, dst = 0;  // indices into Machine::devices
  double gbytes_per_s = 1.0;
  double latency_us = 50.0;
};

struct Machine {
  std::string name;
  std::vector<Device> devices;
  std::vector<Link>
      links;  // directed; a missing one means: as the slowest given

  // -1 when there is no such device. Accepts the short forms that TensorFlow
  // does ("/device:CPU:1", "CPU:1") when they are unambiguous.
  int32_t find_device(std::string_view name) const;
  // Errors: kInvalidArgument, naming the field, for zero or negative rates,
  // links to devices that are not there, duplicate or malformed names.
  Status Validate() const;
};

// JSON, format version 1.0: {"format": "grappler-go-machine", "version": "1.0",
// "name": ..., "devices": [{"name","type","gflops","gbytes_per_s",
// "memory_bytes","cores"}], "links":
// [{"src","dst","gbytes_per_s","latency_us"}]}. Unknown fields are errors.
StatusOr<Machine> MachineFromJson(std::string_view json);
std::string MachineToJson(const Machine& machine);

}  // namespace grappler_go

#endif  // GRAPPLER_GO_COST_MACHINE_H_
