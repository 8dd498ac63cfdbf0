// Depths of a training step by its forward pass.
#ifndef GRAPPLER_GO_GRAPH_FORWARD_DEPTH_H_
#define GRAPPLER_GO_GRAPH_FORWARD_DEPTH_H_

#include <cstdint>
#include <vector>

#include "cc/graph/op_graph.h"

namespace grappler_go {

// [num_ops] OpGraph::depth, where an op of the backward pass counts as deep as
// the last forward op that it reads, and what reads nothing but arguments,
// or nothing, as its first forward reader: so a layer's forward and backward
// ops and its variables are near each other (as baselines/expert.py has it).
std::vector<int32_t> ForwardDepth(const OpGraph& graph);

}  // namespace grappler_go

#endif  // GRAPPLER_GO_GRAPH_FORWARD_DEPTH_H_
