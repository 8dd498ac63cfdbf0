#include "cc/graph/shape_inference.h"

#include <algorithm>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "cc/graph/inference_context.h"

namespace grappler_go {
namespace {

// A loop's shapes settle in a pass or two; one that has not after this many is
// given up on.
constexpr int kMaxPasses = 6;

using RuleTable = std::unordered_map<std::string_view, ShapeRule>;

// Never destroyed: the pass may run while the process exits.
const RuleTable& Rules() {
  static const RuleTable& table = *[] {
    auto* built = new RuleTable;
    built->reserve(1024);
    for (const Span<RuleFamily>& families :
         {ArrayRules(), IndexRules(), JoinRules(), MathRules(), NnRules(),
          StateRules()}) {
      for (const RuleFamily& family : families) {
        std::string_view ops = family.ops;
        while (!ops.empty()) {
          const size_t space = std::min(ops.find(' '), ops.size());
          built->emplace(ops.substr(0, space), family.rule);
          ops.remove_prefix(std::min(space + 1, ops.size()));
        }
      }
    }
    return built;
  }();
  return table;
}

// What the attributes say of an op that has no rule.
void DefaultRule(InferenceContext* c) {
  const OpDef& def = c->graph().def(c->op());
  if (!def.outputs_attr.empty()) {
    const std::vector<int> types = c->type_list_attr(def.outputs_attr);
    if (types.size() != static_cast<size_t>(c->num_outputs())) return;
    for (int i = 0; i < c->num_outputs(); ++i) c->set_dtype(i, types[i]);
    return;
  }
  if (c->num_outputs() != 1) return;
  // "T" is an input's type often enough that it is believed of known ops only.
  for (const std::string_view key :
       {"dtype", "out_type", "output_dtype", "output_type", "Tout", "T"}) {
    if (key == "T" && !def.known) return;
    const int dtype = c->type_attr(key);
    if (dtype == 0) continue;
    c->set_dtype(0, dtype);
    return;
  }
}

}  // namespace

class ShapeInference {
 public:
  explicit ShapeInference(OpGraph* graph)
      : graph_(graph),
        state_{
            *graph,
            Span<int32_t>(graph->tensor_ptr_.data(), graph->tensor_ptr_.size()),
            &graph->shapes_,
            graph->shape_of_.data(),
            graph->dtypes_.data(),
            KnownValues(graph->shape_of_.size()),
            std::vector<int32_t>(graph->names_.size(), -1),
            {},
            {}} {
    const RuleTable& rules = Rules();
    for (const std::string_view type : graph->op_types_) {
      const auto it = rules.find(type);
      rule_of_type_.push_back(it == rules.end() ? DefaultRule : it->second);
    }
  }

  void Run() {
    for (int pass = 1; Pass(); ++pass) {
      if (pass == kMaxPasses) state_.loops_unknown = true;
    }
  }

 private:
  // Applies every rule once. True when a loop's Merge had promised too much,
  // and now knows.
  bool Pass() {
    state_.values = KnownValues(graph_->shape_of_.size());
    InferenceContext context(&state_);
    std::vector<std::pair<int32_t, int32_t>> back_edges;  // Merge, slot
    for (int32_t op = 0; op < graph_->num_ops(); ++op) {
      context.MoveTo(op);
      rule_of_type_[graph_->type_[op]](&context);
      UseOutputShapes(&context);
      if (graph_->has(op, kControlFlow)) FindBackEdges(op, &back_edges);
    }
    if (state_.loops_unknown) return false;
    bool changed = false;
    for (const auto& [merge, slot] : back_edges) {
      changed |= Relax(merge, graph_->inputs(merge)[slot]);
    }
    return changed;
  }

  void FindBackEdges(int32_t op,
                     std::vector<std::pair<int32_t, int32_t>>* found) const {
    const Span<InputEdge> inputs = graph_->inputs(op);
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (inputs[i].back_edge && inputs[i].port >= 0) {
        found->emplace_back(op, static_cast<int32_t>(i));
      }
    }
  }

  bool Relax(int32_t merge, const InputEdge& back_edge) {
    if (graph_->num_outputs(merge) == 0 ||
        back_edge.port >= graph_->num_outputs(back_edge.src)) {
      return false;
    }
    const TensorShape& before = graph_->shape(merge, 0);
    const TensorShape after =
        CommonShape(before, graph_->shape(back_edge.src, back_edge.port));
    if (after == before) return false;
    const auto [it, inserted] = state_.loop_shapes.emplace(merge, after);
    if (!inserted) it->second = CommonShape(it->second, after);
    return true;
  }

  // _output_shapes, where there is one, speaks for what no rule knew.
  void UseOutputShapes(InferenceContext* c) const {
    const int outputs = c->num_outputs();
    bool missing = false;
    for (int i = 0; i < outputs; ++i) missing |= !c->output(i).known_rank();
    if (!missing || c->graph().has(c->op(), kControlFlow)) return;
    const std::vector<TensorShape> shapes =
        c->shape_list_attr("_output_shapes");
    if (shapes.size() != static_cast<size_t>(outputs)) return;
    for (int i = 0; i < outputs; ++i) {
      if (!c->output(i).known_rank()) c->set_shape(i, shapes[i]);
    }
  }

  OpGraph* graph_;
  InferenceState state_;
  std::vector<ShapeRule> rule_of_type_;  // by OpGraph::type_
};

void InferShapes(OpGraph* graph) { ShapeInference(graph).Run(); }

}  // namespace grappler_go
