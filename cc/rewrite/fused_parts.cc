#include "cc/rewrite/fused_parts.h"

#include <cstring>
#include <string_view>

#include "cc/graph/attr_value.h"
#include "cc/graph/wire.h"
#include "cc/rewrite/node_def.h"
#include "cc/rewrite/rewrite.h"

namespace grappler_go {
namespace {

// Attributes that the contraction has too, whatever it is. T is written apart.
bool IsOrdinary(std::string_view key) {
  if (key.empty() || key[0] == '_' || key == "T") return false;
  for (std::string_view fused :
       {"fused_ops", "num_args", "num_host_args", "TArgs", "epsilon",
        "leakyrelu_alpha", "filter_format", "padding_list", "activation_mode",
        "num_side_inputs"}) {
    if (key == fused) return false;
  }
  return true;
}

std::string ScalarFloat(float value) {
  uint32_t bits = 0;
  std::memcpy(&bits, &value, sizeof(bits));
  std::string tensor;
  AppendVarintField(1, dt::kFloat, &tensor);  // TensorProto.dtype
  AppendBytesField(2, "", &tensor);           // tensor_shape: a scalar
  AppendFixed32Field(5, bits, &tensor);       // float_val
  std::string out;
  AppendBytesField(8, tensor, &out);  // AttrValue.tensor
  return out;
}

class Parts {
 public:
  Parts(const OpGraph& graph, int32_t op) : graph_(graph), op_(op) {}

  Status Read() {
    if (!ReadNode(graph_.node(op_), &node_)) {
      return InvalidArgument(Name() + " is malformed");
    }
    return OkStatus();
  }

  Status Build() {
    const std::string_view type = graph_.op(op_);
    if (type == "_UnaryOpsComposition") return UnaryOps();
    if (type == "_FusedBatchNormEx") return BatchNormEx();
    if (type == "_MklSwish" || type == "_MklFusedMish") return Gated(type);
    for (const auto& [fused, contraction] :
         {std::pair<std::string_view, std::string_view>{"_FusedMatMul",
                                                        "MatMul"},
          {"_FusedConv2D", "Conv2D"},
          {"_FusedConv3D", "Conv3D"},
          {"_FusedDepthwiseConv2dNative", "DepthwiseConv2dNative"},
          {"_MklFusedBatchMatMulV2", "BatchMatMulV2"}}) {
      if (type == fused) return Contraction(contraction);
    }
    return Unknown(type);
  }

  std::vector<FusedPart> Take() { return std::move(parts_); }

 private:
  using Attrs = std::vector<std::pair<std::string, std::string>>;

  std::string Name() const { return std::string(graph_.name(op_)); }
  Status Unknown(std::string_view what) const {
    return Unimplemented(Name() + ": cannot take " + std::string(what) +
                         " apart");
  }

  // Adds a part that reads the last one first, and makes it the last one.
  void Then(std::string_view op, std::vector<int32_t> more = {},
            Attrs attrs = {}) {
    std::vector<int32_t> inputs = {last_};
    inputs.insert(inputs.end(), more.begin(), more.end());
    last_ = Part(op, std::move(inputs), std::move(attrs));
  }
  // Adds a part of the fused op's type. Returns its index.
  int32_t Part(std::string_view op, std::vector<int32_t> inputs,
               Attrs attrs = {}) {
    attrs.emplace_back("T", node_.attr("T"));
    parts_.push_back({std::string(op), std::move(inputs), std::move(attrs)});
    return static_cast<int32_t>(parts_.size()) - 1;
  }
  int32_t Constant(float value) {
    parts_.push_back({"Const",
                      {},
                      {{"dtype", TypeAttrValue(dt::kFloat)},
                       {"value", ScalarFloat(value)}}});
    return static_cast<int32_t>(parts_.size()) - 1;
  }
  int32_t Argument() { return FusedInput(next_argument_++); }
  int32_t num_inputs() const {
    return static_cast<int32_t>(node_.data_inputs.size());
  }
  // The attribute, renamed, if the node has it: defaults are the same.
  void CopyAttr(std::string_view from, std::string_view to, Attrs* attrs) {
    const std::string_view value = node_.attr(from);
    if (!value.empty()) attrs->emplace_back(to, value);
  }

