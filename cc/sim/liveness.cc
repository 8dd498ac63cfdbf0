#include "cc/sim/liveness.h"

#include <algorithm>
#include <numeric>
#include <optional>

#include "cc/graph/recompute_clones.h"
#include "cc/sim/op_memory.h"

namespace grappler_go {
namespace {

// Runs ("nodes") are the ops and, after them, the clones. So are tensors: the
// originals, then as many again for the clones'.
class Step {
 public:
  Step(const OpGraph& graph, const std::vector<int32_t>& execution_order,
       const std::vector<uint8_t>& recompute)
      : graph_(graph), order_(execution_order) {
    if (std::find(recompute.begin(), recompute.end(), 1) != recompute.end()) {
      clones_.emplace(graph, recompute, no_groups_);
    }
  }

  Liveness Run(Lifetimes* lifetimes) {
    OrderRuns();
    FindRootsAndLastUses();
    change_.assign(runs_.size() + 1, 0);
    more_.assign(runs_.size(), 0);
    for (size_t tick = 0; tick < runs_.size(); ++tick) {
      AddOutputs(runs_[tick], static_cast<int32_t>(tick));
    }
    FindPeak();
    if (lifetimes != nullptr) HandOut(lifetimes);
    return result_;
  }

 private:
  int32_t num_ops() const { return graph_.num_ops(); }
  int32_t num_tensors() const { return graph_.first_tensor(num_ops()); }
  bool HasClone(int32_t op) const { return clones_ && clones_->cloned(op); }
  bool is_clone(int32_t node) const { return node >= num_ops(); }
  int32_t op_of(int32_t node) const { return node % num_ops(); }
  // After the last run.
  int32_t end() const { return static_cast<int32_t>(runs_.size()) - 1; }

  int32_t OutputOf(int32_t node, int32_t port) const {
    return graph_.first_tensor(op_of(node)) + port +
           (is_clone(node) ? num_tensors() : 0);
  }
  // The tensor that a run reads.
  int32_t InputOf(int32_t node, const InputEdge& e) const {
    const int32_t original = graph_.first_tensor(e.src) + e.port;
    if (!HasClone(e.src)) return original;
    const OutputEdge reader{op_of(node), e.port, e.back_edge};
    const bool reads_clone =
        is_clone(node) || clones_->UserReadsClone(e.src, reader);
    return original + (reads_clone ? num_tensors() : 0);
  }

  void OrderRuns() {
    runs_ = RunOrder(graph_, order_, clones_ ? &*clones_ : nullptr);
    tick_.assign(2 * static_cast<size_t>(num_ops()), -1);
    for (size_t tick = 0; tick < runs_.size(); ++tick) {
      tick_[runs_[tick]] = static_cast<int32_t>(tick);
    }
  }

  void FindRootsAndLastUses() {
    const size_t tensors = 2 * static_cast<size_t>(num_tensors());
    root_.resize(tensors);
    std::iota(root_.begin(), root_.end(), 0);
    last_use_.assign(tensors, -1);
    for (const int32_t node : runs_) {
      const int32_t i = op_of(node);
      const bool to_the_end = graph_.has(i, kSink) || IsKept(graph_, i);
      const int32_t now = to_the_end ? end() : tick_[node];
      for (const InputEdge& e : graph_.inputs(i)) {
        if (e.port == kControlPort || e.back_edge) continue;
        int32_t& last = last_use_[root_[InputOf(node, e)]];
        last = std::max(last, now);
      }
      for (int32_t port = 0; !is_clone(node) && port < graph_.num_outputs(i);
           ++port) {
        if (graph_.bytes(i, port) < 0) ++result_.unknown_outputs;
      }
      if (!IsView(graph_, i)) continue;
      const InputEdge& in = graph_.inputs(i)[0];
      if (!in.back_edge) root_[OutputOf(node, 0)] = root_[InputOf(node, in)];
    }
  }

