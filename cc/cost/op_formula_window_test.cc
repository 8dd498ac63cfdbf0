// Pooling, resizing and normalisation against numbers worked out by hand.
#include <vector>

#include "cc/cost/op_formula_test_util.h"
#include "gtest/gtest.h"

namespace grappler_go {
namespace {

TEST(OpFormula, PoolingGradientsCountTheSmallerSide) {
  const Attrs attrs = {{"strides", IntListAttr({1, 2, 2, 1})},
                       {"ksize", IntListAttr({1, 3, 3, 1})},
                       {"padding", StringAttrValue("SAME")}};
  const double windows = 8 * 5 * 5 * 4, image = 8 * 10 * 10 * 4;
  ExpectWork(Cost("MaxPoolGrad",
                  {{{8, 10, 10, 4}}, {{8, 5, 5, 4}}, {{8, 5, 5, 4}}}, attrs),
             windows * 9, 4 * (image + 2 * windows), 4 * image);
  GraphBuilder builder;
  builder.IntConst("sizes", {4}, {8, 10, 10, 4})
      .Arg("dy", {8, 5, 5, 4})
      .Node("op", "AvgPoolGrad", {"sizes", "dy"}, attrs);
  ExpectWork(CostIn(builder), windows * 9, 16 + 4 * windows, 4 * image);
}

TEST(OpFormula, ResizingCountsNeighbours) {
  GraphBuilder builder;
  builder.Arg("x", {2, 4, 4, 3})
      .Arg("dy", {2, 8, 8, 3})
      .IntConst("size", {2}, {8, 8})
      .Node("bilinear", "ResizeBilinear", {"x", "size"})
      .Node("bilinear_grad", "ResizeBilinearGrad", {"dy", "x"})
      .Node("bicubic", "ResizeBicubic", {"x", "size"})
      .Node("nearest", "ResizeNearestNeighbor", {"x", "size"});
  const double small = 2 * 4 * 4 * 3, large = 2 * 8 * 8 * 3;
  ExpectWork(CostIn(builder, "bilinear"), 9 * large, 4 * small + 8, 4 * large);
  // Of the original image only the shape is read.
  ExpectWork(CostIn(builder, "bilinear_grad"), 9 * large, 4 * large, 4 * small);
  EXPECT_EQ(CostIn(builder, "bicubic").flops, 32 * large);
  EXPECT_EQ(CostIn(builder, "nearest").flops, 0);
}

TEST(OpFormula, CropsReadFourNeighboursAndNoMoreThanTheImage) {
  const auto crops = [](int32_t size) {
    return Cost(
        "CropAndResize",
        {{{1, 100, 100, 3}}, {{2, 4}}, {{2}, kInt32}, Ints({size, size})});
  };
  ExpectWork(crops(5), 9 * 150, 4 * 4 * 150 + 4 * (8 + 2 + 2), 4 * 150);
  EXPECT_EQ(crops(200).bytes_read, 4 * 30000 + 4 * (8 + 2 + 2));
}

TEST(OpFormula, Normalization) {
  const std::vector<In> forward = {{{2, 4, 4, 8}}, {{8}}, {{8}}, {{8}}, {{8}}};
  const double n = 2 * 4 * 4 * 8;
  EXPECT_EQ(
      Cost("FusedBatchNormV3", forward, {{"is_training", BoolAttrValue(true)}})
          .flops,
      4 * n);
  EXPECT_EQ(
      Cost("FusedBatchNormV3", forward, {{"is_training", BoolAttrValue(false)}})
          .flops,
      2 * n);
  EXPECT_EQ(Cost("FusedBatchNormGradV3",
                 {{{2, 4, 4, 8}}, {{2, 4, 4, 8}}, {{8}}, {{8}}, {{8}}, {{8}}})
                .flops,
            11 * n);
  // Five neighbours: two to each side.
  const Attrs radius = {{"depth_radius", IntAttrValue(2)}};
  EXPECT_EQ(Flops("LRN", {{{2, 4, 4, 8}}}, radius, {{2, 4, 4, 8}}),
            n * (5 + kT + 4));
  EXPECT_EQ(Flops("LRNGrad", {{{2, 4, 4, 8}}, {{2, 4, 4, 8}}, {{2, 4, 4, 8}}},
                  radius, {{2, 4, 4, 8}}),
            n * (7 * 5 + kT + 4));
}

}  // namespace
}  // namespace grappler_go
