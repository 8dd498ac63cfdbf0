// Which ops have a formula, which share one, and element-wise ops and
// reductions against numbers worked out by hand.
#include "cc/cost/op_formula.h"

#include <set>
#include <string>
#include <vector>

#include "cc/cost/op_formula_test_util.h"
#include "cc/graph/op_def_table.h"
#include "gtest/gtest.h"

namespace grappler_go {
namespace {

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

// Ops that do the same work and move the same bytes, by the one whose numbers
// are checked above or in op_cost_test.cc.
struct Alike {
  const char* checked;
  std::vector<const char*> others;
};

TEST(OpFormula, OpsOfAKindShareTheirFormula) {
  const std::vector<Alike> kinds = {
      {"AddV2",
       {"BiasAdd", "Cast", "Equal", "LogicalAnd", "Maximum", "Mul", "RealDiv",
        "Relu", "ReluGrad", "Select", "Sqrt", "Sub"}},
      {"Tanh", {"Erf", "Exp", "Log", "Pow", "Sigmoid", "TanhGrad"}},
      {"ZerosLike", {"OnesLike"}},
      {"Sum",
       {"All", "Any", "ArgMax", "ArgMin", "BiasAddGrad", "Bincount", "Cumprod",
        "DenseBincount", "InTopKV2", "Max", "Min", "Prod"}},
      {"Softmax", {"LogSoftmax", "SoftmaxCrossEntropyWithLogits"}},
      {"L2Loss", {"EuclideanNorm"}},
      {"MatMul", {"BatchMatMulV3", "_FusedMatMul", "_MklFusedBatchMatMulV2"}},
      {"Conv2D",
       {"Conv", "Conv3D", "Conv3DBackpropFilterV2", "Conv3DBackpropInputV2",
        "_FusedConv2D", "_FusedConv3D"}},
      {"DepthwiseConv2dNative", {"_FusedDepthwiseConv2dNative"}},
      {"MaxPool", {"AvgPool", "AvgPool3D", "MaxPool3D"}},
      {"MaxPoolGrad", {"AvgPool3DGrad", "MaxPool3DGrad"}},
      {"ResizeBilinearGrad", {}},
      {"FusedBatchNormV3",
       {"FusedBatchNorm", "FusedBatchNormV2", "_FusedBatchNormEx"}},
      {"FusedBatchNormGradV3",
       {"FusedBatchNormGrad", "FusedBatchNormGradV2", "_FusedBatchNormGradEx"}},
      {"_MklLayerNorm", {"_MklFusedInstanceNorm"}},
      {"Slice",
       {"DiagPart", "Gather", "GatherNd", "GatherV2", "MatrixDiagPart",
        "MatrixDiagPartV3", "StridedSlice"}},
      {"ConcatV2",
       {"BroadcastTo", "Fill", "OneHot", "Pack", "Reverse", "Split", "Tile",
        "Transpose", "Unpack"}},
      {"TensorScatterAdd",
       {"TensorScatterMax", "TensorScatterMin", "TensorScatterSub"}},
      {"UnsortedSegmentSum",
       {"SegmentMax", "SegmentMaxV2", "SegmentMin", "SegmentMinV2",
        "SegmentProd", "SegmentProdV2", "SegmentSum", "SegmentSumV2",
        "UnsortedSegmentMax", "UnsortedSegmentMin", "UnsortedSegmentProd",
        "Unique", "UniqueV2", "UniqueWithCounts", "Where"}},
      {"Mean", {"SegmentMean"}},
      {"SparseSegmentSumWithNumSegments",
       {"SparseSegmentSum", "SparseSegmentSumGrad"}},
      {"SparseSegmentMeanWithNumSegments",
       {"SparseSegmentMean", "SparseSegmentSqrtN",
        "SparseSegmentSqrtNWithNumSegments"}},
      {"SparseSegmentMeanGrad", {"SparseSegmentSqrtNGrad"}},
      {"LowerBound", {"UpperBound"}},
      {"RandomUniform",
       {"RandomStandardNormal", "StatelessRandomNormalV2", "TruncatedNormal"}},
      {"RandomGamma",
       {"RandomPoissonV2", "StatelessRandomGammaV2", "StatelessRandomPoisson"}},
      {"Multinomial", {"StatelessMultinomial"}},
      {"UniformCandidateSampler", {"LogUniformCandidateSampler"}},
      {"MatrixDeterminant", {"LogMatrixDeterminant"}},
      {"FFT2D",
       {"FFT", "FFT3D", "IFFT", "IFFT2D", "IFFT3D", "IRFFT", "IRFFT2D",
        "IRFFT3D", "RFFT", "RFFT2D", "RFFT3D"}},
      {"TensorListStack",
       {"TensorArrayConcatV3", "TensorArrayGatherV3", "TensorListConcatV2",
        "TensorListGather"}},
      {"TensorListFromTensor", {"TensorListScatterV2", "TensorListSplit"}},
      {"Identity",
       {"Const",
        "EmptyTensorList",
        "Merge",
        "NoOp",
        "ReadVariableOp",
        "Reshape",
        "RngReadAndSkip",
        "RngSkip",
        "Shape",
        "StatelessRandomGetAlg",
        "StatelessRandomGetKeyCounter",
        "StatelessRandomGetKeyCounterAlg",
        "Switch",
        "TensorArrayReadV3",
        "TensorArraySizeV3",
        "TensorArrayV3",
        "TensorArrayWriteV3",
        "TensorListElementShape",
        "TensorListGetItem",
        "TensorListLength",
        "TensorListPopBack",
        "TensorListPushBack",
        "TensorListReserve",
        "TensorListSetItem",
        "VarHandleOp",
        "VariableV2",
        "_Arg",
        "_Retval"}},
      {"ResourceScatterAdd",
       {"ResourceScatterMax", "ResourceScatterMin", "ResourceScatterNdAdd",
        "ResourceScatterNdSub", "ResourceScatterSub", "ScatterAdd",
        "ScatterSub"}},
      {"ResourceScatterUpdate", {"ResourceScatterNdUpdate", "ScatterUpdate"}},
      {"ResourceGather", {"ResourceGatherNd"}},
      {"AssignAddVariableOp",
       {"AssignAdd", "AssignSub", "AssignSubVariableOp"}},
      {"AssignVariableOp", {"Assign"}},
  };
  const auto of = [](const char* op) { return FindFormula(*FindOpDef(op)); };
  // What is free in either table is so by the same result, not the same
  // function.
  for (const Alike& kind : kinds) {
    ASSERT_NE(of(kind.checked), nullptr) << kind.checked;
    for (const char* other : kind.others) {
      ASSERT_NE(of(other), nullptr) << other;
      if (std::string(kind.checked) == "Identity") {
        const OpCost cost = Cost(other, {});
        EXPECT_TRUE(cost.known) << other;
        EXPECT_EQ(cost.flops + cost.bytes_read + cost.bytes_written, 0)
            << other;
        continue;
      }
      EXPECT_EQ(of(kind.checked)->flops, of(other)->flops) << other;
      EXPECT_EQ(of(kind.checked)->traffic, of(other)->traffic) << other;
    }
  }
}

TEST(OpFormula, TheRestOfTheTable) {
  ExpectWork(Cost("ComplexAbs", {{{32}, 8}}, {{"Tout", TypeAttrValue(kFloat)}}),
             4 * 32, 8 * 32, 4 * 32);
  EXPECT_EQ(Flops("Cross", {{{5, 3}}, {{5, 3}}}, {}, {{5, 3}}), 3 * 15);
  EXPECT_EQ(Flops("LinSpace", {{{}}, {{}}, Int(7)}, {}, {{7}}), 2 * 7);
  EXPECT_EQ(Flops("MirrorPadGrad", {{{6, 8}}, {{2, 2}, kInt32}}, {}, {}), 48);
  EXPECT_EQ(Flops("CumulativeLogsumexp", {{{6, 8}}, Int(0)}, {}, {}),
            48 * (2 * kT + 3));
  EXPECT_EQ(
      Flops("ScatterNd", {{{5, 1}, kInt32}, {{5, 4}}, Ints({9, 4})}, {}, {}),
      20);
  EXPECT_EQ(Flops("SparseFillEmptyRowsGrad", {{{6}, kInt64}, {{9}}}, {}, {}),
            9);
  EXPECT_EQ(Flops("_MklFusedMish", {{{32}}}, {}, {{32}}), 32 * (3 * kT + 1));
  ExpectWork(
      Cost("_UnaryOpsComposition", {{{32}}},
           {{"op_names", StringListAttr({"Neg", "Exp", "Tanh", "Relu"})}}),
      32 * (2 * kT + 2), 4 * 32, 4 * 32);
  EXPECT_EQ(Flops("_MklLayerNorm", {{{6, 8}}, {{8}}, {{8}}}, {}, {{6, 8}}),
            8 * 48);
  GraphBuilder builder;
  builder.VarArg("v", {100})
      .IntConst("one", {1}, {1})
      .Arg("value", {20})
      .Node("op", "ResourceStridedSliceAssign",
            {"v", "one", "one", "one", "value"});
  ExpectWork(CostIn(builder), 0, 4 * 23, 4 * 20);
  ExpectWork(Cost("TensorListFromTensor", {{{5, 8}}, Ints({8})},
                  {{"element_dtype", TypeAttrValue(kFloat)}}),
             0, 160, 160);
  ExpectWork(Cost("TensorArraySplitV3",
                  {{{2}, kResource}, {{5, 8}}, {{5}, kInt64}, {{}}}),
             0, 160, 160);
  GraphBuilder resize;
  resize.Arg("x", {2, 4, 4, 3})
      .Arg("dy", {2, 8, 8, 3})
      .IntConst("size", {2}, {4, 4})
      .Node("bicubic", "ResizeBicubicGrad", {"dy", "x"})
      .Node("nearest", "ResizeNearestNeighborGrad", {"dy", "size"});
  const double large = 2 * 8 * 8 * 3, small = 2 * 4 * 4 * 3;
  ExpectWork(CostIn(resize, "bicubic"), 32 * large, 4 * large, 4 * small);
  ExpectWork(CostIn(resize, "nearest"), large, 4 * large, 4 * small);
}

}  // namespace
}  // namespace grappler_go
