#include "cc/plan/placement.h"

#include <algorithm>
#include <map>
#include <unordered_map>

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

// What runs a loop in steps would have to be doubled on each device that has a
// part of it (tensorflow/core/graph/graph_partition.cc); a loop is one unit.
bool IsOneFrame(const OpGraph& graph, int32_t a, int32_t b) {
  constexpr uint32_t kFrame = kInLoop | kControlFlow;
  return graph.has(a, kFrame) && graph.has(b, kFrame);
}

// A reference is to memory of its device.
bool MakesReference(const OpGraph& graph, int32_t op) {
  return graph.def(op).ref_output || graph.op(op) == "TemporaryVariable";
}

std::vector<int32_t> HomesOf(const OpGraph& graph, const Machine& machine) {
  std::unordered_map<std::string_view, int32_t> known;
  std::vector<int32_t> home(graph.num_ops());
  for (int32_t i = 0; i < graph.num_ops(); ++i) {
    const auto [at, is_new] = known.try_emplace(graph.device(i), -1);
    if (is_new && !graph.device(i).empty()) {
      at->second = machine.find_device(graph.device(i));
    }
    home[i] = at->second;
  }
  return home;
}

bool MayGo(const OpGraph& graph, const Machine& machine,
           const PlacementRules& rules, int32_t op, int32_t home,
           int32_t device) {
  const std::string& type = machine.devices[device].type;
  if (device == home) return true;
  if (rules.has_kernel != nullptr) return rules.has_kernel(graph.op(op), type);
  if (rules.free_state) return HasKernelOn(graph, op, type);
  return type == machine.devices[home].type;
}

}  // namespace

std::vector<int32_t> UnitsOf(const OpGraph& graph, bool free_state) {
  // Disjoint sets; the root is the smallest op.
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
      const bool joined =
          StaysWithProducer(graph.dtype(e.src, e.port)) ||
          (free_state && (graph.has(i, kSink) || IsOneFrame(graph, e.src, i) ||
                          MakesReference(graph, e.src)));
      if (joined) join(i, e.src);
    }
  }
  for (int32_t i = 0; i < graph.num_ops(); ++i) parent[i] = root(i);
  return parent;
}

std::vector<int32_t> DevicesOf(const OpGraph& graph, const Machine& machine,
                               const Plan& plan) {
  std::vector<int32_t> planned;
  for (const std::string& name : plan.devices) {
    planned.push_back(machine.find_device(name));
  }
  std::vector<int32_t> device = HomesOf(graph, machine);
  for (int32_t i = 0; i < graph.num_ops(); ++i) {
    if (!plan.device.empty() && plan.device[i] >= 0) {
      device[i] = planned[plan.device[i]];
    }
    device[i] = std::max(device[i], 0);
  }
  return device;
}

Placement PlacementOf(const OpGraph& graph, const Machine& machine,
                      const PlacementRules& rules) {
  const int32_t n = graph.num_ops();
  Placement p;
  p.num_devices = static_cast<int32_t>(machine.devices.size());
  p.unit = UnitsOf(graph, rules.free_state);
  p.home = HomesOf(graph, machine);
  p.reason.resize(n);
  p.pinned.assign(n, 0);
  for (int32_t i = 0; i < n; ++i) {
    if (p.home[i] < 0 && rules.first_is_home) p.home[i] = 0;
    p.reason[i] = p.home[i] < 0 ? Reason::kOtherDevice
                                : WhyNotMoved(graph, i, rules.free_state);
    // A unit that is already split over devices is not ours to bring together.
    if (p.reason[i] != Reason::kNone || p.home[i] != p.home[p.unit[i]]) {
      p.pinned[p.unit[i]] = 1;
    }
  }
  const auto row = static_cast<size_t>(p.num_devices);
  p.allowed.assign(n * row, 0);
  for (int32_t i = 0; i < n; ++i) {
    if (p.unit[i] != i) continue;
    if (!p.pinned[i]) {
      std::fill_n(p.allowed.begin() + i * row, row, 1);
    } else if (p.home[i] >= 0) {
      p.allowed[i * row + p.home[i]] = 1;
    }
  }
  for (int32_t i = 0; i < n; ++i) {
    if (p.pinned[p.unit[i]]) continue;
    for (int32_t d = 0; d < p.num_devices; ++d) {
      if (!MayGo(graph, machine, rules, i, p.home[i], d)) {
        p.allowed[p.unit[i] * row + d] = 0;
      }
    }
  }
  return p;
}

int32_t UndecidedDevice(const Placement& placement, const Machine& machine,
                        bool free_state, int32_t unit) {
  const int32_t home = placement.home[unit];
  if (!free_state || placement.pinned[unit]) return home;
  int32_t first = -1;
  for (int32_t d = 0; d < placement.num_devices; ++d) {
    if (machine.devices[d].type == "CPU" || !placement.may_be_on(unit, d)) {
      continue;
    }
    if (d == home) return home;
    if (first < 0) first = d;
  }
  return first < 0 ? home : first;
}

}  // namespace grappler_go
