// The order in which the ops and clones of a step are taken to run.
#ifndef GRAPPLER_GO_SIM_RUN_ORDER_H_
#define GRAPPLER_GO_SIM_RUN_ORDER_H_

#include <cstdint>
#include <utility>
#include <vector>

#include "cc/graph/op_graph.h"
#include "cc/graph/recompute_clones.h"

namespace grappler_go {

// The order in which ops are taken to run: by depth, then number, where
// `order` (pairs before, after) deepens what has to wait. Without it, that is
// 0, 1, 2, ... `order` must not close a cycle.
std::vector<int32_t> ExecutionOrder(
    const OpGraph& graph,
    const std::vector<std::pair<int32_t, int32_t>>& order);

// Ops by their numbers, clones by num_ops + the op's: an op runs at its place
// in the execution order; before it the clones whose first use that is, and
// what has to wait for them until then (RecomputeClones::place). `clones` may
// be null.
std::vector<int32_t> RunOrder(const OpGraph& graph,
                              const std::vector<int32_t>& execution_order,
                              const RecomputeClones* clones);

}  // namespace grappler_go

#endif  // GRAPPLER_GO_SIM_RUN_ORDER_H_
