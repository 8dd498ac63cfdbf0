#include "cc/rewrite/rewrite.h"

namespace grappler_go {
namespace {

// An edge that the graph has already keeps the order by itself.
bool Follows(const OpGraph& graph, int32_t before, int32_t after) {
  for (const InputEdge& in : graph.inputs(after)) {
    if (in.src == before && !in.back_edge) return true;
  }
  return false;
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
  return OkStatus();
}

}  // namespace grappler_go
