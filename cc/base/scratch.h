// Vectors whose memory goes back to the system when they are freed.
//
// The pass runs inside a program whose heap it shares. What it frees there
// stays resident as holes between what it keeps, several megabytes for a large
// graph; large pieces taken from the system leave none.
#ifndef GRAPPLER_GO_BASE_SCRATCH_H_
#define GRAPPLER_GO_BASE_SCRATCH_H_

#include <sys/mman.h>

#include <cstddef>
#include <new>
#include <vector>

namespace grappler_go {

template <typename T>
class ScratchAllocator {
 public:
  using value_type = T;

  ScratchAllocator() = default;
  template <typename U>
  ScratchAllocator(const ScratchAllocator<U>&) {
  }  // NOLINT: as the library asks

  T* allocate(size_t n) {
    if (n < kMapped) return static_cast<T*>(::operator new(n * sizeof(T)));
    if (n > kMax) throw std::bad_array_new_length();
    void* pages = mmap(nullptr, n * sizeof(T), PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED) throw std::bad_alloc();
    return static_cast<T*>(pages);
  }
  void deallocate(T* p, size_t n) {
    if (n < kMapped) {
      ::operator delete(p);
    } else {
      munmap(p, n * sizeof(T));
    }
  }
  bool operator==(const ScratchAllocator&) const { return true; }
  bool operator!=(const ScratchAllocator&) const { return false; }

 private:
  // Below this a system call costs more than the hole.
  static constexpr size_t kMapped = (256 << 10) / sizeof(T);
  static constexpr size_t kMax = static_cast<size_t>(-1) / sizeof(T);
};

template <typename T>
using Scratch = std::vector<T, ScratchAllocator<T>>;

}  // namespace grappler_go

#endif  // GRAPPLER_GO_BASE_SCRATCH_H_
