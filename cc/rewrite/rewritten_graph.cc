#include "cc/rewrite/rewritten_graph.h"

#include <string>
#include <utility>

#include "cc/graph/wire.h"
#include "cc/rewrite/fusion_groups.h"
#include "cc/rewrite/node_def.h"
#include "cc/rewrite/rewrite.h"

namespace grappler_go {
namespace {

// The one field of GraphDef that is looked into (graph.proto).
constexpr uint32_t kGraphNode = 1;

Status Malformed(std::string_view name) {
  return InvalidArgument(std::string(name) + ": the node is malformed");
}

// The next field of a GraphDef that is not a node; empty at the end.
std::string_view NextOther(WireReader* reader) {
  WireField field;
  while (reader->Next(&field)) {
    if (field.number != kGraphNode) {
      return {field.begin, static_cast<size_t>(field.end - field.begin)};
    }
  }
  return {};
}

// False for malformed bytes. The last field of a kind counts.
bool ReadHead(std::string_view node, RewrittenGraph::Added* head) {
  head->bytes = node;
  WireReader reader(node);
  WireField field;
  while (reader.Next(&field)) {
    if (field.type != WireType::kBytes) continue;
    if (field.number == kNodeName) head->name = field.bytes;
    if (field.number == kNodeOp) head->op = field.bytes;
    if (field.number == kNodeDevice) head->device = field.bytes;
  }
  return reader.ok();
}

// Bytes that hold a device and decisions, and nothing else. Without a device
// *device stays as it is.
bool IsDecisions(std::string_view appended, std::string_view* device) {
  WireReader reader(appended);
  WireField field;
  NodeView::Attr attr;
  while (reader.Next(&field)) {
    if (field.type != WireType::kBytes) return false;
    if (field.number == kNodeDevice) {
      *device = field.bytes;
    } else if (field.number != kNodeAttr ||
               !ReadAttrEntry(field.bytes, &attr) ||
               !IsDecisionAttr(attr.first)) {
      return false;
    }
  }
  return reader.ok();
}

}  // namespace

bool IsDecisionAttr(std::string_view key) {
  return key == kPlannedAttr || key == kXlaCompileAttr ||
         key == kXlaScopeAttr || key == kXlaSeparateAttr;
}

StatusOr<RewrittenGraph> RewrittenGraph::Read(const OpGraph& original,
                                              std::string_view graphdef) {
  RewrittenGraph graph(original, graphdef);
  GO_RETURN_IF_ERROR(graph.ReadNodes());
  GO_RETURN_IF_ERROR(graph.CompareOtherFields());
  return graph;
}

int32_t RewrittenGraph::find(std::string_view name) const {
  const int32_t op = original_->find(name);
  if (op >= 0) return op;
  const auto found = added_by_name_.find(name);
  return found == added_by_name_.end() ? -1 : found->second;
}

std::string_view RewrittenGraph::device(int32_t j) const {
  if (is_added(j)) return added(j).device;
  return moved_.empty() ? original_->device(j) : moved_[j];
}

void RewrittenGraph::Move(int32_t op, std::string_view device) {
  if (device == original_->device(op)) return;
  if (moved_.empty()) {
    moved_.resize(original_->num_ops());
    for (int32_t i = 0; i < original_->num_ops(); ++i) {
      moved_[i] = original_->device(i);
    }
  }
  moved_[op] = device;
}

Status RewrittenGraph::ReadNodes() {
  const int32_t num_ops = original_->num_ops();
  std::vector<bool> seen(num_ops);
  int32_t num_seen = 0;
  int32_t next = 0;  // the original's node that is expected: most keep places
  WireReader reader(graphdef_);
  WireField field;
  while (reader.Next(&field)) {
    if (field.number != kGraphNode) continue;
    if (field.type != WireType::kBytes) {
      return InvalidArgument("GraphDef.node is not a message");
    }
    const std::string_view node = field.bytes;
    int32_t op = next < num_ops ? original_->op_at(next) : -1;
    // One that begins with all that the expected one says has its name, unless
    // it is given another after that, which ReadOriginal does not let pass.
    if (op < 0 ||
        node.substr(0, original_->node(op).size()) != original_->node(op)) {
      Added head;
      if (!ReadHead(node, &head)) return Malformed(head.name);
      if (op < 0 || head.name != original_->name(op)) {
        op = original_->find(head.name);
      }
      if (op < 0) {
        GO_RETURN_IF_ERROR(ReadAdded(node));
        continue;
      }
    }
    if (seen[op]) {
      return InvalidArgument("two nodes are named " +
                             std::string(original_->name(op)));
    }
    seen[op] = true;
    ++num_seen;
    if (next < num_ops && op == original_->op_at(next)) ++next;
    GO_RETURN_IF_ERROR(ReadOriginal(op, node));
  }
  if (!reader.ok()) {
    return InvalidArgument("truncated or malformed GraphDef");
  }
  for (int32_t i = 0; num_seen < num_ops && i < num_ops; ++i) {
    if (!seen[i]) {
      return InvalidArgument(std::string(original_->name(i)) +
                             ": the node is gone");
    }
  }
  return OkStatus();
}

Status RewrittenGraph::ReadOriginal(int32_t op, std::string_view node) {
  const std::string_view before = original_->node(op);
  if (node == before) return OkStatus();
  if (node.substr(0, before.size()) == before) {
    const std::string_view appended = node.substr(before.size());
    if (appended == appended_) {
      if (appended_device_.data() != nullptr) Move(op, appended_device_);
      return OkStatus();
    }
    std::string_view device;
    if (IsDecisions(appended, &device)) {
      appended_ = appended;
      appended_device_ = device;
      if (device.data() != nullptr) Move(op, device);
      return OkStatus();
    }
  }
  Added head;
  if (!ReadHead(node, &head)) return Malformed(original_->name(op));
  if (head.name != original_->name(op)) {
    return InvalidArgument(std::string(original_->name(op)) +
                           ": the node is named " + std::string(head.name));
  }
  Move(op, head.device);
  changed_.push_back({op, node});
  return OkStatus();
}

Status RewrittenGraph::ReadAdded(std::string_view node) {
  Added added;
  if (!ReadHead(node, &added)) return Malformed(added.name);
  if (added.name.empty()) return InvalidArgument("a node has no name");
  if (added.op.empty()) {
    return InvalidArgument("node " + std::string(added.name) + " has no op");
  }
  if (!added_by_name_.emplace(added.name, num_nodes()).second) {
    return InvalidArgument("two nodes are named " + std::string(added.name));
  }
  added_.push_back(added);
  return OkStatus();
}

Status RewrittenGraph::CompareOtherFields() const {
  WireReader before(original_->graphdef()), after(graphdef_);
  while (true) {
    const std::string_view a = NextOther(&before), b = NextOther(&after);
    if (a != b) return InvalidArgument("graph: versions or library changed");
    if (a.empty()) return OkStatus();
  }
}

}  // namespace grappler_go
