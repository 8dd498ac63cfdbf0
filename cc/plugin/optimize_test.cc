#include "cc/plugin/optimize.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <functional>
#include <limits>
#include <thread>

#include "cc/graph/wire.h"
#include "cc/plugin/capture.h"
#include "cc/policy/plan_policy.h"
#include "cc/testing/graph_builder.h"

namespace grappler_go {
namespace {

constexpr char kCpu[] = "/job:localhost/replica:0/task:0/device:CPU:0";

// x -> tanh -> neg -> tanh ... -> y, all on one device.
std::string Chain(int length, const std::string& prefix = "op") {
  GraphBuilder builder;
  builder.Arg("x", {256, 256});
  std::string last = "x";
  for (int i = 0; i < length; ++i) {
    const std::string name = prefix + "_" + std::to_string(i);
    builder.Node(name, i % 2 == 0 ? "Tanh" : "Neg", {last},
                 {{"T", TypeAttrValue(kFloat)}}, kCpu);
    last = name;
  }
  return builder.Retval("y", last).Build();
}

class FunctionPolicy : public Policy {
 public:
  using Function = std::function<StatusOr<Decision>(const PolicyInput&)>;
  explicit FunctionPolicy(Function function) : function_(std::move(function)) {}
  std::string name() const override { return "test"; }
  StatusOr<Decision> Decide(const PolicyInput& input) override {
    ++times_asked;
    return function_(input);
  }
  std::atomic<int> times_asked{0};

