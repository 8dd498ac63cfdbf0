// Shape rules of ops that join tensors and take them apart. After
// tensorflow/core/ops/array_ops.cc and
// tensorflow/core/framework/common_shape_fns.cc.
#include <array>

#include "cc/graph/inference_context.h"

namespace grappler_go {
namespace {

void PackRule(InferenceContext* c) {
  TensorShape element = c->input(0);
  for (int i = 1; i < c->num_inputs(); ++i) {
    element = MergeShapes(element, c->input(i));
  }
  TensorShape shape;
  const int axis = element.known_rank() ? CanonicalAxis(c->int_attr("axis", 0),
                                                        element.rank() + 1)
                                        : -1;
  if (axis >= 0) {
    shape = SubShape(element, 0, axis);
    shape.add_dim(c->num_inputs());
    shape = Concatenated(shape, SubShape(element, axis, element.rank()));
  }
  c->set_output(0, shape, c->input_dtype(0));
  if (element.rank() != 0 || c->num_inputs() > kMaxValues) return;
  // A shape of which one element is known is worth following.
  IntValues values;
  bool any = false;
  for (int i = 0; i < c->num_inputs(); ++i) {
    any |= c->has_values(i);
    values.push_back(c->scalar(i));
  }
  if (any) c->set_values(0, values.span());
}

void UnpackRule(InferenceContext* c) {
  const TensorShape& from = c->input(0);
  const int axis = CanonicalAxis(c->int_attr("axis", 0), from.rank());
  TensorShape shape;
  if (axis >= 0) {
    shape = Concatenated(SubShape(from, 0, axis),
                         SubShape(from, axis + 1, from.rank()));
  }
  for (int i = 0; i < c->num_outputs(); ++i) {
    c->set_output(i, shape, c->input_dtype(0));
    if (from.rank() == 1 && i < static_cast<int>(c->values(0).size())) {
      const int64_t value = c->values(0)[i];
      c->set_values(i, {&value, 1});
    }
  }
}

void ConcatRule(InferenceContext* c) {
  const bool axis_first = c->graph().op(c->op()) == "Concat";
  const int first = axis_first ? 1 : 0;
  const int count = c->num_inputs() - 1;
  const int axis_input = axis_first ? 0 : count;
  const int dtype = c->input_dtype(first);
  if (count < 1) return;
  int rank = -1;
  for (int i = 0; i < count; ++i) {
    if (c->input(first + i).known_rank()) rank = c->input(first + i).rank();
  }
  const int axis = CanonicalAxis(c->scalar(axis_input), rank);
  if (axis < 0) {
    c->set_output(0, TensorShape::OfRank(rank), dtype);
    return;
  }
  TensorShape shape = TensorShape::OfRank(rank);
  int64_t sum = 0;
  bool all_values = rank == 1;
  IntValues values;
  for (int i = 0; i < count; ++i) {
    const TensorShape& part = c->input(first + i);
    if (part.known_rank() && part.rank() != rank) {
      c->set_output(0, TensorShape(), dtype);
      return;
    }
    sum = part.known_rank() ? AddDims(sum, part.dim(axis)) : -1;
    for (int d = 0; part.known_rank() && d < rank; ++d) {
      shape.set_dim(d, MergeDims(shape.dim(d), part.dim(d)));
    }
    all_values &= c->has_values(first + i);
    for (const int64_t value : c->values(first + i)) values.push_back(value);
  }
  shape.set_dim(axis, sum);
  c->set_output(0, shape, dtype);
  if (all_values && values.known()) c->set_values(0, values.span());
}

void ConcatOffsetRule(InferenceContext* c) {
  for (int i = 0; i < c->num_outputs(); ++i) {
    c->set_output(i, c->input(i + 1), c->input_dtype(i + 1));
  }
  // Offsets: zero, but along the axis the sizes so far.
  const int64_t axis_value = c->scalar(0);
  int64_t offset = 0;
  for (int i = 0; i < c->num_outputs(); ++i) {
    if (!c->has_values(i + 1)) return;
    const Span<int64_t> sizes = c->values(i + 1);
    const int axis = CanonicalAxis(axis_value, static_cast<int>(sizes.size()));
    if (axis < 0 || offset < 0) return;
    std::array<int64_t, kMaxValues> offsets{};
    offsets[axis] = offset;
    offset = AddDims(offset, sizes[axis]);
    c->set_values(i, {offsets.data(), sizes.size()});
  }
}

void SplitRule(InferenceContext* c) {
  TensorShape shape = c->input(1);
  const int axis = CanonicalAxis(c->scalar(0), shape.rank());
  if (axis >= 0) {
    shape.set_dim(axis, DivDims(shape.dim(axis), c->num_outputs()));
  } else {
    shape = TensorShape::OfRank(shape.rank());
  }
  for (int i = 0; i < c->num_outputs(); ++i) {
    c->set_output(i, shape, c->input_dtype(1));
  }
}

void SplitVRule(InferenceContext* c) {
  const TensorShape& from = c->input(0);
  const Span<int64_t> sizes = c->values(1);
  const int axis = CanonicalAxis(c->scalar(2), from.rank());
  const bool known =
      axis >= 0 && sizes.size() == static_cast<size_t>(c->num_outputs());
  // One -1 takes what is left.
  int64_t left = known ? from.dim(axis) : -1;
  for (const int64_t size : sizes) {
    if (known && size != -1) left = SubDims(left, size);
  }
  for (int i = 0; i < c->num_outputs(); ++i) {
    TensorShape shape = TensorShape::OfRank(from.rank());
    if (axis >= 0) {
      shape = from;
      shape.set_dim(axis, !known ? -1 : sizes[i] == -1 ? left : sizes[i]);
    }
    c->set_output(i, shape, c->input_dtype(0));
  }
}

// ---- Between space, depth and batch

void SpaceToDepthRule(InferenceContext* c) {
  const bool to_depth = c->graph().op(c->op()) == "SpaceToDepth";
  TensorShape shape = c->input(0);
  const int64_t block = c->int_attr("block_size", -1);
  const std::string_view format = c->string_attr("data_format");
  if (shape.rank() != 4 || block <= 0 || format == "NCHW_VECT_C") {
    c->set_output(0, TensorShape(), c->input_dtype(0));
    return;
  }
  const bool channels_first = format == "NCHW";
  const int depth = channels_first ? 1 : 3;
  for (int i = 0; i < 2; ++i) {
    const int at = (channels_first ? 2 : 1) + i;
    shape.set_dim(at, to_depth ? DivDims(shape.dim(at), block)
                               : MulDims(shape.dim(at), block));
  }
  const int64_t square = MulDims(block, block);
  shape.set_dim(depth, to_depth ? MulDims(shape.dim(depth), square)
                                : DivDims(shape.dim(depth), square));
  c->set_output(0, shape, c->input_dtype(0));
}

// Inputs: the tensor, block_shape [m], and paddings or crops [m, 2].
void SpaceToBatchRule(InferenceContext* c) {
  const bool to_batch = c->graph().op(c->op()) == "SpaceToBatchND";
  TensorShape shape = c->input(0);
  const Span<int64_t> block = c->values(1), edges = c->values(2);
  const int m = static_cast<int>(block.size());
  if (!c->has_values(1) || !c->has_values(2) ||
      edges.size() != 2 * block.size() || shape.rank() < 1 + m) {
    c->set_output(0, TensorShape::OfRank(shape.rank()), c->input_dtype(0));
    return;
  }
  int64_t batch = shape.dim(0);
  for (int i = 0; i < m; ++i) {
    const int64_t around = AddDims(edges[2 * i], edges[2 * i + 1]);
    const int64_t size = shape.dim(i + 1);
    if (to_batch) {
      batch = MulDims(batch, block[i]);
      shape.set_dim(i + 1, DivDims(AddDims(size, around), block[i]));
    } else {
      batch = DivDims(batch, block[i]);
      shape.set_dim(i + 1, SubDims(MulDims(size, block[i]), around));
    }
  }
  shape.set_dim(0, batch);
  c->set_output(0, shape, c->input_dtype(0));
}

constexpr RuleFamily kRules[] = {
    {PackRule, "Pack"},
    {UnpackRule, "Unpack"},
    {ConcatRule, "Concat ConcatV2"},
    {ConcatOffsetRule, "ConcatOffset"},
    {SplitRule, "Split"},
    {SplitVRule, "SplitV"},
    {SpaceToDepthRule, "DepthToSpace SpaceToDepth"},
    {SpaceToBatchRule, "BatchToSpaceND SpaceToBatchND"},
};

}  // namespace

Span<RuleFamily> JoinRules() {
  return {kRules, sizeof(kRules) / sizeof(kRules[0])};
}

}  // namespace grappler_go
