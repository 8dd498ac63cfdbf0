// Reading and writing of one serialized NodeDef
// (tensorflow/core/framework/node_def.proto). Views point into the bytes that
// were read.
#ifndef GRAPPLER_GO_REWRITE_NODE_DEF_H_
#define GRAPPLER_GO_REWRITE_NODE_DEF_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace grappler_go {

// Field numbers of NodeDef.
constexpr uint32_t kNodeName = 1;
constexpr uint32_t kNodeOp = 2;
constexpr uint32_t kNodeInput = 3;
constexpr uint32_t kNodeDevice = 4;
constexpr uint32_t kNodeAttr = 5;

struct NodeView {
  using Attr = std::pair<std::string_view, std::string_view>;

  std::string_view name, op, device;
  std::vector<std::string_view> data_inputs;
  std::vector<std::string_view> control_inputs;  // with their "^"
  std::vector<Attr> attrs;  // sorted by key; the last value of each key
  // The value of an attribute (a serialized AttrValue), empty when absent.
  std::string_view attr(std::string_view key) const;
};

// False for malformed bytes.
bool ReadNode(std::string_view node, NodeView* view);
// Fields that NodeView does not have (debug information, the full type) are
// not written.
std::string WriteNode(const NodeView& view);

// One entry of NodeDef.attr, read.
bool ReadAttrEntry(std::string_view entry, NodeView::Attr* attr);

// "x:0" is written "x".
std::string InputName(std::string_view node, int32_t port);
// The node that an input names: "x" for "x", "x:1" and "^x".
std::string_view InputNode(std::string_view input);
// Its output: 0 for "x", 1 for "x:1", -1 for "^x".
int32_t InputPort(std::string_view input);

}  // namespace grappler_go

#endif  // GRAPPLER_GO_REWRITE_NODE_DEF_H_
