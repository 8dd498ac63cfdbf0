// Memory: which forward ops are run again for the backward pass, and which ops
// are held back, to keep the predicted peak under the user's limit.
#include <algorithm>
#include <queue>
#include <utility>

#include "cc/plan/build_plan.h"
#include "cc/plan/eligibility.h"
#include "cc/plan/op_micros.h"
#include "cc/sim/liveness.h"

namespace grappler_go {
namespace {

using Order = std::vector<std::pair<int32_t, int32_t>>;

// Smaller tensors are not worth a second run of their op.
constexpr int64_t kMinBytes = 4096;
constexpr size_t kMaxHeldBack = 256;

// A set of ops to recompute, and what is predicted for it.
struct Choice {
  std::vector<uint8_t> recompute;
  int64_t peak = 0;
  double micros = 0;  // of the clones
};

class RecomputeSearch {
 public:
  RecomputeSearch(const OpGraph& graph, const Scratch<float>& micros,
                  int64_t limit, int64_t peak_without)
      : graph_(graph),
        micros_(micros),
        limit_(limit),
        order_(ExecutionOrder(graph, {})) {
    best_.peak = peak_without;
    best_.recompute.assign(graph.num_ops(), 0);
  }

  bool reached() const { return best_.peak <= limit_; }
  Choice& best() { return best_; }

  // Keeps only what some backward op reads, directly or through others of the
  // set; simulates it; true when it meets the limit.
  bool Try(std::vector<uint8_t> set) {
    double micros = 0;
    for (int32_t i = graph_.num_ops(); i-- > 0;) {
      if (!set[i]) continue;
      bool read = false;
      for (const OutputEdge& e : graph_.outputs(i)) {
        if (e.port == kControlPort) continue;
        read = read || graph_.has(e.dst, kBackward) || set[e.dst];
      }
      set[i] = read;
      if (read) micros += micros_[i];
    }
    const int64_t peak = SimulateLiveness(graph_, order_, set).peak_bytes;
    const bool meets = peak <= limit_;
    const bool better = meets != reached() ? meets
                        : meets            ? micros < best_.micros
                                           : peak < best_.peak;
    if (better) best_ = {std::move(set), peak, micros};
    return meets;
  }

