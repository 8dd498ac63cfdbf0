// Element-wise work that ends in sums over all but the innermost axis, done on
// matrices.
#ifndef GRAPPLER_GO_REWRITE_FLATTEN_ROWS_H_
#define GRAPPLER_GO_REWRITE_FLATTEN_ROWS_H_

#include <cstdint>
#include <string>

#include "cc/graph/op_graph.h"

namespace grappler_go {

struct FlattenedRows {
  std::string graphdef;  // empty: there are none
  int32_t ops = 0;       // that are done on matrices
};

// The backward pass of a normalization multiplies tensors of [batch, height,
// width, channels] and sums over all but the channels. XLA for CPUs fuses the
// multiplication into the sum, which it then no longer vectorizes where it goes
// over more than one axis (plan/fused_reduction.h): many times slower than what
// TensorFlow takes. On matrices of [batch * height * width, channels] the same
// sum is one over rows, which is vectorized.
//
// In the graph that comes out, each region of element-wise ops of one such
// shape, connected by edges, that is summed up so reads its inputs reshaped;
// what is read of it elsewhere is reshaped back. Reshapes cost nothing, neither
// compiled nor in TensorFlow, so the graph is no slower where nothing of it is
// compiled; it is not made for that. Ops that leave the region keep their
// names.
FlattenedRows FlattenRows(const OpGraph& graph);

}  // namespace grappler_go

#endif  // GRAPPLER_GO_REWRITE_FLATTEN_ROWS_H_
