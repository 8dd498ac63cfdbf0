// Fusion: groups of ops that XLA compiles as one.
#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "cc/plan/build_plan.h"
#include "cc/plan/compile_budget.h"
#include "cc/plan/eligibility.h"
#include "cc/plan/fusion_groups.h"
#include "cc/plan/op_micros.h"
#include "cc/plan/placement.h"
#include "cc/sim/loops.h"
#include "cc/sim/simulator.h"
#include "cc/sim/step_time.h"

namespace grappler_go {
namespace {

double StepWithGroups(const OpGraph& graph, const OpMicros& micros,
                      const PlanOptions& options, const FusionGroups& groups,
                      int32_t cores) {
  Scratch<float> with = micros.alone;
  for (int32_t i = 0; i < graph.num_ops(); ++i) {
    if (groups.of_op[i] >= 0) with[i] = micros.compiled[i];
  }
  return StepMicros(graph,
                    {with, groups.of_op,
                     GroupOverheads(graph, micros, options, groups), cores});
}

// Groups of the candidates, and what the step takes with them. `parts`: on how
// many groups the gain rests, siblings that were joined counted apart.
struct Trial {
  FusionCandidates candidates;
  FusionGroups groups;
  double micros = 0;
  double parts = 1;
};

void Finish(const OpGraph& graph, const OpMicros& micros,
            const PlanOptions& options, int32_t cores, Trial* trial) {
  KeepWhatPays(graph, micros, options, &trial->groups,
               &trial->candidates.reason);
  KeepWithinCompileBudget(graph, micros, options, &trial->groups,
                          &trial->candidates.reason);
  trial->micros = StepWithGroups(graph, micros, options, trial->groups, cores);
}

Trial TryCandidates(const OpGraph& graph, const Logits& logits,
                    const OpMicros& micros, const PlanOptions& options,
                    int32_t cores, FusionCandidates candidates) {
  Trial apart{std::move(candidates), {}};
  apart.groups = GroupByLevel(graph, apart.candidates);
  if (options.free_state) {
    // A group waits for all that enters it. Where starting one costs next to
    // nothing and devices run side by side, as in simulations, larger groups
    // wait longer than they gain.
    TrimRims(graph, micros, &apart.groups, &apart.candidates.reason);
    Finish(graph, micros, options, cores, &apart);
    return apart;
  }
  MergeByPriority(graph, apart.candidates, logits.fusion, &apart.groups);
  TrimRims(graph, micros, &apart.groups, &apart.candidates.reason);
  FusionGroups siblings = apart.groups;
  MergeSiblings(graph, apart.candidates, micros, options, &siblings);
  if (siblings.count == apart.groups.count) {
    Finish(graph, micros, options, cores, &apart);
    apart.parts =
        EffectiveGroups(graph, micros, options, apart.groups, apart.groups);
    return apart;
  }
  // Joined, siblings no longer run side by side: that may cost more than
  // starting each.
  Trial joined{apart.candidates, std::move(siblings)};
  Finish(graph, micros, options, cores, &joined);
  joined.parts =
      EffectiveGroups(graph, micros, options, apart.groups, joined.groups);
  Finish(graph, micros, options, cores, &apart);
  apart.parts =
      EffectiveGroups(graph, micros, options, apart.groups, apart.groups);
  return joined.micros <= apart.micros ? joined : apart;
}

// An op that is slower compiled may still be worth taking in, when leaving it
// out would cut a group in two. How much slower is too slow depends on the
// graph, so these limits (times alone) are tried and the best plan wins.
constexpr float kSlowdownLimits[] = {2.0f, 1.2f};

// Takes out candidates slower than the limit; how many there were.
int32_t LeaveOutSlower(const OpMicros& micros, const PlanOptions& options,
                       float limit, FusionCandidates* candidates) {
  int32_t left_out = 0;
  for (size_t i = 0; i < candidates->reason.size(); ++i) {
    if (candidates->reason[i] == Reason::kNone &&
        micros.compiled[i] >
            limit * micros.alone[i] + options.group_launch_micros) {
      candidates->reason[i] = Reason::kSlowerCompiled;
      ++left_out;
    }
  }
  return left_out;
}

// How often a loop is taken to run of which the graph does not say it: that it
// runs more than once is what makes it a loop.
constexpr int32_t kUnknownTrips = 8;

// What loops take beyond the one run of each of their ops that StepMicros
// counts. Nothing in them is compiled: where they are most of the step, it
// gains little from the rest.
double MoreRunsMicros(const OpGraph& graph, const OpMicros& micros) {
  std::vector<int32_t> in_loops;
  for (int32_t i = 0; i < graph.num_ops(); ++i) {
    if (graph.has(i, kInLoop)) in_loops.push_back(i);
  }
  if (in_loops.empty()) return 0.0;  // most graphs: spare them the search
  const Loops loops = FindLoops(graph, SimulatorOptions().max_runs);
  if (loops.runs.empty()) return 0.0;
  double more = 0;
  for (int32_t i : in_loops) {
    const bool unknown = loops.run_once > 0 && loops.trips[i] == 1;
    const double runs =
        static_cast<double>(loops.runs[i]) * (unknown ? kUnknownTrips : 1);
    more += micros.alone[i] * (runs - 1);
  }
  return more;
}

// The share of the step that a plan must be predicted to gain. What a boundary
// costs is the least certain part of the prediction, so a plan of many groups
// has to promise more than one of a single group: by an eighth for each time
// that they double.
double RequiredGain(const PlanOptions& options, double groups) {
  return options.min_gain * (1.0 + std::log2(std::max(1.0, groups)) / 8);
}

// A plan on trial is made as if XLA's ops were faster than predicted by what op
// costs are off by on another machine. It is a bet: it may take a part of the
// compile budget only, and has to win that back, if so, in so many steps.
constexpr float kTrialHope = 0.2f;
constexpr double kTrialBudget = 0.25;
constexpr double kTrialSteps = 1000;

// Of the limits on slower ops, what the best one comes to.
Trial BestTrial(const OpGraph& graph, const Logits& logits,
                const OpMicros& micros, const PlanOptions& options,
                int32_t cores, FusionCandidates candidates) {
  Trial best = TryCandidates(graph, logits, micros, options, cores, candidates);
  for (float limit : kSlowdownLimits) {
    if (LeaveOutSlower(micros, options, limit, &candidates) == 0) continue;
    Trial trial =
        TryCandidates(graph, logits, micros, options, cores, candidates);
    if (trial.micros < best.micros) best = std::move(trial);
  }
  return best;
}

// The best plan if XLA's ops are as fast as is hoped for.
Trial BestHope(const OpGraph& graph, const Logits& logits, OpMicros micros,
               PlanOptions options, int32_t cores,
               FusionCandidates candidates) {
  for (float& time : micros.compiled) time *= 1 - kTrialHope;
  options.compile_budget_s *= kTrialBudget;
  return BestTrial(graph, logits, micros, options, cores,
                   std::move(candidates));
}

}  // namespace

void DecideFusion(const OpGraph& graph, const Machine& machine,
                  const Logits& logits, const PlanOptions& given, Plan* plan,
                  PlanExplanation* why) {
  if (logits.fusion.empty()) return;
  const PlanOptions options = WithTimedGroups(given, machine);
  const OpMicros micros =
      EstimateOpMicros(graph, machine, logits,
                       plan->free_state ? DevicesOf(graph, machine, *plan)
                                        : std::vector<int32_t>());
  const int32_t cores = machine.devices.empty() ? 1 : machine.devices[0].cores;
  FusionCandidates candidates =
      FindFusionCandidates(graph, machine, logits, options, *plan);
  Trial best = BestTrial(graph, logits, micros, options, cores, candidates);

  const double more_runs = MoreRunsMicros(graph, micros);
  const double alone = StepMicros(graph, {micros.alone, {}, {}, cores});
  const double before = alone + more_runs;
  const auto pays = [&](const Trial& trial) {
    // A plan for the simulator alone bears no risk.
    const double required =
        plan->free_state ? 0.0 : RequiredGain(options, trial.parts);
    return trial.groups.count > 0 && alone - trial.micros >= required * before;
  };
  bool taken = pays(best);
  if (!taken && options.on_trial) {
    Trial hope = BestHope(graph, logits, micros, options, cores, candidates);
    taken = pays(hope) && (alone - hope.micros) * kTrialSteps >=
                              CompileSeconds(hope.groups) * 1e6;
    if (taken) {
      best = std::move(hope);
      best.micros = StepWithGroups(graph, micros, options, best.groups, cores);
    }
  }
  plan->micros_before = before;
  plan->micros_after = taken ? best.micros + more_runs : before;
  std::vector<int32_t>& group = best.groups.of_op;
  for (int32_t i = 0; i < graph.num_ops() && !taken; ++i) {
    if (group[i] < 0) continue;
    group[i] = -1;
    best.candidates.reason[i] = Reason::kPlanDoesNotPay;
  }
  plan->fusion_group = std::move(group);
  Explain(best.candidates.reason, why);
}

}  // namespace grappler_go
