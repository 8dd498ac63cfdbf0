// The facts of one op that its cost is made of.
#ifndef GRAPPLER_GO_COST_OP_FACTS_H_
#define GRAPPLER_GO_COST_OP_FACTS_H_

#include <algorithm>
#include <cstdint>
#include <string_view>

#include "cc/graph/op_graph.h"

namespace grappler_go {

// Safe for any index: an input or output that is not there has no shape, no
// elements and unknown bytes.
class OpFacts {
 public:
  OpFacts(const OpGraph& graph, int32_t op) : graph_(graph), op_(op) {
    const Span<InputEdge> inputs = graph.inputs(op);
    while (num_inputs_ < static_cast<int>(inputs.size()) &&
           inputs[num_inputs_].port >= 0) {
      ++num_inputs_;
    }
  }

  std::string_view type() const { return graph_.op(op_); }
  // Remapped by TensorFlow: a bias and an activation on top.
  bool is_fused() const { return type()[0] == '_'; }
  int num_inputs() const { return num_inputs_; }  // without control edges
  int num_outputs() const { return graph_.num_outputs(op_); }
  std::string_view attr(std::string_view key) const {
    return graph_.attr(op_, key);
  }

  const TensorShape& input(int i) const {
    return HasInput(i) ? graph_.shape(edge(i).src, edge(i).port) : NoShape();
  }
  const TensorShape& output(int i) const {
    return i < num_outputs() ? graph_.shape(op_, i) : NoShape();
  }
  // -1 when unknown.
  double input_bytes(int i) const {
    return HasInput(i) ? graph_.bytes(edge(i).src, edge(i).port) : -1.0;
  }
  double output_bytes(int i) const {
    return i < num_outputs() ? graph_.bytes(op_, i) : -1.0;
  }
  // 0 when unknown.
  double in_elements(int i) const { return Elements(input(i)); }
  double out_elements(int i = 0) const { return Elements(output(i)); }
  // The size of a dimension, negative ones from the end; 1 when it is unknown
  // or not there, so that it can be a factor.
  static double Dim(const TensorShape& shape, int dim) {
    if (dim >= shape.rank() || dim < -shape.rank()) return 1.0;
    return static_cast<double>(std::max<int64_t>(shape.dim(dim), 1));
  }

 private:
  static const TensorShape& NoShape() {
    static const TensorShape unknown;
    return unknown;
  }
  static double Elements(const TensorShape& shape) {
    return static_cast<double>(std::max<int64_t>(shape.num_elements(), 0));
  }
  const InputEdge& edge(int i) const { return graph_.inputs(op_)[i]; }
  bool HasInput(int i) const {
    return i < num_inputs_ && edge(i).port < graph_.num_outputs(edge(i).src);
  }

  const OpGraph& graph_;
  const int32_t op_;
  int num_inputs_ = 0;
};

}  // namespace grappler_go

#endif  // GRAPPLER_GO_COST_OP_FACTS_H_
