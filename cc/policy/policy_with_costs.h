// A policy's network and, in its folder `costs`, a cheaper policy that knows
// what ops cost on CPUs: two SavedModels that answer as one.
#ifndef GRAPPLER_GO_POLICY_POLICY_WITH_COSTS_H_
#define GRAPPLER_GO_POLICY_POLICY_WITH_COSTS_H_

#include <memory>
#include <string>

#include "cc/base/status.h"
#include "cc/policy/policy.h"

namespace grappler_go {

// Where there is one device, or CPUs of one process, or nobody has said what
// transfers between devices cost, the cheaper policy decides, and the network,
// which takes seconds to load, is not loaded. Else the network decides, but on
// machines that are not simulated fusion, recomputation and costs are the
// cheaper policy's all the same: what pays in a program is what plan building
// makes of costs. Errors: those of LoadSavedModelPolicy for the cheaper policy,
// and those of ReadPolicyFolder for the network's.
StatusOr<std::shared_ptr<Policy>> LoadPolicyWithCosts(
    const std::string& folder);

}  // namespace grappler_go

#endif  // GRAPPLER_GO_POLICY_POLICY_WITH_COSTS_H_
