// The devices a plan may use and the links between them.
//
// As a file (machine_json.cc) a machine is JSON of format version 1.4:
//
//   {"format": "grappler-go-machine", "version": "1.4", "name": "two GPUs",
//    "devices": [{"name": "/job:localhost/replica:0/task:0/device:GPU:0",
//                 "type": "GPU", "gflops": 9300, "gbytes_per_s": 732,
//                 "memory_bytes": 17179869184, "cores": 1, "dispatch_us": 5,
//                 "achieved": {"default": {"gflops": 0.5, "gbytes_per_s": 0.7},
//                              "matmul": {"gflops": 0.9, "gbytes_per_s":
//                              0.7}}},
//                ...],
//    "default_link": {"gbytes_per_s": 12, "latency_us": 10},
//    "links": [{"src": 0, "dst": 1, "gbytes_per_s": 25, "latency_us": 2,
//               "cpu_us": 150, "cpu_us_per_mb": 600}],
//    "sources": {"devices.gflops": "where the number comes from"}}
//
// A name may be short ("GPU:0": of this process). memory_bytes, cores,
// dispatch_us, achieved, calibration (calibration.h), the links' cpu_us and
// cpu_us_per_mb, and sources may be missing, and so may either default_link or
// links as long as every pair of devices has a link.
#ifndef GRAPPLER_GO_COST_MACHINE_H_
#define GRAPPLER_GO_COST_MACHINE_H_

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cc/base/status.h"
#include "cc/cost/calibration.h"
#include "cc/graph/op_def.h"

namespace grappler_go {

// What TensorFlow's executor takes to dispatch one op on a CPU, microseconds.
constexpr double kDispatchMicros = 1.0;

// "CPU:1" and "/device:CPU:1" as
// "/job:localhost/replica:0/task:0/device:CPU:1"; any other name as it is.
std::string FullDeviceName(std::string_view name);

// What ops of one class get of a device's peak rates, each above 0 and at
// most 1.
struct Achieved {
  double gflops = 1.0;
  double gbytes_per_s = 1.0;
};

using AchievedByClass =
    std::array<Achieved, static_cast<size_t>(OpClass::kNumClasses)>;

struct Device {
  std::string name;            // as TensorFlow spells it:
                               // /job:worker/replica:0/task:0/device:CPU:0
  std::string type;            // "CPU", "GPU"; see CompleteNames
  double gflops = 100.0;       // peak, float32; multiply-adds count as two
  double gbytes_per_s = 20.0;  // peak memory bandwidth
  int64_t memory_bytes = 0;    // 0: no limit
  int32_t cores = 1;           // ops that can run side by side
  // From one op's end to the next one's start: the executor's dispatch on a
  // CPU, the launch of a kernel on a GPU. Microseconds.
  double dispatch_us = kDispatchMicros;
  AchievedByClass achieved = {};  // by OpClass
  // Null: nobody has timed ops there, and rooflines say what they take.
  std::shared_ptr<const Calibration> calibration = nullptr;
};

struct Link {
  int32_t src = 0, dst = 0;  // indices into Machine::devices
  double gbytes_per_s = 1.0;
  double latency_us = 50.0;
  // What sending and receiving keep a core busy with at each end that is a CPU,
  // for a transfer and for each megabyte (1e6 bytes) of it: the overhead "o" of
  // LogP (Culler et al., PPoPP 1993), which ops there have to do without.
  double cpu_us = 0.0;
  double cpu_us_per_mb = 0.0;
};

struct Machine {
  std::string name;
  std::vector<Device> devices;
  std::vector<Link>
      links;  // directed; a missing one means: as the slowest given
  // Where the numbers come from, by what they are: for people.
  std::map<std::string, std::string> sources;

  // Writes out names that are short and takes types that are missing from them.
  void CompleteNames();
  // -1 when there is no such device. Accepts the short forms that TensorFlow
  // does ("/device:CPU:1", "CPU:1") when they are unambiguous.
  int32_t find_device(std::string_view name) const;
  // Errors: kInvalidArgument, naming the field, for zero or negative rates,
  // links to devices that are not there, duplicate or malformed names.
  Status Validate() const;
};

// The link that stands for those a machine does not name: as slow as its
// slowest; Link's defaults where it names none.
Link SlowestLink(const Machine& machine);

// Reads the format above. Errors: kInvalidArgument, naming the field, for what
// Validate() refuses, an unknown or missing field, a value of another type, a
// pair of devices without a link, another major version. A newer minor version
// is read as long as its fields are known here.
StatusOr<Machine> MachineFromJson(std::string_view json);
// Writes it. Pairs of devices without a link get SlowestLink() as default_link.
std::string MachineToJson(const Machine& machine);

}  // namespace grappler_go

#endif  // GRAPPLER_GO_COST_MACHINE_H_
