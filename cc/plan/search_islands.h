// Refinement from several starts that are far apart. One that begins ahead need
// not end ahead, and a refinement hardly ever leaves the basin it began in.
#ifndef GRAPPLER_GO_PLAN_SEARCH_ISLANDS_H_
#define GRAPPLER_GO_PLAN_SEARCH_ISLANDS_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "cc/base/status.h"
#include "cc/plan/search_judge.h"
#include "cc/plan/search_refine.h"
#include "cc/plan/search_space.h"

namespace grappler_go {

// What may still be spent, in number of plans and in time, from now on.
class RefineBudget {
 public:
  using Clock = SearchJudge::Clock;

  // deadline: Clock::time_point::max(): there is none.
  RefineBudget(const SearchJudge& judge, Clock::time_point deadline)
      : judge_(judge),
        deadline_(deadline),
        begin_(Clock::now()),
        spent_(judge.spent()),
        left_(judge.left()) {}

  // The share of it that is spent, in [0, 1]: of plans or of time, of which
  // more is.
  double Progress() const;

 private:
  const SearchJudge& judge_;
  const Clock::time_point deadline_, begin_;
  const int32_t spent_, left_;
};

// States that were simulated, for StartsFarApart to choose from.
class TriedStates {
 public:
  void Add(const Judged& judged);
  // The best, and of the others those that differ from each of these in where
  // more than a tenth of the work is; all fit into memory. No more than
  // `count`.
  std::vector<SearchState> FarApart(const SearchSpace& space,
                                    int32_t count) const;

 private:
  struct Tried {
    SearchScore score;
    SearchState state;
  };
  std::vector<Tried> tried_;  // best first
};

// Refines until the judge has nothing left: first from several of the starts in
// turns, of which the better half goes on after each round (successive halving;
// Jamieson and Talwalkar, "Non-stochastic best arm identification and
// hyperparameter optimization", 2016), then from the best; alone from
// `refinement` where there is too little left for more than one.
//
// `new_refinement` makes one that knows no state. `note` hears of all that was
// simulated. `refinement` becomes the one with the best state.
Status RefineFromStarts(
    const TriedStates& tried, const SearchSpace& space,
    SearchJudge::Clock::time_point deadline,
    const std::function<std::unique_ptr<Refinement>()>& new_refinement,
    const std::function<void(const Judged&)>& note, SearchJudge* judge,
    std::unique_ptr<Refinement>* refinement);

}  // namespace grappler_go

#endif  // GRAPPLER_GO_PLAN_SEARCH_ISLANDS_H_
