#include "cc/plan/search_islands.h"

#include <algorithm>
#include <utility>

namespace grappler_go {
namespace {

// States that are kept to choose starts from.
constexpr size_t kMostTried = 32;
constexpr double kFarApart = 0.1;  // of the work
constexpr int32_t kIslands = 4;
// Plans for each, or it has hardly begun when it is judged.
constexpr int32_t kLeastPlans = 60;
// Of the budget, until one is left.
constexpr double kIslandsShare = 0.5;

class Islands {
 public:
  Islands(const RefineBudget& budget,
          const std::function<void(const Judged&)>& note, SearchJudge* judge)
      : budget_(budget), note_(note), judge_(*judge) {}

  // `until`: of the budget.
  Status Refine(Refinement* refinement, double until) {
    while (judge_.HasLeft()) {
      const double progress = budget_.Progress();
      if (progress >= until) break;
      std::vector<SearchState> states =
          refinement->Propose(kSearchBatch, progress);
      if (states.empty()) break;
      StatusOr<std::vector<Judged>> judged = judge_.Simulate(std::move(states));
      if (!judged.ok()) return judged.status();
      for (const Judged& one : *judged) note_(one);
      refinement->Learn(std::move(*judged), progress);
    }
    return OkStatus();
  }

  Status Halve(std::vector<std::unique_ptr<Refinement>>* islands) {
    int32_t rounds = 0;
    for (size_t k = islands->size(); k > 1; k = (k + 1) / 2) ++rounds;
    double until = 0;
    while (islands->size() > 1) {
      const double turn =
          kIslandsShare / rounds / static_cast<double>(islands->size());
      for (const std::unique_ptr<Refinement>& island : *islands) {
        until += turn;
        GO_RETURN_IF_ERROR(Refine(island.get(), until));
      }
      std::stable_sort(islands->begin(), islands->end(),
                       [](const std::unique_ptr<Refinement>& a,
                          const std::unique_ptr<Refinement>& b) {
                         return a->best().score < b->best().score;
                       });
      islands->resize((islands->size() + 1) / 2);
    }
    return OkStatus();
  }

 private:
  const RefineBudget& budget_;
  const std::function<void(const Judged&)>& note_;
  SearchJudge& judge_;
};

}  // namespace

double RefineBudget::Progress() const {
  double progress =
      static_cast<double>(judge_.spent() - spent_) / std::max(1, left_);
  if (deadline_ != Clock::time_point::max()) {
    const std::chrono::duration<double> all = deadline_ - begin_;
    const std::chrono::duration<double> spent = Clock::now() - begin_;
    progress = std::max(progress, spent / std::max(all, spent));
  }
  return std::min(progress, 1.0);
}

void TriedStates::Add(const Judged& judged) {
  const auto at = std::upper_bound(
      tried_.begin(), tried_.end(), judged.score,
      [](const SearchScore& a, const Tried& b) { return a < b.score; });
  if (at == tried_.end() && tried_.size() == kMostTried) return;
  tried_.insert(at, {judged.score, judged.state});
  if (tried_.size() > kMostTried) tried_.pop_back();
}

std::vector<SearchState> TriedStates::FarApart(const SearchSpace& space,
                                               int32_t count) const {
  const auto work = [&](int32_t unit) {
    return space.micros[static_cast<size_t>(unit) * space.num_devices];
  };
  double all = 0;
  for (int32_t u : space.movable) all += work(u);
  std::vector<SearchState> starts;
  for (const Tried& tried : tried_) {
    if (tried.score.excess_bytes > 0) break;
    if (static_cast<int32_t>(starts.size()) == count) break;
    const bool is_far = std::all_of(
        starts.begin(), starts.end(), [&](const SearchState& start) {
          double elsewhere = 0;
          for (int32_t u : space.movable) {
            if (tried.state.device[u] != start.device[u]) elsewhere += work(u);
          }
          return elsewhere > kFarApart * all;
        });
    if (is_far) starts.push_back(tried.state);
  }
  return starts;
}

Status RefineFromStarts(
    const TriedStates& tried, const SearchSpace& space,
    SearchJudge::Clock::time_point deadline,
    const std::function<std::unique_ptr<Refinement>()>& new_refinement,
    const std::function<void(const Judged&)>& note, SearchJudge* judge,
    std::unique_ptr<Refinement>* refinement) {
  const RefineBudget budget(*judge, deadline);
  Islands search(budget, note, judge);
  const int32_t count = std::min(kIslands, judge->ExpectedLeft() / kLeastPlans);
  std::vector<SearchState> starts;
  if (count > 1) starts = tried.FarApart(space, count);
  if (starts.size() > 1) {
    // Again: of what was simulated before, only the best one's timeline is
    // there.
    StatusOr<std::vector<Judged>> judged = judge->Simulate(std::move(starts));
    if (!judged.ok()) return judged.status();
    std::vector<std::unique_ptr<Refinement>> islands;
    for (Judged& one : *judged) {
      islands.push_back(new_refinement());
      islands.back()->Add(std::move(one));
    }
    GO_RETURN_IF_ERROR(search.Halve(&islands));
    if (!islands.empty()) *refinement = std::move(islands.front());
  }
  return search.Refine(refinement->get(), 1.0);
}

}  // namespace grappler_go
