// Which ops to run again for the backward pass so that the peak of memory stays
// under a limit, at the least extra time.
//
// The problem is NP-hard (Jain et al., "Checkmate", arXiv:1910.02653, who solve
// it as an integer program); this is a search that simulates what it tries:
//
// 1. From nothing, one batch of moves after the other. A move runs one op again
//    whose output waits for the backward pass, or has an op of the backward
//    pass wait that could run, and so does, long before it is needed; and with
//    it what would otherwise have to be kept for that. Moves are ranked by what
//    they take off the excess (the bytes above the limit, summed over the runs
//    of the step) for a microsecond, from the lifetimes of the last simulation.
//    A batch that does not lower the excess is cut, and at last its first move
//    left out.
// 2. The same from forward passes cut into segments of equal bytes, of which
//    only what crosses from one to the next is kept (Chen et al., "Training
//    Deep Nets with Sublinear Memory Cost", arXiv:1604.06174).
// 3. What meets the limit is thinned out: the dearest clones first, each is
// left
//    out if the limit still holds without it.
// 4. With simulations left, ops are taken in and out by ones and twos.
#ifndef GRAPPLER_GO_PLAN_RECOMPUTE_SEARCH_H_
#define GRAPPLER_GO_PLAN_RECOMPUTE_SEARCH_H_

#include <cstdint>
#include <utility>
#include <vector>

#include "cc/base/scratch.h"
#include "cc/graph/op_graph.h"

namespace grappler_go {

struct RecomputeProblem {
  const OpGraph& graph;
  const Scratch<float>& micros;  // [num_ops] of running it again
  // [num_ops] or empty. Ops above 0 are what a policy asks for: their moves
  // come first, in this order.
  const std::vector<float>& asked;
  int64_t limit = 0;  // bytes, without what is there throughout
  // Ends with the first choice that meets the limit: can it be met at all?
  bool first_will_do = false;
};

struct Recomputation {
  std::vector<uint8_t> recompute;  // [num_ops], as Plan::recompute
  // As Plan::order: ops of the backward pass that wait until they are needed.
  std::vector<std::pair<int32_t, int32_t>> order;
  int64_t peak_bytes = 0;  // as SimulateLiveness finds it
  double micros = 0;       // of the clones
};

// The cheapest that was found to meet the limit; where none does, the one with
// the lowest peak, whether or not the first would have done. Nothing where the
// limit is met without. Deterministic.
Recomputation SearchRecomputation(const RecomputeProblem& problem);

}  // namespace grappler_go

#endif  // GRAPPLER_GO_PLAN_RECOMPUTE_SEARCH_H_
