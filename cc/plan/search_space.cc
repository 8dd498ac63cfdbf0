#include "cc/plan/search_space.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "cc/graph/forward_depth.h"
#include "cc/plan/fusion_groups.h"
#include "cc/plan/group_kernels.h"
#include "cc/plan/placement.h"
#include "cc/plan/policy_features.h"
#include "cc/sim/op_memory.h"

namespace grappler_go {
namespace {

bool SameRates(const Device& a, const Device& b) {
  auto same = [](const Achieved& x, const Achieved& y) {
    return x.gflops == y.gflops && x.gbytes_per_s == y.gbytes_per_s;
  };
  return a.type == b.type && a.gflops == b.gflops &&
         a.gbytes_per_s == b.gbytes_per_s && a.dispatch_us == b.dispatch_us &&
         a.cores == b.cores && a.calibration == b.calibration &&
         std::equal(a.achieved.begin(), a.achieved.end(), b.achieved.begin(),
                    same);
}

void NumberUnits(const Placement& placement, SearchSpace* space) {
  const int32_t n = space->graph->num_ops();
  std::vector<int32_t> number(n, -1);
  space->unit_of.resize(n);
  for (int32_t i = 0; i < n; ++i) {
    if (placement.unit[i] == i) number[i] = space->num_units++;
    space->unit_of[i] = number[placement.unit[i]];
  }
}

void FindChoices(const Placement& placement, SearchSpace* space) {
  const std::vector<Device>& devices = space->machine->devices;
  const bool has_accelerator =
      std::any_of(devices.begin(), devices.end(),
                  [](const Device& d) { return d.type != "CPU"; });
  for (int32_t i = 0; i < space->graph->num_ops(); ++i) {
    space->stands.push_back(std::max(placement.home[i], 0));
    if (placement.unit[i] != i) continue;
    const int32_t unit = space->unit_of[i];
    std::vector<int32_t> choices, accelerators;
    for (int32_t d = 0; d < space->num_devices; ++d) {
      if (!placement.may_be_on(i, d)) continue;
      choices.push_back(d);
      if (devices[d].type != "CPU") accelerators.push_back(d);
    }
    if (space->free_state() && has_accelerator && !accelerators.empty()) {
      choices = std::move(accelerators);
    }
    space->home.push_back(std::max(
        0,
        UndecidedDevice(placement, *space->machine, space->free_state(), i)));
    space->pinned.push_back(placement.pinned[i] || choices.empty() ? 1 : 0);
    if (choices.empty()) choices.push_back(space->stands[i]);
    if (choices.size() > 1) space->movable.push_back(unit);
    space->choices.values.insert(space->choices.values.end(), choices.begin(),
                                 choices.end());
    space->choices.EndRow();
  }
}

void FindMicros(SearchSpace* space) {
  const OpGraph& graph = *space->graph;
  const int32_t n = graph.num_ops(), devices = space->num_devices;
  std::vector<int32_t> first_of_kind;
  for (int32_t d = 0; d < devices; ++d) {
    int32_t kind = 0;
    const auto kinds = static_cast<int32_t>(first_of_kind.size());
    while (kind < kinds &&
           !SameRates(space->machine->devices[d],
                      space->machine->devices[first_of_kind[kind]])) {
      ++kind;
    }
    if (kind == kinds) {
      first_of_kind.push_back(d);
      space->by_kind.push_back(EstimateOpMicros(
          graph, *space->machine, *space->logits, std::vector<int32_t>(n, d)));
    }
    space->kind.push_back(kind);
  }
  space->micros.assign(static_cast<size_t>(space->num_units) * devices, 0.0f);
  for (int32_t i = 0; i < n; ++i) {
    const size_t row = static_cast<size_t>(space->unit_of[i]) * devices;
    for (int32_t d = 0; d < devices; ++d) {
      space->micros[row + d] += space->by_kind[space->kind[d]].alone[i];
    }
  }
}

void FindScores(SearchSpace* space) {
  const std::vector<float>& device = space->logits->device;
  if (device.empty()) return;
  const size_t devices = space->num_devices;
  std::vector<float> members(space->num_units, 0.0f);
  space->score.assign(space->num_units * devices, 0.0f);
  for (int32_t i = 0; i < space->graph->num_ops(); ++i) {
    const size_t unit = space->unit_of[i];
    members[unit] += 1;
    for (size_t d = 0; d < devices; ++d) {
      space->score[unit * devices + d] += device[i * devices + d];
    }
  }
  for (size_t k = 0; k < space->score.size(); ++k) {
    space->score[k] /= members[k / devices];
  }
}

void FindBytes(SearchSpace* space) {
  const OpGraph& graph = *space->graph;
  const std::vector<int64_t> resident = ResidentBytes(graph);
  space->resident_bytes.assign(space->num_units, 0.0);
  space->output_bytes.assign(space->num_units, 0.0);
  for (int32_t i = 0; i < graph.num_ops(); ++i) {
    const int32_t unit = space->unit_of[i];
    space->resident_bytes[unit] += static_cast<double>(resident[i]);
    if (IsAlwaysThere(graph, i) || IsView(graph, i)) continue;
    for (int32_t port = 0; port < graph.num_outputs(i); ++port) {
      space->output_bytes[unit] +=
          static_cast<double>(std::max<int64_t>(graph.bytes(i, port), 0));
    }
  }
}

void FindDepths(SearchSpace* space) {
  const int32_t n = space->graph->num_ops();
  const std::vector<int32_t> folded = ForwardDepth(*space->graph);
  std::vector<double> sum(space->num_units, 0.0), weight(space->num_units, 0.0);
  for (int32_t i = 0; i < n; ++i) {
    const int32_t unit = space->unit_of[i];
    const double w = 1e-6 + space->by_kind[0].alone[i];
    sum[unit] += w * folded[i];
    weight[unit] += w;
  }
  for (int32_t u = 0; u < space->num_units; ++u) {
    space->depth.push_back(static_cast<float>(sum[u] / weight[u]));
  }
  space->by_depth.resize(space->num_units);
  std::iota(space->by_depth.begin(), space->by_depth.end(), 0);
  std::stable_sort(
      space->by_depth.begin(), space->by_depth.end(),
      [&](int32_t a, int32_t b) { return space->depth[a] < space->depth[b]; });
}

void FindFusable(SearchSpace* space) {
  if (!space->free_state() || !space->options.fusion) return;
  const int32_t n = space->graph->num_ops();
  Logits willing;
  willing.fusion.assign(n, 1.0f);
  Plan nothing;
  nothing.free_state = true;
  const FusionCandidates candidates = FindFusionCandidates(
      *space->graph, *space->machine, willing, space->options, nothing);
  space->fuses.resize(n);
  for (int32_t i = 0; i < n; ++i) {
    space->fuses[i] =
        candidates.is(i) && FusesOnGpu(space->graph->def(i).op_class);
  }
  if (space->logits->fusion.empty()) return;
  space->policy_fuses = space->fuses;
  for (int32_t i = 0; i < n; ++i) {
    if (PolicyDeclines(*space->graph, *space->logits, i)) {
      space->policy_fuses[i] = 0;
    }
  }
}

void FindTensors(SearchSpace* space) {
  const OpGraph& graph = *space->graph;
  std::vector<int64_t> read_by(space->num_units, -1);  // tensor counted last
  int64_t stamp = 0;
  std::vector<OutputEdge> edges;
  for (int32_t i = 0; i < graph.num_ops(); ++i) {
    const Span<OutputEdge> outputs = graph.outputs(i);
    edges.assign(outputs.begin(), outputs.end());
    std::stable_sort(edges.begin(), edges.end(),
                     [](const OutputEdge& a, const OutputEdge& b) {
                       return a.port < b.port;
                     });
    const int32_t maker = space->unit_of[i];
    for (size_t k = 0; k < edges.size();) {
      const int32_t port = edges[k].port;
      ++stamp;
      const size_t before = space->tensor_readers.values.size();
      for (; k < edges.size() && edges[k].port == port; ++k) {
        const int32_t reader = space->unit_of[edges[k].dst];
        if (edges[k].back_edge || reader == maker || read_by[reader] == stamp) {
          continue;
        }
        read_by[reader] = stamp;
        space->tensor_readers.values.push_back(reader);
      }
      if (space->tensor_readers.values.size() == before) continue;
      space->tensor_readers.EndRow();
      space->tensor_op.push_back(i);
      space->tensor_port.push_back(port);
      space->tensor_unit.push_back(maker);
      space->tensor_bytes.push_back(port == kControlPort
                                        ? 0.0
                                        : static_cast<double>(std::max<int64_t>(
                                              graph.bytes(i, port), 0)));
    }
  }
}

// What links take, and with it what they take of the CPUs at their ends: of
// either, ops have to do without.
void FindLinks(SearchSpace* space) {
  const std::vector<Device>& all = space->machine->devices;
  const auto devices = static_cast<size_t>(space->num_devices);
  space->latency_micros.resize(devices * devices);
  space->micros_per_byte.resize(devices * devices);
  const auto put = [&](const Link& link, size_t src, size_t dst) {
    const int cpus = (all[src].type == "CPU") + (all[dst].type == "CPU");
    const size_t at = src * devices + dst;
    space->latency_micros[at] = link.latency_us + cpus * link.cpu_us;
    space->micros_per_byte[at] =
        1e-3 / link.gbytes_per_s + 1e-6 * cpus * link.cpu_us_per_mb;
  };
  const Link missing = SlowestLink(*space->machine);
  for (size_t src = 0; src < devices; ++src) {
    for (size_t dst = 0; dst < devices; ++dst) put(missing, src, dst);
  }
  for (const Link& link : space->machine->links) put(link, link.src, link.dst);
  for (size_t d = 0; d < devices; ++d) {
    space->latency_micros[d * devices + d] = 0;
    space->micros_per_byte[d * devices + d] = 0;
  }
  const auto pairs = static_cast<double>(devices * (devices - 1));
  if (pairs == 0) return;
  for (double x : space->latency_micros) space->mean_latency += x / pairs;
  for (double x : space->micros_per_byte) space->mean_per_byte += x / pairs;
}

}  // namespace

bool SearchSpace::MayBeOn(int32_t unit, int32_t device) const {
  for (int32_t d : choices[unit]) {
    if (d == device) return true;
  }
  return false;
}

std::vector<int32_t> UsedDevices(const SearchSpace& space) {
  std::vector<uint8_t> used(space.num_devices, 0);
  for (int32_t u : space.movable) {
    for (int32_t d : space.choices[u]) used[d] = 1;
  }
  std::vector<int32_t> devices;
  for (int32_t d = 0; d < space.num_devices; ++d) {
    if (used[d]) devices.push_back(d);
  }
  return devices;
}

StatusOr<SearchSpace> MakeSearchSpace(const OpGraph& graph,
                                      const Machine& machine,
                                      const Logits& logits,
                                      const PlanOptions& options) {
  GO_RETURN_IF_ERROR(machine.Validate());
  SearchSpace space;
  space.graph = &graph;
  space.machine = &machine;
  space.logits = &logits;
  space.options = WithTimedGroups(options, machine);
  space.num_devices = static_cast<int32_t>(machine.devices.size());
  const Placement placement =
      PlacementOf(graph, machine, PlacementRulesOf(options));
  NumberUnits(placement, &space);
  FindChoices(placement, &space);
  if (!options.device) {
    space.movable.clear();
  }
  FindMicros(&space);
  FindScores(&space);
  FindBytes(&space);
  FindDepths(&space);
  FindFusable(&space);
  FindTensors(&space);
  FindLinks(&space);
  return space;
}

}  // namespace grappler_go
