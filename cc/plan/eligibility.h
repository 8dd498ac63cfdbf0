// What may be decided for an op, whatever a policy says.
//
// These are rules of correctness: ValidatePlan refuses a plan that breaks one,
// and the decide_*.cc never make such a plan. Rules of profit are elsewhere.
#ifndef GRAPPLER_GO_PLAN_ELIGIBILITY_H_
#define GRAPPLER_GO_PLAN_ELIGIBILITY_H_

#include <cstdint>
#include <string_view>
#include <vector>

#include "cc/graph/op_graph.h"
#include "cc/plan/build_plan.h"
#include "cc/plan/reason.h"

namespace grappler_go {

// kNone: allowed. `op` may move to another device on its own; whether its
// colocation group may is for the caller to ask of all its members
// (placement.h). `free_state`: see Plan::free_state.
Reason WhyNotMoved(const OpGraph& graph, int32_t op, bool free_state = false);
// With free state, has the op a kernel on devices of this type? TensorFlow
// without CUDA cannot be asked; GPUs and their like are taken to have all but
// those of strings and the few that tensorflow/core/kernels registers for CPUs
// alone.
bool HasKernelOn(const OpGraph& graph, int32_t op,
                 std::string_view device_type);
// kNone: XLA can compile it, and the program's meaning survives that.
Reason WhyNotFused(const OpGraph& graph, int32_t op);
// kNone: a clone that runs later computes the same.
Reason WhyNotRecomputed(const OpGraph& graph, int32_t op);

// Counts the reasons into why->left_out and writes them into why->per_op, over
// those of earlier decisions. `why` may be null.
void Explain(const std::vector<Reason>& reasons, PlanExplanation* why);

}  // namespace grappler_go

#endif  // GRAPPLER_GO_PLAN_ELIGIBILITY_H_
