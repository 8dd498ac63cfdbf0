#include "cc/sim/step_memory.h"

#include <algorithm>

namespace grappler_go {

StepMemory::StepMemory(const StepFacts& facts, const StepGraph& step,
                       std::vector<DeviceUse>* use)
    : facts_(facts),
      step_(step),
      use_(*use),
      alive_(use->size(), 0),
      edge_reads_(step.edge_slot) {
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
  const int32_t device = step_.device[task];
  const int32_t begin = step_.first_node[task];
  const int32_t end = step_.first_node[task + 1];
  if (end - begin == 1) return StartNode(step_.nodes[begin], device, now);
  for (int32_t k = begin; k < end; ++k) {
    const int32_t v = step_.nodes[k];
    StartNode(v, device, now);
    for (int32_t e = step_.first_edge[v]; e < step_.first_edge[v + 1]; ++e) {
      if (step_.is_inside[e]) Release(root(edge_reads_[e]));
    }
    for (int32_t s = step_.first_slot[v] + 1; s < step_.first_slot[v + 1];
         ++s) {
      if (!HasOutsideReader(s, task)) Release(root(s));
    }
  }
}

void StepMemory::FinishTask(int32_t task) {
  const int32_t begin = step_.first_node[task];
  const int32_t end = step_.first_node[task + 1];
  if (end - begin == 1) return FinishNode(step_.nodes[begin]);
  for (int32_t k = begin; k < end; ++k) {
    const int32_t v = step_.nodes[k];
    for (int32_t e = step_.first_edge[v]; e < step_.first_edge[v + 1]; ++e) {
      if (!step_.is_inside[e]) Release(root(edge_reads_[e]));
    }
    for (int32_t s = step_.first_slot[v] + 1; s < step_.first_slot[v + 1];
         ++s) {
      if (HasOutsideReader(s, task)) Release(root(s));
    }
  }
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
  const bool kept = storage == Storage::kResident ||
                    (node < step_.first_clone &&
                     facts_.graph->has(step_.op_of[node], kPreserved));
  if (kept) ++buffer.references;
  if (of >= 0 || storage == Storage::kResident) return;
  own.bytes = bytes;
  Allocate(device, bytes, now);
}

int32_t StepMemory::InputToReuse(int32_t node, int64_t bytes) const {
  const int32_t task = step_.task_of[node];
  const int32_t begin = step_.first_edge[node];
  const int32_t end = step_.first_edge[node + 1];
  for (int32_t e = begin; e < end; ++e) {
    const int32_t candidate = root(edge_reads_[e]);
    if (candidate < 0) break;  // control edges come last
    if (buffers_[candidate].bytes != bytes) continue;
    // What a group reads is its caller's until it ends.
    if (step_.is_group(task) && !step_.is_inside[e]) continue;
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

bool StepMemory::HasOutsideReader(int32_t slot, int32_t task) const {
  for (int32_t r = step_.first_reader[slot]; r < step_.first_reader[slot + 1];
       ++r) {
    if (step_.readers[r].task != task) return true;
  }
  return false;
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
