#include "cc/testing/graph_builder.h"

#include <cstring>

#include "cc/graph/wire.h"

namespace grappler_go {
namespace {

// What a graph made by TensorFlow 2.16 carries.
constexpr uint64_t kProducer = 1766;
constexpr uint64_t kMinConsumer = 12;

std::string ShapeProto(const Dims& dims) {
  std::string out;
  for (int64_t dim : dims) {
    std::string dim_proto;
    AppendVarintField(1, static_cast<uint64_t>(dim), &dim_proto);
    AppendBytesField(2, dim_proto, &out);
  }
  return out;
}

std::string ListAttr(const std::string& list) {
  std::string out;
  AppendBytesField(1, list, &out);
  return out;
}

template <typename T>
std::string TensorAttr(const Dims& dims, std::vector<T> values, int dtype) {
  int64_t elements = 1;
  for (int64_t dim : dims) elements *= dim;
  if (values.empty()) values = {T{0}};
  if (values.size() == 1) values.resize(elements, values[0]);
  std::string tensor;
  AppendVarintField(1, dtype, &tensor);
  AppendBytesField(2, ShapeProto(dims), &tensor);
  AppendBytesField(
      4,
      {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)},
      &tensor);
  std::string out;
  AppendBytesField(8, tensor, &out);
  return out;
}

}  // namespace

std::string ShapeAttr(const Dims& dims) {
  std::string out;
  AppendBytesField(7, ShapeProto(dims), &out);
  return out;
}

std::string FloatAttr(float value) {
  uint32_t bits = 0;
  std::memcpy(&bits, &value, sizeof(bits));
  std::string out;
  AppendFixed32Field(4, bits, &out);
  return out;
}

std::string IntListAttr(const std::vector<int64_t>& values) {
  std::string packed, list;
  for (int64_t v : values) AppendVarint(static_cast<uint64_t>(v), &packed);
  AppendBytesField(3, packed, &list);
  return ListAttr(list);
}

std::string StringListAttr(const std::vector<std::string>& values) {
  std::string list;
  for (const std::string& v : values) AppendBytesField(2, v, &list);
  return ListAttr(list);
}

std::string ShapeListAttr(const std::vector<Dims>& shapes) {
  std::string list;
  for (const Dims& dims : shapes) AppendBytesField(7, ShapeProto(dims), &list);
  return ListAttr(list);
}

std::string TypeListAttr(const std::vector<int>& dtypes) {
  std::string packed, list;
  for (int dtype : dtypes) AppendVarint(dtype, &packed);
  AppendBytesField(6, packed, &list);
  return ListAttr(list);
}

std::string FuncAttr(const std::string& function) {
  std::string func, out;
  AppendBytesField(1, function, &func);
  AppendBytesField(10, func, &out);
  return out;
}

std::string FloatTensorAttr(const Dims& dims, std::vector<float> values) {
  return TensorAttr(dims, std::move(values), kFloat);
}

std::string IntTensorAttr(const Dims& dims, std::vector<int32_t> values) {
  return TensorAttr(dims, std::move(values), kInt32);
}

GraphBuilder& GraphBuilder::Node(const std::string& name, const std::string& op,
                                 const std::vector<std::string>& inputs,
                                 const Attrs& attrs,
                                 const std::string& device) {
  std::string node;
  if (!name.empty()) AppendBytesField(1, name, &node);
  if (!op.empty()) AppendBytesField(2, op, &node);
  for (const std::string& input : inputs) AppendBytesField(3, input, &node);
  if (!device.empty()) AppendBytesField(4, device, &node);
  for (const auto& [key, value] : attrs) AppendAttr(key, value, &node);
  AppendBytesField(1, node, &nodes_);
  return *this;
}

GraphBuilder& GraphBuilder::Arg(const std::string& name, const Dims& dims,
                                int dtype) {
  return Node(name, "_Arg", {},
              {{"T", TypeAttrValue(dtype)},
               {"index", IntAttrValue(num_args_++)},
               {"_output_shapes", ShapeListAttr({dims})}});
}

GraphBuilder& GraphBuilder::VarArg(const std::string& name, const Dims& dims,
                                   int dtype) {
  return Node(name, "_Arg", {},
              {{"T", TypeAttrValue(kResource)},
               {"index", IntAttrValue(num_args_++)},
               {"_handle_shapes", ShapeListAttr({dims})},
               {"_handle_dtypes", TypeListAttr({dtype})}});
}

GraphBuilder& GraphBuilder::Const(const std::string& name, const Dims& dims,
                                  const std::vector<float>& values) {
  return Node(name, "Const", {},
              {{"dtype", TypeAttrValue(kFloat)},
               {"value", FloatTensorAttr(dims, values)}});
}

GraphBuilder& GraphBuilder::IntConst(const std::string& name, const Dims& dims,
                                     const std::vector<int32_t>& values) {
  return Node(name, "Const", {},
              {{"dtype", TypeAttrValue(kInt32)},
               {"value", IntTensorAttr(dims, values)}});
}

GraphBuilder& GraphBuilder::Retval(const std::string& name,
                                   const std::string& input, int dtype) {
  return Node(
      name, "_Retval", {input},
      {{"T", TypeAttrValue(dtype)}, {"index", IntAttrValue(num_retvals_++)}});
}

GraphBuilder& GraphBuilder::Library(const std::string& library) {
  library_ = library;
  return *this;
}

std::string GraphBuilder::Build() const {
  std::string out = nodes_;
  if (!library_.empty()) AppendBytesField(2, library_, &out);
  std::string versions;
  AppendVarintField(1, kProducer, &versions);
  AppendVarintField(2, kMinConsumer, &versions);
  AppendBytesField(4, versions, &out);
  return out;
}

}  // namespace grappler_go
