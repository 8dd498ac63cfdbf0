// What compiling groups takes, and which of them that is too much for.
#ifndef GRAPPLER_GO_PLAN_COMPILE_BUDGET_H_
#define GRAPPLER_GO_PLAN_COMPILE_BUDGET_H_

#include <cstdint>
#include <vector>

#include "cc/graph/op_graph.h"
#include "cc/plan/build_plan.h"
#include "cc/plan/fusion_groups.h"
#include "cc/plan/op_micros.h"
#include "cc/plan/reason.h"

namespace grappler_go {

// Seconds that XLA for CPUs takes to compile one group of that many ops, with
// nothing else running on the machine.
//
// From the first steps in docs/results (`grappler-go bench`, 2 cores of an AMD
// EPYC), TensorFlow's own taken off: 27 ops 0.11 s, 351 in 2 groups 1.0 s, 956
// of an LSTM's forward pass 1.6 s, 1366 in 2 groups 1.7 s, 1476 in 2 groups
// 2.2 s, and a training step of that LSTM 13 to 15 s: more than its share, as
// some of LLVM's passes take time with the square of a computation's length.
// Right within a factor of two.
double CompileSeconds(int32_t num_ops);

// All groups' together.
double CompileSeconds(const FusionGroups& groups);

// Leaves groups out until the others compile within options.compile_budget_s:
// those that gain the least for each second of it first. `reason` says so.
// Returns the seconds that the others take.
double KeepWithinCompileBudget(const OpGraph& graph, const OpMicros& micros,
                               const PlanOptions& options, FusionGroups* groups,
                               std::vector<Reason>* reason);

}  // namespace grappler_go

#endif  // GRAPPLER_GO_PLAN_COMPILE_BUDGET_H_
