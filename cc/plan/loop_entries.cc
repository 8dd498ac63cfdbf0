#include "cc/plan/loop_entries.h"

#include <numeric>

#include "cc/base/scratch.h"

namespace grappler_go {
namespace {

int32_t Root(Scratch<int32_t>* parent, int32_t i) {
  Scratch<int32_t>& p = *parent;
  while (p[i] != i) i = p[i] = p[p[i]];
  return i;
}

}  // namespace

std::vector<std::pair<int32_t, int32_t>> LoopEntries(const OpGraph& graph) {
  const int32_t n = graph.num_ops();
  std::vector<int32_t> enters, conditions;
  for (int32_t i = 0; i < n; ++i) {
    if (graph.op(i) == "Enter" || graph.op(i) == "RefEnter") {
      enters.push_back(i);
    } else if (graph.op(i) == "LoopCond") {
      conditions.push_back(i);
    }
  }
  std::vector<std::pair<int32_t, int32_t>> edges;
  if (enters.empty() || conditions.empty()) return edges;

  // A frame is what hangs together within Enter and Exit: an Enter's input and
  // what reads an Exit are in the frame around it.
  Scratch<int32_t> parent(n, 0);
  std::iota(parent.begin(), parent.end(), 0);
  for (int32_t i = 0; i < n; ++i) {
    if (!graph.has(i, kInLoop) || graph.op(i) == "Enter" ||
        graph.op(i) == "RefEnter") {
      continue;
    }
    for (const InputEdge& e : graph.inputs(i)) {
      if (!graph.has(e.src, kInLoop) || graph.op(e.src) == "Exit" ||
          graph.op(e.src) == "RefExit") {
        continue;
      }
      parent[Root(&parent, i)] = Root(&parent, e.src);
    }
  }
  Scratch<int32_t> condition(n, -1);
  for (int32_t i : conditions) condition[Root(&parent, i)] = i;
  for (int32_t i : enters) {
    const int32_t waits = condition[Root(&parent, i)];
    if (waits >= 0) edges.emplace_back(i, waits);
  }
  return edges;
}

}  // namespace grappler_go
