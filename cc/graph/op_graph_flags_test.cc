#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "cc/graph/op_graph.h"
#include "cc/graph/wire.h"
#include "cc/testing/graph_builder.h"

namespace grappler_go {
namespace {

const std::string kType = TypeAttrValue(kFloat);
const GraphBuilder::Attrs kFloatT = {{"T", kType}};
const GraphBuilder::Attrs kResourceT = {{"T", TypeAttrValue(kResource)}};
const GraphBuilder::Attrs kFloatDtype = {{"dtype", kType}};
constexpr int kFloatRef = 101;

class Flags {
 public:
  explicit Flags(const GraphBuilder& builder, ParseOptions options = {})
      : bytes_(builder.Build()) {
    options.infer_shapes = false;
    StatusOr<OpGraph> graph = OpGraph::Parse(bytes_, options);
    EXPECT_TRUE(graph.ok()) << graph.status().message();
    graph_ = std::move(*graph);
  }
  bool has(std::string_view name, uint32_t flag) const {
    return graph_.has(graph_.find(name), flag);
  }
  std::string_view variable(std::string_view name) const {
    return NameOf(graph_.variable(graph_.find(name)));
  }
  std::string_view handle(std::string_view name) const {
    return NameOf(graph_.handle(graph_.find(name)));
  }
  int32_t group(std::string_view name) const {
    return graph_.colocation_group(graph_.find(name));
  }
  const OpGraph& graph() const { return graph_; }

