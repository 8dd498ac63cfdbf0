#include "cc/plan/recompute_moves.h"

#include <algorithm>
#include <functional>

#include "cc/plan/eligibility.h"
#include "cc/sim/op_memory.h"

namespace grappler_go {
namespace {

// Smaller tensors are not worth a second run of their op.
constexpr int64_t kMinBytes = 4096;
// A move that needs more ops than this is none.
constexpr size_t kMaxOps = 512;
// So many ops are looked at that are computed from one tensor.
constexpr size_t kMaxMembers = 48;
// What starting an op again takes on top of its estimate, so that the cheapest
// are not taken for free.
constexpr double kMicrosPerOp = 1.0;

}  // namespace

// Moves from one choice.
class RecomputeMoves::Pricing {
 public:
  Pricing(const RecomputeMoves& moves, const std::vector<uint8_t>& chosen,
          const Lifetimes& lifetimes, int64_t limit)
      : moves_(moves),
        graph_(moves.problem_.graph),
        chosen_(chosen),
        lifetimes_(lifetimes),
        needed_at_(graph_.num_ops(), -1),
        is_member_(graph_.num_ops(), 0) {
    over_.reserve(lifetimes.alive.size() + 1);
    over_.push_back(0);
    for (const int64_t bytes : lifetimes.alive) {
      over_.push_back(over_.back() + (bytes > limit));
    }
  }

  // No gain: not a move. `keep`: what the clone reads is kept for it rather
  // than run again, too.
  RecomputeMove Price(int32_t op, bool keep) {
    RecomputeMove move;
    move.op = op;
    move.ops.push_back(op);
    Uses(op, &move);
    if (first_use_ < 0) return move;
    move.gain += OwnGain(op);
    if (move.gain <= 0) return move;
    const size_t views_end = move.ops.size();
    for (const int32_t i : move.ops) needed_at_[i] = first_use_;
    AddInputs(op, keep, &move);
    for (size_t k = views_end; k < move.ops.size() && move.gain > 0; ++k) {
      AddInputs(move.ops[k], keep, &move);
      if (move.ops.size() > kMaxOps) move.gain = 0;
    }
    for (const int32_t i : move.ops) {
      needed_at_[i] = -1;
      move.micros += Micros(i);
    }
    return move;
  }

  // All that is cheap to make again, or could wait, of what is computed from
  // one tensor, which is kept for that. No gain: not a move.
  RecomputeMove PriceAllFrom(int32_t anchor) {
    RecomputeMove move;
    move.op = anchor;
    move.keeps_op = true;
    CollectMembers(anchor);
    int32_t kept_for = -1;
    // Who has a gain needs the members that it is computed from.
    for (size_t k = members_.size(); k-- > 0;) {
      const int32_t op = members_[k];
      Uses(op, &move);
      const double own = first_use_ < 0 ? 0.0 : OwnGain(op);
      move.gain += own;
      if (own <= 0 && needed_at_[op] < 0) continue;
      const int32_t now = first_use_ < 0 ? needed_at_[op]
                                         : std::max(needed_at_[op], first_use_);
      move.ops.push_back(op);
      for (const InputEdge& e : graph_.inputs(op)) {
        if (e.port == kControlPort) break;
        const int32_t owner = RootOp(e.src);
        if (is_member_[e.src]) {
          needed_at_[e.src] = std::max(needed_at_[e.src], now);
        } else if (owner == anchor) {
          kept_for = std::max(kept_for, now);
        } else if (!IsAlwaysThere(graph_, owner) && !RunsAgain(owner)) {
          const int32_t t =
              graph_.first_tensor(owner) + (owner == e.src ? e.port : 0);
          move.gain -= static_cast<double>(moves_.bytes_[owner]) *
                       Over(lifetimes_.last_use[t] + 1, now);
        }
      }
      move.micros += Micros(op);
    }
    for (const int32_t op : members_) {
      is_member_[op] = 0;
      needed_at_[op] = -1;
    }
    for (int32_t port = 0; port < graph_.num_outputs(anchor); ++port) {
      const int32_t t = graph_.first_tensor(anchor) + port;
      move.gain -= static_cast<double>(
                       std::max<int64_t>(graph_.bytes(anchor, port), 0)) *
                   Over(lifetimes_.last_use[t] + 1, kept_for);
    }
    if (move.ops.empty()) move.gain = 0;
    return move;
  }

