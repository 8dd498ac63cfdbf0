// Shapes of small graphs, for the tests of the shape inference.
#ifndef GRAPPLER_GO_GRAPH_SHAPE_TEST_UTIL_H_
#define GRAPPLER_GO_GRAPH_SHAPE_TEST_UTIL_H_

#include <string>
#include <vector>

#include "cc/graph/op_graph.h"
#include "cc/graph/wire.h"
#include "cc/testing/graph_builder.h"
#include "gtest/gtest.h"

namespace grappler_go {

using Attrs = GraphBuilder::Attrs;

// Owns the bytes that the graph looks into.
class Inferred {
 public:
  explicit Inferred(const GraphBuilder& builder, ParseOptions options = {})
      : bytes_(builder.Build()), graph_(OpGraph::Parse(bytes_, options)) {
    EXPECT_TRUE(graph_.ok()) << graph_.status().message();
  }
  std::string Shape(const std::string& name, int port = 0) {
    const int32_t op = graph_->find(name);
    if (op < 0 || port >= graph_->num_outputs(op)) return "no such output";
    return graph_->shape(op, port).ToString();
  }
  int Dtype(const std::string& name, int port = 0) {
    return graph_->dtype(graph_->find(name), port);
  }
  OpGraph& graph() { return *graph_; }

 private:
  std::string bytes_;
  StatusOr<OpGraph> graph_;
};

// The shape of one op's first output, for inputs that are _Args of `inputs`.
inline std::string ShapeOf(const std::string& op,
                           const std::vector<Dims>& inputs,
                           const Attrs& attrs = {}, int port = 0) {
  GraphBuilder builder;
  std::vector<std::string> names;
  for (size_t i = 0; i < inputs.size(); ++i) {
    names.push_back("in" + std::to_string(i));
    builder.Arg(names.back(), inputs[i]);
  }
  builder.Node("op", op, names, attrs);
  return Inferred(builder).Shape("op", port);
}

using Ints = std::vector<int32_t>;

// As above, for ops whose last inputs are int32 constants of one dimension.
inline std::string ShapeWithInts(const std::string& op,
                                 const std::vector<Dims>& inputs,
                                 const std::vector<Ints>& ints,
                                 const Attrs& attrs = {}) {
  GraphBuilder builder;
  std::vector<std::string> names;
  for (size_t i = 0; i < inputs.size(); ++i) {
    names.push_back("in" + std::to_string(i));
    builder.Arg(names.back(), inputs[i]);
  }
  for (size_t i = 0; i < ints.size(); ++i) {
    names.push_back("int" + std::to_string(i));
    builder.IntConst(names.back(), {static_cast<int64_t>(ints[i].size())},
                     ints[i]);
  }
  builder.Node("op", op, names, attrs);
  return Inferred(builder).Shape("op");
}

// The attributes of a convolution or a 3x3 pooling.
inline Attrs Window(const std::string& padding,
                    const std::vector<int64_t>& strides,
                    const std::string& format = "NHWC") {
  return {{"padding", StringAttrValue(padding)},
          {"strides", IntListAttr(strides)},
          {"ksize", IntListAttr({1, 3, 3, 1})},
          {"data_format", StringAttrValue(format)}};
}

}  // namespace grappler_go

#endif  // GRAPPLER_GO_GRAPH_SHAPE_TEST_UTIL_H_
