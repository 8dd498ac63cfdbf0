#include "cc/plan/policy_cut.h"

#include <algorithm>
#include <vector>

#include "cc/plan/search_clusters.h"
#include "cc/plan/search_space.h"
#include "cc/sim/liveness.h"

namespace grappler_go {
namespace {

// Units have memory in proportion to what they return, but those of one device
// may be alive together: nothing is simulated that would tell.
constexpr double kMemoryMargin = 1.5;

}  // namespace

AnnealOptions PolicyCutOptions() {
  AnnealOptions options;
  options.policy_weight = 0.1;
  return options;
}

Status CutByPolicy(const OpGraph& graph, const Machine& machine,
                   const PlanOptions& options, Logits* logits) {
  if (logits->device.empty() || graph.num_ops() == 0) return OkStatus();
  StatusOr<SearchSpace> space =
      MakeSearchSpace(graph, machine, *logits, options);
  if (!space.ok()) return space.status();
  if (space->score.empty() || space->movable.empty()) return OkStatus();
  const int64_t peak =
      SimulateLiveness(graph, ExecutionOrder(graph, {}), {}).peak_bytes;
  double outputs = 1;
  for (double bytes : space->output_bytes) outputs += bytes;
  const double alive =
      std::min(1.0, kMemoryMargin * static_cast<double>(peak) / outputs);
  SearchRandom random(0);
  const std::vector<Clusters> levels = ClusterLevels(*space, alive, &random);
  const UnitDevices cut =
      MultilevelCut(*space, levels, UsedDevices(*space), PolicyArgmax(*space),
                    PolicyCutOptions(), &random);
  const auto row = static_cast<size_t>(space->num_devices);
  std::fill(logits->device.begin(), logits->device.end(), 0.0f);
  for (int32_t i = 0; i < graph.num_ops(); ++i) {
    const int32_t unit = space->unit_of[i];
    if (!space->pinned[unit]) logits->device[i * row + cut[unit]] = 1.0f;
  }
  return OkStatus();
}

}  // namespace grappler_go