 private:
  // Ops after the anchor that read it, or others of these, in their order.
  void CollectMembers(int32_t anchor) {
    members_.clear();
    std::vector<int32_t> heap;  // the smallest first
    const auto push_readers = [&](int32_t op) {
      for (const OutputEdge& e : graph_.outputs(op)) {
        if (e.port == kControlPort || is_member_[e.dst] || chosen_[e.dst] ||
            !MayBeChosen(e.dst) || !moves_.is_cheap_[e.dst]) {
          continue;
        }
        is_member_[e.dst] = 1;
        heap.push_back(e.dst);
        std::push_heap(heap.begin(), heap.end(), std::greater<>());
      }
    };
    push_readers(anchor);
    while (!heap.empty()) {
      std::pop_heap(heap.begin(), heap.end(), std::greater<>());
      const int32_t op = heap.back();
      heap.pop_back();
      if (members_.size() >= kMaxMembers) {
        is_member_[op] = 0;
        continue;
      }
      members_.push_back(op);
      push_readers(op);
    }
  }

  // kept_until_ and first_use_ of one op.
  void Uses(int32_t op, RecomputeMove* move) {
    kept_until_ = first_use_ = -1;
    if (moves_.waits_for_[op] >= 0) {
      kept_until_ = lifetimes_.runs[op] - 1;
      first_use_ = lifetimes_.runs[moves_.clones_.place(op)];
    } else {
      CollectUses(op, move);
    }
  }

  double Micros(int32_t op) const {
    return kMicrosPerOp +
           (moves_.eligible_[op] ? moves_.problem_.micros[op] : 0.0);
  }

  // How many of these ticks, both included, are above the limit.
  double Over(int32_t from, int32_t to) const {
    from = std::max(from, 0);
    to = std::min(to, static_cast<int32_t>(over_.size()) - 2);
    return from <= to ? over_[to + 1] - over_[from] : 0;
  }

  // What the op's output takes between its last use that cannot wait and the
  // first that can.
  double OwnGain(int32_t op) const {
    int32_t dies = -1;
    for (int32_t port = 0; port < graph_.num_outputs(op); ++port) {
      dies =
          std::max(dies, lifetimes_.last_use[graph_.first_tensor(op) + port]);
    }
    return Over(kept_until_ + 1, std::min(dies, first_use_ - 1)) *
           static_cast<double>(moves_.bytes_[op]);
  }

  bool MayBeChosen(int32_t op) const {
    return moves_.eligible_[op] || moves_.waits_for_[op] >= 0;
  }
  bool RunsAgain(int32_t op) const { return lifetimes_.runs_again[op] >= 0; }

  void UseClone(int32_t tick) {
    first_use_ = first_use_ < 0 ? tick : std::min(first_use_, tick);
  }

  // Until when the op's output would be kept without its backward readers, and
  // when they, and clones, would read its clone. Views that do are added.
  void CollectUses(int32_t op, RecomputeMove* move) {
    kept_until_ = std::max(kept_until_, lifetimes_.runs[op]);
    for (const OutputEdge& e : graph_.outputs(op)) {
      if (e.port == kControlPort) continue;
      if (RunsAgain(e.dst)) {
        kept_until_ = std::max(kept_until_, lifetimes_.runs[e.dst]);
        UseClone(lifetimes_.runs_again[e.dst]);
      } else if (moves_.is_view_[e.dst] && moves_.eligible_[e.dst]) {
        const int32_t before = first_use_;
        first_use_ = -1;
        CollectUses(e.dst, move);
        if (first_use_ >= 0) move->ops.push_back(e.dst);
        if (before >= 0) UseClone(before);
      } else if (moves_.clones_.UserReadsClone(op, e)) {
        const int32_t needed = lifetimes_.runs[moves_.clones_.place(e.dst)];
        UseClone(needed);
        // It waits for the clone, and is not there before.
        if (!is_member_[e.dst]) {
          move->gain += Over(lifetimes_.runs[e.dst], needed - 1) *
                        static_cast<double>(moves_.bytes_[e.dst]);
        }
      } else {
        KeepFor(e.dst);
      }
    }
  }

  void KeepFor(int32_t reader) {
    const int32_t end = static_cast<int32_t>(lifetimes_.alive.size()) - 1;
    const bool to_the_end = graph_.has(reader, kSink) || IsKept(graph_, reader);
    kept_until_ =
        std::max(kept_until_, to_the_end ? end : lifetimes_.runs[reader]);
    if (!moves_.is_view_[reader]) return;
    for (const OutputEdge& e : graph_.outputs(reader)) {
      if (e.port != kControlPort) KeepFor(e.dst);
    }
  }

