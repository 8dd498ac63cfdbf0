#include "cc/plan/search_plan.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "cc/graph/wire.h"
#include "cc/plan/simulate_plan.h"
#include "cc/testing/graph_builder.h"
#include "cc/testing/random_graph.h"

namespace grappler_go {
namespace {

const GraphBuilder::Attrs kT = {{"T", TypeAttrValue(kFloat)}};

std::string DeviceName(const char* type, int number) {
  return std::string("/job:a/replica:0/task:0/device:") + type + ":" +
         std::to_string(number);
}

// Two GPUs and their host, with links that are worth using.
Machine TwoGpus() {
  Machine machine;
  machine.name = "two GPUs";
  for (int k = 0; k < 3; ++k) {
    Device& device = machine.devices.emplace_back();
    device.type = k < 2 ? "GPU" : "CPU";
    device.name = DeviceName(device.type.c_str(), k < 2 ? k : 0);
    device.gflops = k < 2 ? 1000 : 50;
    device.gbytes_per_s = 100;
    device.dispatch_us = 5;
  }
  for (int src = 0; src < 3; ++src) {
    for (int dst = 0; dst < 3; ++dst) {
      if (src != dst) machine.links.push_back({src, dst, 10.0, 10.0});
    }
  }
  return machine;
}

// Two towers of products that meet in the end.
std::string TwoTowers(int height, int width) {
  GraphBuilder builder;
  builder.Arg("x", {width, width});
  for (const std::string tower : {"left", "right"}) {
    std::string below = "x";
    for (int k = 0; k < height; ++k) {
      const std::string at = tower + std::to_string(k);
      builder.Node(at, "MatMul", {below, below}, kT)
          .Node(at + "_tanh", "Tanh", {at}, kT)
          .Node(at + "_neg", "Neg", {at + "_tanh"}, kT);
      below = at + "_neg";
    }
    builder.Node(tower, "Exp", {below}, kT);
  }
  return builder.Node("sum", "AddV2", {"left", "right"}, kT)
      .Retval("out", "sum")
      .Build();
}

class SearchPlanTest : public ::testing::Test {
 protected:
  void Parse(const std::string& bytes) {
    bytes_ = bytes;
    graph_ = *OpGraph::Parse(bytes_, {});
    logits_ = Logits();
    logits_.num_ops = graph_.num_ops();
    logits_.num_devices = static_cast<int32_t>(machine_.devices.size());
  }
  void PutTowersApart() {
    logits_.device.assign(graph_.num_ops() * 3, 0.0f);
    for (int32_t i = 0; i < graph_.num_ops(); ++i) {
      const bool right = graph_.name(i).substr(0, 5) == "right";
      logits_.device[3 * i + (right ? 1 : 0)] = 9.0f;
    }
  }
  Plan Search() {
    StatusOr<Plan> plan =
        SearchPlan(graph_, machine_, logits_, options_, search_, &trace_);
    EXPECT_TRUE(plan.ok()) << plan.status().message();
    if (!plan.ok()) return Plan();
    const Status valid = ValidatePlan(*plan, graph_);
    EXPECT_TRUE(valid.ok()) << valid.message();
    return *plan;
  }
  Simulation Simulate(const Plan& plan) {
    Logits times = logits_;
    times.schedule.clear();
    StatusOr<std::vector<SimulatedPlan>> step =
        SimulatePlans(graph_, machine_, {plan}, times, options_,
                      SimulatorOptions(), 1, false);
    EXPECT_TRUE(step.ok()) << step.status().message();
    return step.ok() ? step.value()[0].simulation : Simulation();
  }

  SearchPlanTest() {
    options_.free_state = true;
    search_.max_plans = 60;
    search_.threads = 1;
    Parse(TwoTowers(6, 512));
  }

