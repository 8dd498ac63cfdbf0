#include "cc/plan/placement.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "cc/graph/wire.h"
#include "cc/plan/build_plan.h"
#include "cc/plan/eligibility.h"
#include "cc/plan/plan.h"
#include "cc/plan/simulate_plan.h"
#include "cc/testing/graph_builder.h"

namespace grappler_go {
namespace {

constexpr char kCpu0[] = "/job:a/replica:0/task:0/device:CPU:0";
constexpr char kGpu0[] = "/job:a/replica:0/task:0/device:GPU:0";
constexpr char kGpu1[] = "/job:a/replica:0/task:0/device:GPU:1";
constexpr int kString = 7;  // types.proto

const GraphBuilder::Attrs kT = {{"T", TypeAttrValue(kFloat)}};
const GraphBuilder::Attrs kDtype = {{"dtype", TypeAttrValue(kFloat)}};

// A layer of a training step on the host, a table, and a line of text.
class PlacementTest : public ::testing::Test {
 protected:
  PlacementTest() {
    bytes_ = GraphBuilder()
                 .Arg("x", {4, 4})
                 .Arg("learning_rate", {})
                 .Arg("text", {4}, kString)
                 .VarArg("v", {100, 4})
                 .VarArg("table", {4})
                 .Node("random", "RandomUniform", {"x"}, kDtype, kCpu0)
                 .Node("shuffled", "RandomShuffle", {"x"}, kT, kCpu0)
                 .Node("read", "ReadVariableOp", {"v"}, kDtype, kCpu0)
                 .Node("product", "MatMul", {"x", "read"}, kT, kCpu0)
                 .Node("update", "ResourceApplyGradientDescent",
                       {"v", "learning_rate", "product"}, kT, kCpu0)
                 .Node("as_text", "Cast", {"x"},
                       {{"SrcT", TypeAttrValue(kFloat)},
                        {"DstT", TypeAttrValue(kString)}},
                       kCpu0)
                 .Node("found", "LookupTableFindV2", {"table", "text", "x"},
                       {{"Tout", TypeAttrValue(kFloat)}}, kCpu0)
                 .Node("enter", "Enter", {"x"}, kT, kCpu0)
                 .Node("in_loop", "Tanh", {"enter"}, kT, kCpu0)
                 .Node("exit", "Exit", {"in_loop"}, kT, kCpu0)
                 .Node("after", "Neg", {"exit"}, kT, kCpu0)
                 .Retval("out", "product")
                 .Build();
    ParseOptions options;
    options.preserve = {"read", "update"};
    graph_ = *OpGraph::Parse(bytes_, options);
    for (const char* name : {kCpu0, kGpu0, kGpu1}) {
      Device& device = machine_.devices.emplace_back();
      device.name = name;
      device.type = name == kCpu0 ? "CPU" : "GPU";
    }
    rules_.free_state = rules_.first_is_home = true;
    plan_.fingerprint = graph_.fingerprint();
    plan_.num_ops = graph_.num_ops();
    plan_.devices = {kCpu0, kGpu0, kGpu1};
    plan_.device.assign(plan_.num_ops, -1);
    plan_.free_state = true;
  }
  int32_t Op(const char* name) const {
    const int32_t op = graph_.find(name);
    EXPECT_GE(op, 0) << name;
    return op;
  }
  // Where an op may be: "111" on CPU:0, GPU:0 and GPU:1, "100" on the host.
  std::string Choices(const Placement& p, const char* name) const {
    std::string text;
    for (int32_t d = 0; d < p.num_devices; ++d) {
      text += p.may_be_on(p.unit[Op(name)], d) ? '1' : '0';
    }
    return text;
  }
  void Move(std::vector<const char*> ops, int32_t device) {
    for (const char* op : ops) plan_.device[Op(op)] = device;
  }
  StatusOr<PlannedStep> Step() const {
    Logits logits;
    logits.num_ops = graph_.num_ops();
    logits.num_devices = 3;
    return StepOfPlan(graph_, machine_, plan_, logits, {});
  }

