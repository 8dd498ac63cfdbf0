#include "cc/rewrite/fuse_updates.h"

#include <cmath>

#include "cc/rewrite/rewrite_test_util.h"
#include "cc/rewrite/update_rules.h"

namespace grappler_go {
namespace {

const GraphBuilder::Attrs kT = {{"T", TypeAttrValue(kFloat)}};
const GraphBuilder::Attrs kDtype = {{"dtype", TypeAttrValue(kFloat)}};

// A step that updates a variable by Adam as Keras spells it out. Tests change a
// part of it.
struct Step {
  std::string name = "w";
  Dims shape = {8, 4}, gradient_shape = {8, 4};
  std::string squared = "g", slot_read_last = "m";
  float one_minus_beta2 = 0.001f;
  std::string device = kCpu0, device_of_v = kCpu0;
  std::vector<std::string> waits_for = {};
  bool swapped = false;  // the factors

  void AddTo(GraphBuilder* b) const {
    const std::string n = name + "/";
    const auto add = [&](const std::string& op_name, const std::string& type,
                         std::vector<std::string> inputs,
                         const std::string& on) {
      const bool touches = type.find("Variable") != std::string::npos;
      if (swapped && (type == "Mul" || type == "AddV2")) {
        std::swap(inputs[0], inputs[1]);
      }
      b->Node(n + op_name, type, inputs, touches ? kDtype : kT, on);
    };
    b->VarArg(name, shape).VarArg(n + "m", shape).VarArg(n + "v", shape);
    b->Arg(n + "g", gradient_shape).Arg(n + "rate", {});
    b->Const(n + "c1", {}, {0.1f}).Const(n + "c2", {}, {one_minus_beta2});
    b->Const(n + "epsilon", {}, {1e-7f});
    add("read_m", "ReadVariableOp", {n + "m"}, device);
    add("sub_m", "Sub", {n + "g", n + "read_m"}, device);
    add("mul_m", "Mul", {n + "sub_m", n + "c1"}, device);
    add("write_m", "AssignAddVariableOp", {n + "m", n + "mul_m"}, device);
    add("square", "Square", {n + squared}, device);
    add("read_v", "ReadVariableOp", {n + "v"}, device_of_v);
    add("sub_v", "Sub", {n + "square", n + "read_v"}, device_of_v);
    add("mul_v", "Mul", {n + "sub_v", n + "c2"}, device_of_v);
    add("write_v", "AssignAddVariableOp", {n + "v", n + "mul_v"}, device_of_v);
    add("new_m", "ReadVariableOp", {n + slot_read_last, "^" + n + "write_m"},
        device);
    add("new_v", "ReadVariableOp", {n + "v", "^" + n + "write_v"}, device);
    add("above", "Mul", {n + "new_m", n + "rate"}, device);
    add("root", "Sqrt", {n + "new_v"}, device);
    add("below", "AddV2", {n + "root", n + "epsilon"}, device);
    add("step", "RealDiv", {n + "above", n + "below"}, device);
    std::vector<std::string> inputs = {name, n + "step"};
    inputs.insert(inputs.end(), waits_for.begin(), waits_for.end());
    b->Node(n + "write", "AssignSubVariableOp", inputs, kDtype, device);
  }
  std::string Build() const {
    GraphBuilder b;
    AddTo(&b);
    return b.Build();
  }
};

TestGraph Fused(const TestGraph& graph,
                const std::vector<std::string>& preserve = {},
                const std::vector<std::string_view>& fetches = {}) {
  FusedUpdates fused = FuseUpdates(*graph, fetches);
  EXPECT_GT(fused.count, 0);
  return TestGraph(fused.count > 0 ? fused.graphdef : graph.bytes(), preserve);
}

double ValueOf(const TestGraph& graph, std::string_view constant) {
  double value = NAN;
  const NodeView node = graph.node(std::string(constant));
  EXPECT_EQ(node.op, "Const");
  EXPECT_TRUE(ParseScalar(AttrTensor(node.attr("value")), &value));
  return value;
}

TEST(FuseUpdates, AdamBecomesOneKernel) {
  for (const bool swapped : {false, true}) {
    Step step;
    step.swapped = swapped;
    const TestGraph graph(step.Build());
    const TestGraph fused = Fused(graph);
    EXPECT_EQ(fused.type("w/write"), "ResourceApplyAdam");
    const NodeView kernel = fused.node("w/write");
    ASSERT_EQ(kernel.data_inputs.size(), 10u);
    EXPECT_EQ(kernel.data_inputs[0], "w");
    EXPECT_EQ(kernel.data_inputs[1], "w/m");
    EXPECT_EQ(kernel.data_inputs[2], "w/v");
    EXPECT_EQ(kernel.data_inputs[5], "w/rate");
    EXPECT_EQ(kernel.data_inputs[9], "w/g");
    EXPECT_EQ(kernel.device, kCpu0);
    EXPECT_TRUE(AttrBool(kernel.attr("use_locking")));
    EXPECT_EQ(AttrType(kernel.attr("T"), 0), kFloat);
    EXPECT_EQ(ValueOf(fused, kernel.data_inputs[3]), 0);
    EXPECT_FLOAT_EQ(ValueOf(fused, kernel.data_inputs[6]), 0.9f);
    EXPECT_FLOAT_EQ(ValueOf(fused, kernel.data_inputs[7]), 0.999f);
    // What is left are the arguments, constants, the kernel and the writes of
    // slots, which somebody might wait for.
    EXPECT_EQ(fused.type("w/write_m"), "NoOp");
    EXPECT_EQ(fused.type("w/write_v"), "NoOp");
    EXPECT_EQ(fused.inputs("w/write_m"), "^w/write");
    for (const char* name : {"w/read_m", "w/sub_m", "w/mul_m", "w/square",
                             "w/new_v", "w/root", "w/step"}) {
      EXPECT_FALSE(fused.has_node(name)) << name;
    }
  }
}

// 1 - 0.999f is not 0.001f: without a correction, every step would be off by
// 6e-6.
TEST(FuseUpdates, AdamsStepIsAsLargeAsItWas) {
  const TestGraph fused = Fused(TestGraph(Step().Build()));
  const NodeView kernel = fused.node("w/write");
  const auto constant = [&](int input) {
    return static_cast<float>(ValueOf(fused, kernel.data_inputs[input]));
  };
  const double gradient = 0.37, rate = 0.01;
  const double v = 0.001f * gradient * gradient;
  const double step = rate / (std::sqrt(v) + 1e-7f);
  const double kernels_v = (1.0f - constant(7)) * gradient * gradient;
  const double kernels_step = rate * std::sqrt(1.0f - constant(4)) /
                              (1.0f - constant(3)) /
                              (std::sqrt(kernels_v) + constant(8));
  EXPECT_NEAR(kernels_v / v, 1, 2e-5);
  EXPECT_NEAR(kernels_step / step, 1, 2e-7);
  const double uncorrected = rate / (std::sqrt(kernels_v) + 1e-7f);
  EXPECT_GT(std::abs(uncorrected / step - 1), 2e-6) << "nothing to correct";
}

TEST(FuseUpdates, TheKernelWaitsForAllThatItsPartsWaitedFor) {
  GraphBuilder b;
  b.Node("a", "NoOp", {}, {}, kCpu0).Node("b", "NoOp", {}, {}, kCpu0);
  Step step;
  step.waits_for = {"^a", "^w/write_m"};
  step.AddTo(&b);
  b.Node("after", "NoOp", {"^w/write_v"}, {}, kCpu0);
  const TestGraph fused = Fused(TestGraph(b.Build()));
  const NodeView kernel = fused.node("w/write");
  ASSERT_EQ(kernel.control_inputs.size(), 1u);
  EXPECT_EQ(kernel.control_inputs[0], "^a");
  EXPECT_EQ(fused.inputs("after"), "^w/write_v");
}

TEST(FuseUpdates, WhatIsReadByOthersStays) {
  GraphBuilder b;
  Step().AddTo(&b);
  b.Node("norm", "Exp", {"w/square"}, kT, kCpu0).Retval("out", "norm");
  b.Node("later", "Exp", {"w/new_m"}, kT, kCpu0).Retval("out2", "later");
  const TestGraph fused = Fused(TestGraph(b.Build()));
  EXPECT_EQ(fused.type("w/square"), "Square");
  EXPECT_EQ(fused.type("w/new_m"), "ReadVariableOp");
  EXPECT_EQ(fused.inputs("w/new_m"), "w/m ^w/write_m");
  EXPECT_FALSE(fused.has_node("w/sub_v"));
}

TEST(FuseUpdates, AReadOfAnOldValueThatIsNeededStaysBeforeTheKernel) {
  GraphBuilder b;
  Step().AddTo(&b);
  b.Node("before", "Exp", {"w/read_m"}, kT, kCpu0).Retval("out", "before");
  const TestGraph fused = Fused(TestGraph(b.Build()));
  EXPECT_EQ(fused.type("w/read_m"), "ReadVariableOp");
  const NodeView kernel = fused.node("w/write");
  ASSERT_EQ(kernel.control_inputs.size(), 1u);
  EXPECT_EQ(kernel.control_inputs[0], "^w/read_m");
  // A read that is fetched is needed, too.
  const std::vector<std::string> names = {"w/read_v"};
  const TestGraph fetched =
      Fused(TestGraph(Step().Build(), names), names, {"w/read_v"});
  EXPECT_EQ(fetched.type("w/read_v"), "ReadVariableOp");
  ASSERT_EQ(fetched.node("w/write").control_inputs.size(), 1u);
  EXPECT_EQ(fetched.node("w/write").control_inputs[0], "^w/read_v");
}

TEST(FuseUpdates, WhatAKernelReadsStays) {
  // The gradient of the second variable is what is added to a slot of the
  // first.
  GraphBuilder b;
  Step().AddTo(&b);
  b.VarArg("other", {8, 4});
  b.Node("scaled", "Mul", {"w/mul_m", "w/rate"}, kT, kCpu0);
  b.Node("write", "AssignSubVariableOp", {"other", "scaled"}, kDtype, kCpu0);
  const TestGraph graph(b.Build());
  const FusedUpdates fused = FuseUpdates(*graph, {});
  EXPECT_EQ(fused.count, 2);
  const TestGraph after(fused.graphdef);
  EXPECT_EQ(after.inputs("write"), "other w/rate w/mul_m");
  EXPECT_EQ(after.type("w/sub_m"), "Sub");
  // It is made of the slot's old value.
  EXPECT_EQ(after.node("w/write").control_inputs[0], "^w/read_m");
}

// Every access of a variable in a function is preserved, by its name.
TEST(FuseUpdates, PreservedReadsBecomeNoOps) {
  const std::vector<std::string> names = {"w/read_m", "w/read_v", "w/new_m"};
  const TestGraph graph(Step().Build(), names);
  const TestGraph fused = Fused(graph, names, {"w/new_m"});
  EXPECT_EQ(fused.type("w/read_m"), "NoOp");
  EXPECT_EQ(fused.type("w/read_v"), "NoOp");
  EXPECT_EQ(fused.type("w/new_m"), "ReadVariableOp") << "it is fetched";
}

TEST(FuseUpdates, ConstantsAreThereOnce) {
  GraphBuilder b;
  Step one, two;
  two.name = "w2";
  one.AddTo(&b);
  two.AddTo(&b);
  const TestGraph graph(b.Build());
  const FusedUpdates fused = FuseUpdates(*graph, {});
  EXPECT_EQ(fused.count, 2);
  const TestGraph after(fused.graphdef);
  EXPECT_EQ(after.node("w/write").data_inputs[6],
            after.node("w2/write").data_inputs[6]);
}

TEST(FuseUpdates, WhatIsNotTheRuleIsLeftAlone) {
  std::vector<std::pair<std::string, Step>> steps(8);
  steps[0] = {"the square of something else", {}};
  steps[0].second.squared = "read_m";
  steps[1] = {"a gradient that is broadcast", {}};
  steps[1].second.gradient_shape = {4};
  steps[2] = {"a shape that is not known", {}};
  steps[2].second.gradient_shape = {-1, 4};
  steps[3] = {"a beta that a float does not have", {}};
  steps[3].second.one_minus_beta2 = 1e-5f;
  steps[4] = {"slots on two devices", {}};
  steps[4].second.device_of_v = kCpu1;
  steps[5] = {"one slot for two", {}};
  steps[5].second.slot_read_last = "v";
  steps[6] = {"a beta of 1", {}};
  steps[6].second.one_minus_beta2 = 1.0f;
  steps[7] = {"not on a CPU", {}};
  steps[7].second.device = steps[7].second.device_of_v =
      "/job:localhost/replica:0/task:0/device:GPU:0";
  for (const auto& [what, step] : steps) {
    const TestGraph graph(step.Build());
    EXPECT_EQ(FuseUpdates(*graph, {}).count, 0) << what;
  }
}

TEST(FuseUpdates, ASlotThatIsWrittenTwiceIsLeftAlone) {
  GraphBuilder b;
  Step().AddTo(&b);
  b.Arg("x", {8, 4});
  b.Node("again", "AssignAddVariableOp", {"w/m", "x", "^w/write"}, kDtype,
         kCpu0);
  EXPECT_EQ(FuseUpdates(*TestGraph(b.Build()), {}).count, 0);
}

TEST(FuseUpdates, ASlotOfTwoVariablesIsLeftAlone) {
  GraphBuilder b;
  Step().AddTo(&b);
  b.VarArg("other", {8, 4});
  b.Node("write", "AssignSubVariableOp", {"other", "w/step"}, kDtype, kCpu0);
  EXPECT_EQ(FuseUpdates(*TestGraph(b.Build()), {}).count, 0);
}

TEST(FuseUpdates, AnUpdateThatNeedsItsOwnSlotsFirstIsLeftAlone) {
  GraphBuilder b;
  Step other;
  other.name = "other";
  other.AddTo(&b);
  // This one's write waits for something made of its new slot.
  Step step;
  step.waits_for = {"^between"};
  step.AddTo(&b);
  b.Node("between", "Exp", {"w/new_m"}, kT, kCpu0);
  const TestGraph graph(b.Build());
  const std::vector<VariableUpdate> found = FindVariableUpdates(*graph);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(graph->name(found[0].write), "other/write");
}

// s' = momentum * s - rate * g, as Keras' SGD has it.
// `reads`: the new value of the slot is read back from it.
GraphBuilder Momentum(bool nesterov, bool reads) {
  GraphBuilder b;
  b.VarArg("w", {8, 4}).VarArg("s", {8, 4}).Arg("g", {8, 4}).Arg("rate", {});
  b.Const("momentum", {}, {0.9f});
  b.Node("read", "ReadVariableOp", {"s"}, kDtype, kCpu0);
  b.Node("kept", "Mul", {"momentum", "read"}, kT, kCpu0);
  b.Node("scaled", "Mul", {"g", "rate"}, kT, kCpu0);
  b.Node("next", "Sub", {"kept", "scaled"}, kT, kCpu0);
  b.Node("write_s", "AssignVariableOp", {"s", "next"}, kDtype, kCpu0);
  std::string step = "next";
  if (reads) {
    step = "new";
    b.Node("new", "ReadVariableOp", {"s", "^write_s"}, kDtype, kCpu0);
  }
  if (nesterov) {
    b.Const("momentum2", {}, {0.9f});
    b.Node("kept2", "Mul", {step, "momentum2"}, kT, kCpu0);
    b.Node("step", "Sub", {"kept2", "scaled"}, kT, kCpu0);
    step = "step";
  }
  return b.Node("write", "AssignAddVariableOp", {"w", step}, kDtype, kCpu0);
}

TEST(FuseUpdates, MomentumBecomesOneKernel) {
  for (const int form : {0, 1, 2, 3}) {
    const bool nesterov = form % 2 == 1;
    const TestGraph graph(Momentum(nesterov, form >= 2).Build());
    const TestGraph fused = Fused(graph);
    EXPECT_EQ(fused.type("write"), "ResourceApplyKerasMomentum");
    EXPECT_EQ(fused.inputs("write"), "w s rate g momentum");
    EXPECT_EQ(AttrBool(fused.node("write").attr("use_nesterov")), nesterov);
    EXPECT_EQ(fused.type("write_s"), "NoOp");
    EXPECT_EQ(fused.inputs("write_s"), "^write");
    EXPECT_FALSE(fused.has_node("next"));
    EXPECT_FALSE(fused.has_node("scaled"));
  }
}

TEST(FuseUpdates, GradientDescentBecomesOneKernel) {
  for (const bool rate_first : {false, true}) {
    GraphBuilder b;
    b.VarArg("w", {8, 4}).Arg("g", {8, 4}).Arg("rate", {});
    b.Node("step", "Mul",
           rate_first ? std::vector<std::string>{"rate", "g"}
                      : std::vector<std::string>{"g", "rate"},
           kT, kCpu0);
    b.Node("write", "AssignSubVariableOp", {"w", "step"}, kDtype, kCpu0);
    const TestGraph fused = Fused(TestGraph(b.Build()));
    EXPECT_EQ(fused.type("write"), "ResourceApplyGradientDescent");
    EXPECT_EQ(fused.inputs("write"), "w rate g");
  }
}

TEST(FuseUpdates, DecayOfWeightsIsLeftAlone) {
  GraphBuilder b;
  b.VarArg("w", {8, 4}).Arg("rate", {});
  b.Node("read", "ReadVariableOp", {"w"}, kDtype, kCpu0);
  b.Node("step", "Mul", {"read", "rate"}, kT, kCpu0);
  b.Node("write", "AssignSubVariableOp", {"w", "step"}, kDtype, kCpu0);
  EXPECT_EQ(FuseUpdates(*TestGraph(b.Build()), {}).count, 0);
}

TEST(FuseUpdates, AGraphWithoutUpdatesIsNotWritten) {
  const TestGraph graph(GraphBuilder()
                            .Arg("x", {2})
                            .Node("y", "Relu", {"x"}, kT)
                            .Retval("out", "y")
                            .Build());
  const FusedUpdates fused = FuseUpdates(*graph, {});
  EXPECT_EQ(fused.count, 0);
  EXPECT_TRUE(fused.graphdef.empty());
}

}  // namespace
}  // namespace grappler_go
