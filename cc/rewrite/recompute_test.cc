#include "cc/rewrite/rewrite_test_util.h"

namespace grappler_go {
namespace {

constexpr char kG[] = "gradient_tape/";

// x -> a -> b -> c -> d -> e and back, each step of the backward pass reading
// what its forward step made.
GraphBuilder Training() {
  GraphBuilder b;
  b.Arg("x", {64});
  std::string last = "x";
  for (const char* name : {"a", "b", "c", "d", "e"}) {
    b.Node(name, "Tanh", {last}, FloatType(), kCpu0);
    last = name;
  }
  for (const char* name : {"e", "d", "c", "b", "a"}) {
    b.Node(std::string(kG) + name, "TanhGrad", {name, last}, FloatType(),
           kCpu0);
    last = std::string(kG) + name;
  }
  return b.Retval("out", last);
}

std::string CloneOf(const std::string& name) {
  return name + "/grappler_go_recompute";
}

TEST(RewriteRecompute, ClonesAnOpForItsBackwardUser) {
  const TestGraph graph(Training().Build());
  Plan plan = graph.NewPlan();
  graph.Recompute(&plan, {"b"});
  const TestGraph after = After(RewriteRecompute, plan, graph);
  ASSERT_TRUE(after.has_node(CloneOf("b")));
  EXPECT_EQ(after->num_ops(), graph->num_ops() + 1);
  EXPECT_EQ(after.type(CloneOf("b")), "Tanh");
  EXPECT_EQ(after.node(CloneOf("b")).device, kCpu0);
  EXPECT_EQ(after.inputs("gradient_tape/b"), CloneOf("b") + " gradient_tape/c");
  EXPECT_EQ(after.inputs("c"), "b");
}

TEST(RewriteRecompute, HoldsTheCloneBackUntilTheBackwardPassNeedsIt) {
  const TestGraph graph(Training().Build());
  Plan plan = graph.NewPlan();
  graph.Recompute(&plan, {"b"});
  const TestGraph after = After(RewriteRecompute, plan, graph);
  EXPECT_EQ(after.inputs(CloneOf("b")), "a ^gradient_tape/c");
}

TEST(RewriteRecompute, RebuildsASegmentFromItsStart) {
  const TestGraph graph(Training().Build());
  Plan plan = graph.NewPlan();
  graph.Recompute(&plan, {"b", "c"});
  const TestGraph after = After(RewriteRecompute, plan, graph);
  // Both are needed when the backward pass reaches c; b waits, c reads b.
  EXPECT_EQ(after.inputs(CloneOf("b")), "a ^gradient_tape/d");
  EXPECT_EQ(after.inputs(CloneOf("c")), CloneOf("b"));
  EXPECT_EQ(after.inputs("gradient_tape/c"), CloneOf("c") + " gradient_tape/d");
  EXPECT_EQ(after.inputs("gradient_tape/b"), CloneOf("b") + " gradient_tape/c");
}

TEST(RewriteRecompute, MakesNoCloneThatNobodyInTheBackwardPassReads) {
  const TestGraph graph(GraphBuilder()
                            .Arg("x", {8})
                            .Node("a", "Tanh", {"x"}, FloatType())
                            .Retval("out", "a")
                            .Build());
  Plan plan = graph.NewPlan();
  graph.Recompute(&plan, {"a"});
  EXPECT_EQ(After(RewriteRecompute, plan, graph).bytes(), graph.bytes());
}

TEST(RewriteRecompute, LeavesTheOriginalToWhoOnlyWantsItsShape) {
  const TestGraph graph(
      Training()
          .Node("gradient_tape/Shape", "Shape", {"b"}, FloatType())
          .Node("gradient_tape/reshape", "Reshape",
                {"gradient_tape/b", "gradient_tape/Shape"}, FloatType())
          .Retval("out2", "gradient_tape/reshape")
          .Build());
  Plan plan = graph.NewPlan();
  graph.Recompute(&plan, {"b"});
  const TestGraph after = After(RewriteRecompute, plan, graph);
  EXPECT_EQ(after.inputs("gradient_tape/Shape"), "b");
  EXPECT_EQ(after.inputs(CloneOf("b")), "a ^gradient_tape/c");
}

TEST(RewriteRecompute, WaitsForTheUserOfWhatIsReadyEarly) {
  // The gradient of b*b reads 2b, which needs nothing of the backward pass.
  const TestGraph graph(Training()
                            .Const("gradient_tape/two", {}, {2})
                            .Node("gradient_tape/2b", "Mul",
                                  {"b", "gradient_tape/two"}, FloatType())
                            .Node("gradient_tape/use", "Mul",
                                  {"gradient_tape/2b", "gradient_tape/c"},
                                  FloatType())
                            .Retval("out2", "gradient_tape/use")
                            .Build());
  Plan plan = graph.NewPlan();
  graph.Recompute(&plan, {"b"});
  const TestGraph after = After(RewriteRecompute, plan, graph);
  EXPECT_EQ(after.inputs("gradient_tape/2b"),
            CloneOf("b") + " gradient_tape/two");
  EXPECT_EQ(after.inputs(CloneOf("b")), "a ^gradient_tape/c");
}

TEST(RewriteRecompute, ChoosesWhatHoldsACloneBackOutsideOfTheUsersGroup) {
  const TestGraph graph(Training().Build());
  Plan plan = graph.NewPlan();
  graph.Recompute(&plan, {"b"});
  graph.Group(&plan, 0, {"gradient_tape/c", "gradient_tape/b"});
  const TestGraph after = After(RewriteRecompute, plan, graph);
  EXPECT_EQ(after.inputs(CloneOf("b")), "a ^gradient_tape/d");
  EXPECT_TRUE(after.scope(CloneOf("b")).empty());
}

TEST(RewriteRecompute, PutsTheCloneWhereThePlanPutsTheOp) {
  const TestGraph graph(Training().Build());
  Plan plan = graph.NewPlan();
  graph.Recompute(&plan, {"b"});
  graph.Place(&plan, kCpu1, {"b"});
  GraphEdits edits(*graph);
  ASSERT_TRUE(RewriteDevices(plan, &edits).ok());
  ASSERT_TRUE(RewriteRecompute(plan, &edits).ok());
  const TestGraph after(edits.Write());
  EXPECT_EQ(after.node(CloneOf("b")).device, kCpu1);
}

TEST(RewriteRecompute, LeavesPreservedUsersAlone) {
  const TestGraph graph(Training().Build(), {"gradient_tape/b"});
  Plan plan = graph.NewPlan();
  graph.Recompute(&plan, {"b"});
  EXPECT_EQ(After(RewriteRecompute, plan, graph).bytes(), graph.bytes());
}

TEST(RewriteRecompute, RefusesWhatMayNotBeComputedTwice) {
  const TestGraph graph(Training()
                            .VarArg("v", {64})
                            .IntConst("shape", {1}, {64})
                            .Node("random", "RandomUniform", {"shape"},
                                  {{"T", TypeAttrValue(kInt32)},
                                   {"dtype", TypeAttrValue(kFloat)}})
                            .Node("read", "ReadVariableOp", {"v"},
                                  {{"dtype", TypeAttrValue(kFloat)}})
                            .Node("write", "AssignSubVariableOp", {"v", "a"},
                                  {{"dtype", TypeAttrValue(kFloat)}})
                            .Node("unknown", "NoSuchOp", {"a"})
                            .Build());
  for (const char* name :
       {"random", "read", "write", "unknown", "x", "gradient_tape/c"}) {
    Plan plan = graph.NewPlan();
    graph.Recompute(&plan, {name});
    const Status status = StatusOf(RewriteRecompute, plan, graph);
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << name;
    EXPECT_NE(status.message().find(name), std::string::npos);
  }
}

TEST(RewriteRecompute, RefusesAnOpInABranch) {
  const TestGraph graph(
      GraphBuilder()
          .Arg("x", {2})
          .Arg("p", {}, kBool)
          .Node("switch", "Switch", {"x", "p"}, FloatType())
          .Node("then", "Relu", {"switch:1"}, FloatType())
          .Node("merge", "Merge", {"then", "switch:0"},
                {{"T", TypeAttrValue(kFloat)}, {"N", IntAttrValue(2)}})
          .Retval("out", "merge")
          .Build());
  Plan plan = graph.NewPlan();
  graph.Recompute(&plan, {"then"});
  EXPECT_EQ(StatusOf(RewriteRecompute, plan, graph).code(),
            StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace grappler_go
