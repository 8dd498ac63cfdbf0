// The steps of SearchRecomputation: what running one more op again would take
// off the excess, and what it would cost.
#ifndef GRAPPLER_GO_PLAN_RECOMPUTE_MOVES_H_
#define GRAPPLER_GO_PLAN_RECOMPUTE_MOVES_H_

#include <cstdint>
#include <vector>

#include "cc/graph/op_graph.h"
#include "cc/graph/recompute_clones.h"
#include "cc/plan/recompute_search.h"
#include "cc/sim/liveness.h"

namespace grappler_go {

struct RecomputeMove {
  // Whose output is dropped and made again, or made later; or kept for what is.
  int32_t op = -1;
  bool keeps_op = false;     // the last of these
  std::vector<int32_t> ops;  // it, its views, what it needs
  double gain = 0;           // expected off the excess, bytes times runs
  double micros = 0;
};

class RecomputeMoves {
 public:
  explicit RecomputeMoves(const RecomputeProblem& problem);

  // Two for each op.
  int32_t num_ids() const { return 2 * problem_.graph.num_ops(); }
  int32_t Id(const RecomputeMove& move) const {
    return 2 * move.op + (move.keeps_op ? 1 : 0);
  }

  bool may_run_again(int32_t op) const { return eligible_[op] != 0; }
  // What an op of the backward pass can be made to wait for; -1: nothing.
  int32_t could_wait_for(int32_t op) const { return waits_for_[op]; }

  // All with a gain, the best for its time first; with `asked_first` those that
  // a policy asks for before others. `left_out`: by Id of moves that are not
  // wanted. `chosen`: by op, 1: runs again, or waits. It and `lifetimes` belong
  // together.
  std::vector<RecomputeMove> Ranked(const std::vector<uint8_t>& chosen,
                                    const Lifetimes& lifetimes, int64_t limit,
                                    const std::vector<uint8_t>& left_out,
                                    bool asked_first = true) const;

 private:
  class Pricing;

  const RecomputeProblem& problem_;
  const std::vector<uint8_t> nothing_;
  const std::vector<int32_t> no_groups_;
  // Without any clone: who could read one, and where ops stand.
  const RecomputeClones clones_;
  std::vector<uint8_t> eligible_;   // by op
  std::vector<int32_t> waits_for_;  // by op
  std::vector<int64_t> bytes_;      // by op, AllocatedBytes
  std::vector<uint8_t> is_view_;    // by op
  std::vector<uint8_t> is_cheap_;   // by op: neither product nor convolution
};

}  // namespace grappler_go

#endif  // GRAPPLER_GO_PLAN_RECOMPUTE_MOVES_H_
