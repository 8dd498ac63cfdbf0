// Plan -> GraphDef bytes.
//
// Each rewrite is a small function in a file of its own that records edits in a
// GraphEdits; nothing is written until the end, when the original bytes are
// copied in long stretches and edited nodes with the edits appended (the last
// occurrence of a singular field or map key wins in the wire format). Large
// constants are copied once, straight through, and never parsed.
#ifndef GRAPPLER_GO_REWRITE_REWRITE_H_
#define GRAPPLER_GO_REWRITE_REWRITE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "cc/base/scratch.h"
#include "cc/base/status.h"
#include "cc/graph/op_graph.h"
#include "cc/plan/plan.h"

namespace grappler_go {

// The attribute that says "this pass has been here"; its value is the policy's
// name. Put on every node that a rewrite touched or added.
constexpr std::string_view kPlannedAttr = kPlannedMark;

// Pending changes to a graph. Op numbers are OpGraph's.
class GraphEdits {
 public:
  explicit GraphEdits(const OpGraph& graph);
  const OpGraph& graph() const { return graph_; }

  // Appends to a node: a device, attributes.
  void Append(int32_t op, std::string_view bytes);
  // The same for bytes that many nodes get: Share keeps them once, for all.
  int32_t Share(std::string bytes);
  void AppendShared(int32_t op, int32_t shared);
  // Appends "^source". Control inputs come after data inputs, which appending
  // keeps. Nothing happens when the node has this control input already.
  void AddControlInput(int32_t op, std::string_view source);
  // Changes each data input of `op` that reads output `port` of `src` in the
  // graph as it was.
  void ReplaceInput(int32_t op, int32_t src, int32_t port,
                    std::string_view input);
  // Replaces a node altogether. The caller starts from current(op): what was
  // appended before is gone, what is appended later still applies.
  void Replace(int32_t op, std::string node);
  // Leaves a node out, one that nobody names any more.
  void Remove(int32_t op);
  // The node as it stands now, replacement and appends included.
  std::string current(int32_t op) const;
  // A new node (serialized NodeDef), named by NewName.
  void Add(std::string node) { added_.push_back(std::move(node)); }
  // The same for the clone of an op, which may be tied later.
  void AddClone(int32_t op, std::string_view name, std::string node);
  // The clone's name; empty: it has none.
  std::string_view clone(int32_t op) const;
  void AddControlInputToClone(int32_t op, std::string_view source);
  // Data inputs of the nodes added so far that read a key read its value from
  // now on.
  void RedirectAdded(const std::unordered_map<std::string, std::string>& to);
  // A name not in the graph nor given out before: prefix, or prefix_1, ...
  std::string NewName(std::string_view prefix);

  bool empty() const { return num_edited_ == 0 && added_.empty(); }
  int32_t num_added() const { return static_cast<int32_t>(added_.size()); }
  // Appends to every node that was edited or added, now or later.
  void AppendToAll(std::string_view bytes) { to_all_.append(bytes); }
  // The edited GraphDef: the original fields in their order, edited nodes in
  // their place, new nodes after the last one, versions and library untouched.
  std::string Write() const;

 private:
  // What happened to one op. Two shared pieces are enough for a device and a
  // group; further ones are appended as bytes.
  struct Edit {
    bool edited = false;
    bool has_bytes = false;  // in replaced_ or appended_
    bool removed = false;
    int32_t shared[2] = {-1, -1};
    int32_t renamed = -1;  // the latest in renamed_
  };
  // An input that reads something else now. Readers of constants are many, so
  // this is all that is kept of them until they are written.
  struct Renamed {
    int32_t slot;
    int32_t name;     // in shared_
    int32_t earlier;  // of the same op, in renamed_; -1: none
  };
  Edit& Touch(int32_t op);
  // Calls visit(bytes) for the pieces of the node as it stands.
  template <typename Visit>
  void VisitPieces(int32_t op, const Visit& visit) const;
  size_t SizeOf(int32_t op) const;  // to_all_ included

  const OpGraph& graph_;
  int32_t num_edited_ = 0;
  Scratch<Edit> edits_;  // [num_ops]
  std::vector<std::string> shared_;
  Scratch<Renamed> renamed_;
  std::unordered_map<int32_t, std::string> appended_, replaced_;
  std::unordered_set<std::string> new_names_;
  struct Clone {
    std::string name;
    int32_t at;  // in added_
  };
  std::unordered_map<int32_t, Clone> clones_;  // by op
  std::vector<std::string> added_;
  std::string to_all_;
};

// The rewrites, in the order in which ApplyPlan runs them. Inputs of preserved
// ops (kPreserved) are never changed.
Status RewriteDevices(const Plan& plan, GraphEdits* edits);
// Recomputed ops are cloned; their backward users read the clones; a control
// edge holds each clone back until the backward pass needs it. Users that only
// look at a shape keep the original, as do users before which no part of the
// backward pass could be found to wait for. Errors: kInvalidArgument for an op
// whose clone might not compute the same (stateful, random, reading or writing
// a variable, in a loop or a conditional, unknown).
Status RewriteRecompute(const Plan& plan, GraphEdits* edits);
// Plan::order and, with Plan::turn_bytes, TurnEdges as control inputs.
Status RewriteOrder(const Plan& plan, GraphEdits* edits);
// Small constants get a clone in each group that reads them, or join the group
// when nobody else does. XLA wants shapes, axes and permutations as constants
// of the cluster; passed in from outside, they stop TensorFlow from clustering
// their reader, or make it compile anew for each value.
Status RewriteCloneConstants(const Plan& plan, GraphEdits* edits);
// _XlaCompile, _XlaScope, _XlaSeparateCompiledGradients.
Status RewriteFusionGroups(const Plan& plan, GraphEdits* edits);
// Ops of a group that TensorFlow's remapper made (OpDef::remapped) become the
// ops they are made of, which XLA can compile. The last of them keeps the name,
// so that consumers are untouched; the others are named <name>/<op>. All of
// them inherit device, colocation and group. Errors: kUnimplemented for one
// that CanUnfuse would have refused.
Status RewriteUnfuse(const Plan& plan, GraphEdits* edits);

// Can RewriteUnfuse take this op apart? False for ops that the remapper did not
// make, for those whose parts are not known here, and for preserved ones.
bool CanUnfuse(const OpGraph& graph, int32_t op);

// Validates the plan, then all of the above, then the marks. Errors leave
// nothing half done: the result is only in the returned bytes. kAborted: the
// plan decides nothing.
StatusOr<std::string> ApplyPlan(const Plan& plan, const OpGraph& graph);

}  // namespace grappler_go

#endif  // GRAPPLER_GO_REWRITE_REWRITE_H_
