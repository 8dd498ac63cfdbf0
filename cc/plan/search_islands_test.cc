#include "cc/plan/search_islands.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cc/plan/search_clusters.h"
#include "cc/plan/search_starts.h"
#include "cc/testing/two_chains.h"

namespace grappler_go {
namespace {

constexpr int kLength = 20;

class SearchIslandsTest : public ::testing::Test {
 protected:
  SearchIslandsTest()
      : bytes_(TwoChains(kLength)), graph_(*OpGraph::Parse(bytes_, {})) {
    options_.free_state = true;
    logits_.num_devices = 2;
    logits_.num_ops = graph_.num_ops();
    space_ = *MakeSearchSpace(graph_, machine_, logits_, options_);
    SearchRandom random(0);
    levels_ = ClusterLevels(space_, 1.0, &random);
  }
  // The first ops of both chains on the second GPU.
  SearchState Moved(int count) const {
    SearchState state;
    state.device = space_.home;
    for (const std::string chain : {"a", "b"}) {
      for (int k = 0; k < count; ++k) {
        state.device[space_.unit_of[graph_.find(chain + std::to_string(k))]] =
            1;
      }
    }
    return state;
  }
  Judged Of(SearchState state, double micros, double excess = 0) const {
    Judged judged;
    judged.state = std::move(state);
    judged.score = {excess, micros};
    return judged;
  }
  SearchJudge Judge(int32_t max_plans) const {
    return *SearchJudge::Create(space_, max_plans, 1,
                                SearchJudge::Clock::time_point::max());
  }
  std::unique_ptr<Refinement> NewRefinement() const {
    return std::make_unique<Refinement>(space_, levels_,
                                        std::vector<int32_t>{0, 1}, true, 7);
  }

  std::string bytes_;
  OpGraph graph_;
  Machine machine_ = TwoGpus();
  Logits logits_;
  PlanOptions options_;
  SearchSpace space_;
  std::vector<Clusters> levels_;
};

TEST_F(SearchIslandsTest, StartsAreTheBestOfThoseThatAreFarApart) {
  TriedStates tried;
  tried.Add(Of(Moved(10), 3.0));
  tried.Add(Of(Moved(0), 1.0));
  tried.Add(Of(Moved(1), 2.0));  // a twentieth of the work from the best
  tried.Add(Of(Moved(20), 0.5, 1e9));
  const std::vector<SearchState> starts = tried.FarApart(space_, 4);
  ASSERT_EQ(starts.size(), 2u) << "neither what is near nor what does not fit";
  EXPECT_EQ(starts[0].device, Moved(0).device);
  EXPECT_EQ(starts[1].device, Moved(10).device);
  EXPECT_EQ(tried.FarApart(space_, 1).size(), 1u);
}

TEST_F(SearchIslandsTest, TheBestOfManyIsKept) {
  TriedStates tried;
  for (int k = 0; k < 100; ++k) tried.Add(Of(Moved(k % 20), 100.0 - k));
  EXPECT_EQ(tried.FarApart(space_, 1)[0].device, Moved(99 % 20).device);
}

TEST_F(SearchIslandsTest, ProgressIsTheShareOfWhatWasLeft) {
  SearchJudge judge = Judge(10);
  ASSERT_TRUE(judge.Simulate({Moved(1), Moved(2)}).ok());
  const RefineBudget budget(judge, SearchJudge::Clock::time_point::max());
  EXPECT_EQ(budget.Progress(), 0.0);
  ASSERT_TRUE(judge.Simulate({Moved(3), Moved(4)}).ok());
  EXPECT_EQ(budget.Progress(), 0.25);
  const RefineBudget late(judge, SearchJudge::Clock::now());
  EXPECT_EQ(late.Progress(), 1.0) << "no time left";
}

class Refined {
 public:
  Refined(const TriedStates& tried, const SearchSpace& space, SearchJudge judge,
          std::function<std::unique_ptr<Refinement>()> make, Judged first) {
    refinement = make();
    refinement->Add(std::move(first));
    const Status status = RefineFromStarts(
        tried, space, SearchJudge::Clock::time_point::max(),
        [&] {
          ++made;
          return make();
        },
        [&](const Judged& one) {
          best = std::min(best, one.score.micros);
          ++noted;
        },
        &judge, &refinement);
    EXPECT_TRUE(status.ok()) << status.message();
    spent = judge.spent();
  }

  std::unique_ptr<Refinement> refinement;
  int made = 0, noted = 0, spent = 0;
  double best = 1e30;
};

TEST_F(SearchIslandsTest, SeveralStartsShareTheBudgetAndTheBestIsKept) {
  TriedStates tried;
  SearchJudge judge = Judge(1000);
  std::vector<Judged> starts = *judge.Simulate({Moved(0), Moved(5), Moved(10)});
  const Judged first = starts[0];
  for (const Judged& one : starts) tried.Add(one);
  const Refined refined(
      tried, space_, Judge(400), [&] { return NewRefinement(); }, first);
  EXPECT_EQ(refined.made, 3);
  EXPECT_LE(refined.spent, 400);
  EXPECT_GT(refined.noted, 100);
  EXPECT_EQ(refined.refinement->best().score.micros,
            std::min({refined.best, starts[0].score.micros,
                      starts[1].score.micros, starts[2].score.micros}));
  EXPECT_LT(refined.refinement->best().score.micros, first.score.micros);
}

TEST_F(SearchIslandsTest, WithFewPlansLeftItGoesOnFromTheBestAlone) {
  TriedStates tried;
  SearchJudge judge = Judge(1000);
  std::vector<Judged> starts = *judge.Simulate({Moved(0), Moved(10)});
  for (const Judged& one : starts) tried.Add(one);
  const Refined refined(
      tried, space_, Judge(100), [&] { return NewRefinement(); }, starts[0]);
  EXPECT_EQ(refined.made, 0);
  EXPECT_GT(refined.noted, 20);
}

}  // namespace
}  // namespace grappler_go
