#include "cc/plugin/config.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "cc/plugin/freed_memory.h"
#include "cc/plugin/plan_cache.h"
#include "cc/policy/package_folder.h"
#include "cc/testing/at_once.h"

namespace grappler_go {
namespace {

class ConfigTest : public testing::Test {
 protected:
  void TearDown() override {
    for (const char* name :
         {"GRAPPLER_GO", "GRAPPLER_GO_POLICY", "GRAPPLER_GO_DEVICES",
          "GRAPPLER_GO_DECISIONS", "GRAPPLER_GO_MEMORY_LIMIT",
          "GRAPPLER_GO_BUDGET_MS", "GRAPPLER_GO_MIN_GAIN", "GRAPPLER_GO_RECORD",
          "GRAPPLER_GO_PLANS", "GRAPPLER_GO_COMPILE_BUDGET_S",
          "GRAPPLER_GO_KEEP_MEMORY"}) {
      unsetenv(name);
    }
    SetConfig(Config());
  }

  // The message must name the variable and show its value.
  void ExpectRefused(const char* name, const char* value) {
    setenv(name, value, 1);
    StatusOr<Config> config = ConfigFromEnvironment();
    ASSERT_FALSE(config.ok()) << name << "=" << value;
    EXPECT_EQ(config.status().code(), StatusCode::kInvalidArgument);
    EXPECT_NE(config.status().message().find(std::string(name) + "='" + value),
              std::string::npos)
        << config.status().message();
    unsetenv(name);
  }
};

TEST_F(ConfigTest, IsOffWhenTheEnvironmentSaysNothing) {
  StatusOr<Config> config = ConfigFromEnvironment();
  ASSERT_TRUE(config.ok());
  EXPECT_FALSE(config->enabled);
  EXPECT_FALSE(KilledByEnvironment());
}

TEST_F(ConfigTest, FreedMemoryIsKeptUnlessSomethingSpeaksAgainstIt) {
  Config config;
  EXPECT_FALSE(KeepsMemory(config)) << "not enabled";
  config.enabled = true;
  EXPECT_FALSE(KeepsMemory(config)) << "nobody decides";
  config.policy_spec = "default";
  EXPECT_TRUE(KeepsMemory(config));
  config.plan.memory_limit = 1;
  EXPECT_FALSE(KeepsMemory(config));
  config.plan.memory_limit = 0;
  config.plan.memory_fraction = 0.5;
  EXPECT_FALSE(KeepsMemory(config));
  config.plan.memory_fraction = 0;
  config.plan.memory = false;
  EXPECT_FALSE(KeepsMemory(config));
  config.plan.memory = true;
  config.keep_memory = false;
  EXPECT_FALSE(KeepsMemory(config));
}

TEST_F(ConfigTest, FreedMemoryIsGivenBackWhenTheUserSaysSo) {
  Config config;
  config.enabled = true;
  config.policy_spec = "default";
  KeepFreedMemory(true);
  const bool can_keep = KeepsFreedMemory();
  KeepFreedMemory(false);
  SetConfig(config);
  EXPECT_EQ(KeepsFreedMemory(), can_keep);
  config.keep_memory = false;
  SetConfig(config);
  EXPECT_FALSE(KeepsFreedMemory());
}

TEST_F(ConfigTest, ReadsEveryVariable) {
  setenv("GRAPPLER_GO", "1", 1);
  setenv("GRAPPLER_GO_POLICY", "python:my.module:policy", 1);
  setenv("GRAPPLER_GO_DEVICES",
         "/job:localhost/replica:0/task:0/device:CPU:0, "
         "/job:localhost/replica:0/task:0/device:GPU:1",
         1);
  setenv("GRAPPLER_GO_DECISIONS", "fusion,memory", 1);
  setenv("GRAPPLER_GO_MEMORY_LIMIT", "1.5GiB", 1);
  setenv("GRAPPLER_GO_BUDGET_MS", "750", 1);
  setenv("GRAPPLER_GO_MIN_GAIN", "0.1", 1);
  setenv("GRAPPLER_GO_RECORD", "/some/where", 1);
  setenv("GRAPPLER_GO_PLANS", "/plans:/team/plans", 1);
  setenv("GRAPPLER_GO_COMPILE_BUDGET_S", "7.5", 1);
  setenv("GRAPPLER_GO_KEEP_MEMORY", "0", 1);
  StatusOr<Config> config = ConfigFromEnvironment();
  ASSERT_TRUE(config.ok()) << config.status().message();
  EXPECT_TRUE(config->enabled);
  EXPECT_EQ(config->policy_spec, "python:my.module:policy");
  ASSERT_EQ(config->machine.devices.size(), 2u);
  EXPECT_EQ(config->machine.devices[1].type, "GPU");
  EXPECT_FALSE(config->devices_exist) << "nobody has looked whether they do";
  EXPECT_EQ(config->plan_folders,
            (std::vector<std::string>{"/plans", "/team/plans"}));
  EXPECT_EQ(config->plan.compile_budget_s, 7.5);
  EXPECT_FALSE(config->plan.device);
  EXPECT_TRUE(config->plan.fusion);
  EXPECT_TRUE(config->plan.memory);
  EXPECT_EQ(config->plan.memory_limit, int64_t{3} << 29);
  EXPECT_EQ(config->budget_ms, 750);
  EXPECT_DOUBLE_EQ(config->plan.min_gain, 0.1);
  EXPECT_EQ(config->record_dir, "/some/where");
  EXPECT_FALSE(config->keep_memory);
}

TEST_F(ConfigTest, AMemoryLimitMayBeAShareOfThePeak) {
  setenv("GRAPPLER_GO_MEMORY_LIMIT", "0.6", 1);
  StatusOr<Config> config = ConfigFromEnvironment();
  ASSERT_TRUE(config.ok()) << config.status().message();
  EXPECT_DOUBLE_EQ(config->plan.memory_fraction, 0.6);
  EXPECT_EQ(config->plan.memory_limit, 0);
}

TEST_F(ConfigTest, DevicesMayBeNamedInShort) {
  const std::pair<const char*, const char*> names[] = {
      {"CPU:1", "/job:localhost/replica:0/task:0/device:CPU:1"},
      {"/device:GPU:0", "/job:localhost/replica:0/task:0/device:GPU:0"},
      {"/job:worker/task:3/device:CPU:0",
       "/job:worker/replica:0/task:3/device:CPU:0"}};
  for (const auto& [name, full] : names) {
    setenv("GRAPPLER_GO_DEVICES", name, 1);
    StatusOr<Config> config = ConfigFromEnvironment();
    ASSERT_TRUE(config.ok()) << config.status().message();
    ASSERT_EQ(config->machine.devices.size(), 1u);
    EXPECT_EQ(config->machine.devices[0].name, full);
  }
  setenv("GRAPPLER_GO_DEVICES", "CPU:0, CPU:1", 1);
  EXPECT_EQ(ConfigFromEnvironment()->machine.devices[1].type, "CPU");
}

TEST_F(ConfigTest, AMachineMayBeAFileOrOneThatShips) {
  namespace fs = std::filesystem;
  Machine machine;
  machine.name = "two";
  machine.devices.resize(2);
  machine.devices[0].name = "/job:localhost/replica:0/task:0/device:CPU:0";
  machine.devices[1].name = "/job:localhost/replica:0/task:0/device:CPU:1";
  machine.devices[0].type = machine.devices[1].type = "CPU";
  const fs::path folder = fs::path(PackageFolder()) / "machines";
  std::error_code error;
  fs::create_directory(folder, error);
  if (error) GTEST_SKIP() << "in a sandbox: " << error.message();
  const fs::path ships = folder / "config_test.json";
  const fs::path file = fs::path(testing::TempDir()) / "a machine";
  for (const fs::path& path : {ships, file}) {
    std::ofstream(path) << MachineToJson(machine);
  }
  for (const std::string& value : {std::string("config_test"), file.string()}) {
    setenv("GRAPPLER_GO_DEVICES", value.c_str(), 1);
    StatusOr<Config> config = ConfigFromEnvironment();
    ASSERT_TRUE(config.ok()) << config.status().message();
    EXPECT_EQ(config->machine.name, "two");
    EXPECT_EQ(config->machine.devices.size(), 2u);
  }
  std::ofstream(file) << "{";
  ExpectRefused("GRAPPLER_GO_DEVICES", file.c_str());
  fs::remove(ships);
  fs::remove(file);
  ExpectRefused("GRAPPLER_GO_DEVICES", "config_test");
}

TEST_F(ConfigTest, RefusesWhatItCannotRead) {
  ExpectRefused("GRAPPLER_GO", "yes");
  ExpectRefused("GRAPPLER_GO_DECISIONS", "fusion,colour");
  ExpectRefused("GRAPPLER_GO_MEMORY_LIMIT", "much");
  ExpectRefused("GRAPPLER_GO_MEMORY_LIMIT", "4 parsecs");
  ExpectRefused("GRAPPLER_GO_MEMORY_LIMIT", "-1GB");
  ExpectRefused("GRAPPLER_GO_MEMORY_LIMIT", "nan");
  ExpectRefused("GRAPPLER_GO_BUDGET_MS", "0");
  ExpectRefused("GRAPPLER_GO_BUDGET_MS", "10s");
  ExpectRefused("GRAPPLER_GO_COMPILE_BUDGET_S", "-1");
  ExpectRefused("GRAPPLER_GO_COMPILE_BUDGET_S", "long");
  ExpectRefused("GRAPPLER_GO_MIN_GAIN", "5%");
  ExpectRefused("GRAPPLER_GO_KEEP_MEMORY", "no");
  ExpectRefused("GRAPPLER_GO_MIN_GAIN", "1");
  ExpectRefused("GRAPPLER_GO_DEVICES", "cpu0");
  ExpectRefused("GRAPPLER_GO_DEVICES", "CPU:0,CPU:0");
  ExpectRefused("GRAPPLER_GO_DEVICES", "CPU:x");
  ExpectRefused("GRAPPLER_GO_DEVICES", "CPU:0/task:1");
  ExpectRefused("GRAPPLER_GO_DEVICES", "/job:worker");
  ExpectRefused("GRAPPLER_GO_DEVICES", "/host:a/device:CPU:0");
  ExpectRefused("GRAPPLER_GO_DEVICES", "/nowhere/machine.json");
}

TEST_F(ConfigTest, APolicyOfOnesOwnIsAskedUnlessACacheIsNamed) {
  setenv("GRAPPLER_GO", "1", 1);
  EXPECT_EQ(ConfigFromEnvironment()->plan_folders, DefaultPlanFolders());
  setenv("GRAPPLER_GO_POLICY", "my.module:policy", 1);
  EXPECT_TRUE(ConfigFromEnvironment()->plan_folders.empty());
  setenv("GRAPPLER_GO_PLANS", "/plans", 1);
  EXPECT_EQ(ConfigFromEnvironment()->plan_folders,
            std::vector<std::string>{"/plans"});
}

TEST_F(ConfigTest, ZeroInTheEnvironmentKills) {
  setenv("GRAPPLER_GO", "0", 1);
  EXPECT_TRUE(KilledByEnvironment());
  StatusOr<Config> config = ConfigFromEnvironment();
  ASSERT_TRUE(config.ok());
  EXPECT_FALSE(config->enabled);
}

TEST_F(ConfigTest, ANewConfigurationForgetsDecisionsAndLeavesSnapshotsAlone) {
  Config first;
  first.min_ops = 3;
  SetConfig(first);
  const std::shared_ptr<const Config> before = CurrentConfig();
  before->decisions->Insert("graph", {});
  Config second = *before;
  second.min_ops = 4;
  SetConfig(second);
  EXPECT_EQ(before->min_ops, 3);
  EXPECT_EQ(CurrentConfig()->min_ops, 4);
  EXPECT_NE(before->decisions->Find("graph"), nullptr);
  EXPECT_EQ(CurrentConfig()->decisions->Find("graph"), nullptr);
}

TEST(DecisionCache, DropsWhatWasNotUsedForLongest) {
  DecisionCache cache(/*max_ops=*/250);
  CachedDecision decision;
  decision.plan.num_ops = 100;
  cache.Insert("a", decision);
  cache.Insert("b", decision);
  EXPECT_NE(cache.Find("a"), nullptr);
  cache.Insert("c", decision);
  EXPECT_NE(cache.Find("a"), nullptr);
  EXPECT_EQ(cache.Find("b"), nullptr);
  EXPECT_NE(cache.Find("c"), nullptr);
}

TEST(DecisionCache, ServesThreadsAtOnce) {
  DecisionCache cache(/*max_ops=*/10);
  CachedDecision decision;
  decision.plan.num_ops = 1;
  AtOnce([&](int call) {
    const std::string key = std::to_string(call % 20);
    cache.Insert(key, decision);
    cache.Find(key);
  });
  int kept = 0;
  for (int i = 0; i < 20; ++i) {
    kept += cache.Find(std::to_string(i)) != nullptr;
  }
  EXPECT_EQ(kept, 10);
}

}  // namespace
}  // namespace grappler_go
