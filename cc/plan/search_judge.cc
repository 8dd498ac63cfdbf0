#include "cc/plan/search_judge.h"

#include <algorithm>
#include <utility>

#include "cc/base/parallel.h"
#include "cc/plan/contraction.h"
#include "cc/plan/fusion_groups.h"

namespace grappler_go {
namespace {

// An op whose only reader is of the same kernel joins it. The way to that
// reader was the only one out of the op's chain, so no cycle closes, and it
// starts no later than it had to end.
FusionGroups ChainGroups(const OpGraph& graph,
                         const FusionCandidates& candidates) {
  const int32_t n = graph.num_ops();
  FusionGroups groups;
  groups.of_op.assign(n, -1);
  std::vector<int32_t>& group = groups.of_op;
  for (int32_t i = n; i-- > 0;) {
    if (!candidates.is(i)) continue;
    const Span<OutputEdge> outputs = graph.outputs(i);
    bool one_reader =
        !outputs.empty() && graph.def(i).op_class != OpClass::kReduction;
    for (const OutputEdge& e : outputs) {
      one_reader = one_reader && !e.back_edge && e.port != kControlPort &&
                   e.dst == outputs[0].dst;
    }
    const int32_t reader = one_reader ? outputs[0].dst : -1;
    const bool joins = one_reader && group[reader] >= 0 &&
                       candidates.device[reader] == candidates.device[i];
    group[i] = joins ? group[reader] : groups.count++;
  }
  return groups;
}

}  // namespace

StatusOr<SearchJudge> SearchJudge::Create(const SearchSpace& space,
                                          int32_t max_plans, int32_t threads,
                                          Clock::time_point deadline) {
  StatusOr<Simulator> simulator =
      Simulator::Create(*space.graph, *space.machine, SimulatorOptions());
  if (!simulator.ok()) return simulator.status();
  SearchJudge judge(space, std::move(*simulator));
  judge.max_plans_ = max_plans;
  judge.threads_ = threads;
  judge.deadline_ = deadline;
  return judge;
}

bool SearchJudge::HasLeft() const {
  return spent_ < max_plans_ &&
         (deadline_ == Clock::time_point::max() ||
          Clock::now() + longest_ + longest_ / 4 < deadline_);
}

int32_t SearchJudge::ExpectedLeft() const {
  if (deadline_ == Clock::time_point::max()) return left();
  const auto time = std::max(deadline_ - Clock::now(), Clock::duration::zero());
  const auto plans = time / std::max(longest_, Clock::duration(1));
  return static_cast<int32_t>(std::min<int64_t>(plans, left()));
}

StatusOr<std::vector<Judged>> SearchJudge::Simulate(
    std::vector<SearchState> states) {
  if (static_cast<int32_t>(states.size()) > left()) states.resize(left());
  std::vector<Judged> judged(states.size());
  std::vector<Status> statuses(states.size());
  std::vector<uint8_t> ran(states.size(), 0);
  std::vector<Clock::duration> took(states.size());
  ParallelFor(states.size(), threads_, [&](size_t k) {
    const Clock::time_point begin = Clock::now();
    if (deadline_ != Clock::time_point::max() &&
        begin + longest_ + longest_ / 4 >= deadline_) {
      return;
    }
    StatusOr<Judged> one = SimulateOne(std::move(states[k]));
    statuses[k] = one.status();
    if (one.ok()) judged[k] = std::move(*one);
    took[k] = Clock::now() - begin;
    ran[k] = 1;
  });
  std::vector<Judged> results;
  for (size_t k = 0; k < judged.size(); ++k) {
    GO_RETURN_IF_ERROR(statuses[k]);
    if (!ran[k]) continue;
    longest_ = std::max(longest_, took[k]);
    results.push_back(std::move(judged[k]));
  }
  spent_ += static_cast<int32_t>(results.size());
  return results;
}

std::vector<int32_t> SearchJudge::DeviceOfOps(const SearchState& state) const {
  const SearchSpace& space = *space_;
  std::vector<int32_t> device = space.stands;
  for (size_t i = 0; i < device.size(); ++i) {
    const int32_t unit = space.unit_of[i];
    if (!space.pinned[unit]) device[i] = state.device[unit];
  }
  return device;
}

OpMicros SearchJudge::MicrosOf(std::vector<int32_t> device) const {
  const SearchSpace& space = *space_;
  OpMicros micros;
  micros.per_boundary_byte = space.by_kind[0].per_boundary_byte;
  micros.alone.resize(device.size());
  micros.compiled.resize(device.size());
  for (size_t i = 0; i < device.size(); ++i) {
    const OpMicros& of_kind = space.by_kind[space.kind[device[i]]];
    micros.alone[i] = of_kind.alone[i];
    micros.compiled[i] = of_kind.compiled[i];
    if (of_kind.machine != nullptr) micros.machine = of_kind.machine;
  }
  micros.device = std::move(device);
  return micros;
}

std::vector<int32_t> SearchJudge::GroupsOf(const SearchState& state,
                                           const OpMicros& micros) const {
  const SearchSpace& space = *space_;
  const OpGraph& graph = *space.graph;
  if (state.fusion == FusionRule::kNone) return {};
  if (state.fusion == FusionRule::kDecided) {
    SearchState alone = state;
    alone.fusion = FusionRule::kNone;
    Plan plan = PlanOf(alone);
    DecideFusion(graph, *space.machine, *space.logits, space.options, &plan,
                 nullptr);
    // A group and ops held back may wait for each other.
    if (!plan.order.empty() &&
        FindCycle(graph, plan.fusion_group, plan.order) >= 0) {
      return {};
    }
    return std::move(plan.fusion_group);
  }
  if (space.fuses.empty()) return {};
  const std::vector<uint8_t>& fuses =
      state.fusion == FusionRule::kPolicy ? space.policy_fuses : space.fuses;
  const bool recomputes =
      state.memory != nullptr && state.memory->num_recomputed() > 0;
  // Those of one rule are no candidates of the other's. Chains may be
  // contracted whatever else is: the way out of one is a single edge.
  FusionCandidates chains, levels;
  for (FusionCandidates* c : {&chains, &levels}) {
    c->reason.assign(graph.num_ops(), Reason::kNotOnCpu);
    c->device.assign(micros.device.begin(), micros.device.end());
  }
  for (int32_t i = 0; i < graph.num_ops(); ++i) {
    const bool on_cpu = space.machine->devices[micros.device[i]].type == "CPU";
    if (!fuses[i] || on_cpu) continue;
    // As in FindFusionCandidates: no group may wait for a clone.
    if (recomputes &&
        (graph.has(i, kBackward) || state.memory->recompute[i] != 0)) {
      continue;
    }
    const bool other = state.other_fusion != nullptr &&
                       (*state.other_fusion)[space.unit_of[i]] != 0;
    const bool is_chain = (state.fusion == FusionRule::kChains) != other;
    (is_chain ? chains : levels).reason[i] = Reason::kNone;
  }
  FusionGroups groups = ChainGroups(graph, chains);
  const FusionGroups wide = GroupByLevel(graph, levels);
  for (int32_t i = 0; i < graph.num_ops(); ++i) {
    if (wide.of_op[i] >= 0) groups.of_op[i] = groups.count + wide.of_op[i];
  }
  groups.count += wide.count;
  KeepWhatPays(graph, micros, space.options, &groups, &chains.reason);
  return std::move(groups.of_op);
}

// Backwards through the topological order: the longest way from an op's start
// to the end of the step.
std::vector<float> SearchJudge::PriorityOf(
    const SearchState& state, const std::vector<float>& micros,
    const std::vector<int32_t>& device) const {
  const SearchSpace& space = *space_;
  const OpGraph& graph = *space.graph;
  if (state.priority == Priority::kFirstReady) return {};
  if (state.priority == Priority::kPolicy) return space.logits->schedule;
  std::vector<float> rank(graph.num_ops());
  for (int32_t i = graph.num_ops(); i-- > 0;) {
    double below = 0;
    for (const OutputEdge& e : graph.outputs(i)) {
      if (e.back_edge) continue;
      double way = rank[e.dst];
      if (device[e.dst] != device[i]) {
        const double bytes = e.port == kControlPort
                                 ? 0.0
                                 : static_cast<double>(std::max<int64_t>(
                                       graph.bytes(i, e.port), 0));
        way += space.LinkMicros(device[i], device[e.dst], bytes);
      }
      below = std::max(below, way);
    }
    rank[i] = static_cast<float>(below + micros[i]);
  }
  return rank;
}

StatusOr<Judged> SearchJudge::SimulateOne(SearchState state) const {
  const SearchSpace& space = *space_;
  StepInput input;
  OpMicros micros = MicrosOf(DeviceOfOps(state));
  FusionGroups groups;
  groups.of_op = GroupsOf(state, micros);
  for (int32_t g : groups.of_op) groups.count = std::max(groups.count, g + 1);
  if (groups.count > 0) {
    input.group_overhead =
        GroupOverheads(*space.graph, micros, space.options, groups);
    for (size_t i = 0; i < groups.of_op.size(); ++i) {
      if (groups.of_op[i] >= 0) micros.alone[i] = micros.compiled[i];
    }
    input.group = std::move(groups.of_op);
  }
  input.micros.assign(micros.alone.begin(), micros.alone.end());
  input.device = std::move(micros.device);
  input.priority = PriorityOf(state, input.micros, input.device);
  if (state.memory != nullptr) {
    input.recompute = state.memory->recompute;
    input.order = state.memory->order;
    input.turn_bytes = state.memory->turn_bytes;
  }
  input.timeline = true;
  StatusOr<Simulation> simulation = simulator_.Run(input);
  if (!simulation.ok()) return simulation.status();
  Judged judged;
  judged.group = std::move(input.group);
  judged.state = std::move(state);
  judged.score = ScoreOf(*simulation);
  judged.simulation = std::move(*simulation);
  return judged;
}

SearchScore SearchJudge::ScoreOf(const Simulation& simulation) const {
  SearchScore score;
  score.micros = simulation.micros;
  for (size_t d = 0; d < simulation.devices.size(); ++d) {
    const DeviceUse& use = simulation.devices[d];
    const int64_t limit = space_->machine->devices[d].memory_bytes;
    // PlanOptions' limit is for what a step takes beside its variables.
    const int64_t wanted = space_->options.memory_limit;
    int64_t excess = 0;
    if (limit > 0) excess = std::max(excess, use.peak_bytes - limit);
    if (wanted > 0) {
      excess = std::max(excess, use.peak_bytes - use.resident_bytes - wanted);
    }
    score.excess_bytes += static_cast<double>(excess);
  }
  return score;
}

Plan SearchJudge::PlanOf(const SearchState& state) const {
  const SearchSpace& space = *space_;
  Plan plan;
  plan.fingerprint = space.graph->fingerprint();
  plan.num_ops = space.graph->num_ops();
  plan.machine = space.machine->name;
  plan.free_state = space.free_state();
  if (space.options.device || space.free_state()) {
    for (const Device& d : space.machine->devices)
      plan.devices.push_back(d.name);
    plan.device.assign(plan.num_ops, -1);
    for (int32_t i = 0; i < plan.num_ops; ++i) {
      const int32_t unit = space.unit_of[i];
      if (space.pinned[unit]) continue;
      // A program's ops stay where the graph has them by saying nothing.
      const bool stays =
          !space.free_state() && state.device[unit] == space.home[unit];
      if (!stays) plan.device[i] = state.device[unit];
    }
  }
  if (state.memory != nullptr) {
    plan.recompute = state.memory->recompute;
    plan.order = state.memory->order;
    plan.turn_bytes = state.memory->turn_bytes;
  }
  if (state.fusion != FusionRule::kNone ||
      state.priority != Priority::kFirstReady) {
    const std::vector<int32_t> device = DeviceOfOps(state);
    OpMicros micros = MicrosOf(device);
    plan.fusion_group = GroupsOf(state, micros);
    for (size_t i = 0; i < plan.fusion_group.size(); ++i) {
      if (plan.fusion_group[i] >= 0) micros.alone[i] = micros.compiled[i];
    }
    plan.priority = PriorityOf(
        state, std::vector<float>(micros.alone.begin(), micros.alone.end()),
        device);
  }
  return plan;
}

}  // namespace grappler_go