  Status UnaryOps() {
    std::vector<std::string_view> names;
    if (num_inputs() != 1 || !AttrStrings(node_.attr("op_names"), &names) ||
        names.empty()) {
      return Unknown("_UnaryOpsComposition");
    }
    last_ = FusedInput(0);
    for (std::string_view name : names) {
      // One kernel under two names, of which XLA knows the newer.
      if (name == "Inv") name = "Reciprocal";
      const OpDef* def = FindOpDef(name);
      if (!def->known || !def->xla_cpu || def->num_outputs != 1) {
        return Unknown(name);
      }
      Then(name);
    }
    return OkStatus();
  }

  // x sigmoid(x), or x tanh(softplus(x)).
  Status Gated(std::string_view type) {
    if (num_inputs() != 1) return Unknown(type);
    last_ = FusedInput(0);
    if (type == "_MklSwish") {
      Then("Sigmoid");
    } else {
      Then("Softplus");
      Then("Tanh");
    }
    Then("Mul", {FusedInput(0)});
    return OkStatus();
  }

  // y = activation(batch_norm(x) + side_input)
  Status BatchNormEx() {
    const int64_t side_inputs = AttrInt(node_.attr("num_side_inputs"), 0);
    if (side_inputs < 0 || side_inputs > 1 || num_inputs() != 5 + side_inputs) {
      return Unknown("_FusedBatchNormEx");
    }
    Attrs attrs;
    for (const auto& [key, value] : node_.attrs) {
      // FusedBatchNormV3 has an epsilon of its own.
      if (IsOrdinary(key) || key == "epsilon") {
        attrs.emplace_back(key, value);
      }
    }
    last_ = Part("FusedBatchNormV3",
                 {FusedInput(0), FusedInput(1), FusedInput(2), FusedInput(3),
                  FusedInput(4)},
                 std::move(attrs));
    if (side_inputs == 1) Then("AddV2", {FusedInput(5)});
    const std::string_view mode = AttrString(node_.attr("activation_mode"));
    if (mode.empty() || mode == "Identity") {
      // Something must carry the name when outputs 1 to 5 are read elsewhere.
      if (side_inputs == 0) Then("Identity");
      return OkStatus();
    }
    return FusedOp(mode);
  }

  Status Contraction(std::string_view contraction) {
    std::vector<std::string_view> fused_ops;
    const std::string_view filter = AttrString(node_.attr("filter_format"));
    WireReader padding(node_.attr("padding_list"));
    WireField list;
    if (num_inputs() < 2 || AttrInt(node_.attr("num_host_args"), 0) != 0 ||
        !AttrStrings(node_.attr("fused_ops"), &fused_ops) ||
        fused_ops.empty() || (!filter.empty() && filter != "HWIO") ||
        (padding.Next(&list) && !list.bytes.empty())) {
      return Unknown(graph_.op(op_));
    }
    Attrs attrs;
    for (const auto& [key, value] : node_.attrs) {
      if (IsOrdinary(key)) {
        attrs.emplace_back(key, value);
      }
    }
    last_ = Part(contraction, {FusedInput(0), FusedInput(1)}, std::move(attrs));
    for (std::string_view fused_op : fused_ops) {
      GO_RETURN_IF_ERROR(FusedOp(fused_op));
    }
    // An argument too many or too few: not the op that we think it is.
    if (next_argument_ != num_inputs()) return Unknown(graph_.op(op_));
    return OkStatus();
  }

  Status FusedOp(std::string_view op) {
    if (op == "BiasAdd") return Bias();
    if (op == "FusedBatchNorm") return BatchNorm();
    if (op == "Add") {
      Then("AddV2", {Argument()});
    } else if (op == "Mul") {
      Then("Mul", {Argument()});
    } else if (op == "LeakyRelu") {
      Attrs attrs;
      CopyAttr("leakyrelu_alpha", "alpha", &attrs);
      Then(op, {}, std::move(attrs));
    } else if (op == "Relu" || op == "Relu6" || op == "Elu" || op == "Tanh" ||
               op == "Sigmoid") {
      Then(op);
    } else if (op == "GeluExact" || op == "GeluApproximate") {
      return Gelu(op == "GeluApproximate");
    } else {
      return Unknown(op);
    }
    return OkStatus();
  }

