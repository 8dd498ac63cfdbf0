// Peak memory of one step: which tensors are alive while each op runs.
//
// A tensor lives from its producer to its last consumer; one that the caller
// gets, to the end. Variables, arguments and constants are there before the
// step and after it, and do not count; nor do views, which keep the tensor they
// look at alive. An element-wise op writes into an input that dies with it, as
// TensorFlow's executor lets it. Outputs of unknown size count as nothing.
//
// Clones for the backward pass are those of RecomputeClones, each made just
// before its first user; who reads a clone no longer holds the first result.
#ifndef GRAPPLER_GO_SIM_LIVENESS_H_
#define GRAPPLER_GO_SIM_LIVENESS_H_

#include <cstdint>
#include <utility>
#include <vector>

#include "cc/base/scratch.h"
#include "cc/graph/op_graph.h"
#include "cc/sim/run_order.h"

namespace grappler_go {

struct Liveness {
  int64_t peak_bytes = 0;
  int32_t peak_op = -1;         // the op that runs, or runs again, at the peak
  int64_t unknown_outputs = 0;  // outputs whose size is not known
};

// When everything lives. The clock ticks once for each op and each clone, in
// the order in which they run.
struct Lifetimes {
  Scratch<int64_t> alive;           // [ticks] bytes, while it runs
  Scratch<int64_t> before;          // [ticks] bytes, just before
  Scratch<int32_t> runs;            // [num_ops] tick of the op
  Scratch<int32_t> runs_again;      // [num_ops] tick of its clone; -1: none
  Scratch<int32_t> last_use;        // [tensors] tick, as OpGraph numbers them;
                                    // views count for what they look at
  Scratch<int32_t> clone_last_use;  // [tensors] the same of the clones'
};

// `execution_order` is a permutation of the ops. `recompute` is empty or by op,
// as Plan::recompute. Loops count as if they ran once. `lifetimes` may be null.
Liveness SimulateLiveness(const OpGraph& graph,
                          const std::vector<int32_t>& execution_order,
                          const std::vector<uint8_t>& recompute,
                          Lifetimes* lifetimes = nullptr);

}  // namespace grappler_go

#endif  // GRAPPLER_GO_SIM_LIVENESS_H_
