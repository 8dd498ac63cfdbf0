#include "cc/rewrite/flatten_rows.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <map>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include "cc/cost/cost_kind.h"
#include "cc/graph/attr_value.h"
#include "cc/graph/wire.h"
#include "cc/rewrite/node_def.h"
#include "cc/rewrite/rewrite.h"

namespace grappler_go {
namespace {

constexpr uint32_t kNeverFlattened =
    kInLoop | kConditional | kControlFlow | kStateful | kRandom | kSource |
    kSink | kConstant | kRefTyped | kMarkedByUser | kUnknownOp | kHasSubgraph;

bool HasInput(const OpGraph& graph, int32_t op, size_t slot) {
  const Span<InputEdge> inputs = graph.inputs(op);
  return slot < inputs.size() && inputs[slot].port != kControlPort;
}

// A value for each column, or one for all: the same for every row.
bool IsSameInAllRows(const TensorShape& shape, const TensorShape& of) {
  if (!shape.fully_known() || shape.rank() > of.rank()) return false;
  for (int i = 0; i + 1 < shape.rank(); ++i) {
    if (shape.dim(i) != 1) return false;
  }
  return shape.rank() == 0 || shape.dim(-1) == 1 || shape.dim(-1) == of.dim(-1);
}

bool IsOnCpu(const OpGraph& graph, int32_t op) {
  const std::string_view device = graph.device(op);
  return device.empty() || device.find("CPU") != std::string_view::npos;
}

// Element-wise, one output, no operand that differs within the rows of a batch.
bool CanBeFlattened(const OpGraph& graph, int32_t op) {
  const OpDef& def = graph.def(op);
  const bool elementwise = def.op_class == OpClass::kElementwise ||
                           def.op_class == OpClass::kTranscendental;
  // Select takes a condition for each row, too, which has another meaning.
  if ((!elementwise && graph.op(op) != "Identity") ||
      graph.op(op) == "Select" || graph.has(op, kNeverFlattened) ||
      (!def.xla_cpu && !def.remapped) || graph.num_outputs(op) != 1 ||
      !IsOnCpu(graph, op)) {
    return false;
  }
  const TensorShape& shape = graph.shape(op, 0);
  constexpr int64_t kMost = std::numeric_limits<int32_t>::max();
  if (!shape.fully_known() || shape.rank() < 3 || shape.num_elements() <= 0 ||
      shape.num_elements() > kMost) {
    return false;
  }
  bool has_whole = false;
  for (const InputEdge& e : graph.inputs(op)) {
    if (e.port == kControlPort) break;
    const TensorShape& input = graph.shape(e.src, e.port);
    if (input == shape) {
      has_whole = true;
    } else if (!IsSameInAllRows(input, shape)) {
      return false;
    }
  }
  return has_whole;
}

// Over all axes but the innermost, of which more than one are longer than 1.
bool SumsUpRows(const OpGraph& graph, int32_t op) {
  const std::string_view type = graph.op(op);
  if ((type != "Sum" && type != "Mean" && type != "Max" && type != "Min" &&
       type != "Prod" && type != "BiasAddGrad") ||
      graph.has(op, kNeverFlattened) || !HasInput(graph, op, 0)) {
    return false;
  }
  const InputEdge& e = graph.inputs(op)[0];
  const TensorShape& shape = graph.shape(e.src, e.port);
  const std::optional<ReducedAxes> axes = AxesOf(graph, op);
  if (!axes.has_value() || (*axes)[shape.rank() - 1]) return false;
  int longer = 0;
  for (int i = 0; i + 1 < shape.rank(); ++i) {
    if (!(*axes)[i]) return false;
    longer += shape.dim(i) > 1;
  }
  return longer > 1;
}

class Writer {
 public:
  explicit Writer(const OpGraph& graph)
      : graph_(graph), edits_(graph), parent_(graph.num_ops(), -1) {}

  // How many ops are flattened.
  int32_t Write() {
    FindRegions();
    if (sums_.empty()) return 0;
    int32_t ops = 0;
    for (int32_t i = 0; i < graph_.num_ops(); ++i) {
      if (!IsFlattened(i)) continue;
      rows_[i] =
          edits_.NewName(std::string(graph_.name(i)) + "/grappler_go_rows");
    }
    for (int32_t i = 0; i < graph_.num_ops(); ++i) {
      if (!IsFlattened(i)) continue;
      WriteOp(i);
      ++ops;
    }
    for (const int32_t sum : sums_) WriteSum(sum);
    return ops;
  }

