#include "cc/plan/search_clusters.h"

#include <algorithm>
#include <numeric>

#include "cc/graph/fingerprint.h"

namespace grappler_go {
namespace {

void FillTouched(Clusters* c) {
  auto rows_by = [&](auto&& for_each) {
    IntRows rows;
    rows.first.assign(c->count + 1, 0);
    for_each([&](int32_t cluster, int32_t) { ++rows.first[cluster + 1]; });
    std::partial_sum(rows.first.begin(), rows.first.end(), rows.first.begin());
    rows.values.resize(rows.first.back());
    std::vector<int32_t> next(rows.first.begin(), rows.first.end() - 1);
    for_each([&](int32_t cluster, int32_t tensor) {
      rows.values[next[cluster]++] = tensor;
    });
    return rows;
  };
  const auto tensors = static_cast<int32_t>(c->tensor_cluster.size());
  c->made = rows_by([&](auto&& add) {
    for (int32_t t = 0; t < tensors; ++t) add(c->tensor_cluster[t], t);
  });
  c->read = rows_by([&](auto&& add) {
    for (int32_t t = 0; t < tensors; ++t) {
      for (int32_t reader : c->tensor_readers[t]) add(reader, t);
    }
  });
  c->units = rows_by([&](auto&& add) {
    for (int32_t u = 0; u < static_cast<int32_t>(c->of_unit.size()); ++u) {
      add(c->of_unit[u], u);
    }
  });
}

struct TensorKey {
  uint64_t hash;
  int32_t tensor;
};

// Tensors of one maker with the same readers travel together as far as a
// placement of clusters is concerned.
void JoinEqualTensors(Clusters* c) {
  const auto count = static_cast<int32_t>(c->tensor_cluster.size());
  std::vector<TensorKey> keys(count);
  for (int32_t t = 0; t < count; ++t) {
    uint64_t hash = HashMix(0, static_cast<uint64_t>(c->tensor_cluster[t]));
    for (int32_t reader : c->tensor_readers[t]) {
      hash = HashMix(hash, static_cast<uint64_t>(reader));
    }
    keys[t] = {hash, t};
  }
  std::sort(keys.begin(), keys.end(), [](const auto& a, const auto& b) {
    return a.hash != b.hash ? a.hash < b.hash : a.tensor < b.tensor;
  });
  std::vector<int32_t> joined(count);
  auto equal = [&](int32_t a, int32_t b) {
    const Span<int32_t> x = c->tensor_readers[a], y = c->tensor_readers[b];
    return c->tensor_cluster[a] == c->tensor_cluster[b] &&
           x.size() == y.size() && std::equal(x.begin(), x.end(), y.begin());
  };
  for (int32_t k = 0; k < count; ++k) {
    const bool same = k > 0 && keys[k].hash == keys[k - 1].hash &&
                      equal(joined[keys[k - 1].tensor], keys[k].tensor);
    joined[keys[k].tensor] = same ? joined[keys[k - 1].tensor] : keys[k].tensor;
  }
  std::vector<int32_t> number(count, -1), makers;
  std::vector<float> micros;
  IntRows readers;
  for (int32_t t = 0; t < count; ++t) {
    if (joined[t] != t) continue;
    number[t] = static_cast<int32_t>(makers.size());
    makers.push_back(c->tensor_cluster[t]);
    micros.push_back(0.0f);
    const Span<int32_t> row = c->tensor_readers[t];
    readers.values.insert(readers.values.end(), row.begin(), row.end());
    readers.EndRow();
  }
  for (int32_t t = 0; t < count; ++t) {
    micros[number[joined[t]]] += c->tensor_micros[t];
  }
  c->tensor_cluster = std::move(makers);
  c->tensor_micros = std::move(micros);
  c->tensor_readers = std::move(readers);
}

// From a finer level, by each of its clusters' number in the coarser one.
Clusters Join(const SearchSpace& space, const Clusters& fine,
              const std::vector<int32_t>& number, int32_t count) {
  const auto devices = static_cast<size_t>(space.num_devices);
  Clusters coarse;
  coarse.count = count;
  coarse.of_unit.resize(space.num_units);
  for (int32_t u = 0; u < space.num_units; ++u) {
    coarse.of_unit[u] = number[fine.of_unit[u]];
  }
  coarse.micros.assign(count * devices, 0.0f);
  coarse.bytes.assign(count, 0.0);
  std::vector<double> weight(count, 0.0), depth(count, 0.0);
  for (int32_t c = 0; c < fine.count; ++c) {
    const int32_t to = number[c];
    for (size_t d = 0; d < devices; ++d) {
      coarse.micros[to * devices + d] += fine.micros[c * devices + d];
    }
    coarse.bytes[to] += fine.bytes[c];
    const double w = 1e-6 + fine.micros[c * devices];
    weight[to] += w;
    depth[to] += w * fine.depth[c];
  }
  for (int32_t c = 0; c < count; ++c) {
    coarse.depth.push_back(static_cast<float>(depth[c] / weight[c]));
  }
  std::vector<int32_t> seen(count, -1);
  for (int32_t t = 0; t < static_cast<int32_t>(fine.tensor_cluster.size());
       ++t) {
    const int32_t maker = number[fine.tensor_cluster[t]];
    const size_t before = coarse.tensor_readers.values.size();
    for (int32_t reader : fine.tensor_readers[t]) {
      const int32_t to = number[reader];
      if (to == maker || seen[to] == t) continue;
      seen[to] = t;
      coarse.tensor_readers.values.push_back(to);
    }
    if (coarse.tensor_readers.values.size() == before) continue;
    std::sort(coarse.tensor_readers.values.begin() +
                  static_cast<std::ptrdiff_t>(before),
              coarse.tensor_readers.values.end());
    coarse.tensor_readers.EndRow();
    coarse.tensor_cluster.push_back(maker);
    coarse.tensor_micros.push_back(fine.tensor_micros[t]);
  }
  JoinEqualTensors(&coarse);
  FillTouched(&coarse);
  return coarse;
}

// One pass of joins at one level.
class Matching {
 public:
  Matching(const SearchSpace& space, const Clusters& c, double limit)
      : space_(space),
        c_(c),
        limit_(limit),
        parent_(c.count),
        work_(c.count),
        rating_(c.count, 0.0) {
    std::iota(parent_.begin(), parent_.end(), 0);
    for (int32_t k = 0; k < c.count; ++k) {
      work_[k] = c.micros[static_cast<size_t>(k) * space.num_devices];
    }
  }

