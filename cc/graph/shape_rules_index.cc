// Shape rules of ops that pick or place parts of tensors: slices, gathers,
// scatters. After tensorflow/core/ops/array_ops.cc and, for StridedSlice,
// tensorflow/core/util/strided_slice_op.cc.
#include <algorithm>
#include <array>

#include "cc/graph/inference_context.h"

namespace grappler_go {
namespace {

// ---- Slices

void SliceRule(InferenceContext* c) {
  const TensorShape& from = c->input(0);
  const Span<int64_t> begin = c->values(1), size = c->values(2);
  TensorShape shape = TensorShape::OfRank(from.rank());
  if (!from.known_rank()) {
    shape = TensorShape::OfRank(c->shape_from_values(2).rank());
  }
  const auto rank = static_cast<size_t>(std::max(shape.rank(), 0));
  for (size_t i = 0; i < rank && size.size() == rank; ++i) {
    if (size[i] == kUnknownValue) continue;
    int64_t length = size[i];
    if (length == -1) {  // to the end
      const bool known = from.known_rank() && begin.size() == rank;
      length = known ? SubDims(from.dim(static_cast<int>(i)), begin[i]) : -1;
    }
    shape.set_dim(static_cast<int>(i), length);
  }
  c->set_output(0, shape, c->input_dtype(0));
  // Part of a vector that is known by value.
  const Span<int64_t> values = c->values(0);
  if (!c->has_values(0) || from.rank() != 1 || begin.size() != 1) return;
  const int64_t length = shape.dim(0), available = values.size();
  if (length < 0 || begin[0] < 0 || begin[0] > available - length) return;
  IntValues part;
  for (int64_t i = 0; i < length; ++i) part.push_back(values[begin[0] + i]);
  c->set_values(0, part.span());
}

// One dimension of the sliced tensor, after masks are resolved.
struct DimSlice {
  int64_t begin = 0, end = 0, stride = 1;
  bool begin_masked = true, end_masked = true, shrink = false;
};

// Dimensions of the result: those of the slices, and new ones of size 1.
struct StridedSliceSpec {
  static constexpr int kNewAxis = -1;
  std::array<DimSlice, TensorShape::kMaxRank> dims;
  int num_dims = 0;
  IntValues result;  // kNewAxis or the number of a dimension
};

// Spreads the sparse specification over the rank of the input. False: it does
// not fit, or the masks make no sense.
bool ReadStridedSlice(InferenceContext* c, int rank, Span<int64_t> begin,
                      Span<int64_t> end, Span<int64_t> stride,
                      StridedSliceSpec* spec) {
  const int64_t begin_mask = c->int_attr("begin_mask", 0);
  const int64_t end_mask = c->int_attr("end_mask", 0);
  const int64_t ellipsis_mask = c->int_attr("ellipsis_mask", 0);
  const int64_t new_axis_mask = c->int_attr("new_axis_mask", 0);
  const int64_t shrink_mask = c->int_attr("shrink_axis_mask", 0);
  const int n = static_cast<int>(stride.size());
  if (n > 32) return false;
  const auto bit = [](int64_t mask, int i) { return (mask >> i & 1) != 0; };
  int named = 0;  // dimensions that the specification names
  for (int i = 0; i < n; ++i) {
    named += !bit(ellipsis_mask, i) && !bit(new_axis_mask, i);
  }
  bool ellipsis_seen = false;
  const auto take_whole = [&](int count) {
    for (; count > 0 && spec->num_dims < rank; --count) {
      spec->result.push_back(spec->num_dims);
      spec->dims[spec->num_dims++] = DimSlice();
    }
  };
  for (int i = 0; i < n; ++i) {
    if (bit(ellipsis_mask, i)) {
      if (ellipsis_seen) return false;
      ellipsis_seen = true;
      take_whole(rank - named);
    } else if (bit(new_axis_mask, i)) {
      spec->result.push_back(StridedSliceSpec::kNewAxis);
    } else {
      if (spec->num_dims == rank || stride[i] == 0) return false;
      DimSlice& dim = spec->dims[spec->num_dims];
      const auto index = static_cast<size_t>(i);
      dim.begin = index < begin.size() ? begin[index] : kUnknownValue;
      dim.end = index < end.size() ? end[index] : kUnknownValue;
      dim.stride = stride[i];
      dim.begin_masked = bit(begin_mask, i);
      dim.end_masked = bit(end_mask, i);
      dim.shrink = bit(shrink_mask, i);
      if (!dim.shrink) spec->result.push_back(spec->num_dims);
      ++spec->num_dims;
    }
  }
  if (!ellipsis_seen) take_whole(rank);
  return spec->num_dims == rank && spec->result.known();
}

// First element and number of elements taken from a dimension of `size`. False
// when one of them is not known.
bool ResolveSlice(const DimSlice& dim, int64_t size, int64_t* first,
                  int64_t* count) {
  if (size < 0 || dim.stride == kUnknownValue || dim.stride == 0) return false;
  const bool forward = dim.stride > 0;
  const int64_t low = forward ? 0 : -1;
  const int64_t high = forward ? size : size - 1;
  const auto canonical = [&](int64_t at, bool masked, int64_t whole) {
    if (masked) return whole;
    if (at < 0) at += size;
    return std::min(std::max(at, low), high);
  };
  if ((!dim.begin_masked && dim.begin == kUnknownValue) ||
      (!dim.end_masked && dim.end == kUnknownValue)) {
    return false;
  }
  const int64_t begin =
      canonical(dim.begin, dim.begin_masked, forward ? low : high);
  const int64_t end = canonical(dim.end, dim.end_masked, forward ? high : low);
  const int64_t span = forward ? end - begin : begin - end;
  // The smallest int64 stands for "unknown", so this does not overflow.
  const int64_t step = forward ? dim.stride : -dim.stride;
  *first = begin;
  *count = span <= 0 ? 0 : (span - 1) / step + 1;
  return true;
}

// Elements of a vector of which one dimension is sliced.
void SliceValues(InferenceContext* c, const StridedSliceSpec& spec,
                 Span<int64_t> values) {
  const DimSlice& dim = spec.dims[0];
  const auto size = static_cast<int64_t>(values.size());
  IntValues part;
  if (dim.shrink) {
    if (dim.begin == kUnknownValue) return;
    const int64_t at = dim.begin < 0 ? dim.begin + size : dim.begin;
    if (at < 0 || at >= size) return;
    part.push_back(values[at]);
  } else {
    int64_t first = 0, count = 0;
    if (!ResolveSlice(dim, size, &first, &count)) return;
    for (int64_t i = 0; i < count; ++i) {
      part.push_back(values[first + i * dim.stride]);
    }
  }
  c->set_values(0, part.span());
}

void StridedSliceRule(InferenceContext* c) {
  const TensorShape& from = c->input(0);
  c->set_output(0, TensorShape(), c->input_dtype(0));
  StridedSliceSpec spec;
  if (!from.known_rank() || !c->has_values(3) ||
      !ReadStridedSlice(c, from.rank(), c->values(1), c->values(2),
                        c->values(3), &spec)) {
    return;
  }
  TensorShape shape = TensorShape::Scalar();
  for (const int64_t dim : spec.result.span()) {
    int64_t first = 0, count = 1;
    if (dim != StridedSliceSpec::kNewAxis &&
        !ResolveSlice(spec.dims[dim], from.dim(static_cast<int>(dim)), &first,
                      &count)) {
      count = -1;
    }
    shape.add_dim(count);
  }
  c->set_shape(0, shape);
  if (c->has_values(0) && from.rank() == 1) {
    SliceValues(c, spec, c->values(0));
  }
}

void StridedSliceGradRule(InferenceContext* c) {
  c->set_output(0, c->shape_from_values(0), c->input_dtype(4));
}

// ---- Gathers

// params [..], indices [..]: params' dimensions but for `axis`, which the
// indices' replace; the first batch_dims are common to both.
TensorShape Gathered(const TensorShape& params, const TensorShape& indices,
                     int64_t axis_value, int64_t batch_dims) {
  if (!params.known_rank() || !indices.known_rank()) return TensorShape();
  if (batch_dims < 0) batch_dims += indices.rank();
  const int axis = CanonicalAxis(axis_value, params.rank());
  if (batch_dims < 0 || batch_dims > indices.rank()) return TensorShape();
  if (axis_value == kUnknownValue || axis < batch_dims) {
    return TensorShape::OfRank(params.rank() - 1 + indices.rank() -
                               static_cast<int>(batch_dims));
  }
  TensorShape shape = SubShape(params, 0, axis);
  shape = Concatenated(
      shape, SubShape(indices, static_cast<int>(batch_dims), indices.rank()));
  return Concatenated(shape, SubShape(params, axis + 1, params.rank()));
}

void GatherRule(InferenceContext* c) {
  const bool has_axis = c->graph().op(c->op()) == "GatherV2";
  const int64_t axis = has_axis ? c->scalar(2) : 0;
  c->set_output(0,
                Gathered(c->input(0), c->input(1), axis,
                         has_axis ? c->int_attr("batch_dims", 0) : 0),
                c->input_dtype(0));
  // An element of a shape.
  const int64_t index = c->scalar(1);
  const Span<int64_t> values = c->values(0);
  if (c->input(0).rank() == 1 && c->input(1).rank() <= 1 && axis == 0 &&
      index >= 0 && index < static_cast<int64_t>(values.size())) {
    const int64_t value = values[index];
    c->set_values(0, {&value, 1});
  }
}

void ResourceGatherRule(InferenceContext* c) {
  const HandleData* handle = c->handle();
  c->set_output(0,
                Gathered(handle ? handle->shape : TensorShape(), c->input(1), 0,
                         c->int_attr("batch_dims", 0)),
                c->type_attr("dtype"));
}

TensorShape GatheredNd(const TensorShape& params, const TensorShape& indices) {
  const int64_t depth = indices.rank() > 0 ? indices.dim(-1) : -1;
  if (depth < 0 || depth > params.rank()) return TensorShape();
  return Concatenated(SubShape(indices, 0, indices.rank() - 1),
                      SubShape(params, static_cast<int>(depth), params.rank()));
}

void GatherNdRule(InferenceContext* c) {
  c->set_output(0, GatheredNd(c->input(0), c->input(1)), c->input_dtype(0));
}

void ResourceGatherNdRule(InferenceContext* c) {
  const HandleData* handle = c->handle();
  c->set_output(0,
                GatheredNd(handle ? handle->shape : TensorShape(), c->input(1)),
                c->type_attr("dtype"));
}

// ---- Scatters

void ScatterNdRule(InferenceContext* c) {
  c->set_output(0, c->shape_from_values(2), c->input_dtype(1));
}

void SparseToDenseRule(InferenceContext* c) {
  c->set_output(0, c->shape_from_values(1), c->input_dtype(2));
}

// ---- Results whose size depends on the values

void WhereRule(InferenceContext* c) {
  c->set_output(0, TensorShape::Of({-1, c->input(0).rank()}), dt::kInt64);
}

void UniqueRule(InferenceContext* c) {
  const int index_type = c->type_attr("out_idx", dt::kInt32);
  const bool has_axis = c->graph().op(c->op()) == "UniqueV2";
  c->set_output(0, has_axis ? TensorShape() : TensorShape::OfRank(1),
                c->input_dtype(0));
  c->set_output(1, has_axis ? TensorShape::OfRank(1) : c->input(0), index_type);
  c->set_output(2, TensorShape::OfRank(1), index_type);
}

void ListDiffRule(InferenceContext* c) {
  c->set_output(0, TensorShape::OfRank(1), c->input_dtype(0));
  c->set_output(1, TensorShape::OfRank(1), c->type_attr("out_idx", dt::kInt32));
}

void DynamicPartitionRule(InferenceContext* c) {
  const TensorShape& data = c->input(0);
  const TensorShape& partitions = c->input(1);
  TensorShape shape;
  if (data.known_rank() && partitions.known_rank()) {
    shape = Concatenated(TensorShape::OfRank(1),
                         SubShape(data, partitions.rank(), data.rank()));
  }
  for (int i = 0; i < c->num_outputs(); ++i) {
    c->set_output(i, shape, c->input_dtype(0));
  }
}

void DynamicStitchRule(InferenceContext* c) {
  const int n = c->num_inputs() / 2;
  TensorShape shape;
  for (int i = 0; i < n; ++i) {
    const TensorShape& indices = c->input(i);
    const TensorShape& data = c->input(n + i);
    if (!indices.known_rank() || !data.known_rank()) continue;
    shape = MergeShapes(
        shape, Concatenated(TensorShape::OfRank(1),
                            SubShape(data, indices.rank(), data.rank())));
  }
  c->set_output(0, shape, c->input_dtype(n));
}

void SearchSortedRule(InferenceContext* c) {
  c->set_output(0, c->input(1), c->type_attr("out_type", dt::kInt32));
}

void HashBucketRule(InferenceContext* c) {
  c->set_output(0, c->input(0), dt::kInt64);
}

constexpr RuleFamily kRules[] = {
    {SliceRule, "Slice"},
    {StridedSliceRule, "StridedSlice"},
    {StridedSliceGradRule, "StridedSliceGrad"},
    {GatherRule, "Gather GatherV2"},
    {GatherNdRule, "GatherNd"},
    {ResourceGatherRule, "ResourceGather"},
    {ResourceGatherNdRule, "ResourceGatherNd"},
    {ScatterNdRule, "ScatterNd"},
    {SparseToDenseRule, "SparseToDense"},
    {UnchangedRule,
     "TensorScatterAdd TensorScatterMax TensorScatterMin TensorScatterSub "
     "TensorScatterUpdate TensorStridedSliceUpdate"},
    {WhereRule, "Where"},
    {UniqueRule, "Unique UniqueV2 UniqueWithCounts"},
    {ListDiffRule, "ListDiff"},
    {DynamicPartitionRule, "DynamicPartition"},
    {DynamicStitchRule, "DynamicStitch ParallelDynamicStitch"},
    {HashBucketRule, "StringToHashBucketFast"},
    {SearchSortedRule, "LowerBound UpperBound"},
};

}  // namespace

Span<RuleFamily> IndexRules() {
  return {kRules, sizeof(kRules) / sizeof(kRules[0])};
}

}  // namespace grappler_go
