#include "cc/cost/op_cost.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "cc/graph/attr_value.h"

namespace grappler_go {
namespace {

bool Contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

// The facts of one op that the counts below are made of.
class Op {
 public:
  Op(const OpGraph& graph, int32_t op) : graph_(graph), op_(op) {
    const Span<InputEdge> inputs = graph.inputs(op);
    while (num_inputs_ < static_cast<int>(inputs.size()) &&
           inputs[num_inputs_].port >= 0) {
      ++num_inputs_;
    }
  }

  std::string_view type() const { return graph_.op(op_); }
  OpClass op_class() const { return graph_.def(op_).op_class; }
  int num_inputs() const { return num_inputs_; }
  int num_outputs() const { return graph_.num_outputs(op_); }
  std::string_view attr(std::string_view key) const {
    return graph_.attr(op_, key);
  }

  const TensorShape& input(int i) const {
    static const TensorShape unknown;
    if (i >= num_inputs_) return unknown;
    const InputEdge& edge = graph_.inputs(op_)[i];
    return edge.port < graph_.num_outputs(edge.src)
               ? graph_.shape(edge.src, edge.port)
               : unknown;
  }
  const TensorShape& output(int i) const {
    static const TensorShape unknown;
    return i < num_outputs() ? graph_.shape(op_, i) : unknown;
  }
  int64_t input_bytes(int i) const {
    const InputEdge& edge = graph_.inputs(op_)[i];
    return edge.port < graph_.num_outputs(edge.src)
               ? graph_.bytes(edge.src, edge.port)
               : -1;
  }
  int64_t output_bytes(int i) const { return graph_.bytes(op_, i); }
  bool is_resource(int i) const {
    constexpr int kResource = 20;
    const InputEdge& edge = graph_.inputs(op_)[i];
    return edge.port < graph_.num_outputs(edge.src) &&
           graph_.dtype(edge.src, edge.port) == kResource;
  }

  double in_elements(int i) const { return Elements(input(i)); }
  double out_elements() const { return Elements(output(0)); }

