#include "cc/plugin/optimize.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>
#include <limits>
#include <memory>
#include <set>
#include <utility>

#include "cc/cost/local_machine.h"
#include "cc/graph/wire.h"
#include "cc/plan/memory_margin.h"
#include "cc/plan/policy_features.h"
#include "cc/plan/search_plan.h"
#include "cc/plugin/capture.h"
#include "cc/plugin/plan_cache.h"
#include "cc/plugin/policy_runner.h"
#include "cc/rewrite/flatten_rows.h"
#include "cc/rewrite/fuse_updates.h"
#include "cc/rewrite/rewrite.h"

namespace grappler_go {
namespace {

using Clock = std::chrono::steady_clock;

// As many names as help a user to recognise a graph.
constexpr size_t kMaxReportedFetches = 8;

std::string Percent(double share) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.1f %%", 100 * share);
  return text;
}

std::string Milliseconds(double ms) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.3g ms", ms);
  return text;
}

std::string Megabytes(int64_t bytes) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.4g MB",
                static_cast<double>(bytes) / 1e6);
  return text;
}

// Nodes by name: sessions fetch tensors, "y:0", functions nodes.
std::vector<std::string_view> NodeNames(const std::vector<std::string>& names) {
  std::vector<std::string_view> nodes;
  for (const std::string_view name : names) {
    nodes.push_back(name.substr(0, name.find(':')));
  }
  return nodes;
}

// ".../device:CPU:1" -> "CPU".
std::string TypeOfDevice(std::string_view name) {
  const size_t device = name.rfind("device:");
  if (device == std::string_view::npos) return "CPU";
  const std::string_view rest = name.substr(device + 7);
  return std::string(rest.substr(0, rest.find(':')));
}

// The devices that the graph is already placed on.
Machine MachineOf(const OpGraph& graph) {
  Machine machine;
  machine.name = "local";
  std::vector<std::string_view> seen;
  std::string_view last;
  for (int32_t i = 0; i < graph.num_ops(); ++i) {
    const std::string_view name = graph.device(i);
    if (name.empty() || name.data() == last.data()) continue;
    last = name;
    if (std::find(seen.begin(), seen.end(), name) == seen.end()) {
      seen.push_back(name);
    }
  }
  if (seen.empty())
    seen.push_back("/job:localhost/replica:0/task:0/device:CPU:0");
  std::sort(seen.begin(), seen.end());
  for (const std::string_view name : seen) {
    Device device;
    device.name = std::string(name);
    device.type = TypeOfDevice(name);
    machine.devices.push_back(std::move(device));
  }
  return machine;
}

// One graph's way through the pass.
class Optimization {
 public:
  Optimization(const OptimizeInput& input, const Config& config,
               OptimizeResult* result)
      : input_(input),
        config_(config),
        result_(*result),
        deadline_(Clock::now() + std::chrono::milliseconds(config.budget_ms)) {}

  void Run();

 private:
  // Each returns false after it has said why the graph is left alone.
  bool Parse();
  bool FindDecision();
  bool DevicesMayExist();
  bool AskPolicy(CachedDecision* decision);
  bool IsWorthIt(const CachedDecision& decision);
  bool Rewrite();

  // Have updates of variables done by kernels, and sums over rows on matrices:
  // from there on, the graph at hand is the one that comes out.
  void FuseUpdatesOf(const ParseOptions& options);
  void FlattenRowsOf(const ParseOptions& options);
  // False, and a note says so: what came out cannot be read.
  bool TakeGraph(std::string graphdef, const ParseOptions& options,
                 const char* what);
  // Hands out that graph where there is no plan for it.
  void ApplyUpdatesAlone();

  // Replaces the plan by a better one, if the time left suffices to find one.
  void Search(const Logits& logits, CachedDecision* decision);

  void Keep();
  // kNothing: nothing in the plan cache, or nothing of use.
  enum class Tuned { kNothing, kDefault, kPlan };
  Tuned FindTuned(CachedDecision* decision);
  bool InTime(const char* phase);
  // Does nobody else, such as a policy that kept its input, hold the context?
  bool IsOurs() const { return context_.use_count() == 1; }
  bool LeaveAlone(std::string outcome) {
    result_.report.outcome = std::move(outcome);
    return false;
  }
  void EndPhase(const char* name, Clock::time_point begin) {
    result_.report.timing_ms[name] =
        std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
  }

  bool leave_alone_ = false;  // also without what FuseUpdatesOf() did

