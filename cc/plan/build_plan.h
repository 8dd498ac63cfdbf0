// Logits -> Plan: what the policy would like, within what is allowed.
#ifndef GRAPPLER_GO_PLAN_BUILD_PLAN_H_
#define GRAPPLER_GO_PLAN_BUILD_PLAN_H_

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "cc/base/status.h"
#include "cc/cost/machine.h"
#include "cc/graph/op_graph.h"
#include "cc/plan/plan.h"
#include "cc/plan/reason.h"
#include "cc/schema/logits.h"

namespace grappler_go {

struct PlanOptions {
  bool device = true, fusion = true, memory = true;
  // Plans for the simulator alone: see Plan::free_state. What is not decided is
  // where TensorFlow would put it (UndecidedDevice).
  bool free_state = false;
  // Scores of devices are an opinion, weighed against transfers and balance
  // (policy_cut.h), and not an order for each op.
  bool cut_by_policy = false;
  // What is on none of the machine's devices counts as on its first, as in the
  // simulator: for graphs that were captured elsewhere. With free state always.
  bool first_is_home = false;
  // The pass does nothing for a predicted gain below this share of the step;
  // for a gain that rests on k groups below 1 + log2(k) times this share. Op
  // costs that were fitted on other machines are off by a fifth (the shipped
  // policy's card.json).
  double min_gain = 0.08;
  // The first steps are timed against the graph without the plan, which comes
  // back where nothing is gained: fusion may rest on what XLA's ops are off by.
  bool on_trial = false;
  // Bytes that the predicted peak should not pass, variables and arguments
  // included; 0: as memory_fraction says.
  int64_t memory_limit = 0;
  // The same as a share of the peak predicted without a plan; 0: no limit, and
  // then nothing is recomputed.
  double memory_fraction = 0;
  // A group with fewer ops than this, after merging, is dissolved.
  int32_t min_group_ops = 4;
  // What running a compiled group costs beside its ops: starting it, handing
  // over each tensor that enters or leaves, and memory for what leaves, which
  // XLA always takes anew where TensorFlow's kernels reuse their inputs'.
  // Measured by python -m grappler_go_training.scorer launch: 6 to 22, 2.5 to 5
  // and 91 to 120 on two machines. The larger, lest a step become slower.
  double group_launch_micros = 22.0;
  double group_tensor_micros = 5.0;
  double group_output_micros_per_mb = 120.0;
  // Seconds that XLA may take to compile all groups of a graph, as predicted by
  // compile_budget.h; groups that do not fit in are left out. It is paid by the
  // first step.
  double compile_budget_s = 20.0;
  // A group whose shapes are not all known is compiled anew for each shape.
  // Off: such ops stay out.
  bool fuse_unknown_shapes = false;
  // Can the rewrites take this op, which TensorFlow's remapper made, apart?
  // Null: the types that they know (_FusedMatMul ...) count as such.
  std::function<bool(const OpGraph&, int32_t op)> can_unfuse = nullptr;
  // Is there a kernel for this op type on this device type? Null: ops move only
  // between devices of one type.
  std::function<bool(std::string_view op, std::string_view device_type)>
      has_kernel = nullptr;
};

// Why ops were left out, for reports and `grappler-go explain`: reason -> how
// many. Reasons are short fixed phrases, those of ReasonText ("no XLA kernel",
// "shape not known", "group does not pay", "in a loop" ...).
struct PlanExplanation {
  std::map<std::string, int32_t> left_out;
  std::vector<Reason> per_op;  // [num_ops], kNone: decided
  std::string summary;         // one line
};

// Errors: what ValidateLogits finds. An empty plan is a success.
StatusOr<Plan> BuildPlan(const OpGraph& graph, const Machine& machine,
                         const Logits& logits, const PlanOptions& options,
                         PlanExplanation* explanation);

// Brings what BuildPlan explained in line with a plan that was changed since:
// no reason is left where something was decided, counts and the summary are
// new.
void ExplainPlan(const Plan& plan, const PlanOptions& options,
                 PlanExplanation* explanation);

// The parts, each testable alone, in the order in which BuildPlan runs them:
// devices, memory, fusion. Each fills its own fields of the plan only and reads
// those of the ones before it. `why` may be null.
void DecideDevices(const OpGraph& graph, const Machine& machine,
                   const Logits& logits, const PlanOptions& options, Plan* plan,
                   PlanExplanation* why);
void DecideMemory(const OpGraph& graph, const Machine& machine,
                  const Logits& logits, const PlanOptions& options, Plan* plan);
void DecideFusion(const OpGraph& graph, const Machine& machine,
                  const Logits& logits, const PlanOptions& options, Plan* plan,
                  PlanExplanation* why);

// The limit in bytes, given what the step takes without a plan; 0: none.
int64_t MemoryLimit(const PlanOptions& options, int64_t peak_bytes);

}  // namespace grappler_go

#endif  // GRAPPLER_GO_PLAN_BUILD_PLAN_H_
