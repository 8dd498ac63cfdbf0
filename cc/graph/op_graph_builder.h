// How an OpGraph comes about; private to cc/graph.
//
//   Read      GraphDef bytes -> a RawNode each, in file order
//   (op_graph_read.cc) Connect   input names -> edges between RawNodes
//   (op_graph_order.cc) Order     depth, structural hashes, canonical numbers
//   (op_graph_order.cc) LayOut    RawNodes -> OpGraph's arrays, in that order
//   (op_graph.cc) Annotate  flags, variables, colocation groups
//   (op_graph_flags.cc)
//
// The first three speak of nodes by place in the file, the others by number.
#ifndef GRAPPLER_GO_GRAPH_OP_GRAPH_BUILDER_H_
#define GRAPPLER_GO_GRAPH_OP_GRAPH_BUILDER_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cc/base/status.h"
#include "cc/graph/name_index.h"
#include "cc/graph/op_graph.h"

namespace grappler_go {

struct RawNode {
  NameKey key;
  std::string_view name() const { return key.name; }
  std::string_view bytes;
  uint64_t hash = 0;        // of the op and its attributes
  int32_t type = 0;         // index into OpGraph::op_types_
  int32_t device = 0;       // index into OpGraph::devices_
  int32_t dtype = 0;        // the attribute "T" or "dtype"
  int32_t first_input = 0;  // index into inputs_ and edges_
  int32_t num_data = 0;
  int32_t num_control = 0;
  uint32_t flags = 0;  // those that the NodeDef alone decides
};

struct RawInput {
  NameKey producer;
  int32_t port;  // kControlPort for a control input
};

struct RawEdge {
  int32_t src;   // place in the file
  int32_t port;  // kControlPort for a control edge
};

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
  Status Read();
  Status ReadNode(std::string_view bytes);
  Status ReadInput(std::string_view input, RawNode* node);
  Status ReadAttr(std::string_view entry, RawNode* node,
                  uint64_t* source_shapes);

  Status Connect();

  Status Order();
  Status SortTopologically();
  void HashNodes();
  void NumberNodes();
  bool IsBackEdge(int32_t src, int32_t dst) const;

  void LayOut();
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
  const TypeInfo& type_info(int32_t at) const { return types_[raw_[at].type]; }

  const ParseOptions& options_;
  OpGraph graph_;

  // By place in the file.
  std::vector<RawNode> raw_;
  std::vector<RawInput> inputs_;           // all nodes' in a row
  std::vector<RawEdge> edges_;             // the same, resolved
  std::vector<int32_t> user_ptr_, users_;  // CSR: indices into edges_
  std::vector<int32_t> edge_dst_;          // by index into edges_
  std::vector<int32_t> depth_;
  std::vector<uint64_t> hash_;
  std::vector<int32_t> order_;   // number -> place
  std::vector<int32_t> number_;  // place -> number
  std::vector<std::pair<int32_t, std::string_view>> class_attrs_;

  std::vector<int32_t> dtype_;  // by number: RawNode::dtype
  StringTable type_names_, device_names_;
  std::vector<TypeInfo> types_;
};

}  // namespace grappler_go

#endif  // GRAPPLER_GO_GRAPH_OP_GRAPH_BUILDER_H_
