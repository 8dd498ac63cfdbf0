#include "cc/plan/build_plan.h"

#include <algorithm>
#include <array>
#include <cstdio>

#include "cc/base/counted.h"
#include "cc/plan/contraction.h"
#include "cc/plan/eligibility.h"
#include "cc/plan/memory_margin.h"
#include "cc/plan/policy_cut.h"
#include "cc/plan/simulate_plan.h"
#include "cc/sim/liveness.h"

namespace grappler_go {
namespace {

std::string Number(double value) {
  char text[32];
  std::snprintf(text, sizeof(text), value < 10 ? "%.2f" : "%.0f", value);
  return text;
}

std::string Summary(const Plan& plan, const PlanOptions& options,
                    const PlanExplanation& why) {
  std::string text;
  auto add = [&](const std::string& part) {
    text += (text.empty() ? "" : "; ") + part;
  };
  if (plan.num_moved() > 0) {
    add(Counted(plan.num_moved(), "op") + " moved");
  }
  if (plan.num_groups() > 0) {
    int32_t grouped = 0;
    for (int32_t g : plan.fusion_group) grouped += g >= 0;
    add(Counted(grouped, "op") + " in " + Counted(plan.num_groups(), "group") +
        ", predicted " + Number(plan.micros_before) + " -> " +
        Number(plan.micros_after) + " us");
  }
  if (why.left_out.count(ReasonText(Reason::kPlanDoesNotPay)) > 0) {
    add("predicted gain of fusion is below " + Number(options.min_gain * 100) +
        " % of the step");
  }
  if (why.left_out.count(ReasonText(Reason::kCompileBudget)) > 0) {
    add("groups left out that would take more than compile_budget_s, " +
        Number(options.compile_budget_s) + " s, to compile");
  }
  if (plan.num_recomputed() > 0) {
    add(std::to_string(plan.num_recomputed()) + " ops recomputed");
  }
  if (!plan.order.empty()) {
    add(std::to_string(plan.order.size()) + " ops held back");
  }
  if (plan.turn_bytes > 0) {
    add("large tensors made in turn where the limit is near");
  }
  const int64_t limit = MemoryLimit(options, plan.peak_bytes_before);
  if (options.memory && limit > 0) {
    constexpr double kMiB = 1 << 20;
    std::string text = "predicted peak " +
                       Number(plan.peak_bytes_before / kMiB) + " -> " +
                       Number(plan.peak_bytes_after / kMiB) + " MiB";
    if (plan.peak_bytes_after > limit) {
      text += ", the least that was reached; the limit is " +
              Number(limit / kMiB) + " MiB";
    } else if (const std::string margin = MarginText(plan, options);
               !margin.empty()) {
      text += ", " + margin;
    }
    add(text);
  }
  if (text.empty() && !why.left_out.empty()) {
    const auto most = std::max_element(
        why.left_out.begin(), why.left_out.end(),
        [](const auto& a, const auto& b) { return a.second < b.second; });
    add(std::to_string(most->second) + " of " + std::to_string(plan.num_ops) +
        " ops: " + most->first);
  }
  return text;
}

// An op that something was decided for has no reason left, and each other one
// the last that was found.
void SettleReasons(const Plan& plan, PlanExplanation* why) {
  std::array<int32_t, static_cast<size_t>(Reason::kNumReasons)> counts{};
  for (int32_t i = 0; i < plan.num_ops; ++i) {
    Reason& reason = why->per_op[i];
    if ((!plan.device.empty() && plan.device[i] >= 0) ||
        (!plan.fusion_group.empty() && plan.fusion_group[i] >= 0) ||
        (!plan.recompute.empty() && plan.recompute[i] != 0)) {
      reason = Reason::kNone;
    }
    ++counts[static_cast<size_t>(reason)];
  }
  why->left_out.clear();
  for (size_t r = 0; r < counts.size(); ++r) {
    const auto reason = static_cast<Reason>(r);
    if (reason == Reason::kNone || counts[r] == 0) continue;
    why->left_out.emplace(ReasonText(reason), counts[r]);
  }
}

// A group and ops held back may wait for each other. The group is worth more.
void DropOrderThatGroupsForbid(const OpGraph& graph, Plan* plan) {
  if (plan->order.empty() ||
      FindCycle(graph, plan->fusion_group, plan->order) < 0) {
    return;
  }
  plan->order.clear();
  const std::vector<int32_t> as_it_stands = ExecutionOrder(graph, {});
  // What is there throughout is in both.
  plan->peak_bytes_after =
      plan->peak_bytes_before -
      SimulateLiveness(graph, as_it_stands, {}).peak_bytes +
      SimulateLiveness(graph, as_it_stands, plan->recompute).peak_bytes;
}

// The most that a step under the plan has on one device; -1 for a plan that
// cannot be simulated.
int64_t SimulatedPeak(const OpGraph& graph, const Machine& machine,
                      const Logits& logits, const PlanOptions& options,
                      const Plan& plan) {
  const StatusOr<PlannedStep> step =
      StepOfPlan(graph, machine, plan, logits, options);
  if (!step.ok()) return -1;
  const StatusOr<Simulator> simulator = Simulator::Create(graph, machine, {});
  if (!simulator.ok()) return -1;
  const StatusOr<Simulation> simulation = simulator->Run(step->input);
  if (!simulation.ok()) return -1;
  int64_t peak = 0;
  for (const DeviceUse& use : simulation->devices) {
    peak = std::max(peak, use.peak_bytes);
  }
  return peak;
}

// A group holds what it reads and has all of its results until it ends, which
// may take back what memory decisions have won. With a limit, groups may not
// raise the simulated peak above MemoryTarget, or above what it is without
// them: where they would, the backward pass is left alone, and then everything.
void FuseWithinLimit(const OpGraph& graph, const Machine& machine,
                     const Logits& logits, const PlanOptions& options,
                     Plan* plan, PlanExplanation* why) {
  const int64_t target =
      options.memory ? MemoryTarget(options, plan->peak_bytes_before) : 0;
  if (target == 0 || logits.fusion.empty()) {
    return DecideFusion(graph, machine, logits, options, plan, why);
  }
  const int64_t without = SimulatedPeak(graph, machine, logits, options, *plan);
  if (without < 0) {
    return DecideFusion(graph, machine, logits, options, plan, why);
  }
  Logits fewer = logits;
  for (const uint32_t left_out : {0u, uint32_t{kBackward}, ~0u}) {
    for (int32_t i = 0; i < graph.num_ops(); ++i) {
      if (left_out == ~0u || graph.has(i, left_out)) fewer.fusion[i] = 0;
    }
    Plan trial = *plan;
    trial.turn_bytes = 0;
    PlanExplanation trial_why = *why;
    DecideFusion(graph, machine, fewer, options, &trial, &trial_why);
    // Groups that would wait for what is held back cannot be simulated.
    const int64_t peak =
        trial.num_groups() == 0
            ? without
            : SimulatedPeak(graph, machine, logits, options, trial);
    if (trial.num_groups() == 0) trial.turn_bytes = plan->turn_bytes;
    if (peak >= 0 && peak <= std::max(target, without)) {
      *plan = std::move(trial);
      *why = std::move(trial_why);
      return;
    }
  }
}

}  // namespace

StatusOr<Plan> BuildPlan(const OpGraph& graph, const Machine& machine,
                         const Logits& logits, const PlanOptions& options,
                         PlanExplanation* explanation) {
  const auto num_devices = static_cast<int32_t>(machine.devices.size());
  GO_RETURN_IF_ERROR(ValidateLogits(logits, graph.num_ops(), num_devices));
  PlanExplanation unused;
  PlanExplanation* why = explanation != nullptr ? explanation : &unused;
  *why = PlanExplanation();
  why->per_op.resize(graph.num_ops());

  Plan plan;
  plan.fingerprint = graph.fingerprint();
  plan.num_ops = graph.num_ops();
  plan.machine = machine.name;
  if (options.device && options.cut_by_policy) {
    Logits cut = logits;
    GO_RETURN_IF_ERROR(CutByPolicy(graph, machine, options, &cut));
    DecideDevices(graph, machine, cut, options, &plan, why);
  } else if (options.device || options.free_state) {
    DecideDevices(graph, machine, logits, options, &plan, why);
  }
  if (options.memory) {
    DecideMemory(graph, machine, logits, options, &plan);
  }
  if (options.fusion) {
    FuseWithinLimit(graph, machine, logits, options, &plan, why);
  }
  DropOrderThatGroupsForbid(graph, &plan);
  ExplainPlan(plan, options, why);
  return plan;
}

void ExplainPlan(const Plan& plan, const PlanOptions& options,
                 PlanExplanation* explanation) {
  SettleReasons(plan, explanation);
  explanation->summary = Summary(plan, options, *explanation);
}

}  // namespace grappler_go
