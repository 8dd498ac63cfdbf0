// OpGraph's arrays, filled from RawNodes, and the questions it answers.
#include "cc/graph/op_graph.h"

#include <algorithm>
#include <utility>

#include "cc/graph/op_graph_builder.h"
#include "cc/graph/shape_inference.h"
#include "cc/graph/wire.h"

namespace grappler_go {
namespace {

constexpr int kString = 7, kResource = 20, kVariant = 21;  // types.proto

// How many entries an AttrValue holds: the value of an int, the length of a
// list of types. -1 for anything else.
int64_t CountOf(std::string_view value) {
  int64_t count = -1;
  WireReader reader(value);
  WireField field, item;
  while (reader.Next(&field)) {
    if (field.number == 3 && field.type == WireType::kVarint) {
      count = static_cast<int64_t>(field.varint);
    }
    if (field.number != 1 || field.type != WireType::kBytes) continue;
    count = 0;
    WireReader list(field.bytes);
    while (list.Next(&item)) {
      if (item.number != 6) continue;
      if (item.type == WireType::kVarint) {
        ++count;
      } else if (item.type == WireType::kBytes) {
        // Packed: as many varints as there are bytes without a next one.
        count += std::count_if(item.bytes.begin(), item.bytes.end(),
                               [](char c) { return (c & 0x80) == 0; });
      }
    }
  }
  return count;
}

}  // namespace

StatusOr<OpGraph> OpGraph::Parse(std::string_view graphdef,
                                 const ParseOptions& options) {
  return OpGraphBuilder(graphdef, options).Build();
}

StatusOr<OpGraph> OpGraphBuilder::Build() {
  GO_RETURN_IF_ERROR(Read());
  GO_RETURN_IF_ERROR(Connect());
  GO_RETURN_IF_ERROR(Order());
  LayOut();
  GO_RETURN_IF_ERROR(LayOutTensors());
  Annotate();
  if (options_.infer_shapes) InferShapes(&graph_);
  return std::move(graph_);
}

// In steps, each of which frees what it was made from.
void OpGraphBuilder::LayOut() {
  OpGraph& g = graph_;
  g.op_types_ = type_names_.Take();
  g.devices_ = device_names_.Take();
  g.defs_.reserve(types_.size());
  for (const TypeInfo& info : types_) g.defs_.push_back(info.def);
  LayOutInputs();
  LayOutNodes();
  LayOutOutputs();
  g.by_file_ = std::move(number_);
}

void OpGraphBuilder::LayOutInputs() {
  OpGraph& g = graph_;
  g.in_ptr_.reserve(raw_.size() + 1);
  g.in_edges_.reserve(edges_.size());
  g.in_ptr_.push_back(0);
  for (int32_t at : order_) {
    const RawNode& node = raw_[at];
    const int32_t end = node.first_input + node.num_data + node.num_control;
    for (int32_t k = node.first_input; k < end; ++k) {
      const RawEdge& edge = edges_[k];
      const bool back = edge.port != kControlPort && IsBackEdge(edge.src, at);
      g.in_edges_.push_back({number_[edge.src], edge.port, back});
    }
    g.in_ptr_.push_back(static_cast<int32_t>(g.in_edges_.size()));
  }
  Free(&edges_);
}

void OpGraphBuilder::LayOutNodes() {
  const size_t n = raw_.size();
  OpGraph& g = graph_;
  g.names_.reserve(n);
  g.nodes_.reserve(n);
  g.type_.reserve(n);
  g.device_.reserve(n);
  g.depth_.reserve(n);
  g.flags_.reserve(n);
  dtype_.reserve(n);
  for (int32_t at : order_) {
    const RawNode& node = raw_[at];
    g.names_.push_back(node.name);
    g.nodes_.push_back(node.bytes);
    g.type_.push_back(node.type);
    g.device_.push_back(node.device);
    g.depth_.push_back(depth_[at]);
    g.flags_.push_back(node.flags);
    dtype_.push_back(node.dtype);
  }
  Free(&raw_, &depth_, &order_);
}

void OpGraphBuilder::LayOutOutputs() {
  OpGraph& g = graph_;
  const int32_t n = g.num_ops();
  g.out_ptr_.assign(n + 1, 0);
  for (const InputEdge& e : g.in_edges_) ++g.out_ptr_[e.src + 1];
  for (int32_t i = 0; i < n; ++i) g.out_ptr_[i + 1] += g.out_ptr_[i];
  g.out_edges_.resize(g.in_edges_.size());
  Scratch<int32_t> next(g.out_ptr_.begin(), g.out_ptr_.end() - 1);
  for (int32_t i = 0; i < n; ++i) {
    for (const InputEdge& e : g.inputs(i)) {
      g.out_edges_[next[e.src]++] = {i, e.port, e.back_edge};
    }
  }
}

int32_t OpGraphBuilder::NumOutputs(int32_t i) const {
  const OpDef& def = graph_.def(i);
  int64_t count = def.num_outputs;
  if (count < 0 && !def.outputs_attr.empty()) {
    count = CountOf(graph_.attr(i, def.outputs_attr));
  }
  return count < 0 || count > INT32_MAX ? -1 : static_cast<int32_t>(count);
}

Status OpGraphBuilder::LayOutTensors() {
  OpGraph& g = graph_;
  // A few bytes of attribute can promise any number of outputs.
  const size_t max_tensors = 65536 + g.graphdef_.size() / 8;
  g.tensor_ptr_.reserve(g.names_.size() + 1);
  g.tensor_ptr_.push_back(0);
  size_t total = 0;
  for (int32_t i = 0; i < g.num_ops(); ++i) {
    int32_t highest = -1;
    for (const OutputEdge& e : g.outputs(i))
      highest = std::max<int32_t>(highest, e.port);
    int32_t count = NumOutputs(i);
    if (count >= 0 && highest >= count) {
      return InvalidArgument("output " + std::to_string(highest) + " of node " +
                             std::string(g.name(i)) + " does not exist");
    }
    if (count < 0) count = highest + 1;
    total += static_cast<size_t>(count);
    if (total > max_tensors) {
      return Status(StatusCode::kResourceExhausted,
                    "more outputs than a graph of this size can use");
    }
    g.tensor_ptr_.push_back(static_cast<int32_t>(total));
  }
  g.dtypes_.assign(total, 0);
  g.shape_of_.assign(total, ShapeTable::kUnknown);
  return OkStatus();
}

int32_t OpGraph::find(std::string_view name) const {
  const int32_t at = by_name_.Find(
      NameKey(name), [this](int32_t at) { return this->name(by_file_[at]); });
  return at < 0 ? -1 : by_file_[at];
}

std::string_view OpGraph::attr(int32_t i, std::string_view key) const {
  return OpGraphBuilder::FindAttr(node(i), key);
}

int64_t OpGraph::bytes(int32_t i, int32_t port) const {
  const int dtype = this->dtype(i, port) % 100;
  if (dtype == kResource || dtype == kVariant) return 0;
  const int64_t size = DataTypeSize(dtype);
  const int64_t elements = shape(i, port).num_elements();
  if (size == 0 || elements < 0 || elements > INT64_MAX / size) return -1;
  return elements * size;
}

bool OpGraph::shapes_known(int32_t i) const {
  for (int32_t port = 0; port < num_outputs(i); ++port) {
    const int dtype = this->dtype(i, port) % 100;
    if (dtype == kResource || dtype == kVariant) continue;
    if (dtype == 0 || !shape(i, port).fully_known()) return false;
  }
  return true;
}

}  // namespace grappler_go
