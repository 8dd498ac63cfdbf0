// LayersOf and LayerCut of search_starts.h.
#include <algorithm>
#include <numeric>

#include "cc/plan/search_starts.h"

namespace grappler_go {
namespace {

// Labels reach units that are so many tensors away from one that reads a
// variable; what is farther belongs to no layer, and goes by its depth.
constexpr int kRounds = 6;
// Control edges, and a learning rate or a counter, join what is no layer.
constexpr double kLeastWeights = 256;

class Layers {
 public:
  Layers(const SearchSpace& space, const Clusters& units)
      : space_(space),
        units_(units),
        parent_(space.num_units),
        label_(space.num_units, -1) {
    std::iota(parent_.begin(), parent_.end(), 0);
    LabelReaders();
    for (int round = 0; round < kRounds; ++round) Spread();
  }

  // [num_units] the layer, named by a unit; -1: of none.
  std::vector<int32_t> Of() {
    std::vector<int32_t> layer(label_);
    for (int32_t& l : layer) {
      if (l >= 0) l = Root(l);
    }
    return layer;
  }

 private:
  int32_t Root(int32_t unit) {
    while (parent_[unit] != unit) {
      unit = parent_[unit] = parent_[parent_[unit]];
    }
    return unit;
  }

  // Variables that something reads together are of one layer. Constants say
  // nothing: all layers may share them.
  void LabelReaders() {
    const OpGraph& graph = *space_.graph;
    for (int32_t i = 0; i < graph.num_ops(); ++i) {
      const int32_t u = space_.unit_of[i];
      const bool uses = graph.has(i, kReadsVariable | kWritesVariable);
      if (uses && space_.resident_bytes[u] > 0) label_[u] = u;
    }
    std::vector<int32_t> of_variable(label_);
    for (int32_t u = 0; u < space_.num_units; ++u) {
      if (of_variable[u] >= 0) continue;
      for (int32_t t : units_.read[u]) {
        const int32_t variable = of_variable[space_.tensor_unit[t]];
        if (variable < 0 || space_.tensor_bytes[t] < kLeastWeights) continue;
        if (label_[u] < 0) {
          label_[u] = variable;
        } else {
          parent_[Root(variable)] = Root(label_[u]);
        }
      }
    }
  }

  // What has no label takes the one that it exchanges most bytes with.
  void Spread() {
    std::vector<int32_t> next(label_);
    std::vector<std::pair<int32_t, double>> bytes;
    auto add = [&](int32_t other, double count) {
      if (label_[other] < 0) return;
      const int32_t label = Root(label_[other]);
      for (auto& [known, sum] : bytes) {
        if (known == label) {
          sum += count;
          return;
        }
      }
      bytes.emplace_back(label, count);
    };
    for (int32_t u = 0; u < space_.num_units; ++u) {
      if (label_[u] >= 0) continue;
      bytes.clear();
      for (int32_t t : units_.read[u]) {
        add(space_.tensor_unit[t], 1 + space_.tensor_bytes[t]);
      }
      for (int32_t t : units_.made[u]) {
        // What many read says little of any of them.
        const Span<int32_t> readers = space_.tensor_readers[t];
        const double share =
            (1 + space_.tensor_bytes[t]) / static_cast<double>(readers.size());
        for (int32_t reader : readers) add(reader, share);
      }
      double most = 0;
      for (const auto& [label, sum] : bytes) {
        if (sum > most) {
          most = sum;
          next[u] = label;
        }
      }
    }
    label_ = std::move(next);
  }

  const SearchSpace& space_;
  const Clusters& units_;
  std::vector<int32_t> parent_;  // of labels that are one layer
  std::vector<int32_t> label_;   // [num_units]
};

}  // namespace

std::vector<int32_t> LayersOf(const SearchSpace& space, const Clusters& units) {
  return Layers(space, units).Of();
}

UnitDevices LayerCut(const SearchSpace& space,
                     const std::vector<int32_t>& layer,
                     const std::vector<int32_t>& devices, double reach) {
  const auto row = static_cast<size_t>(space.num_devices);
  std::vector<double> work(space.num_units, 0.0), depth(space.num_units, 0.0);
  double total = 0;
  std::vector<int32_t> order;  // of layers
  for (int32_t u = 0; u < space.num_units; ++u) {
    if (layer[u] < 0) continue;
    if (layer[u] == u) order.push_back(u);
    const double micros = 1e-6 + space.micros[u * row + devices[0]];
    work[layer[u]] += micros;
    depth[layer[u]] += micros * space.depth[u];
    total += micros;
  }
  for (int32_t l : order) depth[l] /= work[l];
  std::stable_sort(order.begin(), order.end(),
                   [&](int32_t a, int32_t b) { return depth[a] < depth[b]; });
  std::vector<int32_t> device_of(space.num_units, -1);
  double done = 0;
  const auto parts = static_cast<double>(devices.size());
  for (int32_t l : order) {
    const auto part = static_cast<size_t>(
        std::min(parts - 1, (done + work[l] * reach) / total * parts));
    device_of[l] = devices[part];
    done += work[l];
  }
  UnitDevices result = ContiguousCut(space, devices);
  for (int32_t u : space.movable) {
    if (layer[u] < 0) continue;
    const int32_t device = device_of[layer[u]];
    if (space.MayBeOn(u, device)) result[u] = device;
  }
  return result;
}

}  // namespace grappler_go
