#include "cc/plan/recompute_search.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "cc/graph/recompute_clones.h"
#include "cc/plan/eligibility.h"
#include "cc/plan/recompute_moves.h"
#include "cc/sim/liveness.h"
#include "cc/sim/op_memory.h"

namespace grappler_go {
namespace {

// Runs of ops that all simulations of a search may have together, where pricing
// all moves counts as one; about half a second.
constexpr int64_t kMaxSimulatedOps = 1'500'000;
constexpr int64_t kMinSimulations = 60, kMaxSimulations = 800;
// The share of the excess that a batch of moves should take off.
constexpr double kBatchShare = 0.2;
// Shares (one of so many) that StepDown takes off the peak at a time.
constexpr int64_t kFirstStep = 16, kLastStep = 64;
// Segments that the forward pass is cut into.
constexpr int32_t kSegments[] = {2, 3, 4, 6, 8, 12, 16, 24, 32};

class Search {
 public:
  explicit Search(const RecomputeProblem& problem)
      : problem_(problem),
        graph_(problem.graph),
        limit_(problem.limit),
        moves_(problem),
        simulations_left_(std::clamp(
            kMaxSimulatedOps / std::max<int64_t>(problem.graph.num_ops(), 1),
            kMinSimulations, kMaxSimulations)) {}

  Recomputation Run() {
    const std::vector<uint8_t> nothing(graph_.num_ops(), 0);
    const Trial as_it_is = best_ = Try(nothing);
    if (Meets(best_)) return std::move(best_.choice);
    // Each gets a share of what is left, as none knows when to end.
    WithShareOf(4, [&] { Descend(best_); });
    if (!problem_.asked.empty()) {
      asked_first_ = false;
      WithShareOf(4, [&] { Descend(as_it_is); });
    }
    if (!Meets(best_)) WithShareOf(2, [&] { StepDown(as_it_is); });
    for (const int32_t segments : kSegments) {
      if (Spent()) break;
      WithShareOf(4, [&] { Descend(Try(Segmented(segments))); });
    }
    if (!Meets(best_)) StepDown(best_);
    Exchange();
    return std::move(best_.choice);
  }

 private:
  struct Trial {
    std::vector<uint8_t> chosen;  // by op: to run again, or to wait
    Recomputation choice;
    Lifetimes lifetimes;
    double excess = 0;
  };

  // Have all simulations been made that may be?
  bool Spent() const { return simulations_left_ <= kept_; }

  template <typename Function>
  void WithShareOf(int64_t parts, const Function& function) {
    kept_ = simulations_left_ - simulations_left_ / parts;
    function();
    kept_ = 0;
  }

  bool Meets(const Trial& trial) const {
    return trial.choice.peak_bytes <= problem_.limit;
  }

  bool IsBetter(const Recomputation& a, const Recomputation& b) const {
    const bool a_meets = a.peak_bytes <= problem_.limit;
    const bool b_meets = b.peak_bytes <= problem_.limit;
    if (a_meets != b_meets) return a_meets;
    return a_meets ? a.micros < b.micros : a.peak_bytes < b.peak_bytes;
  }

  // Bytes above what is aimed at, summed over the runs.
  double Excess(const Lifetimes& lifetimes) const {
    double excess = 0;
    for (const int64_t bytes : lifetimes.alive) {
      excess += static_cast<double>(std::max<int64_t>(bytes - limit_, 0));
    }
    return excess;
  }

  // Clones that nobody would read are taken out of what is chosen.
  Trial Try(std::vector<uint8_t> chosen) {
    --simulations_left_;
    Trial trial;
    Recomputation& choice = trial.choice;
    choice.recompute = chosen;
    for (int32_t i = 0; i < graph_.num_ops(); ++i) {
      if (!chosen[i] || moves_.may_run_again(i)) continue;
      choice.recompute[i] = 0;
      choice.order.emplace_back(moves_.could_wait_for(i), i);
    }
    choice.peak_bytes =
        SimulateLiveness(graph_, ExecutionOrder(graph_, choice.order),
                         choice.recompute, &trial.lifetimes)
            .peak_bytes;
    for (int32_t i = 0; i < graph_.num_ops(); ++i) {
      if (!choice.recompute[i]) continue;
      choice.recompute[i] = trial.lifetimes.runs_again[i] >= 0;
      chosen[i] = choice.recompute[i];
      if (chosen[i]) choice.micros += problem_.micros[i];
    }
    trial.chosen = std::move(chosen);
    trial.excess = Excess(trial.lifetimes);
    if (!best_.choice.recompute.empty() &&
        IsBetter(trial.choice, best_.choice)) {
      best_ = trial;
      if (problem_.first_will_do && Meets(best_)) simulations_left_ = 0;
    }
    return trial;
  }

  // Aims at a little less, again and again. A limit far below is exceeded all
  // through the step, where what helps at its peak is not told from the rest.
  void StepDown(Trial now) {
    for (int64_t share = kFirstStep; share <= kLastStep;) {
      if (Spent() || Meets(now)) break;
      const int64_t before = now.choice.peak_bytes;
      limit_ = std::max(problem_.limit, before - before / share);
      Trial next = Descend(now);
      limit_ = problem_.limit;
      if (next.choice.peak_bytes < before) {
        now = std::move(next);
      } else {
        share *= 2;
      }
    }
    limit_ = problem_.limit;
  }

