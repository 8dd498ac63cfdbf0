#include "cc/plugin/call_tracker.h"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace grappler_go
