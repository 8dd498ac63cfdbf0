#include "cc/plan/op_micros.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cc/graph/attr_value.h"
#include "cc/testing/graph_builder.h"

namespace grappler_go {
namespace {

const GraphBuilder::Attrs kT = {{"T", TypeAttrValue(kFloat)}};
constexpr float kMegabyteStored = 33.0f;  // microseconds
constexpr float kStored = kMegabyteStored / 10;
constexpr float kMegabyteRead = 18.0f;

// Every op takes 100 microseconds alone and 1 in a group.
class OpMicrosTest : public ::testing::Test {
 protected:
  void Parse(GraphBuilder builder) {
    bytes_ = builder.Build();
    auto graph = OpGraph::Parse(bytes_, {});
    ASSERT_TRUE(graph.ok()) << graph.status().message();
    graph_ = std::move(*graph);
    Logits logits;
    logits.num_ops = graph_.num_ops();
    logits.op_micros.assign(graph_.num_ops(), 100.0f);
    logits.fused_micros.assign(graph_.num_ops(), 1.0f);
    micros_ = EstimateOpMicros(graph_, Machine(), logits);
  }
  float Alone(const std::string& name) {
    return micros_.alone[graph_.find(name)];
  }
  float Compiled(const std::string& name) {
    return micros_.compiled[graph_.find(name)];
  }

