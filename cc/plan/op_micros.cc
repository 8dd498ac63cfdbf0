#include "cc/plan/op_micros.h"

#include <algorithm>

#include "cc/cost/op_cost.h"
#include "cc/plan/fused_reduction.h"
#include "cc/plan/group_kernels.h"

namespace grappler_go {
namespace {

// Element-wise ops are timed in a row that stays in the cache, where each
// writes over its input. What memory costs beyond that, microseconds per MB of
// which so much is in play: a tensor written to memory of its own, and one read
// that has left the cache. On the machine that most of the shipped policy's
// timings are of (python -m grappler_go_training.scorer memory); a calibration
// has its own.
struct MemoryCosts {
  double new_per_mb = 33, cold_read_per_mb = 18;
};

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

// Adds what memory costs beside `alone` and `compiled`, the timings of an
// element-wise op.
void AddMemoryMicros(const OpGraph& graph, int32_t op, const MemoryCosts& costs,
                     const ColdReads& cold, float* alone, float* compiled) {
  const OpCost cost = CostOf(graph, op);
  // What an op that moves more than the cache holds reads was not in the cache
  // when TensorFlow's kernel was timed, either; in a compiled chain nothing was
  // read at all. Both wrote over their input, whatever its size.
  const double cold_per_byte = 1e-6 * costs.cold_read_per_mb;
  const double not_timed = std::min(
      1.0, kCacheBytes / std::max(cost.bytes_read + cost.bytes_written, 1.0));
  const double new_per_byte = 1e-6 * costs.new_per_mb;
  *alone += static_cast<float>(NewBytes(graph, op) * new_per_byte +
                               cold.alone[op] * cold_per_byte * not_timed);
  if (*compiled >= *alone) return;
  const double with_memory = *compiled + StoredBytes(graph, op) * new_per_byte +
                             cold.compiled[op] * cold_per_byte;
  *compiled = static_cast<float>(std::min<double>(*alone, with_memory));
}

void SetRoofline(const OpCost& cost, OpClass op_class, const Device& device,
                 float* alone, float* compiled) {
  *alone = static_cast<float>(RooflineMicros(cost, op_class, device));
  // Within a group nothing is dispatched, and what an op hands to the next
  // does not go through memory.
  if (device.type != "CPU" && !FusesOnGpu(op_class)) {
    *compiled = *alone;  // a kernel of its own in a group, too
    return;
  }
  OpCost compute = cost;
  compute.bytes_read = compute.bytes_written = 0;
  *compiled = std::min(
      *alone, std::max(0.0f, static_cast<float>(
                                 RooflineMicros(compute, op_class, device) -
                                 device.dispatch_us)));
}

// The host's; on a machine without one, the first device's; where nothing is
// said of the machine, a CPU of default rates.
Device FirstCpu(const Machine& machine) {
  for (const Device& device : machine.devices) {
    if (device.type == "CPU") return device;
  }
  if (!machine.devices.empty()) return machine.devices[0];
  Device cpu;
  cpu.type = "CPU";
  return cpu;
}

}  // namespace

OpMicros EstimateOpMicros(const OpGraph& graph, const Machine& machine,
                          const Logits& logits,
                          const std::vector<int32_t>& device_of) {
  const Device first_cpu = FirstCpu(machine);
  const bool said = !logits.op_micros.empty();
  OpMicros micros;
  if (!said && first_cpu.calibration == nullptr) {
    // Groups are mostly of element-wise ops, whose loops stream.
    const Achieved& streaming =
        first_cpu.achieved[static_cast<size_t>(OpClass::kElementwise)];
    micros.per_boundary_byte =
        1e-3 / std::max(first_cpu.gbytes_per_s * streaming.gbytes_per_s, 1e-3);
  }
  for (int32_t d : device_of) {
    if (machine.devices[d].type == "CPU") continue;
    micros.machine = &machine;
    micros.device = device_of;
    break;
  }
  micros.alone.resize(graph.num_ops());
  micros.compiled.resize(graph.num_ops());
  const ColdReads cold = FindColdReads(graph);
  for (int32_t i = 0; i < graph.num_ops(); ++i) {
    const Device& device =
        device_of.empty() ? first_cpu : machine.devices[device_of[i]];
    const OpClass op_class = graph.def(i).op_class;
    float* const alone = &micros.alone[i];
    float* const compiled = &micros.compiled[i];
    const Calibration* const timed = device.calibration.get();
    const TimedCost* const cost =
        timed == nullptr ? nullptr : timed->Find(graph, i);
    MemoryCosts memory;
    if (cost != nullptr && !IsFree(op_class)) {
      const OpCost work = CostOf(graph, i);
      *alone = static_cast<float>(MicrosOf(cost->executor, work));
      *compiled = static_cast<float>(MicrosOf(cost->group, work));
      memory = {timed->new_us_per_mb, timed->cold_read_us_per_mb};
    } else if (said && device.type == "CPU") {
      *alone = logits.op_micros[i];
      *compiled = logits.fused_micros[i];
    } else {
      SetRoofline(CostOf(graph, i), op_class, device, alone, compiled);
      continue;
    }
    if (IsElementwise(graph, i)) {
      AddMemoryMicros(graph, i, memory, cold, alone, compiled);
    }
    *compiled += static_cast<float>(FusedReductionMicros(graph, i));
    // Timings of the smallest ops are of many copies side by side, which two
    // threads dispatch faster than ops that wait for each other.
    if (!IsFree(op_class) && !graph.has(i, kSource | kConstant)) {
      *alone = std::max(*alone, static_cast<float>(device.dispatch_us));
    }
  }
  return micros;
}

PlanOptions WithTimedGroups(const PlanOptions& options,
                            const Machine& machine) {
  PlanOptions result = options;
  const Calibration* const timed = FirstCpu(machine).calibration.get();
  if (timed == nullptr) return result;
  const PlanOptions untouched;
  if (options.group_launch_micros == untouched.group_launch_micros) {
    result.group_launch_micros = timed->group_launch_us;
  }
  if (options.group_tensor_micros == untouched.group_tensor_micros) {
    result.group_tensor_micros = timed->group_tensor_us;
  }
  if (options.group_output_micros_per_mb ==
      untouched.group_output_micros_per_mb) {
    result.group_output_micros_per_mb = timed->group_output_us_per_mb;
  }
  return result;
}

}  // namespace grappler_go
