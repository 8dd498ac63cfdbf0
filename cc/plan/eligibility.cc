#include "cc/plan/eligibility.h"

#include <algorithm>
#include <array>

namespace grappler_go {
namespace {

constexpr int kString = 7, kResource = 20;  // types.proto

// In op_def_table.cc, known to TensorFlow's CPUs only, in 2.16 as in 2.21.
constexpr std::string_view kCpuOnly[] = {
    "LogUniformCandidateSampler",
    "RandomGamma",
    "RandomPoissonV2",
    "RandomShuffle",
    "ResourceSparseApplyFtrl",
    "ResourceSparseApplyFtrlV2",
    "ResourceSparseApplyRMSProp",
    "UniformCandidateSampler",
};

// Dtypes that XLA computes with (tensorflow/compiler/tf2xla/type_util.cc),
// references aside. Quantized, string and variant tensors are not among them.
bool XlaHasDtype(int dtype) {
  switch (dtype) {
    case 1:   // float
    case 2:   // double
    case 3:   // int32
    case 4:   // uint8
    case 5:   // int16
    case 6:   // int8
    case 8:   // complex64
    case 9:   // int64
    case 10:  // bool
    case 14:  // bfloat16
    case 17:  // uint16
    case 18:  // complex128
    case 19:  // half
    case 22:  // uint32
    case 23:  // uint64
      return true;
    default:
      return false;
  }
}

// Unknown (0) passes: whether it is known is a question of shapes.
Reason WhyDtypeNotFused(const OpGraph& graph, int32_t op) {
  for (int32_t port = 0; port < graph.num_outputs(op); ++port) {
    const int dtype = graph.dtype(op, port);
    if (dtype != 0 && !XlaHasDtype(dtype)) return Reason::kDtype;
  }
  const bool uses_variable = graph.has(op, kReadsVariable | kWritesVariable);
  for (const InputEdge& e : graph.inputs(op)) {
    if (e.port == kControlPort) break;
    const int dtype = graph.dtype(e.src, e.port);
    if (dtype == 0 || XlaHasDtype(dtype)) continue;
    if (dtype != kResource || !uses_variable) return Reason::kDtype;
  }
  return Reason::kNone;
}

struct FlagReason {
  uint32_t flags;
  Reason reason;
};

template <size_t N>
Reason FirstOf(uint32_t flags, const FlagReason (&rules)[N]) {
  for (const FlagReason& rule : rules) {
    if (flags & rule.flags) return rule.reason;
  }
  return Reason::kNone;
}

// State that is the host's: queues, iterators, tables, printing, Python. Not so
// variables, random numbers, and checks such as CheckNumerics.
bool IsStateOfHost(const OpGraph& graph, int32_t op) {
  constexpr std::string_view kTensorArray = "TensorArray";
  return graph.has(op, kStateful) &&
         graph.def(op).op_class == OpClass::kOther &&
         graph.op(op).substr(0, kTensorArray.size()) != kTensorArray;
}

// In these Grappler's memory optimizer adds up gradients. The core knows
// nothing else of them, but they have kernels for GPUs, too, and by their
// unknown types they stay with what uses them.
bool IsTemporaryBuffer(std::string_view op) {
  return op == "TemporaryVariable" || op == "DestroyTemporaryVariable";
}

Reason WhyNotMovedFreely(const OpGraph& graph, int32_t op) {
  static constexpr FlagReason kRules[] = {
      {kUnknownOp, Reason::kUnknownType},
      {kHasSubgraph, Reason::kCallsFunction},
  };
  // What a caller feeds is the host's; a variable's handle feeds nothing.
  if (graph.has(op, kSource) && graph.handle(op) < 0) return Reason::kArgument;
  if (IsTemporaryBuffer(graph.op(op))) return Reason::kNone;
  if (IsStateOfHost(graph, op)) return Reason::kHasState;
  return FirstOf(graph.flags(op), kRules);
}

}  // namespace

Reason WhyNotMoved(const OpGraph& graph, int32_t op, bool free_state) {
  if (free_state) return WhyNotMovedFreely(graph, op);
  static constexpr FlagReason kRules[] = {
      {kPreserved, Reason::kPreserved},
      {kSource | kSink, Reason::kArgument},
      {kControlFlow, Reason::kControlFlowOp},
      {kInLoop, Reason::kInALoop},
      {kUnknownOp, Reason::kUnknownType},
      {kHasSubgraph, Reason::kCallsFunction},
      {kReadsVariable | kWritesVariable, Reason::kUsesVariable},
      {kRefTyped, Reason::kReference},
      {kStateful, Reason::kHasState},
  };
  return FirstOf(graph.flags(op), kRules);
}

bool HasKernelOn(const OpGraph& graph, int32_t op,
                 std::string_view device_type) {
  if (device_type == "CPU") return true;
  if (std::find(std::begin(kCpuOnly), std::end(kCpuOnly), graph.op(op)) !=
      std::end(kCpuOnly)) {
    return false;
  }
  for (int32_t port = 0; port < graph.num_outputs(op); ++port) {
    if (graph.dtype(op, port) == kString) return false;
  }
  for (const InputEdge& e : graph.inputs(op)) {
    if (e.port == kControlPort) break;
    if (graph.dtype(e.src, e.port) == kString) return false;
  }
  return true;
}

Reason WhyNotFused(const OpGraph& graph, int32_t op) {
  static constexpr FlagReason kRules[] = {
      {kSource | kSink, Reason::kArgument},
      {kControlFlow, Reason::kControlFlowOp},
      {kInLoop, Reason::kInALoop},
      {kConditional, Reason::kInABranch},
      {kMarkedByUser, Reason::kUserMark},
      {kUnknownOp, Reason::kUnknownType},
      {kHasSubgraph, Reason::kCallsFunction},
      {kRandom, Reason::kDrawsRandom},
      {kRefTyped, Reason::kReference},
  };
  const Reason by_flag = FirstOf(graph.flags(op), kRules);
  if (by_flag != Reason::kNone) return by_flag;
  const OpDef& def = graph.def(op);
  // A mark leaves a node what it was, so a preserved one may have it: every
  // variable access of a function is preserved, as a control output. Taking
  // apart is more than a mark.
  if (def.remapped && graph.has(op, kPreserved)) return Reason::kPreserved;
  if (!def.xla_cpu && !def.remapped) return Reason::kNoXlaKernel;
  if (graph.has(op, kStateful) &&
      !graph.has(op, kReadsVariable | kWritesVariable)) {
    return Reason::kHasState;
  }
  return WhyDtypeNotFused(graph, op);
}

Reason WhyNotRecomputed(const OpGraph& graph, int32_t op) {
  static constexpr FlagReason kRules[] = {
      {kPreserved, Reason::kPreserved},
      {kSource | kSink, Reason::kArgument},
      {kConstant, Reason::kConstantOp},
      {kControlFlow, Reason::kControlFlowOp},
      {kInLoop, Reason::kInALoop},
      {kConditional, Reason::kInABranch},
      {kMarkedByUser, Reason::kUserMark},
      {kUnknownOp, Reason::kUnknownType},
      {kHasSubgraph, Reason::kCallsFunction},
      {kRandom, Reason::kDrawsRandom},
      // Reads, too: an optimizer may have written by the time the clone runs.
      {kReadsVariable | kWritesVariable, Reason::kUsesVariable},
      {kRefTyped, Reason::kReference},
      {kStateful, Reason::kHasState},
      {kBackward, Reason::kNotBackwardUse},
  };
  return FirstOf(graph.flags(op), kRules);
}

void Explain(const std::vector<Reason>& reasons, PlanExplanation* why) {
  if (why == nullptr) return;
  if (why->per_op.size() != reasons.size()) why->per_op.resize(reasons.size());
  std::array<int32_t, static_cast<size_t>(Reason::kNumReasons)> counts{};
  for (size_t i = 0; i < reasons.size(); ++i) {
    if (reasons[i] == Reason::kNone) continue;
    ++counts[static_cast<size_t>(reasons[i])];
    why->per_op[i] = reasons[i];
  }
  for (size_t r = 0; r < counts.size(); ++r) {
    if (counts[r] > 0) {
      why->left_out[ReasonText(static_cast<Reason>(r))] += counts[r];
    }
  }
}

}  // namespace grappler_go
