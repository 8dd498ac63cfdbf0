#include "cc/cost/cost_kind.h"

#include <string>
#include <vector>

#include "cc/cost/op_formula_test_util.h"
#include "gtest/gtest.h"

namespace grappler_go {
namespace {

std::string KeyOf(const std::string& op, const std::vector<In>& inputs,
                  const Attrs& attrs = {},
                  const std::vector<Dims>& outputs = {}) {
  const std::string bytes = GraphOf(op, inputs, attrs, outputs).Build();
  StatusOr<OpGraph> graph = OpGraph::Parse(bytes, {});
  EXPECT_TRUE(graph.ok()) << graph.status().message();
  return CostKey(*graph, graph->find("op"));
}

TEST(CostKind, ConvolutionsOfOneByOneArePointwise) {
  const In x{{8, 14, 14, 64}};
  const Dims y{8, 14, 14, 32};
  EXPECT_EQ(KeyOf("Conv2D", {x, {{1, 1, 64, 32}}}, {}, {y}),
            "Conv2D:pointwise");
  EXPECT_EQ(KeyOf("Conv2D", {x, {{1, 3, 64, 32}}}, {}, {y}), "Conv2D");
  EXPECT_EQ(KeyOf("Conv2D", {x, {{-1, 1, 64, 32}}}, {}, {y}), "Conv2D");
  EXPECT_EQ(KeyOf("_FusedConv2D", {x, {{1, 1, 64, 32}}, {{32}}}, {}, {y}),
            "_FusedConv2D:pointwise");
  // The filter is what comes out of one gradient and goes into the other.
  EXPECT_EQ(
      KeyOf("Conv2DBackpropFilter",
            {x, Ints({1, 1, 64, 32}), {{8, 14, 14, 32}}}, {}, {{1, 1, 64, 32}}),
      "Conv2DBackpropFilter:pointwise");
  EXPECT_EQ(KeyOf("Conv2DBackpropInput",
                  {Ints({8, 14, 14, 64}), {{3, 3, 64, 32}}, {{8, 14, 14, 32}}},
                  {}, {{8, 14, 14, 64}}),
            "Conv2DBackpropInput");
}

TEST(CostKind, UnequalShapesAreBroadcast) {
  EXPECT_EQ(KeyOf("Mul", {{{16, 32}}, {{16, 32}}}), "Mul");
  EXPECT_EQ(KeyOf("Mul", {{{16, 32}}, {{32}}}), "Mul:broadcast");
  EXPECT_EQ(KeyOf("Mul", {{{16, 1}}, {{1, 32}}}), "Mul:broadcast");
  EXPECT_EQ(KeyOf("Mul", {{{}}, {{16, 32}}}), "Mul");
  EXPECT_EQ(KeyOf("Mul", {{{16, 32}}, {{-1}}}), "Mul");
  EXPECT_EQ(KeyOf("RealDiv", {{{16, 32}}, {{16, 1}}}), "RealDiv:broadcast");
  EXPECT_EQ(KeyOf("BiasAdd", {{{16, 32}}, {{32}}}), "BiasAdd");
  EXPECT_EQ(KeyOf("MatMul", {{{16, 32}}, {{32, 4}}}), "MatMul");
}

TEST(CostKind, AxesMayLieApart) {
  const In x{{8, 32, 4, 16}};
  EXPECT_EQ(KeyOf("Sum", {x, Ints({1, 3})}), "Sum:apart");
  EXPECT_EQ(KeyOf("Sum", {x, Ints({-1, 0})}), "Sum:apart");
  EXPECT_EQ(KeyOf("Sum", {x, Ints({1, 2})}), "Sum");
  EXPECT_EQ(KeyOf("Sum", {x, Ints({3})}), "Sum");
  EXPECT_EQ(KeyOf("Sum", {x, Ints({0, 1, 2, 3})}), "Sum");
  // A dimension of one element lies on either side.
  EXPECT_EQ(KeyOf("Sum", {{{8, 32, 1, 16}}, Ints({1, 3})}), "Sum");
  EXPECT_EQ(KeyOf("Sum", {{{8, -1, 4, 16}}, Ints({1, 3})}), "Sum");
  EXPECT_EQ(KeyOf("Sum", {x, {{2}, kInt32}}), "Sum");
}

}  // namespace
}  // namespace grappler_go
