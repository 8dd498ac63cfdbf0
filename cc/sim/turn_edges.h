// Control edges that keep a step's peak of memory within what was predicted.
//
// TensorFlow's executor has no order: ready ops go to threads that take the
// newest first and steal the oldest from each other, so that what is ready
// early may run late and keep all that it reads until then: a step takes more
// than in the order of run_order.h, and not the same from one run to the next.
// Running everything in one order costs time, for small kernels leave cores
// idle. So only what could pass the limit waits, whatever order the executor
// takes the rest in.
#ifndef GRAPPLER_GO_SIM_TURN_EDGES_H_
#define GRAPPLER_GO_SIM_TURN_EDGES_H_

#include <cstdint>
#include <utility>
#include <vector>

#include "cc/graph/op_graph.h"

namespace grappler_go {

// Edges (before, after) between runs, numbered as in RunOrder. A run with a
// large output waits for as many of the earlier runs that make or read a large
// tensor as have to be over: what is then alive, and all that the runs from
// there to itself make, is at most `bytes`; or it waits for all of them. Small
// runs go when they like. What may not be tied (loops, branches, arguments and
// results) is left out. None where the order is not one that the clones' edges
// follow.
// `recompute`, `order`: as in Plan; `bytes` without those of what is resident.
std::vector<std::pair<int32_t, int32_t>> TurnEdges(
    const OpGraph& graph, const std::vector<uint8_t>& recompute,
    const std::vector<std::pair<int32_t, int32_t>>& order, int64_t bytes);

}  // namespace grappler_go

#endif  // GRAPPLER_GO_SIM_TURN_EDGES_H_
