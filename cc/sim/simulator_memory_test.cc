// What is alive: peaks worked out by hand, and against Liveness.
#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "cc/sim/liveness.h"
#include "cc/sim/simulator_test_util.h"
#include "cc/testing/random_graph.h"

namespace grappler_go {
namespace {

constexpr int64_t kTensor = 64 * 64 * 4;

GraphBuilder MatMuls() { return GraphBuilder().Arg("x", {64, 64}); }

// m0 .. m3 and back, as in liveness_test.cc.
GraphBuilder Chain() {
  GraphBuilder builder = MatMuls();
  std::string last = "x";
  for (int i = 0; i < 4; ++i) {
    const std::string name = "m" + std::to_string(i);
    builder.Node(name, "MatMul", {last, last}, FloatOp());
    last = name;
  }
  for (int i = 3; i >= 0; --i) {
    const std::string name = "gradient_tape/g" + std::to_string(i);
    builder.Node(name, "MatMul", {last, "m" + std::to_string(i)}, FloatOp());
    last = name;
  }
  return builder.Retval("out", last);
}

TestStep ChainStep() {
  TestStep step(Chain(), Gpus(1));
  for (int32_t i = 0; i < step.graph().num_ops(); ++i) {
    if (step.graph().op(i) == "MatMul") step.input.micros[i] = 10;
  }
  return step;
}

TEST(SimulatorMemory, CountsWhatIsAliveTogetherAndWhatIsAlwaysThere) {
  const Simulation result = ChainStep().Run();
  // While g3 runs: m0 to m3 and g3 itself; and x, throughout.
  EXPECT_EQ(result.devices[0].resident_bytes, kTensor);
  EXPECT_EQ(result.devices[0].peak_bytes, 6 * kTensor);
  EXPECT_DOUBLE_EQ(result.devices[0].peak_at_micros, 40);
  EXPECT_EQ(result.unknown_outputs, 0);
}

TEST(SimulatorMemory, RecomputingLowersThePeakAndTakesTime) {
  TestStep step = ChainStep();
  const Simulation before = step.Run();
  const Simulation after = step.Recompute({"m1"}).Run();
  EXPECT_DOUBLE_EQ(before.micros, 80);
  EXPECT_DOUBLE_EQ(after.micros, 90);
  EXPECT_EQ(before.devices[0].peak_bytes, 6 * kTensor);
  // m1 is gone while g3 runs and comes back for g1.
  EXPECT_EQ(after.devices[0].peak_bytes, 5 * kTensor);
  int clones = 0;
  for (const TaskSpan& span : after.tasks) {
    if (!span.is_clone) continue;
    ++clones;
    EXPECT_EQ(span.op, step.op("m1"));
    EXPECT_GE(span.start, step.EndOf(after, "gradient_tape/g3"))
        << "held back by the gradient before the one that reads it";
  }
  EXPECT_EQ(clones, 1);
}

TEST(SimulatorMemory, SaysWhenTheDeviceIsTooSmall) {
  TestStep step = ChainStep();
  step.machine().devices[0].memory_bytes = 6 * kTensor - 1;
  EXPECT_TRUE(step.Run().out_of_memory);
  EXPECT_TRUE(step.Run().devices[0].out_of_memory);
  EXPECT_FALSE(step.Recompute({"m1"}).Run().out_of_memory);
  step.input.recompute.clear();
  step.machine().devices[0].memory_bytes = 6 * kTensor;
  EXPECT_FALSE(step.Run().out_of_memory);
  step.machine().devices[0].memory_bytes = 0;  // no limit
  EXPECT_FALSE(step.Run().out_of_memory);
}

TEST(SimulatorMemory, ATensorIsHeldUntilItIsSentAndACopyUntilItIsRead) {
  const GraphBuilder builder =
      MatMuls()
          .Node("a", "MatMul", {"x", "x"}, FloatOp())
          .Node("b", "MatMul", {"x", "x"}, FloatOp())
          .Node("sum", "Sum", {"a", "axes"}, FloatOp())
          .Node("other", "Sum", {"b", "axes"}, FloatOp())
          .IntConst("axes", {2}, {0, 1});
  TestStep step(builder, Gpus(2));
  step.Micros({{"a", 10}, {"b", 10}, {"sum", 1}, {"other", 1}});
  step.On(1, {"sum", "axes"});
  const Simulation result = step.Run();
  // Sending a takes 21 microseconds: b, its sum and the copy of the axes that
  // this reads come meanwhile.
  EXPECT_EQ(result.devices[0].peak_bytes, kTensor + 2 * kTensor + 8 + 4);
  // The axes, the copy and the sum.
  EXPECT_EQ(result.devices[1].peak_bytes, 8 + kTensor + 4);
}

// a, b and c one after the other, each summed up on the other device: there is
// never more than one of them on either.
TEST(SimulatorMemory, WhatIsSentAndWhatIsReadIsGone) {
  GraphBuilder builder = MatMuls();
  builder.IntConst("axes", {2}, {0, 1});
  std::vector<std::string> sums;
  std::string last;
  for (const std::string name : {"a", "b", "c"}) {
    std::vector<std::string> inputs = {"x", "x"};
    if (!last.empty()) inputs.push_back("^" + last);
    last = name + "_sum";
    builder.Node(name, "MatMul", inputs, FloatOp())
        .Node(last, "Sum", {name, "axes"}, FloatOp());
    sums.push_back(last);
  }
  TestStep step(builder, Gpus(2));
  step.Micros({{"a", 10}, {"b", 10}, {"c", 10}});
  for (const std::string& sum : sums) step.Micros({{sum, 1}});
  sums.push_back("axes");
  const Simulation result = step.On(1, sums).Run();
  EXPECT_EQ(result.devices[0].peak_bytes, kTensor + kTensor);
  EXPECT_EQ(result.devices[1].peak_bytes, 8 + kTensor + 4);
}

TEST(SimulatorMemory, APreservedTensorLivesToTheEnd) {
  const std::string bytes = MatMuls()
                                .Node("a", "MatMul", {"x", "x"}, FloatOp())
                                .Node("b", "MatMul", {"a", "a"}, FloatOp())
                                .Node("c", "MatMul", {"b", "b"}, FloatOp())
                                .Build();
  const Machine machine = Gpus(1);
  const auto peak = [&](const ParseOptions& options) {
    const OpGraph graph = *OpGraph::Parse(bytes, options);
    StepInput input;
    input.micros.assign(graph.num_ops(), 1.0f);
    return Simulator::Create(graph, machine, {})
        ->Run(input)
        ->devices[0]
        .peak_bytes;
  };
  ParseOptions preserve;
  preserve.preserve = {"a"};
  EXPECT_EQ(peak({}), kTensor + 2 * kTensor);
  EXPECT_EQ(peak(preserve), kTensor + 3 * kTensor);
}

// TensorFlow preserves what is stateful so that it is not pruned.
TEST(SimulatorMemory, APreservedReadIsTheVariableItself) {
  const std::string bytes = GraphBuilder()
                                .VarArg("v", {64, 64})
                                .Node("r", "ReadVariableOp", {"v"},
                                      {{"dtype", TypeAttrValue(kFloat)}})
                                .Node("a", "MatMul", {"r", "r"}, FloatOp())
                                .Retval("out", "a")
                                .Build();
  ParseOptions preserve;
  preserve.preserve = {"r"};
  const OpGraph graph = *OpGraph::Parse(bytes, preserve);
  ASSERT_TRUE(graph.has(graph.find("r"), kPreserved));
  for (const int32_t group : {-1, 0}) {
    StepInput input;
    input.micros.assign(graph.num_ops(), 1.0f);
    input.group.assign(graph.num_ops(), -1);
    input.group[graph.find("r")] = input.group[graph.find("a")] = group;
    if (group == 0) input.group_overhead = {1.0f};
    const auto run = Simulator::Create(graph, Gpus(1), {})->Run(input);
    const DeviceUse& use = run->devices[0];
    EXPECT_EQ(use.peak_bytes - use.resident_bytes, kTensor) << group;
  }
}

TEST(SimulatorMemory, FetchedTensorsLiveToTheEnd) {
  const auto peak = [](bool fetched) {
    GraphBuilder builder = MatMuls()
                               .Node("a", "MatMul", {"x", "x"}, FloatOp())
                               .Node("b", "MatMul", {"a", "a"}, FloatOp())
                               .Node("c", "MatMul", {"b", "b"}, FloatOp());
    if (fetched) builder.Retval("out", "a");
    TestStep step(builder, Gpus(1));
    return step.Micros({{"a", 1}, {"b", 1}, {"c", 1}})
        .Run()
        .devices[0]
        .peak_bytes;
  };
  EXPECT_EQ(peak(false), kTensor + 2 * kTensor);
  EXPECT_EQ(peak(true), kTensor + 3 * kTensor);
}

TEST(SimulatorMemory, VariablesAreThereThroughout) {
  const GraphBuilder::Attrs dtype = {{"dtype", TypeAttrValue(kFloat)}};
  const GraphBuilder builder =
      GraphBuilder()
          .VarArg("v", {64, 64})
          .Arg("x", {1, 64})
          .Node("read", "ReadVariableOp", {"v"}, dtype)
          .Node("y", "MatMul", {"x", "read"}, FloatOp())
          .Retval("out", "y");
  TestStep step(builder, Gpus(2));
  step.On(1, {"x", "y", "out"}).Micros({{"y", 1}});
  const Simulation result = step.Run();
  EXPECT_EQ(result.devices[0].resident_bytes, kTensor);
  EXPECT_EQ(result.devices[0].peak_bytes, kTensor) << "a read copies nothing";
  EXPECT_EQ(result.devices[1].peak_bytes, 256 + kTensor + 256);
}

TEST(SimulatorMemory, AVariableIsAsLargeAsItIsDeclared) {
  const GraphBuilder builder =
      GraphBuilder()
          .VarArg("table", {1000, 64})
          .Arg("ids", {2}, kInt32)
          .Node("rows", "ResourceGather", {"table", "ids"},
                {{"dtype", TypeAttrValue(kFloat)},
                 {"Tindices", TypeAttrValue(kInt32)}})
          .Retval("out", "rows");
  const Simulation result = TestStep(builder, Gpus(1)).Run();
  EXPECT_EQ(result.devices[0].resident_bytes, 4 * 1000 * 64 + 4 * 2);
  EXPECT_EQ(result.devices[0].peak_bytes, 4 * 1000 * 64 + 4 * 2 + 4 * 2 * 64);
}

// Grappler's memory optimizer adds up a large AddN like this.
TEST(SimulatorMemory, ATemporaryVariableIsThereOnce) {
  const GraphBuilder::Attrs ref = {{"dtype", TypeAttrValue(kFloat)},
                                   {"shape", ShapeAttr({64, 64})}};
  const GraphBuilder builder =
      MatMuls()
          .Node("a", "MatMul", {"x", "x"}, FloatOp())
          .Node("sum", "TemporaryVariable", {}, ref)
          .Node("set", "Assign", {"sum", "a"}, FloatOp())
          .Node("more", "AssignAdd", {"set", "x"}, FloatOp())
          .Node("got", "DestroyTemporaryVariable", {"more"}, FloatOp())
          .Node("b", "MatMul", {"got", "got"}, FloatOp())
          .Retval("out", "b");
  TestStep step(builder, Gpus(1));
  step.Micros({{"a", 1}, {"set", 1}, {"more", 1}, {"b", 1}});
  const Simulation result = step.Run();
  EXPECT_EQ(result.unknown_outputs, 0);
  EXPECT_EQ(result.devices[0].peak_bytes, kTensor + 2 * kTensor);
}

TEST(SimulatorMemory, AGroupHandsOnOnlyWhatIsReadOutside) {
  const GraphBuilder builder = MatMuls()
                                   .Node("a", "MatMul", {"x", "x"}, FloatOp())
                                   .Node("b", "Relu", {"a"}, FloatOp())
                                   .Node("c", "Relu", {"b"}, FloatOp())
                                   .Node("d", "MatMul", {"c", "a"}, FloatOp())
                                   .Retval("out", "d");
  TestStep step(builder, Gpus(1));
  step.Micros({{"a", 1}, {"b", 1}, {"c", 1}, {"d", 1}});
  EXPECT_EQ(step.Run().devices[0].peak_bytes, kTensor + 3 * kTensor);
  step.Group(1, {"b", "c"});  // c is written into b, which nobody else sees
  EXPECT_EQ(step.Run().devices[0].peak_bytes, kTensor + 3 * kTensor);
  EXPECT_DOUBLE_EQ(step.Run().devices[0].peak_at_micros, 4);
}

TEST(SimulatorMemory, AGroupWritesIntoNothingThatItWasGiven) {
  const GraphBuilder builder = MatMuls()
                                   .Node("a", "MatMul", {"x", "x"}, FloatOp())
                                   .Node("b", "Relu", {"a"}, FloatOp())
                                   .Node("c", "MatMul", {"b", "b"}, FloatOp())
                                   .Retval("out", "c");
  TestStep step(builder, Gpus(1));
  step.Micros({{"a", 1}, {"b", 1}, {"c", 1}});
  EXPECT_EQ(step.Run().devices[0].peak_bytes, kTensor + 2 * kTensor);
  step.Group(1, {"b", "c"});
  EXPECT_EQ(step.Run().devices[0].peak_bytes, kTensor + 3 * kTensor);
}

TEST(SimulatorMemory, WhatAGroupMadeGoesWithItsLastReader) {
  const GraphBuilder builder = MatMuls()
                                   .Node("a", "MatMul", {"x", "x"}, FloatOp())
                                   .Node("b", "Relu", {"a"}, FloatOp())
                                   .Node("c", "MatMul", {"b", "b"}, FloatOp())
                                   .Node("d", "MatMul", {"c", "c"}, FloatOp())
                                   .Retval("out", "d");
  TestStep step(builder, Gpus(1));
  step.Micros({{"a", 1}, {"b", 1}, {"c", 1}, {"d", 1}}).Group(1, {"a", "b"});
  EXPECT_EQ(step.Run().devices[0].peak_bytes, kTensor + 2 * kTensor);
}

TEST(SimulatorMemory, CountsOutputsOfUnknownSize) {
  const GraphBuilder builder = GraphBuilder()
                                   .Arg("x", {-1, 64})
                                   .Node("a", "Relu", {"x"}, FloatOp())
                                   .Retval("out", "a");
  const Simulation result = TestStep(builder, Gpus(1)).Run();
  EXPECT_EQ(result.unknown_outputs, 2);
  EXPECT_EQ(result.devices[0].peak_bytes, 0);
}

// One op after the other in the order of their numbers is what Liveness
// assumes.
TEST(SimulatorMemory, AgreesWithLivenessOnOneDevice) {
  std::mt19937 random(7);
  for (int trial = 0; trial < 100; ++trial) {
    RandomGraphOptions options;
    options.num_ops = 40;
    const std::string bytes = RandomGraphDef(options, &random);
    const OpGraph graph = *OpGraph::Parse(bytes, {});
    const Machine machine = Gpus(1);
    StepInput input;
    input.micros.assign(graph.num_ops(), 1.0f);
    for (int32_t i = 0; i < graph.num_ops(); ++i) {
      input.priority.push_back(static_cast<float>(-i));
    }
    const Simulation result =
        *Simulator::Create(graph, machine, {})->Run(input);
    const Liveness expected =
        SimulateLiveness(graph, ExecutionOrder(graph, {}), {});
    const DeviceUse& use = result.devices[0];
    ASSERT_EQ(use.peak_bytes - use.resident_bytes, expected.peak_bytes)
        << "trial " << trial;
  }
}

}  // namespace
}  // namespace grappler_go
