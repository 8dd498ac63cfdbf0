// What the simulator knows of a graph on a machine before it knows the plan.
#ifndef GRAPPLER_GO_SIM_STEP_FACTS_H_
#define GRAPPLER_GO_SIM_STEP_FACTS_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "cc/sim/loops.h"
#include "cc/sim/simulator.h"

namespace grappler_go {

// How an op's outputs come to be in memory.
enum class Storage : uint8_t {
  kAllocated,
  kInPlace,   // into an input that dies with it, if there is one
  kView,      // its first input's buffer
  kResident,  // there before the step
};

struct StepGraph;

struct StepFacts {
  const OpGraph* graph;
  const Machine* machine;
  SimulatorOptions options;
  Loops loops;
  Link missing_link;  // what stands for a link that is not named

  // By op.
  std::vector<Storage> storage;
  std::vector<float> moved_bytes;  // read and written, for the bandwidth
  std::vector<int64_t> resident_bytes;
  // Tensors of op i are first_tensor[i] .. first_tensor[i + 1] - 1.
  std::vector<int32_t> first_tensor;
  std::vector<int64_t> tensor_bytes;  // unknown ones: 0
  int64_t unknown_outputs = 0;
  int64_t ops_in_branches = 0;

  // Nodes, edges and readers as they are without a plan, which most plans leave
  // alone. Null where loops are unrolled.
  std::shared_ptr<const StepGraph> plain;
};

}  // namespace grappler_go

#endif  // GRAPPLER_GO_SIM_STEP_FACTS_H_
