// Devices: each unit of ops that must stay together goes where the sum of its
// logits is highest, unless something in it may not move.
#include <algorithm>
#include <string_view>
#include <unordered_map>

#include "cc/plan/build_plan.h"
#include "cc/plan/eligibility.h"

namespace grappler_go {
namespace {

// A device that holds string, resource or variant tensors keeps them: there is
// no telling whether their contents can be sent.
bool StaysWithProducer(int dtype) {
  constexpr int kString = 7, kResource = 20, kVariant = 21;  // types.proto
  dtype %= 100;
  return dtype == 0 || dtype == kString || dtype == kResource ||
         dtype == kVariant;
}

// Ops that move together, as disjoint sets; the root is the smallest op.
std::vector<int32_t> Units(const OpGraph& graph) {
  std::vector<int32_t> parent(graph.num_ops());
  for (int32_t i = 0; i < graph.num_ops(); ++i) parent[i] = i;
  auto root = [&](int32_t i) {
    while (parent[i] != i) i = parent[i] = parent[parent[i]];
    return i;
  };
  auto join = [&](int32_t i, int32_t j) {
    i = root(i);
    j = root(j);
    parent[std::max(i, j)] = std::min(i, j);
  };
  std::vector<int32_t> first(graph.num_colocation_groups(), -1);
  for (int32_t i = 0; i < graph.num_ops(); ++i) {
    const int32_t group = graph.colocation_group(i);
    if (group >= 0) {
      if (first[group] < 0) first[group] = i;
      join(i, first[group]);
    }
    for (const InputEdge& e : graph.inputs(i)) {
      if (e.port == kControlPort) break;
      if (StaysWithProducer(graph.dtype(e.src, e.port))) join(i, e.src);
    }
  }
  for (int32_t i = 0; i < graph.num_ops(); ++i) parent[i] = root(i);
  return parent;
}

std::vector<int32_t> CurrentDevices(const OpGraph& graph,
                                    const Machine& machine) {
  std::unordered_map<std::string_view, int32_t> known;
  std::vector<int32_t> current(graph.num_ops());
  for (int32_t i = 0; i < graph.num_ops(); ++i) {
    const auto [at, is_new] = known.try_emplace(graph.device(i), -1);
    if (is_new && !graph.device(i).empty()) {
      at->second = machine.find_device(graph.device(i));
    }
    current[i] = at->second;
  }
  return current;
}

}  // namespace

void DecideDevices(const OpGraph& graph, const Machine& machine,
                   const Logits& logits, const PlanOptions& options, Plan* plan,
                   PlanExplanation* why) {
  const auto num_devices = static_cast<int32_t>(machine.devices.size());
  if (logits.device.empty() || num_devices < 2) return;
  const int32_t n = graph.num_ops();
  const std::vector<int32_t> unit = Units(graph);
  const std::vector<int32_t> current = CurrentDevices(graph, machine);

  std::vector<Reason> reasons(n);
  std::vector<bool> pinned(n, false);  // by unit
  for (int32_t i = 0; i < n; ++i) {
    reasons[i] = current[i] < 0 ? Reason::kOtherDevice : WhyNotMoved(graph, i);
    // A unit that is already split over devices is not ours to bring together.
    if (reasons[i] != Reason::kNone || current[i] != current[unit[i]]) {
      pinned[unit[i]] = true;
    }
  }

  const float kForbidden = -1e30f;
  std::vector<double> score(static_cast<size_t>(n) * num_devices, 0.0);
  for (int32_t i = 0; i < n; ++i) {
    if (pinned[unit[i]]) continue;
    const std::string& type = machine.devices[current[i]].type;
    for (int32_t d = 0; d < num_devices; ++d) {
      const std::string& other = machine.devices[d].type;
      const bool allowed =
          options.has_kernel != nullptr
              ? d == current[i] || options.has_kernel(graph.op(i), other)
              : type == other;
      const auto row = static_cast<size_t>(num_devices);
      score[unit[i] * row + d] +=
          allowed ? logits.device[i * row + d] : kForbidden;
    }
  }

  plan->devices.clear();
  for (const Device& d : machine.devices) plan->devices.push_back(d.name);
  plan->device.assign(n, -1);
  std::vector<int32_t> choice(n, -1);  // by unit
  for (int32_t i = 0; i < n; ++i) {
    if (unit[i] != i || pinned[i]) continue;
    const double* row = &score[static_cast<size_t>(i) * num_devices];
    int32_t best = current[i];  // a tie leaves the unit where it is
    for (int32_t d = 0; d < num_devices; ++d) {
      if (row[d] > row[best]) best = d;
    }
    choice[i] = best == current[i] ? -1 : best;
  }
  for (int32_t i = 0; i < n; ++i) {
    plan->device[i] = choice[unit[i]];
    if (pinned[unit[i]] && reasons[i] == Reason::kNone) {
      reasons[i] = Reason::kColocated;
    }
  }
  Explain(reasons, why);
}

}  // namespace grappler_go
