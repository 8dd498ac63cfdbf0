#include "cc/sim/step_memory.h"

#include <algorithm>

#include "cc/sim/op_memory.h"

namespace grappler_go {

StepMemory::StepMemory(const StepFacts& facts, const StepGraph& step,
                       std::vector<DeviceUse>* use)
    : facts_(facts),
      step_(step),
      use_(*use),
      alive_(use->size(), 0),
      edge_reads_(step.edge_slot),
      group_memory_(facts, step),
      group_bytes_(step.num_groups, 0) {
  buffers_.resize(step.num_slots());
  for (int32_t v = 0; v < step.first_clone; ++v) {
    const int32_t op = step.op_of[v];
    if (facts.resident_bytes[op] == 0) continue;
    if (v > 0 && step.op_of[v - 1] == op) continue;  // a later run of it
    use_[step.device[step.task_of[v]]].resident_bytes +=
        facts.resident_bytes[op];
  }
  for (size_t d = 0; d < use_.size(); ++d) {
    alive_[d] = use_[d].peak_bytes = use_[d].resident_bytes;
  }
}

void StepMemory::StartTask(int32_t task, double now) {
  if (task < step_.num_groups) return StartGroup(task, now);
  StartNode(step_.nodes[step_.first_node[task]], step_.device[task], now);
}

void StepMemory::FinishTask(int32_t task) {
  if (task < step_.num_groups) return FinishGroup(task);
  FinishNode(step_.nodes[step_.first_node[task]]);
}

void StepMemory::StartGroup(int32_t task, double now) {
  const int32_t device = step_.device[task];
  for (int32_t k = step_.first_node[task]; k < step_.first_node[task + 1];
       ++k) {
    const int32_t v = step_.nodes[k], op = step_.op_of[v];
    const int32_t first = step_.first_slot[v] + 1;
    for (int32_t s = first; s < step_.first_slot[v + 1]; ++s) {
      const int32_t readers = OutsideReaders(s, task) + IsKept(v);
      if (readers == 0 && !IsSent(s, device)) continue;
      Buffer& own = buffers_[s];
      own.device = device;
      own.root = s;
      own.references = readers + 1;
      own.bytes = facts_.tensor_bytes[facts_.first_tensor[op] + s - first];
      Allocate(device, own.bytes, now);
    }
  }
  const GroupMemory::Bytes inside = group_memory_.Of(task);
  group_bytes_[task] = inside.updates + inside.workspace;
  Allocate(device, group_bytes_[task], now);
}

void StepMemory::FinishGroup(int32_t task) {
  for (int32_t k = step_.first_node[task]; k < step_.first_node[task + 1];
       ++k) {
    const int32_t v = step_.nodes[k];
    for (int32_t e = step_.first_edge[v]; e < step_.first_edge[v + 1]; ++e) {
      if (!step_.is_inside[e]) Release(root(edge_reads_[e]));
    }
    for (int32_t s = step_.first_slot[v] + 1; s < step_.first_slot[v + 1];
         ++s) {
      Release(root(s));
    }
  }
  alive_[step_.device[task]] -= group_bytes_[task];
}

void StepMemory::StartNode(int32_t node, int32_t device, double now) {
  const int32_t op = step_.op_of[node];
  const int32_t first = step_.first_slot[node] + 1;
  const int32_t last = step_.first_slot[node + 1];
  const int64_t* bytes = facts_.tensor_bytes.data() + facts_.first_tensor[op];
  for (int32_t s = first; s < last; ++s) {
    StartTensor(node, s, facts_.storage[op], bytes[s - first], device, now);
  }
}

void StepMemory::StartTensor(int32_t node, int32_t slot, Storage storage,
                             int64_t bytes, int32_t device, double now) {
  int32_t of = -1;  // the buffer that this one is a part of
  if (storage == Storage::kView) {
    of = root(edge_reads_[step_.first_edge[node]]);
  } else if (storage == Storage::kInPlace && bytes > 0) {
    of = InputToReuse(node, bytes);
  }
  Buffer& own = buffers_[slot];
  own.device = device;
  own.root = of >= 0 ? of : slot;
  Buffer& buffer = buffers_[own.root];
  buffer.references += step_.local_readers[slot] + 1;
  if (storage == Storage::kResident || IsKept(node)) ++buffer.references;
  if (of >= 0 || storage == Storage::kResident) return;
  own.bytes = bytes;
  Allocate(device, bytes, now);
}

int32_t StepMemory::InputToReuse(int32_t node, int64_t bytes) const {
  const int32_t begin = step_.first_edge[node];
  const int32_t end = step_.first_edge[node + 1];
  for (int32_t e = begin; e < end; ++e) {
    const int32_t candidate = root(edge_reads_[e]);
    if (candidate < 0) break;  // control edges come last
    if (buffers_[candidate].bytes != bytes) continue;
    int32_t mine = 0;
    for (int32_t other = begin; other < end; ++other) {
      mine += root(edge_reads_[other]) == candidate;
    }
    if (buffers_[candidate].references == mine) return candidate;
  }
  return -1;
}

void StepMemory::FinishNode(int32_t node) {
  // What a sink is given is the caller's.
  if (!facts_.graph->has(step_.op_of[node], kSink)) {
    for (int32_t e = step_.first_edge[node]; e < step_.first_edge[node + 1];
         ++e) {
      Release(root(edge_reads_[e]));
    }
  }
  for (int32_t s = step_.first_slot[node] + 1; s < step_.first_slot[node + 1];
       ++s) {
    Release(root(s));
  }
}

int32_t StepMemory::OutsideReaders(int32_t slot, int32_t task) const {
  int32_t readers = 0;
  for (int32_t r = step_.first_reader[slot]; r < step_.first_reader[slot + 1];
       ++r) {
    const int32_t reader = step_.readers[r].task;
    readers += reader != task && step_.device[reader] == step_.device[task];
  }
  return readers;
}

bool StepMemory::IsSent(int32_t slot, int32_t device) const {
  const auto elsewhere = [&](const SlotReader& reader) {
    return step_.device[reader.task] != device;
  };
  return std::any_of(step_.readers.begin() + step_.first_reader[slot],
                     step_.readers.begin() + step_.first_reader[slot + 1],
                     elsewhere);
}

bool StepMemory::IsKept(int32_t node) const {
  return node < step_.first_clone &&
         grappler_go::IsKept(*facts_.graph, step_.op_of[node]);
}

int32_t StepMemory::AddCopy(int32_t device) {
  const auto copy = static_cast<int32_t>(buffers_.size());
  buffers_.push_back({0, copy, 0, device});
  return copy;
}

void StepMemory::AddReader(int32_t copy, int32_t edge) {
  edge_reads_[edge] = copy;
  ++buffers_[copy].references;
}

void StepMemory::StartCopy(int32_t copy, int64_t bytes, double now) {
  buffers_[copy].bytes = bytes;
  Allocate(buffers_[copy].device, bytes, now);
}

void StepMemory::Allocate(int32_t device, int64_t bytes, double now) {
  alive_[device] += bytes;
  DeviceUse& use = use_[device];
  if (alive_[device] <= use.peak_bytes) return;
  use.peak_bytes = alive_[device];
  use.peak_at_micros = now;
}

void StepMemory::Release(int32_t buffer) {
  if (buffer < 0) return;
  Buffer& b = buffers_[buffer];
  if (--b.references == 0) alive_[b.device] -= b.bytes;
}

}  // namespace grappler_go
