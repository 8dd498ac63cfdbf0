// Optimizer's rules that a graph spells out, done by TensorFlow's kernels.
#ifndef GRAPPLER_GO_REWRITE_FUSE_UPDATES_H_
#define GRAPPLER_GO_REWRITE_FUSE_UPDATES_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cc/base/status.h"
#include "cc/graph/op_graph.h"

namespace grappler_go {

struct FusedUpdates {
  std::string graphdef;  // empty: there are none
  int32_t count = 0;     // variables
};

// The graph with each of FindVariableUpdates' updates done by one kernel. The
// op that wrote the variable keeps its name and becomes the kernel; writes of
// slots, and reads of them that nobody needs but somebody may name, become
// NoOps that wait for what they waited for, those after the kernel; what
// computed the update and has no reader left is gone. It is a graph of its own:
// plans are made for what comes out, not for what went in.
// `fetches`: names of nodes whose outputs the caller gets.
FusedUpdates FuseUpdates(const OpGraph& graph,
                         const std::vector<std::string_view>& fetches);

}  // namespace grappler_go

#endif  // GRAPPLER_GO_REWRITE_FUSE_UPDATES_H_