  // Stops at `target` clusters.
  std::vector<int32_t> Run(int32_t target, SearchRandom* random,
                           int32_t* count) {
    std::vector<int32_t> order(c_.count);
    std::iota(order.begin(), order.end(), 0);
    for (int32_t k = c_.count; k-- > 1;) {
      std::swap(order[k], order[random->Below(k + 1)]);
    }
    int32_t left = c_.count;
    for (int32_t k : order) {
      if (left <= target) break;
      if (Root(k) != k) continue;
      const int32_t partner = BestPartner(k);
      if (partner < 0) continue;
      parent_[k] = partner;
      work_[partner] += work_[k];
      --left;
    }
    std::vector<int32_t> number(c_.count, -1);
    *count = 0;
    for (int32_t k = 0; k < c_.count; ++k) {
      const int32_t root = Root(k);
      if (number[root] < 0) number[root] = (*count)++;
      number[k] = number[root];
    }
    return number;
  }

 private:
  // Tensors with more readers say little of any of them.
  static constexpr size_t kMaxReaders = 256;

  int32_t Root(int32_t k) {
    while (parent_[k] != k) k = parent_[k] = parent_[parent_[k]];
    return k;
  }

  bool SameChoices(int32_t a, int32_t b) const {
    const Span<int32_t> x = space_.choices[c_.units[a][0]];
    const Span<int32_t> y = space_.choices[c_.units[b][0]];
    return x.size() == y.size() && std::equal(x.begin(), x.end(), y.begin());
  }

