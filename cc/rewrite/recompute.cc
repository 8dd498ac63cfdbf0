// Clones of forward ops for the backward pass: writes what RecomputeClones
// says.
#include <algorithm>

#include "cc/graph/recompute_clones.h"
#include "cc/graph/wire.h"
#include "cc/rewrite/node_def.h"
#include "cc/rewrite/rewrite.h"

namespace grappler_go {
namespace {

constexpr uint32_t kNotCloned =
    kStateful | kRandom | kReadsVariable | kWritesVariable | kControlFlow |
    kInLoop | kConditional | kBackward | kConstant | kSource | kSink |
    kUnknownOp | kHasSubgraph | kMarkedByUser | kRefTyped;

class Recompute {
 public:
  Recompute(const Plan& plan, GraphEdits* edits)
      : edits_(edits),
        graph_(edits->graph()),
        clones_(graph_, plan.recompute, plan.fusion_group) {}

  void Run() {
    names_.resize(graph_.num_ops());
    for (int32_t op = 0; op < graph_.num_ops(); ++op) {
      if (clones_.cloned(op)) Clone(op);
    }
  }

 private:
  void Clone(int32_t op) {
    const std::string node = edits_->current(op);
    NodeView view;
    if (!ReadNode(node, &view)) return;  // parsed before, so it cannot fail
    names_[op] =
        edits_->NewName(std::string(view.name) + "/grappler_go_recompute");
    view.name = names_[op];
    const Span<InputEdge> inputs = graph_.inputs(op);
    std::vector<std::string> renamed(view.data_inputs.size());
    for (size_t slot = 0; slot < view.data_inputs.size(); ++slot) {
      const int32_t src = inputs[slot].src;
      if (!clones_.cloned(src)) continue;
      renamed[slot] = InputName(names_[src], inputs[slot].port);
      view.data_inputs[slot] = renamed[slot];
    }
    std::string control;
    if (clones_.held_by(op) >= 0) {
      control = "^" + std::string(graph_.name(clones_.held_by(op)));
      view.control_inputs.push_back(control);
    }
    edits_->AddClone(op, names_[op], WriteNode(view));
    for (const OutputEdge& out : graph_.outputs(op)) {
      if (clones_.UserReadsClone(op, out)) {
        edits_->ReplaceInput(out.dst, op, out.port,
                             InputName(names_[op], out.port));
      }
    }
  }

  GraphEdits* edits_;
  const OpGraph& graph_;
  const RecomputeClones clones_;
  std::vector<std::string> names_;  // of the clones
};

}  // namespace

Status RewriteRecompute(const Plan& plan, GraphEdits* edits) {
  const OpGraph& graph = edits->graph();
  bool any = false;
  for (size_t op = 0; op < plan.recompute.size(); ++op) {
    if (!plan.recompute[op]) continue;
    any = true;
    const auto i = static_cast<int32_t>(op);
    if (!graph.has(i, kNotCloned)) continue;
    return InvalidArgument("recompute: " + std::string(graph.name(i)) + " (" +
                           std::string(graph.op(i)) +
                           ") may not be computed twice");
  }
  if (any) Recompute(plan, edits).Run();
  return OkStatus();
}

}  // namespace grappler_go
