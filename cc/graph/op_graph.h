// OpGraph: what a GraphDef says, in the form that everything else reads.
//
//   StatusOr<OpGraph> graph = OpGraph::Parse(bytes, {fetches, preserve});
//   for (int32_t i = 0; i < graph->num_ops(); ++i) {
//     for (const InputEdge& e : graph->inputs(i)) Use(e.src, e.port);
//   }
//
// Immutable. It holds views into the GraphDef's bytes, which must outlive it.
// Ops are numbered 0..num_ops()-1 in a canonical topological order: by depth
// (longest path from a source, loop back-edges ignored), then structural hash,
// then the numbers of the op's producers, then name (numbers in names compared
// as numbers). The number of an op therefore does not depend on the order of
// nodes in the file nor on the names TensorFlow numbers at random, and a saved
// plan can speak of ops by number. Ops with the same hash are symmetric: they
// have the same ancestors, the same descendants and the same attributes.
//
// What enters the hash, and with it the fingerprint: op types; data inputs in
// their order with output numbers; control inputs as a set; the attributes that
// decide what is executed. Left out are attributes that begin with "_" (except
// the shapes that sources carry), names that TensorFlow makes up (shared_name,
// container, frame_name, tensor_name ...), seeds, devices, and the digits in
// function names. An attribute of more than 1 KiB, a large constant that is,
// enters with its length, its first and last 256 bytes and 64 samples.
//
// Parsing is linear in the bytes that are not tensor contents; it rejects
// duplicate names, inputs that do not exist, and cycles that are not a loop
// (NextIteration -> Merge).
//
// It is small, about 90 bytes an op with its edges, where a NodeDef takes 150:
// names and nodes are places in the bytes, and a shape that many outputs have
// is kept once.
#ifndef GRAPPLER_GO_GRAPH_OP_GRAPH_H_
#define GRAPPLER_GO_GRAPH_OP_GRAPH_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cc/base/status.h"
#include "cc/graph/fingerprint.h"
#include "cc/graph/name_index.h"
#include "cc/graph/op_def.h"
#include "cc/graph/shape_table.h"
#include "cc/graph/span.h"
#include "cc/graph/tensor_shape.h"
#include "cc/graph/wire.h"

namespace grappler_go {

struct InputEdge {
  int32_t src;             // the producer's number
  int32_t port : 31;       // its output; kControlPort for a control edge
  uint32_t back_edge : 1;  // NextIteration -> Merge, against the order of ops
};
constexpr int32_t kControlPort = -1;

// The same edge, seen from the producer.
struct OutputEdge {
  int32_t dst;        // the consumer's number
  int32_t port : 31;  // which of our outputs; kControlPort for a control edge
  uint32_t back_edge : 1;
};
static_assert(sizeof(InputEdge) == 8 && sizeof(OutputEdge) == 8,
              "edges are most of a graph");

// Facts about one op in its graph, or-ed together in OpGraph::flags(i).
// What follows from the op's type alone comes from op_def.h.
enum OpFlag : uint32_t {
  kPreserved = 1 << 0,  // fetched, fed, or to be kept by the caller's word
  kStateful = 1 << 1,   // may not be cloned or reordered; unknown ops too
  kRandom = 1 << 2,     // draws random numbers
  // An unknown op that is given a variable's handle counts as doing both.
  kReadsVariable = 1 << 3,
  kWritesVariable = 1 << 4,
  kControlFlow = 1 << 5,  // Switch, Merge, Enter, Exit, NextIteration, LoopCond
  kInLoop = 1 << 6,       // inside a lowered while loop's frame
  // Part of the backward pass or of the weight update:
  // 1. the name has a scope "gradient_tape", "gradients" or "gradients_<n>"; or
  // 2. a data input comes from a backward op; or
  // 3. it depends on no fed tensor, only on constants and variables, and all of
  //    its data consumers, at least one, are backward (the optimizer's reads).
  // Equal ops of both passes become one in TensorFlow, and that may have
  // either's name. So 1 and 2 do not hold for constants and what is computed
  // from constants alone; nor for an op that a gradient was taken of ("a/b" is
  // one where there is a "gradient_tape/a/b/..." or "gradients/a/b_grad/...")
  // and everything it is computed from. A gradient that is differentiated again
  // is such an op.
  kBackward = 1 << 7,
  kConstant = 1 << 8,      // Const
  kSource = 1 << 9,        // _Arg, Placeholder, VarHandleOp, VariableV2
  kSink = 1 << 10,         // _Retval
  kUnknownOp = 1 << 11,    // not in op_def.h: leave it alone
  kHasSubgraph = 1 << 12,  // calls a function (PartitionedCall, If, While, Map)
  // Carries _XlaCompile, _XlaMustCompile, _XlaScope, _XlaInternalScope or
  // _XlaClusterId, of whatever value, without our own mark: leave it alone.
  kMarkedByUser = 1 << 13,
  kPlanned = 1 << 14,      // carries our own mark: this pass has been here
  kRefTyped = 1 << 15,     // produces or consumes a reference-typed tensor
  kConditional = 1 << 16,  // downstream of a Switch and not yet of its Merge or
                           // Exit, loops included: may be dead at run time
};

// The attribute that says "this pass has been here".
constexpr std::string_view kPlannedMark = "_grappler_go";

struct ParseOptions {
  std::vector<std::string_view> fetches;   // names, without output numbers
  std::vector<std::string_view> preserve;  // names that must survive
  bool infer_shapes = true;
  // More nodes than this is kResourceExhausted.
  int64_t max_nodes = 4'000'000;
};

class OpGraph {
 public:
  // Errors: kInvalidArgument for malformed bytes, nodes without a name or an
  // op, duplicate names, dangling inputs, cycles; kResourceExhausted past
  // max_nodes, from 4 GiB on (protobuf ends at 2), for more than 65,535 op
  // types or devices, or when attributes promise far more outputs than the file
  // has bytes for. No nodes at all is not an error.
  static StatusOr<OpGraph> Parse(std::string_view graphdef,
                                 const ParseOptions& options);