  // The remapper takes an addition for a bias too when all dimensions of the
  // addend but the channels' are 1; BiasAdd itself wants one dimension.
  Status Bias() {
    const std::string_view format = AttrString(node_.attr("data_format"));
    const bool channels_first = format.substr(0, 2) == "NC";
    if (next_argument_ >= num_inputs()) return Unknown("BiasAdd");
    const InputEdge& edge = graph_.inputs(op_)[next_argument_];
    const bool one_dimension = edge.port < graph_.num_outputs(edge.src) &&
                               graph_.shape(edge.src, edge.port).rank() == 1;
    if (one_dimension) {
      Then(
          "BiasAdd", {Argument()},
          {{"data_format", StringAttrValue(channels_first ? "NCHW" : "NHWC")}});
    } else if (!channels_first) {
      Then("AddV2", {Argument()});
    } else {
      return Unknown("BiasAdd of an unknown shape, channels first,");
    }
    return OkStatus();
  }

  Status BatchNorm() {
    Attrs attrs = {{"U", TypeAttrValue(dt::kFloat)},
                   {"is_training", BoolAttrValue(false)}};
    CopyAttr("epsilon", "epsilon", &attrs);
    CopyAttr("data_format", "data_format", &attrs);
    if (AttrType(node_.attr("T"), 0) != dt::kFloat) {
      return Unknown("FusedBatchNorm of a type other than float");
    }
    const int32_t scale = Argument(), offset = Argument();
    const int32_t mean = Argument(), variance = Argument();
    Then("FusedBatchNormV3", {scale, offset, mean, variance}, std::move(attrs));
    return OkStatus();
  }

  // x/2 (1 + erf(x/sqrt(2))), or with tanh(sqrt(2/pi) (x + 0.044715 x^3)).
  Status Gelu(bool approximate) {
    if (AttrType(node_.attr("T"), 0) != dt::kFloat) {
      return Unknown("Gelu of a type other than float");
    }
    // The constants would not be in the loop's frame.
    if (graph_.has(op_, kInLoop)) return Unknown("Gelu in a loop");
    const int32_t x = last_;
    int32_t inner;
    if (approximate) {
      const int32_t square = Part("Square", {x});
      const int32_t cube = Part("Mul", {square, x});
      const int32_t term = Part("Mul", {cube, Constant(0.044715f)});
      const int32_t sum = Part("AddV2", {x, term});
      const int32_t scaled = Part("Mul", {sum, Constant(0.7978845608028654f)});
      inner = Part("Tanh", {scaled});
    } else {
      const int32_t scaled = Part("Mul", {x, Constant(0.7071067811865476f)});
      inner = Part("Erf", {scaled});
    }
    const int32_t one_plus = Part("AddV2", {inner, Constant(1.0f)});
    const int32_t half = Part("Mul", {x, Constant(0.5f)});
    last_ = Part("Mul", {half, one_plus});
    return OkStatus();
  }

  const OpGraph& graph_;
  const int32_t op_;
  NodeView node_;
  std::vector<FusedPart> parts_;
  int32_t last_ = 0;
  int32_t next_argument_ = 2;  // 0 and 1 are the contraction's
};

}  // namespace

StatusOr<std::vector<FusedPart>> PartsOf(const OpGraph& graph, int32_t op) {
  const std::string name(graph.name(op));
  if (!graph.def(op).remapped) {
    return Unimplemented(name +
                         " is not an op that TensorFlow's remapper made");
  }
  if (graph.has(op, kPreserved)) {
    return Unimplemented(name + " must be preserved");
  }
  for (const OutputEdge& out : graph.outputs(op)) {
    // These would have to read another node.
    if (out.port > 0 && graph.has(out.dst, kPreserved)) {
      return Unimplemented(name + " is read by a node that must be preserved");
    }
  }
  Parts parts(graph, op);
  GO_RETURN_IF_ERROR(parts.Read());
  GO_RETURN_IF_ERROR(parts.Build());
  return parts.Take();
}

bool CanUnfuse(const OpGraph& graph, int32_t op) {
  return PartsOf(graph, op).ok();
}

}  // namespace grappler_go
