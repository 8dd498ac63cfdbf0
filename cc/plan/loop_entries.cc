#include "cc/plan/loop_entries.h"

#include "cc/graph/frames.h"

namespace grappler_go {

std::vector<std::pair<int32_t, int32_t>> LoopEntries(const OpGraph& graph) {
  std::vector<std::pair<int32_t, int32_t>> edges;
  const Frames found = FindFrames(graph);
  if (found.frames.empty()) return edges;
  for (int32_t i = 0; i < graph.num_ops(); ++i) {
    if (!graph.has(i, kControlFlow) || !IsEnter(graph.op(i))) continue;
    const int32_t waits = found.frames[found.after[i]].condition;
    if (waits >= 0) edges.emplace_back(i, waits);
  }
  return edges;
}

}  // namespace grappler_go
