#include "cc/plan/fused_reduction.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <vector>

#include "cc/cost/calibration.h"
#include "cc/cost/cost_kind.h"

namespace grappler_go {
namespace {

// Timed for sums of products of one, two and four tensors of 0.4 to 20 MB and
// of 64 to 1,152 columns, against sums of the same with an addition in place of
// the last multiplication. One axis: no difference. Two: the same for any
// number of tensors, more where an exp or the like is no longer vectorized
// either (sums of swish), nothing where others read the product too and it is
// stored. Three or more: as much for each tensor, more where they do not fit
// into the cache.
constexpr double kTwoAxesMicrosPerMb = 200, kFunctionMicrosPerMb = 400;
constexpr double kCachedMicrosPerMb = 300, kMicrosPerMb = 600;

// A search through what a reduction computes goes no farther than this.
constexpr size_t kMaxOps = 32;

bool IsLoweredToReduce(std::string_view type) {
  return type == "Sum" || type == "Mean" || type == "Max" || type == "Min" ||
         type == "Prod" || type == "BiasAddGrad";
}

// Is a multiplication the last thing that the op does once it is lowered? Timed
// were Mul, Square and swish; of the others it follows from what they compute.
bool EndsInMultiply(std::string_view type) {
  return type == "Mul" || type == "Square" || type == "SquaredDifference" ||
         type == "TanhGrad" || type == "SigmoidGrad" || type == "RsqrtGrad" ||
         type == "_MklSwish";
}

// Nests of loops over the rows: axes that are gone through and are longer than
// one. 0 where the innermost axis is among them or something is not known.
int LoopsOverRows(const OpGraph& graph, int32_t op) {
  const std::optional<ReducedAxes> axes = AxesOf(graph, op);
  if (!axes.has_value()) return 0;
  const InputEdge& e = graph.inputs(op)[0];
  const TensorShape& shape = graph.shape(e.src, e.port);
  int loops = 0;
  bool innermost = false;
  for (int i = 0; i < shape.rank(); ++i) {
    if (shape.dim(i) == 1) continue;
    innermost = (*axes)[i];
    loops += innermost;
  }
  return innermost ? 0 : loops;
}

int32_t BehindViews(const OpGraph& graph, int32_t op) {
  while (graph.op(op) == "Identity" && graph.inputs(op)[0].port >= 0) {
    op = graph.inputs(op)[0].src;
  }
  return op;
}

// What a product is computed from when it is read.
struct Operands {
  int tensors = 0;  // of about its size
  bool has_function = false;
};

Operands OperandsOf(const OpGraph& graph, int32_t product) {
  const int64_t bytes = graph.bytes(product, 0);
  Operands operands;
  std::vector<int32_t> seen{product};
  for (size_t next = 0; next < seen.size(); ++next) {
    const int32_t op = seen[next];
    const OpClass op_class = graph.def(op).op_class;
    operands.has_function |= op_class == OpClass::kTranscendental;
    const bool computed = next == 0 || op_class == OpClass::kElementwise;
    if (!computed || seen.size() > kMaxOps) {
      ++operands.tensors;
      continue;
    }
    for (const InputEdge& e : graph.inputs(op)) {
      if (e.port == kControlPort) break;
      const int32_t src = BehindViews(graph, e.src);
      if (2 * graph.bytes(e.src, e.port) > bytes &&
          std::find(seen.begin(), seen.end(), src) == seen.end()) {
        seen.push_back(src);
      }
    }
  }
  return operands;
}

bool HasOneReader(const OpGraph& graph, int32_t op) {
  int readers = 0;
  for (const OutputEdge& e : graph.outputs(op)) {
    readers += e.port != kControlPort;
  }
  return readers == 1;
}

}  // namespace

double FusedReductionMicros(const OpGraph& graph, int32_t op) {
  if (!IsLoweredToReduce(graph.op(op))) return 0.0;
  const int loops = LoopsOverRows(graph, op);
  if (loops < 2) return 0.0;
  const int32_t product = BehindViews(graph, graph.inputs(op)[0].src);
  if (!EndsInMultiply(graph.op(product))) return 0.0;
  const auto bytes =
      static_cast<double>(std::max<int64_t>(graph.bytes(product, 0), 0));
  const Operands operands = OperandsOf(graph, product);
  if (loops == 2) {
    if (!HasOneReader(graph, product)) return 0.0;
    return 1e-6 * bytes *
           (kTwoAxesMicrosPerMb +
            (operands.has_function ? kFunctionMicrosPerMb : 0.0));
  }
  const double read = bytes * operands.tensors;
  return 1e-6 * read * (read > kCacheBytes ? kMicrosPerMb : kCachedMicrosPerMb);
}

}  // namespace grappler_go