 private:
  static double Elements(const TensorShape& shape) {
    return static_cast<double>(std::max<int64_t>(shape.num_elements(), 0));
  }
  const OpGraph& graph_;
  const int32_t op_;
  int num_inputs_ = 0;
};

// [.., m, k] x [.., k, n], either of them possibly transposed. Which of the two
// sizes is contracted shows in the result: it is the one that is not m.
double MatMulFlops(const Op& op) {
  const TensorShape& a = op.input(0);
  const TensorShape& out = op.output(0);
  if (a.rank() < 2 || out.rank() < 2) return 0;
  const int64_t k = a.dim(-2) == out.dim(-2) ? a.dim(-1) : a.dim(-2);
  return 2.0 * op.out_elements() * static_cast<double>(k);
}

// Two operations for each combination of all labels' values.
double EinsumFlops(const Op& op) {
  const std::string_view equation = AttrString(op.attr("equation"));
  const size_t arrow = equation.find("->");
  if (arrow == std::string_view::npos) return 0;
  std::string_view operands = equation.substr(0, arrow);
  // What an ellipsis stands for is in the output; a label is in an operand.
  std::array<bool, 256> seen{};
  double product = 2.0;
  for (const char c : equation.substr(arrow + 2)) {
    seen[static_cast<unsigned char>(c)] = true;
  }
  product *= op.out_elements();
  for (int i = 0; i < op.num_inputs(); ++i) {
    const size_t comma = std::min(operands.find(','), operands.size());
    const std::string_view subscript = operands.substr(0, comma);
    const TensorShape& shape = op.input(i);
    // Labels before an ellipsis count from the front, those after it from the
    // end.
    const size_t dots = subscript.find("...");
    for (size_t at = 0; at < subscript.size(); ++at) {
      const auto label = static_cast<unsigned char>(subscript[at]);
      if (label == '.' || seen[label]) continue;
      seen[label] = true;
      const int dim =
          dots != std::string_view::npos && at > dots
              ? static_cast<int>(at) - static_cast<int>(subscript.size())
              : static_cast<int>(at);
      if (dim >= shape.rank() || dim < -shape.rank()) return 0;
      product *= static_cast<double>(shape.dim(dim));
    }
    operands.remove_prefix(std::min(comma + 1, operands.size()));
  }
  return product;
}

// Four gates of a [batch, in + cell] x [in + cell, 4 cell] product each step.
double RecurrentFlops(const Op& op) {
  for (int i = 0; i < op.num_inputs(); ++i) {
    // The largest matrix is the weights; each is used once a row of the input.
    const TensorShape& x = op.input(i);
    if (x.rank() < 2 || x.num_elements() < 0) continue;
    double weights = 0;
    for (int j = i + 1; j < op.num_inputs(); ++j) {
      if (op.input(j).rank() == 2) {
        weights = std::max(weights, op.in_elements(j));
      }
    }
    const double rows = op.in_elements(i) / std::max<double>(x.dim(-1), 1);
    return 2.0 * rows * weights;
  }
  return 0;
}

double ProductFlops(const Op& op) {
  const std::string_view type = op.type();
  if (type == "Einsum") return EinsumFlops(op);
  if (Contains(type, "LSTM") || Contains(type, "GRU")) {
    return RecurrentFlops(op) * (Contains(type, "Grad") ? 2.0 : 1.0);
  }
  if (type == "SparseTensorDenseMatMul") {
    return 2.0 * op.in_elements(1) *
           static_cast<double>(std::max<int64_t>(
               op.output(0).rank() == 2 ? op.output(0).dim(1) : 0, 0));
  }
  // _FusedMatMul adds a bias and an activation.
  return MatMulFlops(op) + (type[0] == '_' ? 2.0 * op.out_elements() : 0.0);
}

// Convolutions. Forward and backward do the same multiply-adds: one for each
// element of the (gradient of the) result and each weight that it meets.
double ConvFlops(const Op& op, bool depthwise) {
  const std::string_view type = op.type();
  const bool of_filter = Contains(type, "BackpropFilter");
  const bool backward = of_filter || Contains(type, "BackpropInput");
  const TensorShape& filter = of_filter ? op.output(0) : op.input(1);
  const double result = backward ? op.in_elements(2) : op.out_elements();
  if (filter.rank() < 3 || !filter.fully_known()) return 0;
  double met = 1.0;
  const int met_dims = filter.rank() - (depthwise ? 2 : 1);
  for (int i = 0; i < met_dims; ++i) met *= static_cast<double>(filter.dim(i));
  return 2.0 * result * met + (type[0] == '_' ? 2.0 * result : 0.0);
}

double PoolFlops(const Op& op) {
  const std::string_view type = op.type();
  if (Contains(type, "Pool")) {
    double window = 1.0;
    const IntValues sizes = AttrInts(op.attr("ksize"));
    for (const int64_t size : sizes.span()) {
      window *= static_cast<double>(std::max<int64_t>(size, 1));
    }
    // The smaller side has one element a window.
    double windows = op.out_elements();
    if (Contains(type, "Grad") && op.num_inputs() > 0) {
      windows = op.in_elements(op.num_inputs() - 1);
    }
    return windows * window;
  }
  // Resizing: two lerps and one between them, three operations each.
  if (Contains(type, "Bilinear") || type == "CropAndResize") {
    return 9.0 * std::max(op.out_elements(), op.in_elements(0));
  }
  if (Contains(type, "Bicubic")) {
    return 32.0 * std::max(op.out_elements(), op.in_elements(0));
  }
  return std::max(op.out_elements(), op.in_elements(0));
}

double NormFlops(const Op& op) {
  const std::string_view type = op.type();
  if (!Contains(type, "BatchNorm")) return 10.0 * op.in_elements(0);
  if (Contains(type, "Grad")) return 8.0 * op.in_elements(0);
  const std::string_view training = op.attr("is_training");
  const bool is_training = training.empty() || AttrBool(training);
  return (is_training ? 4.0 : 2.0) * op.in_elements(0);
}

double ReductionFlops(const Op& op) {
  const std::string_view type = op.type();
  const double elements = op.in_elements(0);
  if (Contains(type, "Softmax")) {
    return elements * (kTranscendentalFlops + 4.0);
  }
  if (type == "L2Loss" || type == "EuclideanNorm") return 2.0 * elements;
  return elements;
}

// Linear algebra: cubic in the last dimension, spectra: n log n.
double OtherFlops(const Op& op) {
  const std::string_view type = op.type();
  const double elements = op.in_elements(0);
  const TensorShape& in = op.input(0);
  const double n =
      in.rank() > 0 ? static_cast<double>(std::max<int64_t>(in.dim(-1), 1)) : 1;
  if (Contains(type, "FFT")) {
    double log2_n = 1.0;
    for (double size = n; size > 2.0; size /= 2.0) log2_n += 1.0;
    return 5.0 * elements * log2_n;
  }
  if (type == "Cholesky") return elements * n / 3.0;
  if (type == "MatrixTriangularSolve") return op.out_elements() * n;
  if (Contains(type, "Matrix")) return elements * n;
  if (type == "Qr" || type == "Svd" || type == "SelfAdjointEigV2") {
    return 4.0 * elements * n;
  }
  return 0;
}

double FlopsOf(const Op& op) {
  switch (op.op_class()) {
    case OpClass::kElementwise:
      return op.type() == "AddN" ? op.out_elements() * (op.num_inputs() - 1)
                                 : op.out_elements();
    case OpClass::kTranscendental:
      return kTranscendentalFlops * op.out_elements();
    case OpClass::kReduction:
      return ReductionFlops(op);
    case OpClass::kMatMul:
      return ProductFlops(op);
    case OpClass::kConv:
      return ConvFlops(op, false);
    case OpClass::kDepthwiseConv:
      return ConvFlops(op, true);
    case OpClass::kPool:
      return PoolFlops(op);
    case OpClass::kNorm:
      return NormFlops(op);
    case OpClass::kRandomOp:
      return kTranscendentalFlops * op.out_elements();
    case OpClass::kGather:
      // Segments and scatters add up; gathers only copy.
      return Contains(op.type(), "Segment") ? op.in_elements(0) : 0.0;
    case OpClass::kOther:
      return OtherFlops(op);
    default:
      return 0;
  }
}

// Reads what it returns, not all of what it picks from.
bool PicksFromFirst(std::string_view type) {
  return type == "Gather" || type == "GatherV2" || type == "GatherNd" ||
         type == "Slice" || type == "StridedSlice";
}

// Looks at the shape of its input only.
bool IgnoresContents(std::string_view type) {
  return type == "ZerosLike" || type == "OnesLike";
}

// The sum of all outputs; -1 when one is not known.
double BytesWritten(const Op& op) {
  double sum = 0;
  for (int i = 0; i < op.num_outputs(); ++i) {
    const int64_t bytes = op.output_bytes(i);
    if (bytes < 0) return -1;
    sum += static_cast<double>(bytes);
  }
  return sum;
}

double BytesRead(const Op& op, double written) {
  const std::string_view type = op.type();
  if (IgnoresContents(type)) return 0;
  double sum = 0;
  for (int i = 0; i < op.num_inputs(); ++i) {
    if (i == 0 && PicksFromFirst(type)) {
      sum += written;
      continue;
    }
    const int64_t bytes = op.input_bytes(i);
    if (bytes < 0) return -1;
    sum += static_cast<double>(bytes);
  }
  return sum;
}

// Updates and reads of variables: the value that comes in is as large as the
// part of each variable that the op touches.
OpCost VariableCost(const Op& op, bool reads, bool writes) {
  OpCost cost;
  const double returned = BytesWritten(op);
  if (returned < 0) return cost;
  if (!writes) {
    // ReadVariableOp shares the variable's buffer; ResourceGather copies.
    const bool copies = Contains(op.type(), "Gather");
    cost.bytes_read = cost.bytes_written = copies ? returned : 0.0;
    cost.known = true;
    return cost;
  }
  double value = 0, elements = 0, incoming = 0;
  int variables = 0;
  for (int i = 0; i < op.num_inputs(); ++i) {
    if (op.is_resource(i)) {
      ++variables;
      continue;
    }
    const int64_t bytes = op.input_bytes(i);
    if (bytes < 0) return cost;
    incoming += static_cast<double>(bytes);
    value = std::max(value, static_cast<double>(bytes));
    elements = std::max(elements, op.in_elements(i));
  }
  variables = std::max(variables, 1);
  cost.bytes_read = incoming + (reads ? variables * value : 0.0);
  cost.bytes_written = variables * value;
  // A handful of operations for each moment that an optimizer keeps.
  const bool optimizer = op.op_class() == OpClass::kOptimizer;
  cost.flops = reads ? elements * (optimizer ? 4.0 * variables : 1.0) : 0.0;
  cost.known = true;
  return cost;
}

}  // namespace

bool IsFree(OpClass op_class) {
  return op_class == OpClass::kConstOp || op_class == OpClass::kArgument ||
         op_class == OpClass::kShape;
}

OpCost CostOf(const OpGraph& graph, int32_t op) {
  const OpDef& def = graph.def(op);
  OpCost cost;
  // Control flow hands its input on.
  if (IsFree(def.op_class) || def.op_class == OpClass::kControl) {
    cost.known = true;
    return cost;
  }
  if (def.op_class == OpClass::kCall || !def.known) return cost;
  const Op facts(graph, op);
  if (def.op_class == OpClass::kVariable ||
      def.op_class == OpClass::kOptimizer) {
    return VariableCost(facts, def.reads_variable, def.writes_variable);
  }
  const double written = BytesWritten(facts);
  const double read = written < 0 ? -1 : BytesRead(facts, written);
  if (read < 0) return cost;
  cost.flops = FlopsOf(facts);
  cost.bytes_read = read;
  cost.bytes_written = written;
  cost.known = true;
  return cost;
}

double RooflineMicros(const OpCost& cost, OpClass op_class,
                      const Device& device) {
  if (IsFree(op_class)) return 0;
  // 1 GFLOP/s is 1000 operations a microsecond; of GB/s likewise.
  const double compute = cost.flops / (device.gflops * 1e3);
  const double memory =
      (cost.bytes_read + cost.bytes_written) / (device.gbytes_per_s * 1e3);
  return std::max(compute, memory) + kDispatchMicros;
}

}  // namespace grappler_go
