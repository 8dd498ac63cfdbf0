#include "cc/plan/op_micros.h"

#include <algorithm>

#include "cc/cost/op_cost.h"

namespace grappler_go {
namespace {

// Writing a tensor to memory of its own, that its reader has to fetch again:
// from one loop of a compiled group to another, or from op to op.
constexpr double kStoreMicrosPerByte = 40e-6;

bool IsElementwise(const OpGraph& graph, int32_t op) {
  const OpClass op_class = graph.def(op).op_class;
  return op_class == OpClass::kElementwise ||
         op_class == OpClass::kTranscendental;
}

// Element-wise ops are timed in a row, where each writes over its input
// (OpKernelContext::forward_input). TensorFlow cannot where somebody else reads
// that input, too: another op, the backward pass above all, or the caller.
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

}  // namespace

OpMicros EstimateOpMicros(const OpGraph& graph, const Machine& machine,
                          const Logits& logits,
                          const std::vector<int32_t>& device_of) {
  OpMicros micros;
  if (!logits.op_micros.empty()) {
    micros.alone.assign(logits.op_micros.begin(), logits.op_micros.end());
    micros.compiled.assign(logits.fused_micros.begin(),
                           logits.fused_micros.end());
    for (int32_t i = 0; i < graph.num_ops(); ++i) {
      micros.alone[i] +=
          static_cast<float>(NewBytes(graph, i) * kStoreMicrosPerByte);
      if (micros.compiled[i] >= micros.alone[i]) continue;
      const double stored =
          micros.compiled[i] + StoredBytes(graph, i) * kStoreMicrosPerByte;
      micros.compiled[i] =
          static_cast<float>(std::min<double>(micros.alone[i], stored));
    }
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
