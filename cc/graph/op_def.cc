#include "cc/graph/op_def.h"

#include <unordered_map>

#include "cc/graph/op_def_table.h"

namespace grappler_go {
namespace {

using OpTable = std::unordered_map<std::string_view, OpDef>;

OpDef MakeOpDef(OpClass op_class, const OpRow& row) {
  const auto trait = [&row](int bit) { return (row.traits & bit) != 0; };
  OpDef def;
  def.name = row.name;
  def.op_class = op_class;
  def.num_outputs = row.num_outputs;
  def.known = true;
  def.stateful = trait(op_trait::kStateful);
  def.random = trait(op_trait::kRandom);
  def.reads_variable = trait(op_trait::kReads);
  def.writes_variable = trait(op_trait::kWrites);
  def.xla_cpu = trait(op_trait::kXla);
  def.remapped = trait(op_trait::kRemapped);
  def.ref_output = trait(op_trait::kRef);
  def.outputs_attr = row.outputs_attr;
  return def;
}

// Never destroyed: the pass may run while the process exits.
const OpTable& Table() {
  static const OpTable& table = *[] {
    auto* built = new OpTable;
    built->reserve(1024);
    for (const OpFamily& family : OpFamilies()) {
      for (const OpRow& row : Span<OpRow>(family.rows, family.size)) {
        built->emplace(row.name, MakeOpDef(family.op_class, row));
      }
    }
    return built;
  }();
  return table;
}

OpDef UnknownOpDef() {
  OpDef def;
  def.num_outputs = -1;
  return def;
}

}  // namespace

const OpDef* FindOpDef(std::string_view op_type) {
  static const OpDef unknown = UnknownOpDef();
  const auto it = Table().find(op_type);
  return it == Table().end() ? &unknown : &it->second;
}

const char* OpClassName(OpClass op_class) {
  switch (op_class) {
    case OpClass::kOther:
      return "other";
    case OpClass::kElementwise:
      return "elementwise";
    case OpClass::kTranscendental:
      return "transcendental";
    case OpClass::kReduction:
      return "reduction";
    case OpClass::kMatMul:
      return "matmul";
    case OpClass::kConv:
      return "conv";
    case OpClass::kDepthwiseConv:
      return "depthwise_conv";
    case OpClass::kPool:
      return "pool";
    case OpClass::kNorm:
      return "norm";
    case OpClass::kShape:
      return "shape";
    case OpClass::kMove:
      return "move";
    case OpClass::kGather:
      return "gather";
    case OpClass::kRandomOp:
      return "random";
    case OpClass::kVariable:
      return "variable";
    case OpClass::kOptimizer:
      return "optimizer";
    case OpClass::kConstOp:
      return "const";
    case OpClass::kArgument:
      return "argument";
    case OpClass::kControl:
      return "control";
    case OpClass::kCall:
      return "call";
    case OpClass::kNumClasses:
      break;
  }
  return "?";
}

}  // namespace grappler_go
