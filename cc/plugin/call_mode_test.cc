#include "cc/plugin/call_mode.h"

#include <gtest/gtest.h>

#include <memory>
#include <thread>

namespace grappler_go {
namespace {

TEST(CallMode, IsOfTheThreadThatSetsIt) {
  SetCallMode(CallMode::kOnTrial);
  CallMode elsewhere = CallMode::kUpdatesAlone;
  std::thread([&] { elsewhere = CurrentCallMode(); }).join();
  EXPECT_EQ(elsewhere, CallMode::kUsual);
  EXPECT_EQ(CurrentCallMode(), CallMode::kOnTrial);
  SetCallMode(CallMode::kUsual);
  EXPECT_EQ(CurrentCallMode(), CallMode::kUsual);
}

TEST(CallMode, ChangesACopyOfTheSettings) {
  auto config = std::make_shared<Config>();
  config->decisions = std::make_shared<DecisionCache>();
  config->plan_folders = {"plans"};
  config->record_dir = "graphs";
  config->capture = true;
  EXPECT_EQ(InMode(config, CallMode::kUsual), config);
  const auto on_trial = InMode(config, CallMode::kOnTrial);
  EXPECT_TRUE(on_trial->plan.on_trial);
  EXPECT_EQ(on_trial->decisions, config->decisions);
  const auto alone = InMode(config, CallMode::kUpdatesAlone);
  EXPECT_EQ(alone->plan.min_gain, 1.0);
  EXPECT_TRUE(alone->fuse_updates);
  // Neither looked up nor kept.
  EXPECT_EQ(alone->decisions, nullptr);
  EXPECT_TRUE(alone->plan_folders.empty());
  EXPECT_TRUE(alone->record_dir.empty());
  EXPECT_FALSE(alone->capture);
  EXPECT_FALSE(config->plan.on_trial);
  EXPECT_TRUE(config->capture);
}

}  // namespace
}  // namespace grappler_go
