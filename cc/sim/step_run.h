// The event loop of one simulation.
#ifndef GRAPPLER_GO_SIM_STEP_RUN_H_
#define GRAPPLER_GO_SIM_STEP_RUN_H_

#include "cc/base/status.h"
#include "cc/sim/simulator.h"
#include "cc/sim/step_facts.h"
#include "cc/sim/step_graph.h"

namespace grappler_go {

// `timeline`: fill Simulation::tasks and transfers. Errors: kInvalidArgument
// when ops are left that wait for each other.
StatusOr<Simulation> RunStep(const StepFacts& facts, const StepGraph& step,
                             bool timeline);

}  // namespace grappler_go

#endif  // GRAPPLER_GO_SIM_STEP_RUN_H_
