// Shape rules of ops that make tensors and lay them out anew. After the shape
// functions of tensorflow/core/ops/array_ops.cc and
// tensorflow/core/framework/common_shape_fns.cc.
#include <algorithm>
#include <array>

#include "cc/graph/inference_context.h"

namespace grappler_go {
namespace {

void SetOneValue(InferenceContext* c, int port, int64_t value) {
  c->set_values(port, {&value, 1});
}

IntValues ValuesOf(const TensorShape& shape) {
  IntValues values;
  for (int i = 0; i < shape.rank(); ++i) {
    values.push_back(shape.dim(i) < 0 ? kUnknownValue : shape.dim(i));
  }
  return values;
}

// ---- What a tensor is like

void SetShapeVector(InferenceContext* c, int port, const TensorShape& shape,
                    int dtype) {
  c->set_output(port, TensorShape::Of({shape.rank()}), dtype);
  if (shape.known_rank()) c->set_values(port, ValuesOf(shape).span());
}

void ShapeOpRule(InferenceContext* c) {
  SetShapeVector(c, 0, c->input(0), c->type_attr("out_type", dt::kInt32));
}

void ShapeNRule(InferenceContext* c) {
  const int dtype = c->type_attr("out_type", dt::kInt32);
  for (int i = 0; i < c->num_outputs(); ++i) {
    SetShapeVector(c, i, c->input(i), dtype);
  }
}

void VariableShapeRule(InferenceContext* c) {
  const HandleData* handle = c->handle();
  SetShapeVector(c, 0, handle ? handle->shape : TensorShape(),
                 c->type_attr("out_type", dt::kInt32));
}

void SizeRule(InferenceContext* c) {
  c->set_output(0, TensorShape::Scalar(), c->type_attr("out_type", dt::kInt32));
  const int64_t size = c->input(0).num_elements();
  if (size >= 0) SetOneValue(c, 0, size);
}

void RankRule(InferenceContext* c) {
  c->set_output(0, TensorShape::Scalar(), dt::kInt32);
  if (c->input(0).known_rank()) SetOneValue(c, 0, c->input(0).rank());
}

// ---- The same elements in another shape

void ReshapeRule(InferenceContext* c) {
  const TensorShape& from = c->input(0);
  TensorShape to = c->shape_from_values(1);
  // One size that is not known follows from the number of elements, be it a
  // -1 or an unknown value.
  int unknown = 0, at = 0;
  int64_t rest = 1;
  for (int i = 0; i < to.rank(); ++i) {
    if (to.dim(i) < 0) {
      ++unknown;
      at = i;
    } else {
      rest = MulDims(rest, to.dim(i));
    }
  }
  if (unknown == 1) {
    const int64_t elements = from.num_elements();
    if (elements >= 0) to.set_dim(at, DivDims(elements, rest));
  }
  c->set_output(0, to, c->input_dtype(0));
  if (c->has_values(0)) c->set_values(0, IntValues(c->values(0)).span());
}

void SqueezeRule(InferenceContext* c) {
  const TensorShape& from = c->input(0);
  const IntValues axes = c->int_list_attr("squeeze_dims");
  TensorShape to;
  if (from.known_rank()) {
    std::array<bool, TensorShape::kMaxRank> squeezed{};
    bool known = true;
    for (const int64_t value : axes.span()) {
      const int axis = CanonicalAxis(value, from.rank());
      known &= axis >= 0;
      if (axis >= 0) squeezed[axis] = true;
    }
    if (axes.size() == 0) {
      for (int i = 0; i < from.rank(); ++i) {
        squeezed[i] = from.dim(i) == 1;
        known &= from.dim(i) >= 0;  // it may or may not be 1
      }
    }
    if (known) to = TensorShape::Scalar();
    for (int i = 0; known && i < from.rank(); ++i) {
      if (!squeezed[i]) to.add_dim(from.dim(i));
    }
  }
  c->set_output(0, to, c->input_dtype(0));
  if (c->has_values(0)) c->set_values(0, IntValues(c->values(0)).span());
}

void ExpandDimsRule(InferenceContext* c) {
  const TensorShape& from = c->input(0);
  TensorShape to;
  if (from.known_rank()) {
    const int axis = CanonicalAxis(c->scalar(1), from.rank() + 1);
    if (axis >= 0) {
      to = SubShape(from, 0, axis);
      to.add_dim(1);
      to = Concatenated(to, SubShape(from, axis, from.rank()));
    } else {
      to = TensorShape::OfRank(from.rank() + 1);
    }
  }
  c->set_output(0, to, c->input_dtype(0));
  if (c->has_values(0)) c->set_values(0, IntValues(c->values(0)).span());
}

void TransposeRule(InferenceContext* c) {
  const TensorShape& from = c->input(0);
  TensorShape to = from.known_rank() ? TensorShape::OfRank(from.rank())
                                     : c->shape_from_values(1);
  if (!from.known_rank() && to.known_rank()) {
    to = TensorShape::OfRank(to.rank());
  }
  const Span<int64_t> permutation = c->values(1);
  if (from.known_rank() &&
      permutation.size() == static_cast<size_t>(from.rank())) {
    for (int i = 0; i < from.rank(); ++i) {
      const int axis = CanonicalAxis(permutation[i], from.rank());
      if (axis >= 0) to.set_dim(i, from.dim(axis));
    }
  }
  c->set_output(0, to, c->input_dtype(0));
}

void EnsureShapeRule(InferenceContext* c) {
  c->set_output(0, MergeShapes(c->input(0), c->shape_attr("shape")),
                c->input_dtype(0));
}

void BitcastRule(InferenceContext* c) {
  const int to_type = c->type_attr("type");
  const int from_size = DataTypeSize(c->input_dtype(0));
  const int to_size = DataTypeSize(to_type);
  TensorShape shape = c->input(0);
  if (from_size == 0 || to_size == 0) {
    shape = TensorShape();
  } else if (from_size > to_size) {
    shape.add_dim(from_size / to_size);
  } else if (from_size < to_size) {
    shape =
        shape.rank() > 0 ? SubShape(shape, 0, shape.rank() - 1) : TensorShape();
  }
  c->set_output(0, shape, to_type);
}

void InvertPermutationRule(InferenceContext* c) {
  UnchangedRule(c);
  if (!c->has_values(0)) return;
  const Span<int64_t> values = c->values(0);
  std::array<int64_t, kMaxValues> inverse{};
  for (size_t i = 0; i < values.size(); ++i) {
    if (values[i] < 0 || values[i] >= static_cast<int64_t>(values.size())) {
      return;
    }
    inverse[values[i]] = static_cast<int64_t>(i);
  }
  c->set_values(0, {inverse.data(), values.size()});
}

// ---- Filled from little

void FillRule(InferenceContext* c) {
  c->set_output(0, c->shape_from_values(0), c->input_dtype(1));
  const int64_t value = c->scalar(1);
  const int64_t size = c->output(0).num_elements();
  if (!c->has_values(1) || size < 0 || size > kMaxValues) return;
  std::array<int64_t, kMaxValues> filled;
  filled.fill(value);
  c->set_values(0, {filled.data(), static_cast<size_t>(size)});
}

void LikeRule(InferenceContext* c) {
  UnchangedRule(c);
  const int dtype = c->input_dtype(0);
  const int64_t size = c->input(0).num_elements();
  if (dtype != dt::kInt32 && dtype != dt::kInt64) return;
  if (size < 0 || size > kMaxValues) return;
  std::array<int64_t, kMaxValues> filled;
  filled.fill(c->graph().op(c->op()) == "OnesLike" ? 1 : 0);
  c->set_values(0, {filled.data(), static_cast<size_t>(size)});
}

void EmptyRule(InferenceContext* c) {
  c->set_output(0, c->shape_from_values(0), c->type_attr("dtype"));
}

void BroadcastToRule(InferenceContext* c) {
  c->set_output(0, c->shape_from_values(1), c->input_dtype(0));
}

void TileRule(InferenceContext* c) {
  TensorShape shape = c->input(0);
  const TensorShape multiples = c->shape_from_values(1);
  if (!shape.known_rank() && multiples.known_rank()) {
    shape = TensorShape::OfRank(multiples.rank());
  }
  for (int i = 0; i < shape.rank(); ++i) {
    shape.set_dim(i, multiples.rank() == shape.rank()
                         ? MulDims(shape.dim(i), multiples.dim(i))
                         : -1);
  }
  c->set_output(0, shape, c->input_dtype(0));
}

// Paddings [rank, 2]; `sign` is -1 for the gradient, which takes them away.
template <int kSign>
void PadRule(InferenceContext* c) {
  TensorShape shape = c->input(0);
  const Span<int64_t> paddings = c->values(1);
  if (!shape.known_rank()) {
    const TensorShape& like = c->input(1);
    if (like.rank() == 2 && like.dim(0) >= 0 &&
        like.dim(0) <= TensorShape::kMaxRank) {
      shape = TensorShape::OfRank(static_cast<int>(like.dim(0)));
    }
  }
  const bool known =
      paddings.size() == 2 * static_cast<size_t>(std::max(shape.rank(), 0));
  for (int i = 0; i < shape.rank(); ++i) {
    const int64_t padding =
        known ? AddDims(paddings[2 * i], paddings[2 * i + 1]) : -1;
    shape.set_dim(i, kSign > 0 ? AddDims(shape.dim(i), padding)
                               : SubDims(shape.dim(i), padding));
  }
  c->set_output(0, shape, c->input_dtype(0));
}

void OneHotRule(InferenceContext* c) {
  const TensorShape& indices = c->input(0);
  TensorShape shape;
  if (indices.known_rank()) {
    int64_t axis = c->int_attr("axis", -1);
    if (axis == -1) axis = indices.rank();
    if (axis >= 0 && axis <= indices.rank()) {
      shape = SubShape(indices, 0, static_cast<int>(axis));
      shape.add_dim(c->scalar(1));
      shape = Concatenated(
          shape, SubShape(indices, static_cast<int>(axis), indices.rank()));
    }
  }
  c->set_output(0, shape, c->input_dtype(2));
}

// ---- Broadcasting by value

void BroadcastArgsRule(InferenceContext* c) {
  const TensorShape a = c->shape_from_values(0), b = c->shape_from_values(1);
  const TensorShape both = BroadcastShapes(a, b);
  c->set_output(0, TensorShape::Of({both.rank()}), c->input_dtype(0));
  if (c->has_values(0) && c->has_values(1) && both.known_rank()) {
    c->set_values(0, ValuesOf(both).span());
  }
}

// The axes along which each of two shapes was broadcast.
void BroadcastGradientArgsRule(InferenceContext* c) {
  const TensorShape shapes[2] = {c->shape_from_values(0),
                                 c->shape_from_values(1)};
  for (int i = 0; i < 2; ++i) {
    c->set_output(i, TensorShape::OfRank(1), c->input_dtype(0));
  }
  if (!shapes[0].fully_known() || !shapes[1].fully_known()) return;
  const int rank = std::max(shapes[0].rank(), shapes[1].rank());
  IntValues axes[2];
  // As tensorflow/core/util/bcast.h: nothing to reduce between like shapes.
  const bool alike = shapes[0] == shapes[1];
  for (int i = 0; i < rank && !alike; ++i) {
    int64_t size[2];
    for (int s = 0; s < 2; ++s) {
      const int at = i - (rank - shapes[s].rank());
      size[s] = at < 0 ? 1 : shapes[s].dim(at);
    }
    for (int s = 0; s < 2; ++s) {
      if (size[s] == 1) axes[s].push_back(i);
    }
  }
  for (int s = 0; s < 2; ++s) {
    c->set_shape(s, TensorShape::Of({axes[s].size()}));
    c->set_values(s, axes[s].span());
  }
}

// Diagonals: [..., n] -> [..., n, n] and back.
void MatrixDiagRule(InferenceContext* c) {
  TensorShape shape = c->input(0);
  if (shape.rank() > 0) {
    shape.add_dim(shape.dim(-1));
  } else {
    shape = TensorShape();
  }
  c->set_output(0, shape, c->input_dtype(0));
}

void MatrixDiagPartRule(InferenceContext* c) {
  const TensorShape& from = c->input(0);
  TensorShape shape;
  if (from.rank() >= 2) {
    shape = SubShape(from, 0, from.rank() - 2);
    const int64_t rows = from.dim(-2), columns = from.dim(-1);
    shape.add_dim(rows < 0 || columns < 0 ? -1 : std::min(rows, columns));
  }
  c->set_output(0, shape, c->input_dtype(0));
}

// Their successors place one or several diagonals; only the plain main one, the
// default, is followed. Inputs: diagonal, k, rows, columns, padding.
void MatrixDiagV3Rule(InferenceContext* c) {
  MatrixDiagRule(c);
  const bool plain =
      c->scalar(1) == 0 && c->scalar(2) == -1 && c->scalar(3) == -1;
  if (!plain) c->set_shape(0, TensorShape());
}

// Inputs: input, k, padding.
void MatrixDiagPartV3Rule(InferenceContext* c) {
  MatrixDiagPartRule(c);
  if (c->scalar(1) != 0) c->set_shape(0, TensorShape());
}

// Diag and DiagPart: [a, b] -> [a, b, a, b] and back.
void DiagRule(InferenceContext* c) {
  c->set_output(0, Concatenated(c->input(0), c->input(0)), c->input_dtype(0));
}

void DiagPartRule(InferenceContext* c) {
  const TensorShape& from = c->input(0);
  const bool even = from.known_rank() && from.rank() % 2 == 0;
  c->set_output(0, even ? SubShape(from, 0, from.rank() / 2) : TensorShape(),
                c->input_dtype(0));
}

constexpr RuleFamily kRules[] = {
    {UnchangedRule,
     "Cross MatrixBandPart MatrixSetDiag MatrixSetDiagV3 PreventGradient "
     "Reverse ReverseSequence ReverseV2 Roll Snapshot StopGradient "
     "DataFormatVecPermute"},
    {ShapeOpRule, "Shape"},
    {ShapeNRule, "ShapeN"},
    {VariableShapeRule, "VariableShape"},
    {SizeRule, "Size"},
    {RankRule, "Rank"},
    {ReshapeRule, "Reshape"},
    {SqueezeRule, "Squeeze"},
    {ExpandDimsRule, "ExpandDims"},
    {TransposeRule, "Transpose ConjugateTranspose"},
    {EnsureShapeRule, "EnsureShape"},
    {BitcastRule, "Bitcast"},
    {InvertPermutationRule, "InvertPermutation"},
    {FillRule, "Fill"},
    {LikeRule, "OnesLike ZerosLike"},
    {EmptyRule, "Empty"},
    {BroadcastToRule, "BroadcastTo"},
    {TileRule, "Tile"},
    {PadRule<1>, "MirrorPad Pad PadV2"},
    {PadRule<-1>, "MirrorPadGrad"},
    {OneHotRule, "OneHot"},
    {BroadcastArgsRule, "BroadcastArgs"},
    {BroadcastGradientArgsRule, "BroadcastGradientArgs"},
    {MatrixDiagRule, "MatrixDiag"},
    {MatrixDiagV3Rule, "MatrixDiagV3"},
    {MatrixDiagPartRule, "MatrixDiagPart"},
    {MatrixDiagPartV3Rule, "MatrixDiagPartV3"},
    {DiagRule, "Diag"},
    {DiagPartRule, "DiagPart"},
};

}  // namespace

Span<RuleFamily> ArrayRules() {
  return {kRules, sizeof(kRules) / sizeof(kRules[0])};
}

}  // namespace grappler_go
