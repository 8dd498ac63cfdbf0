// Work that falls into independent pieces, on several threads.
#ifndef GRAPPLER_GO_BASE_PARALLEL_H_
#define GRAPPLER_GO_BASE_PARALLEL_H_

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <vector>

namespace grappler_go {

// Calls work(0) ... work(count - 1), each once, on up to `threads` threads (0:
// one for each core), the caller's among them. `work` must not throw.
template <typename Work>
void ParallelFor(size_t count, int32_t threads, const Work& work) {
  if (threads <= 0) {
    threads = static_cast<int32_t>(std::thread::hardware_concurrency());
  }
  std::atomic<size_t> next{0};
  const auto take = [&] {
    for (size_t k = next++; k < count; k = next++) work(k);
  };
  std::vector<std::thread> others;
  const size_t wanted = std::min<size_t>(std::max(threads, 1), count);
  for (size_t t = 1; t < wanted; ++t) others.emplace_back(take);
  take();
  for (std::thread& other : others) other.join();
}

}  // namespace grappler_go

#endif  // GRAPPLER_GO_BASE_PARALLEL_H_
