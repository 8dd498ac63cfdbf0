#include "cc/policy/allowed_ops.h"

#include <unordered_set>

namespace grappler_go {
namespace {

const std::unordered_set<std::string_view>& PureOps() {
  static const auto* const ops = new std::unordered_set<std::string_view>{
      // clang-format off
      // Constants, arguments, calls, control.
      "Const", "Placeholder", "PlaceholderWithDefault", "Identity", "IdentityN",
      "NoOp", "StopGradient", "PreventGradient", "EnsureShape", "Snapshot",
      "PartitionedCall", "StatefulPartitionedCall", "If", "StatelessIf",
      "While", "StatelessWhile", "Case", "StatelessCase", "_Arg", "_Retval",
      "Switch", "Merge", "Enter", "Exit", "NextIteration", "LoopCond",
      // Variables.
      "VarHandleOp", "ReadVariableOp", "AssignVariableOp",
      "VarIsInitializedOp", "DestroyResourceOp", "DisableCopyOnRead",
      "ResourceGather",
      // Arithmetic, one element at a time.
      "Abs", "Add", "AddN", "AddV2", "Ceil", "Cos", "Cosh", "Cumprod", "Cumsum",
      "Div", "DivNoNan", "Elu", "Erf", "Erfc", "Exp", "Expm1", "Floor",
      "FloorDiv", "FloorMod", "Inv", "IsFinite", "IsInf", "IsNan", "LeakyRelu",
      "Lgamma", "Log", "Log1p", "LogSoftmax", "Maximum", "Minimum", "Mod",
      "Mul", "MulNoNan", "Neg", "Pow", "RealDiv", "Reciprocal", "Relu", "Relu6",
      "Rint", "Round", "Rsqrt", "Selu", "Sigmoid", "Sign", "Sin", "Sinh",
      "Softmax", "Softplus", "Softsign", "Sqrt", "Square",
      "SquaredDifference", "Sub", "Tan", "Tanh", "TruncateDiv", "TruncateMod",
      "Xdivy", "Xlog1py", "Xlogy", "Cast", "Bitcast", "ClipByValue",
      "BitwiseAnd", "BitwiseOr", "BitwiseXor", "LeftShift", "RightShift",
      // Comparison and choice.
      "ApproximateEqual", "Equal", "NotEqual", "Greater", "GreaterEqual",
      "Less", "LessEqual", "LogicalAnd", "LogicalNot", "LogicalOr", "Select",
      "SelectV2", "Where", "Bucketize", "SearchSorted", "LowerBound",
      "UpperBound",
      // Reductions and sorting.
      "All", "Any", "ArgMax", "ArgMin", "EuclideanNorm", "L2Loss", "Max",
      "Mean", "Min", "Prod", "Sum", "TopK", "TopKV2", "Unique", "UniqueV2",
      "UniqueWithCounts", "Bincount", "DenseBincount", "InTopK", "InTopKV2",
      // Linear algebra and layers.
      "MatMul", "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3", "Einsum",
      "BiasAdd", "BiasAddV1", "Conv2D", "MatrixBandPart", "MatrixDiag",
      "MatrixDiagV2", "MatrixDiagV3", "MatrixDiagPart", "MatrixDiagPartV2",
      "MatrixDiagPartV3", "MatrixSetDiagV3", "Diag", "DiagPart",
      "FusedBatchNormV3", "SparseToDense", "SparseTensorDenseMatMul",
      // Gathering by index, and what graph networks do with segments.
      "Gather", "GatherV2", "GatherNd", "OneHot", "ScatterNd",
      "TensorScatterAdd", "TensorScatterUpdate", "TensorScatterMax",
      "TensorScatterMin", "TensorScatterSub", "SegmentMax", "SegmentMaxV2",
      "SegmentMean", "SegmentMin", "SegmentMinV2", "SegmentProd",
      "SegmentProdV2", "SegmentSum", "SegmentSumV2", "SparseSegmentMean",
      "SparseSegmentSqrtN", "SparseSegmentSum", "UnsortedSegmentMax",
      "UnsortedSegmentMin", "UnsortedSegmentProd", "UnsortedSegmentSum",
      "DynamicPartition", "DynamicStitch", "ParallelDynamicStitch",
      "RaggedRange", "RaggedGather", "RaggedTensorToTensor",
      // Shapes and copies.
      "BroadcastArgs", "BroadcastTo", "Concat", "ConcatOffset", "ConcatV2",
      "ExpandDims", "Fill", "InvertPermutation", "LinSpace", "OnesLike", "Pack",
      "Pad", "PadV2", "MirrorPad", "Range", "Rank", "Reshape", "Reverse",
      "ReverseV2", "ReverseSequence", "Roll", "Shape", "ShapeN", "Size",
      "Slice", "Split", "SplitV", "Squeeze", "StridedSlice", "Tile",
      "Transpose", "Unpack", "ZerosLike",
      // Lists that loops and recurrent cells keep.
      "EmptyTensorList", "TensorListConcatV2", "TensorListElementShape",
      "TensorListFromTensor", "TensorListGather", "TensorListGetItem",
      "TensorListLength", "TensorListPopBack", "TensorListPushBack",
      "TensorListReserve", "TensorListResize", "TensorListScatterIntoExistingList",
      "TensorListSetItem", "TensorListSplit", "TensorListStack",
      // Checks. Assert prints to stderr at worst.
      "Assert",
      // Names of checkpoint shards.
      "StringJoin", "StaticRegexFullMatch", "ShardedFilename",
      // clang-format on
  };
  return *ops;
}

}  // namespace

OpLicence LicenceOf(std::string_view op_type) {
  if (op_type == "RestoreV2") return OpLicence::kReadsFiles;
  if (op_type == "SaveV2" || op_type == "MergeV2Checkpoints") {
    return OpLicence::kWritesFiles;
  }
  return PureOps().count(op_type) > 0 ? OpLicence::kPure : OpLicence::kRefused;
}

}  // namespace grappler_go
