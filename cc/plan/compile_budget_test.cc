#include "cc/plan/compile_budget.h"

#include <gtest/gtest.h>

#include <string>

#include "cc/graph/wire.h"
#include "cc/testing/graph_builder.h"

namespace grappler_go {
namespace {

// Two chains that share nothing, of 10 and of 400 ops.
class CompileBudgetTest : public ::testing::Test {
 protected:
  CompileBudgetTest() {
    GraphBuilder builder;
    for (const auto& [name, length] : {std::pair{"short", 10}, {"long", 400}}) {
      std::string last = std::string(name) + "_x";
      builder.Arg(last, {64, 64});
      for (int i = 0; i < length; ++i) {
        const std::string node = name + std::to_string(i);
        builder.Node(node, "Tanh", {last}, {{"T", TypeAttrValue(kFloat)}},
                     "/job:a/replica:0/task:0/device:CPU:0");
        last = node;
      }
      builder.Retval(std::string(name) + "_y", last);
    }
    bytes_ = builder.Build();
    StatusOr<OpGraph> graph = OpGraph::Parse(bytes_, {});
    EXPECT_TRUE(graph.ok());
    graph_ = std::move(*graph);
    const int32_t n = graph_.num_ops();
    micros_.alone = Scratch<float>(n, 50.0f);
    micros_.compiled = Scratch<float>(n, 5.0f);
    groups_.of_op.assign(n, -1);
    groups_.count = 2;
    for (int i = 0; i < 10; ++i) Op(groups_.of_op, "short", i) = 0;
    for (int i = 0; i < 400; ++i) Op(groups_.of_op, "long", i) = 1;
    reason_.assign(n, Reason::kNone);
  }
  template <typename T>
  T& Op(std::vector<T>& of_op, const char* chain, int i) {
    return of_op.at(graph_.find(chain + std::to_string(i)));
  }
  double Keep(double budget) {
    options_.compile_budget_s = budget;
    return KeepWithinCompileBudget(graph_, micros_, options_, &groups_,
                                   &reason_);
  }

  std::string bytes_;
  OpGraph graph_;
  OpMicros micros_;
  PlanOptions options_;
  FusionGroups groups_;
  std::vector<Reason> reason_;
};

TEST_F(CompileBudgetTest, ALargerGroupTakesLongerAndMoreThanItsShare) {
  EXPECT_GT(CompileSeconds(2000), 2 * CompileSeconds(1000));
  EXPECT_LT(CompileSeconds(1000), 2 * CompileSeconds(999));
}

// The table in the header; a factor of two is what it promises.
TEST_F(CompileBudgetTest, IsNearWhatWasMeasured) {
  const auto near = [](double predicted, double measured) {
    return predicted > measured / 2 && predicted < measured * 2;
  };
  EXPECT_TRUE(near(CompileSeconds(27), 0.11));
  EXPECT_TRUE(near(CompileSeconds(956), 1.6));
  EXPECT_TRUE(near(CompileSeconds(1300) + CompileSeconds(66), 1.7));
}

TEST_F(CompileBudgetTest, WhatFitsInStays) {
  const double all = CompileSeconds(10) + CompileSeconds(400);
  EXPECT_DOUBLE_EQ(Keep(all), all);
  EXPECT_EQ(groups_.count, 2);
}

TEST_F(CompileBudgetTest, TheGroupThatGainsLeastForItsSecondsIsLeftOut) {
  for (int i = 0; i < 10; ++i) {
    micros_.compiled[graph_.find("short" + std::to_string(i))] = 49.0f;
  }
  EXPECT_DOUBLE_EQ(Keep(CompileSeconds(400)), CompileSeconds(400));
  EXPECT_EQ(groups_.count, 1);
  EXPECT_EQ(Op(groups_.of_op, "long", 0), 0);
  EXPECT_EQ(Op(groups_.of_op, "short", 0), -1);
  EXPECT_EQ(Op(reason_, "short", 0), Reason::kCompileBudget);
  EXPECT_EQ(Op(reason_, "long", 0), Reason::kNone);
}

TEST_F(CompileBudgetTest, ASmallGroupFitsInWhereTheBestDoesNot) {
  Keep(CompileSeconds(10));
  EXPECT_EQ(groups_.count, 1);
  EXPECT_EQ(Op(groups_.of_op, "short", 0), 0);
  EXPECT_EQ(Op(groups_.of_op, "long", 0), -1);
}

TEST_F(CompileBudgetTest, WithoutABudgetNothingIsCompiled) {
  EXPECT_EQ(Keep(0), 0);
  EXPECT_EQ(groups_.count, 0);
}

TEST_F(CompileBudgetTest, APlanSaysWhatWasLeftOut) {
  Logits logits;
  logits.num_ops = graph_.num_ops();
  logits.fusion.assign(graph_.num_ops(), 1.0f);
  logits.op_micros.assign(graph_.num_ops(), 50.0f);
  logits.fused_micros.assign(graph_.num_ops(), 5.0f);
  options_.compile_budget_s = 0.01;
  PlanExplanation why;
  const StatusOr<Plan> plan =
      BuildPlan(graph_, Machine(), logits, options_, &why);
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(plan->num_groups(), 0);
  EXPECT_EQ(why.left_out[ReasonText(Reason::kCompileBudget)], 410);
  EXPECT_NE(why.summary.find("compile_budget_s"), std::string::npos);
}

}  // namespace
}  // namespace grappler_go
