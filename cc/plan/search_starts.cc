#include "cc/plan/search_starts.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace grappler_go {
UnitDevices OnOneDevice(const SearchSpace& space, int32_t device) {
  UnitDevices result = space.home;
  for (int32_t u : space.movable) {
    if (space.MayBeOn(u, device)) result[u] = device;
  }
  return result;
}

UnitDevices PolicyArgmax(const SearchSpace& space) {
  UnitDevices result = space.home;
  for (int32_t u : space.movable) {
    const float* row =
        space.score.data() + static_cast<size_t>(u) * space.num_devices;
    // A tie leaves the unit at home, if that is a choice.
    int32_t best =
        space.MayBeOn(u, space.home[u]) ? space.home[u] : space.choices[u][0];
    for (int32_t d : space.choices[u]) {
      if (row[d] > row[best]) best = d;
    }
    result[u] = best;
  }
  return result;
}

UnitDevices PolicySample(const SearchSpace& space, double temperature,
                         int32_t stretches, SearchRandom* random) {
  UnitDevices result = space.home;
  const std::vector<int32_t>& order = space.by_depth;
  std::vector<double> noise(space.num_devices, 0.0);
  const double scale = 1.0 / std::max(temperature, 1e-6);
  int64_t stretch = -1;
  for (size_t k = 0; k < order.size(); ++k) {
    const int64_t now = static_cast<int64_t>(k) * stretches /
                        static_cast<int64_t>(order.size());
    if (now != stretch) {
      stretch = now;
      for (double& g : noise) {
        g = -std::log(-std::log(std::max(random->Uniform(), 1e-300)));
      }
    }
    const int32_t u = order[k];
    const Span<int32_t> choices = space.choices[u];
    if (choices.size() < 2) continue;
    const float* row =
        space.score.data() + static_cast<size_t>(u) * space.num_devices;
    int32_t best = choices[0];
    for (int32_t d : choices) {
      if (row[d] * scale + noise[d] > row[best] * scale + noise[best]) best = d;
    }
    result[u] = best;
  }
  return result;
}

UnitDevices ContiguousCut(const SearchSpace& space,
                          const std::vector<int32_t>& devices) {
  UnitDevices result = space.home;
  const size_t row = space.num_devices;
  // The work of all units on each device says how fast it is.
  std::vector<double> speed;
  double all = 0;
  for (int32_t d : devices) {
    double work = 1e-9;
    for (int32_t u = 0; u < space.num_units; ++u) {
      work += space.micros[u * row + d];
    }
    speed.push_back(1.0 / work);
    all += speed.back();
  }
  double total = 0, done = 0;
  for (int32_t u = 0; u < space.num_units; ++u) {
    total += space.micros[u * row + devices[0]];
  }
  size_t part = 0;
  double until = total * speed[0] / all;
  for (int32_t u : space.by_depth) {
    const double work = space.micros[u * row + devices[0]];
    while (done + work / 2 > until && part + 1 < devices.size()) {
      until += total * speed[++part] / all;
    }
    done += work;
    if (space.MayBeOn(u, devices[part])) result[u] = devices[part];
  }
  return result;
}

namespace {

// A list schedule under construction.
class ListScheduler {
 public:
  ListScheduler(const SearchSpace& space, const Clusters& clusters)
      : space_(space),
        graph_(*space.graph),
        clusters_(clusters),
        devices_(space.num_devices),
        device_of_cluster_(clusters.count, -1),
        end_(graph_.num_ops(), 0.0f),
        arrival_(static_cast<size_t>(graph_.first_tensor(graph_.num_ops())) *
                     devices_,
                 -1.0f),
        free_at_(devices_, 0.0),
        link_free_(devices_ * devices_, 0.0) {
    for (const Device& d : space.machine->devices) {
      room_.push_back(d.memory_bytes > 0
                          ? static_cast<double>(d.memory_bytes)
                          : std::numeric_limits<double>::infinity());
    }
    for (int32_t u = 0; u < space.num_units; ++u) {
      const int32_t c = clusters.of_unit[u];
      if (space.choices[u].size() == 1 && device_of_cluster_[c] < 0) {
        Commit(c, space.choices[u][0]);
      }
    }
  }

  UnitDevices Run() {
    for (int32_t op : ByRank()) {
      if (FollowsReader(op)) continue;
      Place(op);
    }
    UnitDevices result = space_.home;
    for (int32_t u : space_.movable) {
      const int32_t d = device_of_cluster_[clusters_.of_unit[u]];
      if (d >= 0) result[u] = d;
    }
    return result;
  }

