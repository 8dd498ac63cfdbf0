// What a timeline says of slack, windows and tensors, and the cut made of it.
#include "cc/plan/search_timed_cut.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "cc/plan/search_clusters.h"
#include "cc/testing/two_chains.h"

namespace grappler_go {
namespace {

constexpr int kLength = 8;

class SearchTimedCutTest : public ::testing::Test {
 protected:
  SearchTimedCutTest() : bytes_(TwoChains(kLength)) {
    logits_.num_devices = 2;
    options_.free_state = true;
    graph_ = *OpGraph::Parse(bytes_, {});
    logits_.num_ops = graph_.num_ops();
    space_ = *MakeSearchSpace(graph_, machine_, logits_, options_);
    device_.assign(graph_.num_ops(), 0);
  }
  int32_t Op(const std::string& name) const { return graph_.find(name); }
  void Run(const std::string& op, int32_t device, double start, double end) {
    TaskSpan span;
    span.op = Op(op);
    span.device = device;
    span.start = start;
    span.end = end;
    step_.tasks.push_back(span);
    device_[span.op] = device;
  }
  OpTimes Times() const { return ReadTimeline(graph_, {}, device_, step_).ops; }

  const std::string bytes_;
  OpGraph graph_;
  Machine machine_ = TwoGpus();
  Logits logits_;
  PlanOptions options_;
  SearchSpace space_;
  std::vector<int32_t> device_;
  Simulation step_;
};

TEST_F(SearchTimedCutTest, SlackIsHowMuchLaterAnOpCouldStart) {
  // a0's result travels for 5; b1 is done long before a1 needs its device.
  Run("b0", 0, 0, 10);
  Run("b1", 1, 12, 15);
  Run("a0", 0, 10, 20);
  Run("a1", 1, 25, 40);
  step_.transfers.push_back({Op("b0"), 0, 0, 1, 100, 10, 12});
  step_.transfers.push_back({Op("a0"), 0, 0, 1, 100, 20, 25});
  const OpTimes times = Times();
  EXPECT_EQ(times.start[Op("a1")], 25);
  EXPECT_EQ(times.end[Op("a1")], 40);
  EXPECT_EQ(times.slack[Op("a1")], 0);
  EXPECT_EQ(times.slack[Op("a0")], 0) << "a1 waits for its tensor";
  EXPECT_EQ(times.slack[Op("b0")], 0) << "a0 waits for its device";
  EXPECT_EQ(times.slack[Op("b1")], 10) << "a1 follows it on its device";
  // Ops of no time are there when what they read is.
  EXPECT_EQ(times.start[Op("b2")], 15);
  EXPECT_EQ(times.slack[Op("b2")], 25) << "to the end of the step";
}

TEST_F(SearchTimedCutTest, ATensorThatNobodyWaitsForCostsNextToNothing) {
  Run("b0", 0, 0, 10);
  Run("a0", 0, 10, 20);
  Run("a1", 1, 25, 45);
  Run("b1", 1, 900, 1000);
  Run("a2", 0, 900, 1000);
  step_.transfers.push_back({Op("b0"), 0, 0, 1, 100, 10, 12});
  step_.transfers.push_back({Op("a0"), 0, 0, 1, 100, 20, 25});
  const std::vector<float> micros(space_.tensor_op.size(), 10.0f);
  const std::vector<float> critical =
      CriticalTensorMicros(space_, micros, Times());
  auto of = [&](const std::string& op) {
    for (size_t t = 0; t < space_.tensor_op.size(); ++t) {
      if (space_.tensor_op[t] == Op(op)) return critical[t];
    }
    ADD_FAILURE() << "no tensor of " << op;
    return 0.0f;
  };
  EXPECT_LT(of("b0"), 1.0f) << "b1 starts, and could start, much later";
  EXPECT_LT(of("a0"), 1.0f) << "a1 could start much later";
  EXPECT_GT(of("b0"), 0.0f) << "links carry it all the same";
  EXPECT_EQ(of("a3"), 10.0f) << "what reads it is there at once";
}

TEST_F(SearchTimedCutTest, WindowsAreStretchesOfTime) {
  // One chain after the other, where by depth they are side by side.
  for (int k = 0; k < kLength; ++k) {
    Run("a" + std::to_string(k), 0, 10 * k, 10 * (k + 1));
  }
  for (int k = 0; k < kLength; ++k) {
    Run("b" + std::to_string(k), 0, 10 * (kLength + k), 10 * (kLength + k + 1));
  }
  const Windows windows = WindowsInTime(space_, Times(), 2);
  auto window_of = [&](const std::string& op) {
    const int32_t unit = space_.unit_of[Op(op)];
    EXPECT_EQ(windows.first[unit + 1] - windows.first[unit], 1u) << op;
    return windows.parts[windows.first[unit]].window;
  };
  EXPECT_EQ(window_of("a0"), 0);
  EXPECT_EQ(window_of("a7"), 0);
  EXPECT_EQ(window_of("b0"), 1);
  EXPECT_EQ(window_of("b7"), 1);
}

TEST_F(SearchTimedCutTest, ACutSharesTheWorkOfEachWindowItIsGiven) {
  const Clusters units = UnitClusters(space_, 1.0);
  AnnealOptions options;
  options.cut_weight = 0;
  options.start_temperature = 1e-9;  // nothing but what is better
  auto of_first_chain_on_second_device = [&] {
    SearchRandom random(1);
    // To begin with a chain on each: even, but not in a window of one chain.
    UnitDevices start = space_.home;
    for (int k = 0; k < kLength; ++k) {
      start[space_.unit_of[Op("b" + std::to_string(k))]] = 1;
    }
    const UnitDevices cut =
        AnnealCut(space_, units, {0, 1}, start, options, &random);
    int32_t count = 0;
    for (int k = 0; k < kLength; ++k) {
      count += cut[space_.unit_of[Op("a" + std::to_string(k))]];
    }
    return count;
  };
  EXPECT_EQ(of_first_chain_on_second_device(), 0);
  Windows windows;
  windows.count = 2;
  for (int32_t u = 0; u < space_.num_units; ++u)
    windows.parts.push_back({1, 1});
  for (int k = 0; k < kLength; ++k) {
    windows.parts[space_.unit_of[Op("a" + std::to_string(k))]].window = 0;
  }
  for (int32_t u = 0; u < space_.num_units; ++u) windows.first.push_back(u + 1);
  options.own_windows = &windows;
  EXPECT_EQ(of_first_chain_on_second_device(), kLength / 2);
}

TEST_F(SearchTimedCutTest, OtherTensorMicrosReachCoarseClusters) {
  SearchRandom random(1);
  const Clusters units = UnitClusters(space_, 1.0);
  const Clusters coarse = Coarsen(space_, units, 4, &random);
  ASSERT_LT(coarse.count, units.count);
  std::vector<float> twice = units.tensor_micros;
  for (float& micros : twice) micros *= 2;
  const Clusters changed = WithTensorMicros(space_, units, coarse, twice);
  EXPECT_EQ(changed.of_unit, coarse.of_unit);
  ASSERT_EQ(changed.tensor_micros.size(), coarse.tensor_micros.size());
  ASSERT_FALSE(coarse.tensor_micros.empty());
  for (size_t t = 0; t < coarse.tensor_micros.size(); ++t) {
    EXPECT_FLOAT_EQ(changed.tensor_micros[t], 2 * coarse.tensor_micros[t]);
  }
}

}  // namespace
}  // namespace grappler_go
