#include <map>
#include <utility>

#include "cc/graph/wire.h"
#include "cc/rewrite/fusion_groups.h"
#include "cc/rewrite/node_def.h"
#include "cc/rewrite/rewrite.h"

namespace grappler_go {
namespace {

// TensorFlow's clone_constants_for_better_clustering draws the line here too
// (below 16). Shapes, axes, permutations and scalars are all smaller; paddings
// of eight dimensions, the most that its kernels take, are just as large.
constexpr int64_t kMaxElements = 16;

bool IsSmall(const OpGraph& graph, int32_t op) {
  if (graph.num_outputs(op) < 1) return false;
  const int64_t elements = graph.shape(op, 0).num_elements();
  return elements >= 0 && elements <= kMaxElements &&
         DataTypeSize(graph.dtype(op, 0)) > 0;
}

// Ops that write into the tensor they read: their readers must go on sharing
// it.
bool IsInPlace(std::string_view op) {
  return op == "InplaceUpdate" || op == "InplaceAdd" || op == "InplaceSub";
}

// Who reads a constant.
struct Readers {
  int32_t group = -1;    // of the first one that is in a group
  bool several = false;  // groups
  bool outside = false;  // of any group
  bool in_place = false;
};

Readers ReadersOf(const OpGraph& graph, const Plan& plan, int32_t op) {
  Readers readers;
  for (const OutputEdge& out : graph.outputs(op)) {
    if (out.port == kControlPort) continue;
    const int32_t group = plan.fusion_group[out.dst];
    readers.in_place |= IsInPlace(graph.op(out.dst));
    readers.outside |= group < 0;
    readers.several |=
        group >= 0 && readers.group >= 0 && group != readers.group;
    if (readers.group < 0) readers.group = group;
  }
  return readers;
}

std::string_view DeviceOf(const OpGraph& graph, const Plan& plan, int32_t op) {
  if (!plan.device.empty() && plan.device[op] >= 0) {
    return plan.devices[plan.device[op]];
  }
  return graph.device(op);
}

class CloneConstants {
 public:
  CloneConstants(const Plan& plan, GraphEdits* edits)
      : plan_(plan),
        edits_(edits),
        graph_(edits->graph()),
        attrs_(FusionGroupAttrs(plan)) {
    for (const std::string& attrs : attrs_) {
      shared_.push_back(edits->Share(attrs));
    }
  }

  void Visit(int32_t op) {
    // One that is colocated with something stays with it.
    if (!graph_.has(op, kConstant) || graph_.has(op, kMarkedByUser) ||
        graph_.colocation_group(op) >= 0 || !IsSmall(graph_, op)) {
      return;
    }
    const Readers readers = ReadersOf(graph_, plan_, op);
    if (readers.group < 0 || readers.in_place) return;
    const bool alone = !readers.several && !readers.outside;
    if (alone && plan_.fusion_group[op] == readers.group) return;
    if (alone && plan_.fusion_group[op] < 0 && !graph_.has(op, kPreserved) &&
        GroupDevice(op) == DeviceOf(graph_, plan_, op)) {
      edits_->AppendShared(op, shared_[readers.group]);
      return;
    }
    Clone(op);
  }

 private:
  // Where its first reader in a group runs.
  std::string_view GroupDevice(int32_t op) const {
    for (const OutputEdge& out : graph_.outputs(op)) {
      if (out.port != kControlPort && plan_.fusion_group[out.dst] >= 0) {
        return DeviceOf(graph_, plan_, out.dst);
      }
    }
    return {};
  }

  void Clone(int32_t op) {
    std::map<int32_t, std::string> clones;  // names, by group
    for (const OutputEdge& out : graph_.outputs(op)) {
      const int32_t group = plan_.fusion_group[out.dst];
      if (out.port == kControlPort || group < 0 ||
          group == plan_.fusion_group[op] || graph_.has(out.dst, kPreserved)) {
        continue;
      }
      std::string& name = clones[group];
      if (name.empty()) {
        name = AddClone(op, group, DeviceOf(graph_, plan_, out.dst));
      }
      edits_->ReplaceInput(out.dst, op, out.port, name);
    }
  }

  // Made of the original bytes: what the plan decided for the original (a
  // device, a group, an order) is not meant for the clone.
  std::string AddClone(int32_t op, int32_t group, std::string_view device) {
    const std::string name = edits_->NewName(
        std::string(graph_.name(op)) + "/grappler_go_" + std::to_string(group));
    std::string clone;
    // Clones are many, so each takes just the room that it needs: what it is
    // made of, and two headers.
    clone.reserve(graph_.node(op).size() + name.size() + device.size() +
                  attrs_[group].size() + 12);
    clone = graph_.node(op);
    AppendBytesField(kNodeName, name, &clone);
    AppendBytesField(kNodeDevice, device, &clone);
    clone += attrs_[group];
    edits_->Add(std::move(clone));
    return name;
  }

  const Plan& plan_;
  GraphEdits* edits_;
  const OpGraph& graph_;
  const std::vector<std::string> attrs_;  // by group
  std::vector<int32_t> shared_;           // the same, kept by edits_
};

}  // namespace

Status RewriteCloneConstants(const Plan& plan, GraphEdits* edits) {
  if (plan.fusion_group.empty()) return OkStatus();
  CloneConstants clone(plan, edits);
  for (int32_t op = 0; op < edits->graph().num_ops(); ++op) clone.Visit(op);
  return OkStatus();
}

}  // namespace grappler_go