  const OptimizeInput& input_;
  const Config& config_;
  OptimizeResult& result_;
  Deadline deadline_;
  std::shared_ptr<PolicyContext> context_ = std::make_shared<PolicyContext>();
  // Null: the graph at hand is the one to hand out where there is no plan.
  std::shared_ptr<PolicyContext> without_plan_;
  const OpGraph& graph() const { return *context_->graph; }
};

void Optimization::Run() {
  Report& report = result_.report;
  report.graph_bytes = static_cast<int64_t>(input_.graphdef.size());
  report.fetches.assign(input_.fetches.begin(),
                        input_.fetches.begin() + std::min(input_.fetches.size(),
                                                          kMaxReportedFetches));
  if (config_.policy != nullptr) report.policy = config_.policy->name();
  if (Parse() && FindDecision() && Rewrite()) return;
  ApplyUpdatesAlone();
}

bool Optimization::InTime(const char* phase) {
  if (Clock::now() < deadline_) return true;
  return LeaveAlone("ran past budget_ms in " + std::string(phase));
}

bool Optimization::Parse() {
  Report& report = result_.report;
  const Clock::time_point begin = Clock::now();
  report.num_nodes = CountNodes(input_.graphdef, config_.min_ops);
  if (report.num_nodes < config_.min_ops) {
    return LeaveAlone("smaller than min_ops");
  }
  std::string_view bytes = input_.graphdef;
  if (config_.policy != nullptr && config_.policy->reads_graph()) {
    context_->graphdef = std::string(bytes);
    bytes = context_->graphdef;
  }
  ParseOptions options;
  options.fetches = NodeNames(input_.fetches);
  options.preserve = NodeNames(input_.preserve);
  StatusOr<OpGraph> parsed = OpGraph::Parse(bytes, options);
  EndPhase("parse", begin);
  if (!parsed.ok()) {
    return LeaveAlone("graph cannot be read: " + parsed.status().message());
  }
  context_->graph.emplace(std::move(*parsed));
  report.num_nodes = graph().num_ops();
  report.fingerprint = graph().fingerprint();
  for (int32_t i = 0; i < graph().num_ops(); ++i) {
    if (graph().has(i, kPlanned)) return LeaveAlone("already optimized");
  }
  if (config_.plan.fusion && config_.fuse_updates) FuseUpdatesOf(options);
  const bool limits_memory =
      config_.plan.memory_limit > 0 || config_.plan.memory_fraction > 0;
  if (config_.plan.fusion && config_.flatten_rows && !limits_memory) {
    FlattenRowsOf(options);
  }
  Keep();
  if (config_.policy != nullptr) return true;
  leave_alone_ = true;
  return LeaveAlone("no policy");
}

void Optimization::FuseUpdatesOf(const ParseOptions& options) {
  const Clock::time_point begin = Clock::now();
  FusedUpdates fused = FuseUpdates(graph(), options.fetches);
  if (fused.count > 0 &&
      TakeGraph(std::move(fused.graphdef), options, "updates")) {
    result_.report.updates = fused.count;
  }
  EndPhase("updates", begin);
}

void Optimization::FlattenRowsOf(const ParseOptions& options) {
  const Clock::time_point begin = Clock::now();
  FlattenedRows flattened = FlattenRows(graph());
  if (flattened.ops > 0) {
    const std::shared_ptr<PolicyContext> before = context_;
    if (TakeGraph(std::move(flattened.graphdef), options, "sums over rows")) {
      without_plan_ = before;
    }
  }
  EndPhase("rows", begin);
}

bool Optimization::TakeGraph(std::string graphdef, const ParseOptions& options,
                             const char* what) {
  auto context = std::make_shared<PolicyContext>();
  context->graphdef = std::move(graphdef);
  StatusOr<OpGraph> parsed = OpGraph::Parse(context->graphdef, options);
  if (!parsed.ok()) {
    result_.report.notes.push_back(
        std::string(what) +
        " are left as they are: " + parsed.status().message());
    return false;
  }
  context->graph.emplace(std::move(*parsed));
  context_ = std::move(context);
  result_.report.fingerprint = graph().fingerprint();
  return true;
}

void Optimization::ApplyUpdatesAlone() {
  Report& report = result_.report;
  if (report.updates == 0) return;
  if (leave_alone_) {
    report.updates = 0;
    return;
  }
  if (without_plan_ != nullptr) context_ = without_plan_;
  report.notes.push_back("else left alone: " + report.outcome);
  report.outcome = "applied";
  report.applied = result_.applied = true;
  // What was predicted was of a plan.
  report.micros_before = report.micros_after = 0;
  report.peak_bytes_before = report.peak_bytes_after = 0;
  report.nodes_after = graph().num_ops();
  result_.graphdef = graph().graphdef();
  Plan nothing;
  nothing.fingerprint = graph().fingerprint();
  nothing.num_ops = graph().num_ops();
  nothing.policy = result_.plan.policy;
  nothing.machine = result_.plan.machine;
  result_.plan = std::move(nothing);
}

