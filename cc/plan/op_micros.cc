#include "cc/plan/op_micros.h"

#include <algorithm>

#include "cc/cost/op_cost.h"

namespace grappler_go {
namespace {

// Policies time element-wise ops in a row that stays in the cache, where each
// writes over its input. What memory costs beyond that, microseconds per byte
// of which so much is in play (python -m grappler_go_training.scorer memory
// measures these): a tensor written to memory of its own, and one read that
// has left the cache.
constexpr double kNewMicrosPerByte = 33e-6;
constexpr double kColdReadMicrosPerByte = 18e-6;
// About the last-level cache that a step can count on. Of an op that moves
// more, the timings contain the rest of these costs.
constexpr double kCacheBytes = 8e6;

bool IsElementwise(const OpGraph& graph, int32_t op) {
  const OpClass op_class = graph.def(op).op_class;
  return op_class == OpClass::kElementwise ||
         op_class == OpClass::kTranscendental;
}

// TensorFlow's kernels write over an input that nobody else reads
// (OpKernelContext::forward_input); another op, the backward pass above all, or
// the caller may.
int64_t NewBytes(const OpGraph& graph, int32_t op) {
  if (!IsElementwise(graph, op)) return 0;
  const int64_t bytes = std::max<int64_t>(graph.bytes(op, 0), 0);
  for (const InputEdge& e : graph.inputs(op)) {
    if (e.port == kControlPort || bytes == 0) break;
    if (graph.has(e.src, kSource | kConstant | kReadsVariable) ||
        graph.bytes(e.src, e.port) != bytes) {
      continue;
    }
    int32_t readers = 0;
    for (const OutputEdge& out : graph.outputs(e.src)) {
      readers += out.port == e.port;
    }
    if (readers == 1) return 0;
  }
  return bytes;
}

// Computed anew in each loop that reads it, rather than stored? XLA does so for
// what costs a few instructions (InstructionFusion::IsExpensive in
// xla/service/instruction_fusion.cc).
bool IsCheap(const OpGraph& graph, int32_t op) {
  return graph.def(op).op_class == OpClass::kElementwise &&
         graph.op(op) != "RealDiv";
}

// What a policy says of an element-wise op in a group holds inside one loop,
// where its output is never stored. It is stored when an op reads it that XLA
// does not fuse with its producers, or when several do and it is not cheap.
int64_t StoredBytes(const OpGraph& graph, int32_t op) {
  if (!IsElementwise(graph, op)) return 0;
  int32_t readers = 0;
  bool fused = true;
  for (const OutputEdge& e : graph.outputs(op)) {
    if (e.port == kControlPort) continue;
    const OpClass reader = graph.def(e.dst).op_class;
    ++readers;
    fused =
        fused && (IsElementwise(graph, e.dst) ||
                  reader == OpClass::kReduction || reader == OpClass::kShape);
  }
  if (fused && (readers <= 1 || IsCheap(graph, op))) return 0;
  return std::max<int64_t>(graph.bytes(op, 0), 0);
}

// What an element-wise op reads that has left the cache since it was last
// touched, bytes by op: by TensorFlow; by XLA, which never writes what it fuses
// into the reader.
struct ColdReads {
  Scratch<float> alone, compiled;
};

// Walks through two steps in topological order and keeps of each tensor how
// many bytes ops had touched when it was last touched itself.
ColdReads FindColdReads(const OpGraph& graph) {
  const int32_t n = graph.num_ops();
  ColdReads cold{Scratch<float>(n, 0.0f), Scratch<float>(n, 0.0f)};
  Scratch<double> touched_at(n, -kCacheBytes);
  Scratch<int32_t> tensor(n, 0);  // whose output this is a view of
  double touched = 0;
  for (int step = 0; step < 2; ++step) {
    for (int32_t i = 0; i < n; ++i) {
      tensor[i] = i;
      if (graph.has(i, kSource | kConstant)) continue;
      const bool view =
          IsFree(graph.def(i).op_class) || graph.has(i, kReadsVariable);
      const bool elementwise = IsElementwise(graph, i);
      for (const InputEdge& e : graph.inputs(i)) {
        if (e.port == kControlPort) break;
        const int32_t src = tensor[e.src];
        if (view) {
          tensor[i] = src;
          break;
        }
        const auto bytes = static_cast<double>(
            std::max<int64_t>(graph.bytes(e.src, e.port), 0));
        if (step == 1 && elementwise &&
            touched - touched_at[src] > kCacheBytes) {
          cold.alone[i] += static_cast<float>(bytes);
          if (!IsElementwise(graph, src) || StoredBytes(graph, src) > 0) {
            cold.compiled[i] += static_cast<float>(bytes);
          }
        }
        touched += bytes;
        touched_at[src] = touched;
      }
      if (view) continue;
      for (int32_t k = 0; k < graph.num_outputs(i); ++k) {
        touched += static_cast<double>(std::max<int64_t>(graph.bytes(i, k), 0));
      }
      touched_at[i] = touched;
    }
  }
  return cold;
}

// What memory costs an element-wise op beside what its policy says.
void AddMemoryMicros(const OpGraph& graph, OpMicros* micros) {
  const ColdReads cold = FindColdReads(graph);
  for (int32_t i = 0; i < graph.num_ops(); ++i) {
    if (!IsElementwise(graph, i)) continue;
    const OpCost cost = CostOf(graph, i);
    const double in_play = std::min(
        1.0, kCacheBytes / std::max(cost.bytes_read + cost.bytes_written, 1.0));
    micros->alone[i] +=
        static_cast<float>(in_play * (NewBytes(graph, i) * kNewMicrosPerByte +
                                      cold.alone[i] * kColdReadMicrosPerByte));
    if (micros->compiled[i] >= micros->alone[i]) continue;
    const double compiled =
        micros->compiled[i] +
        in_play * (StoredBytes(graph, i) * kNewMicrosPerByte +
                   cold.compiled[i] * kColdReadMicrosPerByte);
    micros->compiled[i] =
        static_cast<float>(std::min<double>(micros->alone[i], compiled));
  }
}

}  // namespace

OpMicros EstimateOpMicros(const OpGraph& graph, const Machine& machine,
                          const Logits& logits,
                          const std::vector<int32_t>& device_of) {
  OpMicros micros;
  if (!logits.op_micros.empty()) {
    micros.alone.assign(logits.op_micros.begin(), logits.op_micros.end());
    micros.compiled.assign(logits.fused_micros.begin(),
                           logits.fused_micros.end());
    AddMemoryMicros(graph, &micros);
    return micros;
  }
  // The host's; on a machine without one, the first device's.
  Device first_cpu = machine.devices.empty() ? Device() : machine.devices[0];
  for (const Device& d : machine.devices) {
    if (d.type == "CPU") {
      first_cpu = d;
      break;
    }
  }
  // Groups are mostly of element-wise ops, whose loops stream.
  const Achieved& streaming =
      first_cpu.achieved[static_cast<size_t>(OpClass::kElementwise)];
  micros.per_boundary_byte =
      1e-3 / std::max(first_cpu.gbytes_per_s * streaming.gbytes_per_s, 1e-3);
  micros.alone.resize(graph.num_ops());
  micros.compiled.resize(graph.num_ops());
  for (int32_t i = 0; i < graph.num_ops(); ++i) {
    const Device& device =
        device_of.empty() ? first_cpu : machine.devices[device_of[i]];
    OpCost cost = CostOf(graph, i);
    const OpClass op_class = graph.def(i).op_class;
    const double alone = RooflineMicros(cost, op_class, device);
    // Within a group nothing is dispatched, and what an op hands to the next
    // does not go through memory.
    cost.bytes_read = cost.bytes_written = 0;
    const double compute =
        RooflineMicros(cost, op_class, device) - device.dispatch_us;
    micros.alone[i] = static_cast<float>(alone);
    micros.compiled[i] =
        static_cast<float>(std::min(alone, std::max(0.0, compute)));
  }
  return micros;
}

}  // namespace grappler_go
