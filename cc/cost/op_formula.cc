#include "cc/cost/op_formula.h"

#include <algorithm>
#include <cmath>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "cc/cost/op_cost.h"
#include "cc/graph/attr_value.h"
#include "cc/graph/op_def_table.h"

namespace grappler_go {
namespace {

// ---- work ----

double None(const OpFacts&) { return 0; }

template <int times>
double PerOutput(const OpFacts& op) {
  return times * op.out_elements();
}

template <int times, int input = 0>
double PerInput(const OpFacts& op) {
  return times * op.in_elements(input);
}

// One for each element of the input, and one for each of the result.
double PerInputAndOutput(const OpFacts& op) {
  return op.in_elements(0) + op.out_elements();
}

constexpr int kCostly = static_cast<int>(kTranscendentalFlops);

// Largest, difference to it, sum of exponentials, division.
constexpr int kSoftmax = kCostly + 4;

// Grappler's chain of unary ops in one kernel (remapper.cc's
// UnaryOpsComposition): the work of each of them, on the same memory once.
double UnaryOpsFlops(const OpFacts& op) {
  std::vector<std::string_view> names;
  if (!AttrStrings(op.attr("op_names"), &names)) names.clear();
  double flops = 0;
  for (const std::string_view name : names) {
    const bool costly = FindOpDef(name)->op_class == OpClass::kTranscendental;
    flops += costly ? kTranscendentalFlops : 1.0;
  }
  return op.out_elements() * std::max(flops, 1.0);
}

double AddNFlops(const OpFacts& op) {
  return op.out_elements() * std::max(op.num_inputs() - 1, 0);
}

// A heap of the k best: a way through it for each element.
double TopKFlops(const OpFacts& op) {
  return op.in_elements(0) *
         std::max(1.0, std::log2(OpFacts::Dim(op.output(0), -1)));
}

// Of a sorted row, for each value.
double BinarySearchFlops(const OpFacts& op) {
  return op.in_elements(1) *
         std::max(1.0, std::log2(OpFacts::Dim(op.input(0), -1)));
}

double SortFlops(const OpFacts& op) {
  const double rows = OpFacts::Dim(op.input(0), 0);
  return rows * std::log2(std::max(rows, 2.0));
}

// Boxes sorted by their scores; the intersection over union of each with one
// that is kept. How many are kept depends on the values: it is more than that.
double NonMaxSuppressionFlops(const OpFacts& op) {
  return SortFlops(op) + 16.0 * OpFacts::Dim(op.input(0), 0);
}

double ListDiffFlops(const OpFacts& op) {
  return op.in_elements(0) + op.in_elements(1);
}

// Values in a row of a table: what one index stands for.
double RowOf(const TensorShape& table) {
  if (table.rank() < 1 || table.num_elements() < 0) return 0;
  return static_cast<double>(table.num_elements()) / OpFacts::Dim(table, 0);
}

// (data, indices, segments): a row is added for each index.
double SparseSegmentFlops(const OpFacts& op) {
  return op.in_elements(1) * RowOf(op.input(0));
}

// ... and divided by the size of its segment, or that's root.
double SparseSegmentMeanFlops(const OpFacts& op) {
  return SparseSegmentFlops(op) + op.out_elements();
}

// (gradient, indices, segments, rows): scaled and added for each index.
double SparseSegmentMeanGradFlops(const OpFacts& op) {
  return 2.0 * SparseSegmentFlops(op);
}

// One number for each row.
double ShuffleFlops(const OpFacts& op) {
  return kTranscendentalFlops * OpFacts::Dim(op.output(0), 0);
}

// The rows' cumulated exponentials; for each sample a number and a binary
// search.
double MultinomialFlops(const OpFacts& op) {
  const double classes = OpFacts::Dim(op.input(0), -1);
  return op.in_elements(0) * (kTranscendentalFlops + 1.0) +
         op.out_elements() * (kTranscendentalFlops + std::log2(classes));
}

// Samples, and the expected count of each of them and of the true classes.
double CandidateSamplerFlops(const OpFacts& op) {
  return kTranscendentalFlops *
         (op.out_elements(0) + op.out_elements(1) + op.out_elements(2));
}

// ---- bytes ----

Traffic Nothing(const OpFacts&) { return {0, 0}; }

double SumOfInputs(const OpFacts& op, int first = 0) {
  double sum = 0;
  for (int i = first; i < op.num_inputs(); ++i) {
    if (op.input_bytes(i) < 0) return -1;
    sum += op.input_bytes(i);
  }
  return sum;
}

double SumOfOutputs(const OpFacts& op) {
  double sum = 0;
  for (int i = 0; i < op.num_outputs(); ++i) {
    if (op.output_bytes(i) < 0) return -1;
    sum += op.output_bytes(i);
  }
  return sum;
}

Traffic Everything(const OpFacts& op) {
  return {SumOfInputs(op), SumOfOutputs(op)};
}

// Looks at the shapes of its inputs only.
Traffic OutputsOnly(const OpFacts& op) { return {0, SumOfOutputs(op)}; }

// Reads what it returns, not all of what it picks from.
Traffic PicksFromFirst(const OpFacts& op) {
  const double written = SumOfOutputs(op);
  const double others = SumOfInputs(op, 1);
  if (written < 0 || others < 0) return {-1, -1};
  return {written + others, written};
}

// Memory is taken, and set only where the attribute says so.
Traffic EmptyTraffic(const OpFacts& op) {
  return {0, AttrBool(op.attr("init")) ? SumOfOutputs(op) : 0.0};
}

// (gradient, image): of the image only the shape matters.
Traffic FirstInputAndOutputs(const OpFacts& op) {
  return {op.input_bytes(0), SumOfOutputs(op)};
}

// Returns few elements, and how many depends on the values.
Traffic InputsOnly(const OpFacts& op) { return {SumOfInputs(op), 0}; }

// Four neighbours of each element, of an image of which no more than all is
// read.
Traffic CropTraffic(const OpFacts& op) {
  const double written = SumOfOutputs(op);
  const double image = op.input_bytes(0), others = SumOfInputs(op, 1);
  if (written < 0 || image < 0 || others < 0) return {-1, -1};
  return {std::min(image, 4.0 * written) + others, written};
}

// (data, indices, ...): the rows that are named.
Traffic SparseRows(const OpFacts& op) {
  const double written = SumOfOutputs(op);
  const double data = op.input_bytes(0), others = SumOfInputs(op, 1);
  if (written < 0 || data < 0 || others < 0) return {-1, -1};
  const double row = data / OpFacts::Dim(op.input(0), 0);
  return {op.in_elements(1) * row + others, written};
}

// Elements of a list or an array of tensors, which has no size of its own:
// copied out of it, or into it. Handing one on copies nothing.
Traffic CopiesOutput(const OpFacts& op) {
  return {op.output_bytes(0), op.output_bytes(0)};
}

template <int input>
Traffic CopiesInput(const OpFacts& op) {
  return {op.input_bytes(input), op.input_bytes(input)};
}

// ---- what a class counts ----

// Classes that are left out have no formula of their own: each op needs a row.
const OpFormula* FormulaOfClass(OpClass op_class) {
  static constexpr OpFormula kFree = {None, Nothing};
  static constexpr OpFormula kElementwise = {PerOutput<1>, Everything};
  static constexpr OpFormula kTranscendental = {PerOutput<kCostly>, Everything};
  static constexpr OpFormula kReduction = {PerInput<1>, Everything};
  static constexpr OpFormula kConv = {ConvFlops, Everything};
  static constexpr OpFormula kDepthwise = {DepthwiseConvFlops, Everything};
  static constexpr OpFormula kMove = {None, Everything};
  switch (op_class) {
    case OpClass::kElementwise:
      return &kElementwise;
    case OpClass::kTranscendental:
    case OpClass::kRandomOp:
      return &kTranscendental;
    case OpClass::kReduction:
      return &kReduction;
    case OpClass::kConv:
      return &kConv;
    case OpClass::kDepthwiseConv:
      return &kDepthwise;
    case OpClass::kMove:
    case OpClass::kGather:
      return &kMove;
    // Views, constants and arguments do nothing when the step runs, and control
    // flow hands its input on.
    case OpClass::kShape:
    case OpClass::kConstOp:
    case OpClass::kArgument:
    case OpClass::kControl:
      return &kFree;
    default:
      return nullptr;
  }
}

// ---- ops that differ from their class ----

struct Row {
  std::string_view op;
  OpFormula formula;
};

constexpr Row kRows[] = {
    // Element-wise.
    {"AddN", {AddNFlops, Everything}},
    {"ClipByValue", {PerOutput<2>, Everything}},
    {"ComplexAbs", {PerOutput<4>, Everything}},
    {"OnesLike", {None, OutputsOnly}},
    {"ReciprocalGrad", {PerOutput<3>, Everything}},  // -y * y * dy
    {"RsqrtGrad", {PerOutput<4>, Everything}},       // -0.5 * y * y * y * dy
    {"SqrtGrad", {PerOutput<2>, Everything}},        // 0.5 * dy / y
    {"SquaredDifference", {PerOutput<2>, Everything}},
    {"ZerosLike", {None, OutputsOnly}},
    {"_MklFusedMish", {PerOutput<3 * kCostly + 1>, Everything}},
    {"_UnaryOpsComposition", {UnaryOpsFlops, Everything}},

    // Reductions.
    {"CumulativeLogsumexp", {PerInput<2 * kCostly + 3>, Everything}},
    {"EuclideanNorm", {PerInput<2>, Everything}},
    {"L2Loss", {PerInput<2>, Everything}},
    {"LogSoftmax", {PerInput<kSoftmax>, Everything}},
    {"Mean", {PerInputAndOutput, Everything}},
    {"Softmax", {PerInput<kSoftmax>, Everything}},
    {"SoftmaxCrossEntropyWithLogits", {PerInput<kSoftmax>, Everything}},
    {"SparseSoftmaxCrossEntropyWithLogits", {PerInput<kSoftmax>, Everything}},
    {"TopKV2", {TopKFlops, Everything}},

    // Matrix products.
    {"BatchMatMulV2", {MatMulFlops, Everything}},
    {"BatchMatMulV3", {MatMulFlops, Everything}},
    {"BlockLSTMGradV2", {LstmFlops, Everything}},
    {"BlockLSTMV2", {LstmFlops, Everything}},
    {"Einsum", {EinsumFlops, Everything}},
    {"GRUBlockCell", {GruFlops, Everything}},
    {"GRUBlockCellGrad", {GruFlops, Everything}},
    {"LSTMBlockCell", {LstmFlops, Everything}},
    {"LSTMBlockCellGrad", {LstmCellGradFlops, Everything}},
    {"MatMul", {MatMulFlops, Everything}},
    {"SparseTensorDenseMatMul", {SparseMatMulFlops, Everything}},
    {"_FusedMatMul", {MatMulFlops, Everything}},
    {"_MklFusedBatchMatMulV2", {MatMulFlops, Everything}},

    // Pooling and resizing.
    {"AvgPool", {PoolFlops, Everything}},
    {"AvgPool3D", {PoolFlops, Everything}},
    {"AvgPool3DGrad", {PoolFlops, Everything}},
    {"AvgPoolGrad", {PoolFlops, Everything}},
    {"CropAndResize", {BilinearFlops, CropTraffic}},
    {"MaxPool", {PoolFlops, Everything}},
    {"MaxPool3D", {PoolFlops, Everything}},
    {"MaxPool3DGrad", {PoolFlops, Everything}},
    {"MaxPoolGrad", {PoolFlops, Everything}},
    {"ResizeBicubic", {BicubicFlops, Everything}},
    {"ResizeBicubicGrad", {BicubicFlops, FirstInputAndOutputs}},
    {"ResizeBilinear", {BilinearFlops, Everything}},
    {"ResizeBilinearGrad", {BilinearFlops, FirstInputAndOutputs}},
    {"ResizeNearestNeighbor", {None, Everything}},
    {"ResizeNearestNeighborGrad", {PerInput<1>, FirstInputAndOutputs}},

    // Normalization.
    {"FusedBatchNorm", {BatchNormFlops, Everything}},
    {"FusedBatchNormGrad", {BatchNormGradFlops, Everything}},
    {"FusedBatchNormGradV2", {BatchNormGradFlops, Everything}},
    {"FusedBatchNormGradV3", {BatchNormGradFlops, Everything}},
    {"FusedBatchNormV2", {BatchNormFlops, Everything}},
    {"FusedBatchNormV3", {BatchNormFlops, Everything}},
    {"LRN", {LrnFlops, Everything}},
    {"LRNGrad", {LrnGradFlops, Everything}},
    {"_FusedBatchNormEx", {BatchNormFlops, Everything}},
    {"_FusedBatchNormGradEx", {BatchNormGradFlops, Everything}},
    {"_MklFusedInstanceNorm", {LayerNormFlops, Everything}},
    {"_MklLayerNorm", {LayerNormFlops, Everything}},

    // Copies.
    {"Cross", {PerOutput<3>, Everything}},
    {"DiagPart", {None, PicksFromFirst}},
    {"Empty", {None, EmptyTraffic}},
    {"LinSpace", {PerOutput<2>, Everything}},
    {"MatrixDiagPart", {None, PicksFromFirst}},
    {"MatrixDiagPartV3", {None, PicksFromFirst}},
    {"MirrorPadGrad", {PerInput<1>, Everything}},
    {"Slice", {None, PicksFromFirst}},
    {"StridedSlice", {None, PicksFromFirst}},

    // Gather, scatter, segments, sparse tensors.
    {"Gather", {None, PicksFromFirst}},
    {"GatherNd", {None, PicksFromFirst}},
    {"GatherV2", {None, PicksFromFirst}},
    {"ListDiff", {ListDiffFlops, Everything}},
    {"LowerBound", {BinarySearchFlops, Everything}},
    {"NonMaxSuppressionV3", {NonMaxSuppressionFlops, InputsOnly}},
    {"ScatterNd", {PerInput<1, 1>, Everything}},
    {"SegmentMax", {PerInput<1>, Everything}},
    {"SegmentMaxV2", {PerInput<1>, Everything}},
    {"SegmentMean", {PerInputAndOutput, Everything}},
    {"SegmentMin", {PerInput<1>, Everything}},
    {"SegmentMinV2", {PerInput<1>, Everything}},
    {"SegmentProd", {PerInput<1>, Everything}},
    {"SegmentProdV2", {PerInput<1>, Everything}},
    {"SegmentSum", {PerInput<1>, Everything}},
    {"SegmentSumV2", {PerInput<1>, Everything}},
    {"SparseFillEmptyRowsGrad", {PerInput<1, 1>, Everything}},
    {"SparseReorder", {SortFlops, Everything}},
    {"SparseSegmentMean", {SparseSegmentMeanFlops, SparseRows}},
    {"SparseSegmentMeanGrad", {SparseSegmentMeanGradFlops, SparseRows}},
    {"SparseSegmentMeanWithNumSegments", {SparseSegmentMeanFlops, SparseRows}},
    {"SparseSegmentSqrtN", {SparseSegmentMeanFlops, SparseRows}},
    {"SparseSegmentSqrtNGrad", {SparseSegmentMeanGradFlops, SparseRows}},
    {"SparseSegmentSqrtNWithNumSegments", {SparseSegmentMeanFlops, SparseRows}},
    {"SparseSegmentSum", {SparseSegmentFlops, SparseRows}},
    {"SparseSegmentSumGrad", {SparseSegmentFlops, SparseRows}},
    {"SparseSegmentSumWithNumSegments", {SparseSegmentFlops, SparseRows}},
    {"TensorScatterAdd", {PerInput<1, 2>, Everything}},
    {"TensorScatterMax", {PerInput<1, 2>, Everything}},
    {"TensorScatterMin", {PerInput<1, 2>, Everything}},
    {"TensorScatterSub", {PerInput<1, 2>, Everything}},
    {"Unique", {PerInput<1>, Everything}},
    {"UniqueV2", {PerInput<1>, Everything}},
    {"UniqueWithCounts", {PerInput<1>, Everything}},
    {"UnsortedSegmentMax", {PerInput<1>, Everything}},
    {"UnsortedSegmentMin", {PerInput<1>, Everything}},
    {"UnsortedSegmentProd", {PerInput<1>, Everything}},
    {"UnsortedSegmentSum", {PerInput<1>, Everything}},
    {"UpperBound", {BinarySearchFlops, Everything}},
    {"Where", {PerInput<1>, Everything}},

    // Random numbers. Counters and keys are a few words.
    {"LogUniformCandidateSampler", {CandidateSamplerFlops, Everything}},
    {"Multinomial", {MultinomialFlops, Everything}},
    // A normal and a uniform number and a logarithm for each sample.
    {"RandomGamma", {PerOutput<3 * kCostly>, Everything}},
    {"RandomPoissonV2", {PerOutput<3 * kCostly>, Everything}},
    {"RandomShuffle", {ShuffleFlops, Everything}},
    {"RngReadAndSkip", {None, Nothing}},
    {"RngSkip", {None, Nothing}},
    {"StatelessMultinomial", {MultinomialFlops, Everything}},
    {"StatelessRandomGammaV2", {PerOutput<3 * kCostly>, Everything}},
    {"StatelessRandomGetAlg", {None, Nothing}},
    {"StatelessRandomGetKeyCounter", {None, Nothing}},
    {"StatelessRandomGetKeyCounterAlg", {None, Nothing}},
    {"StatelessRandomPoisson", {PerOutput<3 * kCostly>, Everything}},
    {"UniformCandidateSampler", {CandidateSamplerFlops, Everything}},

    // Linear algebra and spectra.
    {"CTCLoss", {CtcLossFlops, Everything}},
    {"Cholesky", {CholeskyFlops, Everything}},
    {"FFT", {FftFlops, Everything}},
    {"FFT2D", {FftFlops, Everything}},
    {"FFT3D", {FftFlops, Everything}},
    {"IFFT", {FftFlops, Everything}},
    {"IFFT2D", {FftFlops, Everything}},
    {"IFFT3D", {FftFlops, Everything}},
    {"IRFFT", {FftFlops, Everything}},
    {"IRFFT2D", {FftFlops, Everything}},
    {"IRFFT3D", {FftFlops, Everything}},
    {"LogMatrixDeterminant", {DeterminantFlops, Everything}},
    {"MatrixDeterminant", {DeterminantFlops, Everything}},
    {"MatrixInverse", {InverseFlops, Everything}},
    {"MatrixSolve", {SolveFlops, Everything}},
    {"MatrixTriangularSolve", {TriangularSolveFlops, Everything}},
    {"Qr", {QrFlops, Everything}},
    {"RFFT", {FftFlops, Everything}},
    {"RFFT2D", {FftFlops, Everything}},
    {"RFFT3D", {FftFlops, Everything}},
    {"SelfAdjointEigV2", {EigFlops, Everything}},
    {"Svd", {SvdFlops, Everything}},

    // Tables, lists and arrays of tensors. A look-up compares each key once.
    {"EmptyTensorList", {None, Nothing}},
    {"LookupTableFindV2", {PerInput<1, 1>, Everything}},
    {"TensorArrayConcatV3", {None, CopiesOutput}},
    {"TensorArrayGatherV3", {None, CopiesOutput}},
    {"TensorArrayReadV3", {None, Nothing}},
    {"TensorArrayScatterV3", {None, CopiesInput<2>}},
    {"TensorArraySizeV3", {None, Nothing}},
    {"TensorArraySplitV3", {None, CopiesInput<1>}},
    {"TensorArrayV3", {None, Nothing}},
    {"TensorArrayWriteV3", {None, Nothing}},
    {"TensorListConcatV2", {None, CopiesOutput}},
    {"TensorListElementShape", {None, Nothing}},
    {"TensorListFromTensor", {None, CopiesInput<0>}},
    {"TensorListGather", {None, CopiesOutput}},
    {"TensorListGetItem", {None, Nothing}},
    {"TensorListLength", {None, Nothing}},
    {"TensorListPopBack", {None, Nothing}},
    {"TensorListPushBack", {None, Nothing}},
    {"TensorListReserve", {None, Nothing}},
    {"TensorListScatterV2", {None, CopiesInput<0>}},
    {"TensorListSetItem", {None, Nothing}},
    {"TensorListSplit", {None, CopiesInput<0>}},
    {"TensorListStack", {None, CopiesOutput}},
};

using Table = std::unordered_map<const OpDef*, const OpFormula*>;

// By OpDef, so that looking one up compares no text. Never destroyed: the pass
// may run while the process exits.
const Table& Formulas() {
  static const Table& table = *[] {
    auto* built = new Table;
    std::unordered_map<std::string_view, const OpFormula*> rows;
    for (const Row& row : kRows) rows.emplace(row.op, &row.formula);
    for (const OpFamily& family : OpFamilies()) {
      for (const OpRow& row : Span<OpRow>(family.rows, family.size)) {
        const auto own = rows.find(row.name);
        const OpFormula* formula =
            own != rows.end() ? own->second : FormulaOfClass(family.op_class);
        if (family.op_class == OpClass::kVariable) {
          formula = FindVariableFormula(row.name);
        } else if (family.op_class == OpClass::kOptimizer) {
          formula = FindOptimizerFormula(row.name);
        }
        if (formula != nullptr) built->emplace(FindOpDef(row.name), formula);
      }
    }
    return built;
  }();
  return table;
}

}  // namespace

const OpFormula* FindFormula(const OpDef& def) {
  const auto found = Formulas().find(&def);
  return found == Formulas().end() ? nullptr : found->second;
}

}  // namespace grappler_go