  std::string bytes_;
  OpGraph graph_;
  OpMicros micros_;
};

// Tensors of 0.1 MB: a test's stay in the cache.
GraphBuilder Small() { return GraphBuilder().Arg("x", {50, 500}); }
GraphBuilder Megabyte() { return GraphBuilder().Arg("x", {500, 500}); }

TEST_F(OpMicrosTest, AnOpThatCannotWriteOverItsInputPaysForMemory) {
  Parse(Small()
            .Node("first", "Tanh", {"x"}, kT)  // the caller's
            .Node("in_place", "Neg", {"first"}, kT)
            .Node("read_twice", "Mul", {"in_place", "in_place"}, kT)
            .Node("a", "Neg", {"read_twice"}, kT)
            .Node("b", "Neg", {"read_twice"}, kT)
            .Node("product", "MatMul", {"a", "b"}, kT)
            .Retval("out", "product"));
  EXPECT_FLOAT_EQ(Alone("first"), 100 + kStored);
  EXPECT_FLOAT_EQ(Alone("in_place"), 100);
  EXPECT_FLOAT_EQ(Alone("a"), 100 + kStored);
  EXPECT_FLOAT_EQ(Alone("b"), 100 + kStored);
  // Timed with memory of its own.
  EXPECT_FLOAT_EQ(Alone("product"), 100);
}

TEST_F(OpMicrosTest, ASmallerInputIsNotWrittenOver) {
  Parse(Small()
            .Arg("row", {500})
            .Node("small", "Neg", {"row"}, kT)
            .Node("sum", "AddV2", {"x", "small"}, kT)
            .Retval("out", "sum"));
  EXPECT_FLOAT_EQ(Alone("sum"), 100 + kStored);
}

TEST_F(OpMicrosTest, AGroupStoresWhatItDoesNotComputeAnew) {
  Parse(Small()
            .Node("cheap", "Mul", {"x", "x"}, kT)
            .Node("dear", "Tanh", {"x"}, kT)
            .Node("quotient", "RealDiv", {"x", "x"}, kT)
            .Node("once", "Tanh", {"x"}, kT)
            .Node("operand", "Mul", {"x", "x"}, kT)
            .Node("a", "AddV2", {"cheap", "dear"}, kT)
            .Node("b", "Sub", {"cheap", "dear"}, kT)
            .Node("c", "AddV2", {"quotient", "once"}, kT)
            .Node("d", "Neg", {"quotient"}, kT)
            .Node("product", "MatMul", {"operand", "x"}, kT)
            .Retval("out_a", "a")
            .Retval("out_b", "b")
            .Retval("out_c", "c")
            .Retval("out_d", "d")
            .Retval("out", "product"));
  EXPECT_FLOAT_EQ(Compiled("cheap"), 1);
  EXPECT_FLOAT_EQ(Compiled("dear"), 1 + kStored);
  EXPECT_FLOAT_EQ(Compiled("quotient"), 1 + kStored);
  EXPECT_FLOAT_EQ(Compiled("once"), 1);
  EXPECT_FLOAT_EQ(Compiled("operand"), 1 + kStored);
}

// A sum of 0.8 MB, [8, 10, 5, 500], over `axes`.
GraphBuilder SumOf(const std::string& producer, std::vector<int32_t> axes) {
  const auto rank = static_cast<int64_t>(axes.size());
  return GraphBuilder()
      .Arg("x", {8, 10, 5, 500})
      .Arg("y", {8, 10, 5, 500})
      .Arg("row", {500})
      .IntConst("axes", {rank}, axes)
      .Node("difference", "Sub", {"x", "row"}, kT)
      .Node("product", producer, {"difference", "y"}, kT)
      .Node("view", "Identity", {"product"}, kT)
      .Node("sum", "Sum", {"view", "axes"},
            {{"T", TypeAttrValue(kFloat)}, {"Tidx", TypeAttrValue(kInt32)}})
      .Retval("out", "sum");
}

TEST_F(OpMicrosTest, ASumOfProductsOverRowsIsNotVectorized) {
  Parse(SumOf("Mul", {0, 1, 2}));
  EXPECT_FLOAT_EQ(Alone("sum"), 100);
  EXPECT_FLOAT_EQ(Compiled("sum"), 1 + 2 * 0.8f * 300) << "of x and of y";
  Parse(SumOf("SquaredDifference", {0, 1, 2}));
  EXPECT_FLOAT_EQ(Compiled("sum"), 1 + 2 * 0.8f * 300);
  Parse(SumOf("Mul", {1, 2}));
  EXPECT_FLOAT_EQ(Compiled("sum"), 1 + 0.8f * 200);
}

TEST_F(OpMicrosTest, OverTwoAxesItMattersWhoElseReadsAndHowItIsComputed) {
  const GraphBuilder base = GraphBuilder()
                                .Arg("x", {8, 10, 5, 500})
                                .IntConst("axes", {2}, {1, 2})
                                .Node("function", "Sigmoid", {"x"}, kT)
                                .Node("product", "Mul", {"function", "x"}, kT)
                                .Node("sum", "Mean", {"product", "axes"}, kT)
                                .Retval("out", "sum");
  Parse(base);
  EXPECT_FLOAT_EQ(Compiled("sum"), 1 + 0.8f * (200 + 400));
  Parse(GraphBuilder(base).Retval("stored", "product"));
  EXPECT_FLOAT_EQ(Compiled("sum"), 1);
}

TEST_F(OpMicrosTest, OtherSumsAre) {
  Parse(SumOf("AddV2", {0, 1, 2}));
  EXPECT_FLOAT_EQ(Compiled("sum"), 1);
  Parse(SumOf("Mul", {0}));
  EXPECT_FLOAT_EQ(Compiled("sum"), 1);
  for (const std::vector<int32_t>& with_innermost :
       {std::vector<int32_t>{3}, {1, 2, 3}, {0, 1, 2, 3}, {-1, 0, 1}}) {
    Parse(SumOf("Mul", with_innermost));
    EXPECT_FLOAT_EQ(Compiled("sum"), 1);
  }
}

TEST_F(OpMicrosTest, BiasGradientsAreSumsOverRows) {
  Parse(GraphBuilder()
            .Arg("x", {64, 64, 5, 500})
            .Node("square", "Square", {"x"}, kT)
            .Node("bias", "BiasAddGrad", {"square"}, kT)
            .Node("of_argument", "BiasAddGrad", {"x"}, kT)
            .Node("first", "BiasAddGrad", {"square"},
                  {{"T", TypeAttrValue(kFloat)},
                   {"data_format", StringAttrValue("NCHW")}})
            .Retval("out", "bias")
            .Retval("out_of_argument", "of_argument")
            .Retval("out_first", "first"));
  EXPECT_FLOAT_EQ(Compiled("bias"), 1 + 40.96f * 600) << "beyond the cache";
  EXPECT_FLOAT_EQ(Compiled("of_argument"), 1);
  EXPECT_FLOAT_EQ(Compiled("first"), 1);
}

// A chain of `count` ops that touches two megabytes with each.
void Chain(std::string from, int count, GraphBuilder* builder) {
  for (int i = 0; i < count; ++i) {
    std::string name = "chain" + std::to_string(i);
    builder->Node(name, "Neg", {from}, kT);
    from = std::move(name);
  }
}

TEST_F(OpMicrosTest, WhatHasLeftTheCacheIsReadAnew) {
  GraphBuilder builder = Megabyte();
  builder.Node("old", "MatMul", {"x", "x"}, kT)
      .Node("fused", "Neg", {"old"}, kT);
  Chain("fused", 4, &builder);
  builder.Node("late", "AddV2", {"chain3", "old"}, kT)
      .Node("again", "Sub", {"late", "old"}, kT)
      .Node("of_fused", "Mul", {"again", "fused"}, kT)
      .Retval("out", "of_fused");
  Parse(std::move(builder));
  // Nine megabytes lie between; the second reader finds it in the cache.
  EXPECT_FLOAT_EQ(Alone("late"), 100 + kMegabyteRead);
  EXPECT_FLOAT_EQ(Compiled("late"), 1 + kMegabyteRead);
  EXPECT_FLOAT_EQ(Alone("again"), 100);
  // What XLA computes where it is read was never stored; the result is.
  EXPECT_FLOAT_EQ(Alone("of_fused"), 100 + kMegabyteRead);
  EXPECT_FLOAT_EQ(Compiled("of_fused"), 1 + kMegabyteStored);
}

TEST_F(OpMicrosTest,
       AnArgumentThatTheLastStepReadIsInTheCacheIfTheStepIsSmall) {
  GraphBuilder small = Megabyte();
  Chain("x", 3, &small);
  Parse(std::move(small.Retval("out", "chain2")));
  EXPECT_FLOAT_EQ(Alone("chain0"), 100 + kMegabyteStored);
  GraphBuilder large = Megabyte();
  Chain("x", 6, &large);
  Parse(std::move(large.Retval("out", "chain5")));
  EXPECT_FLOAT_EQ(Alone("chain0"), 100 + kMegabyteStored + kMegabyteRead);
}

TEST_F(OpMicrosTest, AViewIsTheTensorItShows) {
  GraphBuilder builder = Megabyte();
  builder.Node("old", "MatMul", {"x", "x"}, kT);
  Chain("old", 5, &builder);
  builder.Node("view", "Identity", {"old"}, kT)
      .Node("late", "AddV2", {"chain4", "view"}, kT)
      .Node("fresh", "Identity", {"late"}, kT)
      .Node("next", "Sub", {"late", "fresh"}, kT)
      .Retval("out", "next");
  Parse(std::move(builder));
  EXPECT_FLOAT_EQ(Alone("late"), 100 + kMegabyteRead);
  EXPECT_FLOAT_EQ(Alone("next"), 100);
}

// What an op reads beyond the cache was not there when it was timed, either;
// whatever its size, it did write over its input.
TEST_F(OpMicrosTest, ReadsBeyondTheCacheAreInTheTimingsAndNewMemoryIsNot) {
  GraphBuilder builder = GraphBuilder().Arg("x", {2000, 2000});
  Parse(std::move(builder.Node("op", "Neg", {"x"}, kT).Retval("out", "op")));
  const float in_play = 8.0f / 32.0f;
  EXPECT_FLOAT_EQ(Alone("op"),
                  100 + 16 * kMegabyteStored + in_play * 16 * kMegabyteRead);
  // A compiled chain reads nothing: there, reading all of it comes on top.
  EXPECT_FLOAT_EQ(
      Compiled("op"),
      std::min(Alone("op"), 1 + 16 * (kMegabyteStored + kMegabyteRead)));
}

// 16,000 operations and 8,000 bytes.
OpGraph Product() {
  GraphBuilder builder;
  builder.Arg("a", {20, 20})
      .Arg("b", {20, 20})
      .Node("op", "MatMul", {"a", "b"}, {{"T", TypeAttrValue(kFloat)}});
  static const std::string& bytes = *new std::string(builder.Build());
  return std::move(*OpGraph::Parse(bytes, {}));
}

Device MakeDevice(const char* name, const char* type, double gflops) {
  Device device;
  device.name = name;
  device.type = type;
  device.gflops = gflops;
  device.gbytes_per_s = 1e6;
  return device;
}

TEST(EstimateOpMicros, WithoutACpuItIsTheFirstDevice) {
  const OpGraph graph = Product();
  const int32_t op = graph.find("op");
  Machine machine;
  machine.devices = {MakeDevice("/device:GPU:0", "GPU", 8),
                     MakeDevice("/device:GPU:1", "GPU", 4)};
  machine.devices[0].dispatch_us = 5;
  const OpMicros micros = EstimateOpMicros(graph, machine, Logits());
  EXPECT_FLOAT_EQ(micros.alone[op], 2 + 5);
  EXPECT_FLOAT_EQ(micros.compiled[op], 2 + 5) << "a kernel of its own";
  machine.devices.push_back(MakeDevice("/device:CPU:0", "CPU", 1));
  EXPECT_FLOAT_EQ(EstimateOpMicros(graph, machine, Logits()).alone[op], 16 + 1);
}

TEST(EstimateOpMicros, ThePolicysWordIsOfCpus) {
  const OpGraph graph = Product();
  const int32_t op = graph.find("op");
  Machine machine;
  machine.devices = {MakeDevice("/device:CPU:0", "CPU", 1),
                     MakeDevice("/device:GPU:0", "GPU", 8)};
  Logits logits;
  logits.num_ops = graph.num_ops();
  logits.op_micros.assign(graph.num_ops(), 100.0f);
  logits.fused_micros.assign(graph.num_ops(), 50.0f);
  std::vector<int32_t> device(graph.num_ops(), 0);
  EXPECT_FLOAT_EQ(EstimateOpMicros(graph, machine, logits, device).alone[op],
                  100);
  device[op] = 1;
  const OpMicros micros = EstimateOpMicros(graph, machine, logits, device);
  EXPECT_FLOAT_EQ(micros.alone[op], 2 + machine.devices[1].dispatch_us);
  EXPECT_EQ(micros.device, device);
}

// Of a machine on which a product of matrices takes a microsecond for each
// thousand operations.
Machine TimedMachine() {
  Calibration timed;
  timed.ops["MatMul"] = {{1, 1000, 0, 0}, {0.5, 500, 0, 0}};
  timed.classes[OpClass::kElementwise] = {{2, 0, 0, 0}, {0, 0, 0, 0}};
  timed.new_us_per_mb = 1000;
  timed.group_launch_us = 7;
  timed.group_tensor_us = 3;
  timed.group_output_us_per_mb = 11;
  Machine machine;
  machine.devices = {MakeDevice("/device:CPU:0", "CPU", 1)};
  machine.devices[0].calibration = std::make_shared<Calibration>(timed);
  return machine;
}

TEST(EstimateOpMicros, WhatWasTimedOnTheMachineComesBeforeThePolicysWord) {
  const OpGraph graph = Product();
  const int32_t op = graph.find("op");
  Logits logits;
  logits.num_ops = graph.num_ops();
  logits.op_micros.assign(graph.num_ops(), 100.0f);
  logits.fused_micros.assign(graph.num_ops(), 50.0f);
  const OpMicros micros = EstimateOpMicros(graph, TimedMachine(), logits);
  EXPECT_FLOAT_EQ(micros.alone[op], 1 + 16);
  EXPECT_FLOAT_EQ(micros.compiled[op], 0.5 + 8);
  EXPECT_EQ(micros.per_boundary_byte, 0);
}

TEST(EstimateOpMicros, AnOpThatWasNotTimedTakesThePolicysWordOrARoofline) {
  Machine machine = TimedMachine();
  Calibration timed = *machine.devices[0].calibration;
  timed.ops.clear();
  machine.devices[0].calibration = std::make_shared<Calibration>(timed);
  const OpGraph graph = Product();
  const int32_t op = graph.find("op");
  EXPECT_FLOAT_EQ(EstimateOpMicros(graph, machine, Logits()).alone[op], 16 + 1);
  Logits logits;
  logits.num_ops = graph.num_ops();
  logits.op_micros.assign(graph.num_ops(), 100.0f);
  logits.fused_micros.assign(graph.num_ops(), 50.0f);
  EXPECT_FLOAT_EQ(EstimateOpMicros(graph, machine, logits).alone[op], 100);
}

TEST_F(OpMicrosTest, AClassOfOpsIsTimedTooAndSoIsMemory) {
  Parse(Small().Node("op", "Neg", {"x"}, kT).Retval("out", "op"));
  const OpMicros micros = EstimateOpMicros(graph_, TimedMachine(), Logits());
  EXPECT_FLOAT_EQ(micros.alone[graph_.find("op")], 2 + 100);  // 0.1 MB
}

TEST(WithTimedGroups, TakesTheMachinesCostsWhereNothingElseWasAskedFor) {
  PlanOptions options;
  options.group_tensor_micros = 1.5;
  const PlanOptions timed = WithTimedGroups(options, TimedMachine());
  EXPECT_EQ(timed.group_launch_micros, 7);
  EXPECT_EQ(timed.group_tensor_micros, 1.5);
  EXPECT_EQ(timed.group_output_micros_per_mb, 11);
  EXPECT_EQ(WithTimedGroups(options, Machine()).group_launch_micros,
            options.group_launch_micros);
}

TEST(EstimateOpMicros, GroupsCrossTheirBoundaryAtWhatStreamingAchieves) {
  Machine machine;
  machine.devices = {MakeDevice("/device:CPU:0", "CPU", 1)};
  machine.devices[0].gbytes_per_s = 10;
  const OpGraph graph = Product();
  EXPECT_DOUBLE_EQ(EstimateOpMicros(graph, machine, Logits()).per_boundary_byte,
                   1e-4);
  machine.devices[0].achieved.fill({1.0, 0.5});
  EXPECT_DOUBLE_EQ(EstimateOpMicros(graph, machine, Logits()).per_boundary_byte,
                   2e-4);
}

}  // namespace
}  // namespace grappler_go
