// The steps of DecideFusion, apart for tests: which ops may be compiled, and
// groups of them that leave the graph acyclic.
#ifndef GRAPPLER_GO_PLAN_FUSION_GROUPS_H_
#define GRAPPLER_GO_PLAN_FUSION_GROUPS_H_

#include <cstdint>
#include <vector>

#include "cc/base/scratch.h"
#include "cc/cost/machine.h"
#include "cc/graph/op_graph.h"
#include "cc/plan/build_plan.h"
#include "cc/plan/eligibility.h"
#include "cc/plan/op_micros.h"

namespace grappler_go {

struct FusionCandidates {
  std::vector<Reason> reason;  // [num_ops], kNone: a candidate
  Scratch<int32_t> device;     // [num_ops], equal numbers: same device

  bool is(int32_t op) const { return reason[op] == Reason::kNone; }
};

// Would the policy leave the op alone? Constants follow whoever reads them.
// `logits.fusion` must not be empty.
inline bool PolicyDeclines(const OpGraph& graph, const Logits& logits,
                           int32_t op) {
  return logits.fusion[op] <= 0 && !graph.has(op, kConstant);
}

FusionCandidates FindFusionCandidates(const OpGraph& graph,
                                      const Machine& machine,
                                      const Logits& logits,
                                      const PlanOptions& options,
                                      const Plan& plan);

struct FusionGroups {
  std::vector<int32_t> of_op;  // [num_ops], -1: none
  int32_t count = 0;
};

// Dissolves the groups for which `kept`, by number, is false, and numbers the
// others by their first op.
void Renumber(const std::vector<bool>& kept, FusionGroups* groups);

// Puts every candidate into a group, in one pass. Contracting all groups leaves
// the graph acyclic, a group has one device, and no write of a variable leads
// to a read within a group. (XLA reads all variables when a group starts and
// writes them when it ends: tensorflow/compiler/jit/
// resource_operation_safety_analysis.cc says which pairs it cannot keep apart.)
FusionGroups GroupByLevel(const OpGraph& graph,
                          const FusionCandidates& candidates);

// Ops in order of priority, highest first: each tries to merge its group with
// that of a producer (forward ops) or of a consumer (backward ops). Keeps what
// GroupByLevel promises.
void MergeByPriority(const OpGraph& graph, const FusionCandidates& candidates,
                     const std::vector<float>& priority, FusionGroups* groups);

// What each group costs beside its ops, microseconds, [groups.count]: on CPUs
// what `options` say, on accelerators the kernels of group_kernels.h.
std::vector<float> GroupOverheads(const OpGraph& graph, const OpMicros& micros,
                                  const PlanOptions& options,
                                  const FusionGroups& groups);

// What each group gains, microseconds, its overhead taken off; [groups.count].
std::vector<double> GroupGains(const OpGraph& graph, const OpMicros& micros,
                               const PlanOptions& options,
                               const FusionGroups& groups);

// Takes ops off the rim of a group where compiling them costs more than it
// gains; `reason` says so.
void TrimRims(const OpGraph& graph, const OpMicros& micros,
              FusionGroups* groups, std::vector<Reason>* reason);

// Joins groups of one device between which no path leads and that would pay but
// for what starting them costs: an optimizer's update of each variable, which
// hangs on nothing but its own slots, starts once for all.
void MergeSiblings(const OpGraph& graph, const FusionCandidates& candidates,
                   const OpMicros& micros, const PlanOptions& options,
                   FusionGroups* groups);

// How many groups the gain rests on, 1 or more: as many equal ones as would
// spread it as much, the inverse of the Simpson index of their gains. Of
// `groups`, which may be parts of `kept`'s, those count that `kept` has ops of.
double EffectiveGroups(const OpGraph& graph, const OpMicros& micros,
                       const PlanOptions& options, const FusionGroups& groups,
                       const FusionGroups& kept);

// Dissolves groups that are too small or do not pay: on CPUs those that gain
// less than 0.5 % of all ops' time. Returns the microseconds gained by what is
// left; `reason` says why the others are not.
double KeepWhatPays(const OpGraph& graph, const OpMicros& micros,
                    const PlanOptions& options, FusionGroups* groups,
                    std::vector<Reason>* reason);

}  // namespace grappler_go

#endif  // GRAPPLER_GO_PLAN_FUSION_GROUPS_H_
