// The graph that one simulation runs: a plan laid over an OpGraph, as flat
// arrays.
//
// A node is one run of an op: loops are unrolled, and ops to be recomputed have
// a further node for their clone. A task is what runs as one: a group of nodes
// or a single one. A node fills slots: its first says that it is done (what
// control edges read), the others are its output tensors.
#ifndef GRAPPLER_GO_SIM_STEP_GRAPH_H_
#define GRAPPLER_GO_SIM_STEP_GRAPH_H_

#include <cstdint>
#include <string>
#include <vector>

#include "cc/base/status.h"
#include "cc/sim/simulator.h"
#include "cc/sim/step_facts.h"

namespace grappler_go {

// Who reads a slot: an edge of a node of a task.
struct SlotReader {
  int32_t edge;
  int32_t task;
};

struct StepGraph {
  // By node. Nodes of op i are consecutive, by run; clones come last.
  std::vector<int32_t> op_of, task_of;
  std::vector<int32_t> first_slot;  // [num_nodes + 1]
  std::vector<int32_t> first_edge;  // [num_nodes + 1], its inputs, in order
  int32_t first_clone = 0;          // nodes from here on are clones

  // By edge: what it reads, and whether that is of its own task.
  std::vector<int32_t> edge_slot;
  std::vector<uint8_t> is_inside;

  // By slot.
  std::vector<int32_t> first_reader;   // [num_slots + 1], into `readers`
  std::vector<int32_t> local_readers;  // how many are on the slot's device
  std::vector<SlotReader> readers;

  // By task; the groups come first, by their numbers.
  int32_t num_groups = 0;
  std::vector<int32_t> first_node;  // [num_tasks + 1], into `nodes`
  std::vector<int32_t> nodes;       // ascending in each task
  std::vector<int32_t> device;
  std::vector<int32_t> waiting;  // edges from other tasks
  std::vector<float> micros;     // alone on the device
  std::vector<float> cores;      // that it can use
  std::vector<float> bandwidth;  // share of the device's that it uses, alone
  std::vector<float> priority;   // empty: none is given

  // By src * number of devices + dst: the number of the link in use, or -1.
  std::vector<int32_t> link_number;
  int32_t num_links = 0;

  int32_t num_nodes() const { return static_cast<int32_t>(op_of.size()); }
  int32_t num_slots() const { return first_slot.back(); }
  int32_t num_tasks() const { return static_cast<int32_t>(device.size()); }
};

// "op 3 (dense/MatMul, MatMul)", as messages name it.
std::string NameOfOp(const OpGraph& graph, int32_t op);

// Sizes, ranges and numbers (step_input.cc). Errors: as Simulator::Run, but
// for cycles.
Status CheckStepInput(const StepFacts& facts, const StepInput& input);

// What StepFacts::plain holds: no devices, times and links. Loops must not be
// unrolled.
StepGraph BuildPlainGraph(const StepFacts& facts);

// The input must have been checked.
StepGraph BuildStepGraph(const StepFacts& facts, const StepInput& input);

}  // namespace grappler_go

#endif  // GRAPPLER_GO_SIM_STEP_GRAPH_H_