 private:
  Function function_;
};

// Everything into clusters, which are said to be a hundred times faster.
Decision FuseAll(const PolicyInput& input) {
  const size_t n = static_cast<size_t>(input.graph.num_ops());
  Decision decision;
  Logits& logits = decision.logits.emplace();
  logits.num_ops = static_cast<int32_t>(n);
  logits.num_devices = static_cast<int32_t>(input.machine.devices.size());
  logits.fusion.assign(n, 1.0f);
  logits.op_micros.assign(n, 1000.0f);
  logits.fused_micros.assign(n, 10.0f);
  return decision;
}

Config ConfigWith(std::shared_ptr<Policy> policy) {
  Config config;
  config.enabled = true;
  config.policy = std::move(policy);
  // Sanitizers are slow, and so is a busy machine.
  config.budget_ms = 20000;
  return config;
}

// As in a function that is called with another shape each time.
std::string ChainOf(int64_t rows, int length = 30) {
  GraphBuilder builder;
  builder.Arg("x", {rows, 256});
  std::string last = "x";
  for (int i = 0; i < length; ++i) {
    const std::string name = "layer/Tanh_" + std::to_string(i);
    builder.Node(name, "Tanh", {last}, {{"T", TypeAttrValue(kFloat)}}, kCpu);
    last = name;
  }
  return builder.Retval("y", last).Build();
}

Config ConfigWith(FunctionPolicy::Function function) {
  return ConfigWith(std::make_shared<FunctionPolicy>(std::move(function)));
}

OptimizeResult Optimize(const std::string& graph, const Config& config) {
  OptimizeInput input;
  input.graphdef = graph;
  input.fetches = {"y"};
  return OptimizeGraph(input, config);
}

// The graph is left alone, and `part` says why.
void ExpectLeftAlone(const Config& config, const std::string& part,
                     const std::string& graph = Chain(40)) {
  const OptimizeResult result = Optimize(graph, config);
  EXPECT_FALSE(result.applied);
  EXPECT_FALSE(result.report.applied);
  EXPECT_TRUE(result.graphdef.empty());
  EXPECT_NE(result.report.outcome.find(part), std::string::npos)
      << result.report.outcome;
}

TEST(OptimizeGraph, AppliesWhatThePolicyDecides) {
  const OptimizeResult result = Optimize(Chain(40), ConfigWith(FuseAll));
  ASSERT_EQ(result.report.outcome, "applied");
  EXPECT_TRUE(result.applied);
  EXPECT_GE(result.report.groups, 1);
  EXPECT_GE(result.report.grouped_ops, 40);
  EXPECT_EQ(result.report.num_nodes, 42);
  EXPECT_EQ(result.report.policy, "test");
  EXPECT_EQ(result.report.fetches, std::vector<std::string>{"y"});
  for (const char* phase :
       {"parse", "features", "policy", "plan", "rewrite", "verify"}) {
    EXPECT_EQ(result.report.timing_ms.count(phase), 1u) << phase;
  }
  EXPECT_NE(result.graphdef.find("_XlaScope"), std::string::npos);
}

// A session's fetches are tensors.
TEST(OptimizeGraph, KnowsAFetchByTheNameOfItsTensor) {
  const auto policy =
      std::make_shared<FunctionPolicy>([](const PolicyInput& in) {
        const int32_t op = in.graph.find("op_20");
        EXPECT_TRUE(in.graph.has(op, kPreserved));
        return FuseAll(in);
      });
  const std::string graph = Chain(40);
  OptimizeInput input;
  input.graphdef = graph;
  input.fetches = {"op_20:0"};
  OptimizeGraph(input, ConfigWith(policy));
  EXPECT_EQ(policy->times_asked, 1);
}

TEST(OptimizeGraph, LeavesItsOwnResultAlone) {
  const Config config = ConfigWith(FuseAll);
  const OptimizeResult result = Optimize(Chain(40), config);
  ASSERT_TRUE(result.applied);
  ExpectLeftAlone(config, "already optimized", result.graphdef);
}

TEST(OptimizeGraph, LeavesASmallGraphAloneWithoutAskingThePolicy) {
  const auto policy = std::make_shared<FunctionPolicy>(FuseAll);
  ExpectLeftAlone(ConfigWith(policy), "smaller than min_ops", Chain(5));
  ExpectLeftAlone(ConfigWith(policy), "smaller than min_ops", "");
  EXPECT_EQ(policy->times_asked, 0);
}

TEST(OptimizeGraph, LeavesBrokenBytesAlone) {
  Config config = ConfigWith(FuseAll);
  config.min_ops = 0;
  const std::string graph = Chain(40);
  for (size_t size = 1; size < graph.size(); size += 7) {
    const std::string cut(graph.data(), size);
    const OptimizeResult result = Optimize(cut, config);
    EXPECT_FALSE(result.applied && result.graphdef.empty());
  }
  ExpectLeftAlone(config, "graph cannot be read", "\x0a\xff\xff\xff\xff");
}

TEST(OptimizeGraph, SaysThatThereIsNoPolicy) {
  ExpectLeftAlone(ConfigWith(std::shared_ptr<Policy>()), "no policy");
}

TEST(OptimizeGraph, LeavesTheGraphAloneWhenThePolicyFails) {
  ExpectLeftAlone(ConfigWith([](const PolicyInput&) -> StatusOr<Decision> {
                    return Unavailable("policy is out to lunch");
                  }),
                  "policy is out to lunch");
  ExpectLeftAlone(ConfigWith([](const PolicyInput&) -> StatusOr<Decision> {
                    throw std::runtime_error("thrown");
                  }),
                  "thrown");
  ExpectLeftAlone(ConfigWith([](const PolicyInput&) { return Decision(); }),
                  "policy decided nothing");
}

TEST(OptimizeGraph, LeavesTheGraphAloneWhenThePolicyAnswersNonsense) {
  ExpectLeftAlone(ConfigWith([](const PolicyInput& input) {
                    Decision decision = FuseAll(input);
                    decision.logits->fusion[3] = std::nanf("");
                    return decision;
                  }),
                  "policy's answer cannot be used");
  ExpectLeftAlone(ConfigWith([](const PolicyInput& input) {
                    Decision decision = FuseAll(input);
                    decision.logits->fusion.pop_back();
                    return decision;
                  }),
                  "fusion");
}

TEST(OptimizeGraph, LeavesTheGraphAloneWhenThePolicyHangs) {
  const auto finished = std::make_shared<std::atomic<bool>>(false);
  Config config = ConfigWith([finished](const PolicyInput& input) {
    std::this_thread::sleep_for(std::chrono::milliseconds(900));
    Decision decision = FuseAll(input);
    *finished = true;
    return decision;
  });
  config.budget_ms = 300;
  const auto begin = std::chrono::steady_clock::now();
  ExpectLeftAlone(config, "policy ran past the deadline");
  EXPECT_FALSE(*finished);
  EXPECT_LT(std::chrono::steady_clock::now() - begin,
            std::chrono::milliseconds(850));
  while (!*finished) std::this_thread::yield();
}

TEST(OptimizeGraph, LeavesAGraphAloneThatAPlanWasNotMadeFor) {
  const OptimizeResult result = Optimize(Chain(40), ConfigWith(FuseAll));
  ASSERT_TRUE(result.applied);
  const Config planned = ConfigWith(MakePlanPolicy(result.plan));
  EXPECT_TRUE(Optimize(Chain(40), planned).applied);
  EXPECT_TRUE(Optimize(Chain(40, "renamed"), planned).applied);
  ExpectLeftAlone(planned, "plan is for another graph", Chain(41));
}

TEST(OptimizeGraph, LeavesAGraphAloneWhosePlanIsForSimulationsOnly) {
  OptimizeResult result = Optimize(Chain(40), ConfigWith(FuseAll));
  ASSERT_TRUE(result.applied);
  result.plan.free_state = true;
  ExpectLeftAlone(ConfigWith(MakePlanPolicy(result.plan)),
                  "plan is for simulations only", Chain(40));
}

TEST(OptimizeGraph, LeavesAGraphAloneWhosePlanNamesAnotherOfTheSameSize) {
  const Config config = ConfigWith([](const PolicyInput& input) {
    Decision decision;
    Plan& plan = decision.plan.emplace();
    plan.fingerprint = input.graph.fingerprint();
    plan.fingerprint.lo ^= 1;
    plan.num_ops = input.graph.num_ops();
    plan.fusion_group.assign(plan.num_ops, -1);
    plan.fusion_group[5] = plan.fusion_group[6] = 0;
    return decision;
  });
  EXPECT_EQ(Optimize(Chain(40), config).report.outcome,
            "plan is for another graph");
}

TEST(OptimizeGraph, LeavesTheGraphAloneOnceTheBudgetIsSpent) {
  Config config = ConfigWith(FuseAll);
  config.budget_ms = 0;
  ExpectLeftAlone(config, "ran past budget_ms in features");
}

TEST(OptimizeGraph, RefusesAPlanThatDoesNotFit) {
  ExpectLeftAlone(ConfigWith([](const PolicyInput& input) {
                    Decision decision;
                    Plan& plan = decision.plan.emplace();
                    plan.fingerprint = input.graph.fingerprint();
                    plan.num_ops = input.graph.num_ops();
                    plan.devices = {kCpu};
                    plan.device.assign(plan.num_ops, -1);
                    plan.device[5] = 7;
                    return decision;
                  }),
                  "plan does not fit the graph");
}

TEST(OptimizeGraph, RefusesADeviceThatDoesNotExist) {
  ExpectLeftAlone(
      ConfigWith([](const PolicyInput& input) {
        Decision decision;
        Plan& plan = decision.plan.emplace();
        plan.fingerprint = input.graph.fingerprint();
        plan.num_ops = input.graph.num_ops();
        plan.devices = {"/job:localhost/replica:0/task:0/device:CPU:9"};
        plan.device.assign(plan.num_ops, -1);
        plan.device[5] = 0;
        return decision;
      }),
      "refused by the verifier");
}

// A machine that lacks the device which the graph is on.
Config ConfigWithOtherDevice(const std::string& device,
                             FunctionPolicy::Function function) {
  Config config = ConfigWith(std::move(function));
  config.machine.name = "other";
  config.machine.devices.resize(1);
  config.machine.devices[0].name = device;
  config.machine.devices[0].type = "CPU";
  return config;
}

TEST(OptimizeGraph, AGraphMayUseDevicesThatTheMachineLacks) {
  const std::string cpu1 = "/job:localhost/replica:0/task:0/device:CPU:1";
  const std::string cpu2 = "/job:localhost/replica:0/task:0/device:CPU:2";
  EXPECT_EQ(
      Optimize(Chain(40), ConfigWithOtherDevice(cpu1, FuseAll)).report.outcome,
      "applied");
  // Either device's, but no other one's, is a place for an op of a plan.
  const std::string graph = GraphBuilder()
                                .Arg("x", {256, 256})
                                .Node("on_0", "Tanh", {"x"}, {}, kCpu)
                                .Node("moved", "Neg", {"on_0"}, {}, cpu2)
                                .Retval("y", "moved")
                                .Build();
  const auto move_to = [&](const std::string& device) {
    Config config =
        ConfigWithOtherDevice(cpu1, [device](const PolicyInput& input) {
          Decision decision;
          Plan& plan = decision.plan.emplace();
          plan.fingerprint = input.graph.fingerprint();
          plan.num_ops = input.graph.num_ops();
          plan.devices = {device};
          plan.device.assign(plan.num_ops, -1);
          plan.device[input.graph.find("moved")] = 0;
          return decision;
        });
    config.min_ops = 1;
    return Optimize(graph, config).report.outcome;
  };
  EXPECT_EQ(move_to(kCpu), "applied");
  EXPECT_EQ(move_to(cpu1), "applied");
  EXPECT_NE(move_to("/job:localhost/replica:0/task:0/device:CPU:3")
                .find("CPU:3 does not exist"),
            std::string::npos);
}

TEST(OptimizeGraph, AMachineThatNobodyHasSeenIsRefusedWhereItsKindIsNotInUse) {
  Config config = ConfigWith(FuseAll);
  config.devices_exist = false;
  config.machine.name = "p100x1";
  config.machine.devices.resize(2);
  config.machine.devices[0].name =
      "/job:localhost/replica:0/task:0/device:GPU:0";
  config.machine.devices[0].type = "GPU";
  config.machine.devices[1].name = kCpu;
  config.machine.devices[1].type = "CPU";
  ExpectLeftAlone(config, "this graph is on no GPU");
  // One whose devices have been looked for is believed.
  config.devices_exist = true;
  EXPECT_EQ(Optimize(Chain(40), config).report.outcome, "applied");
  // So is another CPU: a plan that moves an op there is refused by itself.
  config.devices_exist = false;
  config.machine.devices[0].name =
      "/job:localhost/replica:0/task:0/device:CPU:1";
  config.machine.devices[0].type = "CPU";
  EXPECT_EQ(Optimize(Chain(40), config).report.outcome, "applied");
}

// Two devices, of which the policy wants the second for everything.
Config ConfigWithFasterDevice(double gflops) {
  Config config = ConfigWith([](const PolicyInput& input) {
    Decision decision;
    Logits& logits = decision.logits.emplace();
    logits.num_ops = input.graph.num_ops();
    logits.num_devices = 2;
    for (int32_t i = 0; i < logits.num_ops; ++i) {
      logits.device.insert(logits.device.end(), {0.0f, 1.0f});
    }
    return decision;
  });
  config.machine.name = "two";
  config.machine.devices.resize(2);
  for (int k = 0; k < 2; ++k) {
    Device& device = config.machine.devices[k];
    device.name =
        "/job:localhost/replica:0/task:0/device:CPU:" + std::to_string(k);
    device.type = "CPU";
    device.gbytes_per_s = 1000;
  }
  config.machine.devices[0].gflops = 1;
  config.machine.devices[1].gflops = gflops;
  return config;
}

TEST(OptimizeGraph, SearchesWhereThereAreSeveralDevicesToChooseFrom) {
  const OptimizeResult faster =
      Optimize(Chain(40), ConfigWithFasterDevice(1000));
  EXPECT_EQ(faster.report.outcome, "applied");
  EXPECT_GT(faster.report.moved, 0);
  EXPECT_EQ(faster.report.timing_ms.count("search"), 1u);
  EXPECT_LT(faster.report.micros_after, 0.5 * faster.report.micros_before);
  EXPECT_NE(faster.why.summary.find("simulated plans"), std::string::npos);
  // What the policy wants is slower here, and nothing else is faster.
  const OptimizeResult slower =
      Optimize(Chain(40), ConfigWithFasterDevice(0.01));
  EXPECT_FALSE(slower.applied);
  EXPECT_EQ(slower.report.timing_ms.count("search"), 1u);
}

TEST(OptimizeGraph, OneDeviceIsSearchedOnlyWhenAskedFor) {
  Config config = ConfigWith(FuseAll);
  OptimizeResult result = Optimize(Chain(40), config);
  ASSERT_TRUE(result.applied);
  EXPECT_EQ(result.report.timing_ms.count("search"), 0u);
  config.search_ms = 50;
  result = Optimize(Chain(40), config);
  EXPECT_EQ(result.report.outcome, "applied");
  EXPECT_EQ(result.report.timing_ms.count("search"), 1u);
  EXPECT_GE(result.report.groups, 1);
}

TEST(OptimizeGraph, LeavesAGraphAloneThatGainsTooLittle) {
  Config config = ConfigWith(FuseAll);
  config.plan.min_gain = 0.9999;
  const OptimizeResult result = Optimize(Chain(40), config);
  EXPECT_FALSE(result.applied);
}

// Everything into clusters, which are said to be no faster.
Decision FuseAllInVain(const PolicyInput& input) {
  Decision decision = FuseAll(input);
  decision.logits->fused_micros = decision.logits->op_micros;
  return decision;
}

TEST(OptimizeGraph, OnTrialAPlanNeedNotGain) {
  Config config = ConfigWith(FuseAllInVain);
  config.decisions = std::make_shared<DecisionCache>();
  EXPECT_FALSE(Optimize(Chain(40), config).applied);
  Config on_trial = config;
  on_trial.plan.on_trial = true;
  const OptimizeResult result = Optimize(Chain(40), on_trial);
  EXPECT_EQ(result.report.outcome, "applied");
  ASSERT_FALSE(result.report.notes.empty());
  EXPECT_EQ(result.report.notes.back().rfind("on trial: predicted gain", 0), 0u)
      << result.report.notes.back();
  // What was decided for a trial is for trials.
  EXPECT_FALSE(Optimize(Chain(40), config).applied);
}

TEST(OptimizeGraph, AsksThePolicyOnceForTheSameGraph) {
  const auto policy = std::make_shared<FunctionPolicy>(FuseAll);
  Config config = ConfigWith(policy);
  config.decisions = std::make_shared<DecisionCache>();
  EXPECT_TRUE(Optimize(Chain(40), config).applied);
  EXPECT_TRUE(Optimize(Chain(40, "renamed"), config).applied);
  EXPECT_EQ(policy->times_asked, 1);
  EXPECT_TRUE(Optimize(Chain(42), config).applied);
  EXPECT_EQ(policy->times_asked, 2);
}

TEST(OptimizeGraph, TheCacheKnowsWhatMustBePreserved) {
  const auto policy = std::make_shared<FunctionPolicy>(FuseAll);
  Config config = ConfigWith(policy);
  config.decisions = std::make_shared<DecisionCache>();
  const std::string graph = Chain(40);
  OptimizeInput input;
  input.graphdef = graph;
  OptimizeGraph(input, config);
  input.preserve = {"op_7"};
  OptimizeGraph(input, config);
  EXPECT_EQ(policy->times_asked, 2);
}

TEST(OptimizeGraph, CapturesAndRecordsWhatItSees) {
  const std::string folder = testing::TempDir() + "optimize_test_record";
  std::filesystem::remove_all(folder);
  Config config = ConfigWith(std::shared_ptr<Policy>());
  config.capture = true;
  config.record_dir = folder;
  TakeCaptured();
  const OptimizeResult result = Optimize(Chain(40), config);
  const std::vector<CapturedGraph> captured = TakeCaptured();
  ASSERT_EQ(captured.size(), 1u);
  EXPECT_EQ(captured[0].graphdef, Chain(40));
  EXPECT_EQ(captured[0].fetches, std::vector<std::string>{"y"});
  EXPECT_TRUE(std::filesystem::exists(
      folder + "/" + result.report.fingerprint.ToString() + ".pb"));
  std::filesystem::remove_all(folder);
}

TEST(OptimizeGraph, AFolderThatCannotBeWrittenIsANoteNotAFailure) {
  Config config = ConfigWith(FuseAll);
  config.record_dir = "/proc/no/such";
  const OptimizeResult result = Optimize(Chain(40), config);
  EXPECT_TRUE(result.applied);
  ASSERT_EQ(result.report.notes.size(), 1u);
  EXPECT_NE(result.report.notes[0].find("/proc/no/such"), std::string::npos);
}

TEST(OptimizeGraph, ServesThreadsAtOnce) {
  Config config = ConfigWith(FuseAll);
  config.decisions = std::make_shared<DecisionCache>();
  std::atomic<int> applied{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      if (Optimize(Chain(40 + i % 2), config).applied) ++applied;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(applied, 4);
}

TEST(CountNodes, StopsAtTheLimitAndAtBrokenBytes) {
  EXPECT_EQ(CountNodes(Chain(40), 1000), 42);
  EXPECT_EQ(CountNodes(Chain(40), 10), 10);
  EXPECT_EQ(CountNodes("\x0a\xff\xff", 10), 0);
}

TEST(Optimize, AFunctionThatComesWithOtherShapesEachTimeIsLeftAloneInTheEnd) {
  Config config = ConfigWith(FuseAll);
  config.shapes = std::make_shared<ShapeTracker>();
  config.max_shapes = 2;
  EXPECT_TRUE(Optimize(ChainOf(64), config).applied);
  EXPECT_TRUE(Optimize(ChainOf(65), config).applied);
  const OptimizeResult third = Optimize(ChainOf(66), config);
  EXPECT_FALSE(third.applied);
  EXPECT_EQ(third.report.outcome,
            "came with 2 other shapes: it would be compiled anew for each");
  // A loop that is unrolled more often is the same function.
  EXPECT_FALSE(Optimize(ChainOf(66, 40), config).applied);
  // Those that were compiled still are, and so is another function.
  EXPECT_TRUE(Optimize(ChainOf(64), config).applied);
  EXPECT_TRUE(Optimize(Chain(30), config).applied);
  EXPECT_FALSE(Optimize(ChainOf(66), config).applied);
}

TEST(Optimize, WithoutATrackerShapesAreNotCounted) {
  Config config = ConfigWith(FuseAll);
  config.max_shapes = 0;
  EXPECT_TRUE(Optimize(ChainOf(64), config).applied);
}

}  // namespace
}  // namespace grappler_go
