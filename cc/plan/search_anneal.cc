// AnnealCut and MultilevelCut of search_starts.h.
#include <algorithm>
#include <cmath>
#include <limits>

#include "cc/plan/search_starts.h"

namespace grappler_go {
namespace {

// Levels with fewer clusters for each device say nothing of balance; those with
// more in all take longer than they are worth.
constexpr int32_t kLeastForDevice = 8, kMostClusters = 2048;

// By cluster in place of unit.
Windows OfClusters(const SearchSpace& space, const Clusters& clusters,
                   const Windows& of_units) {
  const auto work = [&](int32_t unit) {
    return space.micros[static_cast<size_t>(unit) * space.num_devices];
  };
  Windows result;
  result.count = of_units.count;
  std::vector<double> in(result.count);
  for (int32_t k = 0; k < clusters.count; ++k) {
    std::fill(in.begin(), in.end(), 0.0);
    double all = 0;
    for (int32_t u : clusters.units[k]) {
      for (size_t p = of_units.first[u]; p < of_units.first[u + 1]; ++p) {
        in[of_units.parts[p].window] += of_units.parts[p].share * work(u);
      }
      all += work(u);
    }
    for (int32_t w = 0; w < result.count; ++w) {
      if (in[w] > 0) result.parts.push_back({w, in[w] / all});
    }
    result.first.push_back(result.parts.size());
  }
  return result;
}

// [count, num_devices] microseconds of work, each times how much less likely
// the device is for it than the likeliest, by the policy.
std::vector<double> PolicyCosts(const SearchSpace& space,
                                const Clusters& clusters, double weight) {
  if (weight == 0.0 || space.score.empty()) return {};
  const auto devices = static_cast<size_t>(space.num_devices);
  std::vector<double> costs(clusters.count * devices, 0.0);
  for (int32_t u = 0; u < space.num_units; ++u) {
    const float* row = space.score.data() + u * devices;
    float best = row[space.choices[u][0]];
    for (int32_t d : space.choices[u]) best = std::max(best, row[d]);
    const double work = space.micros[u * devices];
    for (int32_t d : space.choices[u]) {
      costs[clusters.of_unit[u] * devices + d] +=
          weight * work * (best - row[d]);
    }
  }
  return costs;
}

class Cut {
 public:
  Cut(const SearchSpace& space, const Clusters& clusters,
      const AnnealOptions& options, const UnitDevices& start)
      : space_(space),
        c_(clusters),
        devices_(space.num_devices),
        windows_(OfClusters(space, clusters,
                            options.own_windows != nullptr
                                ? *options.own_windows
                                : WindowsByDepth(space, options.windows))),
        cut_weight_(options.cut_weight),
        policy_costs_(PolicyCosts(space, clusters, options.policy_weight)),
        device_(clusters.count),
        readers_(clusters.tensor_cluster.size() * devices_, 0),
        load_(devices_ * static_cast<size_t>(windows_.count), 0.0),
        used_(devices_, 0.0) {
    for (int32_t k = 0; k < c_.count; ++k) {
      device_[k] = MostWork(c_.units[k], start);
      AddLoad(k, device_[k], 1.0);
      used_[device_[k]] += c_.bytes[k];
      total_ += work(k, device_[k]);
    }
    total_ = std::max(total_, 1e-9);
    for (size_t t = 0; t < c_.tensor_cluster.size(); ++t) {
      for (int32_t reader : c_.tensor_readers[static_cast<int32_t>(t)]) {
        ++readers_[t * devices_ + device_[reader]];
      }
    }
  }

  double total() const { return total_; }
  int32_t device(int32_t k) const { return device_[k]; }

  // What the estimate changes by when a cluster moves.
  double Delta(int32_t k, int32_t to) const {
    const int32_t from = device_[k];
    double cut = 0;
    for (int32_t t : c_.read[k]) {
      const int32_t* readers = readers_.data() + t * devices_;
      const int32_t maker = device_[c_.tensor_cluster[t]];
      const int sent = (readers[to] == 0 && to != maker) -
                       (readers[from] == 1 && from != maker);
      cut += sent * c_.tensor_micros[t];
    }
    for (int32_t t : c_.made[k]) {
      const int32_t* readers = readers_.data() + t * devices_;
      const int sent = (readers[from] > 0) - (readers[to] > 0);
      cut += sent * c_.tensor_micros[t];
    }
    double load = 0;
    for (size_t p = windows_.first[k]; p < windows_.first[k + 1]; ++p) {
      const Windows::Part& part = windows_.parts[p];
      const double* in = load_.data() + part.window * devices_;
      const double less = in[from] - part.share * work(k, from);
      const double more = in[to] + part.share * work(k, to);
      load += less * less - in[from] * in[from] + more * more - in[to] * in[to];
    }
    double policy = 0;
    if (!policy_costs_.empty()) {
      const double* costs = policy_costs_.data() + k * devices_;
      policy = costs[to] - costs[from];
    }
    return cut_weight_ * cut + load * windows_.count / total_ + policy +
           Excess(from, used_[from] - c_.bytes[k]) - Excess(from, used_[from]) +
           Excess(to, used_[to] + c_.bytes[k]) - Excess(to, used_[to]);
  }

  void Move(int32_t k, int32_t to) {
    const int32_t from = device_[k];
    for (int32_t t : c_.read[k]) {
      --readers_[t * devices_ + from];
      ++readers_[t * devices_ + to];
    }
    AddLoad(k, from, -1.0);
    AddLoad(k, to, 1.0);
    used_[from] -= c_.bytes[k];
    used_[to] += c_.bytes[k];
    device_[k] = to;
  }