  int32_t BestPartner(int32_t k) {
    touched_.clear();
    for (int32_t t : c_.made[k]) Rate(k, t);
    for (int32_t t : c_.read[k]) Rate(k, t);
    int32_t best = -1;
    double best_rating = 0;
    for (int32_t other : touched_) {
      const double rating =
          rating_[other] / (work_[other] + work_[k] + limit_ * 0.05);
      rating_[other] = 0;
      if (rating > best_rating && work_[other] + work_[k] <= limit_ &&
          SameChoices(other, k)) {
        best = other;
        best_rating = rating;
      }
    }
    return best;
  }

  void Rate(int32_t k, int32_t tensor) {
    const Span<int32_t> readers = c_.tensor_readers[tensor];
    if (readers.size() > kMaxReaders) return;
    const double share =
        c_.tensor_micros[tensor] / static_cast<double>(readers.size());
    auto add = [&](int32_t cluster) {
      const int32_t other = Root(cluster);
      if (other == k) return;
      if (rating_[other] == 0) touched_.push_back(other);
      rating_[other] += share;
    };
    add(c_.tensor_cluster[tensor]);
    for (int32_t reader : readers) add(reader);
  }

  const SearchSpace& space_;
  const Clusters& c_;
  const double limit_;
  std::vector<int32_t> parent_;
  std::vector<double> work_, rating_;
  std::vector<int32_t> touched_;
};

}  // namespace

Clusters UnitClusters(const SearchSpace& space, double activation_scale) {
  Clusters c;
  c.count = space.num_units;
  c.of_unit.resize(c.count);
  std::iota(c.of_unit.begin(), c.of_unit.end(), 0);
  c.micros = space.micros;
  for (int32_t u = 0; u < c.count; ++u) {
    c.bytes.push_back(space.resident_bytes[u] +
                      activation_scale * space.output_bytes[u]);
  }
  c.depth = space.depth;
  c.tensor_cluster = space.tensor_unit;
  for (double bytes : space.tensor_bytes) {
    c.tensor_micros.push_back(
        static_cast<float>(space.mean_latency + bytes * space.mean_per_byte));
  }
  c.tensor_readers = space.tensor_readers;
  FillTouched(&c);
  return c;
}

Clusters WithTensorMicros(const SearchSpace& space, const Clusters& units,
                          const Clusters& level, std::vector<float> micros) {
  Clusters changed = units;
  changed.tensor_micros = std::move(micros);
  if (level.count == units.count) return changed;
  return Join(space, changed, level.of_unit, level.count);
}

Clusters Coarsen(const SearchSpace& space, const Clusters& fine, int32_t target,
                 SearchRandom* random) {
  double total = 0;
  for (int32_t k = 0; k < fine.count; ++k) {
    total += fine.micros[static_cast<size_t>(k) * space.num_devices];
  }
  const double limit = 1.5 * total / std::max(target, 1);
  Clusters current = fine;
  while (current.count > target) {
    int32_t count = 0;
    const std::vector<int32_t> number =
        Matching(space, current, limit).Run(target, random, &count);
    // Also where nothing could be joined, however few there are.
    const bool is_slow = count >= current.count - current.count / 50;
    if (count < current.count) current = Join(space, current, number, count);
    if (is_slow) break;
  }
  return current;
}

std::vector<Clusters> ClusterLevels(const SearchSpace& space,
                                    double activation_scale,
                                    SearchRandom* random) {
  constexpr int32_t kCounts[] = {16, 64, 256, 1024};
  std::vector<Clusters> levels = {UnitClusters(space, activation_scale)};
  for (size_t k = std::size(kCounts); k-- > 0;) {
    if (levels.front().count <= kCounts[k]) continue;
    levels.insert(levels.begin(),
                  Coarsen(space, levels.front(), kCounts[k], random));
  }
  return levels;
}

}  // namespace grappler_go
