#include "cc/sim/step_time.h"

#include <algorithm>

namespace grappler_go {
namespace {

// The graph with each group contracted to one node.
struct Contracted {
  std::vector<int32_t> node;   // op -> node
  std::vector<double> micros;  // by node
  std::vector<bool> is_group;  // by node
};

Contracted Contract(const OpGraph& graph, const StepTimeInput& input) {
  const int32_t n = graph.num_ops();
  const int32_t groups = static_cast<int32_t>(input.group_overhead.size());
  Contracted c;
  c.node.resize(n);
  for (int32_t g = 0; g < groups; ++g) {
    c.micros.push_back(input.group_overhead[g]);
    c.is_group.push_back(true);
  }
  for (int32_t i = 0; i < n; ++i) {
    const int32_t g = input.group.empty() ? -1 : input.group[i];
    if (g >= 0 && g < groups) {
      c.node[i] = g;
      c.micros[g] += input.micros[i];
    } else {
      c.node[i] = static_cast<int32_t>(c.micros.size());
      c.micros.push_back(input.micros[i]);
      c.is_group.push_back(false);
    }
  }
  return c;
}

// Longest path through the contracted graph, by Kahn's algorithm: op order is
// topological for ops but not for groups.
double LongestPath(const OpGraph& graph, const Contracted& c) {
  const size_t nodes = c.micros.size();
  std::vector<int32_t> waiting(nodes, 0);
  auto for_each_edge = [&](auto&& visit) {
    for (int32_t i = 0; i < graph.num_ops(); ++i) {
      for (const InputEdge& e : graph.inputs(i)) {
        if (!e.back_edge && c.node[e.src] != c.node[i]) {
          visit(c.node[e.src], c.node[i]);
        }
      }
    }
  };
  // Compressed rows; `first` holds where each row ends until that is filled.
  std::vector<int32_t> first(nodes + 1, 0);
  for_each_edge([&](int32_t src, int32_t dst) {
    ++first[src];
    ++waiting[dst];
  });
  for (size_t v = 0; v < nodes; ++v) first[v + 1] += first[v];
  std::vector<int32_t> target(first[nodes]);
  for_each_edge([&](int32_t src, int32_t dst) { target[--first[src]] = dst; });

  std::vector<double> start(nodes, 0.0);
  std::vector<int32_t> ready;
  for (size_t v = 0; v < nodes; ++v) {
    if (waiting[v] == 0) ready.push_back(static_cast<int32_t>(v));
  }
  double longest = 0;
  while (!ready.empty()) {
    const int32_t v = ready.back();
    ready.pop_back();
    const double end = start[v] + c.micros[v];
    longest = std::max(longest, end);
    for (int32_t k = first[v]; k < first[v + 1]; ++k) {
      start[target[k]] = std::max(start[target[k]], end);
      if (--waiting[target[k]] == 0) ready.push_back(target[k]);
    }
  }
  return longest;
}

// Without groups: the order of ops is topological.
double LongestPathOfOps(const OpGraph& graph,
                        const std::vector<float>& micros) {
  std::vector<double> end(graph.num_ops(), 0.0);
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
  const bool small = !is_group && micros < kParallelOpMicros;
  return small ? micros / std::max(1, cores) : micros;
}

}  // namespace

double StepMicros(const OpGraph& graph, const StepTimeInput& input) {
  if (input.group_overhead.empty()) {
    double work = 0;
    for (float micros : input.micros)
      work += WorkOf(micros, false, input.cores);
    return std::max(work, LongestPathOfOps(graph, input.micros));
  }
  const Contracted c = Contract(graph, input);
  double work = 0;
  for (size_t v = 0; v < c.micros.size(); ++v) {
    work += WorkOf(c.micros[v], c.is_group[v], input.cores);
  }
  return std::max(work, LongestPath(graph, c));
}

}  // namespace grappler_go
