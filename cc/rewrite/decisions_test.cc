// Devices, groups and order: the rewrites that only add to a node.
#include "cc/rewrite/rewrite_test_util.h"

namespace grappler_go {
namespace {

TestGraph Diamond() {
  return TestGraph(GraphBuilder()
                       .Arg("x", {2})
                       .Node("a", "Relu", {"x"}, FloatType(), kCpu0)
                       .Node("b", "Tanh", {"a"}, FloatType(), kCpu0)
                       .Node("c", "Exp", {"a"}, FloatType(), kCpu0)
                       .Node("d", "AddV2", {"b", "c"}, FloatType(), kCpu0)
                       .Retval("out", "d")
                       .Build());
}

TEST(RewriteDevices, MovesWhatThePlanMovesAndNothingElse) {
  const TestGraph graph = Diamond();
  Plan plan = graph.NewPlan();
  graph.Place(&plan, kCpu1, {"b"});
  const TestGraph after = After(RewriteDevices, plan, graph);
  EXPECT_EQ(after->device(after.op("b")), kCpu1);
  EXPECT_EQ(after->device(after.op("c")), kCpu0);
  EXPECT_EQ(after.inputs("b"), "a");
}

TEST(RewriteDevices, LeavesAnOpThatIsThereAlready) {
  const TestGraph graph = Diamond();
  Plan plan = graph.NewPlan();
  graph.Place(&plan, kCpu0, {"a", "b", "c", "d"});
  EXPECT_EQ(After(RewriteDevices, plan, graph).bytes(), graph.bytes());
}

TEST(RewriteFusionGroups, MarksEachOpOfAGroupWithItsScope) {
  const TestGraph graph = Diamond();
  Plan plan = graph.NewPlan();
  graph.Group(&plan, 0, {"a", "b"});
  graph.Group(&plan, 1, {"c"});
  const TestGraph after = After(RewriteFusionGroups, plan, graph);
  EXPECT_EQ(after.node("a").attr("_XlaCompile"), BoolAttrValue(true));
  EXPECT_EQ(after.node("a").attr("_XlaSeparateCompiledGradients"),
            BoolAttrValue(false));
  EXPECT_EQ(after.scope("a"), after.scope("b"));
  EXPECT_NE(after.scope("a"), after.scope("c"));
  EXPECT_EQ(after.scope("a").substr(0, 12), "grappler_go_");
  EXPECT_TRUE(after.node("d").attr("_XlaCompile").empty());
}

TEST(RewriteFusionGroups, NamesTheScopesOfTwoGraphsApart) {
  const TestGraph graph = Diamond();
  Plan plan = graph.NewPlan();
  graph.Group(&plan, 0, {"a", "b"});
  const std::string one = After(RewriteFusionGroups, plan, graph).scope("a");
  plan.fingerprint.hi ^= 1;
  const std::string two = After(RewriteFusionGroups, plan, graph).scope("a");
  EXPECT_NE(one, two);
}

TEST(RewriteOrder, AddsAControlInputAfterTheDataInputs) {
  const TestGraph graph = Diamond();
  Plan plan = graph.NewPlan();
  plan.order = {{graph.op("b"), graph.op("c")}};
  const TestGraph after = After(RewriteOrder, plan, graph);
  EXPECT_EQ(after.inputs("c"), "a ^b");
}

TEST(RewriteOrder, LeavesOutWhatAnEdgeSaysAlready) {
  const TestGraph graph = Diamond();
  Plan plan = graph.NewPlan();
  plan.order = {{graph.op("b"), graph.op("d")}};
  EXPECT_EQ(After(RewriteOrder, plan, graph).bytes(), graph.bytes());
}

// Three products and their gradients; what each gradient is computed from is
// summed up, too.
std::string TrainingStep() {
  GraphBuilder builder;
  builder.Arg("x", {64, 64}).IntConst("axes", {2}, {0, 1});
  builder.Node("m0", "MatMul", {"x", "x"}, FloatType());
  builder.Node("m1", "MatMul", {"m0", "m0"}, FloatType());
  builder.Node("m2", "MatMul", {"m1", "m1"}, FloatType());
  std::string last = "m2";
  for (const std::string n : {"2", "1", "0"}) {
    const std::string g = "gradient_tape/g" + n;
    builder.Node(g, "MatMul", {last, "m" + n}, FloatType());
    builder.Node("gradient_tape/s" + n, "Sum", {last, "axes"}, FloatType());
    builder.Retval("out" + n, "gradient_tape/s" + n);
    last = g;
  }
  return builder.Build();
}

TEST(RewriteOrder, LargeTensorsTakeTurnsClonesAmongThem) {
  const TestGraph graph(TrainingStep());
  Plan plan = graph.NewPlan();
  graph.Recompute(&plan, {"m1"});
  const auto both = +[](const Plan& p, GraphEdits* edits) {
    const Status status = RewriteRecompute(p, edits);
    return status.ok() ? RewriteOrder(p, edits) : status;
  };
  const std::string clone = "m1/grappler_go_recompute";
  EXPECT_EQ(After(both, plan, graph).inputs(clone), "m0 m0 ^gradient_tape/g2");
  plan.turn_bytes = 1;
  const TestGraph after = After(both, plan, graph);
  // The sum of g2 reads a large tensor, and its turn is before that of g1, just
  // before which the clone is made; it waits for nobody itself.
  EXPECT_EQ(after.inputs(clone), "m0 m0 ^gradient_tape/g2 ^gradient_tape/s1");
  EXPECT_EQ(after.inputs("gradient_tape/g0"),
            "gradient_tape/g1 m0 ^gradient_tape/s0");
  EXPECT_EQ(after.inputs("gradient_tape/s1"), graph.inputs("gradient_tape/s1"));
}

TEST(RewriteOrder, GroupsAreNotMadeToTakeTurns) {
  const TestGraph graph(TrainingStep());
  Plan plan = graph.NewPlan();
  plan.turn_bytes = 1;
  graph.Group(&plan, 0, {"m0", "m1"});
  EXPECT_EQ(After(RewriteOrder, plan, graph).bytes(), graph.bytes());
}

TEST(RewriteOrder, RefusesAnEdgeOutOfABranch) {
  const TestGraph graph(GraphBuilder()
                            .Arg("x", {2})
                            .Arg("p", {}, kBool)
                            .Node("switch", "Switch", {"x", "p"}, FloatType())
                            .Node("then", "Relu", {"switch:1"}, FloatType())
                            .Node("after", "Relu", {"x"}, FloatType())
                            .Retval("out", "after")
                            .Build());
  Plan plan = graph.NewPlan();
  plan.order = {{graph.op("then"), graph.op("after")}};
  EXPECT_EQ(StatusOf(RewriteOrder, plan, graph).code(),
            StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace grappler_go