 private:
  std::string_view NameOf(int32_t i) const {
    return i < 0 ? std::string_view() : graph_.name(i);
  }
  std::string bytes_;
  OpGraph graph_;
};

TEST(OpGraphFlags, FollowFromTheOpType) {
  const Flags g(GraphBuilder()
                    .Arg("x", {2})
                    .Const("c", {2})
                    .Node("random", "RandomUniform", {"c"}, kFloatDtype)
                    .Node("add", "AddV2", {"x", "c"}, kFloatT)
                    .Node("fancy", "MyCompanyFancyOp", {"add"})
                    .Node("call", "PartitionedCall", {"add"},
                          {{"Tout", TypeListAttr({kFloat})}})
                    .Node("map", "SomeMapOp", {"add"}, {{"f", FuncAttr("g")}})
                    .Retval("r", "add"));
  EXPECT_TRUE(g.has("x", kSource));
  EXPECT_TRUE(g.has("c", kConstant));
  EXPECT_TRUE(g.has("r", kSink));
  EXPECT_TRUE(g.has("random", kRandom));
  EXPECT_TRUE(g.has("random", kStateful));
  EXPECT_FALSE(g.has("add", kStateful | kUnknownOp | kSource | kHasSubgraph));
  EXPECT_TRUE(g.has("fancy", kUnknownOp));
  EXPECT_TRUE(g.has("fancy", kStateful));
  EXPECT_TRUE(g.has("call", kHasSubgraph));
  EXPECT_TRUE(g.has("map", kHasSubgraph));
}

TEST(OpGraphFlags, MarkWhatTheCallerWantsKept) {
  ParseOptions options;
  options.fetches = {"y"};
  options.preserve = {"x", "not in this graph"};
  const Flags g(GraphBuilder()
                    .Arg("x", {})
                    .Node("y", "Abs", {"x"}, kFloatT)
                    .Node("z", "Abs", {"y"}, kFloatT),
                options);
  EXPECT_TRUE(g.has("x", kPreserved));
  EXPECT_TRUE(g.has("y", kPreserved));
  EXPECT_FALSE(g.has("z", kPreserved));
}

TEST(OpGraphFlags, TellTheUsersMarksFromOurs) {
  const Flags g(
      GraphBuilder()
          .Node("plain", "NoOp", {}, {{"_class", StringListAttr({})}})
          .Node("compiled", "NoOp", {}, {{"_XlaCompile", BoolAttrValue(true)}})
          .Node("not", "NoOp", {}, {{"_XlaMustCompile", BoolAttrValue(false)}})
          .Node("scoped", "NoOp", {}, {{"_XlaScope", StringAttrValue("s")}})
          .Node("ours", "NoOp", {},
                {{"_XlaScope", StringAttrValue("s")},
                 {"_grappler_go", StringAttrValue("policy")}}));
  EXPECT_FALSE(g.has("plain", kMarkedByUser | kPlanned));
  EXPECT_TRUE(g.has("compiled", kMarkedByUser));
  EXPECT_TRUE(g.has("not", kMarkedByUser));
  EXPECT_TRUE(g.has("scoped", kMarkedByUser));
  EXPECT_FALSE(g.has("ours", kMarkedByUser));
  EXPECT_TRUE(g.has("ours", kPlanned));
}

GraphBuilder TrainingStep() {
  return GraphBuilder()
      .Arg("x", {4, 4})
      .VarArg("w", {4, 4})
      .VarArg("rate", {})
      .Node("model/read", "ReadVariableOp", {"w"}, kFloatDtype)
      .Node("model/MatMul", "MatMul", {"x", "model/read"}, kFloatT)
      .Node("model/policy_gradients", "Relu", {"model/MatMul"}, kFloatT)
      .Node("model/saved", "Tanh", {"model/MatMul"}, kFloatT)
      .Node("gradient_tape/model/MatMul", "MatMul",
            {"model/saved", "model/policy_gradients"}, kFloatT)
      .Node("adam/rate", "ReadVariableOp", {"rate"}, kFloatDtype)
      .Node("adam/two", "Const", {},
            {{"dtype", kType}, {"value", FloatTensorAttr({}, {2})}})
      .Node("adam/scaled", "Mul", {"adam/rate", "adam/two"}, kFloatT)
      .Node("adam/Mul", "Mul", {"gradient_tape/model/MatMul", "adam/scaled"},
            kFloatT)
      .Node("adam/Assign", "AssignSubVariableOp", {"w", "adam/Mul"},
            kFloatDtype)
      .Node("metric", "Mul", {"model/policy_gradients", "adam/two:0"}, kFloatT)
      .Retval("loss", "metric");
}

TEST(OpGraphFlags, FindTheBackwardPassAndTheWeightUpdate) {
  const Flags g(TrainingStep());
  // model/saved is of the forward pass although only the gradient reads it.
  for (const char* name :
       {"x", "w", "model/read", "model/MatMul", "model/saved",
        "model/policy_gradients", "metric", "loss"}) {
    EXPECT_FALSE(g.has(name, kBackward)) << name;
  }
  for (const char* name : {"gradient_tape/model/MatMul", "adam/Mul",
                           "adam/Assign", "adam/rate", "adam/scaled"}) {
    EXPECT_TRUE(g.has(name, kBackward)) << name;
  }
  EXPECT_FALSE(g.has("adam/two", kBackward));  // the metric reads it too
}

TEST(OpGraphFlags, TakeNoConstantForTheBackwardPassThatTheForwardPassReads) {
  const GraphBuilder::Attrs two = {{"dtype", kType},
                                   {"value", FloatTensorAttr({}, {2})}};
  const Flags g(
      GraphBuilder()
          .Arg("x", {})
          .Node("gradient_tape/shared", "Const", {}, two)
          .Node("gradient_tape/own", "Const", {}, two)
          .Node("gradient_tape/computed", "Mul",
                {"gradient_tape/shared", "gradient_tape/own"}, kFloatT)
          .Node("half", "Mul", {"x", "gradient_tape/shared"}, kFloatT)
          .Node("more", "AddV2", {"half", "gradient_tape/computed"}, kFloatT)
          .Node("gradient_tape/a", "Mul", {"more", "gradient_tape/own"},
                kFloatT)
          .Node("gradient_tape/b", "Mul",
                {"gradient_tape/a", "gradient_tape/shared"}, kFloatT)
          .Node("gradient_tape/only", "Mul",
                {"gradient_tape/own", "gradient_tape/own"}, kFloatT)
          .Node("AddN", "AddN", {"gradient_tape/b", "gradient_tape/only"},
                {{"T", kType}, {"N", IntAttrValue(2)}})
          .VarArg("v", {})
          .Node("read", "ReadVariableOp", {"v"}, kFloatDtype)
          .Node("gradient_tape/decay", "Mul", {"read", "gradient_tape/shared"},
                kFloatT)
          .Retval("decay", "gradient_tape/decay")
          .Retval("loss", "more"));
  for (const char* name : {"gradient_tape/shared", "gradient_tape/own",
                           "gradient_tape/computed", "half", "more", "loss"}) {
    EXPECT_FALSE(g.has(name, kBackward)) << name;
  }
  for (const char* name :
       {"gradient_tape/a", "gradient_tape/b", "gradient_tape/only", "AddN",
        "gradient_tape/decay"}) {
    EXPECT_TRUE(g.has(name, kBackward)) << name;
  }
}

// x -> x * x^2 -> tanh, whose square is that which the gradient of x^3 was
// given first; then a swish, the gradient of which has no scope.
GraphBuilder SharedSquare(const std::string& call, const std::string& tape,
                          const std::string& grad) {
  const std::string g = call + tape;
  return GraphBuilder()
      .Arg("x", {4})
      .Node(g + "gelu/Pow" + grad + "/Pow", "Square", {"x"}, kFloatT)
      .Node(call + "gelu/mul_1", "Mul", {"x", g + "gelu/Pow" + grad + "/Pow"},
            kFloatT)
      .Node(call + "gelu/mul_2", "Mul", {call + "gelu/mul_1", "x"}, kFloatT)
      .Node(call + "gelu/Tanh", "Tanh", {call + "gelu/mul_2"}, kFloatT)
      .Node(call + "Sigmoid", "Sigmoid", {call + "gelu/Tanh"}, kFloatT)
      .Node(g + "Mul", "Mul", {call + "Sigmoid", call + "Sigmoid"}, kFloatT)
      .Node(call + "mul_7", "Mul", {g + "Mul", call + "Sigmoid"}, kFloatT)
      .Node(g + "gelu/TanhGrad", "TanhGrad",
            {call + "gelu/Tanh", call + "mul_7"}, kFloatT)
      .Node(g + "gelu/mul_2" + grad + "/sum/Mul", "Mul",
            {g + "gelu/TanhGrad", "x"}, kFloatT)
      .Node(g + "gelu/Pow" + grad + "/mul", "Mul",
            {g + "gelu/Pow" + grad + "/Pow",
             g + "gelu/mul_2" + grad + "/sum/Mul"},
            kFloatT)
      .Node(call + "AddN", "AddN",
            {g + "gelu/Pow" + grad + "/mul",
             g + "gelu/mul_2" + grad + "/sum/Mul"},
            {{"T", kType}, {"N", IntAttrValue(2)}})
      .Retval("loss", call + "Sigmoid");
}

TEST(OpGraphFlags, TakeNoOpThatAGradientWasTakenOfForTheBackwardPass) {
  const auto check = [](const std::string& call, const std::string& tape,
                        const std::string& grad) {
    const Flags f(SharedSquare(call, tape, grad));
    const std::string g = call + tape;
    for (const std::string& name :
         {g + "gelu/Pow" + grad + "/Pow", call + "gelu/mul_1",
          call + "gelu/mul_2", call + "gelu/Tanh", call + "Sigmoid",
          std::string("loss")}) {
      EXPECT_FALSE(f.has(name, kBackward)) << name;
    }
    for (const std::string& name :
         {g + "Mul", call + "mul_7", g + "gelu/TanhGrad",
          g + "gelu/mul_2" + grad + "/sum/Mul", g + "gelu/Pow" + grad + "/mul",
          call + "AddN"}) {
      EXPECT_TRUE(f.has(name, kBackward)) << name;
    }
  };
  check("", "gradient_tape/", "");
  check("PartitionedCall/", "gradient_tape/", "");
  check("outer/inner/", "train/gradient_tape/", "");
  check("", "train/gradient_tape/", "");
  check("", "gradients/", "_grad");
  check("PartitionedCall/", "gradients_1/", "_grad");
}

TEST(OpGraphFlags, KnowTheGradientScopesOfTf1AndOfGrapplersOwnRewrites) {
  const auto backward = [](const std::string& name) {
    return Flags(GraphBuilder().Arg("x", {}).Node(name, "Abs", {"x"}, kFloatT))
        .has(name, kBackward);
  };
  EXPECT_TRUE(backward("gradients/a"));
  EXPECT_TRUE(backward("gradients_12/a"));
  EXPECT_TRUE(backward("train/gradients/a"));
  EXPECT_TRUE(backward("ArithmeticOptimizer/AddOpsRewrite_gradient_tape/a"));
  EXPECT_FALSE(backward("policy_gradients/a"));
  EXPECT_FALSE(backward("gradients"));
  EXPECT_FALSE(backward("gradients_x/a"));
  EXPECT_FALSE(backward("gradient/a"));
  EXPECT_FALSE(backward("gradienta/a"));
}

TEST(OpGraphFlags, FollowAVariablesHandleToItsUsers) {
  const Flags g(
      GraphBuilder()
          .VarArg("v", {2})
          .VarArg("m", {2})
          .Node("local", "VarHandleOp", {}, kFloatDtype)
          .Arg("x", {2})
          .Node("copy", "Identity", {"v"}, kResourceT)
          .Node("enter", "Enter", {"copy"}, kResourceT)
          .Node("read", "ReadVariableOp", {"enter"}, kFloatDtype)
          .Node("read_local", "ReadVariableOp", {"local"}, kFloatDtype)
          .Node("value", "Identity", {"read"}, kFloatT)
          .Node("apply", "ResourceApplyKerasMomentum",
                {"v", "m", "x", "x", "x"}, kFloatT)
          .Node("stranger", "MyCompanyFancyOp", {"x", "m"})
          .Node("harmless", "MyCompanyFancyOp", {"x"}));
  EXPECT_EQ(g.handle("v"), "v");
  EXPECT_EQ(g.handle("enter"), "v");
  EXPECT_EQ(g.variable("read"), "v");
  EXPECT_EQ(g.variable("read_local"), "local");
  EXPECT_EQ(g.handle("read"), "");
  EXPECT_EQ(g.handle("value"), "");
  EXPECT_EQ(g.variable("value"), "");
  EXPECT_EQ(g.variable("apply"), "v");
  EXPECT_TRUE(g.has("apply", kReadsVariable));
  EXPECT_TRUE(g.has("apply", kWritesVariable));
  EXPECT_FALSE(g.has("read", kWritesVariable));
  EXPECT_TRUE(g.has("stranger", kWritesVariable));
  EXPECT_EQ(g.variable("stranger"), "m");
  EXPECT_FALSE(g.has("harmless", kReadsVariable | kWritesVariable));
  EXPECT_EQ(g.variable("x"), "");

  // v and m meet in the update; the other variable stays apart.
  EXPECT_EQ(g.group("v"), g.group("m"));
  EXPECT_EQ(g.group("v"), g.group("read"));
  EXPECT_EQ(g.group("local"), g.group("read_local"));
  EXPECT_NE(g.group("v"), g.group("local"));
  EXPECT_EQ(g.group("x"), -1);
  EXPECT_EQ(g.group("value"), -1);
  EXPECT_EQ(g.graph().num_colocation_groups(), 2);
}

TEST(OpGraphFlags, LetAStatefulCallTouchAnyVariableOnAnyDevice) {
  const Flags g(GraphBuilder().VarArg("v", {2}).Node(
      "call", "StatefulPartitionedCall", {"v"},
      {{"Tout", TypeListAttr({})}, {"f", FuncAttr("f")}}));
  EXPECT_TRUE(g.has("call", kWritesVariable));
  EXPECT_EQ(g.variable("call"), "");
  EXPECT_EQ(g.group("call"), -1);
}

TEST(OpGraphFlags, KeepReferenceVariablesWithTheirUsers) {
  const Flags g(
      GraphBuilder()
          .Node("v", "VariableV2", {}, kFloatDtype)
          .Const("one", {})
          .Node("read", "Identity", {"v"}, kFloatT)
          .Node("init", "Assign", {"v", "one"}, kFloatT)
          .Node("after", "Identity", {"init"}, kFloatT)
          .Node("use", "Abs", {"read"}, kFloatT)
          .Node("typed", "Abs", {"one"}, {{"T", TypeAttrValue(kFloatRef)}}));
  for (const char* name : {"v", "read", "init", "after", "typed"}) {
    EXPECT_TRUE(g.has(name, kRefTyped)) << name;
  }
  EXPECT_FALSE(g.has("use", kRefTyped));
  EXPECT_TRUE(g.has("read", kReadsVariable));
  EXPECT_EQ(g.variable("read"), "v");
  EXPECT_EQ(g.handle("read"), "");
  EXPECT_EQ(g.variable("init"), "v");
  EXPECT_TRUE(g.has("init", kWritesVariable));
  EXPECT_EQ(g.variable("after"), "v");
  EXPECT_EQ(g.group("after"), g.group("v"));
  EXPECT_EQ(g.group("use"), -1);
}

TEST(OpGraphFlags, ReadColocationFromClassAttributes) {
  const auto loc = [](const char* name) {
    return GraphBuilder::Attrs{{"T", kType},
                               {"_class", StringListAttr({name})}};
  };
  const Flags g(GraphBuilder()
                    .Arg("x", {})
                    .Node("a", "Abs", {"x"}, loc("loc:@x"))
                    .Node("b", "Abs", {"x"}, loc("loc:@gone"))
                    .Node("c", "Abs", {"x"}, loc("loc:@gone"))
                    .Node("d", "Abs", {"x"}, loc("loc:@also_gone"))
                    .Node("e", "Abs", {"x"}, loc("no prefix")));
  EXPECT_GE(g.group("a"), 0);
  EXPECT_EQ(g.group("a"), g.group("x"));
  EXPECT_GE(g.group("b"), 0);
  EXPECT_EQ(g.group("b"), g.group("c"));
  EXPECT_NE(g.group("b"), g.group("a"));
  EXPECT_EQ(g.group("d"), -1);
  EXPECT_EQ(g.group("e"), -1);
}

TEST(OpGraphFlags, MarkWhatStandsInALoop) {
  const Flags g(GraphBuilder()
                    .Arg("x", {})
                    .Node("enter", "Enter", {"x"}, kFloatT)
                    .Node("merge", "Merge", {"enter", "next"}, kFloatT)
                    .Node("less", "Less", {"merge", "merge"}, kFloatT)
                    .Node("cond", "LoopCond", {"less"})
                    .Node("switch", "Switch", {"merge", "cond"}, kFloatT)
                    .Node("body", "Identity", {"switch:1"}, kFloatT)
                    .Node("one", "Const", {"^body"}, kFloatDtype)
                    .Node("next", "NextIteration", {"body", "^one"}, kFloatT)
                    .Node("exit", "Exit", {"switch"}, kFloatT)
                    .Node("after", "Abs", {"exit"}, kFloatT));
  for (const char* name : {"enter", "merge", "less", "cond", "switch", "body",
                           "one", "next", "exit"}) {
    EXPECT_TRUE(g.has(name, kInLoop)) << name;
  }
  EXPECT_FALSE(g.has("x", kInLoop));
  EXPECT_FALSE(g.has("after", kInLoop | kConditional));
  EXPECT_TRUE(g.has("body", kConditional));
  EXPECT_FALSE(g.has("merge", kConditional));
  EXPECT_TRUE(g.has("merge", kControlFlow));
  EXPECT_FALSE(g.has("body", kControlFlow));
}

TEST(OpGraphFlags, MarkWhatStandsInABranch) {
  const Flags g(GraphBuilder()
                    .Arg("x", {})
                    .Arg("p", {}, kBool)
                    .Node("outer", "Switch", {"x", "p"}, kFloatT)
                    .Node("t", "Abs", {"outer:1"}, kFloatT)
                    .Node("inner", "Switch", {"t", "p"}, kFloatT)
                    .Node("tt", "Abs", {"inner:1"}, kFloatT)
                    .Node("inner_merge", "Merge", {"tt", "inner"}, kFloatT)
                    .Node("still", "Abs", {"inner_merge"}, kFloatT)
                    .Node("f", "Const", {"^outer"}, kFloatDtype)
                    .Node("merge", "Merge", {"still", "f"}, kFloatT)
                    .Node("after", "Abs", {"merge"}, kFloatT));
  for (const char* name : {"t", "inner", "tt", "inner_merge", "still", "f"}) {
    EXPECT_TRUE(g.has(name, kConditional)) << name;
  }
  for (const char* name : {"x", "outer", "merge", "after"}) {
    EXPECT_FALSE(g.has(name, kConditional)) << name;
  }
}

TEST(OpGraphFlags, KeepALoopInABranchConditional) {
  const Flags g(GraphBuilder()
                    .Arg("x", {})
                    .Arg("p", {}, kBool)
                    .Node("if", "Switch", {"x", "p"}, kFloatT)
                    .Node("enter", "Enter", {"if:1"}, kFloatT)
                    .Node("merge", "Merge", {"enter", "next"}, kFloatT)
                    .Node("less", "Less", {"merge", "merge"}, kFloatT)
                    .Node("cond", "LoopCond", {"less"})
                    .Node("switch", "Switch", {"merge", "cond"}, kFloatT)
                    .Node("next", "NextIteration", {"switch:1"}, kFloatT)
                    .Node("exit", "Exit", {"switch"}, kFloatT)
                    .Node("then", "Abs", {"exit"}, kFloatT)
                    .Node("end", "Merge", {"then", "if"}, kFloatT)
                    .Node("after", "Abs", {"end"}, kFloatT));
  for (const char* name : {"enter", "merge", "less", "exit", "then"}) {
    EXPECT_TRUE(g.has(name, kConditional)) << name;
  }
  EXPECT_FALSE(g.has("then", kInLoop));
  EXPECT_FALSE(g.has("after", kConditional));
}

}  // namespace
}  // namespace grappler_go
