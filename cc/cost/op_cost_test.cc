#include "cc/cost/op_cost.h"

#include <string>
#include <utility>
#include <vector>

#include "cc/graph/wire.h"
#include "cc/testing/graph_builder.h"
#include "gtest/gtest.h"

namespace grappler_go {
namespace {

using Attrs = GraphBuilder::Attrs;

OpCost CostIn(const GraphBuilder& builder, const std::string& name = "op") {
  const std::string bytes = builder.Build();
  StatusOr<OpGraph> graph = OpGraph::Parse(bytes, {});
  EXPECT_TRUE(graph.ok()) << graph.status().message();
  const int32_t op = graph->find(name);
  EXPECT_GE(op, 0);
  return CostOf(*graph, op);
}

// The cost of an op whose inputs are float _Args of these shapes.
OpCost Cost(const std::string& op, const std::vector<Dims>& inputs,
            const Attrs& attrs = {}) {
  GraphBuilder builder;
  std::vector<std::string> names;
  for (size_t i = 0; i < inputs.size(); ++i) {
    names.push_back("in" + std::to_string(i));
    builder.Arg(names.back(), inputs[i]);
  }
  builder.Node("op", op, names, attrs);
  return CostIn(builder);
}

const Attrs kConv = {{"strides", IntListAttr({1, 1, 1, 1})},
                     {"padding", StringAttrValue("SAME")}};

TEST(CostOf, ElementwiseOpsCountTheirOutput) {
  const OpCost cost = Cost("AddV2", {{4, 8}, {8}});
  EXPECT_TRUE(cost.known);
  EXPECT_EQ(cost.flops, 32);
  EXPECT_EQ(cost.bytes_read, 4 * (32 + 8));
  EXPECT_EQ(cost.bytes_written, 4 * 32);
  EXPECT_EQ(Cost("Tanh", {{4, 8}}).flops, 32 * kTranscendentalFlops);
  EXPECT_EQ(Cost("AddN", {{8}, {8}, {8}}).flops, 16);
}

TEST(CostOf, MatrixProductsCountTwoAMultiplyAdd) {
  EXPECT_EQ(Cost("MatMul", {{2, 3}, {3, 4}}).flops, 2 * 2 * 3 * 4);
  EXPECT_EQ(
      Cost("MatMul", {{3, 2}, {3, 4}}, {{"transpose_a", BoolAttrValue(true)}})
          .flops,
      2 * 2 * 3 * 4);
  EXPECT_EQ(Cost("BatchMatMulV2", {{5, 2, 3}, {5, 3, 4}}).flops,
            5 * 2 * 2 * 3 * 4);
  EXPECT_EQ(Cost("_FusedMatMul", {{2, 3}, {3, 4}, {4}}).flops,
            2 * 2 * 3 * 4 + 2 * 8);
}

TEST(CostOf, EinsumCountsEveryLabelOnce) {
  const auto flops = [](const std::string& equation,
                        const std::vector<Dims>& inputs) {
    return Cost("Einsum", inputs, {{"equation", StringAttrValue(equation)}})
        .flops;
  };
  EXPECT_EQ(flops("bqhd,bkhd->bhqk", {{2, 4, 8, 16}, {2, 5, 8, 16}}),
            2.0 * 2 * 4 * 5 * 8 * 16);
  EXPECT_EQ(flops("...ij,jk->...ik", {{7, 2, 3}, {3, 4}}), 2.0 * 7 * 2 * 3 * 4);
}

TEST(CostOf, ConvolutionsCostTheSameForwardAndBackward) {
  const double expected = 2.0 * (8 * 9 * 9 * 16) * (3 * 3 * 4);
  EXPECT_EQ(Cost("Conv2D", {{8, 9, 9, 4}, {3, 3, 4, 16}}, kConv).flops,
            expected);
  GraphBuilder builder;
  builder.IntConst("in_sizes", {4}, {8, 9, 9, 4})
      .IntConst("filter_sizes", {4}, {3, 3, 4, 16})
      .Arg("x", {8, 9, 9, 4})
      .Arg("filter", {3, 3, 4, 16})
      .Arg("dy", {8, 9, 9, 16})
      .Node("dx", "Conv2DBackpropInput", {"in_sizes", "filter", "dy"}, kConv)
      .Node("dw", "Conv2DBackpropFilter", {"x", "filter_sizes", "dy"}, kConv);
  EXPECT_EQ(CostIn(builder, "dx").flops, expected);
  EXPECT_EQ(CostIn(builder, "dw").flops, expected);
}

TEST(CostOf, DepthwiseConvolutionsMeetOneChannelOnly) {
  const Attrs& attrs = kConv;
  EXPECT_EQ(
      Cost("DepthwiseConv2dNative", {{8, 9, 9, 4}, {3, 3, 4, 2}}, attrs).flops,
      2.0 * (8 * 9 * 9 * 8) * 9);
}

TEST(CostOf, PoolingCountsItsWindow) {
  Attrs attrs = {{"strides", IntListAttr({1, 2, 2, 1})},
                 {"ksize", IntListAttr({1, 3, 3, 1})},
                 {"padding", StringAttrValue("SAME")}};
  EXPECT_EQ(Cost("MaxPool", {{8, 10, 10, 4}}, attrs).flops,
            (8.0 * 5 * 5 * 4) * 9);
}

TEST(CostOf, PickingReadsWhatItReturns) {
  GraphBuilder builder;
  builder.Arg("table", {100000, 16})
      .Arg("ids", {8}, kInt32)
      .IntConst("axis", {}, {0})
      .Node("op", "GatherV2", {"table", "ids", "axis"});
  const OpCost cost = CostIn(builder);
  EXPECT_EQ(cost.bytes_written, 4 * 8 * 16);
  EXPECT_EQ(cost.bytes_read, 4 * 8 * 16 + 4 * 8 + 4);
}

TEST(CostOf, ReadingAVariableMovesNothing) {
  const OpCost cost = CostIn(GraphBuilder()
                                 .VarArg("v", {1000})
                                 .Node("op", "ReadVariableOp", {"v"},
                                       {{"dtype", TypeAttrValue(kFloat)}}));
  EXPECT_TRUE(cost.known);
  EXPECT_EQ(cost.bytes_read + cost.bytes_written, 0);
}

TEST(CostOf, UpdatesReadAndWriteTheirVariables) {
  const OpCost add =
      CostIn(GraphBuilder()
                 .VarArg("v", {1000})
                 .Arg("value", {1000})
                 .Node("op", "AssignAddVariableOp", {"v", "value"}));
  EXPECT_EQ(add.flops, 1000);
  EXPECT_EQ(add.bytes_read, 8000);
  EXPECT_EQ(add.bytes_written, 4000);
  const OpCost assign =
      CostIn(GraphBuilder()
                 .VarArg("v", {1000})
                 .Arg("value", {1000})
                 .Node("op", "AssignVariableOp", {"v", "value"}));
  EXPECT_EQ(assign.flops, 0);
  EXPECT_EQ(assign.bytes_read, 4000);
}

TEST(CostOf, ScattersIntoVariablesTouchTheRowsTheyName) {
  GraphBuilder builder;
  builder.VarArg("v", {1000, 4})
      .Arg("ids", {5}, kInt32)
      .Arg("rows", {5, 4})
      .Node("add", "ResourceScatterAdd", {"v", "ids", "rows"})
      .Node("update", "ResourceScatterUpdate", {"v", "ids", "rows"})
      .Node("gather", "ResourceGather", {"v", "ids"},
            {{"dtype", TypeAttrValue(kFloat)}});
  const OpCost add = CostIn(builder, "add");
  EXPECT_EQ(add.flops, 20);
  EXPECT_EQ(add.bytes_read, 4 * (5 + 20 + 20));
  EXPECT_EQ(add.bytes_written, 4 * 20);
  const OpCost update = CostIn(builder, "update");
  EXPECT_EQ(update.flops, 0);
  EXPECT_EQ(update.bytes_read, 4 * (5 + 20));
  const OpCost gather = CostIn(builder, "gather");
  EXPECT_EQ(gather.bytes_read, 4 * (5 + 20));
  EXPECT_EQ(gather.bytes_written, 4 * 20);
}

// What TensorFlow's op definitions say: variables first, then scalars and the
// gradient at its place.
struct Optimizer {
  const char* op;
  int variables, gradient, inputs;
  double flops;  // on each weight
};

constexpr Optimizer kOptimizers[] = {
    {"ResourceApplyGradientDescent", 1, 2, 3, 2},
    {"ResourceApplyMomentum", 2, 3, 5, 4},
    {"ResourceApplyKerasMomentum", 2, 3, 5, 4},
    {"ResourceApplyAdagrad", 2, 3, 4, 6},
    {"ResourceApplyAdagradV2", 2, 4, 5, 7},
    {"ResourceApplyAdadelta", 3, 6, 7, 16},
    {"ResourceApplyAdam", 3, 9, 10, 12},
    {"ResourceApplyAdaMax", 3, 8, 9, 10},
    {"ResourceApplyAdamWithAmsgrad", 4, 10, 11, 13},
    {"ResourceApplyRMSProp", 3, 7, 8, 11},
    {"ResourceApplyCenteredRMSProp", 4, 8, 9, 16},
    {"ResourceApplyFtrl", 3, 3, 8, 17},
    {"ResourceApplyFtrlV2", 3, 3, 9, 19},
    {"ApplyAdam", 3, 9, 10, 12},
    {"ApplyMomentum", 2, 3, 5, 4},
};

TEST(CostOf, OptimizersReadAndWriteAllThatTheyKeepOfAWeight) {
  for (const Optimizer& optimizer : kOptimizers) {
    const bool by_reference = optimizer.op[0] == 'A';
    GraphBuilder builder;
    std::vector<std::string> names;
    for (int i = 0; i < optimizer.inputs; ++i) {
      names.push_back("in" + std::to_string(i));
      if (i >= optimizer.variables) {
        builder.Arg(names.back(),
                    i == optimizer.gradient ? Dims{1000} : Dims{});
      } else if (by_reference) {
        builder.Node(
            names.back(), "VariableV2", {},
            {{"dtype", TypeAttrValue(kFloat)}, {"shape", ShapeAttr({1000})}});
      } else {
        builder.VarArg(names.back(), {1000});
      }
    }
    const OpCost cost = CostIn(builder.Node("op", optimizer.op, names));
    const double scalars = optimizer.inputs - optimizer.variables - 1;
    EXPECT_TRUE(cost.known) << optimizer.op;
    EXPECT_EQ(cost.flops, 1000 * optimizer.flops) << optimizer.op;
    EXPECT_EQ(cost.bytes_read, 4 * (1000 * (optimizer.variables + 1) + scalars))
        << optimizer.op;
    EXPECT_EQ(cost.bytes_written, 4000 * optimizer.variables) << optimizer.op;
  }
}

TEST(CostOf, SparseOptimizersTouchTheRowsOfTheGradient) {
  // One value a row: its index is larger than the row.
  GraphBuilder builder;
  builder.VarArg("v", {100000, 1})
      .VarArg("a", {100000, 1})
      .Arg("rate", {})
      .Arg("gradient", {5, 1})
      .Arg("ids", {5}, kInt64)
      .Node("op", "ResourceSparseApplyAdagrad",
            {"v", "a", "rate", "gradient", "ids"});
  const OpCost cost = CostIn(builder);
  EXPECT_EQ(cost.flops, 5 * 6);
  EXPECT_EQ(cost.bytes_read, 2 * 20 + 4 + 20 + 8 * 5);
  EXPECT_EQ(cost.bytes_written, 2 * 20);
}

TEST(CostOf, FreeOpsAreKnownToCostNothing) {
  for (const char* op : {"Identity", "Shape", "StopGradient"}) {
    const OpCost cost = Cost(op, {{-1, 4}});
    EXPECT_TRUE(cost.known) << op;
    EXPECT_EQ(cost.bytes_read + cost.bytes_written + cost.flops, 0) << op;
  }
}

TEST(CostOf, AMissingShapeMakesTheCostUnknown) {
  const OpCost cost = Cost("AddV2", {{-1, 4}, {4}});
  EXPECT_FALSE(cost.known);
  EXPECT_EQ(cost.flops, 0);
  EXPECT_EQ(cost.bytes_read, 0);
  EXPECT_FALSE(Cost("MatMul", {{-1, 4}, {4, 4}}).known);
  EXPECT_FALSE(
      CostIn(GraphBuilder().Arg("x", {2}).Node("op", "NeverHeardOf", {"x"}))
          .known);
}

TEST(CostOf, OpsWithoutInputsDoNotFall) {
  for (const char* op : {"MatMul", "Einsum", "Conv2D", "MaxPoolGrad", "Softmax",
                         "BlockLSTMV2", "FusedBatchNormV3", "ResizeBilinear",
                         "AssignVariableOp", "SparseTensorDenseMatMul"}) {
    CostIn(GraphBuilder().Node("op", op));
  }
}

TEST(RooflineMicros, IsTheSlowerOfComputeAndMemoryPlusADispatch) {
  Device device;
  device.gflops = 100;
  device.gbytes_per_s = 10;
  OpCost cost;
  cost.known = true;
  cost.flops = 1e6;  // 10 us
  cost.bytes_read = 3e4;
  cost.bytes_written = 2e4;  // 5 us together
  EXPECT_DOUBLE_EQ(RooflineMicros(cost, OpClass::kMatMul, device),
                   10 + kDispatchMicros);
  cost.flops = 0;
  EXPECT_DOUBLE_EQ(RooflineMicros(cost, OpClass::kMatMul, device),
                   5 + kDispatchMicros);
  device.dispatch_us = 7;
  EXPECT_DOUBLE_EQ(RooflineMicros(cost, OpClass::kMatMul, device), 5 + 7);
  EXPECT_EQ(RooflineMicros(cost, OpClass::kShape, device), 0);
  EXPECT_EQ(RooflineMicros(cost, OpClass::kConstOp, device), 0);
}

TEST(RooflineMicros, TakesWhatTheClassAchieves) {
  Device device;
  device.gflops = 100;
  device.gbytes_per_s = 10;
  device.dispatch_us = 0;
  device.achieved[static_cast<size_t>(OpClass::kConv)] = {0.5, 0.25};
  OpCost cost;
  cost.flops = 1e6;
  EXPECT_DOUBLE_EQ(RooflineMicros(cost, OpClass::kMatMul, device), 10);
  EXPECT_DOUBLE_EQ(RooflineMicros(cost, OpClass::kConv, device), 20);
  cost.bytes_read = 1e5;
  EXPECT_DOUBLE_EQ(RooflineMicros(cost, OpClass::kMatMul, device), 10);
  EXPECT_DOUBLE_EQ(RooflineMicros(cost, OpClass::kConv, device), 40);
}

}  // namespace
}  // namespace grappler_go
