// Memory that element-wise ops write to: what one costs depends on who reads
// its input and its output.
#include "cc/plan/op_micros.h"

#include <gtest/gtest.h>

#include <string>

#include "cc/graph/attr_value.h"
#include "cc/testing/graph_builder.h"

namespace grappler_go {
namespace {

const GraphBuilder::Attrs kT = {{"T", TypeAttrValue(kFloat)}};
constexpr float kMegabyteStored = 40.0f;  // microseconds

// Every op takes 100 microseconds alone and 1 in a group. Tensors have 1 MB.
class OpMicrosTest : public ::testing::Test {
 protected:
  void Parse(GraphBuilder builder) {
    bytes_ = builder.Build();
    auto graph = OpGraph::Parse(bytes_, {});
    ASSERT_TRUE(graph.ok()) << graph.status().message();
    graph_ = std::move(*graph);
    Logits logits;
    logits.num_ops = graph_.num_ops();
    logits.op_micros.assign(graph_.num_ops(), 100.0f);
    logits.fused_micros.assign(graph_.num_ops(), 1.0f);
    micros_ = EstimateOpMicros(graph_, Machine(), logits);
  }
  float Alone(const std::string& name) {
    return micros_.alone[graph_.find(name)];
  }
  float Compiled(const std::string& name) {
    return micros_.compiled[graph_.find(name)];
  }

  std::string bytes_;
  OpGraph graph_;
  OpMicros micros_;
};

GraphBuilder Megabyte() { return GraphBuilder().Arg("x", {500, 500}); }

TEST_F(OpMicrosTest, AnOpThatCannotWriteOverItsInputPaysForMemory) {
  Parse(Megabyte()
            .Node("first", "Tanh", {"x"}, kT)  // the caller's
            .Node("in_place", "Neg", {"first"}, kT)
            .Node("read_twice", "Mul", {"in_place", "in_place"}, kT)
            .Node("a", "Neg", {"read_twice"}, kT)
            .Node("b", "Neg", {"read_twice"}, kT)
            .Node("product", "MatMul", {"a", "b"}, kT)
            .Retval("out", "product"));
  EXPECT_FLOAT_EQ(Alone("first"), 100 + kMegabyteStored);
  EXPECT_FLOAT_EQ(Alone("in_place"), 100);
  EXPECT_FLOAT_EQ(Alone("a"), 100 + kMegabyteStored);
  EXPECT_FLOAT_EQ(Alone("b"), 100 + kMegabyteStored);
  // Timed with memory of its own.
  EXPECT_FLOAT_EQ(Alone("product"), 100);
}

TEST_F(OpMicrosTest, ASmallerInputIsNotWrittenOver) {
  Parse(Megabyte()
            .Arg("row", {500})
            .Node("small", "Neg", {"row"}, kT)
            .Node("sum", "AddV2", {"x", "small"}, kT)
            .Retval("out", "sum"));
  EXPECT_FLOAT_EQ(Alone("sum"), 100 + kMegabyteStored);
}

TEST_F(OpMicrosTest, AGroupStoresWhatItDoesNotComputeAnew) {
  Parse(Megabyte()
            .Node("cheap", "Mul", {"x", "x"}, kT)
            .Node("dear", "Tanh", {"x"}, kT)
            .Node("quotient", "RealDiv", {"x", "x"}, kT)
            .Node("once", "Tanh", {"x"}, kT)
            .Node("operand", "Mul", {"x", "x"}, kT)
            .Node("a", "AddV2", {"cheap", "dear"}, kT)
            .Node("b", "Sub", {"cheap", "dear"}, kT)
            .Node("c", "AddV2", {"quotient", "once"}, kT)
            .Node("d", "Neg", {"quotient"}, kT)
            .Node("product", "MatMul", {"operand", "x"}, kT)
            .Retval("out_a", "a")
            .Retval("out_b", "b")
            .Retval("out_c", "c")
            .Retval("out_d", "d")
            .Retval("out", "product"));
  EXPECT_FLOAT_EQ(Compiled("cheap"), 1);
  EXPECT_FLOAT_EQ(Compiled("dear"), 1 + kMegabyteStored);
  EXPECT_FLOAT_EQ(Compiled("quotient"), 1 + kMegabyteStored);
  EXPECT_FLOAT_EQ(Compiled("once"), 1);
  EXPECT_FLOAT_EQ(Compiled("operand"), 1 + kMegabyteStored);
}

}  // namespace
}  // namespace grappler_go
