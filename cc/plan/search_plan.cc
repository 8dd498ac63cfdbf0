#include "cc/plan/search_plan.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>
#include <optional>
#include <utility>

#include "cc/plan/policy_cut.h"
#include "cc/plan/search_clusters.h"
#include "cc/plan/search_islands.h"
#include "cc/plan/search_judge.h"
#include "cc/plan/search_refine.h"
#include "cc/plan/search_space.h"
#include "cc/plan/search_starts.h"

namespace grappler_go {
namespace {

using Clock = SearchJudge::Clock;

// How dear a transfer is in the cuts that a search begins with.
constexpr double kCutWeights[] = {0.1, 0.3, 1.0, 3.0};
// In how many stretches of the graph each of them has the devices share work.
constexpr int32_t kCutWindows[] = {1, 8};
// Which devices get more than their part where layers are large.
constexpr double kLayerReaches[] = {0.0, 0.5, 1.0};
// How much a policy's opinion weighs in those that ask it.
constexpr double kPolicyWeights[] = {0.1, 0.5};
// A policy whose best plan takes longer than this share of the best without it
// is not asked again: it costs plans, and leads astray.
constexpr double kNear = 1.05;
// Batches of cuts by the setting that has given the best.
constexpr int32_t kMoreCuts = 4;
// Memory that is aimed at when a plan does not fit, of what it takes.
constexpr double kMemoryShares[] = {0.8, 0.6, 0.4};

class Search {
 public:
  Search(const SearchSpace& space, const SearchOptions& options,
         SearchJudge judge, Clock::time_point begin, Clock::time_point deadline,
         SearchTrace* trace)
      : space_(space),
        options_(options),
        judge_(std::move(judge)),
        begin_(begin),
        deadline_(deadline),
        trace_(*trace),
        random_(options.seed),
        devices_(UsedDevices(space)) {}

  StatusOr<Plan> Run();

 private:
  double Millis() const {
    return std::chrono::duration<double, std::milli>(Clock::now() - begin_)
        .count();
  }
  SearchState Start(UnitDevices device, const char* maker) const;
  void AddRules(SearchState* state) const;
  double Jitter() { return std::exp(1.5 * (random_.Uniform() - 0.5)); }
  // Simulates as many as there is budget for and keeps what is good.
  // `lowest`: lowered to the best score among them.
  Status Try(std::vector<SearchState> states,
             std::optional<SearchScore>* lowest = nullptr);
  // For the trace, if it is the best so far.
  void Note(const Judged& judged);
  Status DoNothing();
  Status TryPolicysGuess();
  Status TryPolicy();
  Status TryCheapPlans();
  // How MultilevelCut is asked.
  struct CutSetting {
    std::vector<int32_t> devices;
    AnnealOptions anneal;
  };
  Status TryCuts(const std::vector<CutSetting>& settings, CutSetting* best,
                 std::optional<SearchScore>* lowest = nullptr);
  Status MoreCuts(CutSetting best);
  Status TryRules();
  Status TryMemory();
  Status Refine();
  void MakeLevels();
  std::unique_ptr<Refinement> NewRefinement();
  Plan Result() const;

