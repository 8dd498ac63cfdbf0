#include "cc/plugin/call_tracker.h"

#include <gtest/gtest.h>

#include <atomic>

#include "cc/testing/at_once.h"

namespace grappler_go {
namespace {

const int kItem = 0, kOtherItem = 0;

// The process-wide memory is reset by a graph that comes twice.
class CallTrackerTest : public testing::Test {
 protected:
  void SetUp() override {
    CallTracker tracker;
    tracker.ShouldAct(&kItem, 0, false);
    tracker.ShouldAct(&kItem, 0, false);
  }
  void ComeOnce(bool tiny) { CallTracker().ShouldAct(&kItem, 1, tiny); }
};

TEST_F(CallTrackerTest, ActsOnTheSecondCallOnly) {
  CallTracker tracker;
  EXPECT_FALSE(tracker.ShouldAct(&kItem, 1, false));
  EXPECT_TRUE(tracker.ShouldAct(&kItem, 1, false));
  EXPECT_FALSE(tracker.ShouldAct(&kItem, 1, false));
}

TEST_F(CallTrackerTest, TellsGraphsApartByItemAndByFetches) {
  CallTracker tracker;
  EXPECT_FALSE(tracker.ShouldAct(&kItem, 1, false));
  EXPECT_FALSE(tracker.ShouldAct(&kItem, 2, false));
  EXPECT_FALSE(tracker.ShouldAct(&kOtherItem, 1, false));
  EXPECT_TRUE(tracker.ShouldAct(&kItem, 2, false));
}

TEST_F(CallTrackerTest, ActsOnTheFirstCallWhenGraphsComeOnce) {
  ComeOnce(/*tiny=*/false);
  CallTracker tracker;
  EXPECT_TRUE(tracker.ShouldAct(&kItem, 1, false));
}

TEST_F(CallTrackerTest, ATinyGraphThatComesOnceSaysNothing) {
  ComeOnce(/*tiny=*/true);
  CallTracker tracker;
  EXPECT_FALSE(tracker.ShouldAct(&kItem, 1, false));
}

TEST_F(CallTrackerTest, GoesBackToTheSecondCallWhenGraphsComeTwiceAgain) {
  ComeOnce(/*tiny=*/false);
  CallTracker tracker;
  EXPECT_TRUE(tracker.ShouldAct(&kItem, 1, false));
  EXPECT_FALSE(tracker.ShouldAct(&kItem, 1, false));
  EXPECT_FALSE(tracker.ShouldAct(&kItem, 2, false));
  EXPECT_TRUE(tracker.ShouldAct(&kItem, 2, false));
}

TEST_F(CallTrackerTest, ActsOnceForEachGraphOfThreadsAtOnce) {
  // Two threads must meet in a few instructions: several rounds.
  for (int round = 0; round < 8; ++round) {
    CallTracker tracker;
    std::atomic<int> acted{0};
    AtOnce([&](int call) {
      const auto graph = static_cast<uint64_t>(call % (kCallsAtOnce / 4));
      if (tracker.ShouldAct(&kItem, graph, false)) ++acted;
    });
    ASSERT_EQ(acted, kCallsAtOnce / 4);
  }
}

}  // namespace
}  // namespace grappler_go
