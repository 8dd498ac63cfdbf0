#include "cc/plan/compile_budget.h"

#include <algorithm>
#include <numeric>

namespace grappler_go {
namespace {

std::vector<int32_t> Sizes(const FusionGroups& groups) {
  std::vector<int32_t> sizes(groups.count, 0);
  for (int32_t g : groups.of_op) {
    if (g >= 0) ++sizes[g];
  }
  return sizes;
}

}  // namespace

double CompileSeconds(int32_t num_ops) {
  constexpr double kStart = 0.1, kEachOp = 1.5e-3, kEachPair = 3e-7;
  const double n = num_ops;
  return kStart + n * kEachOp + n * n * kEachPair;
}

double CompileSeconds(const FusionGroups& groups) {
  double seconds = 0;
  for (int32_t size : Sizes(groups)) seconds += CompileSeconds(size);
  return seconds;
}

double KeepWithinCompileBudget(const OpGraph& graph, const OpMicros& micros,
                               const PlanOptions& options, FusionGroups* groups,
                               std::vector<Reason>* reason) {
  const double all = CompileSeconds(*groups);
  if (all <= options.compile_budget_s) return all;
  const std::vector<double> gain = GroupGains(graph, micros, options, *groups);
  std::vector<double> seconds;
  for (int32_t size : Sizes(*groups)) seconds.push_back(CompileSeconds(size));
  std::vector<int32_t> best_first(groups->count);
  std::iota(best_first.begin(), best_first.end(), 0);
  std::stable_sort(best_first.begin(), best_first.end(),
                   [&](int32_t a, int32_t b) {
                     return gain[a] * seconds[b] > gain[b] * seconds[a];
                   });
  std::vector<bool> kept(groups->count, false);
  double spent = 0;
  for (int32_t g : best_first) {
    // A smaller one behind it may still fit in.
    if (spent + seconds[g] > options.compile_budget_s) continue;
    kept[g] = true;
    spent += seconds[g];
  }
  for (int32_t i = 0; i < graph.num_ops(); ++i) {
    const int32_t g = groups->of_op[i];
    if (g >= 0 && !kept[g]) (*reason)[i] = Reason::kCompileBudget;
  }
  Renumber(kept, groups);
  return spent;
}

}  // namespace grappler_go
