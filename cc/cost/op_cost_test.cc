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
  const OpCost momentum =
      CostIn(GraphBuilder()
                 .VarArg("v", {1000})
                 .VarArg("m", {1000})
                 .Arg("rate", {})
                 .Arg("gradient", {1000})
                 .Node("op", "ResourceApplyMomentum",
                       {"v", "m", "rate", "gradient", "rate"}));
  EXPECT_EQ(momentum.bytes_written, 8000);
  EXPECT_GT(momentum.flops, 1000);
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
  EXPECT_EQ(RooflineMicros(cost, OpClass::kShape, device), 0);
  EXPECT_EQ(RooflineMicros(cost, OpClass::kConstOp, device), 0);
}

}  // namespace
}  // namespace grappler_go
