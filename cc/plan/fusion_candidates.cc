// Which ops may be compiled, and are worth trying.
#include <algorithm>
#include <cctype>
#include <string_view>
#include <unordered_map>

#include "cc/cost/op_cost.h"
#include "cc/plan/fusion_groups.h"
#include "cc/plan/group_kernels.h"

namespace grappler_go {
namespace {

// Data inputs whose values XLA must know when it compiles, as a bit set by
// position (CompileTimeConstantInput in tensorflow/compiler/tf2xla/kernels).
constexpr uint32_t kLast = 1u << 31;  // the last data input, wherever it is

uint32_t ConstantInputs(std::string_view op) {
  static const std::unordered_map<std::string_view, uint32_t> kTable = {
      {"All", 2},
      {"Any", 2},
      {"ArgMax", 2},
      {"ArgMin", 2},
      {"AvgPool3DGrad", 1},
      {"AvgPoolGrad", 1},
      {"BatchToSpaceND", 6},
      {"Bincount", 2},
      {"BroadcastTo", 2},
      {"Concat", 1},
      {"ConcatOffset", 1},
      {"ConcatV2", kLast},
      {"ConjugateTranspose", 2},
      {"Conv2DBackpropFilter", 2},
      {"Conv2DBackpropInput", 1},
      {"Conv3DBackpropFilterV2", 2},
      {"Conv3DBackpropInputV2", 1},
      {"Cumprod", 2},
      {"Cumsum", 2},
      {"DepthwiseConv2dNativeBackpropFilter", 2},
      {"DepthwiseConv2dNativeBackpropInput", 1},
      {"EuclideanNorm", 2},
      {"ExpandDims", 2},
      {"Fill", 1},
      {"GatherV2", 4},
      {"LinSpace", 4},
      {"Max", 2},
      {"MaxPoolV2", 6},
      {"Mean", 2},
      {"Min", 2},
      {"MirrorPad", 2},
      {"MirrorPadGrad", 2},
      {"OneHot", 2},
      {"Pad", 2},
      {"PadV2", 2},
      {"Prod", 2},
      {"Range", 7},
      {"Reshape", 2},
      {"ResizeBilinear", 2},
      {"ResizeNearestNeighbor", 2},
      {"ResourceStridedSliceAssign", 14},
      {"ReverseV2", 2},
      {"Roll", 4},
      {"ScatterNd", 4},
      {"Slice", 6},
      {"SpaceToBatchND", 6},
      {"Split", 1},
      {"SplitV", 6},
      {"StridedSlice", 14},
      {"StridedSliceGrad", 15},
      {"Sum", 2},
      {"Tile", 2},
      {"TopKV2", 2},
      {"Transpose", 2},
      {"UnsortedSegmentMax", 4},
      {"UnsortedSegmentMin", 4},
      {"UnsortedSegmentProd", 4},
      {"UnsortedSegmentSum", 4},
  };
  const auto at = kTable.find(op);
  return at == kTable.end() ? 0 : at->second;
}

// Does this type say only what its input's shape is?
bool ReadsShapeOnly(std::string_view op) {
  return op == "Shape" || op == "ShapeN" || op == "Size" || op == "Rank" ||
         op == "VariableShape";
}

// What holds for all ops of a type, looked up once for each.
struct TypeFacts {
  uint32_t constant_inputs = 0;
  bool reads_shape_only = false;
  bool passes_constants = false;  // constant when all of its inputs are
  bool unfusable = false;         // remapped, of a type that can be taken apart
};

TypeFacts FactsOf(const OpDef& def) {
  TypeFacts facts;
  facts.constant_inputs = ConstantInputs(def.name);
  facts.reads_shape_only = ReadsShapeOnly(def.name);
  facts.passes_constants =
      def.known && !def.stateful && !def.random &&
      (def.op_class == OpClass::kElementwise ||
       def.op_class == OpClass::kReduction || def.op_class == OpClass::kShape ||
       def.op_class == OpClass::kMove || def.op_class == OpClass::kGather);
  facts.unfusable = def.name == "_FusedMatMul" || def.name == "_FusedConv2D" ||
                    def.name == "_FusedBatchNormEx" ||
                    def.name == "_UnaryOpsComposition" ||
                    def.name == "_MklSwish" || def.name == "_MklFusedMish";
  return facts;
}

class Types {
 public:
  // Defs are one object a type, save for the one of all unknown types.
  const TypeFacts& Of(const OpDef& def) {
    const auto [at, is_new] = facts_.try_emplace(&def);
    if (is_new) at->second = FactsOf(def);
    return at->second;
  }

