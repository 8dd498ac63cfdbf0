// Lowered while loops (Enter, Merge, Switch, NextIteration, Exit): which loop
// an op belongs to, and how often it runs where that can be read off the graph.
#ifndef GRAPPLER_GO_SIM_LOOPS_H_
#define GRAPPLER_GO_SIM_LOOPS_H_

#include <cstdint>
#include <vector>

#include "cc/graph/op_graph.h"

namespace grappler_go {

struct Loops {
  // By op: how often it runs in a step, 1 outside of loops. Enter and Exit run
  // once for each time the loop is entered. Empty: the graph has no loops.
  std::vector<int32_t> runs;
  // By op: how many iterations the innermost loop around it has.
  std::vector<int32_t> trips;
  // By op: of an Exit, the NextIteration whose last value it hands out; -1.
  // (The Switch between them runs once more than the body does; that last run
  // is not counted.)
  std::vector<int32_t> exit_reads;
  int32_t unrolled = 0;  // loops whose number of iterations is known
  int32_t run_once = 0;  // and those that count as if they ran once
};

// The number is known of loops that count: the condition is Less, LessEqual,
// Greater or GreaterEqual of a counter and a constant, or LogicalAnd of such
// (then the least of the known ones), and the counter starts at a constant and
// is moved by a constant. A loop that would make the graph larger than
// `max_runs` runs of ops counts as one that is not known.
Loops FindLoops(const OpGraph& graph, int64_t max_runs);

}  // namespace grappler_go

#endif  // GRAPPLER_GO_SIM_LOOPS_H_