  std::string Bytes() const { return edits_.Write(); }

 private:
  int32_t Root(int32_t i) {
    while (parent_[i] != i) i = parent_[i] = parent_[parent_[i]];
    return i;
  }
  bool IsFlattened(int32_t op) {
    return parent_[op] >= 0 && summed_[Root(op)] != 0;
  }

  void FindRegions() {
    const int32_t n = graph_.num_ops();
    std::vector<int32_t> sums;
    for (int32_t i = 0; i < n; ++i) {
      if (SumsUpRows(graph_, i)) sums.push_back(i);
    }
    if (sums.empty()) return;  // most graphs: spare them the rest
    for (int32_t i = 0; i < n; ++i) {
      if (!CanBeFlattened(graph_, i)) continue;
      parent_[i] = i;
      for (const InputEdge& e : graph_.inputs(i)) {
        if (e.port == kControlPort) break;
        if (parent_[e.src] < 0 ||
            graph_.shape(e.src, 0) != graph_.shape(i, 0) ||
            graph_.device(e.src) != graph_.device(i)) {
          continue;
        }
        const int32_t a = Root(e.src), b = Root(i);
        parent_[std::max(a, b)] = std::min(a, b);
      }
    }
    summed_.assign(n, 0);
    for (const int32_t sum : sums) {
      const int32_t producer = graph_.inputs(sum)[0].src;
      if (parent_[producer] < 0) continue;
      summed_[Root(producer)] = 1;
      sums_.push_back(sum);
    }
  }

  static std::vector<int64_t> DimsOf(const TensorShape& shape) {
    std::vector<int64_t> dims;
    for (int i = 0; i < shape.rank(); ++i) dims.push_back(shape.dim(i));
    return dims;
  }

  // A constant vector of int32; one for each device and value.
  std::string Ints(std::string_view device,
                   const std::vector<int64_t>& values) {
    std::string& name = ints_[{std::string(device), values}];
    if (!name.empty()) return name;
    name = edits_.NewName("grappler_go/rows/constant");
    std::string dim, shape, tensor, value;
    AppendVarintField(1, values.size(), &dim);
    AppendBytesField(2, dim, &shape);
    AppendVarintField(1, dt::kInt32, &tensor);
    AppendBytesField(2, shape, &tensor);
    std::string content(4 * values.size(), '\0');
    for (size_t i = 0; i < values.size(); ++i) {
      const auto narrow = static_cast<int32_t>(values[i]);
      std::memcpy(content.data() + 4 * i, &narrow, 4);
    }
    AppendBytesField(4, content, &tensor);
    AppendBytesField(8, tensor, &value);
    const std::string type = TypeAttrValue(dt::kInt32);
    NodeView node;
    node.name = name;
    node.op = "Const";
    node.device = device;
    node.attrs = {{"dtype", type}, {"value", value}};
    edits_.Add(WriteNode(node));
    return name;
  }

  std::string ReshapeNode(std::string_view name, std::string_view device,
                          const std::string& input, int dtype,
                          const std::vector<int64_t>& dims) {
    const std::string shape = Ints(device, dims);
    const std::string type = TypeAttrValue(dtype);
    const std::string int32 = TypeAttrValue(dt::kInt32);
    NodeView node;
    node.name = name;
    node.op = "Reshape";
    node.device = device;
    node.data_inputs = {input, shape};
    node.attrs = {{"T", type}, {"Tshape", int32}};
    return WriteNode(node);
  }

  // An operand of `op`, as matrices have it.
  std::string Operand(int32_t op, const InputEdge& e) {
    const std::string input = InputName(graph_.name(e.src), e.port);
    const TensorShape& shape = graph_.shape(e.src, e.port);
    const bool whole = shape == graph_.shape(op, 0);
    if (whole && IsFlattened(e.src) && Root(e.src) == Root(op)) {
      return rows_[e.src];
    }
    if (!whole && shape.rank() < 2) return input;
    std::string& name =
        reshaped_[{e.src, e.port, std::string(graph_.device(op))}];
    if (name.empty()) {
      name =
          edits_.NewName(std::string(graph_.name(op)) + "/grappler_go_rows_of");
      const int64_t columns = shape.dim(-1);
      edits_.Add(ReshapeNode(
          name, graph_.device(op), input, graph_.dtype(e.src, e.port),
          whole ? std::vector<int64_t>{shape.num_elements() / columns, columns}
                : std::vector<int64_t>{columns}));
    }
    return name;
  }

