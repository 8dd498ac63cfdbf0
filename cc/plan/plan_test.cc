#include "cc/plan/plan.h"

#include <gtest/gtest.h>

#include "cc/graph/wire.h"
#include "cc/testing/graph_builder.h"
#include "cc/testing/loop_graph.h"

namespace grappler_go {
namespace {

constexpr char kCpu0[] = "/job:a/replica:0/task:0/device:CPU:0";
constexpr char kCpu1[] = "/job:a/replica:0/task:0/device:CPU:1";

class PlanTest : public ::testing::Test {
 protected:
  PlanTest() {
    const GraphBuilder::Attrs t = {{"T", TypeAttrValue(kFloat)}};
    const GraphBuilder::Attrs dtype = {{"dtype", TypeAttrValue(kFloat)}};
    bytes_ = GraphBuilder()
                 .Arg("x", {4, 4})
                 .VarArg("v", {4, 4})
                 .Node("read", "ReadVariableOp", {"v"}, dtype, kCpu0)
                 .Node("a", "Tanh", {"x"}, t, kCpu0)
                 .Node("b", "Exp", {"a"}, t, kCpu0)
                 .Node("c", "MatMul", {"b", "read"}, t, kCpu0)
                 .Node("near_b", "Neg", {"a"},
                       {{"T", TypeAttrValue(kFloat)},
                        {"_class", StringListAttr({"loc:@b"})}},
                       kCpu0)
                 .Node("odd", "NoSuchOp", {"c"}, t, kCpu0)
                 .Retval("out", "c")
                 .Build();
    Parse();
    plan_.devices = {kCpu0, kCpu1};
    plan_.device.assign(plan_.num_ops, -1);
    plan_.fusion_group.assign(plan_.num_ops, -1);
    plan_.recompute.assign(plan_.num_ops, 0);
  }
  // `bytes_`, and a plan for them that decides nothing.
  void Parse() {
    graph_ = *OpGraph::Parse(bytes_, {});
    plan_ = Plan();
    plan_.fingerprint = graph_.fingerprint();
    plan_.num_ops = graph_.num_ops();
  }
  int32_t Op(const char* name) const { return graph_.find(name); }
  void ExpectRefused(const std::string& part) {
    const Status status = ValidatePlan(plan_, graph_);
    ASSERT_FALSE(status.ok()) << "expected: " << part;
    EXPECT_NE(status.message().find(part), std::string::npos)
        << status.message();
  }

