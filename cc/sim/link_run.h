// One directed link during a simulation: the transfers that wait for it and
// those under way.
#ifndef GRAPPLER_GO_SIM_LINK_RUN_H_
#define GRAPPLER_GO_SIM_LINK_RUN_H_

#include <algorithm>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "cc/cost/machine.h"
#include "cc/sim/event_queue.h"
#include "cc/sim/simulator.h"

namespace grappler_go {

class LinkRun {
 public:
  LinkRun(const Link& link, LinkSharing sharing)
      : latency_(link.latency_us),
        micros_per_byte_(1e-3 / link.gbytes_per_s),
        cpu_micros_(link.cpu_us),
        cpu_micros_per_byte_(1e-6 * link.cpu_us_per_mb),
        sharing_(sharing) {}

  ReadyQueue& waiting() { return waiting_; }
  bool has_room() const {
    return sharing_ == LinkSharing::kEqualShares || active_.empty();
  }
  void Start(int32_t transfer, int64_t bytes, double now) {
    Advance(now);
    if (active_.empty()) served_ = 0;  // small numbers are the more exact
    const double micros =
        latency_ + static_cast<double>(bytes) * micros_per_byte_;
    active_.emplace_back(served_ + micros, transfer);
    std::push_heap(active_.begin(), active_.end(), std::greater<>());
  }
  // What a transfer keeps a core busy with at each end.
  float CpuMicros(int64_t bytes) const {
    return static_cast<float>(cpu_micros_ + static_cast<double>(bytes) *
                                                cpu_micros_per_byte_);
  }
  // Takes out a transfer that is done; -1: none is.
  int32_t TakeFinished(double now) {
    if (active_.empty() || next() > now) return -1;
    Advance(now);
    std::pop_heap(active_.begin(), active_.end(), std::greater<>());
    served_ = active_.back().first;  // exactly, without rounding
    const int32_t transfer = active_.back().second;
    active_.pop_back();
    return transfer;
  }
  // When the next transfer will be done.
  double next() const {
    if (active_.empty()) return kNever;
    return at_ + (active_.front().first - served_) *
                     static_cast<double>(active_.size());
  }
  double busy_micros() const { return busy_micros_; }

 private:
  void Advance(double now) {
    if (!active_.empty()) {
      busy_micros_ += now - at_;
      served_ += (now - at_) / static_cast<double>(active_.size());
    }
    at_ = now;
  }

  const double latency_, micros_per_byte_;
  const double cpu_micros_, cpu_micros_per_byte_;
  const LinkSharing sharing_;
  ReadyQueue waiting_;
  // Each active transfer has been served equally since it started. `served_` is
  // what one that was there always would have got, in microseconds alone; a
  // transfer is done when that reaches the value it is kept under.
  std::vector<std::pair<double, int32_t>> active_;  // a heap
  double served_ = 0, at_ = 0, busy_micros_ = 0;
};

}  // namespace grappler_go

#endif  // GRAPPLER_GO_SIM_LINK_RUN_H_
