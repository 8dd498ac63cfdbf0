// Many calls from several threads, for tests of what has a lock.
#ifndef GRAPPLER_GO_TESTING_AT_ONCE_H_
#define GRAPPLER_GO_TESTING_AT_ONCE_H_

#include <atomic>
#include <functional>
#include <thread>
#include <vector>

namespace grappler_go {

constexpr int kCallsAtOnce = 100'000;

// Calls f with 0 to kCallsAtOnce - 1, each once, from four threads.
inline void AtOnce(const std::function<void(int)>& f) {
  std::atomic<int> next{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int call; (call = next++) < kCallsAtOnce;) f(call);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace grappler_go

#endif  // GRAPPLER_GO_TESTING_AT_ONCE_H_
