// Memory: which forward ops are run again for the backward pass, and which ops
// are held back, to keep the predicted peak under the user's limit.
#include <algorithm>
#include <numeric>
#include <queue>
#include <utility>

#include "cc/plan/build_plan.h"
#include "cc/plan/memory_margin.h"
#include "cc/plan/op_micros.h"
#include "cc/plan/recompute_search.h"
#include "cc/sim/liveness.h"
#include "cc/sim/op_memory.h"

namespace grappler_go {
namespace {

using Order = std::vector<std::pair<int32_t, int32_t>>;

// Smaller tensors are not worth holding their op back.
constexpr int64_t kMinBytes = 4096;
constexpr size_t kMaxHeldBack = 256;
// Without an order of its own a step may take this much more than predicted,
// and so needs none if it is predicted to take less than its share of what it
// may: see turn_edges.h.
constexpr double kFreeShare = 0.5;

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

// Edges into what a loop reads and out of what it makes may make it wait for
// itself in ways that its ops' own edges do not tell.
bool HasLoop(const OpGraph& graph) {
  for (int32_t i = 0; i < graph.num_ops(); ++i) {
    if (graph.has(i, kInLoop)) return true;
  }
  return false;
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
  const std::vector<int64_t> resident_of = ResidentBytes(graph);
  const int64_t resident =
      std::accumulate(resident_of.begin(), resident_of.end(), int64_t{0});
  const Liveness without =
      SimulateLiveness(graph, ExecutionOrder(graph, {}), {});
  plan->peak_bytes_before = plan->peak_bytes_after =
      resident + without.peak_bytes;
  const int64_t target = MemoryTarget(options, plan->peak_bytes_before);
  if (target > 0 && plan->peak_bytes_before > target) {
    const Scratch<float> micros =
        EstimateOpMicros(graph, machine, logits).alone;
    const int64_t limit = MemoryLimit(options, plan->peak_bytes_before);
    const auto search = [&](int64_t bytes, bool first_will_do) {
      return SearchRecomputation({graph, micros, logits.recompute,
                                  std::max<int64_t>(bytes - resident, 0),
                                  first_will_do});
    };
    // A limit out of reach takes one search, as if there were no margin. Where
    // only the margin is, the least that was found comes closest to it.
    Recomputation found = search(limit, true);
    if (resident + found.peak_bytes <= limit) {
      Recomputation lower = search(target, false);
      if (lower.peak_bytes <= found.peak_bytes ||
          resident + lower.peak_bytes <= target) {
        found = std::move(lower);
      }
    }
    plan->peak_bytes_after = resident + found.peak_bytes;
    if (found.micros > 0) plan->recompute = std::move(found.recompute);
    plan->order = std::move(found.order);
  }
  if (target > 0 && plan->peak_bytes_after > kFreeShare * target) {
    const int64_t limit = MemoryLimit(options, plan->peak_bytes_before);
    plan->turn_bytes =
        std::max<int64_t>(target + (limit - target) / 2 - resident, 1);
  }
  // What holds clones back follows an order of its own, and with edges of
  // another one might close a cycle.
  if (!plan->recompute.empty()) return;
  if (logits.schedule.empty() || HasLoop(graph)) return;
  Order order = HoldBack(graph, ByPriority(graph, logits.schedule));
  const int64_t peak =
      resident +
      SimulateLiveness(graph, ExecutionOrder(graph, order), {}).peak_bytes;
  if (peak < plan->peak_bytes_after) {
    plan->order = std::move(order);
    plan->peak_bytes_after = peak;
  }
}

int64_t MemoryLimit(const PlanOptions& options, int64_t peak_bytes) {
  if (options.memory_limit > 0) return options.memory_limit;
  return static_cast<int64_t>(options.memory_fraction *
                              static_cast<double>(peak_bytes));
}

}  // namespace grappler_go
