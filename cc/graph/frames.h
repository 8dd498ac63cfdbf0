// The frames of lowered while loops (Enter, Merge, Switch, NextIteration,
// Exit).
#ifndef GRAPPLER_GO_GRAPH_FRAMES_H_
#define GRAPPLER_GO_GRAPH_FRAMES_H_

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "cc/graph/op_graph.h"

namespace grappler_go {

bool IsEnter(std::string_view op);  // RefEnter too
bool IsExit(std::string_view op);   // RefExit too

struct Frame {
  int32_t parent = -1;  // the frame around it; -1: of what is outside of loops
  int32_t condition = -1;  // its LoopCond; -1: it has none
};

struct Frames {
  // What is outside of loops comes first, a frame after its parent. Empty: the
  // graph has no loops.
  std::vector<Frame> frames;
  // By op: the frame in which it runs, 0 outside of loops. Enter and Exit run
  // in the frame around the loop.
  std::vector<int32_t> runs_in;
  // By op: the frame in which what it hands out is read.
  std::vector<int32_t> after;
};

// Each Enter opens the frame of its frame_name within the frame that it is in
// (BuildControlFlowInfo in core/graph/control_flow.cc of TensorFlow).
Frames FindFrames(const OpGraph& graph);

// Edges from each Enter to its frame's LoopCond: a loop waits as a whole for
// all that enters it. Without back edges, its results do not depend on those of
// its inputs that only later iterations read; with these edges, whatever is to
// run between the two is seen to close a cycle. (TensorFlow's
// CreateCycleDetectionGraph in compiler/jit/xla_cluster_util.cc has a node for
// each frame instead.)
std::vector<std::pair<int32_t, int32_t>> LoopEntries(const OpGraph& graph);

}  // namespace grappler_go

#endif  // GRAPPLER_GO_GRAPH_FRAMES_H_
