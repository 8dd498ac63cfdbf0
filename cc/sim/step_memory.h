// What is alive on each device during a simulation.
#ifndef GRAPPLER_GO_SIM_STEP_MEMORY_H_
#define GRAPPLER_GO_SIM_STEP_MEMORY_H_

#include <cstdint>
#include <vector>

#include "cc/sim/group_memory.h"
#include "cc/sim/step_facts.h"
#include "cc/sim/step_graph.h"

namespace grappler_go {

// Buffers are numbered as the slots that they are made for; received copies
// follow. A buffer is alive as long as it has references: one for each edge on
// its device that will read it, one for each transfer that will send it, one
// while its op runs, one for ever where it is preserved. What passes from op to
// op within a group has no buffer of its own: see group_memory.h.
class StepMemory {
 public:
  StepMemory(const StepFacts& facts, const StepGraph& step,
             std::vector<DeviceUse>* use);

  void StartTask(int32_t task, double now);
  void FinishTask(int32_t task);

  // A transfer of a tensor: it is held from here ...
  void Hold(int32_t slot) { ++buffers_[root(slot)].references; }
  // ... until this; the copy is there, for `edges` that will read it, from
  // AddCopy, which gives its number, and has bytes from StartCopy.
  int32_t AddCopy(int32_t device);
  void AddReader(int32_t copy, int32_t edge);
  void StartCopy(int32_t copy, int64_t bytes, double now);
  void Sent(int32_t slot) { Release(root(slot)); }

 private:
  struct Buffer {
    int64_t bytes = 0;
    int32_t root = -1;  // itself, or the buffer that it is a view of
    int32_t references = 0;
    int32_t device = 0;
  };

  // -1: a control edge's.
  int32_t root(int32_t buffer) const { return buffers_[buffer].root; }
  void StartGroup(int32_t task, double now);
  void FinishGroup(int32_t task);
  void StartNode(int32_t node, int32_t device, double now);
  void FinishNode(int32_t node);
  void StartTensor(int32_t node, int32_t slot, Storage storage, int64_t bytes,
                   int32_t device, double now);
  // An input's buffer that the node may write into; -1: none.
  int32_t InputToReuse(int32_t node, int64_t bytes) const;
  // Readers on the slot's device that are not of its task.
  int32_t OutsideReaders(int32_t slot, int32_t task) const;
  // Is it read on another device?
  bool IsSent(int32_t slot, int32_t device) const;
  bool IsKept(int32_t node) const;
  void Allocate(int32_t device, int64_t bytes, double now);
  void Release(int32_t buffer);

  const StepFacts& facts_;
  const StepGraph& step_;
  std::vector<DeviceUse>& use_;
  std::vector<int64_t> alive_;       // by device
  std::vector<int32_t> edge_reads_;  // by edge: a buffer
  std::vector<Buffer> buffers_;
  GroupMemory group_memory_;
  std::vector<int64_t> group_bytes_;  // by group: only there while it runs
};

}  // namespace grappler_go

#endif  // GRAPPLER_GO_SIM_STEP_MEMORY_H_