  int32_t num_ops() const { return static_cast<int32_t>(names_.size()); }
  // Data and control edges together.
  int64_t num_edges() const { return static_cast<int64_t>(in_edges_.size()); }
  std::string_view graphdef() const { return graphdef_; }
  const Fingerprint& fingerprint() const { return fingerprint_; }

  std::string_view name(int32_t i) const { return Text(names_[i]); }
  std::string_view op(int32_t i) const { return op_types_[type_[i]]; }
  std::string_view device(int32_t i) const { return devices_[device_[i]]; }
  const OpDef& def(int32_t i) const { return *defs_[type_[i]]; }
  uint32_t flags(int32_t i) const { return flags_[i]; }
  bool has(int32_t i, uint32_t flag) const { return (flags_[i] & flag) != 0; }

  // The serialized NodeDef.
  std::string_view node(int32_t i) const { return Text(nodes_[i]); }
  // The op at a place in the file (0-based).
  int32_t op_at(int32_t file_index) const { return by_file_[file_index]; }
  // -1 when there is none of that name.
  int32_t find(std::string_view name) const;

  // In the NodeDef's order: data inputs first, control inputs last.
  Span<InputEdge> inputs(int32_t i) const {
    return {in_edges_.data() + in_ptr_[i],
            static_cast<size_t>(in_ptr_[i + 1] - in_ptr_[i])};
  }
  Span<OutputEdge> outputs(int32_t i) const {
    return {out_edges_.data() + out_ptr_[i],
            static_cast<size_t>(out_ptr_[i + 1] - out_ptr_[i])};
  }

  // Output tensors. Their number is known for ops in op_def.h, from an
  // attribute where it varies; for others it is one more than the highest
  // output that anyone reads.
  int32_t num_outputs(int32_t i) const {
    return tensor_ptr_[i + 1] - tensor_ptr_[i];
  }
  // A tensorflow::DataType; 0: not known, 255: none that TensorFlow has.
  int dtype(int32_t i, int32_t port) const {
    return dtypes_[tensor_ptr_[i] + port];
  }
  const TensorShape& shape(int32_t i, int32_t port) const {
    return shapes_[shape_of_[tensor_ptr_[i] + port]];
  }
  // Outputs are numbered through, op by op: this is the number of the first of
  // op i, and for num_ops() how many there are.
  int32_t first_tensor(int32_t i) const { return tensor_ptr_[i]; }
  // Bytes of one output: 0 for a resource or variant, -1 when its shape or
  // dtype is not known and for strings.
  int64_t bytes(int32_t i, int32_t port) const;
  // Every output has a fully known shape and dtype; resources and variants
  // count as known whatever their shape.
  bool shapes_known(int32_t i) const;

  // Ops that must share a device: _class ("loc:@"), a resource handle with all
  // of its users (function calls aside: those may span devices), reference
  // variables with theirs. -1 when alone. Groups are numbered by their first
  // op.
  int32_t colocation_group(int32_t i) const { return colocation_[i]; }
  int32_t num_colocation_groups() const { return num_colocation_groups_; }
  // The variable (number of the op that makes its handle or reference) that a
  // reading or writing op touches; -1 when none or not known. An op may touch
  // more (ResourceApplyAdam): those are handle(e.src) of its inputs e.
  int32_t variable(int32_t i) const { return variable_[i]; }
  // The variable whose handle or reference op i makes or passes on (through
  // Identity, Enter, Exit, Switch); -1 when it outputs something else.
  int32_t handle(int32_t i) const { return handle_[i]; }
  // Longest path from a source, back-edges ignored.
  int32_t depth(int32_t i) const { return depth_[i]; }

  // The value of one attribute as a serialized AttrValue; empty when absent. A
  // view, as names and nodes are.
  std::string_view attr(int32_t i, std::string_view key) const;

  // The NodeDef's versions and library fields, untouched, for the writer.
  bool has_library() const { return has_library_; }

 private:
  friend class OpGraphBuilder;  // op_graph_builder.h
  friend class ShapeInference;  // shape_inference.cc

  // The payload of a field of graphdef_, given the place of its first byte.
  std::string_view Text(uint32_t at) const {
    return FieldBytes(graphdef_.data() + at);
  }

  std::string_view graphdef_;
  Fingerprint fingerprint_;
  bool has_library_ = false;
  int32_t num_colocation_groups_ = 0;
  std::vector<std::string_view> op_types_;  // distinct, by type_
  std::vector<const OpDef*> defs_;          // by type_
  std::vector<std::string_view> devices_;   // distinct, by device_
  std::vector<uint32_t> names_, nodes_;     // places of their fields
  std::vector<uint16_t> type_, device_;
  std::vector<int32_t> by_file_, depth_;
  std::vector<int32_t> colocation_, variable_, handle_;
  std::vector<uint32_t> flags_;
  std::vector<int32_t> in_ptr_, out_ptr_, tensor_ptr_;
  std::vector<InputEdge> in_edges_;
  std::vector<OutputEdge> out_edges_;
  std::vector<uint8_t> dtypes_;
  std::vector<int32_t> shape_of_;  // by tensor, into shapes_
  ShapeTable shapes_;
  NameIndex by_name_;  // places in the file
};

}  // namespace grappler_go

#endif  // GRAPPLER_GO_GRAPH_OP_GRAPH_H_
