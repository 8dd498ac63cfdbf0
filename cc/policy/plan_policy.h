// Policies that answer with plans made earlier: by search, by hand, by anyone.
#ifndef GRAPPLER_GO_POLICY_PLAN_POLICY_H_
#define GRAPPLER_GO_POLICY_PLAN_POLICY_H_

#include <memory>
#include <string>

#include "cc/base/status.h"
#include "cc/policy/policy.h"

namespace grappler_go {

// Answers with this plan for the graph it was made for; for any other graph
// Decide returns kFailedPrecondition, "plan is for another graph".
std::shared_ptr<Policy> MakePlanPolicy(Plan plan, std::string name = "plan");

// `path` is a plan file, read now, or a folder of <fingerprint>.json, each read
// when its graph comes. Errors: kNotFound, and those of PlanFromJson.
StatusOr<std::shared_ptr<Policy>> LoadPlanPolicy(const std::string& path);

}  // namespace grappler_go

#endif  // GRAPPLER_GO_POLICY_PLAN_POLICY_H_
