#include "cc/sim/step_time.h"

#include <algorithm>

#include "cc/graph/contracted_graph.h"

namespace grappler_go {
namespace {

// Without groups: the order of ops is topological.
double LongestPathOfOps(const OpGraph& graph, const Scratch<float>& micros) {
  Scratch<double> end(graph.num_ops(), 0.0);
  double longest = 0;
  for (int32_t i = 0; i < graph.num_ops(); ++i) {
    for (const InputEdge& e : graph.inputs(i)) {
      if (!e.back_edge) end[i] = std::max(end[i], end[e.src]);
    }
    end[i] += micros[i];
    longest = std::max(longest, end[i]);
  }
  return longest;
}

// What keeps the cores busy. A group runs its ops in turn: its small ops do not
// overlap each other, and its large ones use every core already.
double WorkOf(double micros, bool is_group, int32_t cores) {
  const bool overlaps =
      !is_group && micros >= kInlineOpMicros && micros < kParallelOpMicros;
  return overlaps ? micros / std::max(1, cores) : micros;
}

}  // namespace

double StepMicros(const OpGraph& graph, const StepTimeInput& input) {
  const auto groups = static_cast<int32_t>(input.group_overhead.size());
  if (groups == 0) {
    double work = 0;
    for (float micros : input.micros)
      work += WorkOf(micros, false, input.cores);
    return std::max(work, LongestPathOfOps(graph, input.micros));
  }
  const ContractedGraph c = Contract(graph, input.group, groups);
  std::vector<double> micros(input.group_overhead.begin(),
                             input.group_overhead.end());
  micros.resize(c.num_nodes(), 0.0);
  for (int32_t i = 0; i < graph.num_ops(); ++i) {
    micros[c.node[i]] += input.micros[i];
  }
  const std::vector<double> start = LongestPathsBefore(c, micros);
  double work = 0, longest = 0;
  for (int32_t v = 0; v < c.num_nodes(); ++v) {
    work += WorkOf(micros[v], v < groups, input.cores);
    longest = std::max(longest, start[v] + micros[v]);
  }
  return std::max(work, longest);
}

}  // namespace grappler_go
