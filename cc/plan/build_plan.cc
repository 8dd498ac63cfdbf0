#include "cc/plan/build_plan.h"

#include <algorithm>
#include <array>
#include <cstdio>

#include "cc/base/counted.h"
#include "cc/plan/contraction.h"
#include "cc/plan/eligibility.h"
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
  if (options.memory && options.memory_limit > 0) {
    constexpr double kMiB = 1 << 20;
    const bool reached = plan.peak_bytes_after <= options.memory_limit;
    add("predicted peak " + Number(plan.peak_bytes_before / kMiB) + " -> " +
        Number(plan.peak_bytes_after / kMiB) + " MiB" +
        (reached ? ""
                 : ", the least that was reached; the limit is " +
                       Number(options.memory_limit / kMiB) + " MiB"));
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
  plan->peak_bytes_after =
      SimulateLiveness(graph, ExecutionOrder(graph, {}), plan->recompute)
          .peak_bytes;
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
  if (options.device) {
    DecideDevices(graph, machine, logits, options, &plan, why);
  }
  if (options.memory) {
    DecideMemory(graph, machine, logits, options, &plan);
  }
  if (options.fusion) {
    DecideFusion(graph, machine, logits, options, &plan, why);
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
