// The graph with each fusion group contracted to one node: is it still acyclic,
// and which groups may be merged so that it stays so.
#ifndef GRAPPLER_GO_PLAN_CONTRACTION_H_
#define GRAPPLER_GO_PLAN_CONTRACTION_H_

#include <cstdint>
#include <utility>
#include <vector>

#include "cc/base/scratch.h"
#include "cc/graph/op_graph.h"

namespace grappler_go {

// -1: acyclic with `order` as further edges. Otherwise an op on a cycle.
// `group` is by op, -1 for none; empty: no groups. Loop back-edges do not
// count; a loop waits for all that enters it (LoopEntries()). Numbers must be
// in range.
int32_t FindCycle(const OpGraph& graph, const std::vector<int32_t>& group,
                  const std::vector<std::pair<int32_t, int32_t>>& order);

// Merges groups one pair at a time, keeping a topological order of the
// contracted graph up to date (Pearce and Kelly, "A dynamic topological sort
// algorithm for directed acyclic graphs", 2006). Each attempt looks at a
// bounded part of the graph, and all attempts together at a number of edges
// linear in the graph's; past either bound it says no.
class GroupMerger {
 public:
  // The contracted graph must be acyclic. `group`: by op, -1 or below
  // num_groups.
  GroupMerger(const OpGraph& graph, const std::vector<int32_t>& group,
              int32_t num_groups);

  // The group that a group has become a part of.
  int32_t Find(int32_t group);
  // `from` and `to` are joined by an edge from -> to. False: merging them would
  // close a cycle, or that would be too long to find out.
  bool TryMerge(int32_t from, int32_t to);

 private:
  struct Rows {  // compressed rows: edges of each node
    Scratch<int32_t> ptr, dst;
  };
  // Nodes reached from `start` over `rows`, without `other` and without itself,
  // whose rank lies strictly between the two's. False: past a bound, or a path
  // of more than one edge leads to `other`.
  bool Search(const Rows& rows, int32_t start, int32_t other,
              std::vector<int32_t>* found);
  int32_t Join(int32_t a, int32_t b);

  Rows out_, in_;
  Scratch<int32_t> parent_;
  Scratch<int32_t> next_, tail_;  // the original nodes of a merged one
  Scratch<int32_t> rank_;
  Scratch<int32_t> seen_;  // stamp of the search that saw it last
  int32_t stamp_ = 0;
  int64_t budget_;
};

}  // namespace grappler_go

#endif  // GRAPPLER_GO_PLAN_CONTRACTION_H_