 private:
  int32_t cluster(int32_t op) const {
    return clusters_.of_unit[space_.unit_of[op]];
  }
  // There from the start: a constant, a variable's handle.
  bool FollowsReader(int32_t op) const {
    return graph_.inputs(op).empty() && Micros(op, 0) == 0 &&
           !graph_.outputs(op).empty();
  }
  float Micros(int32_t op, size_t device) const {
    return space_.by_kind[space_.kind[device]].alone[op];
  }

  std::vector<int32_t> ByRank() const {
    const int32_t n = graph_.num_ops();
    std::vector<float> rank(n);
    for (int32_t i = n; i-- > 0;) {
      double below = 0;
      for (const OutputEdge& e : graph_.outputs(i)) {
        if (e.back_edge) continue;
        double way = rank[e.dst];
        if (cluster(i) != cluster(e.dst)) {
          way += space_.mean_latency + Bytes(i, e.port) * space_.mean_per_byte;
        }
        below = std::max(below, way);
      }
      rank[i] = static_cast<float>(below + Micros(i, 0));
    }
    std::vector<int32_t> order(n);
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [&](int32_t a, int32_t b) { return rank[a] > rank[b]; });
    return order;
  }

  double Bytes(int32_t op, int32_t port) const {
    return port == kControlPort ? 0.0
                                : static_cast<double>(std::max<int64_t>(
                                      graph_.bytes(op, port), 0));
  }

  // When all that an op reads is on a device. `taken`: the links are used.
  double ReadyAt(int32_t op, int32_t device, bool taken) {
    double ready = 0;
    for (const InputEdge& e : graph_.inputs(op)) {
      if (e.back_edge) continue;
      const int32_t src = device_of_cluster_[cluster(e.src)];
      if (src < 0 || src == device) {
        ready = std::max<double>(ready, end_[e.src]);
        continue;
      }
      if (e.port == kControlPort) {
        ready =
            std::max(ready, end_[e.src] + space_.LinkMicros(src, device, 0));
        continue;
      }
      const size_t tensor = graph_.first_tensor(e.src) + e.port;
      float& known = arrival_[tensor * devices_ + device];
      double at = known;
      if (known < 0) {
        double& link = link_free_[src * devices_ + device];
        at = std::max<double>(end_[e.src], link) +
             space_.LinkMicros(src, device, Bytes(e.src, e.port));
        if (taken) {
          known = static_cast<float>(at);
          link = at;
        }
      }
      ready = std::max(ready, at);
    }
    return ready;
  }

  void Commit(int32_t c, int32_t device) {
    device_of_cluster_[c] = device;
    room_[device] -= clusters_.bytes[c];
  }

  int32_t Choose(int32_t op) {
    const int32_t c = cluster(op);
    if (device_of_cluster_[c] >= 0) return device_of_cluster_[c];
    const Span<int32_t> choices = space_.choices[space_.unit_of[op]];
    int32_t best = -1, roomiest = choices[0];
    double best_end = 0;
    for (int32_t d : choices) {
      if (room_[d] > room_[roomiest]) roomiest = d;
      if (room_[d] < clusters_.bytes[c]) continue;
      const double micros = Micros(op, d);
      double start = ReadyAt(op, d, false);
      if (micros > 0) start = std::max(start, free_at_[d]);
      if (best < 0 || start + micros < best_end) {
        best = d;
        best_end = start + micros;
      }
    }
    return best >= 0 ? best : roomiest;
  }

  void Place(int32_t op) {
    const int32_t device = Choose(op);
    if (device_of_cluster_[cluster(op)] < 0) Commit(cluster(op), device);
    for (const InputEdge& e : graph_.inputs(op)) {
      const int32_t c = cluster(e.src);
      if (e.back_edge || device_of_cluster_[c] >= 0) continue;
      const int32_t unit = space_.unit_of[e.src];
      Commit(c, space_.MayBeOn(unit, device) ? device : space_.home[unit]);
    }
    const double micros = Micros(op, device);
    double start = ReadyAt(op, device, true);
    if (micros > 0) {
      start = std::max(start, free_at_[device]);
      free_at_[device] = start + micros;
    }
    end_[op] = static_cast<float>(start + micros);
  }

  const SearchSpace& space_;
  const OpGraph& graph_;
  const Clusters& clusters_;
  const size_t devices_;
  std::vector<int32_t> device_of_cluster_;  // -1: not decided
  std::vector<float> end_;                  // by op
  std::vector<float> arrival_;  // by tensor and device; -1: not sent there
  std::vector<double> free_at_, link_free_, room_;
};

}  // namespace

UnitDevices ListSchedule(const SearchSpace& space, const Clusters& clusters) {
  return ListScheduler(space, clusters).Run();
}

}  // namespace grappler_go
