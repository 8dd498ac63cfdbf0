#include <gtest/gtest.h>

#include <numeric>

#include "cc/graph/wire.h"
#include "cc/plan/build_plan.h"
#include "cc/plan/memory_margin.h"
#include "cc/plan/op_micros.h"
#include "cc/plan/recompute_search.h"
#include "cc/sim/liveness.h"
#include "cc/sim/op_memory.h"
#include "cc/testing/graph_builder.h"

namespace grappler_go {
namespace {

const GraphBuilder::Attrs kT = {{"T", TypeAttrValue(kFloat)}};
constexpr int64_t kTensor = 64 * 64 * 4;
constexpr int kLayers = 16;

// A training step: `layers` products with one variable, then the gradients,
// each of which reads its layer's forward output, and an update.
std::string TrainingStep(const std::string& forward_op = "Tanh") {
  GraphBuilder builder;
  builder.Arg("x", {64, 64}).VarArg("v", {64, 64});
  builder.Node("w", "ReadVariableOp", {"v"},
               {{"dtype", TypeAttrValue(kFloat)}});
  std::string last = "x";
  for (int i = 0; i < kLayers; ++i) {
    const std::string n = std::to_string(i);
    builder.Node("m" + n, "MatMul", {last, "w"}, kT);
    builder.Node("t" + n, forward_op, {"m" + n}, kT);
    last = "t" + n;
  }
  std::string gradient = last;
  for (int i = kLayers; i-- > 0;) {
    const std::string n = std::to_string(i);
    builder.Node("gradient_tape/t" + n, "TanhGrad", {"t" + n, gradient}, kT);
    builder.Node("gradient_tape/m" + n, "MatMul", {"gradient_tape/t" + n, "w"},
                 kT);
    gradient = "gradient_tape/m" + n;
  }
  return builder
      .Node("update", "AssignSubVariableOp", {"v", gradient},
            {{"dtype", TypeAttrValue(kFloat)}})
      .Build();
}

class DecideMemoryTest : public ::testing::Test {
 protected:
  void Parse(std::string bytes) {
    bytes_ = std::move(bytes);
    StatusOr<OpGraph> graph = OpGraph::Parse(bytes_, {});
    ASSERT_TRUE(graph.ok()) << graph.status().message();
    graph_ = std::move(*graph);
    logits_.num_ops = graph_.num_ops();
  }
  // Between the limit and what predictions are held to, without what is there
  // throughout.
  int64_t HalfOfTheMargin() const {
    const int64_t limit = options_.memory_limit;
    const int64_t target = MemoryTarget(options_, 0);
    return target + (limit - target) / 2 - Resident();
  }
  Plan Decide() {
    Plan plan;
    plan.fingerprint = graph_.fingerprint();
    plan.num_ops = graph_.num_ops();
    DecideMemory(graph_, Machine(), logits_, options_, &plan);
    const Status status = ValidatePlan(plan, graph_);
    EXPECT_TRUE(status.ok()) << status.message();
    EXPECT_EQ(plan.peak_bytes_after,
              Resident() + SimulateLiveness(graph_,
                                            ExecutionOrder(graph_, plan.order),
                                            plan.recompute)
                               .peak_bytes);
    return plan;
  }
  // The plan is what the search finds for that limit, without a margin.
  void ExpectFoundFor(int64_t limit, const Plan& plan) const {
    const Scratch<float> micros =
        EstimateOpMicros(graph_, Machine(), logits_).alone;
    const Recomputation found = SearchRecomputation(
        {graph_, micros, logits_.recompute, limit - Resident()});
    EXPECT_EQ(plan.recompute, found.recompute);
    EXPECT_EQ(plan.order, found.order);
  }
  static int64_t Below(int64_t limit) {
    return static_cast<int64_t>((1 - kPeakMargin) * static_cast<double>(limit));
  }
  // Arguments, variables and constants.
  int64_t Resident() const {
    const std::vector<int64_t> bytes = ResidentBytes(graph_);
    return std::accumulate(bytes.begin(), bytes.end(), int64_t{0});
  }

