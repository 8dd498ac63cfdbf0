// Products of matrices, convolutions and recurrent cells against numbers worked
// out by hand.
#include <vector>

#include "cc/cost/op_formula_test_util.h"
#include "gtest/gtest.h"

namespace grappler_go {
namespace {

TEST(OpFormula, ProductsOfSparseAndDenseMatrices) {
  // 5 values in [6, 7], times [7, 3].
  ExpectWork(Cost("SparseTensorDenseMatMul",
                  {{{5, 2}, kInt64}, {{5}}, Ints({6, 7}), {{7, 3}}}),
             2 * 5 * 3, 8 * 10 + 4 * 5 + 4 * 2 + 4 * 21, 4 * 18);
}

// A batch of 2, inputs of 3, a cell of 4: weights [7, 16].
const std::vector<In> kLstmCell = {{{2, 3}}, {{2, 4}}, {{2, 4}}, {{7, 16}},
                                   {{4}},    {{4}},    {{4}},    {{16}}};
const std::vector<Dims> kSevenOfCell(7, Dims{2, 4});

TEST(OpFormula, LstmCells) {
  const OpCost cell = Cost("LSTMBlockCell", kLstmCell, {}, kSevenOfCell);
  ExpectWork(cell, 2 * 2 * 7 * 16 + 8 * (5 * kT + 9),
             4 * (6 + 8 + 8 + 112 + 12 + 16), 4 * 7 * 8);
  std::vector<In> inputs = kLstmCell;
  inputs.resize(16, {{2, 4}});
  EXPECT_EQ(
      Flops("LSTMBlockCellGrad", inputs, {}, {{2, 4}, {2, 16}, {4}, {4}, {4}}),
      25 * 8);
}

TEST(OpFormula, BlockLstmsRunEveryStep) {
  // 5 steps; the number of them comes first.
  std::vector<In> inputs = kLstmCell;
  inputs[0] = {{5, 2, 3}};
  inputs.insert(inputs.begin(), In{{}, kInt64});
  EXPECT_EQ(Flops("BlockLSTMV2", inputs, {}, std::vector<Dims>(7, {5, 2, 4})),
            5 * (2 * 2 * 7 * 16 + 8 * (5 * kT + 9)));
  EXPECT_EQ(
      Flops("BlockLSTMGradV2", inputs, {}, std::vector<Dims>(8, {5, 2, 4})),
      5 * (2 * 2 * 2 * 7 * 16 + 8 * 25));
}

TEST(OpFormula, GruCells) {
  const std::vector<In> inputs = {{{2, 3}}, {{2, 4}}, {{7, 8}},
                                  {{7, 4}}, {{8}},    {{4}}};
  const std::vector<Dims> outputs(4, Dims{2, 4});
  EXPECT_EQ(Flops("GRUBlockCell", inputs, {}, outputs),
            2 * 2 * 7 * 12 + 8 * (3 * kT + 8));
  EXPECT_EQ(Flops("GRUBlockCellGrad", inputs, {}, outputs),
            2 * 2 * 7 * 12 + 8 * 25);
}

TEST(OpFormula, ThreeDimensionalAndGroupedConvolutions) {
  const Attrs attrs = {{"strides", IntListAttr({1, 1, 1, 1, 1})},
                       {"padding", StringAttrValue("SAME")}};
  EXPECT_EQ(Cost("Conv3D", {{{2, 5, 6, 7, 3}}, {{3, 3, 3, 3, 4}}}, attrs).flops,
            2.0 * (2 * 5 * 6 * 7 * 4) * (27 * 3));
  // Two groups: a filter sees half of the 8 channels.
  const Attrs flat = {{"strides", IntListAttr({1, 1, 1, 1})},
                      {"padding", StringAttrValue("SAME")}};
  EXPECT_EQ(Cost("Conv2D", {{{2, 5, 6, 8}}, {{3, 3, 4, 10}}}, flat).flops,
            2.0 * (2 * 5 * 6 * 10) * (9 * 4));
}

TEST(OpFormula, DepthwiseGradientsMeetOneChannelOnly) {
  const Attrs attrs = {{"strides", IntListAttr({1, 1, 1, 1})},
                       {"padding", StringAttrValue("SAME")}};
  GraphBuilder builder;
  builder.IntConst("in_sizes", {4}, {8, 9, 9, 4})
      .IntConst("filter_sizes", {4}, {3, 3, 4, 2})
      .Arg("x", {8, 9, 9, 4})
      .Arg("filter", {3, 3, 4, 2})
      .Arg("dy", {8, 9, 9, 8})
      .Node("dx", "DepthwiseConv2dNativeBackpropInput",
            {"in_sizes", "filter", "dy"}, attrs)
      .Node("dw", "DepthwiseConv2dNativeBackpropFilter",
            {"x", "filter_sizes", "dy"}, attrs);
  const double expected = 2.0 * (8 * 9 * 9 * 8) * 9;
  EXPECT_EQ(CostIn(builder, "dx").flops, expected);
  EXPECT_EQ(CostIn(builder, "dw").flops, expected);
}

}  // namespace
}  // namespace grappler_go
