#include "cc/sim/op_memory.h"

#include <algorithm>
#include <cstdint>

#include "cc/graph/attr_value.h"

namespace grappler_go {
namespace {

constexpr int kRefOffset = 100;  // reference dtypes: types.proto
constexpr int kNoType = 255;     // see OpGraph::dtype

// A variable's size as its handle's maker declares it; -1: it does not. A read
// or an assignment tells it too, but not a gather of some rows.
int64_t DeclaredBytes(const OpGraph& graph, int32_t op) {
  TensorShape shape;
  int dtype = 0;
  if (graph.op(op) == "VarHandleOp") {
    shape = AttrShape(graph.attr(op, "shape"));
    dtype = AttrType(graph.attr(op, "dtype"), 0);
  } else {
    const std::vector<TensorShape> shapes =
        AttrShapes(graph.attr(op, "_handle_shapes"));
    const std::vector<int> dtypes = AttrTypes(graph.attr(op, "_handle_dtypes"));
    if (shapes.size() != 1 || dtypes.size() != 1) return -1;
    shape = shapes[0];
    dtype = dtypes[0];
  }
  const int64_t elements = shape.num_elements();
  const int64_t size = DataTypeSize(dtype);
  if (elements < 0 || size == 0 || elements > INT64_MAX / size) return -1;
  return elements * size;
}

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
  return graph.has(op, kSource | kConstant) || graph.op(op) == "ReadVariableOp";
}

bool IsView(const OpGraph& graph, int32_t op) {
  if (graph.num_outputs(op) != 1 || graph.inputs(op).empty()) return false;
  const InputEdge& in = graph.inputs(op)[0];
  if (in.port == kControlPort ||
      graph.bytes(op, 0) != graph.bytes(in.src, in.port)) {
    return false;
  }
  const int from = graph.dtype(in.src, in.port), to = graph.dtype(op, 0);
  // A reference is handed on (Assign); Identity hands on what it refers to.
  if (from == to && from > kRefOffset && from != kNoType) return true;
  return (graph.def(op).op_class == OpClass::kShape ||
          graph.op(op) == "DestroyTemporaryVariable") &&
         from % kRefOffset == to % kRefOffset;
}

bool IsKept(const OpGraph& graph, int32_t op) {
  return graph.has(op, kPreserved) && !graph.has(op, kStateful);
}

bool MayWriteInPlace(OpClass op_class) {
  return op_class == OpClass::kElementwise ||
         op_class == OpClass::kTranscendental;
}

int64_t AllocatedBytes(const OpGraph& graph, int32_t op) {
  if (IsAlwaysThere(graph, op) || IsView(graph, op)) return 0;
  int64_t bytes = 0;
  for (int32_t port = 0; port < graph.num_outputs(op); ++port) {
    bytes += std::max<int64_t>(graph.bytes(op, port), 0);
  }
  return bytes;
}

std::vector<int64_t> ResidentBytes(const OpGraph& graph) {
  std::vector<int64_t> bytes(graph.num_ops(), 0);
  std::vector<uint8_t> is_declared(graph.num_ops(), 0);
  for (int32_t i = 0; i < graph.num_ops(); ++i) {
    if (graph.handle(i) == i) {
      const int64_t declared = DeclaredBytes(graph, i);
      is_declared[i] = declared >= 0;
      bytes[i] = std::max<int64_t>(declared, 0);
    }
    if (graph.has(i, kSource | kConstant)) {
      for (int32_t port = 0; port < graph.num_outputs(i); ++port) {
        if (graph.dtype(i, port) == dt::kResource) continue;
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
      if (variable < 0 || is_declared[variable]) continue;
      bytes[variable] = std::max(bytes[variable], value);
    }
  }
  return bytes;
}

}  // namespace grappler_go
