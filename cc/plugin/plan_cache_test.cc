#include "cc/plugin/plan_cache.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "cc/graph/wire.h"
#include "cc/plugin/optimize.h"
#include "cc/policy/policy.h"
#include "cc/testing/graph_builder.h"

namespace grappler_go {
namespace {

namespace fs = std::filesystem;

constexpr char kCpu[] = "/job:localhost/replica:0/task:0/device:CPU:0";

std::string Chain(const std::string& device = kCpu) {
  GraphBuilder builder;
  builder.Arg("x", {256, 256});
  std::string last = "x";
  for (int i = 0; i < 40; ++i) {
    const std::string name = "op_" + std::to_string(i);
    builder.Node(name, i % 2 == 0 ? "Tanh" : "Neg", {last},
                 {{"T", TypeAttrValue(kFloat)}}, device);
    last = name;
  }
  return builder.Retval("y", last).Build();
}

class CountingPolicy : public Policy {
 public:
  std::string name() const override { return "counting"; }
  StatusOr<Decision> Decide(const PolicyInput&) override {
    ++times_asked;
    return Decision();
  }
  int times_asked = 0;
};

class PlanCacheTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = ::testing::TempDir() + "/plans_" +
              ::testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    bytes_ = Chain();
    ParseOptions options;
    options.fetches = {"y"};
    StatusOr<OpGraph> graph = OpGraph::Parse(bytes_, options);
    ASSERT_TRUE(graph.ok());
    graph_ = std::move(*graph);
    key_ = MakePlanCacheKey(graph_, Machine());
    plan_.fingerprint = graph_.fingerprint();
    plan_.num_ops = graph_.num_ops();
    plan_.policy = "tuned";
    plan_.fusion_group.assign(plan_.num_ops, -1);
    for (int i = 0; i < 40; ++i) {
      plan_.fusion_group[graph_.find("op_" + std::to_string(i))] = 0;
    }
    config_.enabled = true;
    config_.policy = policy_;
    config_.budget_ms = 20000;
    config_.plan_folders = {folder_};
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string Entry(const std::string& verdict = "plan",
                    const std::string& version = "1.0") const {
    std::string devices;
    for (const std::string& device : key_.devices) {
      devices += (devices.empty() ? "\"" : ", \"") + device + "\"";
    }
    return "{\"format\": \"grappler-go-tuned\", \"version\": \"" + version +
           "\", \"key\": {\"graph\": \"" + key_.graph + "\", \"cpu\": \"" +
           key_.cpu + "\", \"cores\": " + std::to_string(key_.cores) +
           ", \"devices\": [" + devices + "], \"tensorflow\": \"" +
           key_.tensorflow + "\"}, \"verdict\": \"" + verdict +
           "\", \"measured\": {\"default_ms\": 12.5, \"plan_ms\": 10.0}, "
           "\"plan\": " +
           (verdict == "plan" ? PlanToJson(plan_, nullptr) : "null") + "}";
  }
  void Write(const std::string& text) {
    std::ofstream(folder_ + "/" + key_.FileName()) << text;
  }
  OptimizeResult Optimize() const {
    OptimizeInput input;
    input.graphdef = bytes_;
    input.fetches = {"y"};
    return OptimizeGraph(input, config_);
  }
  // The entry is passed over, a note says why, and the policy is asked.
  void ExpectPassedOver(const std::string& part) {
    const int before = policy_->times_asked;
    const OptimizeResult result = Optimize();
    EXPECT_FALSE(result.applied);
    EXPECT_EQ(policy_->times_asked, before + 1);
    ASSERT_EQ(result.report.notes.size(), 1u);
    EXPECT_NE(result.report.notes[0].find(part), std::string::npos)
        << result.report.notes[0];
    EXPECT_NE(result.report.notes[0].find(folder_), std::string::npos);
  }

