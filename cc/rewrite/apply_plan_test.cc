// All rewrites together, judged by the verifier.
#include "cc/rewrite/rewrite_test_util.h"
#include "cc/rewrite/verify.h"

namespace grappler_go {
namespace {

// A dense layer, fused by the remapper, a reduction of its output, and the
// backward pass of both.
TestGraph Layer() {
  return TestGraph(
      GraphBuilder()
          .Arg("x", {4, 8})
          .Arg("w", {8, 6})
          .Arg("bias", {6})
          .IntConst("axis", {1}, {1})
          .Node("tanh", "Tanh", {"x"}, FloatType(), kCpu0)
          .Node("dense", "_FusedMatMul", {"tanh", "w", "bias"},
                {{"T", TypeAttrValue(kFloat)},
                 {"num_args", IntAttrValue(1)},
                 {"fused_ops", StringListAttr({"BiasAdd", "Relu"})}},
                kCpu0)
          .Node("sum", "Sum", {"dense", "axis"}, FloatType(), kCpu0)
          .Node("max", "Max", {"dense", "axis"}, FloatType(), kCpu0)
          .Node("gradient_tape/relu", "ReluGrad", {"dense", "dense"},
                FloatType(), kCpu0)
          .Node("gradient_tape/matmul", "MatMul", {"gradient_tape/relu", "w"},
                {{"T", TypeAttrValue(kFloat)},
                 {"transpose_b", BoolAttrValue(true)}},
                kCpu0)
          .Node("gradient_tape/tanh", "TanhGrad",
                {"tanh", "gradient_tape/matmul"}, FloatType(), kCpu0)
          .Retval("out_sum", "sum")
          .Retval("out_max", "max")
          .Retval("out_gradient", "gradient_tape/tanh")
          .Build());
}

TEST(ApplyPlan, AppliesEveryKindOfDecisionAtOnce) {
  const TestGraph graph = Layer();
  Plan plan = graph.NewPlan();
  graph.Group(&plan, 0, {"dense", "sum"});
  graph.Group(&plan, 1, {"max"});
  graph.Recompute(&plan, {"tanh"});
  graph.Place(&plan, kCpu1, {"max"});
  plan.order = {{graph.op("sum"), graph.op("max")}};
  const StatusOr<std::string> bytes = ApplyPlan(plan, *graph);
  ASSERT_TRUE(bytes.ok()) << bytes.status().message();
  VerifyOptions options;
  options.devices = {kCpu0, kCpu1};
  const Status verified = VerifyRewrite(*graph, *bytes, options);
  EXPECT_TRUE(verified.ok()) << verified.message();

  const TestGraph after(*bytes);
  EXPECT_EQ(after.type("dense"), "Relu");
  EXPECT_EQ(after.inputs("sum"), "dense axis/grappler_go_0");
  EXPECT_EQ(after.inputs("max"), "dense axis/grappler_go_1 ^sum");
  EXPECT_EQ(after.node("max").device, kCpu1);
  EXPECT_EQ(after.node("axis/grappler_go_1").device, kCpu1);
  EXPECT_EQ(after.inputs("gradient_tape/tanh"),
            "tanh/grappler_go_recompute gradient_tape/matmul");
  EXPECT_EQ(after.inputs("tanh/grappler_go_recompute"),
            "x ^gradient_tape/matmul");
}

TEST(ApplyPlan, MarksWhatItTouchedAndWhatItAdded) {
  const TestGraph graph = Layer();
  Plan plan = graph.NewPlan();
  plan.policy = "a policy";
  graph.Group(&plan, 0, {"dense"});
  const StatusOr<std::string> bytes = ApplyPlan(plan, *graph);
  ASSERT_TRUE(bytes.ok()) << bytes.status().message();
  const TestGraph after(*bytes);
  for (const char* name : {"dense", "dense/MatMul", "dense/BiasAdd"}) {
    EXPECT_EQ(after.node(name).attr(kPlannedAttr), StringAttrValue("a policy"));
    EXPECT_TRUE(after->has(after.op(name), kPlanned));
  }
  EXPECT_TRUE(after.node("tanh").attr(kPlannedAttr).empty());
}

TEST(ApplyPlan, AbortsWhenThePlanDecidesNothing) {
  const TestGraph graph = Layer();
  EXPECT_EQ(ApplyPlan(graph.NewPlan(), *graph).status().code(),
            StatusCode::kAborted);
}

TEST(ApplyPlan, RefusesAPlanForAnotherGraph) {
  const TestGraph graph = Layer();
  Plan plan = graph.NewPlan();
  graph.Group(&plan, 0, {"dense"});
  plan.fingerprint.lo ^= 1;
  EXPECT_FALSE(ApplyPlan(plan, *graph).ok());
}

TEST(ApplyPlan, RefusesAPlanThatIsForSimulationsOnly) {
  const TestGraph graph = Layer();
  Plan plan = graph.NewPlan();
  graph.Group(&plan, 0, {"dense"});
  plan.free_state = true;
  const Status status = ApplyPlan(plan, *graph).status();
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
  EXPECT_NE(status.message().find("simulations only"), std::string::npos);
}

TEST(ApplyPlan, GivesTheSameBytesTwice) {
  const TestGraph graph = Layer();
  Plan plan = graph.NewPlan();
  graph.Group(&plan, 0, {"dense", "sum"});
  graph.Group(&plan, 1, {"max"});
  graph.Recompute(&plan, {"tanh"});
  const StatusOr<std::string> one = ApplyPlan(plan, *graph);
  const StatusOr<std::string> two = ApplyPlan(plan, *graph);
  ASSERT_TRUE(one.ok() && two.ok());
  EXPECT_EQ(*one, *two);
}

}  // namespace
}  // namespace grappler_go
