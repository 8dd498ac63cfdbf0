// How much work an op is: floating-point operations and bytes moved, from its
// shapes; and from these its time on a device by a roofline.
//
// What is counted where follows TensorFlow's
// tensorflow/core/grappler/costs/op_level_cost_estimator.cc: a multiply-add is
// two operations, a gather or slice reads what it returns and not what it picks
// from, views and constants cost nothing. It differs in counting a reduction's
// and a pooling's every input once per use, and weight updates by their reads.
// The formulas stand in op_formula.cc, a row an op.
#ifndef GRAPPLER_GO_COST_OP_COST_H_
#define GRAPPLER_GO_COST_OP_COST_H_

#include <cstdint>

#include "cc/cost/machine.h"
#include "cc/graph/op_graph.h"

namespace grappler_go {

struct OpCost {
  double flops = 0;  // multiply-adds count as two
  // Inputs that the op goes through. A variable that an op updates counts; one
  // that ReadVariableOp hands out does not: its buffer is shared, not copied.
  double bytes_read = 0;
  double bytes_written = 0;
  // False: the op has no formula or a shape is missing; the rest is then 0.
  bool known = false;
};

// What one element of an OpClass::kTranscendental op counts, in operations:
// about Eigen's cost of a vectorized exp or tanh. The gradients of that class
// count the same, which is too much for those that reuse the forward result
// (TanhGrad, SigmoidGrad): the fitted costs of policies are in these units.
constexpr double kTranscendentalFlops = 20.0;

OpCost CostOf(const OpGraph& graph, int32_t op);

// Whether ops of this type have a formula at all; where they have, a cost that
// is not known is for a missing shape. Calls have none: their bodies are not
// looked into. Nor do ops whose work no shape tells (Python functions, strings,
// input pipelines), nor those missing from the table of ops.
bool HasFormula(const OpDef& def);

// True for ops that do nothing at run time: constants, arguments, views.
bool IsFree(OpClass op_class);

// Time of the op alone on a device, in microseconds: the larger of the compute
// and the memory time at what its class achieves of the device's rates, plus
// one dispatch. 0 for ops that IsFree.
double RooflineMicros(const OpCost& cost, OpClass op_class,
                      const Device& device);

}  // namespace grappler_go

#endif  // GRAPPLER_GO_COST_OP_COST_H_
