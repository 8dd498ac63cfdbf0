// AnnealCut of search_starts.h.
#include <algorithm>
#include <cmath>
#include <limits>

#include "cc/plan/search_starts.h"

namespace grappler_go {
namespace {

class Cut {
 public:
  Cut(const SearchSpace& space, const Clusters& clusters, double cut_weight,
      const UnitDevices& start)
      : space_(space),
        c_(clusters),
        devices_(space.num_devices),
        cut_weight_(cut_weight),
        device_(clusters.count),
        readers_(clusters.tensor_cluster.size() * devices_, 0),
        load_(devices_, 0.0),
        used_(devices_, 0.0) {
    for (int32_t k = 0; k < c_.count; ++k) {
      device_[k] = start[c_.units[k][0]];
      load_[device_[k]] += work(k, device_[k]);
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
    const double less = load_[from] - work(k, from);
    const double more = load_[to] + work(k, to);
    const double load = less * less - load_[from] * load_[from] + more * more -
                        load_[to] * load_[to];
    return cut_weight_ * cut + load / total_ +
           Excess(from, used_[from] - c_.bytes[k]) - Excess(from, used_[from]) +
           Excess(to, used_[to] + c_.bytes[k]) - Excess(to, used_[to]);
  }

  void Move(int32_t k, int32_t to) {
    const int32_t from = device_[k];
    for (int32_t t : c_.read[k]) {
      --readers_[t * devices_ + from];
      ++readers_[t * devices_ + to];
    }
    load_[from] -= work(k, from);
    load_[to] += work(k, to);
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
  double work(int32_t k, int32_t device) const {
    return c_.micros[static_cast<size_t>(k) * devices_ + device];
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
  const double cut_weight_;
  std::vector<int32_t> device_;
  std::vector<int32_t> readers_;  // by tensor and device
  std::vector<double> load_, used_;
  double total_ = 0;
};

}  // namespace

UnitDevices AnnealCut(const SearchSpace& space, const Clusters& clusters,
                      const std::vector<int32_t>& devices,
                      const UnitDevices& start, const AnnealOptions& options,
                      SearchRandom* random) {
  Cut cut(space, clusters, options.cut_weight, start);
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

}  // namespace grappler_go
