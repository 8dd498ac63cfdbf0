#include "cc/cost/cost_kind.h"

#include <array>
#include <string_view>

#include "cc/cost/op_facts.h"
#include "cc/graph/attr_value.h"
#include "cc/graph/inference_context.h"

namespace grappler_go {
namespace {

const TensorShape& FilterOf(const OpFacts& op) {
  return op.type().find("BackpropFilter") != std::string_view::npos
             ? op.output(0)
             : op.input(1);
}

bool IsPointwise(const OpGraph& graph, int32_t op) {
  return FilterOf(OpFacts(graph, op)).fully_known() &&
         FilterArea(graph, op) == 1.0;
}

// A single element is read once and costs nothing.
bool Broadcasts(const OpGraph& graph, int32_t op) {
  const OpFacts facts(graph, op);
  if (facts.type() == "BiasAdd") return false;  // there is no other kind
  const double elements = facts.out_elements();
  for (int i = 0; i < facts.num_inputs(); ++i) {
    const double in = facts.in_elements(i);
    if (in > 1 && in < elements) return true;
  }
  return false;
}

bool ReducesApart(const OpGraph& graph, int32_t op) {
  const std::optional<ReducedAxes> reduced = AxesOf(graph, op);
  if (!reduced.has_value()) return false;
  const TensorShape& shape = OpFacts(graph, op).input(0);
  int runs = 0;
  bool within = false;
  for (int i = 0; i < shape.rank(); ++i) {
    if (shape.dim(i) == 1) continue;  // lies on either side
    runs += (*reduced)[i] && !within;
    within = (*reduced)[i];
  }
  return runs > 1;
}

}  // namespace

std::optional<ReducedAxes> AxesOf(const OpGraph& graph, int32_t op) {
  const OpFacts facts(graph, op);
  const TensorShape& shape = facts.input(0);
  if (!shape.fully_known()) return std::nullopt;
  ReducedAxes reduced{};
  if (facts.type() == "BiasAddGrad") {
    if (AttrString(facts.attr("data_format")) == "NCHW") {
      return std::nullopt;
    }
    for (int i = 0; i + 1 < shape.rank(); ++i) reduced[i] = true;
    return reduced;
  }
  if (facts.num_inputs() < 2) return std::nullopt;
  const int32_t axes_op = graph.inputs(op)[1].src;
  if (!graph.has(axes_op, kConstant)) return std::nullopt;
  const ParsedTensor axes =
      ParseTensor(AttrTensor(graph.attr(axes_op, "value")));
  for (const int64_t value : axes.values.span()) {
    const int axis = CanonicalAxis(value, shape.rank());
    if (axis < 0) return std::nullopt;
    reduced[axis] = true;
  }
  return reduced;
}

double FilterArea(const OpGraph& graph, int32_t op) {
  const OpClass op_class = graph.def(op).op_class;
  if (op_class != OpClass::kConv && op_class != OpClass::kDepthwiseConv) {
    return 1.0;
  }
  const TensorShape& filter = FilterOf(OpFacts(graph, op));
  if (!filter.fully_known()) return 1.0;
  double area = 1.0;
  for (int i = 0; i < filter.rank() - 2; ++i) {
    area *= static_cast<double>(filter.dim(i));
  }
  return area;
}

CostKind CostKindOf(const OpGraph& graph, int32_t op) {
  switch (graph.def(op).op_class) {
    case OpClass::kConv:
      return IsPointwise(graph, op) ? CostKind::kPointwise : CostKind::kPlain;
    case OpClass::kElementwise:
    case OpClass::kTranscendental:
      return Broadcasts(graph, op) ? CostKind::kBroadcast : CostKind::kPlain;
    case OpClass::kReduction:
      return ReducesApart(graph, op) ? CostKind::kApart : CostKind::kPlain;
    default:
      return CostKind::kPlain;
  }
}

std::string CostKey(const OpGraph& graph, int32_t op) {
  std::string key(graph.op(op));
  switch (CostKindOf(graph, op)) {
    case CostKind::kPlain:
      break;
    case CostKind::kPointwise:
      key += ":pointwise";
      break;
    case CostKind::kBroadcast:
      key += ":broadcast";
      break;
    case CostKind::kApart:
      key += ":apart";
      break;
  }
  return key;
}

}  // namespace grappler_go
