#include "cc/graph/recompute_clones.h"

#include <algorithm>
#include <string_view>

namespace grappler_go {
namespace {

// What may start a clone: something that always runs, outside of any loop.
constexpr uint32_t kNoTrigger =
    kControlFlow | kInLoop | kConditional | kConstant | kSource;

// Ops that look at the shape of what they read and run at once: for them, no
// value is kept alive.
bool ReadsShapeOnly(std::string_view op) {
  return op == "Shape" || op == "ShapeN" || op == "Size" || op == "Rank";
}

}  // namespace

RecomputeClones::RecomputeClones(const OpGraph& graph,
                                 const std::vector<uint8_t>& recompute,
                                 const std::vector<int32_t>& group)
    : graph_(graph), recompute_(recompute), group_(group) {
  const int32_t n = graph_.num_ops();
  first_use_.assign(n, -1);
  trigger_.assign(n, -1);
  held_by_.assign(n, -1);
  PlaceOps();
  CollectGroupInputs();
  // Users come before what they use.
  for (int32_t op = n - 1; op >= 0; --op) {
    if (recompute_[op]) Decide(op);
  }
  for (int32_t op = 0; op < n; ++op) {
    if (cloned(op)) HoldBack(op);
  }
}

bool RecomputeClones::UserReadsClone(int32_t op, const OutputEdge& out) const {
  if (out.port == kControlPort) return false;
  if (recompute_[out.dst]) return false;  // its clone does, perhaps
  return graph_.has(out.dst, kBackward) && !graph_.has(out.dst, kPreserved) &&
         !ReadsShapeOnly(graph_.op(out.dst)) &&
         Trigger(op, place_[out.dst]) >= 0;
}

int32_t RecomputeClones::CouldWaitFor(int32_t op) const {
  // Later, a variable may hold another value.
  constexpr uint32_t kStays = kPreserved | kStateful | kRandom |
                              kReadsVariable | kWritesVariable | kControlFlow |
                              kInLoop | kConditional | kConstant | kSource |
                              kSink | kUnknownOp | kHasSubgraph | kRefTyped;
  if (place_[op] == op || graph_.has(op, kStays)) return -1;
  return Trigger(op, place_[op]);
}

bool RecomputeClones::MayTrigger(const InputEdge& in) const {
  return !in.back_edge && graph_.has(in.src, kBackward) &&
         !graph_.has(in.src, kNoTrigger) && place_[in.src] == in.src;
}

void RecomputeClones::PlaceOps() {
  const int32_t n = graph_.num_ops();
  // The depth of the last op of the forward pass that each depends on; -1 for
  // none. Constants and variables are there from the beginning.
  constexpr uint32_t kThere = kConstant | kSource | kReadsVariable;
  std::vector<int32_t> waits_for(n, -1);
  for (int32_t op = 0; op < n; ++op) {
    if (graph_.has(op, kThere)) continue;
    for (const InputEdge& in : graph_.inputs(op)) {
      if (!in.back_edge) {
        waits_for[op] = std::max(waits_for[op], waits_for[in.src]);
      }
    }
    if (!graph_.has(op, kBackward)) waits_for[op] = graph_.depth(op);
  }
  place_.resize(n);
  for (int32_t op = n - 1; op >= 0; --op) {
    place_[op] = op;
    if (!graph_.has(op, kBackward) || graph_.has(op, kInLoop) ||
        waits_for[op] < 0) {
      continue;
    }
    int32_t first = n;
    for (const OutputEdge& out : graph_.outputs(op)) {
      if (out.dst > op) first = std::min(first, place_[out.dst]);
    }
    if (first < n && waits_for[op] < waits_for[first]) place_[op] = first;
  }
}

// What each group waits for: it starts when all of its inputs are there.
void RecomputeClones::CollectGroupInputs() {
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
int32_t RecomputeClones::Trigger(int32_t op, int32_t place) const {
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

void RecomputeClones::Decide(int32_t op) {
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

// A clone that reads clones starts no earlier than they do.
void RecomputeClones::HoldBack(int32_t op) {
  int32_t latest = -1;  // among the triggers of the clones that it reads
  for (const InputEdge& in : graph_.inputs(op)) {
    if (in.port != kControlPort && cloned(in.src)) {
      latest = std::max(latest, trigger_[in.src]);
    }
  }
  if (trigger_[op] > latest) held_by_[op] = trigger_[op];
}

}  // namespace grappler_go
