#include "cc/sim/liveness.h"

#include <algorithm>
#include <numeric>

#include "cc/base/scratch.h"
#include "cc/sim/op_memory.h"

namespace grappler_go {
namespace {

// One step on a clock with two ticks an op: clones are made at the even tick
// before the op at whose place they are needed, the op itself runs at the odd
// one.
class Step {
 public:
  Step(const OpGraph& graph, const std::vector<int32_t>& execution_order,
       const std::vector<uint8_t>& recompute)
      : graph_(graph), order_(execution_order), recompute_(recompute) {
    const int32_t n = graph.num_ops();
    place_.resize(n);
    for (int32_t at = 0; at < n; ++at) place_[order_[at]] = at;
    root_.resize(graph.first_tensor(n));
    last_use_.assign(root_.size(), -1);
    change_.assign(2 * static_cast<size_t>(n) + 2, 0);
  }

  Liveness Run() {
    FindRoots();
    PlaceClones();
    FindLastUses();
    AddTensors();
    AddClones();
    return Peak();
  }

 private:
  int32_t tensor(int32_t op, int32_t port) const {
    return graph_.first_tensor(op) + port;
  }
  int32_t end() const { return 2 * graph_.num_ops(); }
  bool Recomputed(int32_t op) const {
    return !recompute_.empty() && recompute_[op] != 0;
  }
  bool HasClone(int32_t op) const {
    return !recompute_.empty() && clone_made_[op] >= 0;
  }

  void FindRoots() {
    for (int32_t i : order_) {
      for (int32_t port = 0; port < graph_.num_outputs(i); ++port) {
        const int32_t t = tensor(i, port);
        root_[t] = t;
        if (graph_.bytes(i, port) < 0) ++result_.unknown_outputs;
      }
      if (!IsView(graph_, i)) continue;
      const InputEdge& in = graph_.inputs(i)[0];
      if (!in.back_edge) root_[tensor(i, 0)] = root_[tensor(in.src, in.port)];
    }
  }

  // Consumers come later in the order, so going backwards each clone's first
  // and last use are known when its own inputs are looked at.
  void PlaceClones() {
    if (recompute_.empty()) return;
    clone_made_.assign(graph_.num_ops(), -1);
    clone_dies_.assign(graph_.num_ops(), -1);
    for (int32_t at = graph_.num_ops(); at-- > 0;) {
      const int32_t i = order_[at];
      if (!Recomputed(i)) continue;
      int32_t first = -1, last = -1;
      auto use = [&](int32_t from, int32_t to) {
        first = first < 0 ? from : std::min(first, from);
        last = std::max(last, to);
      };
      for (const OutputEdge& e : graph_.outputs(i)) {
        if (e.port == kControlPort) continue;
        if (graph_.has(e.dst, kBackward)) {
          const int32_t now = place_[e.dst];
          use(2 * now, 2 * now + 1);
        } else if (HasClone(e.dst)) {
          const int32_t made = clone_made_[e.dst];
          use(made, IsView(graph_, e.dst) ? clone_dies_[e.dst] : made);
        }
      }
      clone_made_[i] = first;
      clone_dies_[i] = last;
    }
  }

  void FindLastUses() {
    for (int32_t i : order_) {
      for (const InputEdge& e : graph_.inputs(i)) {
        if (e.port == kControlPort || e.back_edge) continue;
        int32_t& last = last_use_[root_[tensor(e.src, e.port)]];
        const bool reads_clone = graph_.has(i, kBackward) && HasClone(e.src);
        if (!reads_clone) last = std::max(last, UseOf(i));
        // A clone reads what is not cloned itself.
        if (HasClone(i) && !HasClone(e.src)) {
          last = std::max(last, clone_made_[i]);
        }
      }
    }
  }
  int32_t UseOf(int32_t op) const {
    return graph_.has(op, kSink | kPreserved) ? end() : 2 * place_[op] + 1;
  }

  void AddTensors() {
    for (int32_t i : order_) {
      if (IsAlwaysThere(graph_, i)) continue;
      const int32_t made = 2 * place_[i] + 1;
      for (int32_t port = 0; port < graph_.num_outputs(i); ++port) {
        const int32_t t = tensor(i, port);
        const int64_t bytes = graph_.bytes(i, port);
        if (root_[t] != t || bytes <= 0) continue;
        int32_t dies = std::max(last_use_[t], made);
        if (graph_.has(i, kPreserved)) dies = end();
        Live(made, dies, bytes);
      }
      if (MayWriteInPlace(graph_.def(i).op_class)) ReuseAnInput(i, made);
    }
  }

