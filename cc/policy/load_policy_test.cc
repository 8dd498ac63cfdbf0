#include "cc/policy/load_policy.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "cc/policy/plan_policy.h"
#include "cc/testing/graph_builder.h"

namespace grappler_go {
namespace {

namespace fs = std::filesystem;

class LoadPolicyTest : public testing::Test {
 protected:
  void SetUp() override {
    fs::remove_all(folder_);
    fs::create_directory(folder_);
    bytes_ = GraphBuilder().Arg("x", {2, 3}).Retval("y", "x").Build();
    graph_.emplace(std::move(*OpGraph::Parse(bytes_, ParseOptions())));
    plan_.fingerprint = graph_->fingerprint();
    plan_.num_ops = graph_->num_ops();
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string WritePlan(const std::string& file) {
    const std::string path = folder_ + "/" + file;
    std::ofstream(path) << PlanToJson(plan_, nullptr);
    return path;
  }
  StatusOr<Decision> Ask(Policy* policy) {
    const PolicyInput input{*graph_, machine_, features_,
                            std::chrono::steady_clock::now()};
    return policy->Decide(input);
  }
  void ExpectRefused(const std::string& spec, const std::string& part) {
    StatusOr<std::shared_ptr<Policy>> policy = LoadPolicy(spec);
    ASSERT_FALSE(policy.ok()) << spec;
    EXPECT_NE(policy.status().message().find(part), std::string::npos)
        << policy.status().message();
  }

  const std::string folder_ = testing::TempDir() + "load_policy_test";
  std::string bytes_;
  std::optional<OpGraph> graph_;
  Machine machine_;
  Features features_;
  Plan plan_;
};

TEST_F(LoadPolicyTest, LoadsAPlanForTheGraphItWasMadeFor) {
  StatusOr<std::shared_ptr<Policy>> policy = LoadPolicy(WritePlan("p.json"));
  ASSERT_TRUE(policy.ok()) << policy.status().message();
  StatusOr<Decision> decision = Ask(policy->get());
  ASSERT_TRUE(decision.ok()) << decision.status().message();
  EXPECT_EQ(decision->plan->fingerprint, graph_->fingerprint());
}

TEST_F(LoadPolicyTest, APlanForAnotherGraphSaysSo) {
  plan_.fingerprint.lo ^= 1;
  EXPECT_EQ(Ask(MakePlanPolicy(plan_).get()).status().message(),
            "plan is for another graph");
}

TEST_F(LoadPolicyTest, FindsPlansOfAFolderByFingerprint) {
  WritePlan(graph_->fingerprint().ToString() + ".json");
  StatusOr<std::shared_ptr<Policy>> policy = LoadPolicy(folder_);
  ASSERT_TRUE(policy.ok()) << policy.status().message();
  EXPECT_TRUE(Ask(policy->get()).ok());
  // A plan that was renamed is still for another graph.
  plan_.fingerprint.lo ^= 1;
  WritePlan(graph_->fingerprint().ToString() + ".json");
  EXPECT_EQ(Ask(policy->get()).status().message(), "plan is for another graph");
  fs::remove(folder_ + "/" + graph_->fingerprint().ToString() + ".json");
  EXPECT_EQ(Ask(policy->get()).status().code(), StatusCode::kNotFound);
}

TEST_F(LoadPolicyTest, NamesWhatItCannotUse) {
  ExpectRefused("/nowhere/p.json", "/nowhere/p.json");
  ExpectRefused("something", "'something'");
  ExpectRefused("python:module", "python:module:function");
  ExpectRefused("python::function", "python:module:function");
  ExpectRefused(folder_, "holds neither a policy");
  std::ofstream(folder_ + "/p.json") << "{";
  ExpectRefused(folder_ + "/p.json", folder_ + "/p.json");
}

}  // namespace
}  // namespace grappler_go