 private:
  std::unordered_map<const OpDef*, TypeFacts> facts_;
};

int32_t NumDataInputs(const OpGraph& graph, int32_t op) {
  int32_t count = 0;
  for (const InputEdge& e : graph.inputs(op)) {
    if (e.port == kControlPort) break;
    ++count;
  }
  return count;
}

// Is every output's value the same in each step, for these shapes?
bool IsConstant(const OpGraph& graph, int32_t op, const TypeFacts& facts,
                const std::vector<bool>& constant) {
  if (graph.has(op, kConstant)) return true;
  if (facts.reads_shape_only) return graph.shapes_known(op);
  if (!facts.passes_constants) return false;
  bool any = false;
  for (const InputEdge& e : graph.inputs(op)) {
    if (e.port == kControlPort) break;
    if (e.back_edge || !constant[e.src]) return false;
    any = true;
  }
  return any;
}

bool ArgumentsAreConstant(const OpGraph& graph, int32_t op,
                          const TypeFacts& facts,
                          const std::vector<bool>& constant) {
  if (facts.constant_inputs == 0) return true;
  const int32_t count = NumDataInputs(graph, op);
  for (int32_t slot = 0; slot < count; ++slot) {
    const bool wanted = ((facts.constant_inputs >> std::min(slot, 30)) & 1u) ||
                        ((facts.constant_inputs & kLast) && slot + 1 == count);
    if (wanted && !constant[graph.inputs(op)[slot].src]) return false;
  }
  return true;
}

bool InputShapesKnown(const OpGraph& graph, int32_t op) {
  for (const InputEdge& e : graph.inputs(op)) {
    if (e.port == kControlPort) break;
    if (!graph.shapes_known(e.src)) return false;
  }
  return true;
}

bool DtypesKnown(const OpGraph& graph, int32_t op) {
  for (int32_t port = 0; port < graph.num_outputs(op); ++port) {
    if (graph.dtype(op, port) == 0) return false;
  }
  for (const InputEdge& e : graph.inputs(op)) {
    if (e.port == kControlPort) break;
    if (graph.dtype(e.src, e.port) == 0) return false;
  }
  return true;
}

bool IsCpuName(std::string_view name) {
  const size_t slash = name.rfind('/');
  if (slash != std::string_view::npos) name.remove_prefix(slash + 1);
  constexpr std::string_view kDevice = "device:";
  if (name.substr(0, kDevice.size()) == kDevice) {
    name.remove_prefix(kDevice.size());
  }
  auto upper = [](char c) {
    return std::toupper(static_cast<unsigned char>(c));
  };
  return name.size() > 3 && upper(name[0]) == 'C' && upper(name[1]) == 'P' &&
         upper(name[2]) == 'U' && name[3] == ':';
}

// Devices by number: those of the plan, and behind them those that the graph
// names.
class DeviceNumbers {
 public:
  DeviceNumbers(const OpGraph& graph, const Machine& machine, const Plan& plan)
      : graph_(graph), plan_(plan) {
    for (const std::string& name : plan.devices) Number(name);
    no_name_is_cpu_ = true;
    for (const Device& d : machine.devices) {
      no_name_is_cpu_ = no_name_is_cpu_ && d.type == "CPU";
    }
  }
  int32_t Of(int32_t op) {
    if (!plan_.device.empty() && plan_.device[op] >= 0) {
      return Number(plan_.devices[plan_.device[op]]);
    }
    return Number(graph_.device(op));
  }
  bool IsCpu(int32_t number) const { return is_cpu_[number]; }

 private:
  int32_t Number(std::string_view name) {
    const auto next = static_cast<int32_t>(is_cpu_.size());
    const auto [at, is_new] = numbers_.try_emplace(name, next);
    if (is_new) {
      is_cpu_.push_back(name.empty() ? no_name_is_cpu_ : IsCpuName(name));
    }
    return at->second;
  }

