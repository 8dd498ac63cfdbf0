// Plan: every decision for one graph on one machine, by op number.
//
// A plan is data: it can be saved, printed, edited, diffed and loaded. The file
// is JSON, format "grappler-go-plan" version 1.3; ops appear with their names
// for the reader, but are applied by number (OpGraph's canonical order), so a
// plan survives TensorFlow's renumbering of names.
#ifndef GRAPPLER_GO_PLAN_PLAN_H_
#define GRAPPLER_GO_PLAN_PLAN_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cc/base/status.h"
#include "cc/graph/op_graph.h"

namespace grappler_go {

constexpr int kPlanFormatMajor = 1;
constexpr int kPlanFormatMinor = 3;

struct Plan {
  Fingerprint fingerprint;
  int32_t num_ops = 0;
  std::string machine;  // Machine::name
  std::string policy;   // Policy::name() of who made it

  // Each either empty (not decided) or of size num_ops.
  std::vector<std::string> devices;   // names that `device` indexes
  std::vector<int32_t> device;        // -1: as it was
  std::vector<int32_t> fusion_group;  // -1: none; groups are 0..k-1
  std::vector<uint8_t> recompute;     // 1: backward users read a clone
  // (before, after): `after` may not start until `before` has finished.
  std::vector<std::pair<int32_t, int32_t>> order;
  // Where more bytes than this could be alive at once beside what is resident,
  // ops with large tensors run in the order in which the peak was predicted
  // (TurnEdges); that is not told by `order`, as clones have their turns, too.
  // 0: they run when they are ready. Plans with groups, which start when all
  // that they read is there, leave it to them. Since version 1.3 of the file;
  // 1.2 had a bool, for one after the other, which is read as 1.
  int64_t turn_bytes = 0;
  // Of the ops that are ready on a device, the one of the highest priority runs
  // first. With free_state only: TensorFlow's executor has no priorities, and
  // a program is told by `order`. Since version 1.1 of the file.
  std::vector<float> priority;

  // Made as if the program were still to be placed: variables may move, with
  // all that reads and writes them, and any op to a device of another type.
  // What callers feed stays on its device. For simulations of a machine that
  // the graph was not captured on; a program that runs has its variables where
  // they are, and the pass refuses such a plan.
  bool free_state = false;

  // What the maker predicted, without and with the plan. 0: not predicted.
  double micros_before = 0, micros_after = 0;
  int64_t peak_bytes_before = 0, peak_bytes_after = 0;

  bool empty() const;  // decides nothing
  int32_t num_groups() const;
  int32_t num_moved() const;  // ops with device >= 0
  int32_t num_recomputed() const;
};

// Does the plan fit the graph: fingerprint, sizes, numbers in range, every
// group within one device, no order edge that closes a cycle, nothing decided
// for an op that may not be touched. The message names the first offending op.
Status ValidatePlan(const Plan& plan, const OpGraph& graph);
// May the plan be written into the graph of a program that runs? Errors:
// kFailedPrecondition for one with free_state.
Status CheckAppliesToPrograms(const Plan& plan);

// Ops are written only where something was decided for them.
std::string PlanToJson(const Plan& plan, const OpGraph* graph);
// Errors: kInvalidArgument with what was expected; kFailedPrecondition for
// another major version. Unknown fields of the same major version are ignored.
StatusOr<Plan> PlanFromJson(std::string_view json);

}  // namespace grappler_go

#endif  // GRAPPLER_GO_PLAN_PLAN_H_
