#include "cc/graph/forward_depth.h"

#include <algorithm>

namespace grappler_go {

std::vector<int32_t> ForwardDepth(const OpGraph& graph) {
  const int32_t n = graph.num_ops();
  std::vector<int32_t> folded(n, 0);
  for (int32_t i = 0; i < n; ++i) {
    if (!graph.has(i, kBackward)) {
      folded[i] = graph.depth(i);
      continue;
    }
    int32_t forward = -1, any = 0;
    for (const InputEdge& e : graph.inputs(i)) {
      if (e.port == kControlPort) break;
      if (e.back_edge) continue;
      any = std::max(any, folded[e.src]);
      if (!graph.has(e.src, kBackward) && !graph.inputs(e.src).empty()) {
        forward = std::max(forward, folded[e.src]);
      }
    }
    folded[i] = forward >= 0 ? forward : any;
  }
  for (int32_t i = n; i-- > 0;) {
    if (graph.depth(i) > 1 || graph.has(i, kBackward)) continue;
    int32_t first = -1;
    for (const OutputEdge& e : graph.outputs(i)) {
      if (e.back_edge || graph.has(e.dst, kBackward)) continue;
      if (first < 0 || folded[e.dst] < first) first = folded[e.dst];
    }
    if (first >= 0) folded[i] = first;
  }
  return folded;
}

}  // namespace grappler_go
