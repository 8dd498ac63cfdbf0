// Where a training step updates a variable by an optimizer's rule that
// TensorFlow has a kernel for, but spells the rule out.
//
// Keras writes a rule as a dozen ops a variable (keras/src/optimizers), each
// of which goes over the variable's bytes once more: Adam's read 18 tensors as
// large as the variable and write 12, its kernel reads 4 and writes 3, in
// place. XLA makes one loop of them, too, but in a compiled group writes the
// results to new memory and takes seconds to compile.
#ifndef GRAPPLER_GO_REWRITE_UPDATE_RULES_H_
#define GRAPPLER_GO_REWRITE_UPDATE_RULES_H_

#include <cstdint>
#include <string_view>
#include <vector>

#include "cc/graph/op_graph.h"

namespace grappler_go {

// An output of an op.
struct Output {
  int32_t op = -1;
  int32_t port = 0;
  friend bool operator==(const Output& a, const Output& b) {
    return a.op == b.op && a.port == b.port;
  }
};

// One update of one variable: the op that writes the variable, and those that
// have no purpose but to compute what it writes.
struct VariableUpdate {
  // The kernels of tensorflow/core/kernels/training_ops.cc.
  enum class Rule { kGradientDescent, kMomentum, kNesterovMomentum, kAdam };

  Rule rule = Rule::kGradientDescent;
  int32_t write = -1;         // of the variable: becomes the kernel
  Output variable;            // handles
  std::vector<Output> slots;  // what the rule keeps: momentum; Adam's m and v
  Output gradient;
  // Scalars: the learning rate; momentum: and the momentum; Adam: the learning
  // rate with its corrections, and epsilon.
  std::vector<Output> scalars;
  // Adam's. Where the graph has 1 - beta2 as a constant, the kernel subtracts,
  // in the variable's own type: v comes out so many times as large.
  double beta1 = 0, beta2 = 0, v_scale = 1;
  int dtype = 0;

  std::vector<int32_t> slot_writes;
  std::vector<int32_t> reads;     // of slots, to compute what is written
  std::vector<int32_t> computed;  // neither reads nor writes

  // TensorFlow's name of the kernel.
  std::string_view kernel() const;
};

// Those that can be done by kernels all at once: float and double, shapes
// known, in no loop and no branch, on one device, slots that nobody else writes
// in this graph, no cycle. In the order of their writes.
std::vector<VariableUpdate> FindVariableUpdates(const OpGraph& graph);

}  // namespace grappler_go

#endif  // GRAPPLER_GO_REWRITE_UPDATE_RULES_H_
