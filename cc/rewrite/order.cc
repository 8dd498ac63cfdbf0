#include "cc/rewrite/rewrite.h"
#include "cc/sim/turn_edges.h"

namespace grappler_go {
namespace {

// An edge that the graph has already keeps the order by itself.
bool Follows(const OpGraph& graph, int32_t before, int32_t after) {
  for (const InputEdge& in : graph.inputs(after)) {
    if (in.src == before && !in.back_edge) return true;
  }
  return false;
}

// Large tensors take turns, clones among them.
void TakeTurns(const Plan& plan, GraphEdits* edits) {
  const OpGraph& graph = edits->graph();
  const int32_t n = graph.num_ops();
  const std::vector<uint8_t> nothing(n, 0);
  const std::vector<uint8_t>& recompute =
      plan.recompute.empty() ? nothing : plan.recompute;
  for (const auto& [before, after] :
       TurnEdges(graph, recompute, plan.order, plan.turn_bytes)) {
    const std::string_view source =
        before < n ? graph.name(before) : edits->clone(before - n);
    if (after < n) {
      edits->AddControlInput(after, source);
    } else {
      edits->AddControlInputToClone(after - n, source);
    }
  }
}

}  // namespace

Status RewriteOrder(const Plan& plan, GraphEdits* edits) {
  const OpGraph& graph = edits->graph();
  // An edge into or out of a loop's frame would be an error at run time, and
  // one that starts at an op that may be dead would kill its target.
  constexpr uint32_t kNotHere = kInLoop | kControlFlow;
  for (const auto& [before, after] : plan.order) {
    if (graph.has(before, kNotHere | kConditional) ||
        graph.has(after, kNotHere)) {
      return InvalidArgument(
          "order: an edge from " + std::string(graph.name(before)) + " to " +
          std::string(graph.name(after)) + " would cross control flow");
    }
    if (Follows(graph, before, after)) continue;
    edits->AddControlInput(after, graph.name(before));
  }
  if (plan.turn_bytes > 0 && plan.num_groups() == 0) TakeTurns(plan, edits);
  return OkStatus();
}

}  // namespace grappler_go