void Optimization::Keep() {
  if (config_.capture) {
    AddCaptured(
        {std::string(graph().graphdef()), input_.fetches, input_.preserve});
  }
  if (config_.record_dir.empty()) return;
  const Status recorded =
      RecordGraph(config_.record_dir, graph().fingerprint(), graph().graphdef(),
                  input_.fetches, input_.preserve, graph().num_ops());
  if (!recorded.ok()) {
    result_.report.notes.push_back("not recorded: " + recorded.message());
  }
}

bool Optimization::FindDecision() {
  std::string key;
  if (config_.decisions != nullptr) {
    key = DecisionKey(graph());
    if (config_.plan.on_trial) key += " on trial";
    const auto cached = config_.decisions->Find(key);
    if (cached != nullptr) {
      result_.plan = cached->plan;
      result_.why = cached->why;
      return IsWorthIt(*cached);
    }
  }
  CachedDecision decision;
  const Tuned tuned = FindTuned(&decision);
  if (tuned == Tuned::kDefault) return false;
  if (tuned == Tuned::kNothing && !AskPolicy(&decision)) return false;
  result_.plan = decision.plan;
  result_.why = decision.why;
  const bool worth_it = IsWorthIt(decision);
  // What a policy decided is kept even where it is not applied: not to be asked
  // again is what the cache is for.
  if (config_.decisions != nullptr) {
    config_.decisions->Insert(key, std::move(decision));
  }
  return worth_it;
}

// What was measured counts for more than what anybody predicts. It was measured
// for its time, and decides fusion: of no use for a limit of memory.
Optimization::Tuned Optimization::FindTuned(CachedDecision* decision) {
  if (config_.plan_folders.empty() || !config_.plan.fusion ||
      config_.plan.memory_limit > 0) {
    return Tuned::kNothing;
  }
  Report& report = result_.report;
  StatusOr<TunedPlan> found =
      FindTunedPlan(config_.plan_folders,
                    MakePlanCacheKey(graph(), config_.machine), &report.notes);
  if (!found.ok()) return Tuned::kNothing;
  if (found->use_default) {
    report.policy = "plan cache";
    const std::string measured =
        found->plan_ms > 0
            ? "measured " + Milliseconds(found->default_ms) + " a step, and " +
                  Milliseconds(found->plan_ms) + " with the best plan"
            : "no plan that was tried came near it";
    leave_alone_ = true;
    LeaveAlone("TensorFlow's default is best: " + measured + " (" +
               found->path + ")");
    return Tuned::kDefault;
  }
  Status valid = CheckAppliesToPrograms(found->plan);
  if (valid.ok()) valid = ValidatePlan(found->plan, graph());
  if (!valid.ok()) {
    report.notes.push_back("plan cache: " + found->path +
                           " is not used: " + valid.message());
    return Tuned::kNothing;
  }
  report.policy = found->plan.policy;
  report.notes.push_back("plan measured at " + Milliseconds(found->plan_ms) +
                         " a step, default " + Milliseconds(found->default_ms) +
                         " (" + found->path + ")");
  decision->plan = std::move(found->plan);
  decision->from_logits = false;
  return Tuned::kPlan;
}

bool Optimization::DevicesMayExist() {
  if (config_.devices_exist || config_.machine.devices.empty()) return true;
  std::set<std::string> used;
  for (const Device& device : MachineOf(graph()).devices) {
    used.insert(device.type);
  }
  for (const Device& device : config_.machine.devices) {
    if (used.count(device.type) != 0) continue;
    return LeaveAlone("machine \"" + config_.machine.name + "\" has " +
                      device.name + ", and this graph is on no " + device.type +
                      "; GRAPPLER_GO_DEVICES cannot tell whether it exists, "
                      "grappler_go.enable(devices=...) can");
  }
  return true;
}

