// What XLA loses by computing what a reduction reads within the reduction.
//
// XLA for CPUs sums over all but the innermost axis in a loop that vectorizes,
// unless it has fused a multiplication into it (not so an addition,
// subtraction, maximum, selection, division or exp: those it stores first). The
// loop is then the elemental one: for each column, with strides of a row, all
// over again in each tensor that the product is made of. The backward passes of
// normalizations end in such sums (of dy * x over batch, height and width),
// four to seven times slower compiled than under TensorFlow where that was
// timed.
#ifndef GRAPPLER_GO_PLAN_FUSED_REDUCTION_H_
#define GRAPPLER_GO_PLAN_FUSED_REDUCTION_H_

#include <cstdint>

#include "cc/graph/op_graph.h"

namespace grappler_go {

// Microseconds that the op takes in a group beyond what it was timed to take
// there on its own; 0 for whatever is no such reduction.
double FusedReductionMicros(const OpGraph& graph, int32_t op);

}  // namespace grappler_go

#endif  // GRAPPLER_GO_PLAN_FUSED_REDUCTION_H_