  const SearchSpace& space_;
  const SearchOptions& options_;
  SearchJudge judge_;
  const Clock::time_point begin_, deadline_;
  SearchTrace& trace_;
  SearchRandom random_;
  const std::vector<int32_t> devices_;  // that units may choose
  std::vector<Clusters> levels_;
  std::unique_ptr<Refinement> refinement_;
  TriedStates tried_;
  std::optional<SearchScore> best_;
  bool asks_policy_ = true;
  Judged nothing_;
  bool has_nothing_ = false;
  std::optional<SearchScore> policys_best_;  // of its guess and its cuts
};

void Search::AddRules(SearchState* state) const {
  if (!space_.free_state()) {
    const bool fuses = space_.options.fusion && !space_.logits->fusion.empty();
    if (fuses) state->fusion = FusionRule::kDecided;
    return;
  }
  if (!space_.fuses.empty()) state->fusion = FusionRule::kLevels;
  // The policy's own are among the other rules (TryRules).
  if (options_.schedule) state->priority = Priority::kCriticalPath;
}

SearchState Search::Start(UnitDevices device, const char* maker) const {
  SearchState state;
  state.device = std::move(device);
  state.maker = maker;
  AddRules(&state);
  return state;
}

void Search::Note(const Judged& judged) {
  if (best_ && !(judged.score < *best_)) return;
  best_ = judged.score;
  const bool fits = judged.score.excess_bytes <= 0;
  trace_.best.push_back({judge_.spent(), Millis(), judged.score.micros, fits,
                         judged.state.maker});
}

Status Search::Try(std::vector<SearchState> states,
                   std::optional<SearchScore>* lowest) {
  states.erase(std::remove_if(states.begin(), states.end(),
                              [&](const SearchState& state) {
                                return !refinement_->IsNew(state);
                              }),
               states.end());
  for (size_t first = 0; first < states.size() && judge_.HasLeft();
       first += kSearchBatch) {
    std::vector<SearchState> batch(
        std::make_move_iterator(states.begin() +
                                static_cast<std::ptrdiff_t>(first)),
        std::make_move_iterator(states.begin() +
                                static_cast<std::ptrdiff_t>(std::min(
                                    states.size(), first + kSearchBatch))));
    StatusOr<std::vector<Judged>> judged = judge_.Simulate(std::move(batch));
    if (!judged.ok()) return judged.status();
    for (Judged& one : *judged) {
      if (lowest != nullptr && (!*lowest || one.score < **lowest)) {
        *lowest = one.score;
      }
      Note(one);
      tried_.Add(one);
      refinement_->Add(std::move(one));
    }
  }
  return OkStatus();
}

Status Search::DoNothing() {
  SearchState home;
  home.device = space_.home;
  home.maker = "do nothing";
  StatusOr<std::vector<Judged>> judged = judge_.Simulate({home});
  if (!judged.ok()) return judged.status();
  if (judged->empty()) return OkStatus();  // no budget at all
  nothing_ = std::move(judged->front());
  has_nothing_ = true;
  Note(nothing_);
  return OkStatus();
}

std::unique_ptr<Refinement> Search::NewRefinement() {
  auto refinement = std::make_unique<Refinement>(
      space_, levels_, devices_, options_.schedule, random_.Next());
  refinement->AskPolicy(asks_policy_);
  return refinement;
}

void Search::MakeLevels() {
  // Of what the step takes on one device beside what stays there, every unit
  // has its share by what it returns: not all of it is alive at once.
  double outputs = 1, peak = 0;
  for (double bytes : space_.output_bytes) outputs += bytes;
  for (const DeviceUse& use : nothing_.simulation.devices) {
    peak += static_cast<double>(use.peak_bytes - use.resident_bytes);
  }
  levels_ = ClusterLevels(space_, peak / outputs, &random_);
}

// First, whatever the budget.
Status Search::TryPolicysGuess() {
  if (space_.score.empty() || space_.movable.empty()) return OkStatus();
  std::vector<SearchState> guesses = {
      Start(MultilevelCut(space_, levels_, devices_, PolicyArgmax(space_),
                          PolicyCutOptions(), &random_),
            "policy's cut"),
      Start(PolicyArgmax(space_), "policy")};
  for (SearchState& guess : guesses) {
    if (options_.schedule && space_.free_state() &&
        !space_.logits->schedule.empty()) {
      guess.priority = Priority::kPolicy;
    }
    if (!space_.policy_fuses.empty()) guess.fusion = FusionRule::kPolicy;
  }
  return Try(std::move(guesses), &policys_best_);
}

// After the cheap plans, which are there to compare it with. The guess may be
// the best of all: then it is near them.
Status Search::TryPolicy() {
  if (space_.score.empty() || space_.movable.empty()) return OkStatus();
  const SearchScore others = refinement_->best().score;
  std::vector<CutSetting> settings;
  for (double weight : kPolicyWeights) {
    for (int32_t windows : kCutWindows) {
      settings.push_back({devices_, {}});
      settings.back().anneal.policy_weight = weight;
      settings.back().anneal.windows = windows;
    }
  }
  CutSetting best;
  GO_RETURN_IF_ERROR(TryCuts(settings, &best, &policys_best_));
  const bool is_near = policys_best_ &&
                       policys_best_->excess_bytes <= others.excess_bytes &&
                       policys_best_->micros <= kNear * others.micros;
  asks_policy_ = is_near;
  refinement_->AskPolicy(is_near);
  if (!is_near) return OkStatus();
  std::vector<SearchState> states;
  int32_t stretches = 1;
  for (int32_t k = 0; k < options_.samples; ++k) {
    // From whole graphs to some hundred stretches, and again.
    stretches = stretches > 256 ? 1 : stretches * 4;
    states.push_back(
        Start(PolicySample(space_, options_.temperature, stretches, &random_),
              "sample of the policy"));
  }
  trace_.policy_samples = static_cast<int32_t>(states.size());
  GO_RETURN_IF_ERROR(Try(std::move(states)));
  return best.devices.empty() ? OkStatus() : MoreCuts(best);
}

Status Search::TryCheapPlans() {
  std::vector<SearchState> states = {Start(space_.home, "as it stands")};
  if (space_.movable.empty()) return Try(std::move(states));
  std::vector<int32_t> kinds_seen;
  for (int32_t d : devices_) {
    const int32_t kind = space_.kind[d];
    if (std::find(kinds_seen.begin(), kinds_seen.end(), kind) !=
        kinds_seen.end()) {
      continue;
    }
    kinds_seen.push_back(kind);
    states.push_back(Start(OnOneDevice(space_, d), "one device"));
  }
  GO_RETURN_IF_ERROR(Try(std::move(states)));
  states.clear();
  for (const Clusters& level : levels_) {
    if (!judge_.HasLeft()) return OkStatus();
    states.push_back(Start(ListSchedule(space_, level), "list schedule"));
  }
  GO_RETURN_IF_ERROR(Try(std::move(states)));
  const std::vector<int32_t> layers = LayersOf(space_, levels_.back());
  CutSetting best;
  for (size_t count = devices_.size(); count >= 2;
       count = count > 2 ? (count + 1) / 2 : 0) {
    std::vector<CutSetting> settings;
    const std::vector<int32_t> some(
        devices_.begin(),
        devices_.begin() + static_cast<std::ptrdiff_t>(count));
    for (int32_t windows : kCutWindows) {
      for (double weight : kCutWeights) {
        AnnealOptions anneal;
        anneal.cut_weight = weight;
        anneal.windows = windows;
        settings.push_back({some, anneal});
      }
    }
    if (!judge_.HasLeft()) return OkStatus();
    std::vector<SearchState> cuts = {
        Start(ContiguousCut(space_, some), "contiguous cut")};
    for (double reach : kLayerReaches) {
      cuts.push_back(
          Start(LayerCut(space_, layers, some, reach), "cut between layers"));
    }
    GO_RETURN_IF_ERROR(Try(std::move(cuts)));
    GO_RETURN_IF_ERROR(TryCuts(settings, &best));
  }
  return best.devices.empty() ? OkStatus() : MoreCuts(best);
}

// No two cuts are alike, and which ones suit is known now.
Status Search::MoreCuts(CutSetting best) {
  for (int32_t k = 0; k < kMoreCuts; ++k) {
    std::vector<CutSetting> settings(kSearchBatch, best);
    for (CutSetting& setting : settings) {
      setting.anneal.cut_weight *= Jitter();
      setting.anneal.policy_weight *= Jitter();
      setting.anneal.windows = std::max(
          1,
          static_cast<int32_t>(std::lround(setting.anneal.windows * Jitter())));
    }
    GO_RETURN_IF_ERROR(TryCuts(settings, &best));
  }
  return OkStatus();
}

// `best` becomes that of them which gave the best plan so far, if one did.
Status Search::TryCuts(const std::vector<CutSetting>& settings,
                       CutSetting* best, std::optional<SearchScore>* lowest) {
  for (size_t first = 0; first < settings.size(); first += kSearchBatch) {
    const size_t end = std::min(settings.size(), first + kSearchBatch);
    std::vector<SearchState> states;
    for (size_t k = first; k < end; ++k) {
      if (!judge_.HasLeft()) return OkStatus();
      const CutSetting& setting = settings[k];
      const bool asks_policy = setting.anneal.policy_weight > 0;
      const UnitDevices start = asks_policy
                                    ? PolicyArgmax(space_)
                                    : ContiguousCut(space_, setting.devices);
      states.push_back(Start(MultilevelCut(space_, levels_, setting.devices,
                                           start, setting.anneal, &random_),
                             asks_policy ? "policy's cut" : "annealed cut"));
    }
    std::vector<UnitDevices> cuts;
    for (const SearchState& state : states) cuts.push_back(state.device);
    GO_RETURN_IF_ERROR(Try(std::move(states), lowest));
    for (size_t k = 0; k < cuts.size(); ++k) {
      if (cuts[k] == refinement_->best().state.device) {
        *best = settings[first + k];
      }
    }
  }
  return OkStatus();
}

// The other groups and priorities for the best placement so far.
Status Search::TryRules() {
  if (!space_.free_state()) return OkStatus();
  std::vector<SearchState> states;
  const SearchState& best = refinement_->best().state;
  std::vector<FusionRule> rules = {FusionRule::kNone};
  if (!space_.fuses.empty()) {
    rules = {FusionRule::kNone, FusionRule::kChains, FusionRule::kLevels};
  }
  if (!space_.policy_fuses.empty()) rules.push_back(FusionRule::kPolicy);
  std::vector<Priority> priorities = {Priority::kFirstReady};
  if (options_.schedule) priorities.push_back(Priority::kCriticalPath);
  if (options_.schedule && !space_.logits->schedule.empty()) {
    priorities.push_back(Priority::kPolicy);
  }
  for (FusionRule rule : rules) {
    for (Priority priority : priorities) {
      if (rule == best.fusion && priority == best.priority) continue;
      SearchState state = best;
      state.fusion = rule;
      state.priority = priority;
      state.maker = "other rules";
      states.push_back(std::move(state));
    }
  }
  return Try(std::move(states));
}

// What DecideMemory finds for several limits, where the best plan does not fit.
Status Search::TryMemory() {
  if (!space_.options.memory || refinement_->best().score.excess_bytes <= 0) {
    return OkStatus();
  }
  const Judged& best = refinement_->best();
  std::vector<SearchState> states;
  for (double share : kMemoryShares) {
    if (!judge_.HasLeft()) break;
    Plan plan;
    plan.num_ops = space_.graph->num_ops();
    PlanOptions options = space_.options;
    int64_t peak = 0;
    for (const DeviceUse& use : best.simulation.devices) {
      peak = std::max(peak, use.peak_bytes - use.resident_bytes);
    }
    options.memory_limit = std::max<int64_t>(
        1, static_cast<int64_t>(share * static_cast<double>(peak)));
    Logits willing = *space_.logits;
    if (willing.recompute.empty()) {
      willing.recompute.assign(plan.num_ops, 0.0f);
    }
    DecideMemory(*space_.graph, *space_.machine, willing, options, &plan);
    // Held back for one device, ops would wait for others without need, and
    // the groups of kChains and kLevels know nothing of it.
    if (space_.num_devices > 1 || space_.free_state()) {
      plan.order.clear();
      plan.turn_bytes = 0;
    }
    if (plan.num_recomputed() == 0 && plan.order.empty()) continue;
    SearchState state = best.state;
    state.memory = std::make_shared<const Plan>(std::move(plan));
    state.maker = "recomputation";
    states.push_back(std::move(state));
  }
  return Try(std::move(states));
}

Status Search::Refine() {
  if (!refinement_->can_move()) return OkStatus();
  return RefineFromStarts(
      tried_, space_, deadline_, [this] { return NewRefinement(); },
      [this](const Judged& judged) { Note(judged); }, &judge_, &refinement_);
}

Plan Search::Result() const {
  auto peak_of = [](const Judged& judged) {
    int64_t peak = 0;
    for (const DeviceUse& use : judged.simulation.devices) {
      peak = std::max(peak, use.peak_bytes);
    }
    return peak;
  };
  const Judged& best = refinement_ == nullptr ? nothing_ : refinement_->best();
  SearchState state = best.state;
  if (!has_nothing_) state.device = space_.home;
  Plan plan = judge_.PlanOf(state);
  if (!has_nothing_) return plan;
  plan.micros_before = nothing_.score.micros;
  plan.peak_bytes_before = peak_of(nothing_);
  plan.micros_after = best.score.micros;
  plan.peak_bytes_after = peak_of(best);
  return plan;
}

StatusOr<Plan> Search::Run() {
  if (space_.graph->num_ops() == 0) return Result();
  GO_RETURN_IF_ERROR(DoNothing());
  if (has_nothing_) {
    MakeLevels();
    refinement_ = NewRefinement();
    (void)refinement_->IsNew(nothing_.state);
    refinement_->Add(nothing_);
    GO_RETURN_IF_ERROR(TryPolicysGuess());
    GO_RETURN_IF_ERROR(TryCheapPlans());
    GO_RETURN_IF_ERROR(TryPolicy());
    GO_RETURN_IF_ERROR(TryRules());
    GO_RETURN_IF_ERROR(TryMemory());
    GO_RETURN_IF_ERROR(Refine());
  }
  trace_.plans = judge_.spent();
  trace_.millis = Millis();
  return Result();
}

}  // namespace

StatusOr<Plan> SearchPlan(const OpGraph& graph, const Machine& machine,
                          const Logits& logits, const PlanOptions& options,
                          const SearchOptions& search, SearchTrace* trace) {
  const Clock::time_point begin = Clock::now();
  const Clock::time_point deadline =
      search.budget_ms > 0 ? begin + std::chrono::milliseconds(search.budget_ms)
                           : Clock::time_point::max();
  GO_RETURN_IF_ERROR(ValidateLogits(
      logits, graph.num_ops(), static_cast<int32_t>(machine.devices.size())));
  StatusOr<SearchSpace> space =
      MakeSearchSpace(graph, machine, logits, options);
  if (!space.ok()) return space.status();
  StatusOr<SearchJudge> judge =
      SearchJudge::Create(*space, search.max_plans, search.threads, deadline);
  if (!judge.ok()) return judge.status();
  SearchTrace unused;
  SearchTrace* const out = trace != nullptr ? trace : &unused;
  *out = SearchTrace();
  return Search(*space, search, std::move(*judge), begin, deadline, out).Run();
}

}  // namespace grappler_go