  // A neighbour's device, or -1.
  int32_t NeighbourDevice(int32_t k, SearchRandom* random) const {
    const Span<int32_t> made = c_.made[k], read = c_.read[k];
    const auto count = static_cast<int32_t>(made.size() + read.size());
    if (count == 0) return -1;
    const auto at = static_cast<size_t>(random->Below(count));
    if (at >= made.size()) {
      return device_[c_.tensor_cluster[read[at - made.size()]]];
    }
    const Span<int32_t> readers = c_.tensor_readers[made[at]];
    return device_[readers[static_cast<size_t>(
        random->Below(static_cast<int32_t>(readers.size())))]];
  }

 private:
  // Where the start has most of what these units do: one of them, drawn by a
  // policy or at the edge of a part, says little of the others.
  int32_t MostWork(Span<int32_t> units, const UnitDevices& start) const {
    std::vector<double> on(devices_, 0.0);
    for (int32_t u : units) {
      on[start[u]] += space_.micros[u * devices_ + start[u]];
    }
    const auto most = std::max_element(on.begin(), on.end());
    const int32_t first = start[units[0]];
    return *most > on[first] ? static_cast<int32_t>(most - on.begin()) : first;
  }
  double work(int32_t k, int32_t device) const {
    return c_.micros[static_cast<size_t>(k) * devices_ + device];
  }
  void AddLoad(int32_t k, int32_t device, double times) {
    for (size_t p = windows_.first[k]; p < windows_.first[k + 1]; ++p) {
      const Windows::Part& part = windows_.parts[p];
      load_[part.window * devices_ + device] +=
          times * part.share * work(k, device);
    }
  }
  double Excess(int32_t device, double bytes) const {
    const auto limit =
        static_cast<double>(space_.machine->devices[device].memory_bytes);
    return limit > 0 && bytes > limit ? 10 * total_ * (bytes - limit) / limit
                                      : 0.0;
  }

  const SearchSpace& space_;
  const Clusters& c_;
  const size_t devices_;
  const Windows windows_;
  const double cut_weight_;
  const std::vector<double> policy_costs_;
  std::vector<int32_t> device_;
  std::vector<int32_t> readers_;  // by tensor and device
  std::vector<double> load_;      // by window and device
  std::vector<double> used_;
  double total_ = 0;
};

}  // namespace

Windows WindowsByDepth(const SearchSpace& space, int32_t count) {
  const auto work = [&](int32_t unit) {
    return space.micros[static_cast<size_t>(unit) * space.num_devices];
  };
  double total = 0, done = 0;
  for (int32_t u : space.by_depth) total += work(u);
  Windows windows;
  windows.count = count;
  windows.parts.resize(space.num_units);
  for (int32_t u : space.by_depth) {
    const auto at = static_cast<int32_t>((done + work(u) / 2) /
                                         std::max(total, 1e-9) * count);
    windows.parts[u] = {std::clamp(at, 0, count - 1), 1.0};
    done += work(u);
  }
  for (int32_t u = 0; u < space.num_units; ++u) windows.first.push_back(u + 1);
  return windows;
}

UnitDevices AnnealCut(const SearchSpace& space, const Clusters& clusters,
                      const std::vector<int32_t>& devices,
                      const UnitDevices& start, const AnnealOptions& options,
                      SearchRandom* random) {
  Cut cut(space, clusters, options, start);
  std::vector<int32_t> movable;
  for (int32_t k = 0; k < clusters.count; ++k) {
    if (space.choices[clusters.units[k][0]].size() > 1) movable.push_back(k);
  }
  UnitDevices result = space.home;
  if (movable.empty() || devices.empty()) return result;
  const auto count = static_cast<int32_t>(movable.size());
  const int64_t steps = int64_t{options.steps_per_cluster} * count;
  constexpr double kCold = 1e-4;  // of the temperature at the start
  const double hot = options.start_temperature * cut.total() /
                     std::sqrt(static_cast<double>(count));
  for (int64_t step = 0; step < steps; ++step) {
    const double progress =
        static_cast<double>(step) / static_cast<double>(steps);
    const int32_t k = movable[random->Below(count)];
    int32_t to = random->Uniform() < 0.7 ? cut.NeighbourDevice(k, random) : -1;
    if (to < 0) {
      to = devices[random->Below(static_cast<int32_t>(devices.size()))];
    }
    if (to == cut.device(k) || !space.MayBeOn(clusters.units[k][0], to) ||
        std::find(devices.begin(), devices.end(), to) == devices.end()) {
      continue;
    }
    const double delta = cut.Delta(k, to);
    const double temperature = hot * std::pow(kCold, progress);
    if (delta <= 0 || random->Uniform() < std::exp(-delta / temperature)) {
      cut.Move(k, to);
    }
  }
  for (int32_t u : space.movable) {
    result[u] = cut.device(clusters.of_unit[u]);
  }
  return result;
}

UnitDevices MultilevelCut(const SearchSpace& space,
                          const std::vector<Clusters>& levels,
                          const std::vector<int32_t>& devices,
                          const UnitDevices& start, AnnealOptions options,
                          SearchRandom* random) {
  const int32_t least = kLeastForDevice * static_cast<int32_t>(devices.size());
  UnitDevices cut = start;
  for (size_t k = 0; k < levels.size(); ++k) {
    const bool is_last = k + 1 == levels.size();
    if (levels[k].count < least && !is_last) continue;
    if (levels[k].count > kMostClusters && k > 0) break;
    cut = AnnealCut(space, levels[k], devices, cut, options, random);
    options.start_temperature /= 2;
  }
  return cut;
}

}  // namespace grappler_go