  std::string folder_, bytes_;
  OpGraph graph_;
  PlanCacheKey key_;
  Plan plan_;
  std::shared_ptr<CountingPolicy> policy_ = std::make_shared<CountingPolicy>();
  Config config_;
};

TEST_F(PlanCacheTest, AMeasuredPlanIsAppliedWithoutAskingThePolicy) {
  Write(Entry());
  const OptimizeResult result = Optimize();
  EXPECT_TRUE(result.applied) << result.report.outcome;
  EXPECT_EQ(result.report.groups, 1);
  EXPECT_EQ(result.report.policy, "tuned");
  EXPECT_EQ(policy_->times_asked, 0);
  ASSERT_EQ(result.report.notes.size(), 1u);
  EXPECT_NE(result.report.notes[0].find("10 ms"), std::string::npos);
}

TEST_F(PlanCacheTest, WhereTheDefaultWasBestTheGraphIsLeftAlone) {
  Write(Entry("default"));
  const OptimizeResult result = Optimize();
  EXPECT_FALSE(result.applied);
  EXPECT_EQ(policy_->times_asked, 0);
  EXPECT_NE(result.report.outcome.find("TensorFlow's default is best"),
            std::string::npos);
}

TEST_F(PlanCacheTest, WithoutAnEntryThePolicyIsAskedAndNothingIsSaid) {
  config_.plan_folders.push_back(folder_ + "/is_not_there");
  const OptimizeResult result = Optimize();
  EXPECT_EQ(policy_->times_asked, 1);
  EXPECT_TRUE(result.report.notes.empty());
}

TEST_F(PlanCacheTest, TheFirstFolderThatHasAnEntryCounts) {
  config_.plan_folders = {folder_ + "/empty", folder_};
  Write(Entry());
  EXPECT_TRUE(Optimize().applied);
}

TEST_F(PlanCacheTest, ACorruptFileIsPassedOver) {
  const std::string whole = Entry();
  Write("");
  ExpectPassedOver("JSON");
  for (size_t size : {size_t{1}, whole.size() / 2, whole.size() - 1}) {
    Write(whole.substr(0, size));
    ExpectPassedOver("JSON");
  }
  Write("[1, 2]");
  ExpectPassedOver("format");
  Write("{\"format\": 3}");
  ExpectPassedOver("JSON");
  Write(Entry("perhaps"));
  ExpectPassedOver("verdict");
}

TEST_F(PlanCacheTest, AnotherMajorVersionIsPassedOver) {
  Write(Entry("plan", "2.0"));
  ExpectPassedOver("version \"2.0\"");
  Write(Entry("plan", "10.0"));
  ExpectPassedOver("version \"10.0\"");
  Write(Entry("plan", "1.7"));
  EXPECT_TRUE(Optimize().applied);
}

TEST_F(PlanCacheTest, AnEntryOfAnotherMachineUnderThisNameIsPassedOver) {
  const std::string name = key_.FileName();
  const PlanCacheKey here = key_;
  const auto write_as = [&](const PlanCacheKey& key) {
    key_ = key;
    std::ofstream(folder_ + "/" + name) << Entry();
    EXPECT_NE(key_.FileName(), name);
    key_ = here;
  };
  PlanCacheKey other = here;
  other.cpu = "another";
  write_as(other);
  ExpectPassedOver("\"cpu\" is another");
  other = here;
  other.cores += 1;
  write_as(other);
  ExpectPassedOver("\"cores\" is another");
  other = here;
  other.devices = {"CPU:7"};
  write_as(other);
  ExpectPassedOver("\"devices\" is another");
  other = here;
  other.tensorflow = "2.99.0";
  write_as(other);
  ExpectPassedOver("\"tensorflow\" is another");
  other = here;
  other.graph += "1";
  write_as(other);
  ExpectPassedOver("\"graph\" is another");
}

TEST_F(PlanCacheTest, APlanThatDoesNotFitTheGraphIsPassedOver) {
  plan_.fusion_group[graph_.find("x")] = 0;
  Write(Entry());
  ExpectPassedOver("is not used");
}

TEST_F(PlanCacheTest, WhatIsNotAFileIsPassedOver) {
  fs::create_directories(folder_ + "/" + key_.FileName());
  ExpectPassedOver("is not a file");
  fs::remove_all(folder_ + "/" + key_.FileName());
  ASSERT_EQ(mkfifo((folder_ + "/" + key_.FileName()).c_str(), 0600), 0);
  ExpectPassedOver("is not a file");
}

TEST_F(PlanCacheTest, IsNotAskedWhereFusionIsNotWantedOrMemoryIsShort) {
  Write(Entry());
  config_.plan.fusion = false;
  EXPECT_FALSE(Optimize().applied);
  config_.plan.fusion = true;
  config_.plan.memory_limit = 1'000'000;
  EXPECT_FALSE(Optimize().applied);
  EXPECT_EQ(policy_->times_asked, 2);
}

TEST_F(PlanCacheTest, TheKeyTellsDevicesApart) {
  Machine two;
  two.devices.resize(2);
  two.devices[0].name = "CPU:1";
  two.devices[1].name = "CPU:0";
  const PlanCacheKey key = MakePlanCacheKey(graph_, two);
  EXPECT_EQ(key.devices, (std::vector<std::string>{"CPU:0", "CPU:1"}));
  EXPECT_NE(key.FileName(), key_.FileName());
  const std::string moved =
      Chain("/job:localhost/replica:0/task:0/device:CPU:1");
  StatusOr<OpGraph> graph = OpGraph::Parse(moved, {});
  ASSERT_TRUE(graph.ok());
  EXPECT_NE(DecisionKey(*graph), key_.graph);
  EXPECT_EQ(graph->fingerprint(), graph_.fingerprint());
}

TEST(DefaultPlanFolders, ComeFromTheEnvironment) {
  setenv("GRAPPLER_GO_PLANS", "/a:/b", 1);
  EXPECT_EQ(DefaultPlanFolders(), (std::vector<std::string>{"/a", "/b"}));
  setenv("GRAPPLER_GO_PLANS", "0", 1);
  EXPECT_TRUE(DefaultPlanFolders().empty());
  unsetenv("GRAPPLER_GO_PLANS");
  setenv("XDG_CACHE_HOME", "/cache", 1);
  EXPECT_EQ(DefaultPlanFolders(),
            std::vector<std::string>{"/cache/grappler-go/plans"});
  unsetenv("XDG_CACHE_HOME");
}

}  // namespace
}  // namespace grappler_go