  const OpGraph& graph_;
  const Plan& plan_;
  bool no_name_is_cpu_ = true;
  std::unordered_map<std::string_view, int32_t> numbers_;
  std::vector<bool> is_cpu_;
};

// An optimizer's kernel goes over a variable and what it keeps of it once, and
// writes in place. A compiled group of TensorFlow's has new memory for each
// (XlaCompileOp in tensorflow/compiler/jit/kernels/xla_ops.cc gives
// may_alias_resource_update=false), which is as much again to go over.
bool UpdatesInPlace(const OpGraph& graph, int32_t op) {
  constexpr std::string_view kApply = "ResourceApply";
  return graph.op(op).substr(0, kApply.size()) == kApply &&
         graph.has(op, kWritesVariable);
}

}  // namespace

FusionCandidates FindFusionCandidates(const OpGraph& graph,
                                      const Machine& machine,
                                      const Logits& logits,
                                      const PlanOptions& options,
                                      const Plan& plan) {
  const int32_t n = graph.num_ops();
  FusionCandidates found;
  found.reason.assign(n, Reason::kNone);
  found.device.resize(n);
  Types types;
  DeviceNumbers devices(graph, machine, plan);
  const bool timed = !logits.op_micros.empty();
  const bool recomputes = plan.num_recomputed() > 0;
  std::vector<bool> constant(n, false);
  for (int32_t i = 0; i < n; ++i) {
    const TypeFacts& facts = types.Of(graph.def(i));
    constant[i] = IsConstant(graph, i, facts, constant);
    found.device[i] = devices.Of(i);
    auto why_not = [&]() {
      const Reason rule = WhyNotFused(graph, i);
      if (rule != Reason::kNone) return rule;
      // One that waits for others would split their group if it stayed out.
      if (graph.has(i, kConstant) && graph.inputs(i).empty()) {
        return Reason::kConstantOp;
      }
      if (graph.def(i).op_class == OpClass::kControl) {
        return Reason::kControlFlowOp;
      }
      // In simulations of GPUs, what XLA compiles for CPUs it compiles for
      // them, too (group_kernels.h).
      if (!plan.free_state && !devices.IsCpu(found.device[i])) {
        return Reason::kNotOnCpu;
      }
      // In a group it would be launched as before, and wait for the others.
      if (plan.free_state && !devices.IsCpu(found.device[i]) &&
          !FusesOnGpu(graph.def(i).op_class)) {
        return Reason::kOwnKernel;
      }
      if (!plan.free_state && UpdatesInPlace(graph, i)) {
        return Reason::kUpdatesInPlace;
      }
      if (PolicyDeclines(graph, logits, i)) return Reason::kPolicyDeclined;
      // XLA expands decompositions into loops and has one thread for an FFT:
      // without a timing that says otherwise, many times slower is as likely
      // as equal.
      if (timed && !plan.free_state &&
          graph.def(i).op_class == OpClass::kOther &&
          logits.op_micros[i] <= 0 && logits.fused_micros[i] <= 0 &&
          CostOf(graph, i).flops > 0) {
        return Reason::kNeverTimed;
      }
      if (graph.def(i).remapped &&
          !(options.can_unfuse != nullptr ? options.can_unfuse(graph, i)
                                          : facts.unfusable)) {
        return Reason::kCannotTakeApart;
      }
      if (!DtypesKnown(graph, i) ||
          (!options.fuse_unknown_shapes &&
           (!graph.shapes_known(i) || !InputShapesKnown(graph, i)))) {
        return Reason::kShapeNotKnown;
      }
      if (!ArgumentsAreConstant(graph, i, facts, constant)) {
        return Reason::kDynamicArgument;
      }
      // A clone waits for one backward op and is read by others. If only
      // forward ops are grouped, no group waits for a clone, and none of its
      // triggers is in a group that reads it.
      if (recomputes && graph.has(i, kBackward)) return Reason::kForRecompute;
      if (recomputes && plan.recompute[i] != 0) return Reason::kForRecompute;
      return Reason::kNone;
    };
    found.reason[i] = why_not();
  }
  return found;
}

}  // namespace grappler_go