  std::string bytes_;
  OpGraph graph_;
  Machine machine_;
  PlacementRules rules_;
  Plan plan_;
};

TEST_F(PlacementTest, AVariableAndAllThatTouchesItAreOneUnitThatMayMove) {
  const Placement p = PlacementOf(graph_, machine_, rules_);
  const int32_t unit = p.unit[Op("v")];
  for (const char* op : {"read", "update"}) EXPECT_EQ(p.unit[Op(op)], unit);
  EXPECT_NE(p.unit[Op("product")], unit);
  EXPECT_EQ(Choices(p, "v"), "111");
  EXPECT_EQ(Choices(p, "product"), "111");
  EXPECT_EQ(p.unit[Op("out")], p.unit[Op("product")])
      << "a result is where it is made";
}

TEST_F(PlacementTest, WhatIsFedAndWhatHasNoKernelThereStaysOnTheHost) {
  const Placement p = PlacementOf(graph_, machine_, rules_);
  EXPECT_EQ(Choices(p, "x"), "100");
  EXPECT_EQ(p.reason[Op("x")], Reason::kArgument);
  EXPECT_EQ(Choices(p, "as_text"), "100");
  EXPECT_EQ(p.reason[Op("as_text")], Reason::kNone);
  EXPECT_EQ(Choices(p, "shuffled"), "100");
  EXPECT_EQ(Choices(p, "random"), "111");
}

TEST_F(PlacementTest, AResourceThatIsNoVariableStays) {
  const Placement p = PlacementOf(graph_, machine_, rules_);
  EXPECT_EQ(Choices(p, "table"), "100");
  EXPECT_EQ(p.reason[Op("found")], Reason::kHasState);
}

TEST_F(PlacementTest, GradientsThatGrapplerAddsUpInPlaceMayMove) {
  // As its memory optimizer writes a large AddN.
  const std::string bytes =
      GraphBuilder()
          .Node("a", "RandomUniform", {}, kDtype, kCpu0)
          .Node("sum", "TemporaryVariable", {}, kDtype, kCpu0)
          .Node("set", "Assign", {"sum", "a"}, kT, kCpu0)
          .Node("got", "DestroyTemporaryVariable", {"set"}, kT, kCpu0)
          .Build();
  const OpGraph graph = *OpGraph::Parse(bytes, {});
  const Placement p = PlacementOf(graph, machine_, rules_);
  const int32_t unit = p.unit[graph.find("sum")];
  EXPECT_EQ(p.unit[graph.find("set")], unit);
  EXPECT_EQ(p.unit[graph.find("got")], unit);
  EXPECT_TRUE(p.may_be_on(unit, 1));
  rules_.free_state = false;
  EXPECT_FALSE(PlacementOf(graph, machine_, rules_).may_be_on(unit, 1));
}

TEST_F(PlacementTest, StringsStayWithWhatMakesThem) {
  const std::string bytes = GraphBuilder()
                                .Arg("text", {4}, kString)
                                .Node("same", "Identity", {"text"},
                                      {{"T", TypeAttrValue(kString)}}, kCpu0)
                                .Build();
  const OpGraph graph = *OpGraph::Parse(bytes, {});
  const std::vector<int32_t> unit = UnitsOf(graph, false);
  EXPECT_EQ(unit[graph.find("same")], unit[graph.find("text")]);
}

TEST_F(PlacementTest, AUnitThatIsSplitOverDevicesAlreadyStays) {
  const GraphBuilder::Attrs with_a = {{"T", TypeAttrValue(kFloat)},
                                      {"_class", StringListAttr({"loc:@a"})}};
  const std::string bytes = GraphBuilder()
                                .Arg("x", {4, 4})
                                .Node("a", "Neg", {"x"}, kT, kGpu0)
                                .Node("b", "Neg", {"a"}, with_a, kGpu1)
                                .Node("c", "Neg", {"b"}, kT, kGpu1)
                                .Build();
  const OpGraph graph = *OpGraph::Parse(bytes, {});
  rules_.free_state = false;
  const Placement p = PlacementOf(graph, machine_, rules_);
  const int32_t unit = p.unit[graph.find("b")];
  ASSERT_EQ(unit, p.unit[graph.find("a")]);
  EXPECT_EQ(p.pinned[unit], 1);
  EXPECT_EQ(p.pinned[p.unit[graph.find("c")]], 0);
}

TEST_F(PlacementTest, ALoopIsOneUnit) {
  const Placement p = PlacementOf(graph_, machine_, rules_);
  EXPECT_EQ(p.unit[Op("in_loop")], p.unit[Op("enter")]);
  EXPECT_EQ(p.unit[Op("exit")], p.unit[Op("enter")]);
  EXPECT_NE(p.unit[Op("after")], p.unit[Op("enter")]);
  EXPECT_EQ(Choices(p, "in_loop"), "111");
}

TEST_F(PlacementTest, WithoutFreeStateStateAndTypesOfDeviceAreKept) {
  rules_.free_state = false;
  const Placement p = PlacementOf(graph_, machine_, rules_);
  for (const char* op : {"v", "read", "product", "random", "in_loop"}) {
    EXPECT_EQ(Choices(p, op), "100") << op;
  }
}

TEST_F(PlacementTest, APlanMayMoveAVariableOnlyIfItSaysSo) {
  Move({"v", "read", "update"}, 0);
  const Status valid = ValidatePlan(plan_, graph_);
  EXPECT_TRUE(valid.ok()) << valid.message();
  plan_.free_state = false;
  EXPECT_FALSE(ValidatePlan(plan_, graph_).ok());
}

TEST_F(PlacementTest, AFreePlanMustNotTearAVariableOrALoopApart) {
  Move({"v", "read"}, 0);
  EXPECT_NE(ValidatePlan(plan_, graph_).message().find("must share"),
            std::string::npos);
  Move({"v", "read"}, -1);
  Move({"in_loop"}, 0);
  EXPECT_NE(ValidatePlan(plan_, graph_).message().find("must share"),
            std::string::npos);
}

TEST_F(PlacementTest, AVariableTakesItsMemoryAlong) {
  Move({"v", "read", "update"}, 1);
  const Simulator simulator =
      std::move(*Simulator::Create(graph_, machine_, {}));
  const StatusOr<PlannedStep> step = Step();
  ASSERT_TRUE(step.ok()) << step.status().message();
  const Simulation simulation = *simulator.Run(step->input);
  EXPECT_GE(simulation.devices[1].resident_bytes, 100 * 4 * 4);
  EXPECT_LT(simulation.devices[0].resident_bytes, 100 * 4 * 4);
}

TEST_F(PlacementTest, AFreePlanWithoutAKernelIsNotSimulated) {
  Move({"shuffled"}, 1);
  EXPECT_NE(Step().status().message().find("has no kernel on"),
            std::string::npos);
}

TEST_F(PlacementTest, APlanOfFreeStateIsForNoProgram) {
  EXPECT_EQ(CheckAppliesToPrograms(plan_).code(),
            StatusCode::kFailedPrecondition);
  plan_.free_state = false;
  EXPECT_TRUE(CheckAppliesToPrograms(plan_).ok());
}

TEST_F(PlacementTest, LogitsMoveVariablesWithFreeState) {
  Logits logits;
  logits.num_ops = graph_.num_ops();
  logits.num_devices = 3;
  logits.device.assign(static_cast<size_t>(graph_.num_ops()) * 3, 0.0f);
  for (int32_t i = 0; i < graph_.num_ops(); ++i) logits.device[i * 3 + 1] = 1;
  PlanOptions options;
  options.free_state = true;
  const Plan plan = *BuildPlan(graph_, machine_, logits, options, nullptr);
  EXPECT_TRUE(plan.free_state);
  EXPECT_EQ(plan.device[Op("v")], 1);
  EXPECT_EQ(plan.device[Op("update")], 1);
  EXPECT_EQ(plan.device[Op("x")], -1);
  const Status valid = ValidatePlan(plan, graph_);
  EXPECT_TRUE(valid.ok()) << valid.message();
}

}  // namespace
}  // namespace grappler_go
