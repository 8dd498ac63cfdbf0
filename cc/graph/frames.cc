#include "cc/graph/frames.h"

#include <map>

#include "cc/graph/attr_value.h"

namespace grappler_go {

bool IsEnter(std::string_view op) { return op == "Enter" || op == "RefEnter"; }
bool IsExit(std::string_view op) { return op == "Exit" || op == "RefExit"; }

Frames FindFrames(const OpGraph& graph) {
  Frames found;
  const int32_t n = graph.num_ops();
  bool any = false;
  for (int32_t i = 0; i < n && !any; ++i) any = graph.has(i, kInLoop);
  if (!any) return found;

  found.frames.resize(1);
  found.runs_in.assign(n, 0);
  found.after.assign(n, 0);
  std::map<std::pair<int32_t, std::string_view>, int32_t> numbers;
  std::vector<int32_t> depth(1, 0);
  for (int32_t i = 0; i < n; ++i) {
    int32_t at = 0;
    for (const InputEdge& e : graph.inputs(i)) {
      const int32_t from = found.after[e.src];
      if (!e.back_edge && depth[from] > depth[at]) at = from;
    }
    found.runs_in[i] = found.after[i] = at;
    if (!graph.has(i, kControlFlow)) continue;
    if (IsEnter(graph.op(i))) {
      const auto [it, is_new] = numbers.emplace(
          std::make_pair(at, AttrString(graph.attr(i, "frame_name"))),
          static_cast<int32_t>(found.frames.size()));
      if (is_new) {
        found.frames.push_back({at, -1});
        depth.push_back(depth[at] + 1);
      }
      found.after[i] = it->second;
    } else if (IsExit(graph.op(i)) && at > 0) {
      found.runs_in[i] = found.after[i] = found.frames[at].parent;
    } else if (graph.op(i) == "LoopCond") {
      found.frames[at].condition = i;
    }
  }
  return found;
}

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
