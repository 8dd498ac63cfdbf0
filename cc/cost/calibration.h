// What ops were timed to take on a device (`grappler-go calibrate`), instead of
// a roofline.
//
// As part of a machine file (machine.h), a device's "calibration":
//
//   {"cpu": "AMD EPYC", "cores": 2, "tensorflow": "2.21.0",
//    "new_us_per_mb": 33, "cold_read_us_per_mb": 18,
//    "group_launch_us": 9, "group_tensor_us": 3, "group_output_us_per_mb": 95,
//    "ops": {"MatMul": {"executor": [1.4, 8.1, 0, 12], "group": [...]}, ...,
//            "Conv2D:pointwise": ...},  // cost_kind.h
//    "classes": {"elementwise": {"executor": [...], "group": [...]}, ...}}
#ifndef GRAPPLER_GO_COST_CALIBRATION_H_
#define GRAPPLER_GO_COST_CALIBRATION_H_

#include <array>
#include <cstdint>
#include <map>
#include <string>

#include "cc/base/status.h"
#include "cc/graph/op_def.h"
#include "cc/graph/op_graph.h"

namespace grappler_go {

struct OpCost;

// About the last-level cache that a step can count on. Timings and what is made
// of them agree on it.
constexpr double kCacheBytes = 8e6;

// Microseconds for 1, a million operations, a megabyte moved, and a megabyte
// moved beyond kCacheBytes. None is negative.
using CostTerms = std::array<double, 4>;

struct TimedCost {
  CostTerms executor = {};  // alone, by TensorFlow's kernel
  CostTerms group = {};     // as a part of a compiled group
};

struct Calibration {
  // Where it was timed; elsewhere it says little.
  std::string cpu, tensorflow;
  int32_t cores = 0;
  // What element-wise ops take beyond their terms: for an output in memory of
  // its own, for an input that has left the cache.
  double new_us_per_mb = 0, cold_read_us_per_mb = 0;
  // What a compiled group takes beside its ops: PlanOptions::group_*_micros.
  double group_launch_us = 0, group_tensor_us = 0, group_output_us_per_mb = 0;
  std::map<std::string, TimedCost, std::less<>> ops;  // by CostKey
  std::map<OpClass, TimedCost> classes;               // for other types

  // By the op's CostKey, else by its type, else by its class. Null: none was
  // timed.
  const TimedCost* Find(const OpGraph& graph, int32_t op) const;
  // Errors: kInvalidArgument, naming the field, for a number that is negative
  // or not finite.
  Status Validate(const std::string& where) const;
};

// Microseconds of an op of this much work.
double MicrosOf(const CostTerms& terms, const OpCost& cost);

}  // namespace grappler_go

#endif  // GRAPPLER_GO_COST_CALIBRATION_H_
