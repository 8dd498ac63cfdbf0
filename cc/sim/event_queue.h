// The two queues of the simulator: what happens next, and what runs next.
#ifndef GRAPPLER_GO_SIM_EVENT_QUEUE_H_
#define GRAPPLER_GO_SIM_EVENT_QUEUE_H_

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>
#include <vector>

namespace grappler_go {

constexpr double kNever = std::numeric_limits<double>::infinity();

// The next event of each of a fixed number of resources, and the earliest of
// all: a tournament tree. Of equal times the lower number wins.
class EventClock {
 public:
  explicit EventClock(int32_t num_resources) {
    while (leaves_ < num_resources) leaves_ *= 2;
    time_.assign(leaves_, kNever);
    winner_.resize(2 * static_cast<size_t>(leaves_));
    for (int32_t i = 0; i < leaves_; ++i) winner_[leaves_ + i] = i;
    for (int32_t i = leaves_ - 1; i > 0; --i) winner_[i] = winner_[2 * i];
  }

  void Set(int32_t resource, double time) {
    time_[resource] = time;
    for (int32_t i = (leaves_ + resource) / 2; i > 0; i /= 2) {
      const int32_t a = winner_[2 * i], b = winner_[2 * i + 1];
      winner_[i] = time_[b] < time_[a] ? b : a;
    }
  }
  int32_t first() const { return winner_[1]; }
  double time() const { return time_[first()]; }  // kNever: nothing happens

 private:
  int32_t leaves_ = 2;
  std::vector<double> time_;
  std::vector<int32_t> winner_;  // of each subtree; [1] is the root
};

// Items by priority, the highest first, and in the order of their numbers among
// equals: give numbers in the order of arrival for first come, first served.
class ReadyQueue {
 public:
  bool empty() const { return heap_.empty(); }
  void Push(float priority, uint32_t number) {
    heap_.push_back(uint64_t{~Rank(priority)} << 32 | number);
    std::push_heap(heap_.begin(), heap_.end(), std::greater<>());
  }
  uint32_t Pop() {
    std::pop_heap(heap_.begin(), heap_.end(), std::greater<>());
    const auto number = static_cast<uint32_t>(heap_.back());
    heap_.pop_back();
    return number;
  }

 private:
  // An unsigned number that orders as the priority does.
  static uint32_t Rank(float priority) {
    priority += 0.0f;  // -0 is 0
    uint32_t bits;
    std::memcpy(&bits, &priority, sizeof(bits));
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
  }

  std::vector<uint64_t> heap_;
};

}  // namespace grappler_go

#endif  // GRAPPLER_GO_SIM_EVENT_QUEUE_H_
