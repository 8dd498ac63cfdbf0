#include "cc/graph/inference_context.h"

#include "cc/graph/op_graph_builder.h"
#include "cc/graph/wire.h"

namespace grappler_go {
namespace {

constexpr int kRefOffset = 100;

int BaseType(int dtype) {
  return dtype >= kRefOffset ? dtype - kRefOffset : dtype;
}

const TensorShape& UnknownShape() {
  static const TensorShape unknown;
  return unknown;
}

}  // namespace

void KnownValues::Set(size_t tensor, Span<int64_t> values) {
  start_[tensor] = static_cast<int32_t>(pool_.size());
  pool_.push_back(static_cast<int64_t>(values.size()));
  pool_.insert(pool_.end(), values.begin(), values.end());
}

Span<int64_t> KnownValues::Get(size_t tensor) const {
  const int32_t start = start_[tensor];
  if (start < 0) return {nullptr, 0};
  return {pool_.data() + start + 1, static_cast<size_t>(pool_[start])};
}

void InferenceContext::MoveTo(int32_t op) {
  op_ = op;
  num_attrs_ = -1;
  inputs_ = graph().inputs(op);
  num_inputs_ = static_cast<int>(inputs_.size());
  while (num_inputs_ > 0 && inputs_[num_inputs_ - 1].port < 0) --num_inputs_;
  num_outputs_ = graph().num_outputs(op);
}

bool InferenceContext::HasInput(int* i) const {
  if (*i < 0) *i += num_inputs_;
  if (*i < 0 || *i >= num_inputs_) return false;
  const InputEdge& edge = inputs_[*i];
  return !edge.back_edge && edge.port >= 0 &&
         edge.port < graph().num_outputs(edge.src);
}

size_t InferenceContext::InputTensor(int i) const {
  return static_cast<size_t>(state_->tensor_ptr[inputs_[i].src]) +
         inputs_[i].port;
}

const TensorShape& InferenceContext::input(int i) const {
  if (!HasInput(&i)) return UnknownShape();
  return (*state_->shapes)[state_->shape_of[InputTensor(i)]];
}

int InferenceContext::input_dtype(int i) const {
  return HasInput(&i) ? BaseType(state_->dtypes[InputTensor(i)]) : 0;
}

bool InferenceContext::has_values(int i) const {
  return HasInput(&i) && state_->values.Has(InputTensor(i));
}

Span<int64_t> InferenceContext::values(int i) const {
  if (!HasInput(&i)) return {nullptr, 0};
  return state_->values.Get(InputTensor(i));
}

int64_t InferenceContext::scalar(int i) const {
  const Span<int64_t> known = values(i);
  return known.size() == 1 ? known[0] : kUnknownValue;
}

TensorShape InferenceContext::shape_from_values(int i) const {
  const TensorShape& shape = input(i);
  if (shape.rank() == 0) return TensorShape();
  if (!has_values(i)) {
    const bool counted = shape.rank() == 1 && shape.dim(0) >= 0 &&
                         shape.dim(0) <= TensorShape::kMaxRank;
    return counted ? TensorShape::OfRank(static_cast<int>(shape.dim(0)))
                   : TensorShape();
  }
  TensorShape spelled = TensorShape::Scalar();
  for (const int64_t value : values(i)) spelled.add_dim(value);
  return spelled;
}

void InferenceContext::set_output(int port, const TensorShape& shape,
                                  int dtype) {
  set_shape(port, shape);
  set_dtype(port, dtype);
}

void InferenceContext::set_shape(int port, const TensorShape& shape) {
  if (port >= num_outputs_) return;
  state_->shape_of[state_->tensor_ptr[op_] + port] =
      state_->shapes->Intern(shape);
}

void InferenceContext::set_dtype(int port, int dtype) {
  if (port >= num_outputs_) return;
  if (dtype == 0) dtype = type_attr("T");
  state_->dtypes[state_->tensor_ptr[op_] + port] = ByteOfDtype(dtype);
}

void InferenceContext::set_values(int port, Span<int64_t> values) {
  if (port >= num_outputs_ || values.size() > kMaxValues) return;
  if (graph().has(op_, kPreserved)) return;
  state_->values.Set(state_->tensor_ptr[op_] + port, values);
}

const TensorShape& InferenceContext::output(int port) const {
  if (port >= num_outputs_) return UnknownShape();
  return (*state_->shapes)[state_->shape_of[state_->tensor_ptr[op_] + port]];
}

int InferenceContext::output_dtype(int port) const {
  if (port >= num_outputs_) return 0;
  return state_->dtypes[state_->tensor_ptr[op_] + port];
}

void InferenceContext::ReadAttrs() const {
  num_attrs_ = 0;
  WireReader node(graph().node(op_));
  WireField field, part;
  while (node.Next(&field)) {
    // NodeDef.attr, a map: entries of key = 1, value = 2.
    if (field.number != 5 || field.type != WireType::kBytes) continue;
    if (num_attrs_ == kMaxAttrs) return;
    auto& [key, value] = attrs_[num_attrs_++];
    key = value = {};
    WireReader entry(field.bytes);
    while (entry.Next(&part)) {
      if (part.type != WireType::kBytes) continue;
      if (part.number == 1) key = part.bytes;
      if (part.number == 2) value = part.bytes;
    }
  }
}

std::string_view InferenceContext::attr(std::string_view key) const {
  if (num_attrs_ < 0) ReadAttrs();
  for (int i = num_attrs_ - 1; i >= 0; --i) {
    if (attrs_[i].first == key) return attrs_[i].second;
  }
  return {};
}

const HandleData* InferenceContext::handle() const {
  const int32_t variable = graph().variable(op_);
  if (variable < 0) return nullptr;
  const int32_t index = state_->handle_of_op[variable];
  return index < 0 ? nullptr : &state_->handles[index];
}

void InferenceContext::set_handle(const HandleData& handle) {
  state_->handle_of_op[op_] = static_cast<int32_t>(state_->handles.size());
  state_->handles.push_back(handle);
}

const TensorShape* InferenceContext::loop_shape() const {
  if (state_->loops_unknown) return &UnknownShape();
  const auto it = state_->loop_shapes.find(op_);
  return it == state_->loop_shapes.end() ? nullptr : &it->second;
}

int64_t AddDims(int64_t a, int64_t b) {
  int64_t sum = 0;
  if (a < 0 || b < 0 || __builtin_add_overflow(a, b, &sum)) return -1;
  return sum;
}

int64_t SubDims(int64_t a, int64_t b) {
  return a < 0 || b < 0 || b > a ? -1 : a - b;
}

int64_t MulDims(int64_t a, int64_t b) {
  int64_t product = 0;
  if (a < 0 || b < 0 || __builtin_mul_overflow(a, b, &product)) return -1;
  return product;
}

int64_t DivDims(int64_t a, int64_t b) {
  return a < 0 || b <= 0 || a % b != 0 ? -1 : a / b;
}

TensorShape MergeShapes(const TensorShape& a, const TensorShape& b) {
  if (!a.known_rank()) return b;
  if (!b.known_rank()) return a;
  if (a.rank() != b.rank()) return TensorShape();
  TensorShape merged = a;
  for (int i = 0; i < a.rank(); ++i) {
    if (a.dim(i) >= 0 && b.dim(i) >= 0 && a.dim(i) != b.dim(i)) {
      return TensorShape();
    }
    merged.set_dim(i, MergeDims(a.dim(i), b.dim(i)));
  }
  return merged;
}

TensorShape CommonShape(const TensorShape& a, const TensorShape& b) {
  if (a.rank() != b.rank()) return TensorShape();
  TensorShape common = a;
  for (int i = 0; i < a.rank(); ++i) {
    if (a.dim(i) != b.dim(i)) common.set_dim(i, -1);
  }
  return common;
}

namespace {

int64_t BroadcastDims(int64_t a, int64_t b) {
  if (a == b || b == 1) return a;
  if (a == 1) return b;
  // One unknown: it is 1 or the other, whenever the other is more than 1.
  if (a < 0) return b > 1 ? b : -1;
  return b < 0 && a > 1 ? a : -1;
}

}  // namespace

TensorShape BroadcastShapes(const TensorShape& a, const TensorShape& b) {
  if (!a.known_rank() || !b.known_rank()) return TensorShape();
  const TensorShape& longer = a.rank() >= b.rank() ? a : b;
  const TensorShape& shorter = a.rank() >= b.rank() ? b : a;
  TensorShape shape = longer;
  for (int i = 1; i <= shorter.rank(); ++i) {
    shape.set_dim(-i, BroadcastDims(longer.dim(-i), shorter.dim(-i)));
  }
  return shape;
}

TensorShape SubShape(const TensorShape& shape, int begin, int end) {
  if (!shape.known_rank()) return TensorShape();
  if (begin < 0) begin += shape.rank();
  if (end < 0) end += shape.rank();
  if (begin < 0 || end > shape.rank() || begin > end) return TensorShape();
  TensorShape part = TensorShape::Scalar();
  for (int i = begin; i < end; ++i) part.add_dim(shape.dim(i));
  return part;
}

TensorShape Concatenated(const TensorShape& a, const TensorShape& b) {
  if (!b.known_rank()) return TensorShape();
  TensorShape both = a;
  for (int i = 0; i < b.rank(); ++i) both.add_dim(b.dim(i));
  return both;
}

int CanonicalAxis(int64_t axis, int rank) {
  if (axis < 0) axis += axis < -rank ? 0 : rank;
  return axis < 0 || axis >= rank ? -1 : static_cast<int>(axis);
}

void UnchangedRule(InferenceContext* c) {
  c->set_output(0, c->input(0), c->input_dtype(0));
}

}  // namespace grappler_go
