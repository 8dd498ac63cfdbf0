#include "cc/graph/wire.h"
#include "cc/rewrite/rewrite.h"

namespace grappler_go {

StatusOr<std::string> ApplyPlan(const Plan& plan, const OpGraph& graph) {
  GO_RETURN_IF_ERROR(CheckAppliesToPrograms(plan));
  GO_RETURN_IF_ERROR(ValidatePlan(plan, graph));
  GraphEdits edits(graph);
  using Rewrite = Status (*)(const Plan&, GraphEdits*);
  for (const Rewrite rewrite :
       {RewriteDevices, RewriteRecompute, RewriteOrder, RewriteCloneConstants,
        RewriteFusionGroups, RewriteUnfuse}) {
    GO_RETURN_IF_ERROR(rewrite(plan, &edits));
  }
  if (edits.empty()) {
    return Status(StatusCode::kAborted, "the plan changes nothing");
  }
  std::string mark;
  AppendAttr(kPlannedAttr, StringAttrValue(plan.policy), &mark);
  edits.AppendToAll(mark);
  return edits.Write();
}

}  // namespace grappler_go
