// Clones of forward ops for the backward pass.
//
// Acyclic by construction: there is a total order of the old ops and the clones
// that every edge follows. An old op stands at its number, which is topological
// already, except those of the backward pass that read nothing of the backward
// pass (2x, for the gradient of x*x): they stand just before their first user,
// because that is when their value is needed. A clone stands just before its
// first user. The trigger that holds a clone back is then always chosen from
// what stands before the clone.
#include <algorithm>
#include <utility>

#include "cc/graph/wire.h"
#include "cc/rewrite/node_def.h"
#include "cc/rewrite/rewrite.h"

namespace grappler_go {
namespace {

constexpr uint32_t kNotCloned =
    kStateful | kRandom | kReadsVariable | kWritesVariable | kControlFlow |
    kInLoop | kConditional | kBackward | kConstant | kSource | kSink |
    kUnknownOp | kHasSubgraph | kMarkedByUser | kRefTyped;

// What may start a clone: something that always runs, outside of any loop.
constexpr uint32_t kNoTrigger =
    kControlFlow | kInLoop | kConditional | kConstant | kSource;

// Ops that look at the shape of what they read and run at once: for them, no
// value is kept alive.
bool ReadsShapeOnly(std::string_view op) {
  return op == "Shape" || op == "ShapeN" || op == "Size" || op == "Rank";
}

class Recompute {
 public:
  Recompute(const Plan& plan, GraphEdits* edits)
      : plan_(plan), edits_(edits), graph_(edits->graph()) {}

  Status Run() {
    const int32_t n = graph_.num_ops();
    for (int32_t op = 0; op < n; ++op) {
      if (!plan_.recompute[op] || !graph_.has(op, kNotCloned)) continue;
      return InvalidArgument("recompute: " + std::string(graph_.name(op)) +
                             " (" + std::string(graph_.op(op)) +
                             ") may not be computed twice");
    }
    PlaceOps();
    CollectGroupInputs();
    first_use_.assign(n, -1);
    trigger_.assign(n, -1);
    // Users come before what they use.
    for (int32_t op = n - 1; op >= 0; --op) {
      if (plan_.recompute[op]) Decide(op);
    }
    names_.resize(n);
    for (int32_t op = 0; op < n; ++op) {
      if (cloned(op)) Clone(op);
    }
    return OkStatus();
  }

 private:
  using Key = std::pair<int32_t, int32_t>;  // place, then number

  bool cloned(int32_t op) const { return first_use_[op] >= 0; }
  Key key(int32_t op) const { return {place_[op], op}; }

  int32_t group(int32_t op) const {
    return plan_.fusion_group.empty() ? -1 : plan_.fusion_group[op];
  }

  // Does this edge of a recomputed op lead to a user that reads the clone? One
  // that has nothing to wait for does not: the clone would run at once and save
  // nothing.
  bool UserReadsClone(int32_t op, const OutputEdge& out) const {
    if (out.port == kControlPort) return false;
    if (plan_.recompute[out.dst]) return false;  // its clone does, perhaps
    return graph_.has(out.dst, kBackward) && !graph_.has(out.dst, kPreserved) &&
           !ReadsShapeOnly(graph_.op(out.dst)) &&
           Trigger(op, place_[out.dst]) >= 0;
  }

  bool MayTrigger(const InputEdge& in) const {
    return !in.back_edge && graph_.has(in.src, kBackward) &&
           !graph_.has(in.src, kNoTrigger) && place_[in.src] == in.src;
  }

  // Does an op of the backward pass only wait for the forward pass? Constants,
  // shapes and variables are read in the backward pass too, but early.
  bool WaitsForForwardOnly(int32_t op) const {
    int32_t forward = -1, backward = -1;
    for (const InputEdge& in : graph_.inputs(op)) {
      int32_t* deepest = graph_.has(in.src, kBackward) ? &backward : &forward;
      *deepest = std::max(*deepest, graph_.depth(in.src));
    }
    return forward >= backward && forward >= 0;
  }

  void PlaceOps() {
    const int32_t n = graph_.num_ops();
    place_.resize(n);
    for (int32_t op = n - 1; op >= 0; --op) {
      place_[op] = op;
      if (!graph_.has(op, kBackward) || graph_.has(op, kInLoop) ||
          !WaitsForForwardOnly(op)) {
        continue;
      }
      int32_t first = n;
      for (const OutputEdge& out : graph_.outputs(op)) {
        if (out.dst > op) first = std::min(first, place_[out.dst]);
      }
      if (first < n) place_[op] = first;
    }
  }

