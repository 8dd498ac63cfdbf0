// How an OpGraph comes about; private to cc/graph.
//
//   Read      GraphDef bytes -> a RawNode each, in file order
//             (op_graph_read.cc)
//   Connect   input names -> edges between RawNodes (op_graph_order.cc)
//   Order     depth, structural hashes, canonical numbers (op_graph_order.cc)
//   LayOut    RawNodes -> OpGraph's arrays, in that order (op_graph.cc)
//   Annotate  flags, variables, colocation groups (op_graph_flags.cc)
//
// The first three speak of nodes by place in the file, the others by number.
// Each frees what the next ones do not need: all of it together would be larger
// than the graph's bytes.
#ifndef GRAPPLER_GO_GRAPH_OP_GRAPH_BUILDER_H_
#define GRAPPLER_GO_GRAPH_OP_GRAPH_BUILDER_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cc/base/scratch.h"
#include "cc/base/status.h"
#include "cc/graph/name_index.h"
#include "cc/graph/op_graph.h"

namespace grappler_go {

struct RawNode {
  uint32_t bytes = 0;       // place of its field in the GraphDef
  uint32_t name = 0;        // place of its name's
  int32_t first_input = 0;  // index into edges_
  int32_t num_data = 0;
  int32_t num_control = 0;
  uint16_t flags = 0;   // those that the NodeDef alone decides
  uint16_t type = 0;    // index into OpGraph::op_types_
  uint16_t device = 0;  // index into OpGraph::devices_
  uint8_t dtype = 0;    // the attribute "T" or "dtype"
};

struct RawEdge {
  // The producer: Read leaves the place of the input's field in the GraphDef,
  // Connect that of the node among the nodes.
  uint32_t src;
  int32_t port;  // kControlPort for a control edge
};

// Dtypes are kept in a byte. No type of TensorFlow's is beyond it.
inline uint8_t ByteOfDtype(int64_t dtype) {
  return dtype < 0 || dtype > 255 ? 255 : static_cast<uint8_t>(dtype);
}

// Distinct strings, numbered as they come.
class StringTable {
 public:
  int32_t Intern(std::string_view text);
  std::vector<std::string_view> Take() { return std::move(strings_); }

 private:
  std::vector<std::string_view> strings_;
  NameIndex index_;
  size_t capacity_ = 0;
  int32_t last_ = -1;
};

// Gives memory back at once: what one phase leaves, the next one can have.
template <typename... Vectors>
void Free(Vectors*... vectors) {
  (Vectors().swap(*vectors), ...);
}

class OpGraphBuilder {
 public:
  OpGraphBuilder(std::string_view graphdef, const ParseOptions& options)
      : options_(options) {
    graph_.graphdef_ = graphdef;
  }
  StatusOr<OpGraph> Build();

  // The value of one attribute of a serialized NodeDef; empty when absent.
  static std::string_view FindAttr(std::string_view node, std::string_view key);

 private:
  // What is read of a node beside its RawNode.
  struct NodeText {
    std::string_view op, device;
    uint64_t hash = 0;           // of the attributes
    uint64_t source_shapes = 0;  // of those that say a source's shape
  };

  Status Read();
  Status ReadNode(const WireField& node_field);
  Status ReadInput(const WireField& field, RawNode* node);
  Status ReadAttr(std::string_view entry, RawNode* node, NodeText* text);
  uint32_t PlaceOf(const WireField& field) const {
    return static_cast<uint32_t>(field.begin - graph_.graphdef_.data());
  }
  std::string_view NameOf(const RawNode& node) const {
    return graph_.Text(node.name);
  }

  Status Connect();

  Status Order();
  Status FindDepths();
  void SortByDepth();
  void HashNodes();
  void SortLevels();
  bool IsBackEdge(uint32_t src, int32_t dst) const;

  void LayOut();
  void LayOutInputs();
  void LayOutNodes();
  void LayOutOutputs();
  Status LayOutTensors();
  int32_t NumOutputs(int32_t i) const;

  void Annotate();
  void FlagTypes();
  void FlagPreserved();
  void FlagFrames();
  void FlagBackward();
  void FindVariables();
  void Colocate();

  // What is known of an op type beyond its OpDef.
  struct TypeInfo {
    const OpDef* def;
    uint64_t hash;
    bool next_iteration;
    bool merge;
    bool source;
  };
  const TypeInfo& type_info(uint32_t at) const { return types_[raw_[at].type]; }

  const ParseOptions& options_;
  OpGraph graph_;

  // By place in the file.
  Scratch<RawNode> raw_;
  Scratch<RawEdge> edges_;  // all nodes' inputs in a row
  Scratch<int32_t> depth_;
  // Of the op and its attributes; then of all that it descends from, too; then
  // of all that descends from it, too.
  Scratch<uint64_t> hash_;
  Scratch<int32_t> level_ptr_;   // by depth: where it begins in order_
  Scratch<int32_t> order_;       // number -> place
  std::vector<int32_t> number_;  // place -> number
  std::vector<std::pair<int32_t, std::string_view>> class_attrs_;

  Scratch<uint8_t> dtype_;  // by number: RawNode::dtype
  StringTable type_names_, device_names_;
  std::vector<TypeInfo> types_;
};

}  // namespace grappler_go

#endif  // GRAPPLER_GO_GRAPH_OP_GRAPH_BUILDER_H_
