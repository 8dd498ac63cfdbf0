// What a policy answers with: scores per op, before any constraint is applied.
#ifndef GRAPPLER_GO_SCHEMA_LOGITS_H_
#define GRAPPLER_GO_SCHEMA_LOGITS_H_

#include <cstdint>
#include <vector>

#include "cc/base/status.h"

namespace grappler_go {

// One row per op. A task whose vector is empty is not decided: its ops stay as
// they were.
struct Logits {
  int32_t num_ops = 0;
  int32_t num_devices = 0;
  std::vector<float> device;     // [num_ops, num_devices], higher is better
  std::vector<float> fusion;     // [num_ops] priority; <= 0: leave me alone
  std::vector<float> schedule;   // [num_ops] priority, higher runs earlier
  std::vector<float> recompute;  // [num_ops] > 0: rebuild my outputs for the
                                 // backward pass; higher first
  // Optional, both or none: what the policy believes an op costs, microseconds,
  // when TensorFlow runs it alone and as a part of an XLA cluster. Where given,
  // plan building uses these for "does this group pay" in place of rooflines.
  // Of an element-wise op: what it costs writing over its input. Memory of its
  // own, and what a group stores, are added (cc/plan/op_micros.cc).
  std::vector<float> op_micros;     // [num_ops]
  std::vector<float> fused_micros;  // [num_ops]
};

// Shape and finiteness of what a policy returned. The message names the array,
// its size and what it should have been.
Status ValidateLogits(const Logits& logits, int32_t num_ops,
                      int32_t num_devices);

}  // namespace grappler_go

#endif  // GRAPPLER_GO_SCHEMA_LOGITS_H_
