// What a shape rule sees of one op, and where it leaves its answer.
//
//   void TransposeRule(InferenceContext* c) {
//     c->set_output(0, Permuted(c->input(0), c->values(1)), c->input_dtype(0));
//   }
//
// Everything a rule may ask for is there whatever the graph says: inputs that
// do not exist have unknown shapes, attributes that do not exist have their
// default, outputs that do not exist are not written. Rules need no checks for
// that. Private to the shape inference.
#ifndef GRAPPLER_GO_GRAPH_INFERENCE_CONTEXT_H_
#define GRAPPLER_GO_GRAPH_INFERENCE_CONTEXT_H_

#include <array>
#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "cc/base/scratch.h"
#include "cc/graph/attr_value.h"
#include "cc/graph/op_graph.h"
#include "cc/graph/shape_table.h"
#include "cc/graph/span.h"
#include "cc/graph/tensor_shape.h"

namespace grappler_go {

// The values of all tensors of a graph that are small integers, by tensor.
class KnownValues {
 public:
  explicit KnownValues(size_t num_tensors) : start_(num_tensors, -1) {}
  void Set(size_t tensor, Span<int64_t> values);
  bool Has(size_t tensor) const { return start_[tensor] >= 0; }
  Span<int64_t> Get(size_t tensor) const;

 private:
  std::vector<int64_t> pool_;  // size, then the elements
  Scratch<int32_t> start_;     // -1: not known
};

// The tensor behind a resource handle.
struct HandleData {
  TensorShape shape;
  int dtype = 0;
};

// The arrays that inference fills, shared by the contexts of all ops.
struct InferenceState {
  const OpGraph& graph;
  Span<int32_t> tensor_ptr;
  ShapeTable* shapes;
  int32_t* shape_of;
  uint8_t* dtypes;
  KnownValues values;
  std::vector<int32_t> handle_of_op;  // into handles, -1: none
  std::vector<HandleData> handles;
  std::unordered_map<int32_t, TensorShape> loop_shapes;  // by Merge op
  bool loops_unknown = false;  // no loop's Merge may promise anything
};

class InferenceContext {
 public:
  explicit InferenceContext(InferenceState* state) : state_(state) {}
  void MoveTo(int32_t op);

  const OpGraph& graph() const { return state_->graph; }
  int32_t op() const { return op_; }

  // Data inputs. i may be negative: from the end.
  int num_inputs() const { return num_inputs_; }
  const TensorShape& input(int i) const;
  int input_dtype(int i) const;  // references as their values; 0: unknown
  bool is_back_edge(int i) const { return inputs_[i].back_edge; }
  bool has_values(int i) const;
  Span<int64_t> values(int i) const;  // empty when not known
  // The single element of a scalar or one-element input.
  int64_t scalar(int i) const;  // kUnknownValue when not known
  // The shape that an input spells out, as Reshape's second one does. -1 and
  // what is not known are unknown dimensions; a scalar is an unknown rank.
  TensorShape shape_from_values(int i) const;

  int num_outputs() const { return num_outputs_; }
  // A dtype of 0 means: as the attribute "T" says, else unknown.
  void set_output(int port, const TensorShape& shape, int dtype);
  void set_shape(int port, const TensorShape& shape);
  void set_dtype(int port, int dtype);
  // Nothing is kept of an op that the caller feeds or preserves: what arrives
  // at run time may be another value.
  void set_values(int port, Span<int64_t> values);
  const TensorShape& output(int port) const;
  int output_dtype(int port) const;

  // Attributes.
  std::string_view attr(std::string_view key) const;
  int64_t int_attr(std::string_view key, int64_t otherwise) const {
    return AttrInt(attr(key), otherwise);
  }
  bool bool_attr(std::string_view key) const { return AttrBool(attr(key)); }
  int type_attr(std::string_view key, int otherwise = 0) const {
    return AttrType(attr(key), otherwise);
  }
  std::string_view string_attr(std::string_view key) const {
    return AttrString(attr(key));
  }
  TensorShape shape_attr(std::string_view key) const {
    return AttrShape(attr(key));
  }
  std::string_view tensor_attr(std::string_view key) const {
    return AttrTensor(attr(key));
  }
  IntValues int_list_attr(std::string_view key) const {
    return AttrInts(attr(key));
  }
  std::vector<int> type_list_attr(std::string_view key) const {
    return AttrTypes(attr(key));
  }
  std::vector<TensorShape> shape_list_attr(std::string_view key) const {
    return AttrShapes(attr(key));
  }

  // The variable behind a resource that this op makes or uses; null: unknown.
  const HandleData* handle() const;
  void set_handle(const HandleData& handle);
  // What a loop's Merge may not promise more than; null: not told yet.
  const TensorShape* loop_shape() const;

 private:
  static constexpr int kMaxAttrs = 48;
  void ReadAttrs() const;
  bool HasInput(int* i) const;
  size_t InputTensor(int i) const;

  InferenceState* state_;
  int32_t op_ = -1;
  int num_inputs_ = 0;
  int num_outputs_ = 0;
  Span<InputEdge> inputs_{nullptr, 0};
  // Read once, when a rule first asks.
  mutable int num_attrs_ = -1;
  mutable std::array<std::pair<std::string_view, std::string_view>, kMaxAttrs>
      attrs_;
};

// Arithmetic on sizes: -1 when an operand is unknown, or the result is negative
// or does not fit.
int64_t AddDims(int64_t a, int64_t b);
int64_t SubDims(int64_t a, int64_t b);
int64_t MulDims(int64_t a, int64_t b);
int64_t DivDims(int64_t a, int64_t b);  // -1 unless b divides a
// Two statements about the same size: the known one.
inline int64_t MergeDims(int64_t a, int64_t b) { return a < 0 ? b : a; }
// Two statements about the same shape. Unknown when they contradict each other.
TensorShape MergeShapes(const TensorShape& a, const TensorShape& b);
// What holds of either of two shapes.
TensorShape CommonShape(const TensorShape& a, const TensorShape& b);
// Of the result of an element-wise op that broadcasts.
TensorShape BroadcastShapes(const TensorShape& a, const TensorShape& b);
// Dimensions [begin, end) of a shape; negative ones count from the end.
TensorShape SubShape(const TensorShape& shape, int begin, int end);
TensorShape Concatenated(const TensorShape& a, const TensorShape& b);
// -1 when out of range or the rank is not known.
int CanonicalAxis(int64_t axis, int rank);

using ShapeRule = void (*)(InferenceContext*);
struct RuleFamily {
  ShapeRule rule;
  std::string_view ops;  // op types, separated by single spaces
};
// The rules, a file each.
Span<RuleFamily> ArrayRules();  // shape_rules_array.cc: layout and size
Span<RuleFamily> JoinRules();   // shape_rules_join.cc: concatenation, splits
Span<RuleFamily> IndexRules();  // shape_rules_index.cc: slices, gathers
Span<RuleFamily> MathRules();   // shape_rules_math.cc
Span<RuleFamily> NnRules();     // shape_rules_nn.cc
Span<RuleFamily> StateRules();  // shape_rules_state.cc: sources, variables,
                                // control flow, random numbers, lists

// Shared by several rule files.
void UnchangedRule(InferenceContext* c);  // output 0 is like input 0
void EinsumRule(InferenceContext* c);     // einsum_rule.cc

}  // namespace grappler_go

#endif  // GRAPPLER_GO_GRAPH_INFERENCE_CONTEXT_H_
