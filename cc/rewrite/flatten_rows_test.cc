#include "cc/rewrite/flatten_rows.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "cc/rewrite/rewrite_test_util.h"

namespace grappler_go {
namespace {

const GraphBuilder::Attrs kSumAttrs = {{"T", TypeAttrValue(kFloat)},
                                       {"Tidx", TypeAttrValue(kInt32)}};

// dy * (x - mean), summed over rows; the difference is also scaled, per column,
// and handed out.
GraphBuilder Normalization(const std::vector<int32_t>& axes = {0, 1, 2},
                           const Dims& mean = {1, 1, 1, 6}) {
  const auto rank = static_cast<int64_t>(axes.size());
  return GraphBuilder()
      .Arg("x", {2, 3, 4, 6})
      .Arg("dy", {2, 3, 4, 6})
      .Arg("mean", mean)
      .Arg("scale", {6})
      .IntConst("axes", {rank}, axes)
      .Node("centered", "Sub", {"x", "mean"}, FloatType())
      .Node("product", "Mul", {"dy", "centered"}, FloatType())
      .Node("scaled", "Mul", {"centered", "scale"}, FloatType())
      .Node("sum", "Sum", {"product", "axes"}, kSumAttrs)
      .Retval("out", "sum")
      .Retval("out_scaled", "scaled");
}

TestGraph Flattened(const TestGraph& graph,
                    std::vector<std::string> preserve = {}) {
  FlattenedRows flattened = FlattenRows(*graph);
  EXPECT_GT(flattened.ops, 0);
  return TestGraph(flattened.ops > 0 ? flattened.graphdef : graph.bytes(),
                   std::move(preserve));
}

TensorShape ShapeOf(const TestGraph& graph, const std::string& name) {
  return graph->shape(graph.op(name), 0);
}

TEST(FlattenRows, ARegionBecomesMatrices) {
  const TestGraph graph = Flattened(TestGraph(Normalization().Build()));
  EXPECT_EQ(graph.inputs("product/grappler_go_rows"),
            "product/grappler_go_rows_of centered/grappler_go_rows");
  EXPECT_EQ(graph.inputs("centered/grappler_go_rows"),
            "centered/grappler_go_rows_of centered/grappler_go_rows_of_1");
  EXPECT_EQ(ShapeOf(graph, "centered/grappler_go_rows_of"),
            TensorShape::Of({24, 6}));
  EXPECT_EQ(ShapeOf(graph, "centered/grappler_go_rows_of_1"),
            TensorShape::Of({6}));
  EXPECT_EQ(ShapeOf(graph, "product/grappler_go_rows"),
            TensorShape::Of({24, 6}));
  // A vector is the same for every row as it is.
  EXPECT_EQ(graph.inputs("scaled/grappler_go_rows"),
            "centered/grappler_go_rows scale");
}

TEST(FlattenRows, TheSumGoesOverOneAxis) {
  const TestGraph graph = Flattened(TestGraph(Normalization().Build()));
  const NodeView sum = graph.node("sum");
  ASSERT_EQ(sum.data_inputs.size(), 2u);
  EXPECT_EQ(sum.data_inputs[0], "product/grappler_go_rows");
  const ParsedTensor axes = ParseTensor(
      AttrTensor(graph.node(std::string(sum.data_inputs[1])).attr("value")));
  ASSERT_EQ(axes.values.size(), 1);
  EXPECT_EQ(axes.values[0], 0);
  EXPECT_EQ(ShapeOf(graph, "sum"), TensorShape::Of({6}));
}

TEST(FlattenRows, WhatIsReadElsewhereHasItsShapeAndName) {
  const TestGraph graph = Flattened(TestGraph(Normalization().Build()));
  EXPECT_EQ(graph.type("scaled"), "Reshape");
  EXPECT_EQ(ShapeOf(graph, "scaled"), TensorShape::Of({2, 3, 4, 6}));
  EXPECT_FALSE(graph.has_node("product"));
  EXPECT_FALSE(graph.has_node("centered"));
  const TestGraph named =
      Flattened(TestGraph(Normalization().Build(), {"product"}), {"product"});
  EXPECT_EQ(named.type("product"), "Reshape");
}

TEST(FlattenRows, KeptDimensionsAreMadeAgain) {
  GraphBuilder::Attrs attrs = kSumAttrs;
  attrs.emplace_back("keep_dims", BoolAttrValue(true));
  const TestGraph graph =
      Flattened(TestGraph(Normalization()
                              .Node("kept", "Mean", {"product", "axes"}, attrs)
                              .Retval("out_kept", "kept")
                              .Build()));
  EXPECT_EQ(graph.type("kept"), "Reshape");
  EXPECT_EQ(ShapeOf(graph, "kept"), TensorShape::Of({1, 1, 1, 6}));
  EXPECT_EQ(graph.type("kept/grappler_go_rows"), "Mean");
  EXPECT_FALSE(AttrBool(graph.node("kept/grappler_go_rows").attr("keep_dims")));
}

TEST(FlattenRows, BiasGradientsAreSumsOverRows) {
  const TestGraph graph = Flattened(
      TestGraph(GraphBuilder()
                    .Arg("x", {2, 3, 4, 6})
                    .Node("square", "Square", {"x"}, FloatType())
                    .Node("bias", "BiasAddGrad", {"square"}, FloatType())
                    .Retval("out", "bias")
                    .Build()));
  EXPECT_EQ(graph.inputs("bias"), "square/grappler_go_rows");
  EXPECT_EQ(ShapeOf(graph, "bias"), TensorShape::Of({6}));
}

TEST(FlattenRows, WhatWaitedStillWaits) {
  const TestGraph graph = Flattened(
      TestGraph(GraphBuilder()
                    .Arg("x", {2, 3, 4, 6})
                    .IntConst("axes", {3}, {0, 1, 2})
                    .Node("first", "NoOp")
                    .Node("square", "Square", {"x", "^first"}, FloatType())
                    .Node("sum", "Sum", {"square", "axes", "^first"}, kSumAttrs)
                    .Node("last", "NoOp", {"^square"})
                    .Retval("out", "sum")
                    .Build()));
  EXPECT_EQ(graph.inputs("square/grappler_go_rows"),
            "square/grappler_go_rows_of ^first");
  EXPECT_EQ(graph.type("square"), "Reshape");
  EXPECT_EQ(graph.inputs("last"), "^square");
  const NodeView sum = graph.node("sum");
  ASSERT_EQ(sum.control_inputs.size(), 1u);
  EXPECT_EQ(sum.control_inputs[0], "^first");
}

TEST(FlattenRows, OtherSumsAreLeftAlone) {
  for (const std::vector<int32_t>& axes :
       {std::vector<int32_t>{0}, {1, 2}, {3}, {1, 2, 3}, {0, 1, 2, 3}}) {
    const TestGraph graph(Normalization(axes).Build());
    EXPECT_EQ(FlattenRows(*graph).ops, 0);
  }
}

TEST(FlattenRows, OperandsThatDifferWithinRowsEndTheRegion) {
  // A value for each image: (x - mean) is left, and read as it is.
  const TestGraph graph =
      Flattened(TestGraph(Normalization({0, 1, 2}, {2, 1, 1, 6}).Build()));
  EXPECT_EQ(graph.type("centered"), "Sub");
  EXPECT_EQ(graph.type("scaled"), "Mul") << "another region, with no sum";
  EXPECT_EQ(graph.type("product/grappler_go_rows"), "Mul");
}

TEST(FlattenRows, AGraphIsFlattenedOnce) {
  const TestGraph graph = Flattened(TestGraph(Normalization().Build()));
  EXPECT_EQ(FlattenRows(*graph).ops, 0);
}

TEST(FlattenRows, UnknownShapesAreLeftAlone) {
  const TestGraph graph(GraphBuilder()
                            .Arg("x", {-1, 3, 4, 6})
                            .IntConst("axes", {3}, {0, 1, 2})
                            .Node("square", "Square", {"x"}, FloatType())
                            .Node("sum", "Sum", {"square", "axes"}, kSumAttrs)
                            .Retval("out", "sum")
                            .Build());
  EXPECT_EQ(FlattenRows(*graph).ops, 0);
}

}  // namespace
}  // namespace grappler_go
