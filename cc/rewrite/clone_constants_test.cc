#include "cc/rewrite/rewrite_test_util.h"

namespace grappler_go {
namespace {

// Two reductions over one axis, and a third that is in no group.
GraphBuilder Reductions() {
  return GraphBuilder()
      .Arg("x", {4, 5})
      .IntConst("axis", {1}, {1})
      .Node("a", "Sum", {"x", "axis"}, FloatType(), kCpu0)
      .Node("b", "Max", {"x", "axis"}, FloatType(), kCpu0)
      .Node("c", "Min", {"x", "axis"}, FloatType(), kCpu0)
      .Retval("out_a", "a")
      .Retval("out_b", "b")
      .Retval("out_c", "c");
}

TEST(RewriteCloneConstants, GivesEachGroupItsOwn) {
  const TestGraph graph(Reductions().Build());
  Plan plan = graph.NewPlan();
  graph.Group(&plan, 0, {"a"});
  graph.Group(&plan, 1, {"b"});
  const TestGraph after = After(RewriteCloneConstants, plan, graph);
  ASSERT_TRUE(after.has_node("axis/grappler_go_0"));
  EXPECT_EQ(after.inputs("a"), "x axis/grappler_go_0");
  EXPECT_EQ(after.inputs("b"), "x axis/grappler_go_1");
  EXPECT_EQ(after.inputs("c"), "x axis");
  EXPECT_EQ(after.node("axis/grappler_go_0").attr("value"),
            graph.node("axis").attr("value"));
  EXPECT_FALSE(after.scope("axis/grappler_go_0").empty());
  EXPECT_EQ(after.node("axis/grappler_go_0").device, kCpu0);
  EXPECT_TRUE(after.scope("axis").empty());
}

TEST(RewriteCloneConstants, LetsAConstantJoinItsOnlyGroup) {
  const TestGraph graph(GraphBuilder()
                            .Arg("x", {4, 5})
                            .IntConst("axis", {1}, {1})
                            .Node("a", "Sum", {"x", "axis"}, FloatType())
                            .Node("b", "Max", {"x", "axis"}, FloatType())
                            .Retval("out_a", "a")
                            .Retval("out_b", "b")
                            .Build());
  Plan plan = graph.NewPlan();
  graph.Group(&plan, 0, {"a", "b"});
  const TestGraph after = After(RewriteCloneConstants, plan, graph);
  EXPECT_EQ(after->num_ops(), graph->num_ops());
  EXPECT_FALSE(after.scope("axis").empty());
}

TEST(RewriteCloneConstants, KeepsTheControlInputsOfAFoldedConstant) {
  const TestGraph graph(GraphBuilder()
                            .Arg("x", {4, 5})
                            .Node("axis", "Const", {"^x"},
                                  {{"dtype", TypeAttrValue(kInt32)},
                                   {"value", IntTensorAttr({1}, {1})}})
                            .Node("a", "Sum", {"x", "axis"}, FloatType())
                            .Node("b", "Max", {"x", "axis"}, FloatType())
                            .Retval("out_a", "a")
                            .Retval("out_b", "b")
                            .Build());
  Plan plan = graph.NewPlan();
  graph.Group(&plan, 0, {"a"});
  const TestGraph after = After(RewriteCloneConstants, plan, graph);
  EXPECT_EQ(after.inputs("axis/grappler_go_0"), "^x");
}

TEST(RewriteCloneConstants, LeavesLargeConstantsOutside) {
  const TestGraph graph(GraphBuilder()
                            .Arg("x", {17})
                            .Const("large", {17}, {1})
                            .Const("small", {16}, {1})
                            .Node("a", "AddV2", {"x", "large"}, FloatType())
                            .Node("b", "AddV2", {"x", "small"}, FloatType())
                            .Retval("out_a", "a")
                            .Retval("out_b", "b")
                            .Build());
  Plan plan = graph.NewPlan();
  graph.Group(&plan, 0, {"a", "b"});
  const TestGraph after = After(RewriteCloneConstants, plan, graph);
  EXPECT_TRUE(after.scope("large").empty());
  EXPECT_FALSE(after.scope("small").empty());
}

TEST(RewriteCloneConstants, NeverChangesAnInputOfAPreservedOp) {
  const TestGraph graph(Reductions().Build(), {"a"});
  Plan plan = graph.NewPlan();
  graph.Group(&plan, 0, {"a"});
  EXPECT_EQ(After(RewriteCloneConstants, plan, graph).bytes(), graph.bytes());
}

TEST(RewriteCloneConstants, LetsAConstantJoinAPreservedReader) {
  const TestGraph graph(GraphBuilder()
                            .Arg("x", {4, 5})
                            .IntConst("axis", {1}, {1})
                            .Node("a", "Sum", {"x", "axis"}, FloatType())
                            .Retval("out", "a")
                            .Build(),
                        {"a"});
  Plan plan = graph.NewPlan();
  graph.Group(&plan, 0, {"a"});
  const TestGraph after = After(RewriteCloneConstants, plan, graph);
  EXPECT_FALSE(after.scope("axis").empty());
  EXPECT_EQ(after.inputs("a"), "x axis");
}

}  // namespace
}  // namespace grappler_go
