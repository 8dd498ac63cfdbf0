#include "cc/sim/run_order.h"

#include <algorithm>
#include <numeric>

namespace grappler_go {

std::vector<int32_t> ExecutionOrder(
    const OpGraph& graph,
    const std::vector<std::pair<int32_t, int32_t>>& order) {
  const int32_t n = graph.num_ops();
  std::vector<int32_t> sorted(n);
  std::iota(sorted.begin(), sorted.end(), 0);
  if (order.empty()) return sorted;

  std::vector<int32_t> waiting(n, 0), depth(n, 0);
  std::vector<std::vector<int32_t>> held_back(n);
  for (const auto& [before, after] : order) {
    held_back[before].push_back(after);
    ++waiting[after];
  }
  for (int32_t i = 0; i < n; ++i) {
    for (const InputEdge& e : graph.inputs(i)) waiting[i] += !e.back_edge;
  }
  std::vector<int32_t> ready;
  for (int32_t i = 0; i < n; ++i) {
    if (waiting[i] == 0) ready.push_back(i);
  }
  for (size_t at = 0; at < ready.size(); ++at) {
    const int32_t i = ready[at];
    auto finish = [&](int32_t next) {
      depth[next] = std::max(depth[next], depth[i] + 1);
      if (--waiting[next] == 0) ready.push_back(next);
    };
    for (const OutputEdge& e : graph.outputs(i)) {
      if (!e.back_edge) finish(e.dst);
    }
    for (int32_t next : held_back[i]) finish(next);
  }
  std::stable_sort(sorted.begin(), sorted.end(),
                   [&](int32_t i, int32_t j) { return depth[i] < depth[j]; });
  return sorted;
}

std::vector<int32_t> RunOrder(const OpGraph& graph,
                              const std::vector<int32_t>& execution_order,
                              const RecomputeClones* clones) {
  if (clones == nullptr) return execution_order;
  const int32_t n = graph.num_ops();
  std::vector<std::vector<int32_t>> before(n);  // by op, runs in order
  std::vector<uint8_t> is_late(n, 0);
  for (int32_t i = 0; i < n; ++i) {
    if (clones->cloned(i)) {
      before[clones->place(clones->first_use(i))].push_back(n + i);
    }
    const int32_t place = clones->place(i);
    if (place == i) continue;
    for (const InputEdge& e : graph.inputs(i)) {
      is_late[i] |= is_late[e.src] ||
                    (clones->cloned(e.src) &&
                     clones->UserReadsClone(e.src, {i, e.port, e.back_edge}));
    }
    if (is_late[i]) before[place].push_back(i);
  }
  std::vector<int32_t> runs;
  runs.reserve(n);
  for (const int32_t i : execution_order) {
    runs.insert(runs.end(), before[i].begin(), before[i].end());
    if (!is_late[i]) runs.push_back(i);
  }
  return runs;
}

}  // namespace grappler_go
