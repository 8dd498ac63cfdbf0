// Asks a policy within a deadline, whatever the policy does.
#ifndef GRAPPLER_GO_PLUGIN_POLICY_RUNNER_H_
#define GRAPPLER_GO_PLUGIN_POLICY_RUNNER_H_

#include <memory>
#include <optional>
#include <string>

#include "cc/base/status.h"
#include "cc/cost/machine.h"
#include "cc/graph/op_graph.h"
#include "cc/policy/policy.h"
#include "cc/schema/features.h"

namespace grappler_go {

// What a policy looks at. It must outlive a policy that was abandoned, so it is
// shared, and owns the GraphDef's bytes when Policy::reads_graph() says that
// the policy may look at them.
struct PolicyContext {
  std::string graphdef;          // empty: the caller owns the bytes
  std::optional<OpGraph> graph;  // always set
  Machine machine;
  Features features;
  bool free_state = false;
};

// After this many times a policy that ran past its deadline is not asked again.
constexpr int kMaxAbandoned = 2;
// A policy that traces TensorFlow functions of its own comes back to this pass
// on other threads; this ends such a recursion.
constexpr int kMaxPoliciesAtOnce = 16;

// Runs policy->Decide on a thread of its own and waits until `deadline`. A
// policy that is not done by then goes on alone: its thread holds what it uses.
// After an answer only those hold the context that the policy gave a share.
// Errors: what Decide returns; kDeadlineExceeded "policy ran past the
// deadline"; kUnavailable when it is not asked ("policy is not asked any more:
// it ran past the deadline 2 times", "too many policies are running");
// kInternal when it threw.
StatusOr<Decision> RunPolicy(std::shared_ptr<Policy> policy,
                             std::shared_ptr<const PolicyContext> context,
                             Deadline deadline);

// Is the calling thread one that RunPolicy started? TensorFlow functions that a
// policy traces are none of this pass's business.
bool OnPolicyThread();

}  // namespace grappler_go

#endif  // GRAPPLER_GO_PLUGIN_POLICY_RUNNER_H_