  std::string bytes_;
  OpGraph graph_;
  Plan plan_;
};

TEST_F(PlanTest, OneThatFitsIsAccepted) {
  EXPECT_TRUE(plan_.empty());
  plan_.device[Op("c")] = 1;
  plan_.fusion_group[Op("a")] = plan_.fusion_group[Op("b")] = 0;
  plan_.recompute[Op("a")] = 1;
  plan_.order = {{Op("near_b"), Op("c")}};
  const Status status = ValidatePlan(plan_, graph_);
  EXPECT_TRUE(status.ok()) << status.message();
  EXPECT_FALSE(plan_.empty());
  EXPECT_EQ(plan_.num_moved(), 1);
  EXPECT_EQ(plan_.num_groups(), 1);
  EXPECT_EQ(plan_.num_recomputed(), 1);
}

TEST_F(PlanTest, OneForAnotherGraphIsRefused) {
  plan_.fingerprint.lo ^= 1;
  ExpectRefused("plan is for another graph");
}

TEST_F(PlanTest, ArraysOfAnotherSizeAreRefused) {
  plan_.recompute.pop_back();
  ExpectRefused("recompute has 8 entries, the graph 9 ops");
}

TEST_F(PlanTest, NumbersOutOfRangeAreRefused) {
  plan_.device[Op("a")] = 2;
  ExpectRefused("(a, Tanh) is on device 2 of 2");
  plan_.device[Op("a")] = -1;
  plan_.fusion_group[Op("a")] = 9;
  ExpectRefused("(a, Tanh) is in group 9");
  plan_.fusion_group[Op("a")] = -1;
  plan_.order = {{Op("a"), 9}};
  ExpectRefused("order names op 9 of 9");
}

TEST_F(PlanTest, AnOrderOfArgumentsOrResultsIsRefused) {
  plan_.order = {{Op("a"), Op("out")}};
  ExpectRefused("(out, _Retval) may not be ordered: an argument or a result");
  plan_.order = {{Op("x"), Op("near_b")}};
  ExpectRefused("(x, _Arg) may not be ordered: an argument or a result");
}

TEST_F(PlanTest, AnOrderThatCrossesControlFlowIsRefused) {
  const GraphBuilder::Attrs t = {{"T", TypeAttrValue(kFloat)}};
  bytes_ = GraphBuilder()
               .Arg("x", {4})
               .Arg("p", {}, kBool)
               .Node("outside", "Tanh", {"x"}, t)
               .Node("enter", "Enter", {"x"}, t)
               .Node("in_loop", "Tanh", {"enter"}, t)
               .Node("switch", "Switch", {"x", "p"}, t)
               .Node("in_branch", "Tanh", {"switch"}, t)
               .Build();
  Parse();
  plan_.order = {{Op("outside"), Op("in_loop")}};
  ExpectRefused("(in_loop, Tanh) may not be ordered: in a loop");
  plan_.order = {{Op("in_branch"), Op("outside")}};
  ExpectRefused(
      "(in_branch, Tanh) may not be ordered: in a branch that may not run");
}

TEST_F(PlanTest, WhatEntersALoopMayNotWaitForItsResult) {
  bytes_ = LoopOfTwoVariables();
  Parse();
  plan_.order = {{Op("after"), Op("beside")}};
  EXPECT_TRUE(ValidatePlan(plan_, graph_).ok());
  plan_.order = {{Op("after"), Op("late7")}};
  ExpectRefused("plan: the order closes a cycle through ");
  plan_.order.clear();
  plan_.fusion_group.assign(graph_.num_ops(), -1);
  plan_.fusion_group[Op("after")] = plan_.fusion_group[Op("late7")] = 0;
  ExpectRefused("a group would have to wait for itself");
}

TEST_F(PlanTest, WhatMayNotBeTouchedIsRefusedByName) {
  plan_.device[Op("read")] = 1;
  ExpectRefused("(read, ReadVariableOp) may not be moved: uses a variable");
  plan_.device[Op("read")] = -1;
  plan_.fusion_group[Op("odd")] = 0;
  ExpectRefused("(odd, NoSuchOp) may not be fused: unknown op type");
  plan_.fusion_group[Op("odd")] = -1;
  plan_.recompute[Op("read")] = 1;
  ExpectRefused("(read, ReadVariableOp) may not be recomputed");
}

TEST_F(PlanTest, ColocatedOpsOnTwoDevicesAreRefused) {
  plan_.device[Op("b")] = 1;
  ExpectRefused("must share the device of");
}

TEST_F(PlanTest, AGroupOnTwoDevicesIsRefused) {
  plan_.fusion_group[Op("a")] = plan_.fusion_group[Op("c")] = 0;
  plan_.device[Op("c")] = 1;
  ExpectRefused("group 0 has ops on two devices");
}

TEST_F(PlanTest, AGroupThatWaitsForItselfIsRefused) {
  plan_.fusion_group[Op("a")] = plan_.fusion_group[Op("c")] = 0;
  ExpectRefused("a group would have to wait for itself");
}

TEST_F(PlanTest, AnOrderThatClosesACycleIsRefused) {
  plan_.order = {{Op("c"), Op("a")}};
  ExpectRefused("the order closes a cycle");
  // Also when both ends are in one group.
  for (const char* name : {"a", "b", "c"}) plan_.fusion_group[Op(name)] = 0;
  ExpectRefused("the order closes a cycle");
  plan_.order = {{Op("a"), Op("a")}};
  ExpectRefused("the order closes a cycle");
}

}  // namespace
}  // namespace grappler_go
