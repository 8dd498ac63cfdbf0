#include "cc/plan/group_kernels.h"

#include <algorithm>

#include "cc/base/scratch.h"

namespace grappler_go {
namespace {

// Ops of a kernel are joined by edges of one level. A level never falls along
// an edge within a group, and rises behind what ends a kernel: so no path leads
// from a kernel through another one back into it, as in GroupByLevel.
struct Levels {
  explicit Levels(const OpGraph& graph, const std::vector<int32_t>& group)
      : level(graph.num_ops(), 0), parent(graph.num_ops(), -1) {
    for (int32_t i = 0; i < graph.num_ops(); ++i) {
      if (group[i] < 0) continue;
      const bool fuses = FusesOnGpu(graph.def(i).op_class);
      auto joins = [&](const InputEdge& e) {
        const OpClass producer = graph.def(e.src).op_class;
        return fuses && e.port != kControlPort && FusesOnGpu(producer) &&
               producer != OpClass::kReduction;
      };
      for (const InputEdge& e : graph.inputs(i)) {
        if (e.back_edge || group[e.src] != group[i]) continue;
        level[i] = std::max(level[i], level[e.src] + (joins(e) ? 0 : 1));
      }
      if (!fuses) continue;
      parent[i] = i;
      for (const InputEdge& e : graph.inputs(i)) {
        if (e.back_edge || group[e.src] != group[i] || !joins(e)) continue;
        if (level[e.src] != level[i]) continue;
        const int32_t a = Root(e.src), b = Root(i);
        parent[std::max(a, b)] = std::min(a, b);
      }
    }
  }
  int32_t Root(int32_t i) {
    while (parent[i] != i) i = parent[i] = parent[parent[i]];
    return i;
  }

  Scratch<int32_t> level, parent;
};

}  // namespace

bool FusesOnGpu(OpClass op_class) {
  return op_class == OpClass::kElementwise ||
         op_class == OpClass::kTranscendental ||
         op_class == OpClass::kReduction || op_class == OpClass::kShape ||
         op_class == OpClass::kMove;
}

GroupKernels KernelsOf(const OpGraph& graph,
                       const std::vector<int32_t>& group) {
  const int32_t n = graph.num_ops();
  Levels levels(graph, group);
  GroupKernels kernels;
  kernels.of_op.assign(n, -1);
  for (int32_t i = 0; i < n; ++i) {
    if (levels.parent[i] < 0) continue;
    const int32_t root = levels.Root(i);
    if (root == i) {
      kernels.of_op[i] = static_cast<int32_t>(kernels.first_op.size());
      kernels.first_op.push_back(i);
    } else {
      kernels.of_op[i] = kernels.of_op[root];
    }
  }
  kernels.bytes.assign(kernels.first_op.size(), 0.0);
  std::vector<int32_t> read_last(kernels.first_op.size(), -1);  // a tensor
  for (int32_t i = 0; i < n; ++i) {
    const int32_t from = kernels.of_op[i];
    int32_t written = -1;  // the tensor that was counted last
    const Span<OutputEdge> outputs = graph.outputs(i);
    if (from >= 0 && outputs.empty()) {
      for (int32_t port = 0; port < graph.num_outputs(i); ++port) {
        kernels.bytes[from] +=
            static_cast<double>(std::max<int64_t>(graph.bytes(i, port), 0));
      }
    }
    for (const OutputEdge& e : outputs) {
      const int32_t to = kernels.of_op[e.dst];
      if (e.port == kControlPort || (from >= 0 && from == to)) continue;
      const int32_t tensor = graph.first_tensor(i) + e.port;
      const auto size =
          static_cast<double>(std::max<int64_t>(graph.bytes(i, e.port), 0));
      if (from >= 0 && written != tensor) {
        written = tensor;
        kernels.bytes[from] += size;
      }
      // Constants are written into the kernels that read them.
      if (to < 0 || read_last[to] == tensor || graph.has(i, kConstant)) {
        continue;
      }
      read_last[to] = tensor;
      kernels.bytes[to] += size;
    }
  }
  return kernels;
}

void AddKernelMicros(const OpGraph& graph, const Machine& machine,
                     const std::vector<int32_t>& device, const float* compiled,
                     const std::vector<int32_t>& group,
                     std::vector<float>* overhead) {
  const GroupKernels kernels = KernelsOf(graph, group);
  std::vector<double> computing(kernels.bytes.size(), 0.0);
  std::vector<bool> works(kernels.bytes.size(), false);
  for (int32_t i = 0; i < graph.num_ops(); ++i) {
    const int32_t kernel = kernels.of_op[i];
    if (kernel < 0) continue;
    computing[kernel] += compiled[i];
    // Views alone are no kernel.
    works[kernel] = works[kernel] || graph.def(i).op_class != OpClass::kShape;
  }
  for (size_t k = 0; k < kernels.bytes.size(); ++k) {
    const int32_t op = kernels.first_op[k];
    const Device& d = machine.devices[device[op]];
    if (d.type == "CPU" || !works[k]) continue;
    const Achieved& streaming =
        d.achieved[static_cast<size_t>(OpClass::kElementwise)];
    const double memory =
        kernels.bytes[k] / (d.gbytes_per_s * streaming.gbytes_per_s * 1e3);
    (*overhead)[group[op]] += static_cast<float>(
        d.dispatch_us + std::max(0.0, memory - computing[k]));
  }
}

}  // namespace grappler_go
