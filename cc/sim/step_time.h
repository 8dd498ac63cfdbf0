// An estimate of one step's time from what each op takes: how far the executor
// can overlap small ops, and what a compiled group, which runs its ops one
// after the other, loses by that.
//
//   time = max(longest path,
//              work of large and tiny ops + work of small ops / cores)
//
// An op large enough to be split over all cores runs alone; small ones run side
// by side where the graph allows, but tiny ones do not: the executor runs them
// in turn on the thread that it is on. It is Graham's lower bound of a list
// schedule with these two kinds of op, and costs one pass over the graph.
#ifndef GRAPPLER_GO_SIM_STEP_TIME_H_
#define GRAPPLER_GO_SIM_STEP_TIME_H_

#include <cstdint>
#include <vector>

#include "cc/base/scratch.h"
#include "cc/graph/op_graph.h"

namespace grappler_go {

struct StepTimeInput {
  // Microseconds of each op; of an op in a group, its share of the group.
  const Scratch<float>& micros;
  // -1: on its own. Empty: nothing is grouped. Contracting each group must
  // leave the graph acyclic.
  const std::vector<int32_t>& group;
  // Microseconds that each group costs on top of its ops; by group.
  const std::vector<float>& group_overhead;
  int32_t cores = 1;
};

// An op (or group) at least this long is split over the cores by the kernels
// themselves: Eigen's and oneDNN's thresholds lie around here.
constexpr float kParallelOpMicros = 50.0f;

// One shorter than this is not handed to another thread: the executor's bound
// is 8000 cycles (KernelStats::kOpIsExpensiveThresholdCycles in
// tensorflow/core/common_runtime/executor.cc), here of a core of 2.7 GHz. Side
// by side, chains of ops of 1 to 3 microseconds took as long as in a row, and
// those of ops of 12 and 25 half of it.
constexpr float kInlineOpMicros = 3.0f;

double StepMicros(const OpGraph& graph, const StepTimeInput& input);

}  // namespace grappler_go

#endif  // GRAPPLER_GO_SIM_STEP_TIME_H_
