#include "cc/plan/simulate_plan.h"

#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "cc/base/parallel.h"
#include "cc/plan/eligibility.h"
#include "cc/plan/fusion_groups.h"
#include "cc/plan/op_micros.h"

namespace grappler_go {
namespace {

// The machine's devices by names, which come again and again.
class DeviceNumbers {
 public:
  explicit DeviceNumbers(const Machine& machine) : machine_(machine) {}

  int32_t Find(std::string_view name) {
    if (name.data() == last_.data() && name.size() == last_.size()) {
      return last_number_;
    }
    const auto [it, is_new] = numbers_.emplace(name, -1);
    if (is_new && !name.empty()) it->second = machine_.find_device(name);
    last_ = name;
    return last_number_ = it->second;
  }

 private:
  const Machine& machine_;
  std::map<std::string_view, int32_t> numbers_;
  std::string_view last_;
  int32_t last_number_ = -1;
};

Status PlaceOps(const OpGraph& graph, const Machine& machine, const Plan& plan,
                PlannedStep* step) {
  std::vector<int32_t> planned;
  for (const std::string& name : plan.devices) {
    planned.push_back(machine.find_device(name));
  }
  DeviceNumbers numbers(machine);
  step->input.device.resize(graph.num_ops());
  for (int32_t i = 0; i < graph.num_ops(); ++i) {
    const bool is_moved = !plan.device.empty() && plan.device[i] >= 0;
    int32_t device =
        is_moved ? planned[plan.device[i]] : numbers.Find(graph.device(i));
    if (device < 0 && is_moved) {
      return InvalidArgument("plan: op " + std::to_string(i) + " (" +
                             std::string(graph.name(i)) + ") is on " +
                             plan.devices[plan.device[i]] +
                             ", which the machine does not have");
    }
    if (is_moved && plan.free_state &&
        !HasKernelOn(graph, i, machine.devices[device].type)) {
      return InvalidArgument("plan: op " + std::to_string(i) + " (" +
                             std::string(graph.name(i)) + ", " +
                             std::string(graph.op(i)) + ") has no kernel on " +
                             machine.devices[device].name);
    }
    if (device < 0) {
      device = 0;
      ++step->ops_elsewhere;
    }
    step->input.device[i] = device;
  }
  return OkStatus();
}

}  // namespace

StatusOr<PlannedStep> StepOfPlan(const OpGraph& graph, const Machine& machine,
                                 const Plan& plan, const Logits& logits,
                                 const PlanOptions& options) {
  GO_RETURN_IF_ERROR(machine.Validate());
  GO_RETURN_IF_ERROR(ValidatePlan(plan, graph));
  GO_RETURN_IF_ERROR(ValidateLogits(
      logits, graph.num_ops(), static_cast<int32_t>(machine.devices.size())));
  PlannedStep step;
  GO_RETURN_IF_ERROR(PlaceOps(graph, machine, plan, &step));
  StepInput& input = step.input;
  OpMicros micros = EstimateOpMicros(graph, machine, logits, input.device);
  if (plan.num_groups() > 0) {
    FusionGroups groups;
    groups.of_op = plan.fusion_group;
    groups.count = plan.num_groups();
    input.group_overhead = GroupOverheads(
        graph, micros, WithTimedGroups(options, machine), groups);
    for (int32_t i = 0; i < graph.num_ops(); ++i) {
      if (groups.of_op[i] >= 0) micros.alone[i] = micros.compiled[i];
    }
    input.group = std::move(groups.of_op);
  }
  input.micros.assign(micros.alone.begin(), micros.alone.end());
  input.priority = plan.priority.empty() ? logits.schedule : plan.priority;
  input.recompute = plan.recompute;
  input.order = plan.order;
  input.turn_bytes = plan.turn_bytes;
  return step;
}

StatusOr<std::vector<SimulatedPlan>> SimulatePlans(
    const OpGraph& graph, const Machine& machine,
    const std::vector<Plan>& plans, const Logits& logits,
    const PlanOptions& options, const SimulatorOptions& simulator_options,
    int32_t threads, bool timeline) {
  const StatusOr<Simulator> simulator =
      Simulator::Create(graph, machine, simulator_options);
  if (!simulator.ok()) return simulator.status();
  std::vector<SimulatedPlan> results(plans.size());
  std::vector<Status> statuses(plans.size());
  ParallelFor(plans.size(), threads, [&](size_t k) {
    StatusOr<PlannedStep> step =
        StepOfPlan(graph, machine, plans[k], logits, options);
    if (!step.ok()) {
      statuses[k] = step.status();
      return;
    }
    step->input.timeline = timeline;
    StatusOr<Simulation> simulation = simulator->Run(step->input);
    statuses[k] = simulation.status();
    if (simulation.ok()) {
      results[k] = {std::move(*simulation), step->ops_elsewhere};
    }
  });
  for (const Status& status : statuses) GO_RETURN_IF_ERROR(status);
  return results;
}

}  // namespace grappler_go
