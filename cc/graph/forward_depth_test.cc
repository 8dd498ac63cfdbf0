#include "cc/graph/forward_depth.h"

#include <gtest/gtest.h>

#include "cc/graph/wire.h"
#include "cc/testing/graph_builder.h"

namespace grappler_go {
namespace {

// Two layers forward, then back: the gradient of the first comes last.
TEST(ForwardDepth, ABackwardOpIsAsDeepAsTheForwardOpThatItReads) {
  const GraphBuilder::Attrs t = {{"T", TypeAttrValue(kFloat)}};
  const GraphBuilder::Attrs read = {{"dtype", TypeAttrValue(kFloat)}};
  const std::string bytes =
      GraphBuilder()
          .Arg("x", {4, 4})
          .VarArg("w1", {4, 4})
          .VarArg("w2", {4, 4})
          .Node("read1", "ReadVariableOp", {"w1"}, read)
          .Node("read2", "ReadVariableOp", {"w2"}, read)
          .Node("layer1", "MatMul", {"x", "read1"}, t)
          .Node("layer2", "MatMul", {"layer1", "read2"}, t)
          .Node("loss", "Tanh", {"layer2"}, t)
          .Node("gradient_tape/loss", "TanhGrad", {"loss", "loss"}, t)
          .Node("gradient_tape/layer2", "MatMul",
                {"gradient_tape/loss", "layer1"}, t)
          .Node("gradient_tape/layer1", "MatMul",
                {"gradient_tape/layer2", "layer1"}, t)
          .Node("gradient_tape/between", "Neg", {"gradient_tape/layer1"}, t)
          .Retval("out", "gradient_tape/between")
          .Build();
  StatusOr<OpGraph> graph = OpGraph::Parse(bytes, {});
  ASSERT_TRUE(graph.ok()) << graph.status().message();
  const std::vector<int32_t> found = ForwardDepth(*graph);
  auto at = [&](const char* name) { return found[graph->find(name)]; };
  ASSERT_TRUE(graph->has(graph->find("gradient_tape/layer2"), kBackward));
  EXPECT_LT(at("layer1"), at("layer2"));
  EXPECT_EQ(at("gradient_tape/loss"), at("loss"));
  EXPECT_EQ(at("gradient_tape/layer2"), at("layer1"));
  EXPECT_EQ(at("gradient_tape/layer1"), at("layer1"));
  // It reads no forward op: where what it reads is.
  EXPECT_EQ(at("gradient_tape/between"), at("layer1"));
  // A variable is where it is read first.
  EXPECT_EQ(at("read1"), at("layer1"));
  EXPECT_EQ(at("read2"), at("layer2"));
}

}  // namespace
}  // namespace grappler_go
