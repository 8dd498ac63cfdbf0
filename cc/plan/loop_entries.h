// What a while loop waits for as a whole.
#ifndef GRAPPLER_GO_PLAN_LOOP_ENTRIES_H_
#define GRAPPLER_GO_PLAN_LOOP_ENTRIES_H_

#include <cstdint>
#include <utility>
#include <vector>

#include "cc/graph/op_graph.h"

namespace grappler_go {

// Edges from each Enter to its frame's LoopCond. Without back edges, a loop's
// results do not depend on those of its inputs that only later iterations read;
// with these edges, whatever is to run between the two is seen to close a
// cycle. (TensorFlow's CreateCycleDetectionGraph in
// compiler/jit/xla_cluster_util.cc has a node for each frame instead.)
std::vector<std::pair<int32_t, int32_t>> LoopEntries(const OpGraph& graph);

}  // namespace grappler_go

#endif  // GRAPPLER_GO_PLAN_LOOP_ENTRIES_H_