  // Moves until the limit holds or nothing helps; then thins out. Returns the
  // lowest that it came to.
  Trial Descend(Trial now) {
    now.excess = Excess(now.lifetimes);
    std::vector<uint8_t> left_out(moves_.num_ids(), 0);
    while (now.excess > 0 && !Spent()) {
      --simulations_left_;
      const std::vector<RecomputeMove> moves = moves_.Ranked(
          now.chosen, now.lifetimes, limit_, left_out, asked_first_);
      size_t count = 0;
      for (double taken = 0;
           count < moves.size() && taken < kBatchShare * now.excess; ++count) {
        taken += moves[count].gain;
      }
      if (count == 0) return now;
      for (; count > 0; count /= 4) {
        std::vector<uint8_t> set = now.chosen;
        for (size_t k = 0; k < count; ++k) {
          for (const int32_t op : moves[k].ops) set[op] = 1;
        }
        Trial next = Try(std::move(set));
        if (next.excess < now.excess) {
          now = std::move(next);
          break;
        }
        if (count == 1) left_out[moves_.Id(moves[0])] = 1;
        if (Spent()) return now;
      }
    }
    if (Meets(now)) ThinOut(now);
    return now;
  }

  void ThinOut(Trial now) {
    std::vector<int32_t> dearest;
    for (int32_t i = 0; i < graph_.num_ops(); ++i) {
      if (now.choice.recompute[i]) dearest.push_back(i);
    }
    std::stable_sort(dearest.begin(), dearest.end(), [&](int32_t a, int32_t b) {
      return problem_.micros[a] > problem_.micros[b];
    });
    // The others together hardly matter.
    constexpr double kTooCheap = 0.002;
    for (const int32_t op : dearest) {
      if (Spent() || problem_.micros[op] < kTooCheap * now.choice.micros) {
        return;
      }
      if (!now.choice.recompute[op]) continue;
      std::vector<uint8_t> set = now.chosen;
      set[op] = 0;
      Trial next = Try(std::move(set));
      if (Meets(next)) now = std::move(next);
    }
  }

  // Ops in or out, one at a time and then two, as long as that helps. Small
  // graphs have simulations left for it, in which batches are coarse.
  void Exchange() {
    std::vector<int32_t> ops;
    for (int32_t i = 0; i < graph_.num_ops(); ++i) {
      const bool may = moves_.may_run_again(i) || moves_.could_wait_for(i) >= 0;
      if (may && AllocatedBytes(graph_, i) > 0) ops.push_back(i);
    }
    Trial now = best_;
    now.excess = Excess(now.lifetimes);
    const auto flip = [&](int32_t a, int32_t b) {
      std::vector<uint8_t> set = now.chosen;
      set[a] ^= 1;
      if (b != a) set[b] ^= 1;
      Trial next = Try(std::move(set));
      if (std::make_pair(next.excess, next.choice.micros) >=
          std::make_pair(now.excess, now.choice.micros)) {
        return false;
      }
      now = std::move(next);
      return true;
    };
    for (size_t k = 0, distance = 0; distance < ops.size();) {
      if (Spent()) return;
      if (k + distance >= ops.size()) {
        ++distance;
        k = 0;
      } else if (flip(ops[k], ops[k + distance])) {
        distance = k = 0;
      } else {
        ++k;
      }
    }
  }

  // The last segment is kept whole, as the backward pass begins with it.
  std::vector<uint8_t> Segmented(int32_t count) const {
    int64_t total = 0;
    for (int32_t i = 0; i < graph_.num_ops(); ++i) {
      if (moves_.may_run_again(i)) total += AllocatedBytes(graph_, i);
    }
    std::vector<int64_t> segment(graph_.num_ops(), -1);
    int64_t bytes = 0;
    for (int32_t i = 0; i < graph_.num_ops(); ++i) {
      if (!moves_.may_run_again(i)) continue;
      segment[i] = std::min<int64_t>(
          count - 1, bytes * count / std::max<int64_t>(total, 1));
      bytes += AllocatedBytes(graph_, i);
    }
    std::vector<uint8_t> set(graph_.num_ops(), 0);
    for (int32_t i = 0; i < graph_.num_ops(); ++i) {
      bool kept = segment[i] < 0 || segment[i] == count - 1;
      for (const OutputEdge& e : graph_.outputs(i)) {
        kept = kept || (e.port != kControlPort && segment[e.dst] > segment[i]);
      }
      set[i] = !kept;
    }
    return set;
  }

  const RecomputeProblem& problem_;
  const OpGraph& graph_;
  int64_t limit_;  // what Descend aims at
  bool asked_first_ = true;
  const RecomputeMoves moves_;
  int64_t simulations_left_;
  int64_t kept_ = 0;  // of them, for later
  Trial best_;
};

}  // namespace

Recomputation SearchRecomputation(const RecomputeProblem& problem) {
  return Search(problem).Run();
}

}  // namespace grappler_go
