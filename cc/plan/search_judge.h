// States of a search over plans, and what the simulator says of them.
#ifndef GRAPPLER_GO_PLAN_SEARCH_JUDGE_H_
#define GRAPPLER_GO_PLAN_SEARCH_JUDGE_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "cc/base/status.h"
#include "cc/plan/plan.h"
#include "cc/plan/search_space.h"
#include "cc/sim/simulator.h"

namespace grappler_go {

// How a state's groups come about. They are worked out anew for each placement,
// so that they stay on one device each.
enum class FusionRule : uint8_t {
  kNone,
  // With free state, on accelerators. Chains: an op with one reader joins it,
  // so that nothing waits for more than before. Levels: all that is connected,
  // by GroupByLevel.
  kChains,
  kLevels,
  // kLevels, of the ops that the policy would not leave alone.
  kPolicy,
  // DecideFusion, with all of its caution: for programs.
  kDecided,
};

enum class Priority : uint8_t {
  kFirstReady,    // none
  kCriticalPath,  // longest way to the end of the step, transfers included
  kPolicy,        // Logits::schedule
};

struct SearchState {
  std::vector<int32_t> device;  // [num_units]
  FusionRule fusion = FusionRule::kNone;
  // [num_units] 1: its ops are grouped by the other of kChains and kLevels; so
  // groups are split and merged here and there. Null: none are.
  std::shared_ptr<const std::vector<uint8_t>> other_fusion;
  Priority priority = Priority::kFirstReady;
  // Null: nothing. Plan::recompute and Plan::order of DecideMemory.
  std::shared_ptr<const Plan> memory;
  std::string maker;  // for the trace: "policy", "one device" ...
};

// What is compared: what fits comes before what does not, and of that what
// needs least memory too much.
struct SearchScore {
  double excess_bytes = 0;  // over all devices, beyond their memory
  double micros = 0;

  bool operator<(const SearchScore& other) const {
    return excess_bytes != other.excess_bytes
               ? excess_bytes < other.excess_bytes
               : micros < other.micros;
  }
};

struct Judged {
  SearchState state;
  SearchScore score;
  Simulation simulation;       // with its timeline
  std::vector<int32_t> group;  // as StepInput::group
};

// States that are simulated side by side, and no number of threads: results do
// not depend on that.
constexpr int32_t kSearchBatch = 4;

class SearchJudge {
 public:
  using Clock = std::chrono::steady_clock;

  // `space` must outlive the judge. max_plans: simulations, all together.
  static StatusOr<SearchJudge> Create(const SearchSpace& space,
                                      int32_t max_plans, int32_t threads,
                                      Clock::time_point deadline);

  // Simulates the first of the states, as many as the budget allows, side by
  // side; the results do not depend on the number of threads. Where time runs
  // out, fewer come back than could be simulated.
  StatusOr<std::vector<Judged>> Simulate(std::vector<SearchState> states);

  int32_t spent() const { return spent_; }
  // Is there budget for another plan, in number and, going by the longest so
  // far, in time?
  bool HasLeft() const;
  int32_t left() const { return max_plans_ - spent_; }
  // As many as time allows, too, if each takes as long as the longest so far.
  int32_t ExpectedLeft() const;

  // The state as a plan, predictions aside.
  Plan PlanOf(const SearchState& state) const;

 private:
  SearchJudge(const SearchSpace& space, Simulator simulator)
      : space_(&space), simulator_(std::move(simulator)) {}

  StatusOr<Judged> SimulateOne(SearchState state) const;
  SearchScore ScoreOf(const Simulation& simulation) const;
  std::vector<int32_t> DeviceOfOps(const SearchState& state) const;
  OpMicros MicrosOf(std::vector<int32_t> device) const;
  std::vector<int32_t> GroupsOf(const SearchState& state,
                                const OpMicros& micros) const;
  std::vector<float> PriorityOf(const SearchState& state,
                                const std::vector<float>& micros,
                                const std::vector<int32_t>& device) const;

  const SearchSpace* space_;
  Simulator simulator_;
  int32_t max_plans_ = 0, threads_ = 0, spent_ = 0;
  Clock::time_point deadline_;
  Clock::duration longest_{};
};

}  // namespace grappler_go

#endif  // GRAPPLER_GO_PLAN_SEARCH_JUDGE_H_
