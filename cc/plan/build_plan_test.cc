#include "cc/plan/build_plan.h"

#include <gtest/gtest.h>

#include "cc/graph/wire.h"
#include "cc/plan/compile_budget.h"
#include "cc/testing/graph_builder.h"
#include "cc/testing/random_graph.h"

namespace grappler_go {
namespace {

constexpr char kCpu[] = "/job:a/replica:0/task:0/device:CPU:0";
constexpr char kGpu[] = "/job:a/replica:0/task:0/device:GPU:0";
const GraphBuilder::Attrs kT = {{"T", TypeAttrValue(kFloat)}};
const GraphBuilder::Attrs kDtype = {{"dtype", TypeAttrValue(kFloat)}};

class BuildPlanTest : public ::testing::Test {
 protected:
  void Parse(const GraphBuilder& builder) {
    bytes_ = builder.Build();
    StatusOr<OpGraph> graph = OpGraph::Parse(bytes_, parse_);
    ASSERT_TRUE(graph.ok()) << graph.status().message();
    graph_ = std::move(*graph);
    const int32_t n = graph_.num_ops();
    logits_.num_ops = n;
    logits_.fusion.assign(n, 1.0f);
    logits_.op_micros.assign(n, 50.0f);
    logits_.fused_micros.assign(n, 5.0f);
    options_.min_group_ops = 1;
  }
  // Four element-wise ops before what the test adds, so that a group pays.
  GraphBuilder Chain() {
    GraphBuilder builder;
    builder.Arg("x", {8, 8});
    std::string last = "x";
    for (const char* name : {"c0", "c1", "c2", "c3"}) {
      builder.Node(name, "Tanh", {last}, kT, kCpu);
      last = name;
    }
    return builder;
  }
  Plan Build() {
    StatusOr<Plan> plan = BuildPlan(graph_, machine_, logits_, options_, &why_);
    EXPECT_TRUE(plan.ok()) << plan.status().message();
    const Status valid = ValidatePlan(*plan, graph_);
    EXPECT_TRUE(valid.ok()) << valid.message();
    EXPECT_EQ(why_.per_op.size(), static_cast<size_t>(graph_.num_ops()));
    return *plan;
  }
  int32_t GroupOf(const Plan& plan, const char* op) {
    return plan.fusion_group.at(graph_.find(op));
  }
  std::string Why(const char* op) {
    return ReasonText(why_.per_op.at(graph_.find(op)));
  }

