// The rules of single ops. Inference as a whole: shape_inference_test.cc.
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "cc/graph/shape_test_util.h"

namespace grappler_go {
namespace {

// ---- Arithmetic

TEST(ShapeRules, ElementwiseOpsBroadcast) {
  EXPECT_EQ(ShapeOf("AddV2", {{2, 1, 4}, {3, 1}}), "[2,3,4]");
  EXPECT_EQ(ShapeOf("Mul", {{-1, 4}, {4}}), "[?,4]");
  EXPECT_EQ(ShapeOf("Mul", {{-1, 4}, {3, 1}}), "[3,4]");
  EXPECT_EQ(ShapeOf("Mul", {{-1}, {1}}), "[?]");
  EXPECT_EQ(ShapeOf("Mul", {{2}, {3}}), "[?]");
  EXPECT_EQ(ShapeOf("SelectV2", {{4}, {3, 1}, {}}), "[3,4]");
  EXPECT_EQ(ShapeOf("Tanh", {{2, -1}}), "[2,?]");
  EXPECT_EQ(ShapeOf("AddN", {{2, -1}, {-1, 3}}), "[2,3]");
}

TEST(ShapeRules, ComparisonsAreBool) {
  Inferred graph(
      GraphBuilder()
          .Arg("x", {2, 3})
          .Node("less", "Less", {"x", "x"})
          .Node("equal", "Equal", {"x", "x"})
          .Node("cast", "Cast", {"less"}, {{"DstT", TypeAttrValue(kInt32)}}));
  EXPECT_EQ(graph.Dtype("less"), kBool);
  EXPECT_EQ(graph.Dtype("equal"), kBool);
  EXPECT_EQ(graph.Dtype("cast"), kInt32);
  EXPECT_EQ(graph.Shape("cast"), "[2,3]");
}

TEST(ShapeRules, AnEqualThatMayGiveAScalarIsUnknown) {
  const Attrs lenient = {{"incompatible_shape_error", BoolAttrValue(false)}};
  EXPECT_EQ(ShapeOf("Equal", {{2}, {-1}}, lenient), "?");
  EXPECT_EQ(ShapeOf("Equal", {{2}, {2}}, lenient), "[2]");
}

TEST(ShapeRules, ReductionsDropOrKeepTheirAxes) {
  const Attrs keep = {{"keep_dims", BoolAttrValue(true)}};
  EXPECT_EQ(ShapeWithInts("Sum", {{2, 3, 4}}, {{0, -1}}), "[3]");
  EXPECT_EQ(ShapeWithInts("Mean", {{2, 3, 4}}, {{1}}, keep), "[2,1,4]");
  EXPECT_EQ(ShapeWithInts("Max", {{2, 3}}, {{7}}), "?");
  EXPECT_EQ(ShapeOf("Sum", {{2, 3}, {1}}), "?");
  EXPECT_EQ(ShapeOf("Sum", {{2, 3}, {1}}, keep), "[?,?]");
  EXPECT_EQ(ShapeWithInts("ArgMax", {{2, 3, 4}}, {{1}}), "[2,4]");
}

TEST(ShapeRules, MatrixProductsHonorTransposition) {
  EXPECT_EQ(ShapeOf("MatMul", {{2, 3}, {3, 4}}), "[2,4]");
  EXPECT_EQ(ShapeOf("MatMul", {{3, 2}, {4, 3}},
                    {{"transpose_a", BoolAttrValue(true)},
                     {"transpose_b", BoolAttrValue(true)}}),
            "[2,4]");
  EXPECT_EQ(ShapeOf("_FusedMatMul", {{-1, 3}, {3, 4}, {4}}), "[?,4]");
  EXPECT_EQ(ShapeOf("BatchMatMulV2", {{7, 1, 2, 3}, {5, 4, 3}},
                    {{"adj_y", BoolAttrValue(true)}}),
            "[7,5,2,4]");
  EXPECT_EQ(ShapeOf("BatchMatMulV2", {{2}, {2, 2}}), "?");
}

TEST(ShapeRules, EinsumFollowsItsEquation) {
  const auto einsum = [](const std::string& equation,
                         const std::vector<Dims>& inputs) {
    return ShapeOf("Einsum", inputs, {{"equation", StringAttrValue(equation)}});
  };
  EXPECT_EQ(einsum("bqhd,bkhd->bhqk", {{2, 4, 8, 16}, {2, 5, 8, 16}}),
            "[2,8,4,5]");
  EXPECT_EQ(einsum("...ij,...jk->...ik", {{7, 1, 2, 3}, {6, 3, 4}}),
            "[7,6,2,4]");
  EXPECT_EQ(einsum("i...->...", {{2, 3, 4}}), "[3,4]");
  EXPECT_EQ(einsum("ii->i", {{3, 3}}), "[3]");
  EXPECT_EQ(einsum("ij,jk->ki", {{-1, 3}, {3, 4}}), "[4,?]");
  for (const char* bad : {"", "->", "ij", "ij,jk->il", "ijk->i", ",->"}) {
    EXPECT_EQ(einsum(bad, {{2, 3}, {3, 4}}).find("[2,"), std::string::npos)
        << bad;
  }
}

TEST(ShapeRules, SegmentsHaveAsManyRowsAsAsked) {
  GraphBuilder builder;
  builder.Arg("data", {6, 5})
      .Arg("ids", {6}, kInt32)
      .IntConst("n", {}, {9})
      .Node("op", "UnsortedSegmentSum", {"data", "ids", "n"});
  EXPECT_EQ(Inferred(builder).Shape("op"), "[9,5]");
  EXPECT_EQ(ShapeOf("SegmentSum", {{6, 5}, {6}}), "[?,5]");
}

// ---- Layout

TEST(ShapeRules, ReshapeWorksOutTheMissingSize) {
  EXPECT_EQ(ShapeWithInts("Reshape", {{2, 3, 4}}, {{-1, 4}}), "[6,4]");
  EXPECT_EQ(ShapeWithInts("Reshape", {{2, -1}}, {{-1, 4}}), "[?,4]");
  EXPECT_EQ(ShapeWithInts("Reshape", {{2, 3}}, {{-1, 4}}), "[?,4]");
  EXPECT_EQ(ShapeWithInts("Reshape", {{0}}, {{-1, 0}}), "[?,0]");
  EXPECT_EQ(ShapeOf("Reshape", {{2, 3}, {3}}), "[?,?,?]");
  EXPECT_EQ(ShapeOf("Reshape", {{2, 3}, {-1}}), "?");
}

TEST(ShapeRules, LayoutOpsMoveDimensions) {
  EXPECT_EQ(ShapeWithInts("Transpose", {{2, 3, 4}}, {{2, 0, 1}}), "[4,2,3]");
  EXPECT_EQ(ShapeOf("Transpose", {{2, 3}, {2}}), "[?,?]");
  EXPECT_EQ(ShapeOf("Squeeze", {{1, 2, 1}}), "[2]");
  EXPECT_EQ(
      ShapeOf("Squeeze", {{1, 2, 1}}, {{"squeeze_dims", IntListAttr({-1})}}),
      "[1,2]");
  EXPECT_EQ(ShapeOf("Squeeze", {{-1, 2}}), "?");
  EXPECT_EQ(ShapeWithInts("ExpandDims", {{2, 3}}, {{-1}}), "[2,3,1]");
  EXPECT_EQ(ShapeOf("Pack", {{2, 3}, {2, 3}}, {{"axis", IntAttrValue(1)}}),
            "[2,2,3]");
  EXPECT_EQ(ShapeWithInts("ConcatV2", {{2, 3}, {2, 4}}, {{-1}}), "[2,7]");
  EXPECT_EQ(ShapeWithInts("Tile", {{2, -1}}, {{3, 2}}), "[6,?]");
  EXPECT_EQ(ShapeWithInts("Pad", {{2, 3}}, {{1, 1, 0, 2}}), "[4,5]");
}

TEST(ShapeRules, SplitsShareTheirAxis) {
  GraphBuilder builder;
  builder.Arg("x", {2, 6})
      .IntConst("axis", {}, {1})
      .IntConst("sizes", {3}, {1, -1, 3})
      .Node("split", "Split", {"axis", "x"}, {{"num_split", IntAttrValue(3)}})
      .Node("splitv", "SplitV", {"x", "sizes", "axis"},
            {{"num_split", IntAttrValue(3)}})
      .Node("unpack", "Unpack", {"x"}, {{"num", IntAttrValue(2)}});
  Inferred graph(builder);
  EXPECT_EQ(graph.Shape("split", 2), "[2,2]");
  EXPECT_EQ(graph.Shape("splitv", 0), "[2,1]");
  EXPECT_EQ(graph.Shape("splitv", 1), "[2,2]");
  EXPECT_EQ(graph.Shape("unpack", 1), "[6]");
}

// ---- Slices and gathers

std::string StridedSlice(
    const Dims& input, const Ints& begin, const Ints& end, const Ints& strides,
    std::initializer_list<std::pair<const char*, int>> masks = {}) {
  Attrs attrs;
  for (const auto& [name, mask] : masks) {
    attrs.emplace_back(std::string(name) + "_mask", IntAttrValue(mask));
  }
  return ShapeWithInts("StridedSlice", {input}, {begin, end, strides}, attrs);
}

TEST(ShapeRules, StridedSliceHonorsItsMasks) {
  EXPECT_EQ(StridedSlice({5, 6}, {1, 0}, {4, 2}, {1, 1}), "[3,2]");
  EXPECT_EQ(StridedSlice({5, 6}, {1}, {2}, {1}, {{"shrink_axis", 1}}), "[6]");
  EXPECT_EQ(
      StridedSlice({5, 6}, {0, 1}, {0, 0}, {1, 2}, {{"begin", 1}, {"end", 3}}),
      "[5,3]");
  EXPECT_EQ(StridedSlice({5, 6, 7}, {0, 2}, {0, 3}, {1, 1},
                         {{"ellipsis", 1}, {"shrink_axis", 2}}),
            "[5,6]");
  EXPECT_EQ(StridedSlice({5, 6}, {0, 0}, {0, 1}, {1, 1},
                         {{"new_axis", 1}, {"end", 0}}),
            "[1,1,6]");
  EXPECT_EQ(StridedSlice({5}, {-1}, {-4}, {-2}), "[2]");
  EXPECT_EQ(StridedSlice({5}, {0}, {0}, {-1}, {{"begin", 1}, {"end", 1}}),
            "[5]");
  EXPECT_EQ(StridedSlice({5}, {3}, {1}, {1}), "[0]");
}

TEST(ShapeRules, StridedSliceOfUnknownsIsUnknownThereOnly) {
  EXPECT_EQ(
      StridedSlice({-1, 6}, {0, 0}, {0, 2}, {1, 1}, {{"begin", 1}, {"end", 1}}),
      "[?,2]");
  EXPECT_EQ(StridedSlice({5}, {0}, {2}, {0}), "?");
  EXPECT_EQ(StridedSlice({5}, {0, 0}, {1, 1}, {1, 1}), "?");
}

TEST(ShapeRules, GathersReplaceAnAxis) {
  const Attrs batched = {{"batch_dims", IntAttrValue(1)}};
  EXPECT_EQ(ShapeWithInts("GatherV2", {{9, 5}, {2, 3}}, {{0}}), "[2,3,5]");
  EXPECT_EQ(ShapeWithInts("GatherV2", {{2, 9, 5}, {2, 3}}, {{1}}, batched),
            "[2,3,5]");
  EXPECT_EQ(ShapeOf("GatherV2", {{9, 5}, {2}, {}}), "[?,?]");
  EXPECT_EQ(ShapeOf("GatherNd", {{9, 5, 4}, {7, 2}}), "[7,4]");
  EXPECT_EQ(ShapeWithInts("Slice", {{5, 6}}, {{1, 2}, {2, -1}}), "[2,4]");
}

TEST(ShapeRules, ResourceGatherPicksFromTheVariable) {
  Inferred graph(GraphBuilder()
                     .VarArg("table", {100, 16})
                     .Arg("ids", {8}, kInt32)
                     .Node("op", "ResourceGather", {"table", "ids"},
                           {{"dtype", TypeAttrValue(kFloat)}}));
  EXPECT_EQ(graph.Shape("op"), "[8,16]");
  EXPECT_EQ(graph.Dtype("op"), kFloat);
}

// ---- Neural networks

TEST(ShapeRules, ConvolutionsFollowPaddingStridesAndLayout) {
  EXPECT_EQ(ShapeOf("Conv2D", {{8, 9, 9, 3}, {3, 3, 3, 16}},
                    Window("SAME", {1, 2, 2, 1})),
            "[8,5,5,16]");
  EXPECT_EQ(ShapeOf("Conv2D", {{8, 9, 9, 3}, {3, 3, 3, 16}},
                    Window("VALID", {1, 2, 2, 1})),
            "[8,4,4,16]");
  EXPECT_EQ(ShapeOf("Conv2D", {{8, 3, 9, 9}, {3, 3, 3, 16}},
                    Window("VALID", {1, 1, 1, 1}, "NCHW")),
            "[8,16,7,7]");
  Attrs explicit_padding = Window("EXPLICIT", {1, 1, 1, 1});
  explicit_padding.emplace_back("explicit_paddings",
                                IntListAttr({0, 0, 1, 0, 2, 2, 0, 0}));
  EXPECT_EQ(ShapeOf("_FusedConv2D", {{8, 9, 9, 3}, {3, 3, 3, 16}, {16}},
                    explicit_padding),
            "[8,8,11,16]");
  Attrs dilated = Window("VALID", {1, 1, 1, 1});
  dilated.emplace_back("dilations", IntListAttr({1, 2, 2, 1}));
  EXPECT_EQ(ShapeOf("Conv2D", {{8, 9, 9, 3}, {3, 3, 3, 16}}, dilated),
            "[8,5,5,16]");
  EXPECT_EQ(ShapeOf("DepthwiseConv2dNative", {{8, 9, 9, 6}, {3, 3, 6, 2}},
                    Window("SAME", {1, 1, 1, 1})),
            "[8,9,9,12]");
  EXPECT_EQ(ShapeOf("Conv2D", {{8, 9, 9, 3}, {3, 3, 3, 16}},
                    Window("SAME", {1, 0, 0, 1})),
            "[8,?,?,16]");
}

TEST(ShapeRules, PoolingKeepsTheChannels) {
  EXPECT_EQ(ShapeOf("MaxPool", {{8, 9, 9, 3}}, Window("VALID", {1, 2, 2, 1})),
            "[8,4,4,3]");
  EXPECT_EQ(ShapeOf("AvgPool", {{-1, 9, 9, 3}}, Window("SAME", {1, 2, 2, 1})),
            "[?,5,5,3]");
}

TEST(ShapeRules, GradientsHaveTheShapesOfWhatTheyAreOf) {
  GraphBuilder builder;
  builder.IntConst("sizes", {4}, {8, 9, 9, 3})
      .IntConst("filter_sizes", {4}, {3, 3, 3, 16})
      .Arg("filter", {3, 3, 3, 16})
      .Arg("x", {8, 9, 9, 3})
      .Arg("dy", {8, 9, 9, 16})
      .Node("dx", "Conv2DBackpropInput", {"sizes", "filter", "dy"})
      .Node("dw", "Conv2DBackpropFilter", {"x", "filter_sizes", "dy"})
      .Node("pool", "AvgPoolGrad", {"sizes", "dy"});
  Inferred graph(builder);
  EXPECT_EQ(graph.Shape("dx"), "[8,9,9,3]");
  EXPECT_EQ(graph.Shape("dw"), "[3,3,3,16]");
  EXPECT_EQ(graph.Shape("pool"), "[8,9,9,3]");
  EXPECT_EQ(graph.Dtype("dw"), kFloat);
}

TEST(ShapeRules, BatchNormalizationHasPerChannelOutputs) {
  const std::vector<Dims> in = {{8, 9, 9, 3}, {3}, {3}, {3}, {3}};
  EXPECT_EQ(ShapeOf("FusedBatchNormV3", in), "[8,9,9,3]");
  EXPECT_EQ(ShapeOf("FusedBatchNormV3", in, {}, 4), "[3]");
  const std::vector<Dims> grad = {{8, 9, 9, 3}, {8, 9, 9, 3}, {3},
                                  {3},          {3},          {}};
  EXPECT_EQ(ShapeOf("FusedBatchNormGradV3", grad), "[8,9,9,3]");
  EXPECT_EQ(ShapeOf("FusedBatchNormGradV3", grad, {}, 1), "[3]");
  EXPECT_EQ(ShapeOf("FusedBatchNormGradV3", grad, {}, 3), "[0]");
}

TEST(ShapeRules, LossesGiveOneValueAnExample) {
  EXPECT_EQ(ShapeOf("SparseSoftmaxCrossEntropyWithLogits", {{8, 10}, {8}}),
            "[8]");
  EXPECT_EQ(
      ShapeOf("SparseSoftmaxCrossEntropyWithLogits", {{8, 10}, {8}}, {}, 1),
      "[8,10]");
}

// As Grappler's memory optimizer writes a large AddN.
TEST(ShapeRules, ATemporaryVariableIsAReferenceUntilItIsDestroyed) {
  GraphBuilder builder;
  const Attrs type = {{"T", TypeAttrValue(kFloat)}};
  builder.Arg("x", {8, 3})
      .Node("sum", "TemporaryVariable", {},
            {{"shape", ShapeAttr({8, 3})}, {"dtype", TypeAttrValue(kFloat)}})
      .Node("set", "Assign", {"sum", "x"}, type)
      .Node("got", "DestroyTemporaryVariable", {"set"}, type)
      .Retval("out", "got");
  Inferred graph(builder);
  for (const char* name : {"sum", "set", "got"}) {
    EXPECT_EQ(graph.Shape(name), "[8,3]") << name;
  }
  EXPECT_EQ(graph.Dtype("sum"), 100 + kFloat);
  EXPECT_EQ(graph.Dtype("set"), 100 + kFloat);
  EXPECT_EQ(graph.Dtype("got"), kFloat);
}

}  // namespace
}  // namespace grappler_go
