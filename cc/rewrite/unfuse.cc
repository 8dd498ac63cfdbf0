#include <utility>

#include "cc/graph/wire.h"
#include "cc/rewrite/fused_parts.h"
#include "cc/rewrite/fusion_groups.h"
#include "cc/rewrite/node_def.h"
#include "cc/rewrite/rewrite.h"

namespace grappler_go {
namespace {

// What every part inherits: where it runs, with whom, and in which group.
bool IsInherited(std::string_view key) {
  return key == "_class" || key == kXlaCompileAttr || key == kXlaScopeAttr ||
         key == kXlaSeparateAttr;
}

class Unfuse {
 public:
  explicit Unfuse(GraphEdits* edits) : edits_(edits), graph_(edits->graph()) {}

  Status TakeApart(int32_t op) {
    StatusOr<std::vector<FusedPart>> parts = PartsOf(graph_, op);
    if (!parts.ok()) return parts.status();
    const std::string current = edits_->current(op);
    NodeView fused;
    if (!ReadNode(current, &fused)) {
      return Internal(std::string(graph_.name(op)) + " was broken by an edit");
    }
    std::vector<std::string> names;
    for (size_t p = 0; p < parts->size(); ++p) {
      const FusedPart& part = (*parts)[p];
      const bool last = p + 1 == parts->size();
      names.push_back(
          last ? std::string(fused.name)
               : edits_->NewName(std::string(fused.name) + "/" + part.op));
      std::string node = Write(part, fused, names, last);
      if (last) {
        edits_->Replace(op, std::move(node));
      } else {
        edits_->Add(std::move(node));
      }
    }
    RedirectOtherOutputs(op, names[0]);
    return OkStatus();
  }

  void Finish() {
    if (!redirected_.empty()) edits_->RedirectAdded(redirected_);
  }

 private:
  static std::string Write(const FusedPart& part, const NodeView& fused,
                           const std::vector<std::string>& names, bool last) {
    NodeView node;
    node.name = names.back();
    node.op = part.op;
    node.device = fused.device;
    for (int32_t input : part.inputs) {
      node.data_inputs.push_back(IsFusedInput(input)
                                     ? fused.data_inputs[FusedInputSlot(input)]
                                     : std::string_view(names[input]));
    }
    // What held the fused op back holds back each part that could run before
    // the others.
    bool first = part.inputs.empty();
    for (int32_t input : part.inputs) first |= IsFusedInput(input);
    if (first) node.control_inputs = fused.control_inputs;
    for (const auto& [key, value] : part.attrs) {
      node.attrs.emplace_back(key, value);
    }
    for (const NodeView::Attr& attr : fused.attrs) {
      const bool own = last && !attr.first.empty() && attr.first[0] == '_';
      if (own || IsInherited(attr.first)) node.attrs.push_back(attr);
    }
    return WriteNode(node);
  }

  // Outputs 1 to 5 of a batch normalization are not the last part's.
  void RedirectOtherOutputs(int32_t op, const std::string& first_part) {
    for (const OutputEdge& out : graph_.outputs(op)) {
      if (out.port <= 0) continue;
      const std::string input = InputName(first_part, out.port);
      edits_->ReplaceInput(out.dst, op, out.port, input);
      redirected_[InputName(graph_.name(op), out.port)] = input;
    }
  }

  GraphEdits* edits_;
  const OpGraph& graph_;
  std::unordered_map<std::string, std::string> redirected_;
};

}  // namespace

Status RewriteUnfuse(const Plan& plan, GraphEdits* edits) {
  const OpGraph& graph = edits->graph();
  Unfuse unfuse(edits);
  // In the order of ops: a consumer is taken apart after what it reads.
  for (size_t i = 0; i < plan.fusion_group.size(); ++i) {
    const int32_t op = static_cast<int32_t>(i);
    if (plan.fusion_group[i] < 0 || !graph.def(op).remapped) continue;
    GO_RETURN_IF_ERROR(unfuse.TakeApart(op));
  }
  unfuse.Finish();
  return OkStatus();
}

}  // namespace grappler_go
