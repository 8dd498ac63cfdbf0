#include "cc/sim/op_memory.h"

#include <algorithm>

namespace grappler_go {
namespace {

constexpr int kResource = 20;  // tensorflow::DT_RESOURCE

// The largest tensor that an op reads or returns; resources have no bytes.
int64_t LargestValue(const OpGraph& graph, int32_t op) {
  int64_t largest = 0;
  for (int32_t port = 0; port < graph.num_outputs(op); ++port) {
    largest = std::max(largest, graph.bytes(op, port));
  }
  for (const InputEdge& e : graph.inputs(op)) {
    if (e.port == kControlPort) break;
    largest = std::max(largest, graph.bytes(e.src, e.port));
  }
  return largest;
}

}  // namespace

bool IsAlwaysThere(const OpGraph& graph, int32_t op) {
  return graph.has(op, kSource | kConstant) ||
         (graph.def(op).op_class == OpClass::kVariable &&
          !graph.has(op, kWritesVariable));
}

bool IsView(const OpGraph& graph, int32_t op) {
  if (graph.def(op).op_class != OpClass::kShape || graph.num_outputs(op) != 1 ||
      graph.inputs(op).empty()) {
    return false;
  }
  const InputEdge& in = graph.inputs(op)[0];
  return in.port != kControlPort &&
         graph.bytes(op, 0) == graph.bytes(in.src, in.port) &&
         graph.dtype(op, 0) == graph.dtype(in.src, in.port);
}

bool MayWriteInPlace(OpClass op_class) {
  return op_class == OpClass::kElementwise ||
         op_class == OpClass::kTranscendental;
}

std::vector<int64_t> ResidentBytes(const OpGraph& graph) {
  std::vector<int64_t> bytes(graph.num_ops(), 0);
  for (int32_t i = 0; i < graph.num_ops(); ++i) {
    if (graph.has(i, kSource | kConstant)) {
      for (int32_t port = 0; port < graph.num_outputs(i); ++port) {
        if (graph.dtype(i, port) == kResource) continue;
        bytes[i] += std::max<int64_t>(graph.bytes(i, port), 0);
      }
    }
    if (!graph.has(i, kReadsVariable | kWritesVariable)) continue;
    // An unknown op or a function that is given a variable says nothing of how
    // large that is.
    const OpClass op_class = graph.def(i).op_class;
    if (op_class != OpClass::kVariable && op_class != OpClass::kOptimizer) {
      continue;
    }
    const int64_t value = LargestValue(graph, i);
    for (const InputEdge& e : graph.inputs(i)) {
      if (e.port == kControlPort) break;
      const int32_t variable = graph.handle(e.src);
      if (variable >= 0) bytes[variable] = std::max(bytes[variable], value);
    }
  }
  return bytes;
}

}  // namespace grappler_go
