// All that a policy reads: the features of cc/schema, and where ops may be by
// the rules of this folder.
#ifndef GRAPPLER_GO_PLAN_POLICY_FEATURES_H_
#define GRAPPLER_GO_PLAN_POLICY_FEATURES_H_

#include <cstdint>

#include "cc/cost/machine.h"
#include "cc/graph/op_graph.h"
#include "cc/plan/build_plan.h"
#include "cc/plan/placement.h"
#include "cc/schema/features.h"

namespace grappler_go {

// The rules by which BuildPlan places ops under these options.
PlacementRules PlacementRulesOf(const PlanOptions& options);

// ComputeFeatures() with kPlacementArrays. Every op is allowed on one device at
// least: what a plan may not move, where it is, or on the machine's first
// device if it is on none of them, as in the simulator. With free state the
// accelerators alone are allowed to what may be on one: GO's actions are its
// GPUs, too, and baselines choose among the same.
Features PolicyFeatures(const OpGraph& graph, const Machine& machine,
                        const PlacementRules& rules,
                        uint32_t arrays = kAllArrays);

}  // namespace grappler_go

#endif  // GRAPPLER_GO_PLAN_POLICY_FEATURES_H_
