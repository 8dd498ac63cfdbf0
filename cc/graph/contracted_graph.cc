#include "cc/graph/contracted_graph.h"

#include <algorithm>

#include "cc/graph/frames.h"

namespace grappler_go {

ContractedGraph Contract(const OpGraph& graph,
                         const std::vector<int32_t>& group,
                         int32_t num_groups) {
  ContractedGraph c;
  c.node.resize(graph.num_ops());
  int32_t nodes = num_groups;
  for (int32_t i = 0; i < graph.num_ops(); ++i) {
    const int32_t g = group.empty() ? -1 : group[i];
    c.node[i] = g >= 0 ? g : nodes++;
  }
  const auto loop_entries = LoopEntries(graph);
  auto for_each_edge = [&](auto&& visit) {
    for (int32_t i = 0; i < graph.num_ops(); ++i) {
      for (const InputEdge& e : graph.inputs(i)) {
        if (!e.back_edge && c.node[e.src] != c.node[i]) {
          visit(c.node[e.src], c.node[i]);
        }
      }
    }
    for (const auto& [enter, condition] : loop_entries) {
      if (c.node[enter] != c.node[condition]) {
        visit(c.node[enter], c.node[condition]);
      }
    }
  };
  // `first` holds where each row ends until that is filled.
  c.first.assign(static_cast<size_t>(nodes) + 1, 0);
  for_each_edge([&](int32_t src, int32_t) { ++c.first[src]; });
  for (int32_t v = 0; v < nodes; ++v) c.first[v + 1] += c.first[v];
  c.target.resize(c.first[nodes]);
  for_each_edge(
      [&](int32_t src, int32_t dst) { c.target[--c.first[src]] = dst; });
  return c;
}

// By Kahn's algorithm: the order of ops is topological, that of groups is not.
std::vector<double> LongestPathsBefore(const ContractedGraph& contracted,
                                       const std::vector<double>& length) {
  const int32_t nodes = contracted.num_nodes();
  std::vector<int32_t> waiting(nodes, 0);
  for (int32_t v : contracted.target) ++waiting[v];
  std::vector<int32_t> ready;
  for (int32_t v = 0; v < nodes; ++v) {
    if (waiting[v] == 0) ready.push_back(v);
  }
  std::vector<double> before(nodes, 0.0);
  while (!ready.empty()) {
    const int32_t v = ready.back();
    ready.pop_back();
    const double end = before[v] + length[v];
    for (int32_t k = contracted.first[v]; k < contracted.first[v + 1]; ++k) {
      const int32_t next = contracted.target[k];
      before[next] = std::max(before[next], end);
      if (--waiting[next] == 0) ready.push_back(next);
    }
  }
  return before;
}

}  // namespace grappler_go
