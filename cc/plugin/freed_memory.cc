#include "cc/plugin/freed_memory.h"

#include <cstdlib>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include <algorithm>
#include <atomic>
#include <limits>
#include <mutex>
#include <thread>

namespace grappler_go {
namespace {

std::atomic<bool> keeps{false};

#ifdef __GLIBC__
// From that size on malloc maps a block of its own. Versions before 2.35 take
// no more than the second.
constexpr int kMapFrom = 1 << 30;
constexpr int kMapFromInOldVersions = 32 << 20;
constexpr int kTrimFrom = std::numeric_limits<int>::max();
// The heaps of threads, of 64 MB each, are unmapped when they are empty and the
// one before has room for so much; more than there can be: never. It is mapped,
// but not touched.
constexpr int kPad = 128 << 20;
constexpr int kPadByDefault = 128 << 10;

// With more, they might wait for each other.
constexpr unsigned kCoresOfOneHeap = 8;
constexpr int kHeapsPerCore = 8;  // what glibc itself has

// Setting either threshold ends the adaptation of both.
bool Set(bool keep) {
  const unsigned cores = std::thread::hardware_concurrency();
  if (cores <= kCoresOfOneHeap) {
    const int heaps = kHeapsPerCore * static_cast<int>(std::max(cores, 1u));
    mallopt(M_ARENA_MAX, keep ? 1 : heaps);
  }
  mallopt(M_TOP_PAD, keep ? kPad : kPadByDefault);
  if (!keep) {
    mallopt(M_MMAP_THRESHOLD, kMapFromInOldVersions);
    mallopt(M_TRIM_THRESHOLD, 2 * kMapFromInOldVersions);
    malloc_trim(0);
    return false;
  }
  return (mallopt(M_MMAP_THRESHOLD, kMapFrom) != 0 ||
          mallopt(M_MMAP_THRESHOLD, kMapFromInOldVersions) != 0) &&
         mallopt(M_TRIM_THRESHOLD, kTrimFrom) != 0;
}
#else
bool Set(bool) { return false; }
#endif

}  // namespace

void KeepFreedMemory(bool keep) {
  if (keeps == keep) return;
  static std::mutex* const mutex = new std::mutex;
  const std::lock_guard<std::mutex> lock(*mutex);
  if (keeps != keep) keeps = Set(keep);
}

bool KeepsFreedMemory() { return keeps; }

}  // namespace grappler_go
