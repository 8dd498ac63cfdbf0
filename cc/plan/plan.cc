#include "cc/plan/plan.h"

#include <algorithm>
#include <cmath>

#include "cc/plan/contraction.h"
#include "cc/plan/eligibility.h"
#include "cc/plan/placement.h"

namespace grappler_go {
namespace {

std::string NameOf(const OpGraph& graph, int32_t op) {
  return "op " + std::to_string(op) + " (" + std::string(graph.name(op)) +
         ", " + std::string(graph.op(op)) + ")";
}

Status CheckSize(const char* field, size_t size, int32_t num_ops) {
  if (size == 0 || size == static_cast<size_t>(num_ops)) return OkStatus();
  return InvalidArgument(std::string("plan: ") + field + " has " +
                         std::to_string(size) + " entries, the graph " +
                         std::to_string(num_ops) + " ops");
}

Status Refuse(const OpGraph& graph, int32_t op, const char* decision,
              Reason reason) {
  return InvalidArgument("plan: " + NameOf(graph, op) + " may not be " +
                         decision + ": " + ReasonText(reason));
}

// As planned, or else as it is in the graph.
std::string_view DeviceOf(const Plan& plan, const OpGraph& graph, int32_t op) {
  if (plan.device.empty() || plan.device[op] < 0) return graph.device(op);
  return plan.devices[plan.device[op]];
}

Status CheckDevices(const Plan& plan, const OpGraph& graph) {
  const auto num_devices = static_cast<int32_t>(plan.devices.size());
  for (int32_t i = 0; i < static_cast<int32_t>(plan.device.size()); ++i) {
    const int32_t device = plan.device[i];
    if (device < -1 || device >= num_devices) {
      return InvalidArgument("plan: " + NameOf(graph, i) + " is on device " +
                             std::to_string(device) + " of " +
                             std::to_string(num_devices));
    }
    if (device >= 0) {
      const Reason reason = WhyNotMoved(graph, i, plan.free_state);
      if (reason != Reason::kNone) return Refuse(graph, i, "moved", reason);
    }
  }
  return OkStatus();
}

// What must share a device: without free state only colocation groups, which
// TensorFlow itself insists on.
Status CheckSharedDevices(const Plan& plan, const OpGraph& graph) {
  if (plan.device.empty()) return OkStatus();
  std::vector<int32_t> unit, first;
  if (plan.free_state) unit = UnitsOf(graph, true);
  first.resize(
      plan.free_state ? graph.num_ops() : graph.num_colocation_groups(), -1);
  for (int32_t i = 0; i < graph.num_ops(); ++i) {
    const int32_t group = plan.free_state ? unit[i] : graph.colocation_group(i);
    if (group < 0) continue;
    if (first[group] < 0) first[group] = i;
    if (plan.device[i] != plan.device[first[group]]) {
      return InvalidArgument("plan: " + NameOf(graph, i) +
                             " must share the device of " +
                             NameOf(graph, first[group]));
    }
  }
  return OkStatus();
}

Status CheckGroups(const Plan& plan, const OpGraph& graph) {
  std::vector<int32_t> first;
  for (int32_t i = 0; i < static_cast<int32_t>(plan.fusion_group.size()); ++i) {
    const int32_t group = plan.fusion_group[i];
    if (group < -1 || group >= graph.num_ops()) {
      return InvalidArgument("plan: " + NameOf(graph, i) + " is in group " +
                             std::to_string(group) + "; groups are 0 to " +
                             std::to_string(graph.num_ops() - 1) +
                             ", -1 for none");
    }
    if (group < 0) continue;
    const Reason reason = WhyNotFused(graph, i);
    if (reason != Reason::kNone) return Refuse(graph, i, "fused", reason);
    if (group >= static_cast<int32_t>(first.size())) {
      first.resize(group + 1, -1);
    }
    if (first[group] < 0) first[group] = i;
    if (DeviceOf(plan, graph, i) != DeviceOf(plan, graph, first[group])) {
      return InvalidArgument(
          "plan: group " + std::to_string(group) + " has ops on two devices: " +
          NameOf(graph, first[group]) + " and " + NameOf(graph, i));
    }
  }
  return OkStatus();
}

Status CheckRecompute(const Plan& plan, const OpGraph& graph) {
  for (int32_t i = 0; i < static_cast<int32_t>(plan.recompute.size()); ++i) {
    if (plan.recompute[i] == 0) continue;
    const Reason reason = WhyNotRecomputed(graph, i);
    if (reason != Reason::kNone) return Refuse(graph, i, "recomputed", reason);
  }
  return OkStatus();
}

Status CheckOrder(const Plan& plan, const OpGraph& graph) {
  for (const auto& [before, after] : plan.order) {
    for (int32_t op : {before, after}) {
      if (op < 0 || op >= graph.num_ops()) {
        return InvalidArgument("plan: order names op " + std::to_string(op) +
                               " of " + std::to_string(graph.num_ops()));
      }
      // Control edges into a loop or out of it would cross its frame, and one
      // from a branch that does not run would kill what waits for it.
      const Reason reason = graph.has(op, kInLoop)        ? Reason::kInALoop
                            : graph.has(op, kConditional) ? Reason::kInABranch
                            : graph.has(op, kSource | kSink) ? Reason::kArgument
                                                             : Reason::kNone;
      if (reason != Reason::kNone) return Refuse(graph, op, "ordered", reason);
    }
  }
  const int32_t cyclic = FindCycle(graph, {}, plan.order);
  if (cyclic >= 0) {
    return InvalidArgument("plan: the order closes a cycle through " +
                           NameOf(graph, cyclic));
  }
  return OkStatus();
}

Status CheckPriority(const Plan& plan, const OpGraph& graph) {
  if (plan.priority.empty()) return OkStatus();
  if (!plan.free_state) {
    return InvalidArgument(
        "plan: priorities are for simulations, of plans with free_state; a "
        "program is told by its order");
  }
  for (int32_t i = 0; i < graph.num_ops(); ++i) {
    if (!std::isnan(plan.priority[i])) continue;
    return InvalidArgument("plan: the priority of " + NameOf(graph, i) +
                           " is not a number");
  }
  return OkStatus();
}

}  // namespace

bool Plan::empty() const {
  return num_moved() == 0 && num_groups() == 0 && num_recomputed() == 0 &&
         order.empty() && turn_bytes == 0 && priority.empty();
}

int32_t Plan::num_groups() const {
  int32_t count = 0;
  for (int32_t group : fusion_group) count = std::max(count, group + 1);
  return count;
}

int32_t Plan::num_moved() const {
  return static_cast<int32_t>(std::count_if(device.begin(), device.end(),
                                            [](int32_t d) { return d >= 0; }));
}

int32_t Plan::num_recomputed() const {
  return static_cast<int32_t>(recompute.size()) -
         static_cast<int32_t>(
             std::count(recompute.begin(), recompute.end(), uint8_t{0}));
}

Status ValidatePlan(const Plan& plan, const OpGraph& graph) {
  const int32_t n = graph.num_ops();
  if (plan.num_ops != n || plan.fingerprint != graph.fingerprint()) {
    return FailedPrecondition(
        "plan is for another graph: fingerprint " +
        plan.fingerprint.ToString() + " with " + std::to_string(plan.num_ops) +
        " ops, this graph is " + graph.fingerprint().ToString() + " with " +
        std::to_string(n));
  }
  GO_RETURN_IF_ERROR(CheckSize("device", plan.device.size(), n));
  GO_RETURN_IF_ERROR(CheckSize("fusion_group", plan.fusion_group.size(), n));
  GO_RETURN_IF_ERROR(CheckSize("recompute", plan.recompute.size(), n));
  GO_RETURN_IF_ERROR(CheckSize("priority", plan.priority.size(), n));
  GO_RETURN_IF_ERROR(CheckDevices(plan, graph));
  GO_RETURN_IF_ERROR(CheckSharedDevices(plan, graph));
  GO_RETURN_IF_ERROR(CheckGroups(plan, graph));
  GO_RETURN_IF_ERROR(CheckRecompute(plan, graph));
  GO_RETURN_IF_ERROR(CheckOrder(plan, graph));
  GO_RETURN_IF_ERROR(CheckPriority(plan, graph));
  const int32_t cyclic = FindCycle(graph, plan.fusion_group, plan.order);
  if (cyclic >= 0) {
    return InvalidArgument(
        "plan: a group would have to wait for itself, through " +
        NameOf(graph, cyclic));
  }
  return OkStatus();
}

Status CheckAppliesToPrograms(const Plan& plan) {
  if (!plan.free_state) return OkStatus();
  return FailedPrecondition(
      "plan is for simulations only: it was made with free_state, which moves "
      "variables, and those of a program stay where they are; make one without "
      "free_state");
}

}  // namespace grappler_go
