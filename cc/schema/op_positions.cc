#include "cc/schema/op_positions.h"

#include <algorithm>
#include <cstdint>

#include "cc/graph/forward_depth.h"

namespace grappler_go {
namespace {

constexpr double kFlopsPerMicro = 1e6, kBytesPerMicro = 1e5;
constexpr double kDispatchMicros = 1.0;

std::vector<float> StagesOf(const OpGraph& graph,
                            const std::vector<float>& micros) {
  const std::vector<int32_t> depth = ForwardDepth(graph);
  int32_t deepest = 0;
  for (int32_t d : depth) deepest = std::max(deepest, d);
  std::vector<double> work(static_cast<size_t>(deepest) + 1, 0.0);
  for (size_t i = 0; i < depth.size(); ++i) work[depth[i]] += micros[i];
  double total = 0;
  std::vector<float> share(work.size());
  for (size_t d = 0; d < work.size(); ++d) {
    share[d] = static_cast<float>(total + work[d] / 2);
    total += work[d];
  }
  const auto scale = static_cast<float>(total > 0 ? 1.0 / total : 0.0);
  std::vector<float> stage(depth.size());
  for (size_t i = 0; i < depth.size(); ++i) stage[i] = share[depth[i]] * scale;
  return stage;
}

}  // namespace

float NominalMicros(double flops, double bytes, bool has_inputs) {
  if (!has_inputs) return 0.0f;
  return static_cast<float>(kDispatchMicros + std::max(flops / kFlopsPerMicro,
                                                       bytes / kBytesPerMicro));
}

OpPositions PositionsOf(const OpGraph& graph,
                        const std::vector<float>& micros) {
  const int32_t n = graph.num_ops();
  OpPositions result;
  result.from_start.assign(n, 0.0f);
  result.to_end.assign(n, 0.0f);
  result.stage = StagesOf(graph, micros);
  for (int32_t i = 0; i < n; ++i) {
    for (const InputEdge& e : graph.inputs(i)) {
      if (e.back_edge) continue;
      result.from_start[i] = std::max(result.from_start[i],
                                      result.from_start[e.src] + micros[e.src]);
    }
  }
  float longest = 0;
  for (int32_t i = n; i-- > 0;) {
    float after = 0;
    for (const OutputEdge& e : graph.outputs(i)) {
      if (!e.back_edge) after = std::max(after, result.to_end[e.dst]);
    }
    result.to_end[i] = after + micros[i];
    longest = std::max(longest, result.to_end[i]);
  }
  const float scale = longest > 0 ? 1.0f / longest : 0.0f;
  for (int32_t i = 0; i < n; ++i) {
    result.from_start[i] *= scale;
    result.to_end[i] *= scale;
  }
  return result;
}

}  // namespace grappler_go