  void AddOutputs(int32_t node, int32_t now) {
    const int32_t i = op_of(node);
    if (IsAlwaysThere(graph_, i)) return;
    const bool kept = IsKept(graph_, i) && !is_clone(node);
    for (int32_t port = 0; port < graph_.num_outputs(i); ++port) {
      const int32_t t = OutputOf(node, port);
      const int64_t bytes = graph_.bytes(i, port);
      if (root_[t] != t || bytes <= 0) continue;
      Live(now, kept ? end() : std::max(last_use_[t], now), bytes);
      more_[now] += bytes;
    }
    if (MayWriteInPlace(graph_.def(i).op_class)) ReuseAnInput(node, now);
  }

  // The first input that dies here and is as large as the output becomes it.
  void ReuseAnInput(int32_t node, int32_t now) {
    const int32_t i = op_of(node);
    if (graph_.num_outputs(i) != 1) return;
    const int64_t bytes = graph_.bytes(i, 0);
    if (bytes <= 0) return;
    for (const InputEdge& e : graph_.inputs(i)) {
      if (e.port == kControlPort || e.back_edge) break;
      const int32_t t = root_[InputOf(node, e)];
      const int32_t owner = OwnerOf(t % num_tensors());
      const bool kept = IsKept(graph_, owner) && t < num_tensors();
      if (last_use_[t] != now || IsAlwaysThere(graph_, owner) || kept ||
          graph_.bytes(owner, t % num_tensors() - graph_.first_tensor(owner)) !=
              bytes) {
        continue;
      }
      // It dies before the output is made, not after.
      change_[now + 1] += bytes;
      change_[now] -= bytes;
      more_[now] -= bytes;
      return;
    }
  }

  // The op whose output a tensor is.
  int32_t OwnerOf(int32_t t) const {
    int32_t low = 0, high = num_ops();  // it is in [low, high)
    while (high - low > 1) {
      const int32_t middle = low + (high - low) / 2;
      (graph_.first_tensor(middle) <= t ? low : high) = middle;
    }
    return low;
  }

  // From one tick to another, both included.
  void Live(int32_t from, int32_t to, int64_t bytes) {
    change_[from] += bytes;
    change_[to + 1] -= bytes;
  }

  void FindPeak() {
    int64_t now = 0;
    for (size_t tick = 0; tick < runs_.size(); ++tick) {
      now += change_[tick];
      if (now > result_.peak_bytes) {
        result_.peak_bytes = now;
        result_.peak_op = op_of(runs_[tick]);
      }
    }
  }

  void HandOut(Lifetimes* lifetimes) {
    lifetimes->alive.resize(runs_.size());
    std::partial_sum(change_.begin(), change_.end() - 1,
                     lifetimes->alive.begin());
    lifetimes->before.resize(runs_.size());
    for (size_t tick = 0; tick < runs_.size(); ++tick) {
      lifetimes->before[tick] = lifetimes->alive[tick] - more_[tick];
    }
    lifetimes->runs.assign(tick_.begin(), tick_.begin() + num_ops());
    lifetimes->runs_again.assign(tick_.begin() + num_ops(), tick_.end());
    // A view's uses are those of what it looks at, which is what takes memory.
    const auto middle = last_use_.begin() + num_tensors();
    lifetimes->last_use.assign(last_use_.begin(), middle);
    lifetimes->clone_last_use.assign(middle, last_use_.end());
  }

  const OpGraph& graph_;
  const std::vector<int32_t>& order_;
  const std::vector<int32_t> no_groups_;
  std::optional<RecomputeClones> clones_;
  Liveness result_;
  std::vector<int32_t> runs_;  // nodes, in the order in which they run
  Scratch<int32_t> tick_;      // by node
  Scratch<int32_t> root_;      // by tensor: the one it is a view of
  Scratch<int32_t> last_use_;  // by tensor that is its own root
  Scratch<int64_t> change_;    // by tick: bytes more than the tick before
  Scratch<int64_t> more_;      // by tick: of those, what its run makes
};

}  // namespace

Liveness SimulateLiveness(const OpGraph& graph,
                          const std::vector<int32_t>& execution_order,
                          const std::vector<uint8_t>& recompute,
                          Lifetimes* lifetimes) {
  if (graph.num_ops() == 0) return Liveness();
  return Step(graph, execution_order, recompute).Run(lifetimes);
}

}  // namespace grappler_go
