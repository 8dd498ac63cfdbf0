// Each formula against a number worked out by hand, and which ops have none.
#include "cc/cost/op_formula.h"

#include <cmath>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "cc/cost/op_cost.h"
#include "cc/graph/op_def_table.h"
#include "cc/graph/wire.h"
#include "cc/testing/graph_builder.h"
#include "gtest/gtest.h"

namespace grappler_go {
namespace {

using Attrs = GraphBuilder::Attrs;

constexpr double kT = kTranscendentalFlops;

OpCost CostIn(const GraphBuilder& builder, const std::string& name = "op") {
  const std::string bytes = builder.Build();
  StatusOr<OpGraph> graph = OpGraph::Parse(bytes, {});
  EXPECT_TRUE(graph.ok()) << graph.status().message();
  const int32_t op = graph->find(name);
  EXPECT_GE(op, 0) << name;
  return CostOf(*graph, op);
}

struct In {
  Dims dims;
  int dtype = kFloat;
  std::vector<int32_t> values = {};  // an int32 constant where there are any
};

In Ints(const std::vector<int32_t>& values) {
  return {{static_cast<int64_t>(values.size())}, kInt32, values};
}

In Int(int32_t value) { return {{}, kInt32, {value}}; }

// An op whose inputs are _Args of these shapes. Where no rule infers its
// outputs' shapes, they are given.
GraphBuilder GraphOf(const std::string& op, const std::vector<In>& inputs,
                     Attrs attrs = {}, const std::vector<Dims>& outputs = {}) {
  GraphBuilder builder;
  std::vector<std::string> names;
  for (size_t i = 0; i < inputs.size(); ++i) {
    names.push_back("in" + std::to_string(i));
    const In& in = inputs[i];
    if (!in.values.empty()) {
      builder.IntConst(names.back(), in.dims, in.values);
    } else if (in.dtype == kResource) {
      builder.VarArg(names.back(), in.dims);
    } else {
      builder.Arg(names.back(), in.dims, in.dtype);
    }
  }
  attrs.emplace_back("T", TypeAttrValue(kFloat));
  if (!outputs.empty()) {
    attrs.emplace_back("_output_shapes", ShapeListAttr(outputs));
  }
  builder.Node("op", op, names, attrs);
  return builder;
}

OpCost Cost(const std::string& op, const std::vector<In>& inputs,
            const Attrs& attrs = {}, const std::vector<Dims>& outputs = {}) {
  return CostIn(GraphOf(op, inputs, attrs, outputs));
}

// The work alone, for ops whose outputs' types no rule infers from attributes
// of a test: CostOf() wants the bytes too.
double Flops(const std::string& op, const std::vector<In>& inputs,
             const Attrs& attrs, const std::vector<Dims>& outputs) {
  const std::string bytes = GraphOf(op, inputs, attrs, outputs).Build();
  StatusOr<OpGraph> graph = OpGraph::Parse(bytes, {});
  EXPECT_TRUE(graph.ok()) << graph.status().message();
  const int32_t at = graph->find("op");
  return FindFormula(graph->def(at))->flops(OpFacts(*graph, at));
}

void ExpectWork(const OpCost& cost, double flops, double read, double written) {
  EXPECT_TRUE(cost.known);
  EXPECT_NEAR(cost.flops, flops, 1e-9 * flops);
  EXPECT_EQ(cost.bytes_read, read);
  EXPECT_EQ(cost.bytes_written, written);
}

TEST(HasFormula, IsFalseForCallsAndForWhatNoShapeTells) {
  std::set<std::string> without;
  for (const OpFamily& family : OpFamilies()) {
    for (const OpRow& row : Span<OpRow>(family.rows, family.size)) {
      if (!HasFormula(*FindOpDef(row.name))) without.emplace(row.name);
    }
  }
  const std::set<std::string> expected = {
      // Their bodies are not looked into.
      "Case", "If", "PartitionedCall", "StatefulPartitionedCall",
      "StatelessCase", "StatelessIf", "StatelessWhile", "While",
      // Python, strings, input pipelines.
      "EagerPyFunc", "IteratorGetNext", "Print", "PrintV2", "PyFunc",
      "StringToHashBucketFast"};
  EXPECT_EQ(without, expected);
  EXPECT_FALSE(HasFormula(*FindOpDef("NeverHeardOf")));
}

TEST(OpFormula, AnOpWithoutOneIsKnownToHaveNone) {
  const OpCost cost =
      Cost("StatelessWhile", {{{8}}}, {{"T", TypeListAttr({kFloat})}}, {{8}});
  EXPECT_FALSE(cost.known);
  EXPECT_EQ(cost.flops, 0);
}

TEST(OpFormula, ElementwiseOpsThatAreSeveral) {
  ExpectWork(Cost("SquaredDifference", {{{4, 8}}, {{8}}}), 2 * 32, 4 * (32 + 8),
             4 * 32);
  ExpectWork(Cost("RsqrtGrad", {{{32}}, {{32}}}), 4 * 32, 8 * 32, 4 * 32);
  ExpectWork(Cost("SqrtGrad", {{{32}}, {{32}}}), 2 * 32, 8 * 32, 4 * 32);
  ExpectWork(Cost("ReciprocalGrad", {{{32}}, {{32}}}), 3 * 32, 8 * 32, 4 * 32);
  ExpectWork(Cost("ClipByValue", {{{32}}, {{}}, {{}}}), 2 * 32, 4 * 34, 4 * 32);
  ExpectWork(Cost("ZerosLike", {{{32}}}), 0, 0, 4 * 32);
}

TEST(OpFormula, ComparisonsWriteAByteAnElement) {
  ExpectWork(Cost("Greater", {{{32}}, {{32}}}), 32, 8 * 32, 32);
  ExpectWork(Cost("SelectV2", {{{32}, kBool}, {{32}}, {{32}}}), 32, 9 * 32,
             4 * 32);
}

TEST(OpFormula, Reductions) {
  GraphBuilder builder;
  builder.Arg("x", {6, 8}).IntConst("axis", {}, {1});
  builder.Node("sum", "Sum", {"x", "axis"})
      .Node("mean", "Mean", {"x", "axis"})
      .Node("cumsum", "Cumsum", {"x", "axis"})
      .IntConst("k", {}, {4})
      .Node("top", "TopKV2", {"x", "k"}, {{"T", TypeAttrValue(kFloat)}});
  ExpectWork(CostIn(builder, "sum"), 48, 4 * 49, 4 * 6);
  ExpectWork(CostIn(builder, "mean"), 48 + 6, 4 * 49, 4 * 6);
  ExpectWork(CostIn(builder, "cumsum"), 48, 4 * 49, 4 * 48);
  ExpectWork(CostIn(builder, "top"), 48 * 2, 4 * 49, 4 * 24 + 4 * 24);
  ExpectWork(Cost("L2Loss", {{{48}}}), 2 * 48, 4 * 48, 4);
  ExpectWork(Cost("Softmax", {{{6, 8}}}), 48 * (kT + 4), 4 * 48, 4 * 48);
  ExpectWork(
      Cost("SparseSoftmaxCrossEntropyWithLogits", {{{6, 8}}, {{6}, kInt32}}),
      48 * (kT + 4), 4 * (48 + 6), 4 * (6 + 48));
}

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

TEST(OpFormula, CopiesMoveWhatTheyReturn) {
  GraphBuilder builder;
  builder.Arg("x", {4, 8}).Arg("y", {4, 2}).IntConst("axis", {}, {1});
  builder
      .Node("concat", "ConcatV2", {"x", "y", "axis"}, {{"N", IntAttrValue(2)}})
      .Node("split", "Split", {"axis", "x"}, {{"num_split", IntAttrValue(2)}})
      .IntConst("perm", {2}, {1, 0})
      .Node("transpose", "Transpose", {"x", "perm"})
      .IntConst("times", {2}, {3, 1})
      .Node("tile", "Tile", {"x", "times"})
      .IntConst("paddings", {2, 2}, {1, 1, 0, 0})
      .Node("pad", "Pad", {"x", "paddings"})
      .IntConst("begin", {2}, {0, 0})
      .IntConst("size", {2}, {2, 8})
      .Node("slice", "Slice", {"x", "begin", "size"});
  ExpectWork(CostIn(builder, "concat"), 0, 4 * (32 + 8 + 1), 4 * 40);
  ExpectWork(CostIn(builder, "split"), 0, 4 * (1 + 32), 4 * 32);
  ExpectWork(CostIn(builder, "transpose"), 0, 4 * (32 + 2), 4 * 32);
  ExpectWork(CostIn(builder, "tile"), 0, 4 * (32 + 2), 4 * 96);
  ExpectWork(CostIn(builder, "pad"), 0, 4 * (32 + 4), 4 * 48);
  ExpectWork(CostIn(builder, "slice"), 0, 4 * (16 + 4), 4 * 16);
}

TEST(OpFormula, MemoryThatNobodySetsIsNotWritten) {
  GraphBuilder builder;
  builder.IntConst("shape", {1}, {100})
      .Node("empty", "Empty", {"shape"}, {{"dtype", TypeAttrValue(kFloat)}})
      .Node("zeros", "Empty", {"shape"},
            {{"dtype", TypeAttrValue(kFloat)}, {"init", BoolAttrValue(true)}});
  ExpectWork(CostIn(builder, "empty"), 0, 0, 0);
  ExpectWork(CostIn(builder, "zeros"), 0, 0, 400);
}

TEST(OpFormula, ScattersAndSegmentsAddEachElement) {
  ExpectWork(Cost("TensorScatterAdd", {{{100, 4}}, {{5, 1}, kInt32}, {{5, 4}}}),
             20, 4 * (400 + 5 + 20), 4 * 400);
  EXPECT_EQ(
      Cost("TensorScatterUpdate", {{{100, 4}}, {{5, 1}, kInt32}, {{5, 4}}})
          .flops,
      0);
  GraphBuilder builder;
  builder.Arg("data", {20, 4})
      .Arg("ids", {20}, kInt32)
      .IntConst("count", {}, {6})
      .Node("op", "UnsortedSegmentSum", {"data", "ids", "count"});
  ExpectWork(CostIn(builder), 80, 4 * (80 + 20 + 1), 4 * 24);
}

TEST(OpFormula, EmbeddingSumsReadTheRowsTheyName) {
  const std::vector<In> inputs = {
      {{100000, 16}}, {{8}, kInt32}, {{8}, kInt32}, Int(3)};
  ExpectWork(Cost("SparseSegmentSumWithNumSegments", inputs), 8 * 16,
             4 * (8 * 16 + 8 + 8 + 1), 4 * 48);
  EXPECT_EQ(Cost("SparseSegmentMeanWithNumSegments", inputs).flops,
            8 * 16 + 48);
  const std::vector<In> gradient = {
      {{3, 16}}, {{8}, kInt32}, {{8}, kInt32}, Int(100000)};
  ExpectWork(Cost("SparseSegmentMeanGrad", gradient), 2 * 8 * 16,
             4 * (8 * 16 + 8 + 8 + 1), 4 * 1600000);
}

TEST(OpFormula, SearchesAreLogarithmic) {
  ExpectWork(Cost("LowerBound", {{{2, 1024}}, {{2, 7}}},
                  {{"out_type", TypeAttrValue(kInt32)}}),
             14 * 10, 4 * (2048 + 14), 4 * 14);
  EXPECT_EQ(Flops("SparseReorder", {{{64, 2}, kInt64}, {{64}}, {{2}, kInt64}},
                  {}, {}),
            64 * 6);
  EXPECT_EQ(Flops("ListDiff", {{{6}}, {{4}}}, {}, {}), 10);
  // 64 boxes sorted by score, and each compared with one that is kept. What is
  // returned depends on the values.
  ExpectWork(Cost("NonMaxSuppressionV3", {{{64, 4}}, {{64}}, Int(10)}),
             64 * 6 + 16 * 64, 4 * (256 + 64 + 1), 0);
}

TEST(OpFormula, RandomNumbers) {
  ExpectWork(
      Cost("RandomUniform", {Ints({100})}, {{"dtype", TypeAttrValue(kFloat)}}),
      kT * 100, 4, 400);
  ExpectWork(Cost("RandomShuffle", {{{10, 30}}}), kT * 10, 1200, 1200);
  ExpectWork(Cost("RandomGamma", {Ints({100}), {{}}}), 3 * kT * 100, 8, 400);
  ExpectWork(Cost("Multinomial", {{{2, 8}}, Int(5)},
                  {{"output_dtype", TypeAttrValue(kInt64)}}),
             16 * (kT + 1) + 10 * (kT + 3), 4 * 17, 8 * 10);
  ExpectWork(
      Cost("UniformCandidateSampler", {{{4, 2}, kInt64}},
           {{"num_sampled", IntAttrValue(6)}, {"num_true", IntAttrValue(2)}}),
      kT * (6 + 8 + 6), 64, 8 * 6 + 4 * (8 + 6));
}

TEST(OpFormula, DenseLinearAlgebra) {
  const std::vector<In> square = {{{3, 6, 6}}};
  const std::vector<Dims> same = {{3, 6, 6}};
  EXPECT_NEAR(Flops("Cholesky", square, {}, same), 3 * 216 / 3.0, 1e-9);
  EXPECT_NEAR(Flops("MatrixInverse", square, {}, same), 3 * 432, 1e-9);
  EXPECT_NEAR(Flops("MatrixDeterminant", square, {}, {{3}}), 3 * 144, 1e-9);
  const std::vector<In> system = {{{3, 6, 6}}, {{3, 6, 2}}};
  EXPECT_NEAR(Flops("MatrixSolve", system, {}, {{3, 6, 2}}),
              3 * (144 + 2 * 36 * 2), 1e-9);
  EXPECT_NEAR(Flops("MatrixTriangularSolve", system, {}, {{3, 6, 2}}),
              3 * 36 * 2, 1e-9);
  EXPECT_NEAR(Flops("SelfAdjointEigV2", square,
                    {{"compute_v", BoolAttrValue(true)}}, {{3, 6}, {3, 6, 6}}),
              3 * 9 * 216, 1e-9);
  EXPECT_NEAR(Flops("SelfAdjointEigV2", square,
                    {{"compute_v", BoolAttrValue(false)}}, {{3, 6}, {0}}),
              3 * 288, 1e-9);
}

TEST(OpFormula, DecompositionsOfTallMatrices) {
  const std::vector<In> tall = {{{10, 6}}};
  // R: 2 m n^2 - 2 n^3 / 3 = 576; as much again for the thin Q.
  EXPECT_NEAR(Flops("Qr", tall, {}, {{10, 6}, {6, 6}}), 1152, 1e-9);
  // The full Q: 4 (600 - 360 + 72) = 1248.
  EXPECT_NEAR(Flops("Qr", tall, {{"full_matrices", BoolAttrValue(true)}},
                    {{10, 10}, {10, 6}}),
              576 + 1248, 1e-9);
  const std::vector<Dims> thin = {{6}, {10, 6}, {6, 6}};
  EXPECT_NEAR(Flops("Svd", tall, {{"compute_uv", BoolAttrValue(false)}}, thin),
              4 * 360 - 288, 1e-9);
  EXPECT_NEAR(Flops("Svd", tall, {}, thin), 14 * 360 + 8 * 216, 1e-9);
  EXPECT_NEAR(
      Flops("Svd", tall, {{"full_matrices", BoolAttrValue(true)}}, thin),
      4 * 600 + 8 * 360 + 9 * 216, 1e-9);
}

TEST(OpFormula, SpectraOfAllTransformedDimensions) {
  constexpr int kComplex64 = 8;
  const In signal = {{3, 8, 16}, kComplex64};
  const Attrs complex = {{"Tcomplex", TypeAttrValue(kComplex64)}};
  const Attrs real = {{"Treal", TypeAttrValue(kFloat)},
                      {"Tcomplex", TypeAttrValue(kComplex64)}};
  EXPECT_EQ(Cost("FFT", {signal}, complex).flops, 5 * 384 * 4);
  ExpectWork(Cost("FFT2D", {signal}, complex), 5 * 384 * 7, 8 * 384, 8 * 384);
  EXPECT_EQ(Cost("IFFT2D", {signal}, complex).flops, 5 * 384 * 7);
  ExpectWork(Cost("RFFT", {{{3, 16}}, Ints({16})}, real), 2.5 * 48 * 4, 4 * 49,
             8 * 27);
  ExpectWork(Cost("IRFFT", {{{3, 9}, kComplex64}, Ints({16})}, real),
             2.5 * 48 * 4, 8 * 27 + 4, 4 * 48);
}

TEST(OpFormula, CtcAlignsLabelsWithFrames) {
  // 10 frames of 2 sequences over 5 classes, 7 labels in all: 2 * 7 + 2 states.
  const double flops = Flops(
      "CTCLoss", {{{10, 2, 5}}, {{7, 2}, kInt64}, {{7}, kInt32}, {{2}, kInt32}},
      {}, {{2}, {10, 2, 5}});
  EXPECT_EQ(flops, 100 * (kT + 4) + 10 * 16 * 2 * 2 * 2 * kT);
}

TEST(OpFormula, ListsAndArraysCopyOnlyWhereTheyChangeShape) {
  ExpectWork(Cost("TensorListStack", {{{}, 21}, Ints({8})},
                  {{"element_dtype", TypeAttrValue(kFloat)},
                   {"num_elements", IntAttrValue(5)}}),
             0, 160, 160);
  ExpectWork(Cost("TensorListGetItem", {{{}, 21}, {{}, kInt32}}, {}, {{8}}), 0,
             0, 0);
  ExpectWork(Cost("TensorArrayScatterV3",
                  {{{2}, kResource}, {{5}, kInt32}, {{5, 8}}, {{}}}, {}, {{}}),
             0, 160, 160);
}

TEST(OpFormula, LookUpsReadEachKey) {
  // A table, 8 keys, a default: 8 values of 4 bytes.
  ExpectWork(
      Cost("LookupTableFindV2", {{{}, kResource}, {{8}, kInt64}, {{}, kInt32}},
           {{"Tin", TypeAttrValue(kInt64)}, {"Tout", TypeAttrValue(kInt32)}},
           {{8}}),
      8, 8 * 8 + 4, 4 * 8);
}

}  // namespace
}  // namespace grappler_go
