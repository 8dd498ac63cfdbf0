#include "cc/plan/policy_features.h"

#include <algorithm>

namespace grappler_go {
namespace {

// Takes the CPUs from a row that has another device.
void KeepAccelerators(const Machine& machine, float* row) {
  bool any = false;
  for (size_t d = 0; d < machine.devices.size(); ++d) {
    any = any || (row[d] != 0.0f && machine.devices[d].type != "CPU");
  }
  for (size_t d = 0; any && d < machine.devices.size(); ++d) {
    if (machine.devices[d].type == "CPU") row[d] = 0.0f;
  }
}

void FillPlacement(const OpGraph& graph, const Machine& machine,
                   const PlacementRules& rules, Features* features) {
  if (machine.devices.empty()) {
    features->unit = UnitsOf(graph, rules.free_state);
    return;
  }
  Placement placement = PlacementOf(graph, machine, rules);
  const size_t width = machine.devices.size();
  features->allowed.resize(placement.unit.size() * width);
  for (size_t i = 0; i < placement.unit.size(); ++i) {
    float* const row = features->allowed.data() + i * width;
    // A unit is named by its first op: that row is done.
    const size_t unit = placement.unit[i];
    if (unit != i) {
      std::copy_n(features->allowed.data() + unit * width, width, row);
      continue;
    }
    std::copy_n(placement.allowed.begin() + i * width, width, row);
    if (std::count(row, row + width, 0.0f) == static_cast<int64_t>(width)) {
      row[std::max(placement.home[i], 0)] = 1.0f;
    }
    if (rules.free_state) KeepAccelerators(machine, row);
  }
  features->unit = std::move(placement.unit);
}

}  // namespace

PlacementRules PlacementRulesOf(const PlanOptions& options) {
  PlacementRules rules;
  rules.free_state = options.free_state;
  // Then nothing has a place yet, and least of all what names no device.
  rules.first_is_home = options.free_state || options.first_is_home;
  rules.has_kernel = options.has_kernel;
  return rules;
}

Features PolicyFeatures(const OpGraph& graph, const Machine& machine,
                        const PlacementRules& rules, uint32_t arrays) {
  Features features = ComputeFeatures(graph, machine, arrays);
  if (arrays & kPlacementArrays) {
    FillPlacement(graph, machine, rules, &features);
  }
  return features;
}

}  // namespace grappler_go