  // What a clone of the op reads when it runs, at first_use_: is it there?
  void AddInputs(int32_t op, bool keep, RecomputeMove* move) {
    const int32_t now = first_use_;
    for (const InputEdge& e : graph_.inputs(op)) {
      if (e.port == kControlPort) break;
      if (needed_at_[e.src] >= 0) continue;
      const int32_t owner = RootOp(e.src);
      if (IsAlwaysThere(graph_, owner) || needed_at_[owner] >= 0) continue;
      const auto bytes = static_cast<double>(moves_.bytes_[owner]);
      const int32_t t =
          graph_.first_tensor(owner) + (owner == e.src ? e.port : 0);
      if (RunsAgain(owner)) {
        const int32_t made = lifetimes_.runs_again[owner];
        const int32_t dies = lifetimes_.clone_last_use[t];
        move->gain -= bytes * (Over(now, made - 1) + Over(dies + 1, now));
        continue;
      }
      const double cost = bytes * Over(lifetimes_.last_use[t] + 1, now);
      if (cost == 0) continue;
      if (keep || chosen_[owner] || !MayBeChosen(owner)) {
        move->gain -= cost;
        continue;
      }
      for (int32_t i = e.src;; i = graph_.inputs(i)[0].src) {
        if (needed_at_[i] < 0 && MayBeChosen(i) && !chosen_[i]) {
          needed_at_[i] = now;
          move->ops.push_back(i);
        }
        if (i == owner) break;
      }
    }
  }

  // The op whose memory a view looks at.
  int32_t RootOp(int32_t op) const {
    while (moves_.is_view_[op]) op = graph_.inputs(op)[0].src;
    return op;
  }

  const RecomputeMoves& moves_;
  const OpGraph& graph_;
  const std::vector<uint8_t>& chosen_;
  const Lifetimes& lifetimes_;
  std::vector<double> over_;  // ticks above the limit before each
  // Of the move that is being priced.
  std::vector<int32_t> needed_at_;  // by op: -1, not part of it
  std::vector<uint8_t> is_member_;  // by op
  std::vector<int32_t> members_;
  int32_t kept_until_ = -1, first_use_ = -1;
};

RecomputeMoves::RecomputeMoves(const RecomputeProblem& problem)
    : problem_(problem),
      nothing_(problem.graph.num_ops(), 0),
      clones_(problem.graph, nothing_, no_groups_) {
  const int32_t n = problem.graph.num_ops();
  eligible_.resize(n);
  waits_for_.resize(n);
  bytes_.resize(n);
  is_view_.resize(n);
  is_cheap_.resize(n);
  for (int32_t i = 0; i < n; ++i) {
    eligible_[i] = WhyNotRecomputed(problem.graph, i) == Reason::kNone;
    waits_for_[i] = clones_.CouldWaitFor(i);
    bytes_[i] = AllocatedBytes(problem.graph, i);
    is_view_[i] = IsView(problem.graph, i);
    const OpClass op_class = problem.graph.def(i).op_class;
    is_cheap_[i] = op_class != OpClass::kMatMul && op_class != OpClass::kConv &&
                   op_class != OpClass::kDepthwiseConv;
  }
}

std::vector<RecomputeMove> RecomputeMoves::Ranked(
    const std::vector<uint8_t>& chosen, const Lifetimes& lifetimes,
    int64_t limit, const std::vector<uint8_t>& left_out,
    bool asked_first) const {
  Pricing pricing(*this, chosen, lifetimes, limit);
  std::vector<RecomputeMove> moves;
  for (int32_t i = 0; i < problem_.graph.num_ops(); ++i) {
    const bool may = eligible_[i] || waits_for_[i] >= 0;
    if (bytes_[i] < kMinBytes) continue;
    if (!left_out[2 * i + 1]) {
      RecomputeMove move = pricing.PriceAllFrom(i);
      if (move.gain > 0) moves.push_back(std::move(move));
    }
    if (!may || chosen[i] || left_out[2 * i]) continue;
    RecomputeMove move = pricing.Price(i, /*keep=*/false);
    RecomputeMove other = pricing.Price(i, /*keep=*/true);
    if (other.gain > 0 && (move.gain <= 0 || other.gain * move.micros >
                                                 move.gain * other.micros)) {
      move = std::move(other);
    }
    if (move.gain > 0) moves.push_back(std::move(move));
  }
  const std::vector<float>& asked = problem_.asked;
  const auto asks = [&](const RecomputeMove& move) {
    return asked.empty() || !asked_first ? 0.0f
                                         : std::max(asked[move.op], 0.0f);
  };
  std::stable_sort(moves.begin(), moves.end(),
                   [&](const RecomputeMove& a, const RecomputeMove& b) {
                     const float x = asks(a), y = asks(b);
                     if (x != y) return x > y;
                     return a.gain * b.micros > b.gain * a.micros;
                   });
  return moves;
}

}  // namespace grappler_go
