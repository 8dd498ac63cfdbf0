// A plan as what the simulator runs: devices and groups by number, times of
// ops on the devices they stand on.
#ifndef GRAPPLER_GO_PLAN_SIMULATE_PLAN_H_
#define GRAPPLER_GO_PLAN_SIMULATE_PLAN_H_

#include <cstdint>
#include <vector>

#include "cc/base/status.h"
#include "cc/cost/machine.h"
#include "cc/graph/op_graph.h"
#include "cc/plan/build_plan.h"
#include "cc/plan/plan.h"
#include "cc/schema/logits.h"
#include "cc/sim/simulator.h"

namespace grappler_go {

struct PlannedStep {
  StepInput input;
  // Ops that stand, in the graph, on no device of the machine: they are taken
  // to be on its first.
  int32_t ops_elsewhere = 0;
};

// Of `logits` op_micros and fused_micros are used, where they are given, in
// place of rooflines, and `schedule` as the priority where the plan has none.
// Of `options`, what groups cost. Errors: what ValidatePlan and ValidateLogits
// find; kInvalidArgument for a plan that puts ops on a device which the machine
// does not have.
StatusOr<PlannedStep> StepOfPlan(const OpGraph& graph, const Machine& machine,
                                 const Plan& plan, const Logits& logits,
                                 const PlanOptions& options);

struct SimulatedPlan {
  Simulation simulation;
  int32_t ops_elsewhere = 0;  // as in PlannedStep
};

// Each of many plans, on up to `threads` threads (0: one for each core); the
// results do not depend on their number. `timeline`: as in StepInput. Errors:
// those of StepOfPlan and Simulator, of the first plan that has one.
StatusOr<std::vector<SimulatedPlan>> SimulatePlans(
    const OpGraph& graph, const Machine& machine,
    const std::vector<Plan>& plans, const Logits& logits,
    const PlanOptions& options, const SimulatorOptions& simulator_options,
    int32_t threads, bool timeline);

}  // namespace grappler_go

#endif  // GRAPPLER_GO_PLAN_SIMULATE_PLAN_H_