  std::string bytes_;
  ParseOptions parse_;
  OpGraph graph_;
  Machine machine_;
  Logits logits_;
  PlanOptions options_;
  PlanExplanation why_;
};

TEST_F(BuildPlanTest, OpsThatPayBecomeOneGroup) {
  Parse(Chain().Retval("out", "c3"));
  const Plan plan = Build();
  EXPECT_EQ(plan.num_groups(), 1);
  for (const char* op : {"c0", "c1", "c2", "c3"}) {
    EXPECT_EQ(GroupOf(plan, op), 0);
    EXPECT_EQ(Why(op), "");
  }
  EXPECT_LT(plan.micros_after, plan.micros_before);
  EXPECT_EQ(Why("x"), "an argument or a result");
  EXPECT_EQ(why_.left_out.at("an argument or a result"), 2);
  EXPECT_NE(why_.summary.find("4 ops in 1 group,"), std::string::npos);
}

TEST_F(BuildPlanTest, RefusesLogitsOfTheWrongSize) {
  Parse(Chain());
  logits_.fusion.pop_back();
  EXPECT_FALSE(BuildPlan(graph_, machine_, logits_, options_, nullptr).ok());
}

TEST_F(BuildPlanTest, WhatThePolicyDeclinesOrTheOptionsSwitchOffIsLeftAlone) {
  Parse(Chain());
  logits_.fusion[graph_.find("c3")] = 0.0f;
  EXPECT_EQ(GroupOf(Build(), "c3"), -1);
  EXPECT_EQ(Why("c3"), "the policy left it alone");
  for (float& score : logits_.fusion) score = 0.0f;
  EXPECT_TRUE(Build().empty());
  EXPECT_NE(why_.summary.find(" ops: the policy left it alone"),
            std::string::npos)
      << why_.summary;
  options_.fusion = false;
  EXPECT_TRUE(Build().empty());
  EXPECT_EQ(why_.summary, "");
}

TEST_F(BuildPlanTest, GroupsThatDoNotPayAreDissolved) {
  Parse(Chain());
  logits_.fused_micros.assign(graph_.num_ops(), 49.9f);
  EXPECT_TRUE(Build().empty());
  EXPECT_EQ(Why("c0"), "group does not pay");
  logits_.fused_micros.assign(graph_.num_ops(), 5.0f);
  options_.min_group_ops = 5;
  EXPECT_TRUE(Build().empty());
  EXPECT_EQ(Why("c0"), "group too small");
}

TEST_F(BuildPlanTest, AGroupThatAStepWouldNotNoticeIsDissolved) {
  Parse(Chain().Arg("y", {8, 8}).Node("slow", "NoSuchOp", {"y"}, kT, kCpu));
  options_.min_gain = 0;
  logits_.op_micros[graph_.find("slow")] = 5e3f;
  EXPECT_FALSE(Build().empty());
  logits_.op_micros[graph_.find("slow")] = 1e6f;
  EXPECT_TRUE(Build().empty());
  EXPECT_EQ(Why("c0"), "group does not pay");
}

// Beside the chain, a loop whose body is one addition; it runs `limit` times,
// or, where that is 0, as often as an argument says.
GraphBuilder WithLoop(GraphBuilder builder, int limit) {
  const GraphBuilder::Attrs ints = {{"T", TypeAttrValue(kInt32)}};
  const GraphBuilder::Attrs frame = {{"T", TypeAttrValue(kInt32)},
                                     {"frame_name", StringAttrValue("f")}};
  builder.IntConst("zero", {}, {0}).IntConst("one", {}, {1});
  if (limit > 0) {
    builder.IntConst("limit", {}, {limit});
  } else {
    builder.Arg("limit", {}, kInt32);
  }
  builder.Node("enter", "Enter", {"zero"}, frame, kCpu)
      .Node("enter_limit", "Enter", {"limit"}, frame, kCpu)
      .Node("enter_one", "Enter", {"one"}, frame, kCpu)
      .Node("merge", "Merge", {"enter", "next"}, ints, kCpu)
      .Node("less", "Less", {"merge", "enter_limit"}, ints, kCpu)
      .Node("condition", "LoopCond", {"less"}, {}, kCpu)
      .Node("switch", "Switch", {"merge", "condition"}, ints, kCpu)
      .Node("body", "AddV2", {"switch:1", "enter_one"}, ints, kCpu)
      .Node("next", "NextIteration", {"body"}, ints, kCpu)
      .Node("exit", "Exit", {"switch"}, ints, kCpu)
      .Retval("count", "exit");
  return builder;
}

TEST_F(BuildPlanTest, AGainIsAShareOfWhatLoopsTakeInAllTheirRuns) {
  options_.min_gain = 0.05;
  auto is_planned = [&](int limit, float body_micros) {
    Parse(WithLoop(Chain(), limit));
    for (const char* op : {"enter", "enter_limit", "enter_one", "merge", "less",
                           "condition", "switch", "next", "exit"}) {
      logits_.op_micros[graph_.find(op)] = 0;
    }
    logits_.op_micros[graph_.find("body")] = body_micros;
    const Plan plan = Build();
    EXPECT_GT(plan.micros_before, body_micros);
    return plan.num_groups() > 0;
  };
  EXPECT_TRUE(is_planned(100, 10));
  EXPECT_FALSE(is_planned(100, 200)) << "20 ms, of which 0.2 are gained";
  EXPECT_TRUE(is_planned(2, 200));
  EXPECT_TRUE(is_planned(0, 10)) << "a few runs, as far as one knows";
  EXPECT_FALSE(is_planned(0, 1000));
}

TEST_F(BuildPlanTest, ADecompositionThatWasNeverTimedIsNotCompiled) {
  Parse(Chain().Node("cholesky", "Cholesky", {"c2"}, kT, kCpu));
  logits_.op_micros[graph_.find("cholesky")] = 0;
  logits_.fused_micros[graph_.find("cholesky")] = 0;
  EXPECT_EQ(GroupOf(Build(), "cholesky"), -1);
  EXPECT_EQ(Why("cholesky"), "never timed compiled");
  EXPECT_GE(GroupOf(Build(), "c2"), 0);
  logits_.op_micros[graph_.find("cholesky")] = 50;
  logits_.fused_micros[graph_.find("cholesky")] = 5;
  EXPECT_GE(GroupOf(Build(), "cholesky"), 0);
}

TEST_F(BuildPlanTest, AnOpTakesNoLessThanItsDispatch) {
  Parse(Chain());
  logits_.op_micros.assign(graph_.num_ops(), 0.0f);
  logits_.fused_micros.assign(graph_.num_ops(), 0.0f);
  options_.group_launch_micros = options_.group_tensor_micros = 0;
  options_.min_gain = 0.5;
  EXPECT_FALSE(Build().empty());
}

TEST_F(BuildPlanTest, AGainTooSmallForTheStepIsNotTaken) {
  Parse(Chain().Arg("y", {8, 8}).Node("slow", "NoSuchOp", {"y"}, kT, kCpu));
  logits_.op_micros[graph_.find("slow")] = 5e3f;
  options_.min_gain = 0.05;
  EXPECT_TRUE(Build().empty());
  EXPECT_EQ(Why("c0"), "plan does not pay");
  EXPECT_EQ(Why("slow"), "unknown op type");
  EXPECT_NE(why_.summary.find("below 5.00 %"), std::string::npos)
      << why_.summary;
}

// Four ops of half a millisecond, and what the group costs beside them.
class OnTrial : public BuildPlanTest {
 protected:
  void SetUp() override {
    Parse(Chain().Retval("out", "c3"));
    logits_.op_micros.assign(graph_.num_ops(), 500.0f);
    options_.on_trial = true;
    options_.group_launch_micros = options_.group_tensor_micros = 0;
    options_.group_output_micros_per_mb = 0;
  }
  int Groups(float compiled) {
    logits_.fused_micros.assign(graph_.num_ops(), compiled);
    plan_ = Build();
    return plan_.num_groups();
  }
  Plan plan_;
};

TEST_F(OnTrial, WhatXlaMayBeBetterAtThanPredictedIsTaken) {
  // 20 % of two thirds of the step are hoped for, and 8 % needed.
  EXPECT_EQ(Groups(500.0f), 1);
  EXPECT_NEAR(plan_.micros_after, plan_.micros_before, 1.0);
  EXPECT_EQ(Groups(540.0f), 1);                        // 9 %
  EXPECT_GT(plan_.micros_after, plan_.micros_before);  // as predicted
  EXPECT_EQ(Groups(560.0f), 0);                        // 7 %
  EXPECT_EQ(plan_.micros_after, plan_.micros_before);
  options_.on_trial = false;
  EXPECT_EQ(Groups(500.0f), 0);
}

TEST_F(OnTrial, APlanThatPaysAnywayIsAsEver) {
  EXPECT_EQ(Groups(50.0f), 1);
  const Plan tried = plan_;
  options_.on_trial = false;
  EXPECT_EQ(Groups(50.0f), 1);
  EXPECT_EQ(tried.micros_after, plan_.micros_after);
}

TEST_F(OnTrial, ABetMayTakeAPartOfTheCompileBudget) {
  options_.compile_budget_s = 3 * CompileSeconds(4);
  EXPECT_EQ(Groups(500.0f), 0);
  options_.compile_budget_s = 5 * CompileSeconds(4);
  EXPECT_EQ(Groups(500.0f), 1);
}

TEST_F(OnTrial, ABetHasToWinItsCompilationBack) {
  for (float& micros : logits_.op_micros) micros = 50.0f;
  const double gain_s = 1000 * 4 * 10e-6;
  EXPECT_LT(gain_s, CompileSeconds(4));
  EXPECT_EQ(Groups(50.0f), 0);
}

TEST_F(BuildPlanTest, OpsThatMayNotBeFusedSayWhy) {
  Parse(Chain()
            .Node("random", "RandomUniform", {"c3"},
                  {{"dtype", TypeAttrValue(kFloat)},
                   {"T", TypeAttrValue(kInt32)}},
                  kCpu)
            .Node("marked", "Tanh", {"c3"},
                  {{"T", TypeAttrValue(kFloat)},
                   {"_XlaCompile", BoolAttrValue(true)}},
                  kCpu)
            .Node("elsewhere", "Tanh", {"c3"}, kT, kGpu)
            .Node("no_kernel", "Print", {"c3"}, kT, kCpu)
            .Node("call", "PartitionedCall", {"c3"}, {}, kCpu)
            .Node("switch", "Switch", {"c3", "c3"}, kT, kCpu)
            .Node("branch", "Tanh", {"switch"}, kT, kCpu)
            .Arg("u", {-1, 8})
            .Node("unknown", "Tanh", {"u"}, kT, kCpu)
            .Node("unfuse", "_FusedConv3D", {"c3"}, kT, kCpu));
  const Plan plan = Build();
  EXPECT_EQ(plan.num_groups(), 1);
  EXPECT_EQ(Why("random"), "draws random numbers");
  EXPECT_EQ(Why("marked"), "marked by the user");
  EXPECT_EQ(Why("elsewhere"), "not on a CPU device");
  EXPECT_EQ(Why("call"), "calls a function");
  EXPECT_EQ(Why("switch"), "control flow");
  EXPECT_EQ(Why("branch"), "in a branch that may not run");
  EXPECT_EQ(Why("unknown"), "shape not known");
  EXPECT_EQ(Why("unfuse"), "fused op that cannot be taken apart");
  for (int32_t i = 0; i < graph_.num_ops(); ++i) {
    EXPECT_EQ(plan.fusion_group[i] < 0, why_.per_op[i] != Reason::kNone)
        << graph_.name(i);
  }
}

TEST_F(BuildPlanTest, UnknownShapesAreFusedWhenAskedFor) {
  GraphBuilder builder;
  Parse(builder.Arg("u", {-1, 8})
            .Node("a", "Tanh", {"u"}, kT, kCpu)
            .Node("b", "Exp", {"a"}, kT, kCpu));
  EXPECT_TRUE(Build().empty());
  options_.fuse_unknown_shapes = true;
  EXPECT_EQ(GroupOf(Build(), "b"), 0);
}

TEST_F(BuildPlanTest, AnArgumentThatXlaNeedsAsAConstantMustBeOne) {
  GraphBuilder builder = Chain();
  builder.Arg("begin", {2}, kInt32)
      .IntConst("size", {2}, {4, 4})
      .IntConst("zero", {2}, {0, 0})
      .Node("fixed", "Slice", {"c3", "zero", "size"},
            {{"T", TypeAttrValue(kFloat)}, {"Index", TypeAttrValue(kInt32)}},
            kCpu)
      .Node("moving", "Slice", {"c3", "begin", "size"},
            {{"T", TypeAttrValue(kFloat)}, {"Index", TypeAttrValue(kInt32)}},
            kCpu);
  Parse(builder);
  const Plan plan = Build();
  EXPECT_EQ(GroupOf(plan, "fixed"), 0) << Why("fixed");
  EXPECT_EQ(GroupOf(plan, "moving"), -1);
  EXPECT_EQ(Why("moving"), "an argument XLA needs as a constant is not");
  EXPECT_EQ(Why("zero"), "a constant: cloned into the groups that read it");
}

TEST_F(BuildPlanTest, CallersDecideWhatCanBeTakenApart) {
  Parse(Chain().Node("f", "_FusedMatMul", {"c3", "c3"}, kT, kCpu));
  options_.can_unfuse = [](const OpGraph&, int32_t) { return false; };
  EXPECT_EQ(GroupOf(Build(), "f"), -1);
  EXPECT_EQ(Why("f"), "fused op that cannot be taken apart");
}

TEST_F(BuildPlanTest, AReadThatFollowsAWriteIsNotInItsGroup) {
  Parse(Chain()
            .VarArg("v", {8, 8})
            .Node("before", "ReadVariableOp", {"v"}, kDtype, kCpu)
            .Node("new", "AddV2", {"before", "c3"}, kT, kCpu)
            .Node("write", "AssignVariableOp", {"v", "new"}, kDtype, kCpu)
            .Node("after", "ReadVariableOp", {"v", "^write"}, kDtype, kCpu)
            .Node("d", "Tanh", {"after"}, kT, kCpu)
            .Node("e", "AddV2", {"d", "c3"}, kT, kCpu));
  const Plan plan = Build();
  EXPECT_EQ(GroupOf(plan, "before"), GroupOf(plan, "write"));
  EXPECT_GE(GroupOf(plan, "after"), 0);
  EXPECT_NE(GroupOf(plan, "after"), GroupOf(plan, "write"));
}

// Eight chains that nothing joins become one group, with the boundaries of
// eight: the gain that is asked for is that of eight.
TEST_F(BuildPlanTest, JoinedSiblingsMustGainWhatTheyWouldHaveApart) {
  GraphBuilder builder;
  for (int chain = 0; chain < 8; ++chain) {
    std::string last = "x" + std::to_string(chain);
    builder.Arg(last, {8, 8});
    for (int op = 0; op < 4; ++op) {
      const std::string name = last + "_" + std::to_string(op);
      builder.Node(name, "Tanh", {last}, kT, kCpu);
      last = name;
    }
  }
  Parse(builder);
  logits_.fused_micros.assign(graph_.num_ops(), 30.0f);
  options_.group_tensor_micros = options_.group_output_micros_per_mb = 0;
  options_.min_gain = 0.15;  // 21 % for eight groups
  EXPECT_EQ(Build().num_groups(), 1);
  options_.min_gain = 0.25;  // 34 %; the gain is about 30
  EXPECT_EQ(Build().num_groups(), 0);
  options_.min_gain = 0;
  options_.group_launch_micros = 1;
  EXPECT_EQ(Build().num_groups(), 1);
  options_.free_state = true;
  EXPECT_EQ(Build().num_groups(), 8) << "none waits for another one's input";
}

TEST_F(BuildPlanTest, PlansOfRandomGraphsAreValidWithEveryDecisionOn) {
  std::mt19937 random(7);
  for (int round = 0; round < 300; ++round) {
    RandomGraphOptions graph_options;
    graph_options.num_ops = 60;
    bytes_ = RandomGraphDef(graph_options, &random);
    graph_ = *OpGraph::Parse(bytes_, {});
    Device device;
    device.type = "CPU";
    machine_.devices.assign(2, device);
    machine_.devices[0].name = kCpu;
    machine_.devices[1].name = "/job:a/replica:0/task:0/device:CPU:1";
    const int32_t n = graph_.num_ops();
    logits_ = Logits();
    logits_.num_ops = n;
    logits_.num_devices = 2;
    auto draw = [&] { return static_cast<float>(random() % 200) - 50.0f; };
    for (int32_t i = 0; i < n; ++i) {
      logits_.device.insert(logits_.device.end(), {draw(), draw()});
      logits_.fusion.push_back(draw());
      logits_.schedule.push_back(draw());
      logits_.recompute.push_back(draw());
    }
    options_.memory_limit = 1000;
    options_.min_gain = -1;
    options_.min_group_ops = 1;
    options_.group_launch_micros = options_.group_tensor_micros = 0;
    Build();
  }
}

}  // namespace
}  // namespace grappler_go