bool Optimization::AskPolicy(CachedDecision* decision) {
  if (!DevicesMayExist()) return false;
  Clock::time_point begin = Clock::now();
  context_->machine =
      config_.machine.devices.empty() ? MachineOf(graph()) : config_.machine;
  ApplyLocalMachine(&context_->machine);
  context_->free_state = config_.plan.free_state;
  const Status prepared = config_.policy->Prepare(context_->machine);
  if (!prepared.ok()) return LeaveAlone(prepared.message());
  deadline_ += Clock::now() - begin;
  begin = Clock::now();
  context_->features =
      PolicyFeatures(graph(), context_->machine, PlacementRulesOf(config_.plan),
                     config_.policy->reads_arrays(context_->machine));
  EndPhase("features", begin);
  if (!InTime("features")) return false;

  begin = Clock::now();
  StatusOr<Decision> answer = RunPolicy(config_.policy, context_, deadline_);
  EndPhase("policy", begin);
  if (!answer.ok()) return LeaveAlone(answer.status().message());
  // As large as the graph, and read by nobody else.
  if (IsOurs()) context_->features = Features();
  if (!InTime("policy")) return false;

  begin = Clock::now();
  if (answer->plan.has_value()) {
    decision->plan = std::move(*answer->plan);
    decision->from_logits = false;
  } else if (answer->logits.has_value()) {
    const Status valid =
        ValidateLogits(*answer->logits, graph().num_ops(),
                       static_cast<int32_t>(context_->machine.devices.size()));
    if (!valid.ok()) {
      return LeaveAlone("policy's answer cannot be used: " + valid.message());
    }
    StatusOr<Plan> plan = BuildPlan(graph(), context_->machine, *answer->logits,
                                    config_.plan, &decision->why);
    if (!plan.ok()) {
      return LeaveAlone("no plan could be built: " + plan.status().message());
    }
    decision->plan = std::move(*plan);
    Search(*answer->logits, decision);
  } else {
    return LeaveAlone("policy decided nothing");
  }
  if (decision->plan.policy.empty()) {
    decision->plan.policy = config_.policy->name();
  }
  EndPhase("plan", begin);
  return true;
}

void Optimization::Search(const Logits& logits, CachedDecision* decision) {
  const bool has_places = config_.plan.device && !logits.device.empty() &&
                          context_->machine.devices.size() > 1;
  if (!has_places && config_.search_ms == 0) return;
  // What was decided for a memory limit goes by another measure, the peak of
  // the whole graph as if on one device, and stays.
  const bool for_memory = decision->plan.num_recomputed() > 0 ||
                          !decision->plan.order.empty() ||
                          decision->plan.turn_bytes > 0;
  if (for_memory) return;
  const Clock::time_point begin = Clock::now();
  // As much again is left for writing the plan into the graph and checking it.
  const int64_t half_left =
      std::chrono::duration_cast<std::chrono::milliseconds>(deadline_ - begin)
          .count() /
      2;
  SearchOptions search;  // with its default number of plans
  search.budget_ms = half_left;
  if (config_.search_ms > 0) {
    search.max_plans = std::numeric_limits<int32_t>::max();
    search.budget_ms = std::min(config_.search_ms, half_left);
  }
  if (search.budget_ms <= 0) return;
  SearchTrace trace;
  StatusOr<Plan> plan = SearchPlan(graph(), context_->machine, logits,
                                   config_.plan, search, &trace);
  EndPhase("search", begin);
  if (!plan.ok()) {
    result_.report.notes.push_back("not searched: " + plan.status().message());
    return;
  }
  if (trace.plans == 0) return;
  plan->policy = decision->plan.policy;
  decision->plan = std::move(*plan);
  ExplainPlan(decision->plan, config_.plan, &decision->why);
  decision->why.summary += (decision->why.summary.empty() ? "" : "; ") +
                           std::string("best of ") +
                           std::to_string(trace.plans) + " simulated plans";
}