  // The first input that dies here and is as large as the output becomes it.
  void ReuseAnInput(int32_t op, int32_t now) {
    if (graph_.num_outputs(op) != 1) return;
    const int64_t bytes = graph_.bytes(op, 0);
    if (bytes <= 0) return;
    for (const InputEdge& e : graph_.inputs(op)) {
      if (e.port == kControlPort || e.back_edge) break;
      const int32_t t = root_[tensor(e.src, e.port)];
      const int32_t owner = OwnerOf(t);
      if (last_use_[t] != now || IsAlwaysThere(graph_, owner) ||
          graph_.has(owner, kPreserved) ||
          (HasClone(e.src) && graph_.has(op, kBackward)) ||
          graph_.bytes(owner, t - tensor(owner, 0)) != bytes) {
        continue;
      }
      // It dies before the output is made, not after.
      change_[now + 1] += bytes;
      change_[now] -= bytes;
      return;
    }
  }

  // The op whose output a tensor is.
  int32_t OwnerOf(int32_t t) const {
    int32_t low = 0, high = graph_.num_ops();  // it is in [low, high)
    while (high - low > 1) {
      const int32_t middle = low + (high - low) / 2;
      (graph_.first_tensor(middle) <= t ? low : high) = middle;
    }
    return low;
  }

  void AddClones() {
    if (recompute_.empty()) return;
    for (int32_t i : order_) {
      if (!HasClone(i)) continue;
      Live(clone_made_[i], clone_dies_[i], AllocatedBytes(graph_, i));
    }
  }

  // From one tick to another, both included.
  void Live(int32_t from, int32_t to, int64_t bytes) {
    change_[from] += bytes;
    change_[to + 1] -= bytes;
  }

  Liveness Peak() {
    int64_t now = 0;
    for (size_t tick = 0; tick < change_.size(); ++tick) {
      now += change_[tick];
      if (now > result_.peak_bytes) {
        result_.peak_bytes = now;
        result_.peak_op = order_[std::min(tick / 2, order_.size() - 1)];
      }
    }
    return result_;
  }

  const OpGraph& graph_;
  const std::vector<int32_t>& order_;
  const std::vector<uint8_t>& recompute_;
  Liveness result_;
  Scratch<int32_t> place_;     // by op: its place in the order
  Scratch<int32_t> root_;      // by tensor: the one it is a view of
  Scratch<int32_t> last_use_;  // by tensor that is its own root
  Scratch<int32_t> clone_made_, clone_dies_;  // by op, -1: no clone
  Scratch<int64_t> change_;  // by tick: bytes more than the tick before
};

}  // namespace

std::vector<int32_t> ExecutionOrder(
    const OpGraph& graph,
    const std::vector<std::pair<int32_t, int32_t>>& order) {
  const int32_t n = graph.num_ops();
  std::vector<int32_t> sorted(n);
  std::iota(sorted.begin(), sorted.end(), 0);
  if (order.empty()) return sorted;

  std::vector<int32_t> waiting(n, 0), depth(n, 0);
  std::vector<std::vector<int32_t>> held_back(n);
  for (const auto& [before, after] : order) {
    held_back[before].push_back(after);
    ++waiting[after];
  }
  for (int32_t i = 0; i < n; ++i) {
    for (const InputEdge& e : graph.inputs(i)) waiting[i] += !e.back_edge;
  }
  std::vector<int32_t> ready;
  for (int32_t i = 0; i < n; ++i) {
    if (waiting[i] == 0) ready.push_back(i);
  }
  for (size_t at = 0; at < ready.size(); ++at) {
    const int32_t i = ready[at];
    auto finish = [&](int32_t next) {
      depth[next] = std::max(depth[next], depth[i] + 1);
      if (--waiting[next] == 0) ready.push_back(next);
    };
    for (const OutputEdge& e : graph.outputs(i)) {
      if (!e.back_edge) finish(e.dst);
    }
    for (int32_t next : held_back[i]) finish(next);
  }
  std::stable_sort(sorted.begin(), sorted.end(),
                   [&](int32_t i, int32_t j) { return depth[i] < depth[j]; });
  return sorted;
}

int64_t AllocatedBytes(const OpGraph& graph, int32_t op) {
  if (IsAlwaysThere(graph, op) || IsView(graph, op)) return 0;
  int64_t bytes = 0;
  for (int32_t port = 0; port < graph.num_outputs(op); ++port) {
    bytes += std::max<int64_t>(graph.bytes(op, port), 0);
  }
  return bytes;
}

Liveness SimulateLiveness(const OpGraph& graph,
                          const std::vector<int32_t>& execution_order,
                          const std::vector<uint8_t>& recompute) {
  if (graph.num_ops() == 0) return Liveness();
  return Step(graph, execution_order, recompute).Run();
}

}  // namespace grappler_go