  // Does anybody but the region and its sums read it, or wait for it?
  bool IsNeeded(int32_t op) {
    if (graph_.has(op, kPreserved)) return true;
    for (const OutputEdge& e : graph_.outputs(op)) {
      if (e.port == kControlPort) return true;
      const bool inside = IsFlattened(e.dst) && Root(e.dst) == Root(op);
      if (!inside && !std::binary_search(sums_.begin(), sums_.end(), e.dst)) {
        return true;
      }
      // A sum's axes, or a second operand.
      if (!inside && graph_.inputs(e.dst)[0].src != op) return true;
    }
    return false;
  }

  static bool IsHidden(std::string_view attr) {
    return attr == "_output_shapes" || attr == "_class";
  }

  void WriteOp(int32_t op) {
    NodeView old;
    if (!ReadNode(graph_.node(op), &old)) return;
    std::vector<std::string> operands;
    for (const InputEdge& e : graph_.inputs(op)) {
      if (e.port == kControlPort) break;
      operands.push_back(Operand(op, e));
    }
    NodeView node;
    node.name = rows_[op];
    node.op = old.op;
    node.device = old.device;
    for (const std::string& operand : operands) {
      node.data_inputs.push_back(operand);
    }
    node.control_inputs = old.control_inputs;
    for (const NodeView::Attr& attr : old.attrs) {
      if (!IsHidden(attr.first)) node.attrs.push_back(attr);
    }
    edits_.Add(WriteNode(node));
    if (IsNeeded(op)) {
      edits_.Replace(
          op, ReshapeNode(old.name, old.device, rows_[op], graph_.dtype(op, 0),
                          DimsOf(graph_.shape(op, 0))));
    } else {
      edits_.Remove(op);
    }
  }

  void WriteSum(int32_t op) {
    NodeView old;
    if (!ReadNode(graph_.node(op), &old)) return;
    const TensorShape& result = graph_.shape(op, 0);
    const int32_t producer = graph_.inputs(op)[0].src;
    const bool keeps_dims = result.rank() > 1;
    const std::string rows_name =
        keeps_dims ? edits_.NewName(std::string(old.name) + "/grappler_go_rows")
                   : std::string(old.name);
    const std::string axis = Ints(old.device, {0});
    const std::string no = BoolAttrValue(false);
    const std::string int32 = TypeAttrValue(dt::kInt32);
    NodeView node;
    node.name = rows_name;
    node.op = old.op;
    node.device = old.device;
    node.data_inputs = {rows_[producer]};
    node.control_inputs = old.control_inputs;
    const bool has_axes = old.op != "BiasAddGrad";
    if (has_axes) node.data_inputs.push_back(axis);
    for (const NodeView::Attr& attr : old.attrs) {
      if (attr.first == "keep_dims" || attr.first == "Tidx" ||
          IsHidden(attr.first)) {
        continue;
      }
      node.attrs.push_back(attr);
    }
    if (has_axes) {
      node.attrs.emplace_back("Tidx", int32);
      node.attrs.emplace_back("keep_dims", no);
    }
    if (!keeps_dims) {
      edits_.Replace(op, WriteNode(node));
      return;
    }
    edits_.Add(WriteNode(node));
    edits_.Replace(op, ReshapeNode(old.name, old.device, rows_name,
                                   graph_.dtype(op, 0), DimsOf(result)));
  }

  const OpGraph& graph_;
  GraphEdits edits_;
  std::vector<int32_t> parent_;  // by op: union-find; -1: is not flattened
  std::vector<uint8_t> summed_;  // by root
  std::vector<int32_t> sums_;    // of regions, ascending
  std::map<int32_t, std::string> rows_;  // by op: the name of what it becomes
  std::map<std::tuple<int32_t, int32_t, std::string>, std::string> reshaped_;
  std::map<std::pair<std::string, std::vector<int64_t>>, std::string> ints_;
};

}  // namespace

FlattenedRows FlattenRows(const OpGraph& graph) {
  Writer writer(graph);
  FlattenedRows result;
  result.ops = writer.Write();
  if (result.ops > 0) result.graphdef = writer.Bytes();
  return result;
}

}  // namespace grappler_go
