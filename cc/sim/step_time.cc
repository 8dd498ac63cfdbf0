#include "cc/sim/step_time.h"

#include <algorithm>

#include "cc/graph/contracted_graph.h"

namespace grappler_go {

double StepMicros(const OpGraph& graph, const StepTimeInput& input) {
  const auto groups = static_cast<int32_t>(input.group_overhead.size());
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
    // A group runs its ops in turn: its small ops do not overlap each other,
    // and its large ones use every core already.
    const bool small = v >= groups && micros[v] < kParallelOpMicros;
    work += small ? micros[v] / std::max(1, input.cores) : micros[v];
    longest = std::max(longest, start[v] + micros[v]);
  }
  return std::max(work, longest);
}

}  // namespace grappler_go
