#include "cc/plugin/freed_memory.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cstdlib>
#include <cstring>
#include <thread>

namespace grappler_go {
namespace {

constexpr size_t kBytes = 48 << 20;
constexpr long kPages = kBytes / 4096;  // where pages are larger, fewer fault

long FaultsSoFar() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_minflt;
}

// Of writing to a block again after it was freed. What is allocated meanwhile
// keeps it from being the heap's end in one case only.
long FaultsOfTheSecondStep() {
  long before = 0;
  for (int step = 0; step < 2; ++step) {
    before = FaultsSoFar();
    void* const block = std::malloc(kBytes);
    std::memset(block, step, kBytes);
    std::free(block);
  }
  return FaultsSoFar() - before;
}

class FreedMemoryTest : public ::testing::Test {
 protected:
  ~FreedMemoryTest() override { KeepFreedMemory(false); }
};

TEST_F(FreedMemoryTest, IsFaultedInOnceWhenKept) {
#if !defined(__GLIBC__) || defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "not glibc's malloc";
#endif
  ASSERT_FALSE(KeepsFreedMemory());
  EXPECT_GT(FaultsOfTheSecondStep(), kPages / 2);
  KeepFreedMemory(true);
  ASSERT_TRUE(KeepsFreedMemory());
  EXPECT_LT(FaultsOfTheSecondStep(), kPages / 100);
  KeepFreedMemory(false);
  EXPECT_FALSE(KeepsFreedMemory());
  EXPECT_GT(FaultsOfTheSecondStep(), kPages / 2);
}

TEST_F(FreedMemoryTest, IsKeptInOtherThreadsToo) {
#if !defined(__GLIBC__) || defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "not glibc's malloc";
#endif
  KeepFreedMemory(true);
  long faults = kPages;
  std::thread([&] { faults = FaultsOfTheSecondStep(); }).join();
  EXPECT_LT(faults, kPages / 100);
}

}  // namespace
}  // namespace grappler_go
