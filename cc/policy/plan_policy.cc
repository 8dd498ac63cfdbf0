#include "cc/policy/plan_policy.h"

#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>

namespace grappler_go {
namespace {

StatusOr<Plan> ReadPlan(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return NotFound("cannot read " + path);
  std::ostringstream text;
  text << file.rdbuf();
  StatusOr<Plan> plan = PlanFromJson(text.str());
  if (plan.ok()) return plan;
  return Status(plan.status().code(), path + ": " + plan.status().message());
}

StatusOr<Decision> AnswerWith(const Plan& plan, const PolicyInput& input) {
  if (plan.fingerprint != input.graph.fingerprint()) {
    return FailedPrecondition("plan is for another graph");
  }
  Decision decision;
  decision.plan = plan;
  return decision;
}

class PlanPolicy : public Policy {
 public:
  PlanPolicy(Plan plan, std::string name)
      : plan_(std::move(plan)), name_(std::move(name)) {}
  std::string name() const override { return name_; }
  bool reads_graph() const override { return false; }
  uint32_t reads_arrays(const Machine&) const override { return 0; }
  StatusOr<Decision> Decide(const PolicyInput& input) override {
    return AnswerWith(plan_, input);
  }

 private:
  const Plan plan_;
  const std::string name_;
};

class PlanFolderPolicy : public Policy {
 public:
  explicit PlanFolderPolicy(std::string folder) : folder_(std::move(folder)) {}
  std::string name() const override { return "plans:" + folder_; }
  bool reads_graph() const override { return false; }
  uint32_t reads_arrays(const Machine&) const override { return 0; }
  StatusOr<Decision> Decide(const PolicyInput& input) override {
    const std::string path =
        folder_ + "/" + input.graph.fingerprint().ToString() + ".json";
    std::error_code error;
    if (!std::filesystem::exists(path, error)) {
      return NotFound("no plan for this graph");
    }
    StatusOr<Plan> plan = ReadPlan(path);
    if (!plan.ok()) return plan.status();
    return AnswerWith(*plan, input);
  }

 private:
  const std::string folder_;
};

}  // namespace

std::shared_ptr<Policy> MakePlanPolicy(Plan plan, std::string name) {
  return std::make_shared<PlanPolicy>(std::move(plan), std::move(name));
}

StatusOr<std::shared_ptr<Policy>> LoadPlanPolicy(const std::string& path) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) {
    return std::shared_ptr<Policy>(std::make_shared<PlanFolderPolicy>(path));
  }
  StatusOr<Plan> plan = ReadPlan(path);
  if (!plan.ok()) return plan.status();
  return MakePlanPolicy(std::move(*plan), "plan:" + path);
}

}  // namespace grappler_go