 private:
  const OpGraph& graph_;
  const Scratch<float>& micros_;
  const int64_t limit_;
  const std::vector<int32_t> order_;
  Choice best_;
};

bool HasBackwardReader(const OpGraph& graph, int32_t op) {
  for (const OutputEdge& e : graph.outputs(op)) {
    if (e.port != kControlPort && graph.has(e.dst, kBackward)) return true;
  }
  return false;
}

// What the policy asked for comes first, in its order; then what gives most
// bytes for its time.
std::vector<int32_t> Ranked(const OpGraph& graph, const Logits& logits,
                            const Scratch<float>& micros,
                            const std::vector<Reason>& reasons) {
  std::vector<int32_t> ops;
  std::vector<std::pair<float, double>> key(graph.num_ops());
  for (int32_t i = 0; i < graph.num_ops(); ++i) {
    const int64_t bytes = AllocatedBytes(graph, i);
    const float asked =
        logits.recompute.empty() ? 0.0f : std::max(logits.recompute[i], 0.0f);
    // Without a backward reader of its own, an op is run again only for others
    // that the policy asks for with it.
    if (reasons[i] != Reason::kNone || bytes < kMinBytes ||
        (asked == 0 && !HasBackwardReader(graph, i))) {
      continue;
    }
    key[i] = {asked, static_cast<double>(bytes) / (micros[i] + 1.0)};
    ops.push_back(i);
  }
  std::stable_sort(ops.begin(), ops.end(),
                   [&](int32_t i, int32_t j) { return key[i] > key[j]; });
  return ops;
}

// The first so many of the ranked ops: eight lengths, then the shortest that
// meets the limit more closely. The peak need not fall with the length, since
// clones keep their inputs alive; the search keeps the best it sees.
void TryPrefixes(const OpGraph& graph, const std::vector<int32_t>& ranked,
                 RecomputeSearch* search) {
  auto try_first = [&](size_t count) {
    std::vector<uint8_t> set(graph.num_ops(), 0);
    for (size_t k = 0; k < count; ++k) set[ranked[k]] = 1;
    return search->Try(std::move(set));
  };
  constexpr size_t kLengths = 8;
  size_t too_short = 0;
  for (size_t k = 1; k <= kLengths; ++k) {
    size_t enough = ranked.size() * k / kLengths;
    if (enough == too_short) continue;
    if (!try_first(enough)) {
      too_short = enough;
      continue;
    }
    for (int step = 0; step < 4 && enough - too_short > 1; ++step) {
      const size_t middle = (enough + too_short) / 2;
      (try_first(middle) ? enough : too_short) = middle;
    }
    return;
  }
}

// The forward pass in segments of about equal bytes: what a later segment reads
// is kept, the rest of each segment is run again from there. The last one is
// kept whole, as the backward pass begins with it.
void TrySegments(const OpGraph& graph, const std::vector<Reason>& reasons,
                 RecomputeSearch* search) {
  int64_t total = 0;
  for (int32_t i = 0; i < graph.num_ops(); ++i) {
    if (reasons[i] == Reason::kNone) total += AllocatedBytes(graph, i);
  }
  for (int64_t count : {2, 3, 4, 6, 8, 12, 16, 24, 32}) {
    std::vector<int64_t> segment(graph.num_ops(), -1);
    int64_t bytes = 0;
    for (int32_t i = 0; i < graph.num_ops(); ++i) {
      if (reasons[i] != Reason::kNone) continue;
      segment[i] =
          std::min(count - 1, bytes * count / std::max<int64_t>(total, 1));
      bytes += AllocatedBytes(graph, i);
    }
    std::vector<uint8_t> set(graph.num_ops(), 0);
    for (int32_t i = 0; i < graph.num_ops(); ++i) {
      bool kept = segment[i] < 0 || segment[i] == count - 1;
      for (const OutputEdge& e : graph.outputs(i)) {
        kept = kept || (e.port != kControlPort && segment[e.dst] > segment[i]);
      }
      set[i] = !kept;
    }
    search->Try(std::move(set));
  }
}

// Ops by schedule priority, as a list scheduler with one worker would run them.
std::vector<int32_t> ByPriority(const OpGraph& graph,
                                const std::vector<float>& priority) {
  const int32_t n = graph.num_ops();
  std::vector<int32_t> waiting(n, 0), sorted;
  auto later = [&](int32_t i, int32_t j) {
    return priority[i] != priority[j] ? priority[i] < priority[j] : i > j;
  };
  std::priority_queue<int32_t, std::vector<int32_t>, decltype(later)> ready(
      later);
  for (int32_t i = 0; i < n; ++i) {
    for (const InputEdge& e : graph.inputs(i)) waiting[i] += !e.back_edge;
    if (waiting[i] == 0) ready.push(i);
  }
  sorted.reserve(n);
  while (!ready.empty()) {
    const int32_t i = ready.top();
    ready.pop();
    sorted.push_back(i);
    for (const OutputEdge& e : graph.outputs(i)) {
      if (e.back_edge) continue;
      if (--waiting[e.dst] == 0) ready.push(e.dst);
    }
  }
  return sorted;
}

// Edges that make the ops with the largest outputs run in the schedule's order:
// each waits for the last large tensor's reader before it. All edges follow the
// schedule, so none closes a cycle.
Order HoldBack(const OpGraph& graph, const std::vector<int32_t>& schedule) {
  std::vector<std::pair<int64_t, int32_t>> large;
  for (int32_t i : schedule) {
    const int64_t bytes = AllocatedBytes(graph, i);
    if (bytes >= kMinBytes) large.emplace_back(-bytes, i);
  }
  std::sort(large.begin(), large.end());
  if (large.size() > kMaxHeldBack) large.resize(kMaxHeldBack);
  std::vector<bool> is_large(graph.num_ops(), false);
  for (const auto& [bytes, i] : large) is_large[i] = true;

  Order order;
  int32_t reader = -1;  // the last op so far that reads a large tensor
  for (int32_t i : schedule) {
    if (graph.has(i, kInLoop | kConditional | kSource | kSink)) continue;
    bool reads = false, waits_already = false;
    for (const InputEdge& e : graph.inputs(i)) {
      if (e.back_edge) continue;
      reads = reads || (e.port != kControlPort && is_large[e.src]);
      waits_already = waits_already || e.src == reader;
    }
    if (is_large[i] && reader >= 0 && !waits_already) {
      order.emplace_back(reader, i);
    }
    if (reads) reader = i;
  }
  return order;
}

}  // namespace

void DecideMemory(const OpGraph& graph, const Machine& machine,
                  const Logits& logits, const PlanOptions& options,
                  Plan* plan) {
  const Liveness without =
      SimulateLiveness(graph, ExecutionOrder(graph, {}), {});
  plan->peak_bytes_before = plan->peak_bytes_after = without.peak_bytes;
  const bool over =
      options.memory_limit > 0 && without.peak_bytes > options.memory_limit;
  if (over) {
    std::vector<Reason> reasons(graph.num_ops());
    for (int32_t i = 0; i < graph.num_ops(); ++i) {
      reasons[i] = WhyNotRecomputed(graph, i);
    }
    const Scratch<float> micros =
        EstimateOpMicros(graph, machine, logits).alone;
    RecomputeSearch search(graph, micros, options.memory_limit,
                           without.peak_bytes);
    TryPrefixes(graph, Ranked(graph, logits, micros, reasons), &search);
    TrySegments(graph, reasons, &search);
    plan->peak_bytes_after = search.best().peak;
    plan->recompute = std::move(search.best().recompute);
  }
  if (logits.schedule.empty()) return;
  Order order = HoldBack(graph, ByPriority(graph, logits.schedule));
  const int64_t peak =
      SimulateLiveness(graph, ExecutionOrder(graph, order), plan->recompute)
          .peak_bytes;
  if (peak < plan->peak_bytes_after) {
    plan->order = std::move(order);
    plan->peak_bytes_after = peak;
  }
}

}  // namespace grappler_go
