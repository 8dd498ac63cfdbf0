// The last word before a rewritten graph goes to TensorFlow.
#ifndef GRAPPLER_GO_REWRITE_VERIFY_H_
#define GRAPPLER_GO_REWRITE_VERIFY_H_

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "cc/base/status.h"
#include "cc/cost/machine.h"
#include "cc/graph/op_graph.h"
#include "cc/plan/plan.h"

namespace grappler_go {

struct VerifyOptions {
  // Devices that exist in this process beside those that the original graph
  // uses; a node that was moved to any other is an error (TensorFlow would
  // crash on it).
  std::vector<std::string> devices;
  // Is there a kernel for this op type on this device type? Null: not checked.
  std::function<bool(std::string_view op, std::string_view device_type)>
      has_kernel;
};

// Holds every byte of `rewritten` that is not the original's against the
// original, trusting nothing the rewrites believed:
//  - every original node is still there (a node taken apart included), and
//    preserved ones (fetches, feeds, kept names) byte for byte but for devices,
//    marks and control inputs;
//  - no dangling or duplicate input, no duplicate name, no new cycle;
//  - every device exists and has a kernel; colocation groups are not split;
//  - no stateful, random or variable-writing op was cloned, and no read of a
//    variable is moved past a write;
//  - versions and function library are untouched.
// Errors: kInvalidArgument naming the first offending node and the rule.
Status VerifyRewrite(const OpGraph& original, std::string_view rewritten,
                     const VerifyOptions& options);

}  // namespace grappler_go

#endif  // GRAPPLER_GO_REWRITE_VERIFY_H_
