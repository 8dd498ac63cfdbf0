// What XLA allocates for a compiled group on top of what the group is given.
//
// All of it is there from the group's start to its end, whatever is computed
// when (CpuExecutable allocates every BufferAllocation before it runs):
//
//   outputs     What other tasks read, each a buffer of its own (StepMemory).
//   updates     The new value of each variable that the group writes: _XlaRun
//               puts it in the place of the old one at the end
//               (XlaCompileOp::Compute in tensorflow/compiler/jit/kernels/
//               xla_ops.cc compiles with may_alias_resource_update=false).
//   workspace   What is neither fused into its readers nor handed on.
//
// The workspace follows xla/service/buffer_assignment.cc: ops run in the order
// of cpu_compiler.cc's BFScheduler, breadth first; a buffer goes, largest
// first, into the smallest output or update that is not written yet; the rest
// shares one block, in which an element-wise op writes over an operand that
// dies with it.
#ifndef GRAPPLER_GO_SIM_GROUP_MEMORY_H_
#define GRAPPLER_GO_SIM_GROUP_MEMORY_H_

#include <cstdint>
#include <vector>

#include "cc/sim/step_facts.h"
#include "cc/sim/step_graph.h"

namespace grappler_go {

// Does XLA compute the op's output anew in each loop that reads it, rather than
// store it, if all of its readers are in its group? What it is computed from
// must live until they have run, then.
bool IsFusedIntoReaders(const OpGraph& graph, int32_t op);

class GroupMemory {
 public:
  GroupMemory(const StepFacts& facts, const StepGraph& step);

  struct Bytes {
    int64_t updates = 0;
    int64_t workspace = 0;
  };
  // `task` is a group with ops.
  Bytes Of(int32_t task);

 private:
  // How a node of the group comes to be in memory.
  enum class Kind : uint8_t {
    kPassed,  // fused into its readers, a view, or there before
    kStored,
  };
  // A buffer that is to be placed: live from one place in XLA's order to
  // another, both included.
  struct Temporary {
    int64_t bytes;
    int32_t born, dies;
  };
  // A buffer that outlives the group, from where it is written on; before, it
  // holds `used`.
  struct LiveOut {
    int64_t bytes;
    int32_t born;
    bool over_operand;  // written by an op that may write over an operand
    std::vector<Temporary> used;
  };

  void CollectNodes();
  void FindUpdates();
  void Order();
  void FindLastUses();
  void CollectBuffers();
  bool FitsInto(const Temporary& temporary, const LiveOut& out) const;
  bool PutIntoLiveOut(const Temporary& temporary);
  int64_t SharedBlock(std::vector<Temporary>* rest) const;

  int32_t op(int32_t k) const { return step_.op_of[step_.nodes[begin_ + k]]; }
  bool IsElementwise(int32_t k) const;
  bool IsAssignment(int32_t k) const;
  template <typename Function>
  void ForEachVariable(int32_t k, Function function) const;
  bool LivesOut(int32_t slot) const;

  const StepFacts& facts_;
  const StepGraph& step_;
  std::vector<int32_t> place_of_slot_;  // in the group's nodes; -1: another's

  // Of the group at hand, by place in its nodes.
  int32_t task_ = 0, begin_ = 0, count_ = 0;
  std::vector<Kind> kind_;
  std::vector<uint8_t> is_update_;  // its value becomes a variable's
  std::vector<int32_t> order_;      // stored ones: when XLA runs them
  std::vector<int32_t> last_use_;   // in that order
  // Data edges inside of the group: the producers of node k are
  // producers_[first_producer_[k] .. first_producer_[k + 1] - 1].
  std::vector<int32_t> first_producer_, producers_;
  std::vector<int32_t> by_order_;  // stored ones, as XLA runs them
  int64_t update_bytes_ = 0;
  std::vector<Temporary> temporaries_;
  std::vector<LiveOut> live_outs_;  // by size
};

}  // namespace grappler_go

#endif  // GRAPPLER_GO_SIM_GROUP_MEMORY_H_
