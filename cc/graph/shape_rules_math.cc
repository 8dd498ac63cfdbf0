// Shape rules of arithmetic: element-wise ops, reductions, matrix products.
// After the shape functions of tensorflow/core/ops/math_ops.cc, linalg_ops.cc,
// spectral_ops.cc and tensorflow/core/framework/common_shape_fns.cc.
#include <array>

#include "cc/graph/inference_context.h"

namespace grappler_go {
namespace {

// ---- Element-wise

void ToBoolRule(InferenceContext* c) {
  c->set_output(0, c->input(0), dt::kBool);
}

void CastRule(InferenceContext* c) {
  const int to = c->type_attr("DstT");
  c->set_output(0, c->input(0), to);
  if (c->has_values(0) && (to == dt::kInt32 || to == dt::kInt64)) {
    c->set_values(0, IntValues(c->values(0)).span());
  }
}

// Complex numbers to their parts and back.
void ToutRule(InferenceContext* c) {
  c->set_output(0, c->input(0), c->type_attr("Tout", dt::kFloat));
}

void ComplexRule(InferenceContext* c) {
  c->set_output(0, BroadcastShapes(c->input(0), c->input(1)),
                c->type_attr("Tout", 8));
}

void BucketizeRule(InferenceContext* c) {
  c->set_output(0, c->input(0), dt::kInt32);
}

void BroadcastRule(InferenceContext* c) {
  c->set_output(0, BroadcastShapes(c->input(0), c->input(1)),
                c->input_dtype(0));
}

void OrderRule(InferenceContext* c) {
  c->set_output(0, BroadcastShapes(c->input(0), c->input(1)), dt::kBool);
}

void CompareRule(InferenceContext* c) {
  // incompatible_shape_error = false: an element-wise Equal of shapes that do
  // not broadcast is the scalar "false", so only like shapes tell the result.
  const bool strict = c->attr("incompatible_shape_error").empty() ||
                      c->bool_attr("incompatible_shape_error");
  const TensorShape shape = BroadcastShapes(c->input(0), c->input(1));
  c->set_output(0, strict || c->input(0) == c->input(1) ? shape : TensorShape(),
                dt::kBool);
}

using IntFunction = bool (*)(int64_t, int64_t, int64_t*);

bool AddInts(int64_t a, int64_t b, int64_t* out) {
  return !__builtin_add_overflow(a, b, out);
}
bool SubInts(int64_t a, int64_t b, int64_t* out) {
  return !__builtin_sub_overflow(a, b, out);
}
bool MulInts(int64_t a, int64_t b, int64_t* out) {
  return !__builtin_mul_overflow(a, b, out);
}
bool MaxInts(int64_t a, int64_t b, int64_t* out) {
  *out = a > b ? a : b;
  return true;
}
bool MinInts(int64_t a, int64_t b, int64_t* out) {
  *out = a < b ? a : b;
  return true;
}
bool FloorDivInts(int64_t a, int64_t b, int64_t* out) {
  if (b <= 0) return false;  // sizes are divided by sizes only
  *out = a / b - (a % b < 0 ? 1 : 0);
  return true;
}
bool FloorModInts(int64_t a, int64_t b, int64_t* out) {
  if (b <= 0) return false;
  *out = a % b + (a % b < 0 ? b : 0);
  return true;
}

// A broadcasting op whose result is followed by value too.
template <IntFunction f>
void IntBroadcastRule(InferenceContext* c) {
  BroadcastRule(c);
  if (!c->has_values(0) || !c->has_values(1)) return;
  const Span<int64_t> a = c->values(0), b = c->values(1);
  if (a.size() != b.size() && a.size() != 1 && b.size() != 1) return;
  IntValues result;
  const size_t size = a.size() == 1 ? b.size() : a.size();
  for (size_t i = 0; i < size; ++i) {
    const int64_t x = a[a.size() == 1 ? 0 : i];
    const int64_t y = b[b.size() == 1 ? 0 : i];
    int64_t value = kUnknownValue;
    if (x == kUnknownValue || y == kUnknownValue || !f(x, y, &value)) {
      value = kUnknownValue;
    }
    result.push_back(value);
  }
  c->set_values(0, result.span());
}

// Gradients of activations: all inputs are of the same shape.
void SameShapesRule(InferenceContext* c) {
  TensorShape shape = c->input(0);
  for (int i = 1; i < c->num_inputs(); ++i) {
    shape = MergeShapes(shape, c->input(i));
  }
  c->set_output(0, shape, c->input_dtype(0));
}

void SelectRule(InferenceContext* c) {
  c->set_output(0, MergeShapes(c->input(1), c->input(2)), c->input_dtype(1));
}

void SelectV2Rule(InferenceContext* c) {
  c->set_output(
      0,
      BroadcastShapes(c->input(0), BroadcastShapes(c->input(1), c->input(2))),
      c->input_dtype(1));
}

void Broadcast3Rule(InferenceContext* c) {
  c->set_output(
      0,
      BroadcastShapes(BroadcastShapes(c->input(0), c->input(1)), c->input(2)),
      c->input_dtype(0));
}

// ---- Reductions

TensorShape Reduced(InferenceContext* c) {
  const TensorShape& shape = c->input(0);
  const bool keep = c->bool_attr("keep_dims");
  if (!shape.known_rank()) return TensorShape();
  if (!c->has_values(1)) {
    // The axes are not known; how many dimensions stay is, when all do.
    return keep ? TensorShape::OfRank(shape.rank()) : TensorShape();
  }
  std::array<bool, TensorShape::kMaxRank> reduced{};
  for (const int64_t value : c->values(1)) {
    const int axis = CanonicalAxis(value, shape.rank());
    if (axis < 0) {
      return keep ? TensorShape::OfRank(shape.rank()) : TensorShape();
    }
    reduced[axis] = true;
  }
  TensorShape result = TensorShape::Scalar();
  for (int i = 0; i < shape.rank(); ++i) {
    if (!reduced[i]) {
      result.add_dim(shape.dim(i));
    } else if (keep) {
      result.add_dim(1);
    }
  }
  return result;
}

void ReductionRule(InferenceContext* c) {
  c->set_output(0, Reduced(c), c->input_dtype(0));
}

void ProdRule(InferenceContext* c) {
  ReductionRule(c);
  // The number of elements: a product of a whole shape vector.
  if (!c->has_values(0) || c->input(0).rank() != 1 || !c->has_values(1)) return;
  if (c->values(1).size() != 1) return;
  int64_t product = 1;
  for (const int64_t value : c->values(0)) {
    if (value == kUnknownValue || !MulInts(product, value, &product)) return;
  }
  c->set_values(0, {&product, 1});
}

void ArgRule(InferenceContext* c) {
  const int dtype = c->type_attr("output_type", dt::kInt64);
  const TensorShape& shape = c->input(0);
  const int axis = CanonicalAxis(c->scalar(1), shape.rank());
  if (axis < 0) {
    c->set_output(0, TensorShape::OfRank(shape.rank() - 1), dtype);
    return;
  }
  c->set_output(0,
                Concatenated(SubShape(shape, 0, axis),
                             SubShape(shape, axis + 1, shape.rank())),
                dtype);
}

void ScalarRule(InferenceContext* c) {
  c->set_output(0, TensorShape::Scalar(), c->input_dtype(0));
}

void TopKRule(InferenceContext* c) {
  TensorShape shape = c->input(0);
  const int64_t k =
      c->num_inputs() > 1 ? c->scalar(1) : c->int_attr("k", kUnknownValue);
  if (shape.rank() > 0) shape.set_dim(-1, k);
  c->set_output(0, shape, c->input_dtype(0));
  c->set_output(1, shape, c->type_attr("index_type", dt::kInt32));
}

void InTopKRule(InferenceContext* c) {
  c->set_output(0, c->input(1), dt::kBool);
}

void BincountRule(InferenceContext* c) {
  c->set_output(0, TensorShape::Of({c->scalar(1)}), c->input_dtype(2));
}

void DenseBincountRule(InferenceContext* c) {
  const TensorShape& shape = c->input(0);
  TensorShape counts;
  if (shape.rank() == 1) counts = TensorShape::Of({c->scalar(1)});
  if (shape.rank() == 2) counts = TensorShape::Of({shape.dim(0), c->scalar(1)});
  c->set_output(0, counts, c->input_dtype(2));
}

// ---- Segments

// SegmentSum and its kin: as many rows as the largest id says.
void SegmentRule(InferenceContext* c) {
  TensorShape shape = c->input(0);
  if (shape.rank() > 0) shape.set_dim(0, -1);
  c->set_output(0, shape.rank() > 0 ? shape : TensorShape(), c->input_dtype(0));
}

void UnsortedSegmentRule(InferenceContext* c) {
  const TensorShape& data = c->input(0);
  const TensorShape& ids = c->input(1);
  TensorShape shape;
  if (data.known_rank() && ids.known_rank()) {
    shape = Concatenated(TensorShape::Of({c->scalar(2)}),
                         SubShape(data, ids.rank(), data.rank()));
  }
  c->set_output(0, shape, c->input_dtype(0));
}

void SegmentCountRule(InferenceContext* c) {
  TensorShape shape = c->input(0);
  if (shape.rank() > 0) shape.set_dim(0, c->scalar(2));
  c->set_output(0, shape.rank() > 0 ? shape : TensorShape(), c->input_dtype(0));
}

// The fourth input of the forward op is the number of segments; of the
// gradient, the number of rows of what was summed.
void SparseSegmentCountRule(InferenceContext* c) {
  TensorShape shape = c->input(0);
  if (shape.rank() > 0) shape.set_dim(0, c->scalar(3));
  c->set_output(0, shape.rank() > 0 ? shape : TensorShape(), c->input_dtype(0));
}

// ---- Matrix products

void MatMulRule(InferenceContext* c) {
  const TensorShape& a = c->input(0);
  const TensorShape& b = c->input(1);
  const int64_t rows =
      a.rank() == 2 ? a.dim(c->bool_attr("transpose_a") ? 1 : 0) : -1;
  const int64_t cols =
      b.rank() == 2 ? b.dim(c->bool_attr("transpose_b") ? 0 : 1) : -1;
  c->set_output(0, TensorShape::Of({rows, cols}), c->input_dtype(0));
}

void BatchMatMulRule(InferenceContext* c) {
  const TensorShape& a = c->input(0);
  const TensorShape& b = c->input(1);
  const int dtype = c->type_attr("Tout", c->input_dtype(0));
  if (a.rank() < 2 || b.rank() < 2) {
    c->set_output(0, TensorShape(), dtype);
    return;
  }
  TensorShape shape = BroadcastShapes(SubShape(a, 0, a.rank() - 2),
                                      SubShape(b, 0, b.rank() - 2));
  shape.add_dim(a.dim(c->bool_attr("adj_x") ? -1 : -2));
  shape.add_dim(b.dim(c->bool_attr("adj_y") ? -2 : -1));
  c->set_output(0, shape, dtype);
}

void SparseDenseMatMulRule(InferenceContext* c) {
  const TensorShape sparse = c->shape_from_values(2);
  const TensorShape& dense = c->input(3);
  const int64_t rows =
      sparse.rank() == 2 ? sparse.dim(c->bool_attr("adjoint_a") ? 1 : 0) : -1;
  const int64_t cols =
      dense.rank() == 2 ? dense.dim(c->bool_attr("adjoint_b") ? 0 : 1) : -1;
  c->set_output(0, TensorShape::Of({rows, cols}), c->input_dtype(1));
}

// ---- Linear algebra and spectra

// [..., M, M] -> [...]
void DeterminantRule(InferenceContext* c) {
  const TensorShape& shape = c->input(0);
  const TensorShape batch =
      shape.rank() >= 2 ? SubShape(shape, 0, shape.rank() - 2) : TensorShape();
  for (int i = 0; i < c->num_outputs(); ++i) {
    c->set_output(i, batch, c->input_dtype(0));
  }
}

void TriangularSolveRule(InferenceContext* c) {
  const TensorShape& matrix = c->input(0);
  const TensorShape& rhs = c->input(1);
  TensorShape shape;
  if (matrix.rank() >= 2 && rhs.rank() >= 2) {
    shape = BroadcastShapes(SubShape(matrix, 0, matrix.rank() - 2),
                            SubShape(rhs, 0, rhs.rank() - 2));
    shape.add_dim(matrix.dim(-1));
    shape.add_dim(rhs.dim(-1));
  }
  c->set_output(0, shape, c->input_dtype(0));
}

void MatrixSolveRule(InferenceContext* c) {
  c->set_output(0, c->input(1), c->input_dtype(0));
}

template <int kRank>
void RfftRule(InferenceContext* c) {
  TensorShape shape = c->input(0);
  const Span<int64_t> length = c->values(1);
  const bool inverse = c->graph().op(c->op())[0] == 'I';
  if (shape.rank() < kRank) shape = TensorShape();
  for (int i = 0; i < kRank && shape.known_rank(); ++i) {
    int64_t size = length.size() == kRank ? length[i] : -1;
    // The last dimension keeps the half that is not a mirror image.
    if (i == kRank - 1 && !inverse && size >= 0) {
      size = size == 0 ? 0 : size / 2 + 1;
    }
    shape.set_dim(i - kRank, size);
  }
  c->set_output(0, shape,
                inverse ? c->type_attr("Treal", dt::kFloat)
                        : c->type_attr("Tcomplex", 8));
}

// ---- Sequences

constexpr int64_t kMaxSpan = int64_t{1} << 40;  // far from overflow

void RangeRule(InferenceContext* c) {
  const int dtype = c->type_attr("Tidx", dt::kInt32);
  const int64_t start = c->scalar(0), limit = c->scalar(1),
                delta = c->scalar(2);
  int64_t span = 0;
  const bool known = start != kUnknownValue && limit != kUnknownValue &&
                     delta != kUnknownValue && delta != 0 &&
                     delta > -kMaxSpan && delta < kMaxSpan &&
                     SubInts(limit, start, &span) && span > -kMaxSpan &&
                     span < kMaxSpan;
  if (!known) {
    c->set_output(0, TensorShape::OfRank(1), dtype);
    return;
  }
  const int64_t towards = delta > 0 ? span : -span;
  const int64_t step = delta > 0 ? delta : -delta;
  const int64_t size = towards <= 0 ? 0 : (towards - 1) / step + 1;
  c->set_output(0, TensorShape::Of({size}), dtype);
  if (size > kMaxValues) return;
  IntValues values;
  for (int64_t i = 0; i < size; ++i) values.push_back(start + i * delta);
  c->set_values(0, values.span());
}

void LinSpaceRule(InferenceContext* c) {
  c->set_output(0, TensorShape::Of({c->scalar(2)}), c->input_dtype(0));
}

constexpr RuleFamily kRules[] = {
    {UnchangedRule,
     "Abs Acos Acosh Asin Asinh Atan Atanh BesselI0e BesselI1e Ceil "
     "CheckNumerics ClipByValue Conj Cos Cosh Digamma Erf Erfc Erfinv Exp "
     "Expm1 "
     "Floor Invert Lgamma Log Log1p LogicalNot Ndtri Neg Reciprocal Rint Round "
     "Rsqrt Sigmoid Sign Sin Sinh Sqrt Square Tan Tanh _UnaryOpsComposition "
     "_MklFusedMish _MklSwish "
     "FakeQuantWithMinMaxVars Cumsum Cumprod CumulativeLogsumexp Cholesky "
     "MatrixInverse FFT FFT2D FFT3D IFFT IFFT2D IFFT3D"},
    {ToBoolRule, "IsFinite IsInf IsNan"},
    {CastRule, "Cast"},
    {ToutRule, "ComplexAbs Real Imag Angle"},
    {ComplexRule, "Complex"},
    {BucketizeRule, "Bucketize"},
    {BroadcastRule,
     "Atan2 BitwiseAnd BitwiseOr BitwiseXor DivNoNan Igamma Igammac LeftShift "
     "LogicalAnd LogicalOr MulNoNan Pow RealDiv RightShift SquaredDifference "
     "TruncateDiv TruncateMod Xdivy Xlog1py Xlogy Zeta RandomGammaGrad"},
    {IntBroadcastRule<AddInts>, "Add AddV2"},
    {IntBroadcastRule<SubInts>, "Sub"},
    {IntBroadcastRule<MulInts>, "Mul"},
    {IntBroadcastRule<MaxInts>, "Maximum"},
    {IntBroadcastRule<MinInts>, "Minimum"},
    {IntBroadcastRule<FloorDivInts>, "FloorDiv Div"},
    {IntBroadcastRule<FloorModInts>, "FloorMod Mod"},
    {CompareRule, "Equal NotEqual"},
    {OrderRule, "Greater GreaterEqual Less LessEqual"},
    {SameShapesRule,
     "AddN AccumulateNV2 EluGrad LeakyReluGrad ReciprocalGrad Relu6Grad "
     "ReluGrad RsqrtGrad SeluGrad SigmoidGrad SoftplusGrad SoftsignGrad "
     "SqrtGrad TanhGrad"},
    {SelectRule, "Select"},
    {SelectV2Rule, "SelectV2"},
    {Broadcast3Rule, "Betainc"},
    {ReductionRule, "All Any EuclideanNorm Max Mean Min Sum"},
    {ProdRule, "Prod"},
    {ArgRule, "ArgMax ArgMin"},
    {ScalarRule, "L2Loss"},
    {TopKRule, "TopK TopKV2"},
    {InTopKRule, "InTopKV2"},
    {BincountRule, "Bincount"},
    {DenseBincountRule, "DenseBincount"},
    {SegmentRule,
     "SegmentMax SegmentMean SegmentMin SegmentProd SegmentSum "
     "SparseSegmentMean SparseSegmentSqrtN SparseSegmentSum"},
    {SegmentCountRule, "SegmentMaxV2 SegmentMinV2 SegmentProdV2 SegmentSumV2"},
    {UnsortedSegmentRule,
     "UnsortedSegmentMax UnsortedSegmentMin UnsortedSegmentProd "
     "UnsortedSegmentSum"},
    {SparseSegmentCountRule,
     "SparseSegmentMeanWithNumSegments SparseSegmentSqrtNWithNumSegments "
     "SparseSegmentSumWithNumSegments SparseSegmentMeanGrad "
     "SparseSegmentSqrtNGrad SparseSegmentSumGrad"},
    {MatMulRule, "MatMul _FusedMatMul"},
    {BatchMatMulRule,
     "BatchMatMul BatchMatMulV2 BatchMatMulV3 _MklFusedBatchMatMulV2"},
    {EinsumRule, "Einsum"},
    {SparseDenseMatMulRule, "SparseTensorDenseMatMul"},
    {DeterminantRule, "MatrixDeterminant LogMatrixDeterminant"},
    {TriangularSolveRule, "MatrixTriangularSolve"},
    {MatrixSolveRule, "MatrixSolve"},
    {RfftRule<1>, "RFFT IRFFT"},
    {RfftRule<2>, "RFFT2D IRFFT2D"},
    {RfftRule<3>, "RFFT3D IRFFT3D"},
    {RangeRule, "Range"},
    {LinSpaceRule, "LinSpace"},
};

}  // namespace

Span<RuleFamily> MathRules() {
  return {kRules, sizeof(kRules) / sizeof(kRules[0])};
}

}  // namespace grappler_go