  Machine machine_ = TwoGpus();
  std::string bytes_;
  OpGraph graph_;
  Logits logits_;
  PlanOptions options_;
  SearchOptions search_;
  SearchTrace trace_;
};

TEST_F(SearchPlanTest, TwoTowersRunSideBySide) {
  const Plan plan = Search();
  EXPECT_LT(plan.micros_after, 0.65 * plan.micros_before);
  EXPECT_NE(plan.device[graph_.find("left0")],
            plan.device[graph_.find("right0")]);
  EXPECT_GT(plan.num_groups(), 0);
}

TEST_F(SearchPlanTest, APolicyThatFusesNothingIsNotTakenAtItsWord) {
  const double without_it = Search().micros_after;
  logits_.fusion.assign(graph_.num_ops(), 0.0f);
  const Plan plan = Search();
  EXPECT_GT(plan.num_groups(), 0);
  EXPECT_LT(plan.micros_after, 1.02 * without_it);
}

TEST_F(SearchPlanTest, TheFirstPlanAfterNothingFusesWhatThePolicyWould) {
  search_.max_plans = 2;
  PutTowersApart();
  logits_.fusion.assign(graph_.num_ops(), 0.0f);
  for (const char* name : {"left0_tanh", "left0_neg"}) {
    logits_.fusion[graph_.find(name)] = 1.0f;
  }
  const Plan plan = Search();
  ASSERT_EQ(plan.num_groups(), 1);
  const std::vector<int32_t>& group = plan.fusion_group;
  EXPECT_EQ(group[graph_.find("left0_tanh")], group[graph_.find("left0_neg")]);
  EXPECT_GE(group[graph_.find("left0_neg")], 0);
  EXPECT_EQ(group[graph_.find("left1_neg")], -1);
}

TEST_F(SearchPlanTest, WhatIsPredictedIsWhatTheSimulatorSaysOfThePlan) {
  const Plan plan = Search();
  const Simulation step = Simulate(plan);
  EXPECT_NEAR(step.micros, plan.micros_after, 1e-6 * step.micros);
  int64_t peak = 0;
  for (const DeviceUse& use : step.devices) {
    peak = std::max(peak, use.peak_bytes);
  }
  EXPECT_EQ(peak, plan.peak_bytes_after);
}

TEST_F(SearchPlanTest, TheTraceCountsWhatWasSimulated) {
  Search();
  EXPECT_LE(trace_.plans, search_.max_plans);
  EXPECT_GT(trace_.plans, search_.max_plans / 2);
  ASSERT_FALSE(trace_.best.empty());
  EXPECT_EQ(trace_.best[0].plans, 1);
  EXPECT_EQ(trace_.best[0].maker, "do nothing");
  for (size_t k = 1; k < trace_.best.size(); ++k) {
    EXPECT_LT(trace_.best[k].micros, trace_.best[k - 1].micros);
    EXPECT_GE(trace_.best[k].plans, trace_.best[k - 1].plans);
  }
}

TEST_F(SearchPlanTest, TheSamePlanForASeedWhateverTheThreads) {
  for (uint64_t seed : {0u, 7u}) {
    search_.seed = seed;
    search_.threads = 1;
    const std::string one = PlanToJson(Search(), &graph_);
    search_.threads = 4;
    EXPECT_EQ(PlanToJson(Search(), &graph_), one);
  }
}

TEST_F(SearchPlanTest, ItIsNeverWorseThanDoingNothing) {
  std::mt19937 random(3);
  for (int round = 0; round < 20; ++round) {
    RandomGraphOptions options;
    options.num_ops = 40;
    Parse(RandomGraphDef(options, &random));
    options_.free_state = round % 2 == 0;
    logits_.device.clear();
    for (int32_t k = 0; k < graph_.num_ops() * logits_.num_devices; ++k) {
      logits_.device.push_back(static_cast<float>(random() % 5));
    }
    logits_.fusion.assign(graph_.num_ops(), 1.0f);
    search_.max_plans = 1 + static_cast<int32_t>(random() % 40);
    search_.seed = random();
    const Plan plan = Search();
    EXPECT_LE(plan.micros_after, plan.micros_before);
    EXPECT_NEAR(Simulate(plan).micros, plan.micros_after,
                1e-6 * plan.micros_after);
  }
}

TEST_F(SearchPlanTest, WithoutABudgetNothingIsDecided) {
  search_.max_plans = 0;
  const Plan plan = Search();
  EXPECT_EQ(trace_.plans, 0);
  EXPECT_EQ(plan.num_groups(), 0);
  EXPECT_EQ(plan.micros_after, 0);
}

TEST_F(SearchPlanTest, WithABudgetOfOneNothingIsDone) {
  search_.max_plans = 1;
  const Plan plan = Search();
  EXPECT_EQ(trace_.plans, 1);
  EXPECT_EQ(plan.micros_after, plan.micros_before);
}

TEST_F(SearchPlanTest, TimeEndsItToo) {
  search_.max_plans = 1'000'000'000;
  search_.budget_ms = 30;
  const Plan plan = Search();
  EXPECT_LE(plan.micros_after, plan.micros_before);
  EXPECT_LT(trace_.plans, 1'000'000);
}

TEST_F(SearchPlanTest, WhatFitsIntoMemoryWinsOverWhatIsFast) {
  search_.max_plans = 120;
  const Plan fast = Search();
  machine_.devices[0].memory_bytes = machine_.devices[1].memory_bytes =
      fast.peak_bytes_before - 1;
  const Plan plan = Search();
  EXPECT_FALSE(Simulate(plan).out_of_memory);
  EXPECT_LE(plan.peak_bytes_after, machine_.devices[0].memory_bytes);
}

TEST_F(SearchPlanTest, WhatIsSwitchedOffIsNotDecided) {
  options_.fusion = options_.memory = false;
  search_.schedule = false;
  const Plan plan = Search();
  EXPECT_TRUE(plan.fusion_group.empty());
  EXPECT_TRUE(plan.recompute.empty());
  EXPECT_TRUE(plan.priority.empty());
  EXPECT_GT(plan.num_moved(), 0);
  options_.device = false;
  options_.fusion = true;
  const Plan fused = Search();
  for (int32_t i = 0; i < graph_.num_ops(); ++i) {
    EXPECT_LE(fused.device[i], 0) << graph_.name(i);
  }
  EXPECT_GT(fused.num_groups(), 0);
}

// The policy puts the towers apart, which is right; with one plan beside doing
// nothing there is no other way to find that.
TEST_F(SearchPlanTest, ItBeginsWithWhatThePolicySays) {
  PutTowersApart();
  search_.max_plans = 2;
  const Plan plan = Search();
  EXPECT_EQ(trace_.best.back().maker, "policy's cut");
  EXPECT_EQ(plan.device[graph_.find("right3")], 1);
  EXPECT_EQ(plan.device[graph_.find("left3")], 0);
}

// All on one device is about twice as slow as the towers apart: what the policy
// says is tried, and then left.
TEST_F(SearchPlanTest, APolicyThatIsFarBehindIsNotAskedAgain) {
  logits_.device.assign(graph_.num_ops() * 3, 0.0f);
  for (int32_t i = 0; i < graph_.num_ops(); ++i) logits_.device[3 * i] = 99.0f;
  search_.max_plans = 120;
  const Plan plan = Search();
  EXPECT_EQ(trace_.policy_samples, 0);
  EXPECT_LT(plan.micros_after, 0.8 * plan.micros_before);
}

// A program's variables, and what is on no device of the machine, stay.
TEST_F(SearchPlanTest, AProgramKeepsWhatItsPlansMayNotMove) {
  GraphBuilder builder;
  builder.VarArg("v", {64, 64})
      .Arg("x", {64, 64})
      .Node("read", "ReadVariableOp", {"v"}, {{"dtype", TypeAttrValue(kFloat)}},
            DeviceName("CPU", 0))
      .Node("there", "Tanh", {"x"}, kT,
            "/job:other/replica:0/task:0/device:CPU:0");
  std::string below = "read";
  for (int k = 0; k < 6; ++k) {
    const std::string at = "p" + std::to_string(k);
    builder.Node(at, "MatMul", {below, "there"}, kT, DeviceName("CPU", 0));
    below = at;
  }
  machine_ = Machine();
  for (int k = 0; k < 2; ++k) {
    Device& device = machine_.devices.emplace_back();
    device.name = DeviceName("CPU", k);
    device.type = "CPU";
    device.gflops = k == 0 ? 1 : 1000;  // moving pays
  }
  Parse(builder.Retval("out", below).Build());
  options_.free_state = false;
  const Plan plan = Search();
  EXPECT_EQ(plan.device[graph_.find("read")], -1);
  EXPECT_EQ(plan.device[graph_.find("there")], -1);
  EXPECT_EQ(plan.device[graph_.find("p3")], 1);
  EXPECT_TRUE(plan.priority.empty());
  EXPECT_TRUE(CheckAppliesToPrograms(plan).ok());
}

TEST_F(SearchPlanTest, LogitsOfAnotherShapeAreAnError) {
  logits_.device.assign(5, 0.0f);
  EXPECT_FALSE(
      SearchPlan(graph_, machine_, logits_, options_, search_, nullptr).ok());
}

TEST_F(SearchPlanTest, AnEmptyGraphHasAnEmptyPlan) {
  Parse("");
  EXPECT_TRUE(Search().empty());
}

}  // namespace
}  // namespace grappler_go
