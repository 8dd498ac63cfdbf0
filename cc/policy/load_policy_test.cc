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
  ExpectRefused("/nowhere", "there is no such file or folder");
  for (const char* spec : {"", "python:module", "python::function", "module:",
                           ":function", "a:b:c", "my-module:f", "module:2nd",
                           "module.:f", ".module:f", "python:a b:f"}) {
    ExpectRefused(spec, "a Python function as module:function");
  }
  std::ofstream(folder_ + "/notes.txt") << "not a plan";
  ExpectRefused(folder_ + "/notes.txt", "that file is no plan (*.json)");
  ExpectRefused(folder_, "holds neither a policy");
  std::ofstream(folder_ + "/p.json") << "{";
  ExpectRefused(folder_ + "/p.json", folder_ + "/p.json");
}

// What comes back is a policy that looks for the module, or, in a program like
// this one, what became of starting Python: in both cases it was understood.
TEST_F(LoadPolicyTest, BothSpellingsOfAPythonFunctionMeanPython) {
  for (const char* spec : {"no_such_module:f", "python:no_such_module:f",
                           "no.such.module:Holder.f"}) {
    StatusOr<std::shared_ptr<Policy>> policy = LoadPolicy(spec);
    ASSERT_FALSE(policy.ok()) << spec;
    EXPECT_EQ(policy.status().message().find("a Python function as"),
              std::string::npos)
        << policy.status().message();
  }
}

TEST_F(LoadPolicyTest, AFileThatIsThereIsMeantBeforeAPythonFunction) {
  const fs::path before = fs::current_path();
  fs::current_path(folder_);
  WritePlan("plan.json");
  fs::rename("plan.json", "module:plan.json");
  StatusOr<std::shared_ptr<Policy>> policy = LoadPolicy("module:plan.json");
  EXPECT_TRUE(policy.ok()) << policy.status().message();
  fs::current_path(before);
}

}  // namespace
}  // namespace grappler_go
