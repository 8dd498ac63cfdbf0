#include "cc/plan/policy_cut.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "cc/testing/two_chains.h"

namespace grappler_go {
namespace {

constexpr int kLength = 20;

class PolicyCutTest : public ::testing::Test {
 protected:
  PolicyCutTest()
      : bytes_(TwoChains(kLength)), graph_(*OpGraph::Parse(bytes_, {})) {
    options_.free_state = true;
    logits_.num_devices = 2;
    logits_.num_ops = graph_.num_ops();
  }
  // Every fifth op would rather be elsewhere than the rest of its chain.
  void AskForBOnTheFirst() {
    logits_.device.assign(static_cast<size_t>(2) * graph_.num_ops(), 0.0f);
    for (const std::string chain : {"a", "b"}) {
      for (int k = 0; k < kLength; ++k) {
        const int32_t of_chain = chain == "b" ? 0 : 1;
        const int32_t device = k % 5 == 2 ? 1 - of_chain : of_chain;
        logits_.device[2 * Op(chain, k) + device] = 3.0f;
      }
    }
  }
  int32_t Op(const std::string& chain, int k) const {
    return graph_.find(chain + std::to_string(k));
  }
  std::set<int32_t> DevicesOf(const Plan& plan, const std::string& chain) {
    std::set<int32_t> devices;
    for (int k = 0; k < kLength; ++k) {
      devices.insert(plan.device[Op(chain, k)] == 1 ? 1 : 0);
    }
    return devices;
  }

  std::string bytes_;
  OpGraph graph_;
  Machine machine_ = TwoGpus();
  Logits logits_;
  PlanOptions options_;
};

TEST_F(PolicyCutTest, TakenOpByOpChainsFlicker) {
  AskForBOnTheFirst();
  const Plan plan = *BuildPlan(graph_, machine_, logits_, options_, nullptr);
  EXPECT_EQ(DevicesOf(plan, "a").size(), 2u);
}

TEST_F(PolicyCutTest, ChainsStayWholeWhereThePolicyWouldHaveMostOfThem) {
  AskForBOnTheFirst();
  options_.cut_by_policy = true;
  const Plan plan = *BuildPlan(graph_, machine_, logits_, options_, nullptr);
  EXPECT_EQ(DevicesOf(plan, "a"), std::set<int32_t>{1});
  EXPECT_EQ(DevicesOf(plan, "b"), std::set<int32_t>{0});
}

TEST_F(PolicyCutTest, AnOpinionThatIsStrongEnoughOutweighsBalance) {
  for (int32_t i = 0; i < graph_.num_ops(); ++i) {
    logits_.device.insert(logits_.device.end(), {0.0f, 1e4f});
  }
  options_.cut_by_policy = true;
  const Plan plan = *BuildPlan(graph_, machine_, logits_, options_, nullptr);
  EXPECT_EQ(DevicesOf(plan, "a"), std::set<int32_t>{1});
  EXPECT_EQ(DevicesOf(plan, "b"), std::set<int32_t>{1});
}

TEST_F(PolicyCutTest, OnlyTheScoresOfDevicesAreReplaced) {
  AskForBOnTheFirst();
  logits_.fusion.assign(graph_.num_ops(), 0.5f);
  Logits cut = logits_;
  ASSERT_TRUE(CutByPolicy(graph_, machine_, options_, &cut).ok());
  EXPECT_EQ(cut.fusion, logits_.fusion);
  ASSERT_EQ(cut.device.size(), logits_.device.size());
  for (int k = 0; k < kLength; ++k) {
    EXPECT_EQ(cut.device[2 * Op("a", k)], 0.0f);
    EXPECT_EQ(cut.device[2 * Op("a", k) + 1], 1.0f);
  }
}

TEST_F(PolicyCutTest, WithoutScoresNothingIsDecided) {
  options_.cut_by_policy = true;
  ASSERT_TRUE(CutByPolicy(graph_, machine_, options_, &logits_).ok());
  EXPECT_TRUE(logits_.device.empty());
  const Plan plan = *BuildPlan(graph_, machine_, logits_, options_, nullptr);
  EXPECT_EQ(plan.num_moved(), 0);
}

}  // namespace
}  // namespace grappler_go
