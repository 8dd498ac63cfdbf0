// Devices: each unit of ops that must stay together goes where the sum of its
// logits is highest, unless something in it may not move. Where they say
// nothing it stays where it is, or with free state goes where TensorFlow would
// put it.
#include "cc/plan/build_plan.h"
#include "cc/plan/eligibility.h"
#include "cc/plan/placement.h"
#include "cc/plan/policy_features.h"

namespace grappler_go {

void DecideDevices(const OpGraph& graph, const Machine& machine,
                   const Logits& logits, const PlanOptions& options, Plan* plan,
                   PlanExplanation* why) {
  const auto num_devices = static_cast<int32_t>(machine.devices.size());
  const bool has_scores = options.device && !logits.device.empty();
  if ((!has_scores && !options.free_state) || num_devices < 2) return;
  const int32_t n = graph.num_ops();
  Placement placement = PlacementOf(graph, machine, PlacementRulesOf(options));

  // By unit: the sum of its ops' logits.
  const auto row = static_cast<size_t>(num_devices);
  std::vector<double> score(n * row, 0.0);
  for (int32_t i = 0; has_scores && i < n; ++i) {
    const size_t unit = placement.unit[i] * row;
    for (size_t d = 0; d < row; ++d) {
      score[unit + d] += logits.device[i * row + d];
    }
  }

  plan->free_state = options.free_state;
  plan->devices.clear();
  for (const Device& d : machine.devices) plan->devices.push_back(d.name);
  plan->device.assign(n, -1);
  std::vector<int32_t> choice(n, -1);  // by unit
  for (int32_t i = 0; i < n; ++i) {
    if (placement.unit[i] != i || placement.pinned[i]) continue;
    int32_t best = UndecidedDevice(placement, machine, options.free_state, i);
    for (int32_t d = 0; d < num_devices; ++d) {
      if (placement.may_be_on(i, d) &&
          score[i * row + d] > score[i * row + best]) {
        best = d;
      }
    }
    choice[i] = best == placement.home[i] ? -1 : best;
  }
  for (int32_t i = 0; i < n; ++i) {
    const int32_t unit = placement.unit[i];
    plan->device[i] = choice[unit];
    if (placement.pinned[unit] && placement.reason[i] == Reason::kNone) {
      placement.reason[i] = Reason::kColocated;
    }
  }
  Explain(placement.reason, why);
}

}  // namespace grappler_go
