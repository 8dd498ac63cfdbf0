// A policy's scores of devices as a placement that does not flicker.
//
// Taken op by op, the likeliest devices of a policy that is a little unsure
// send a tensor wherever neighbours disagree. A cut weighs its opinion against
// what is sent and how evenly devices are loaded, in one pass over clusters of
// ops and without a simulation.
#ifndef GRAPPLER_GO_PLAN_POLICY_CUT_H_
#define GRAPPLER_GO_PLAN_POLICY_CUT_H_

#include "cc/base/status.h"
#include "cc/cost/machine.h"
#include "cc/graph/op_graph.h"
#include "cc/plan/build_plan.h"
#include "cc/plan/search_starts.h"
#include "cc/schema/logits.h"

namespace grappler_go {

// How the cut is asked for, which a search varies.
AnnealOptions PolicyCutOptions();

// Replaces logits->device by 1 where the cut has a unit of ops and 0 elsewhere,
// and leaves the rest. Does nothing without scores of devices or anything that
// may move. The same every time. Errors: what Machine::Validate finds.
Status CutByPolicy(const OpGraph& graph, const Machine& machine,
                   const PlanOptions& options, Logits* logits);

}  // namespace grappler_go

#endif  // GRAPPLER_GO_PLAN_POLICY_CUT_H_
