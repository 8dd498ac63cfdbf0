// Where in a step ops are, for the columns "relative_..." of op_features.
#ifndef GRAPPLER_GO_SCHEMA_OP_POSITIONS_H_
#define GRAPPLER_GO_SCHEMA_OP_POSITIONS_H_

#include <vector>

#include "cc/graph/op_graph.h"

namespace grappler_go {

// All from 0 to 1, [num_ops] each, by the time that ops take on a nominal
// device (1 TFLOP/s, 100 GB/s, a microsecond for each): they are the same
// whatever the machine.
struct OpPositions {
  // The longest path from the start of the step to the op's start, and from its
  // start to the end of the step, over the longest of all.
  std::vector<float> from_start, to_end;
  // The share of all work that is less deep by ForwardDepth(), half of that
  // which is as deep included: the same for a layer's forward and backward ops.
  std::vector<float> stage;
};

// `micros`: of each op on the nominal device (NominalMicros).
OpPositions PositionsOf(const OpGraph& graph, const std::vector<float>& micros);

// Of an op that has inputs; 0 for others, which are there from the start.
float NominalMicros(double flops, double bytes, bool has_inputs);

}  // namespace grappler_go

#endif  // GRAPPLER_GO_SCHEMA_OP_POSITIONS_H_
