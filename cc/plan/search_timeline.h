// What a simulated step waits for: its critical path, and the slack beside it.
#ifndef GRAPPLER_GO_PLAN_SEARCH_TIMELINE_H_
#define GRAPPLER_GO_PLAN_SEARCH_TIMELINE_H_

#include <cstdint>
#include <vector>

#include "cc/graph/op_graph.h"
#include "cc/plan/plan.h"
#include "cc/sim/simulator.h"

namespace grappler_go {

// A stretch of the critical path.
struct CriticalWait {
  enum Kind : uint8_t {
    kCompute,   // `op` ran on `device`
    kTransfer,  // `op` waited for a tensor of `maker`, on its way or for a link
    kQueue,     // `op` was ready, and `device` busy with `maker`
  };
  Kind kind;
  int32_t op, maker;  // maker: -1 for kCompute
  int32_t device;     // the op's
  double micros;
};

// By op, in microseconds of the step. Of an op of no time, `start` and `end`
// are when all that it reads is there.
struct OpTimes {
  std::vector<double> start, end;
  // By how much it could start later, everything in the order in which it ran,
  // before the step would end later.
  std::vector<double> slack;
};

struct TimelineFacts {
  // From the end of the step to its start: each task behind what it waited for
  // last, an input or the task before it on its device.
  std::vector<CriticalWait> critical_path;
  OpTimes ops;
};

// `simulation` has a timeline; device: [num_ops]. Of loops that are unrolled
// the last run counts, and of ops that are recomputed their first.
TimelineFacts ReadTimeline(const OpGraph& graph,
                           const std::vector<int32_t>& group,
                           const std::vector<int32_t>& device,
                           const Simulation& simulation);

}  // namespace grappler_go

#endif  // GRAPPLER_GO_PLAN_SEARCH_TIMELINE_H_