bool Optimization::IsWorthIt(const CachedDecision& decision) {
  const Plan& plan = decision.plan;
  Report& report = result_.report;
  report.left_out = decision.why.left_out;
  report.micros_before = plan.micros_before;
  report.micros_after = plan.micros_after;
  report.peak_bytes_before = plan.peak_bytes_before;
  report.peak_bytes_after = plan.peak_bytes_after;
  // What somebody planned is applied whole or not at all.
  leave_alone_ = !decision.from_logits;
  if (plan.fingerprint != graph().fingerprint()) {
    return LeaveAlone("plan is for another graph");
  }
  if (plan.empty()) {
    leave_alone_ = false;
    return LeaveAlone(decision.why.summary.empty()
                          ? "nothing to do"
                          : "nothing to do: " + decision.why.summary);
  }
  const Status applies = CheckAppliesToPrograms(plan);
  if (!applies.ok()) return LeaveAlone(applies.message());
  const Status valid = ValidatePlan(plan, graph());
  if (!valid.ok()) {
    return LeaveAlone("plan does not fit the graph: " + valid.message());
  }
  const int64_t limit = decision.from_logits && config_.plan.memory
                            ? MemoryLimit(config_.plan, plan.peak_bytes_before)
                            : 0;
  if (limit > 0 && plan.peak_bytes_after > limit) {
    report.notes.push_back("memory limit of " + Megabytes(limit) +
                           " is out of reach: the least is " +
                           Megabytes(plan.peak_bytes_after));
  } else if (limit > 0) {
    const std::string margin = MarginText(plan, config_.plan);
    if (!margin.empty()) {
      report.notes.push_back("memory limit of " + Megabytes(limit) +
                             ": predicted is " +
                             Megabytes(plan.peak_bytes_after) + ", " + margin);
    }
  }
  // Memory is bought with time, and a finished plan was somebody's decision:
  // neither has to be faster.
  const bool for_memory =
      plan.num_recomputed() > 0 || !plan.order.empty() || plan.turn_bytes > 0;
  if (decision.from_logits && !for_memory && plan.micros_before > 0) {
    const double gain = 1 - plan.micros_after / plan.micros_before;
    // Of what was hoped for nothing is left to weigh.
    const bool tried = config_.plan.on_trial && plan.num_groups() > 0;
    if (tried && gain < config_.plan.min_gain) {
      report.notes.push_back("on trial: predicted gain " + Percent(gain) +
                             " is within what predictions are off by");
    } else if (gain < config_.plan.min_gain) {
      return LeaveAlone("predicted gain " + Percent(gain) +
                        " is below min_gain " + Percent(config_.plan.min_gain));
    }
  }
  // A finished plan is for the shapes that it was made for.
  if (decision.from_logits && plan.num_groups() > 0 &&
      config_.shapes != nullptr) {
    const int32_t before = config_.shapes->CountBefore(graph());
    if (before >= config_.max_shapes) {
      return LeaveAlone("came with " + std::to_string(before) +
                        " other shapes: it would be compiled anew for each");
    }
  }
  return InTime("plan");
}

bool Optimization::Rewrite() {
  const Plan& plan = result_.plan;
  Report& report = result_.report;
  Clock::time_point begin = Clock::now();
  StatusOr<std::string> rewritten = ApplyPlan(plan, graph());
  EndPhase("rewrite", begin);
  if (!rewritten.ok()) {
    return LeaveAlone(rewritten.status().code() == StatusCode::kAborted
                          ? "nothing to do"
                          : "plan cannot be applied: " +
                                rewritten.status().message());
  }
  if (!InTime("rewrite")) return false;

  begin = Clock::now();
  VerifyOptions options = input_.verify;
  if (options.devices.empty() && config_.devices_exist) {
    for (const Device& device : config_.machine.devices) {
      options.devices.push_back(device.name);
    }
  }
  const Status verified = VerifyRewrite(graph(), *rewritten, options);
  EndPhase("verify", begin);
  if (!verified.ok()) {
    return LeaveAlone("refused by the verifier: " + verified.message());
  }
  if (!InTime("verify")) return false;

  report.outcome = "applied";
  report.applied = result_.applied = true;
  report.moved = plan.num_moved();
  report.groups = plan.num_groups();
  report.grouped_ops = static_cast<int32_t>(
      std::count_if(plan.fusion_group.begin(), plan.fusion_group.end(),
                    [](int32_t group) { return group >= 0; }));
  report.recomputed = plan.num_recomputed();
  report.ordered = static_cast<int32_t>(plan.order.size());
  report.nodes_after =
      CountNodes(*rewritten, std::numeric_limits<int32_t>::max());
  result_.graphdef = std::move(*rewritten);
  return true;
}

}  // namespace

int32_t CountNodes(std::string_view graphdef, int32_t limit) {
  WireReader reader(graphdef);
  WireField field;
  int32_t count = 0;
  while (count < limit && reader.Next(&field)) {
    if (field.number == 1 && field.type == WireType::kBytes) ++count;
  }
  return count;
}

OptimizeResult OptimizeGraph(const OptimizeInput& input, const Config& config) {
  OptimizeResult result;
  try {
    Optimization(input, config, &result).Run();
  } catch (const std::exception& e) {
    // Memory ran out, most likely.
    result.applied = result.report.applied = false;
    result.graphdef.clear();
    result.report.outcome = std::string("internal error: ") + e.what();
  }
  return result;
}

}  // namespace grappler_go
