// What is known of an op type, whatever graph it stands in.
//
// The table (op_def_table.cc) is short on purpose: an op that is not in it is
// kUnknownOp, and the pass leaves it alone. Sources: tensorflow/core/ops/*.cc
// for statefulness and outputs, tensorflow/compiler/tf2xla/kernels for what XLA
// can compile on CPU; the same in TensorFlow 2.16 and 2.21. A stateful call may
// read and write any variable, so it counts as doing both.
#ifndef GRAPPLER_GO_GRAPH_OP_DEF_H_
#define GRAPPLER_GO_GRAPH_OP_DEF_H_

#include <cstdint>
#include <string_view>

namespace grappler_go {

// Coarse classes, for costs and features.
enum class OpClass : uint8_t {
  kOther = 0,
  kElementwise,  // one output element per input element, broadcasting included
  kTranscendental,  // element-wise with a costly function (exp, tanh, pow ...)
  kReduction,       // Sum, Mean, Max, Softmax, norms, BiasAddGrad
  kMatMul,          // MatMul, BatchMatMul, Einsum and their fused forms
  kConv,            // Conv2D, Conv3D and their gradients
  kDepthwiseConv,   // depthwise convolutions and their gradients
  kPool,            // pooling and its gradients
  kNorm,            // FusedBatchNorm and its gradients
  kShape,           // views and metadata: Reshape, Shape, Squeeze, Identity
  kMove,            // copies: Transpose, Concat, Slice, Pad, Tile
  kGather,          // Gather, Scatter, UnsortedSegmentSum, one-hot
  kRandomOp,
  kVariable,   // VarHandleOp, ReadVariableOp, Assign*
  kOptimizer,  // ResourceApply*
  kConstOp,
  kArgument,  // _Arg, _Retval, Placeholder
  kControl,   // Switch, Merge, NoOp ...
  kCall,      // PartitionedCall, While, If
  kNumClasses,
};

struct OpDef {
  std::string_view name;
  OpClass op_class = OpClass::kOther;
  int8_t num_outputs = 1;  // -1: given by outputs_attr, or not known
  bool known = false;      // false for the entry that stands for all others
  bool stateful = false;  // as TensorFlow registers it, resource reads included
  // Draws random numbers, stateless ops included: given the same seed, XLA and
  // TensorFlow's own kernels do not draw the same ones.
  bool random = false;
  bool reads_variable = false;
  bool writes_variable = false;
  bool xla_cpu = false;     // has an XLA_CPU_JIT kernel
  bool remapped = false;    // _FusedMatMul and its like: can be taken apart
  bool ref_output = false;  // its outputs are references to a TF1 variable
  // The attribute that holds the number of outputs (an int) or their types (a
  // list); empty when num_outputs says it.
  std::string_view outputs_attr;
};

// Never null; returns the entry with known == false for types not in the table.
const OpDef* FindOpDef(std::string_view op_type);

const char* OpClassName(OpClass op_class);

}  // namespace grappler_go

#endif  // GRAPPLER_GO_GRAPH_OP_DEF_H_
