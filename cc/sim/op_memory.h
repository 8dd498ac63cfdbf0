// What an op does to memory: the rules that Liveness and the simulator share.
#ifndef GRAPPLER_GO_SIM_OP_MEMORY_H_
#define GRAPPLER_GO_SIM_OP_MEMORY_H_

#include <cstdint>
#include <vector>

#include "cc/graph/op_graph.h"

namespace grappler_go {

// Outputs that exist before the step: nothing is allocated for them. A read of
// a variable hands out the variable's own buffer; a gather from one does not.
bool IsAlwaysThere(const OpGraph& graph, int32_t op);

// Does the op hand on its first input's buffer, as views and references do?
bool IsView(const OpGraph& graph, int32_t op);

// Are its outputs the caller's, who reads them after the step? Of what is
// preserved, what is fetched: stateful ops are as well, so that they are not
// pruned, and nobody reads those.
bool IsKept(const OpGraph& graph, int32_t op);

// May the kernel write its only output into an input of the same size that
// nobody else reads, as TensorFlow's executor lets it?
bool MayWriteInPlace(OpClass op_class);

// Bytes that an op allocates for its outputs under the rules above.
int64_t AllocatedBytes(const OpGraph& graph, int32_t op);

// Bytes that are there before the step and after it, by the op they belong to:
// of a constant or argument its outputs; of the op that makes a variable's
// handle the variable, as large as it is declared to be, else as the largest
// value that is read from it or assigned to it in this graph. 0 for all other
// ops.
std::vector<int64_t> ResidentBytes(const OpGraph& graph);

}  // namespace grappler_go

#endif  // GRAPPLER_GO_SIM_OP_MEMORY_H_
