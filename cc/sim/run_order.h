// The order in which the ops and clones of a step are taken to run, and the
// control edges that make a step keep it where that decides its peak.
//
// TensorFlow's executor has no order: ready ops go to threads that take the
// newest first and steal the oldest from each other, so that what is ready
// early may run late and keep all that it reads until then: a step takes more
// than in the order of this file, and not the same from one run to the next.
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

// Edges (before, after) between runs, numbered as above, that have each run
// with a large output wait for those before it that make or read a large
// tensor: large ones are then alive as the order says, and small ones run when
// they like. What may not be tied (loops, branches, arguments and results) is
// left out. None where the order is not one that the clones' edges follow.
// `recompute`, `order`: as in Plan.
std::vector<std::pair<int32_t, int32_t>> TurnEdges(
    const OpGraph& graph, const std::vector<uint8_t>& recompute,
    const std::vector<std::pair<int32_t, int32_t>>& order);

}  // namespace grappler_go

#endif  // GRAPPLER_GO_SIM_RUN_ORDER_H_
