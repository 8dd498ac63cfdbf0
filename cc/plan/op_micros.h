// What each op is believed to take, alone and compiled: what was timed on its
// device (Device::calibration), else the policy's word, else a roofline.
#ifndef GRAPPLER_GO_PLAN_OP_MICROS_H_
#define GRAPPLER_GO_PLAN_OP_MICROS_H_

#include <vector>

#include "cc/base/scratch.h"
#include "cc/cost/machine.h"
#include "cc/graph/op_graph.h"
#include "cc/plan/build_plan.h"
#include "cc/schema/logits.h"

namespace grappler_go {

struct OpMicros {
  Scratch<float> alone;     // [num_ops]
  Scratch<float> compiled;  // [num_ops], as a part of a compiled group
  // Microseconds for a byte that enters or leaves a group. 0 when times are not
  // rooflines: then they include it.
  double per_boundary_byte = 0;
  // Where the ops stand, if that was said and some are on accelerators: their
  // groups cost what group_kernels.h says.
  const Machine* machine = nullptr;
  std::vector<int32_t> device;  // [num_ops]
};

// `device`: by op, the one of the machine's devices that its roofline is of;
// empty: the first CPU. What a policy says of times holds for CPUs:
// accelerators have rooflines. The machine must outlive the result.
OpMicros EstimateOpMicros(const OpGraph& graph, const Machine& machine,
                          const Logits& logits,
                          const std::vector<int32_t>& device = {});

// The options with what a compiled group was timed to take on the machine's
// CPU in place of what they leave at its default.
PlanOptions WithTimedGroups(const PlanOptions& options, const Machine& machine);

}  // namespace grappler_go

#endif  // GRAPPLER_GO_PLAN_OP_MICROS_H_
