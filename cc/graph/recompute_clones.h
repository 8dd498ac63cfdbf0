// Which forward ops are cloned for the backward pass, who reads the clones and
// what holds them back: what the rewrite writes and the simulator runs.
//
// Acyclic by construction: there is a total order of the old ops and the clones
// that every edge follows. An old op stands at its number, which is topological
// already, except those of the backward pass that could run long before it does
// (2x, for the gradient of x*x): they stand just before their first user,
// because that is when their value is needed. Such an op depends on less of the
// forward pass than its first user does, which waits for a gradient. A clone
// stands just before its first user. The trigger that holds a clone back is
// then always chosen from what stands before the clone.
#ifndef GRAPPLER_GO_GRAPH_RECOMPUTE_CLONES_H_
#define GRAPPLER_GO_GRAPH_RECOMPUTE_CLONES_H_

#include <cstdint>
#include <utility>
#include <vector>

#include "cc/graph/op_graph.h"

namespace grappler_go {

class RecomputeClones {
 public:
  // `recompute`: by op, not 0: to be cloned. `group`: by op, -1 for none;
  // empty: no groups. Both must outlive this.
  RecomputeClones(const OpGraph& graph, const std::vector<uint8_t>& recompute,
                  const std::vector<int32_t>& group);

  // False also for an op to be cloned whose clone nobody would read.
  bool cloned(int32_t op) const { return first_use_[op] >= 0; }
  // The first op that needs the clone; -1: nobody does. It is of the graph, not
  // itself a clone.
  int32_t first_use(int32_t op) const { return first_use_[op]; }
  // Where the op stands in the order above: itself, or the op just before which
  // it runs if it waits for clones.
  int32_t place(int32_t op) const { return place_[op]; }
  // Of an op of the backward pass that could run long before it is needed: what
  // it could wait for until it is needed, so that its output does not exist all
  // the while. It closes no cycle, clones or not. -1: it waits already, or may
  // not.
  int32_t CouldWaitFor(int32_t op) const;
  // The op of the backward pass that the clone waits for by a control edge; -1
  // when a clone that it reads waits long enough already.
  int32_t held_by(int32_t op) const { return held_by_[op]; }
  // Does this edge of an op to be cloned lead to a user that reads the clone?
  // One that has nothing to wait for does not: the clone would run at once and
  // save nothing. Users that are cloned themselves read the original; their
  // clones read clones.
  bool UserReadsClone(int32_t op, const OutputEdge& out) const;

 private:
  using Key = std::pair<int32_t, int32_t>;  // place, then number

  Key key(int32_t op) const { return {place_[op], op}; }
  int32_t group(int32_t op) const { return group_.empty() ? -1 : group_[op]; }
  bool MayTrigger(const InputEdge& in) const;
  void PlaceOps();
  void CollectGroupInputs();
  int32_t Trigger(int32_t op, int32_t place) const;
  void Decide(int32_t op);
  void HoldBack(int32_t op);

  const OpGraph& graph_;
  const std::vector<uint8_t>& recompute_;
  const std::vector<int32_t>& group_;
  std::vector<int32_t> place_;      // [num_ops]
  std::vector<int32_t> first_use_;  // the first old op that needs the clone; -1
  std::vector<int32_t> trigger_;    // of the clone
  std::vector<int32_t> held_by_;
  std::vector<std::vector<int32_t>> group_inputs_;  // sorted, by group
};

}  // namespace grappler_go

#endif  // GRAPPLER_GO_GRAPH_RECOMPUTE_CLONES_H_