  // What each group waits for: it starts when all of its inputs are there.
  void CollectGroupInputs() {
    for (int32_t op = 0; op < graph_.num_ops(); ++op) {
      if (group(op) < 0) continue;
      const size_t g = static_cast<size_t>(group(op));
      if (g >= group_inputs_.size()) group_inputs_.resize(g + 1);
      for (const InputEdge& in : graph_.inputs(op)) {
        if (group(in.src) != group(op) && MayTrigger(in)) {
          group_inputs_[g].push_back(in.src);
        }
      }
    }
    for (std::vector<int32_t>& inputs : group_inputs_) {
      std::sort(inputs.begin(), inputs.end());
    }
  }

  // The latest op of the backward pass that the op at `place` waits for and
  // that comes later than the recomputed op did, -1 if there is none. It stands
  // before everything placed there, clones included. For an op in a group it is
  // better chosen outside of the group, whose parts could not be compiled
  // together otherwise.
  int32_t Trigger(int32_t op, int32_t place) const {
    int32_t trigger = -1;
    if (group(place) >= 0) {
      const std::vector<int32_t>& inputs = group_inputs_[group(place)];
      const auto end = std::lower_bound(inputs.begin(), inputs.end(), place);
      if (end != inputs.begin()) trigger = *(end - 1);
      if (trigger >= 0 && graph_.depth(trigger) > graph_.depth(op)) {
        return trigger;
      }
    }
    for (const InputEdge& in : graph_.inputs(place)) {
      if (MayTrigger(in)) trigger = std::max(trigger, in.src);
    }
    return trigger >= 0 && graph_.depth(trigger) > graph_.depth(op) ? trigger
                                                                    : -1;
  }

  void Decide(int32_t op) {
    int32_t first = -1;
    const auto use = [&](int32_t user) {
      if (first < 0 || key(user) < key(first)) first = user;
    };
    for (const OutputEdge& out : graph_.outputs(op)) {
      if (UserReadsClone(op, out)) {
        use(out.dst);
      } else if (out.port != kControlPort && cloned(out.dst)) {
        use(first_use_[out.dst]);
      }
    }
    if (first < 0) return;
    first_use_[op] = first;
    trigger_[op] = Trigger(op, place_[first]);
  }

  void Clone(int32_t op) {
    const std::string node = edits_->current(op);
    NodeView view;
    if (!ReadNode(node, &view)) return;  // parsed before, so it cannot fail
    names_[op] =
        edits_->NewName(std::string(view.name) + "/grappler_go_recompute");
    view.name = names_[op];
    int32_t held_by = -1;  // the latest trigger among the clones it reads
    const Span<InputEdge> inputs = graph_.inputs(op);
    std::vector<std::string> renamed(view.data_inputs.size());
    for (size_t slot = 0; slot < view.data_inputs.size(); ++slot) {
      const int32_t src = inputs[slot].src;
      if (!cloned(src)) continue;
      held_by = std::max(held_by, trigger_[src]);
      renamed[slot] = InputName(names_[src], inputs[slot].port);
      view.data_inputs[slot] = renamed[slot];
    }
    std::string control;
    if (trigger_[op] > held_by) {
      control = "^" + std::string(graph_.name(trigger_[op]));
      view.control_inputs.push_back(control);
    }
    edits_->Add(WriteNode(view));
    for (const OutputEdge& out : graph_.outputs(op)) {
      if (UserReadsClone(op, out)) {
        edits_->ReplaceInput(out.dst, op, out.port,
                             InputName(names_[op], out.port));
      }
    }
  }

  const Plan& plan_;
  GraphEdits* edits_;
  const OpGraph& graph_;
  std::vector<int32_t> place_;      // [num_ops]
  std::vector<int32_t> first_use_;  // the first old op that needs the clone; -1
  std::vector<int32_t> trigger_;    // of the clone
  std::vector<std::string> names_;  // of the clones
  std::vector<std::vector<int32_t>> group_inputs_;  // sorted, by group
};

}  // namespace

Status RewriteRecompute(const Plan& plan, GraphEdits* edits) {
  if (plan.recompute.empty()) return OkStatus();
  if (std::none_of(plan.recompute.begin(), plan.recompute.end(),
                   [](uint8_t bit) { return bit != 0; })) {
    return OkStatus();
  }
  return Recompute(plan, edits).Run();
}

}  // namespace grappler_go
