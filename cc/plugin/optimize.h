// The pass itself, without TensorFlow: bytes in, bytes or a reason out.
#ifndef GRAPPLER_GO_PLUGIN_OPTIMIZE_H_
#define GRAPPLER_GO_PLUGIN_OPTIMIZE_H_

#include <string>
#include <string_view>
#include <vector>

#include "cc/plugin/config.h"
#include "cc/plugin/report.h"
#include "cc/rewrite/verify.h"

namespace grappler_go {

struct OptimizeInput {
  // Must stay valid until OptimizeGraph returns, and no longer.
  std::string_view graphdef;
  // Names of nodes, or of tensors ("y:0").
  std::vector<std::string> fetches;
  std::vector<std::string> preserve;
  // Where `devices` is empty and config.devices_exist, the configured machine's
  // are taken. The graph's own may be used in any case.
  VerifyOptions verify;
};

struct OptimizeResult {
  bool applied = false;
  std::string graphdef;  // empty unless applied
  Report report;
  Plan plan;  // what was decided, applied or not
  PlanExplanation why;
};

// Parse, features, policy (with its deadline, on a thread of its own), plan,
// rewrite, verify. Never throws, never fails: a result that was not applied
// says why in report.outcome. Thread safe. Also records and captures the graph
// where the configuration says so; adds nothing to Reports().
OptimizeResult OptimizeGraph(const OptimizeInput& input, const Config& config);

// The nodes of a GraphDef, counted no further than `limit`. Takes time in
// proportion to the nodes counted, not to their bytes.
int32_t CountNodes(std::string_view graphdef, int32_t limit);

}  // namespace grappler_go

#endif  // GRAPPLER_GO_PLUGIN_OPTIMIZE_H_