  std::string bytes_;
  OpGraph graph_;
  Logits logits_;
  PlanOptions options_;
};

TEST_F(DecideMemoryTest, WithoutALimitNothingIsRecomputed) {
  Parse(TrainingStep());
  const Plan plan = Decide();
  EXPECT_EQ(plan.num_recomputed(), 0);
  EXPECT_GE(plan.peak_bytes_before, kLayers * kTensor);
  EXPECT_EQ(plan.peak_bytes_after, plan.peak_bytes_before);
}

TEST_F(DecideMemoryTest, ALimitThatIsMetAlreadyChangesNothing) {
  Parse(TrainingStep());
  options_.memory_limit = Resident() + 100 * kTensor;
  EXPECT_EQ(Decide().num_recomputed(), 0);
}

TEST_F(DecideMemoryTest, RecomputesUntilThePredictedPeakIsUnderTheLimit) {
  Parse(TrainingStep());
  options_.memory_limit = Resident() + 12 * kTensor;
  const Plan plan = Decide();
  EXPECT_GT(plan.num_recomputed(), 0);
  EXPECT_LE(plan.peak_bytes_after, options_.memory_limit);
  for (int32_t i = 0; i < graph_.num_ops(); ++i) {
    if (plan.recompute[i]) {
      EXPECT_FALSE(graph_.has(i, kBackward));
    }
  }
}

TEST_F(DecideMemoryTest, ATighterLimitCostsMoreClones) {
  Parse(TrainingStep());
  options_.memory_limit = Resident() + 14 * kTensor;
  const int32_t few = Decide().num_recomputed();
  options_.memory_limit = Resident() + 10 * kTensor;
  EXPECT_GT(Decide().num_recomputed(), few);
}

TEST_F(DecideMemoryTest, UnderALimitThatMattersLargeTensorsTakeTurns) {
  Parse(TrainingStep());
  EXPECT_EQ(Decide().turn_bytes, 0) << "no limit was given";
  options_.memory_limit = Resident() + 12 * kTensor;
  EXPECT_EQ(Decide().turn_bytes, HalfOfTheMargin());
  // As long as the peak may be missed by as much as it may without an order.
  options_.memory_limit = Resident() + kLayers * kTensor * 3 / 2;
  const Plan plan = Decide();
  EXPECT_EQ(plan.num_recomputed(), 0);
  EXPECT_EQ(plan.turn_bytes, HalfOfTheMargin());
  options_.memory_limit = 100 * kLayers * kTensor;
  EXPECT_EQ(Decide().turn_bytes, 0);
}

TEST_F(DecideMemoryTest, ALimitMayBeAShareOfThePeak) {
  Parse(TrainingStep());
  const int64_t without = Decide().peak_bytes_before;
  options_.memory_fraction = 0.7;
  const Plan plan = Decide();
  EXPECT_GT(plan.num_recomputed(), 0);
  EXPECT_LE(plan.peak_bytes_after, 0.7 * without);
}

TEST_F(DecideMemoryTest, VariablesAndArgumentsCountTowardsTheLimit) {
  Parse(TrainingStep());
  const Plan plan = Decide();
  EXPECT_EQ(Resident(), 2 * kTensor);
  EXPECT_GE(plan.peak_bytes_before, (kLayers + 2) * kTensor);
}

TEST_F(DecideMemoryTest, ALimitOutOfReachGetsTheLeastThatIsReached) {
  Parse(TrainingStep());
  options_.memory_limit = 1;
  const StatusOr<Plan> plan =
      BuildPlan(graph_, Machine(), logits_, options_, nullptr);
  ASSERT_TRUE(plan.ok());
  EXPECT_LT(plan->peak_bytes_after, Resident() + 12 * kTensor);
  PlanExplanation why;
  ASSERT_TRUE(BuildPlan(graph_, Machine(), logits_, options_, &why).ok());
  EXPECT_NE(why.summary.find("the least that was reached"), std::string::npos)
      << why.summary;
}

TEST_F(DecideMemoryTest, PredictionsStayBelowTheLimitByTheMargin) {
  Parse(TrainingStep());
  options_.memory_limit = Resident() + 12 * kTensor;
  const Plan plan = Decide();
  EXPECT_LE(plan.peak_bytes_after, Below(options_.memory_limit));
  EXPECT_EQ(MarginText(plan, options_),
            "20 % or more below the limit, as predictions may be off by that");
}

TEST_F(DecideMemoryTest, AStepThatKeepsTheLimitByLessThanTheMarginIsChanged) {
  Parse(TrainingStep());
  options_.memory_limit = Decide().peak_bytes_before + 1;
  const Plan plan = Decide();
  EXPECT_GT(plan.num_recomputed(), 0);
  EXPECT_LE(plan.peak_bytes_after, Below(options_.memory_limit));
}

TEST_F(DecideMemoryTest, WhereTheMarginIsOutOfReachTheLimitIsKept) {
  Parse(TrainingStep());
  options_.memory_limit = 1;
  options_.memory_limit = Decide().peak_bytes_after;  // the least
  const Plan plan = Decide();
  ExpectFoundFor(Below(options_.memory_limit), plan);
  EXPECT_LE(plan.peak_bytes_after, options_.memory_limit);
  EXPECT_GT(plan.peak_bytes_after, Below(options_.memory_limit));
  EXPECT_EQ(MarginText(plan, options_),
            "below the limit, but not by the 20 % that predictions may be off "
            "by");
  PlanExplanation why;
  ASSERT_TRUE(BuildPlan(graph_, Machine(), logits_, options_, &why).ok());
  EXPECT_NE(why.summary.find("below the limit, but not by"), std::string::npos)
      << why.summary;
}

TEST_F(DecideMemoryTest, WhereTheLimitIsOutOfReachThereIsNoMargin) {
  Parse(TrainingStep());
  options_.memory_limit = Resident() + 2 * kTensor;
  const Plan plan = Decide();
  EXPECT_GT(plan.peak_bytes_after, options_.memory_limit);
  EXPECT_EQ(MarginText(plan, options_), "");
  ExpectFoundFor(options_.memory_limit, plan);
}

TEST_F(DecideMemoryTest, NothingIsSaidOfALimitThatTheStepKeepsByItself) {
  Parse(TrainingStep());
  EXPECT_EQ(MarginText(Decide(), options_), "") << "no limit was given";
  options_.memory_limit = Resident() + 100 * kTensor;
  EXPECT_EQ(MarginText(Decide(), options_), "");
}

TEST_F(DecideMemoryTest, RandomOpsAreNeverRunAgain) {
  // Dropout-like: what was drawn must be what the gradient sees.
  Parse(TrainingStep("RandomShuffle"));
  options_.memory_limit = 1;
  const Plan plan = Decide();
  for (size_t i = 0; i < plan.recompute.size(); ++i) {
    if (graph_.has(static_cast<int32_t>(i), kRandom)) {
      EXPECT_EQ(plan.recompute[i], 0);
    }
  }
}

TEST_F(DecideMemoryTest, WhatThePolicyAskedForComesFirst) {
  Parse(TrainingStep());
  logits_.recompute.assign(graph_.num_ops(), 0.0f);
  // t3 alone would keep m3 alive in its place.
  logits_.recompute[graph_.find("m3")] = 1.0f;
  logits_.recompute[graph_.find("t3")] = 1.0f;
  const int64_t without = Decide().peak_bytes_before;
  // A tensor has to go to keep the margin.
  options_.memory_limit = static_cast<int64_t>(
      static_cast<double>(without - kTensor) / (1 - kPeakMargin) + 1);
  const Plan plan = Decide();
  EXPECT_EQ(plan.num_recomputed(), 2);
  EXPECT_EQ(plan.recompute.at(graph_.find("m3")), 1);
  EXPECT_EQ(plan.recompute.at(graph_.find("t3")), 1);
}

TEST_F(DecideMemoryTest, WhatIsNeededLateWaitsRatherThanRunTwice) {
  // The squares need only their layer, which is kept anyway.
  GraphBuilder builder;
  builder.Arg("x", {64, 64});
  std::string last = "x";
  for (int i = 0; i < 8; ++i) {
    const std::string n = std::to_string(i);
    builder.Node("m" + n, "MatMul", {last, last}, kT);
    builder.Node("gradient_tape/s" + n, "Square", {"m" + n}, kT);
    last = "m" + n;
  }
  for (int i = 8; i-- > 0;) {
    const std::string n = std::to_string(i);
    builder.Node("gradient_tape/p" + n, "MatMul", {last, "m" + n}, kT);
    builder.Node("gradient_tape/g" + n, "Mul",
                 {"gradient_tape/p" + n, "gradient_tape/s" + n}, kT);
    last = "gradient_tape/g" + n;
  }
  Parse(builder.Retval("out", last).Build());
  EXPECT_TRUE(Decide().order.empty()) << "no limit was given";
  // As far as waiting gets.
  constexpr double kShare = 0.62;
  options_.memory_fraction = kShare / (1 - kPeakMargin);
  const Plan plan = Decide();
  EXPECT_LE(plan.peak_bytes_after, kShare * plan.peak_bytes_before);
  EXPECT_EQ(plan.num_recomputed(), 0);
  EXPECT_FALSE(plan.order.empty());
}

// Branches that all may start at once: without an order, all of their large
// tensors are alive together.
std::string Branches(bool with_loop = false) {
  GraphBuilder builder;
  builder.Arg("x", {64, 64}).IntConst("axes", {2}, {0, 1});
  std::vector<std::string> sums;
  for (int i = 0; i < 6; ++i) {
    const std::string n = std::to_string(i);
    builder.Node("big" + n, "MatMul", {"x", "x"}, kT);
    builder.Node("more" + n, "MatMul", {"big" + n, "big" + n}, kT);
    builder.Node("sum" + n, "Sum", {"more" + n, "axes"}, kT);
    sums.push_back("sum" + n);
  }
  if (with_loop) {
    builder.Node("enter", "Enter", {"x"}, kT)
        .Node("exit", "Exit", {"enter"}, kT);
  }
  return builder
      .Node("all", "AddN", sums,
            {{"T", TypeAttrValue(kFloat)}, {"N", IntAttrValue(6)}})
      .Retval("out", "all")
      .Build();
}

TEST_F(DecideMemoryTest, AScheduleThatLowersThePeakBecomesControlEdges) {
  Parse(Branches());
  EXPECT_TRUE(Decide().order.empty()) << "no schedule was given";
  // Depth first: what is nearer to the end goes first.
  for (int32_t i = 0; i < graph_.num_ops(); ++i) {
    logits_.schedule.push_back(static_cast<float>(graph_.depth(i)));
  }
  const Plan plan = Decide();
  EXPECT_FALSE(plan.order.empty());
  EXPECT_LE(plan.peak_bytes_after, Resident() + 3 * kTensor);
  EXPECT_GE(plan.peak_bytes_before, Resident() + 6 * kTensor);
}

TEST_F(DecideMemoryTest, NoOrderIsKeptWhereThereIsALoop) {
  Parse(Branches(/*with_loop=*/true));
  for (int32_t i = 0; i < graph_.num_ops(); ++i) {
    logits_.schedule.push_back(static_cast<float>(graph_.depth(i)));
  }
  EXPECT_TRUE(Decide().order.empty());
}

TEST_F(DecideMemoryTest, ArgumentsAndResultsAreNeverHeldBack) {
  // Scheduled as the last that reads a large tensor, each would be what the
  // next large tensor waits for.
  GraphBuilder builder;
  builder.Arg("x", {64, 64}).IntConst("axes", {2}, {0, 1});
  std::vector<std::string> sums;
  for (int i = 0; i < 6; ++i) {
    const std::string n = std::to_string(i);
    builder.Node("big" + n, "MatMul", {"x", "x"}, kT);
    builder.Node("more" + n, "MatMul", {"big" + n, "big" + n}, kT);
    builder.Node("sum" + n, "Sum", {"more" + n, "axes"}, kT);
    builder.Node("fed" + n, "PlaceholderWithDefault", {"more" + n},
                 {{"dtype", TypeAttrValue(kFloat)}});
    sums.push_back("sum" + n);
  }
  Parse(builder.Retval("kept", "more0")
            .Node("all", "AddN", sums,
                  {{"T", TypeAttrValue(kFloat)}, {"N", IntAttrValue(6)}})
            .Retval("out", "all")
            .Build());
  for (int32_t i = 0; i < graph_.num_ops(); ++i) {
    const bool last = graph_.has(i, kSource | kSink) && graph_.depth(i) > 0;
    logits_.schedule.push_back(static_cast<float>(graph_.depth(i)) -
                               (last ? 0.5f : 0.0f));
  }
  const Plan plan = Decide();  // which a rule of ValidatePlan would refuse
  EXPECT_FALSE(plan.order.empty());
  for (const auto& [before, after] : plan.order) {
    EXPECT_FALSE(graph_.has(before, kSource | kSink)) << graph_.name(before);
    EXPECT_FALSE(graph_.has(after, kSource | kSink)) << graph_.name(after);
  }
}

TEST_F(DecideMemoryTest, AScheduleThatDoesNotLowerThePeakIsLeftOut) {
  Parse(Branches());
  for (int32_t i = 0; i < graph_.num_ops(); ++i) {
    logits_.schedule.push_back(static_cast<float>(-graph_.depth(i)));
  }
  EXPECT_TRUE(Decide().order.empty());
}

}  // namespace
}  // namespace grappler_go
