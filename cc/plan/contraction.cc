#include "cc/plan/contraction.h"

#include <algorithm>

#include "cc/graph/frames.h"

namespace grappler_go {
namespace {

// Edges that one merge may look at, and all merges together for each edge of
// the graph. Ample for groups that are neighbours; what is further apart was
// not worth joining.
constexpr int64_t kEdgesPerMerge = 1024;
constexpr int64_t kEdgesPerEdge = 8;
constexpr int64_t kEdgesAtLeast = 65536;  // small graphs are not worth sparing

struct Nodes {
  Scratch<int32_t> of_op;
  int32_t count = 0;
  std::vector<std::pair<int32_t, int32_t>> loop_entries;
};

// Groups come first and keep their numbers.
Nodes NumberNodes(const OpGraph& graph, const std::vector<int32_t>& group,
                  int32_t num_groups) {
  Nodes nodes;
  nodes.count = num_groups;
  nodes.of_op.resize(graph.num_ops());
  for (int32_t i = 0; i < graph.num_ops(); ++i) {
    const int32_t g = group.empty() ? -1 : group[i];
    nodes.of_op[i] = g >= 0 ? g : nodes.count++;
  }
  nodes.loop_entries = LoopEntries(graph);
  return nodes;
}

int32_t CountGroups(const std::vector<int32_t>& group) {
  int32_t count = 0;
  for (int32_t g : group) count = std::max(count, g + 1);
  return count;
}

template <typename Visit>
void ForEachEdge(const OpGraph& graph, const Nodes& nodes, Visit&& visit) {
  for (int32_t i = 0; i < graph.num_ops(); ++i) {
    for (const InputEdge& e : graph.inputs(i)) {
      const int32_t src = nodes.of_op[e.src], dst = nodes.of_op[i];
      if (!e.back_edge && src != dst) visit(src, dst);
    }
  }
  for (const auto& [enter, condition] : nodes.loop_entries) {
    const int32_t src = nodes.of_op[enter], dst = nodes.of_op[condition];
    if (src != dst) visit(src, dst);
  }
}

struct EdgeRows {
  Scratch<int32_t> ptr, dst;
};

// Rows of a list of edges that `for_each` visits twice in the same order.
template <typename ForEach>
EdgeRows RowsOf(int32_t num_nodes, ForEach&& for_each) {
  EdgeRows rows;
  rows.ptr.assign(num_nodes + 1, 0);
  for_each([&](int32_t src, int32_t) { ++rows.ptr[src + 1]; });
  for (int32_t v = 0; v < num_nodes; ++v) rows.ptr[v + 1] += rows.ptr[v];
  rows.dst.resize(rows.ptr[num_nodes]);
  Scratch<int32_t> next(rows.ptr.begin(), rows.ptr.end() - 1);
  for_each([&](int32_t src, int32_t dst) { rows.dst[next[src]++] = dst; });
  return rows;
}

// Each edge once: groups of many ops share many.
EdgeRows Distinct(const EdgeRows& rows) {
  const auto num_nodes = static_cast<int32_t>(rows.ptr.size()) - 1;
  EdgeRows distinct;
  distinct.ptr.reserve(rows.ptr.size());
  distinct.ptr.push_back(0);
  distinct.dst.reserve(rows.dst.size());
  Scratch<int32_t> last(num_nodes, -1);
  for (int32_t v = 0; v < num_nodes; ++v) {
    for (int32_t k = rows.ptr[v]; k < rows.ptr[v + 1]; ++k) {
      if (last[rows.dst[k]] == v) continue;
      last[rows.dst[k]] = v;
      distinct.dst.push_back(rows.dst[k]);
    }
    distinct.ptr.push_back(static_cast<int32_t>(distinct.dst.size()));
  }
  return distinct;
}

// Nodes in a topological order; shorter than the graph when there is a cycle.
Scratch<int32_t> TopologicalOrder(const EdgeRows& out) {
  const auto num_nodes = static_cast<int32_t>(out.ptr.size()) - 1;
  Scratch<int32_t> waiting(num_nodes, 0);
  for (int32_t dst : out.dst) ++waiting[dst];
  Scratch<int32_t> order;
  order.reserve(num_nodes);
  for (int32_t v = 0; v < num_nodes; ++v) {
    if (waiting[v] == 0) order.push_back(v);
  }
  for (size_t at = 0; at < order.size(); ++at) {
    const int32_t v = order[at];
    for (int32_t k = out.ptr[v]; k < out.ptr[v + 1]; ++k) {
      if (--waiting[out.dst[k]] == 0) order.push_back(out.dst[k]);
    }
  }
  return order;
}

}  // namespace

int32_t FindCycle(const OpGraph& graph, const std::vector<int32_t>& group,
                  const std::vector<std::pair<int32_t, int32_t>>& order) {
  const Nodes nodes = NumberNodes(graph, group, CountGroups(group));
  // An order edge within a group becomes an edge from a node to itself, which
  // counts as little as the group's own edges; one from an op to itself counts.
  auto for_each = [&](auto&& visit) {
    ForEachEdge(graph, nodes, visit);
    for (const auto& [before, after] : order) {
      const int32_t src = nodes.of_op[before], dst = nodes.of_op[after];
      if (src != dst || before == after) visit(src, dst);
    }
  };
  const EdgeRows out = RowsOf(nodes.count, for_each);
  const Scratch<int32_t> sorted = TopologicalOrder(out);
  if (static_cast<int32_t>(sorted.size()) == nodes.count) return -1;

  // What is left over is on a cycle or behind one: walking against the edges
  // within it ends on a cycle.
  std::vector<bool> done(nodes.count, false);
  for (int32_t v : sorted) done[v] = true;
  Scratch<int32_t> pred(nodes.count, -1);
  for_each([&](int32_t src, int32_t dst) {
    if (!done[src]) pred[dst] = src;
  });
  int32_t v = 0;
  while (done[v]) ++v;
  for (int32_t step = 0; step < nodes.count; ++step) v = pred[v];
  for (int32_t i = 0; i < graph.num_ops(); ++i) {
    if (nodes.of_op[i] == v) return i;
  }
  return 0;  // a group without ops has no edges: not reached
}

GroupMerger::GroupMerger(const OpGraph& graph,
                         const std::vector<int32_t>& group,
                         int32_t num_groups) {
  const Nodes nodes = NumberNodes(graph, group, num_groups);
  EdgeRows out = Distinct(RowsOf(
      nodes.count, [&](auto&& visit) { ForEachEdge(graph, nodes, visit); }));
  EdgeRows in = RowsOf(nodes.count, [&](auto&& visit) {
    for (int32_t v = 0; v < nodes.count; ++v) {
      for (int32_t k = out.ptr[v]; k < out.ptr[v + 1]; ++k) {
        visit(out.dst[k], v);
      }
    }
  });
  const Scratch<int32_t> sorted = TopologicalOrder(out);
  rank_.assign(nodes.count, 0);
  for (size_t at = 0; at < sorted.size(); ++at) {
    rank_[sorted[at]] = static_cast<int32_t>(at);
  }
  budget_ =
      kEdgesAtLeast + kEdgesPerEdge * static_cast<int64_t>(out.dst.size());
  out_ = {std::move(out.ptr), std::move(out.dst)};
  in_ = {std::move(in.ptr), std::move(in.dst)};
  parent_.resize(nodes.count);
  tail_.resize(nodes.count);
  for (int32_t v = 0; v < nodes.count; ++v) parent_[v] = tail_[v] = v;
  next_.assign(nodes.count, -1);
  seen_.assign(nodes.count, 0);
}

int32_t GroupMerger::Find(int32_t v) {
  while (parent_[v] != v) v = parent_[v] = parent_[parent_[v]];
  return v;
}

bool GroupMerger::Search(const Rows& rows, int32_t start, int32_t other,
                         std::vector<int32_t>* found) {
  const int32_t low = std::min(rank_[start], rank_[other]);
  const int32_t high = std::max(rank_[start], rank_[other]);
  int64_t left = std::min(kEdgesPerMerge, budget_);
  const int64_t had = left;
  ++stamp_;
  seen_[start] = stamp_;
  found->clear();
  bool complete = true;
  auto visit_edges_of = [&](int32_t node) {
    for (int32_t part = node; part >= 0; part = next_[part]) {
      for (int32_t k = rows.ptr[part]; k < rows.ptr[part + 1]; ++k) {
        if (--left < 0) return false;
        const int32_t v = Find(rows.dst[k]);
        if (v == other) {
          if (node != start) return false;
          continue;
        }
        if (seen_[v] == stamp_ || rank_[v] < low || rank_[v] > high) continue;
        seen_[v] = stamp_;
        found->push_back(v);
      }
    }
    return true;
  };
  complete = visit_edges_of(start);
  for (size_t at = 0; complete && at < found->size(); ++at) {
    complete = visit_edges_of((*found)[at]);
  }
  budget_ -= had - std::max<int64_t>(left, 0);
  return complete;
}

int32_t GroupMerger::Join(int32_t a, int32_t b) {
  if (a > b) std::swap(a, b);
  parent_[b] = a;
  next_[tail_[a]] = b;
  tail_[a] = tail_[b];
  return a;
}

bool GroupMerger::TryMerge(int32_t from, int32_t to) {
  const int32_t a = Find(from), b = Find(to);
  if (a == b) return true;
  if (budget_ <= 0) return false;
  std::vector<int32_t> after, before;
  const bool after_complete = Search(out_, a, b, &after);
  if (after_complete && after.empty()) {
    // All that follows a follows b as well.
    const int32_t rank = rank_[b];
    rank_[Join(a, b)] = rank;
    return true;
  }
  const bool before_complete = Search(in_, b, a, &before);
  if (before_complete && before.empty()) {
    const int32_t rank = rank_[a];
    rank_[Join(a, b)] = rank;
    return true;
  }
  if (!after_complete || !before_complete) return false;

  // No node is in both, or there would be a path from a to b through it. The
  // ranks of all of them are dealt out anew: what leads to b, the merged node,
  // what follows a. None of the first moves back and none of the last forward,
  // so that edges to and from other nodes stay in order.
  std::vector<int32_t> ranks = {rank_[a], rank_[b]};
  for (int32_t v : before) ranks.push_back(rank_[v]);
  for (int32_t v : after) ranks.push_back(rank_[v]);
  std::sort(ranks.begin(), ranks.end());
  auto by_rank = [&](int32_t v, int32_t w) { return rank_[v] < rank_[w]; };
  std::sort(before.begin(), before.end(), by_rank);
  std::sort(after.begin(), after.end(), by_rank);
  size_t low = 0, high = ranks.size() - after.size();
  for (int32_t v : before) rank_[v] = ranks[low++];
  for (int32_t v : after) rank_[v] = ranks[high++];
  rank_[Join(a, b)] = ranks[low];
  return true;
}

}  // namespace grappler_go
