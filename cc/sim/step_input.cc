// Refuses what a simulation cannot be run with.
#include <cmath>
#include <string>

#include "cc/sim/step_graph.h"

namespace grappler_go {
namespace {

Status CheckSize(const char* field, size_t size, int32_t num_ops) {
  if (size == 0 || size == static_cast<size_t>(num_ops)) return OkStatus();
  return InvalidArgument(std::string("simulate: ") + field + " has " +
                         std::to_string(size) + " entries, the graph " +
                         std::to_string(num_ops) + " ops");
}

Status OutOfRange(const OpGraph& graph, int32_t op, const char* what,
                  int32_t value, size_t count) {
  return InvalidArgument("simulate: " + NameOfOp(graph, op) + " is " + what +
                         " " + std::to_string(value) + " of " +
                         std::to_string(count));
}

Status CheckTimes(const OpGraph& graph, const StepInput& input) {
  for (int32_t i = 0; i < graph.num_ops(); ++i) {
    if (input.micros[i] >= 0 && std::isfinite(input.micros[i])) continue;
    return InvalidArgument("simulate: " + NameOfOp(graph, i) + " takes " +
                           std::to_string(input.micros[i]) +
                           " microseconds; expected a number of 0 or above");
  }
  for (size_t g = 0; g < input.group_overhead.size(); ++g) {
    const float overhead = input.group_overhead[g];
    if (overhead >= 0 && std::isfinite(overhead)) continue;
    return InvalidArgument("simulate: group " + std::to_string(g) +
                           " has an overhead of " + std::to_string(overhead) +
                           " microseconds; expected a number of 0 or above");
  }
  for (size_t i = 0; i < input.priority.size(); ++i) {
    if (!std::isnan(input.priority[i])) continue;
    return InvalidArgument("simulate: the priority of " +
                           NameOfOp(graph, static_cast<int32_t>(i)) +
                           " is not a number");
  }
  return OkStatus();
}

Status CheckDevicesAndGroups(const StepFacts& facts, const StepInput& input) {
  const OpGraph& graph = *facts.graph;
  const size_t num_devices = facts.machine->devices.size();
  for (size_t i = 0; i < input.device.size(); ++i) {
    const int32_t device = input.device[i];
    if (device < 0 || static_cast<size_t>(device) >= num_devices) {
      return OutOfRange(graph, static_cast<int32_t>(i), "on device", device,
                        num_devices);
    }
  }
  std::vector<int32_t> first(input.group_overhead.size(), -1);
  for (int32_t i = 0; i < static_cast<int32_t>(input.group.size()); ++i) {
    const int32_t group = input.group[i];
    if (group < -1 || group >= static_cast<int32_t>(first.size())) {
      return OutOfRange(graph, i, "in group", group, first.size());
    }
    if (group < 0) continue;
    if (!facts.loops.runs.empty() && facts.loops.runs[i] > 1) {
      return InvalidArgument("simulate: " + NameOfOp(graph, i) +
                             " is in a group and in a loop");
    }
    if (first[group] < 0) first[group] = i;
    if (!input.device.empty() &&
        input.device[i] != input.device[first[group]]) {
      return InvalidArgument(
          "simulate: group " + std::to_string(group) +
          " has ops on two devices: " + NameOfOp(graph, first[group]) +
          " and " + NameOfOp(graph, i));
    }
  }
  return OkStatus();
}

Status CheckMemory(const StepFacts& facts, const StepInput& input) {
  const OpGraph& graph = *facts.graph;
  const auto in_a_loop = [&](int32_t op) {
    return !facts.loops.runs.empty() && facts.loops.runs[op] > 1;
  };
  for (int32_t i = 0; i < static_cast<int32_t>(input.recompute.size()); ++i) {
    if (input.recompute[i] != 0 && in_a_loop(i)) {
      return InvalidArgument("simulate: " + NameOfOp(graph, i) +
                             " is to be recomputed and in a loop");
    }
  }
  for (const auto& [before, after] : input.order) {
    for (const int32_t op : {before, after}) {
      if (op < 0 || op >= graph.num_ops()) {
        return InvalidArgument("simulate: order names op " +
                               std::to_string(op) + " of " +
                               std::to_string(graph.num_ops()));
      }
      if (in_a_loop(op)) {
        return InvalidArgument("simulate: " + NameOfOp(graph, op) +
                               " is ordered and in a loop");
      }
    }
  }
  return OkStatus();
}

}  // namespace

std::string NameOfOp(const OpGraph& graph, int32_t op) {
  return "op " + std::to_string(op) + " (" + std::string(graph.name(op)) +
         ", " + std::string(graph.op(op)) + ")";
}

Status CheckStepInput(const StepFacts& facts, const StepInput& input) {
  const int32_t n = facts.graph->num_ops();
  if (input.micros.size() != static_cast<size_t>(n)) {
    return InvalidArgument("simulate: micros has " +
                           std::to_string(input.micros.size()) +
                           " entries, the graph " + std::to_string(n) + " ops");
  }
  GO_RETURN_IF_ERROR(CheckSize("device", input.device.size(), n));
  GO_RETURN_IF_ERROR(CheckSize("group", input.group.size(), n));
  GO_RETURN_IF_ERROR(CheckSize("priority", input.priority.size(), n));
  GO_RETURN_IF_ERROR(CheckSize("recompute", input.recompute.size(), n));
  GO_RETURN_IF_ERROR(CheckTimes(*facts.graph, input));
  GO_RETURN_IF_ERROR(CheckDevicesAndGroups(facts, input));
  return CheckMemory(facts, input);
}

}  // namespace grappler_go
