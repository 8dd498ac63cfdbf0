// The best plan that a budget of simulations finds: devices, fusion, schedule
// and memory judged together, by one simulated time.
//
// It starts from doing nothing, what the policy says (as a cut, policy_cut.h,
// and op by op), cheap plans (search_starts.h), and more cuts that weigh the
// policy's opinion against balance and transfers; where these are about as good
// as the others, from samples of the policy, too. It simulates them, and
// refines the best: clusters of ops go where the policy would rather have them,
// or away from where the simulated step waits; groups and priorities change
// with them.
#ifndef GRAPPLER_GO_PLAN_SEARCH_PLAN_H_
#define GRAPPLER_GO_PLAN_SEARCH_PLAN_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "cc/base/status.h"
#include "cc/cost/machine.h"
#include "cc/graph/op_graph.h"
#include "cc/plan/build_plan.h"
#include "cc/plan/plan.h"
#include "cc/schema/logits.h"

namespace grappler_go {

struct SearchOptions {
  // Plans that may be simulated, doing nothing among them.
  int32_t max_plans = 200;
  // Milliseconds that all of it may take; no simulation is begun that would
  // end later, going by the longest before it. 0: no limit.
  int64_t budget_ms = 0;
  // Of the policy's device logits, each at this temperature.
  int32_t samples = 4;
  double temperature = 1.0;
  // The same seed, the same plan, whatever the number of threads; unless
  // budget_ms ends the search.
  uint64_t seed = 0;
  int32_t threads = 0;  // that simulate side by side; 0: one for each core
  // Whether priorities are decided (with free state only: Plan::priority).
  bool schedule = true;
};

// What a search did, for reports, tables and curves.
struct SearchTrace {
  struct Best {
    int32_t plans;      // simulated when it was found, it among them
    double millis;      // since the search began
    double micros;      // of the simulated step
    bool fits;          // into memory
    std::string maker;  // "policy", "list schedule", "move of a transfer" ...
  };
  int32_t plans = 0;
  double millis = 0;
  // Plans made by the policy's scores beyond its guess and cuts: its samples.
  // None where these were far behind the cheap plans.
  int32_t policy_samples = 0;
  std::vector<Best> best;  // each better than the one before
};

// The result decides nothing where nothing is better. micros_before and
// micros_after, and the peaks of the device with the highest, are the
// simulator's: with free state, "before" is TensorFlow's own placement, all on
// the first accelerator (SearchSpace::home).
//
// Logits that are empty decide nothing of their own: with free state the search
// takes device, fusion and schedule as flat, and finds them itself; for
// programs, fusion stays undecided without its logits, as in BuildPlan. What
// `options` switch off is not decided. Errors: what ValidateLogits,
// Machine::Validate and the simulator find.
StatusOr<Plan> SearchPlan(const OpGraph& graph, const Machine& machine,
                          const Logits& logits, const PlanOptions& options,
                          const SearchOptions& search, SearchTrace* trace);

}  // namespace grappler_go

#endif  // GRAPPLER_GO_PLAN_SEARCH_PLAN_H_
