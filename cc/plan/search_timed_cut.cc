#include "cc/plan/search_timed_cut.h"

#include <algorithm>

namespace grappler_go {
namespace {

// What is left of a tensor that nobody waits for: links carry it all the same.
constexpr double kLeast = 0.05;
// Placements near this one run otherwise: times are off by this share of the
// step.
constexpr double kUnsure = 0.01;

double EndOf(const OpTimes& times) {
  double end = 0;
  for (double e : times.end) end = std::max(end, e);
  return end;
}

}  // namespace

Windows WindowsInTime(const SearchSpace& space, const OpTimes& times,
                      int32_t count) {
  const double step = std::max(EndOf(times), 1e-9);
  const auto& alone = space.by_kind[0].alone;
  std::vector<double> in(static_cast<size_t>(space.num_units) * count, 0.0);
  for (int32_t i = 0; i < space.graph->num_ops(); ++i) {
    const auto at = static_cast<int32_t>((times.start[i] + times.end[i]) / 2 /
                                         step * count);
    in[static_cast<size_t>(space.unit_of[i]) * count +
       std::clamp(at, 0, count - 1)] += alone[i];
  }
  Windows windows;
  windows.count = count;
  for (int32_t u = 0; u < space.num_units; ++u) {
    const double* row = in.data() + static_cast<size_t>(u) * count;
    double all = 0;
    for (int32_t w = 0; w < count; ++w) all += row[w];
    for (int32_t w = 0; w < count; ++w) {
      if (row[w] > 0) windows.parts.push_back({w, row[w] / all});
    }
    windows.first.push_back(windows.parts.size());
  }
  return windows;
}

std::vector<float> CriticalTensorMicros(const SearchSpace& space,
                                        const std::vector<float>& micros,
                                        const OpTimes& times) {
  const OpGraph& graph = *space.graph;
  const double step = EndOf(times), unsure = kUnsure * step;
  std::vector<float> critical = micros;
  for (size_t t = 0; t < micros.size(); ++t) {
    const int32_t maker = space.tensor_op[t];
    double left = step;
    for (const OutputEdge& e : graph.outputs(maker)) {
      if (e.back_edge || e.port != space.tensor_port[t] ||
          space.unit_of[e.dst] == space.tensor_unit[t]) {
        continue;
      }
      left = std::min(
          left, times.start[e.dst] + times.slack[e.dst] - times.end[maker]);
    }
    const double enough = micros[t] + unsure;
    critical[t] *=
        static_cast<float>(std::clamp(1.0 - 0.5 * left / enough, kLeast, 1.0));
  }
  return critical;
}

}  // namespace grappler_go
