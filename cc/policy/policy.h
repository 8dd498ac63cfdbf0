// The one interface behind which every policy stands: a SavedModel, a Python
// callable, a saved plan.
#ifndef GRAPPLER_GO_POLICY_POLICY_H_
#define GRAPPLER_GO_POLICY_POLICY_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cc/base/status.h"
#include "cc/cost/machine.h"
#include "cc/graph/op_graph.h"
#include "cc/plan/plan.h"
#include "cc/schema/features.h"
#include "cc/schema/logits.h"

namespace grappler_go {

using Deadline = std::chrono::steady_clock::time_point;

// The references stay valid while Decide runs, and for as long as someone holds
// `owner` after that: a policy whose answer outlives the call (arrays handed to
// Python, say) keeps a copy of it. Null only when the caller waits for Decide
// however long it takes.
struct PolicyInput {
  const OpGraph& graph;
  const Machine& machine;
  const Features& features;
  Deadline deadline;
  std::shared_ptr<const void> owner = nullptr;
  bool free_state = false;  // PlanOptions: for a machine that is simulated
};

// A policy answers with logits, or with a finished plan.
struct Decision {
  std::optional<Logits> logits;
  std::optional<Plan> plan;
};

class Policy {
 public:
  virtual ~Policy() = default;
  // "scorer-1.0", "python:my_module:policy": goes into plans and reports.
  virtual std::string name() const = 0;
  // False when Decide reads only features, machine and fingerprint, never names
  // or bytes of the graph. Then the GraphDef need not be copied to outlive an
  // abandoned policy.
  virtual bool reads_graph() const { return true; }
  // The arrays (FeatureArrays) that Decide finds in its input for such a
  // machine; the others are empty.
  virtual uint32_t reads_arrays(const Machine&) const { return kAllArrays; }
  // Whatever has to be loaded once before Decide for such a machine can be
  // quick; called before, and the time it takes is nobody's graph's. An error
  // is that of Decide, too.
  virtual Status Prepare(const Machine&) { return OkStatus(); }
  // May be called from several threads at once. Must not throw. A policy that
  // runs past the deadline is abandoned by the caller, not interrupted.
  virtual StatusOr<Decision> Decide(const PolicyInput& input) = 0;
};

}  // namespace grappler_go

#endif  // GRAPPLER_GO_POLICY_POLICY_H_
