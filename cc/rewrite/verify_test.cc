// One test a rule: a graph broken on purpose is refused, for that reason.
#include "cc/rewrite/verify.h"

#include "cc/rewrite/rewrite_test_util.h"

namespace grappler_go {
namespace {

using Attrs = GraphBuilder::Attrs;

const Attrs kMarked = {{"T", TypeAttrValue(kFloat)},
                       {"_grappler_go", StringAttrValue("test")}};

// x -> a -> b -> out, with what stands between replaced by the test.
GraphBuilder Head() { return GraphBuilder().Arg("x", {2}); }
TestGraph Plain(std::vector<std::string> preserve = {}) {
  return TestGraph(Head()
                       .Node("a", "Relu", {"x"}, FloatType(), kCpu0)
                       .Node("b", "Tanh", {"a"}, FloatType(), kCpu0)
                       .Retval("out", "b")
                       .Build(),
                   std::move(preserve));
}

std::string Refusal(const TestGraph& original, const std::string& rewritten,
                    const VerifyOptions& options = {}) {
  const Status status = VerifyRewrite(*original, rewritten, options);
  if (status.ok()) return "accepted";
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  return status.message();
}

#define EXPECT_REFUSED(because, ...)                                \
  do {                                                              \
    const std::string refusal = Refusal(__VA_ARGS__);               \
    EXPECT_NE(refusal.find(because), std::string::npos) << refusal; \
  } while (0)

TEST(VerifyRewrite, AcceptsTheGraphItself) {
  const TestGraph graph = Plain();
  EXPECT_EQ(Refusal(graph, graph.bytes()), "accepted");
}

TEST(VerifyRewrite, AcceptsDevicesMarksGroupsAndControlInputs) {
  const TestGraph graph = Plain({"b"});
  Attrs marks = kMarked;
  marks.insert(marks.end(),
               {{"_XlaCompile", BoolAttrValue(true)},
                {"_XlaScope", StringAttrValue("s")},
                {"_XlaSeparateCompiledGradients", BoolAttrValue(false)}});
  VerifyOptions options;
  options.devices = {kCpu1};
  EXPECT_EQ(Refusal(graph,
                    Head()
                        .Node("a", "Relu", {"x"}, marks, kCpu1)
                        .Node("b", "Tanh", {"a", "^x"}, marks, kCpu1)
                        .Retval("out", "b")
                        .Build(),
                    options),
            "accepted");
}

TEST(VerifyRewrite, AcceptsNodesInAnotherOrder) {
  const TestGraph graph = Plain();
  EXPECT_EQ(Refusal(graph, Head()
                               .Retval("out", "b")
                               .Node("b", "Tanh", {"a"}, FloatType(), kCpu0)
                               .Node("a", "Relu", {"x"}, FloatType(), kCpu0)
                               .Build()),
            "accepted");
}

TEST(VerifyRewrite, RefusesMalformedBytes) {
  const TestGraph graph = Plain();
  EXPECT_REFUSED("truncated or malformed GraphDef", graph,
                 graph.bytes().substr(0, graph.bytes().size() - 1));
  const auto appended = [&graph](const std::string& bytes) {
    GraphEdits edits(*graph);
    edits.Append(graph.op("a"), bytes);
    return edits.Write();
  };
  EXPECT_REFUSED("a: the node is malformed", graph, appended("\x22\x7f"));
  std::string node_is_a_number;
  AppendVarintField(1, 7, &node_is_a_number);
  EXPECT_REFUSED("not a message", graph, graph.bytes() + node_is_a_number);
}

TEST(VerifyRewrite, RefusesAMissingNode) {
  EXPECT_REFUSED("b: the node is gone", Plain(),
                 Head()
                     .Node("a", "Relu", {"x"}, FloatType(), kCpu0)
                     .Retval("out", "a")
                     .Build());
}

TEST(VerifyRewrite, RefusesANewNameOrNone) {
  const TestGraph graph = Plain();
  std::string renamed;
  AppendBytesField(kNodeName, "c", &renamed);
  GraphEdits edits(*graph);
  edits.Append(graph.op("a"), renamed);
  EXPECT_REFUSED("a: the node is named c", graph, edits.Write());
  std::string nameless = graph.bytes();
  AppendBytesField(1, "", &nameless);
  EXPECT_REFUSED("a node has no name", graph, nameless);
  std::string opless = graph.bytes();
  AppendBytesField(1, renamed, &opless);
  EXPECT_REFUSED("node c has no op", graph, opless);
}

TEST(VerifyRewrite, RefusesADanglingInput) {
  EXPECT_REFUSED("b: an input that does not exist: nobody", Plain(),
                 Head()
                     .Node("a", "Relu", {"x"}, FloatType(), kCpu0)
                     .Node("b", "Tanh", {"nobody"}, FloatType(), kCpu0)
                     .Retval("out", "b")
                     .Build());
}

TEST(VerifyRewrite, RefusesADataInputAfterAControlInput) {
  const TestGraph graph = Plain();
  std::string node;
  AppendBytesField(kNodeInput, "^x", &node);
  AppendBytesField(kNodeInput, "x", &node);
  GraphEdits edits(*graph);
  edits.Append(graph.op("a"), node);
  EXPECT_REFUSED("a: a data input after a control input", graph, edits.Write());
}

TEST(VerifyRewrite, RefusesACycle) {
  EXPECT_REFUSED("part of a new cycle", Plain(),
                 Head()
                     .Node("a", "Relu", {"x", "^b"}, FloatType(), kCpu0)
                     .Node("b", "Tanh", {"a"}, FloatType(), kCpu0)
                     .Retval("out", "b")
                     .Build());
}

TEST(VerifyRewrite, RefusesACycleThroughACopy) {
  const auto graph = [](const std::string& read, const std::string& after) {
    GraphBuilder b = Head();
    b.Node("a", "Relu", {"x"}, FloatType(), kCpu0);
    b.Node("b", "Tanh", {read}, FloatType(), kCpu0);
    b.Node("c", "Relu6", {"b"}, FloatType(), kCpu0);
    b.Retval("out", "c");
    if (!after.empty()) {
      b.Node("copy", "Relu", {"x", "^" + after}, FloatType(), kCpu0);
    }
    return b.Build();
  };
  const TestGraph original(graph("a", ""));
  EXPECT_EQ(Refusal(original, graph("copy", "a")), "accepted");
  EXPECT_REFUSED("part of a new cycle", original, graph("copy", "c"));
}

TEST(VerifyRewrite, ALoopsWayBackIsNoCycle) {
  // The search for cycles starts behind the loop.
  const auto graph = [](bool changed) {
    const auto inputs = [changed](std::vector<std::string> names) {
      if (changed) names.push_back("^a");
      return names;
    };
    GraphBuilder b;
    b.Arg("x", {2});
    b.Arg("p", {}, kBool);
    b.Node("a", "Relu", {"x"}, FloatType());
    b.Node("enter", "Enter", {"x"}, FloatType());
    b.Node("merge", "Merge", {"enter", "next"}, FloatType());
    b.Node("switch", "Switch", {"merge", "p"}, FloatType());
    b.Node("body", "Relu", {"switch:1"}, FloatType());
    b.Node("next", "NextIteration", {"body"}, FloatType());
    b.Node("exit", "Exit", {"switch"}, FloatType());
    b.Node("after", "Tanh", inputs({"exit"}), FloatType());
    b.Retval("out", "after");
    return b.Build();
  };
  EXPECT_EQ(Refusal(TestGraph(graph(false)), graph(true)), "accepted");
}

TEST(VerifyRewrite, RefusesADuplicateName) {
  EXPECT_REFUSED("two nodes are named a", Plain(),
                 Head()
                     .Node("a", "Relu", {"x"}, FloatType(), kCpu0)
                     .Node("a", "Relu", {"x"}, FloatType(), kCpu0)
                     .Node("b", "Tanh", {"a"}, FloatType(), kCpu0)
                     .Retval("out", "b")
                     .Build());
  EXPECT_REFUSED("two nodes are named copy", Plain(),
                 Head()
                     .Node("a", "Relu", {"x"}, FloatType(), kCpu0)
                     .Node("b", "Tanh", {"copy"}, FloatType(), kCpu0)
                     .Retval("out", "b")
                     .Node("copy", "Relu", {"x"}, FloatType(), kCpu0)
                     .Node("copy", "Relu", {"x"}, FloatType(), kCpu0)
                     .Build());
}

TEST(VerifyRewrite, RefusesADuplicateControlInput) {
  EXPECT_REFUSED("b: duplicate control input", Plain(),
                 Head()
                     .Node("a", "Relu", {"x"}, FloatType(), kCpu0)
                     .Node("b", "Tanh", {"a", "^x", "^x"}, FloatType(), kCpu0)
                     .Retval("out", "b")
                     .Build());
}

TEST(VerifyRewrite, RefusesALostControlInput) {
  const TestGraph graph(Head()
                            .Node("a", "Relu", {"x", "^x"}, FloatType(), kCpu0)
                            .Retval("out", "a")
                            .Build());
  EXPECT_REFUSED("a: a control input is gone", graph,
                 Head()
                     .Node("a", "Relu", {"x"}, FloatType(), kCpu0)
                     .Retval("out", "a")
                     .Build());
}

TEST(VerifyRewrite, RefusesAChangedAttribute) {
  EXPECT_REFUSED("a: an attribute changed", Plain(),
                 Head()
                     .Node("a", "Relu", {"x"}, {{"T", TypeAttrValue(kDouble)}})
                     .Node("b", "Tanh", {"a"}, FloatType(), kCpu0)
                     .Retval("out", "b")
                     .Build());
}

TEST(VerifyRewrite, RefusesAnAttributeAppended) {
  std::string node;
  AppendAttr("T", TypeAttrValue(kDouble), &node);
  const TestGraph graph = Plain();
  GraphEdits edits(*graph);
  edits.Append(graph.op("a"), node);
  EXPECT_REFUSED("a: an attribute changed", graph, edits.Write());
}

TEST(VerifyRewrite, RefusesAnotherOp) {
  EXPECT_REFUSED("a: the op changed", Plain(),
                 Head()
                     .Node("a", "Relu6", {"x"}, FloatType(), kCpu0)
                     .Node("b", "Tanh", {"a"}, FloatType(), kCpu0)
                     .Retval("out", "b")
                     .Build());
}

TEST(VerifyRewrite, RefusesAnotherInput) {
  EXPECT_REFUSED("b: input 0 reads another value", Plain(),
                 Head()
                     .Node("a", "Relu", {"x"}, FloatType(), kCpu0)
                     .Node("b", "Tanh", {"x"}, FloatType(), kCpu0)
                     .Retval("out", "b")
                     .Build());
  EXPECT_REFUSED("b: the number of inputs changed", Plain(),
                 Head()
                     .Node("a", "Relu", {"x"}, FloatType(), kCpu0)
                     .Node("b", "Tanh", {"a", "x"}, FloatType(), kCpu0)
                     .Retval("out", "b")
                     .Build());
}

// A copy of `a` that b reads.
std::string WithCopy(const std::string& op, const std::string& input,
                     const std::string& read) {
  return Head()
      .Node("a", "Relu", {"x"}, FloatType(), kCpu0)
      .Node("b", "Tanh", {read}, FloatType(), kCpu0)
      .Retval("out", "b")
      .Node("copy", op, {input}, kMarked, kCpu0)
      .Build();
}

TEST(VerifyRewrite, AcceptsACopyInTheOriginalsPlace) {
  EXPECT_EQ(Refusal(Plain(), WithCopy("Relu", "x", "copy")), "accepted");
}

TEST(VerifyRewrite, RefusesACopyThatComputesSomethingElse) {
  EXPECT_REFUSED("reads another value", Plain(),
                 WithCopy("Relu6", "x", "copy"));
  EXPECT_REFUSED("reads another value", Plain(), WithCopy("Relu", "a", "copy"));
  EXPECT_REFUSED("reads another value", Plain(),
                 WithCopy("Relu", "x", "copy:1"));
}

TEST(VerifyRewrite, RefusesANodeThatNothingNeeds) {
  EXPECT_REFUSED("copy: a new node that nothing needs", Plain(),
                 WithCopy("Relu", "x", "a"));
}

TEST(VerifyRewrite, RefusesAChangedInputOfAPreservedNode) {
  EXPECT_REFUSED("b: an input of a preserved node changed", Plain({"b"}),
                 WithCopy("Relu", "x", "copy"));
}

TEST(VerifyRewrite, RefusesACopyOfWhatMayRunOnlyOnce) {
  for (const char* op :
       {"RandomStandardNormal", "ReadVariableOp", "NoSuchOp"}) {
    const auto graph = [op](const std::string& read, bool copy) {
      GraphBuilder b;
      b.VarArg("v", {2});
      b.Node("once", op, {"v"}, FloatType(), kCpu0);
      b.Node("user", "Tanh", {read}, FloatType(), kCpu0);
      b.Retval("out", "user");
      if (copy) b.Node("copy", op, {"v"}, FloatType(), kCpu0);
      return b.Build();
    };
    EXPECT_REFUSED("may run only once", TestGraph(graph("once", false)),
                   graph("copy", true));
  }
}

TEST(VerifyRewrite, RefusesADeviceThatDoesNotExist) {
  const std::string moved = Head()
                                .Node("a", "Relu", {"x"}, FloatType(), kCpu0)
                                .Node("b", "Tanh", {"a"}, FloatType(), kCpu1)
                                .Retval("out", "b")
                                .Build();
  EXPECT_REFUSED("does not exist", Plain(), moved);
  VerifyOptions options;
  options.devices = {kCpu0};
  EXPECT_REFUSED("does not exist", Plain(), moved, options);
  options.devices = {kCpu0, kCpu1};
  EXPECT_EQ(Refusal(Plain(), moved, options), "accepted");
}

TEST(VerifyRewrite, RefusesADeviceThatDoesNotExistAppended) {
  const TestGraph graph = Plain();
  std::string device;
  AppendBytesField(kNodeDevice, kCpu1, &device);
  const auto moved = [&](const std::vector<std::string>& names) {
    GraphEdits edits(*graph);
    const int32_t shared = edits.Share(device);
    for (const std::string& name : names) {
      edits.AppendShared(graph.op(name), shared);
    }
    return edits.Write();
  };
  VerifyOptions options;
  options.devices = {kCpu1};
  EXPECT_EQ(Refusal(graph, moved({"a", "b"}), options), "accepted");
  EXPECT_REFUSED("a: device", graph, moved({"a", "b"}));
  // The same bytes again, as ops of one group get.
  options.has_kernel = [](std::string_view op, std::string_view) {
    return op != "Tanh";
  };
  EXPECT_REFUSED("b: no kernel", graph, moved({"a", "b"}), options);
}

TEST(VerifyRewrite, AcceptsDevicesOfTheGraphBesideThoseThatAreGiven) {
  const auto graph = [](const std::string& of_b, const std::string& of_c) {
    return Head()
        .Node("a", "Relu", {"x"}, FloatType(), kCpu0)
        .Node("b", "Tanh", {"a"}, FloatType(), of_b)
        .Node("c", "Tanh", {"b"}, FloatType(), of_c)
        .Retval("out", "c")
        .Build();
  };
  const std::string given = "/job:localhost/replica:0/task:0/device:CPU:7";
  VerifyOptions options;
  options.devices = {given};
  const TestGraph original(graph(kCpu0, kCpu1));
  EXPECT_EQ(Refusal(original, graph(kCpu1, kCpu0), options), "accepted");
  EXPECT_EQ(Refusal(original, graph(given, kCpu1), options), "accepted");
  EXPECT_REFUSED("c: device", original, graph(kCpu0, given + "0"), options);
}

TEST(VerifyRewrite, RefusesADeviceWithoutAKernel) {
  const std::string gpu = "/job:localhost/replica:0/task:0/device:GPU:0";
  VerifyOptions options;
  options.devices = {gpu};
  options.has_kernel = [](std::string_view op, std::string_view type) {
    return !(op == "Tanh" && type == "GPU");
  };
  const auto moved = [&gpu](const std::string& a, const std::string& b) {
    return Head()
        .Node("a", "Relu", {"x"}, FloatType(), a)
        .Node("b", "Tanh", {"a"}, FloatType(), b)
        .Retval("out", "b")
        .Build();
  };
  EXPECT_EQ(Refusal(Plain(), moved(gpu, kCpu0), options), "accepted");
  EXPECT_REFUSED("b: no kernel for Tanh", Plain(), moved(kCpu0, gpu), options);
}

TEST(VerifyRewrite, RefusesASplitColocationGroup) {
  const auto graph = [](const std::string& device_of_b) {
    const Attrs colocated = {{"T", TypeAttrValue(kFloat)},
                             {"_class", StringListAttr({"loc:@a"})}};
    return Head()
        .Node("a", "Relu", {"x"}, FloatType(), kCpu0)
        .Node("b", "Tanh", {"a"}, colocated, device_of_b)
        .Retval("out", "b")
        .Build();
  };
  VerifyOptions options;
  options.devices = {kCpu0, kCpu1};
  EXPECT_REFUSED("colocation", TestGraph(graph(kCpu0)), graph(kCpu1), options);
}

TEST(VerifyRewrite, RefusesACopyThatLeavesItsColocationGroup) {
  const auto graph = [](const std::string& device_of_copy) {
    const Attrs colocated = {{"T", TypeAttrValue(kFloat)},
                             {"_class", StringListAttr({"loc:@a"})}};
    const bool copied = !device_of_copy.empty();
    GraphBuilder b = Head();
    b.Node("a", "Relu", {"x"}, FloatType(), kCpu0);
    b.Node("b", "Tanh", {"a"}, colocated, kCpu0);
    b.Node("c", "Tanh", {copied ? "copy" : "b"}, FloatType(), kCpu0);
    b.Retval("out", "c");
    if (copied) b.Node("copy", "Tanh", {"a"}, colocated, device_of_copy);
    return b.Build();
  };
  VerifyOptions options;
  options.devices = {kCpu0, kCpu1};
  EXPECT_EQ(Refusal(TestGraph(graph("")), graph(kCpu0), options), "accepted");
  EXPECT_REFUSED("copy: not on its colocation group's device",
                 TestGraph(graph("")), graph(kCpu1), options);
}

TEST(VerifyRewrite, RefusesAReadThatLeavesItsVariable) {
  const auto graph = [](const std::string& device) {
    return GraphBuilder()
        .Node("v", "VarHandleOp", {},
              {{"dtype", TypeAttrValue(kFloat)}, {"shape", ShapeAttr({2})}},
              kCpu0)
        .Node("read", "ReadVariableOp", {"v"},
              {{"dtype", TypeAttrValue(kFloat)}}, device)
        .Retval("out", "read")
        .Build();
  };
  VerifyOptions options;
  options.devices = {kCpu0, kCpu1};
  EXPECT_REFUSED("colocation", TestGraph(graph(kCpu0)), graph(kCpu1), options);
}

TEST(VerifyRewrite, RefusesAControlEdgeOutOfABranch) {
  const auto graph = [](const std::vector<std::string>& inputs) {
    return GraphBuilder()
        .Arg("x", {2})
        .Arg("p", {}, kBool)
        .Node("switch", "Switch", {"x", "p"}, FloatType())
        .Node("then", "Relu", {"switch:1"}, FloatType())
        .Node("after", "Relu", inputs, FloatType())
        .Retval("out", "after")
        .Build();
  };
  EXPECT_REFUSED("crosses control flow", TestGraph(graph({"x"})),
                 graph({"x", "^then"}));
}

TEST(VerifyRewrite, RefusesAChangedLibraryOrVersion) {
  const auto graph = [](const std::string& library) {
    return Head()
        .Node("a", "Relu", {"x"}, FloatType())
        .Retval("out", "a")
        .Library(library)
        .Build();
  };
  const TestGraph original(graph("functions"));
  EXPECT_EQ(Refusal(original, graph("functions")), "accepted");
  EXPECT_REFUSED("versions or library", original, graph("FUNCTIONS"));
  EXPECT_REFUSED("versions or library", original, graph(""));
  std::string versions = graph("functions");
  AppendBytesField(4, "", &versions);
  EXPECT_REFUSED("versions or library", original, versions);
}

// A fused product taken apart by hand.
GraphBuilder Fused() {
  return GraphBuilder().Arg("x", {2, 2}).Arg("w", {2, 2}).Arg("bias", {2});
}
TestGraph FusedGraph() {
  return TestGraph(Fused()
                       .Node("f", "_FusedMatMul", {"x", "w", "bias", "^x"},
                             {{"T", TypeAttrValue(kFloat)},
                              {"num_args", IntAttrValue(1)},
                              {"fused_ops", StringListAttr({"BiasAdd"})}})
                       .Retval("out", "f")
                       .Build());
}
std::string Apart(const std::string& part, std::vector<std::string> inputs,
                  const std::string& second, const std::string& op = "MatMul") {
  return Fused()
      .Node("f", "BiasAdd", {part, second}, FloatType())
      .Retval("out", "f")
      .Node(part, op, inputs, FloatType())
      .Build();
}

TEST(VerifyRewrite, AcceptsAnOpTakenApart) {
  EXPECT_EQ(Refusal(FusedGraph(), Apart("f/MatMul", {"x", "w", "^x"}, "bias")),
            "accepted");
}

TEST(VerifyRewrite, RefusesPartsThatReadMoreOrLess) {
  EXPECT_REFUSED("read no more", FusedGraph(),
                 Apart("f/MatMul", {"x", "w", "^x"}, "x"));
  EXPECT_REFUSED("reads another value", FusedGraph(),
                 Apart("elsewhere", {"x", "w", "^x"}, "bias"));
  EXPECT_REFUSED("a control input is gone", FusedGraph(),
                 Apart("f/MatMul", {"x", "w"}, "bias"));
  EXPECT_REFUSED("not a part that computes only", FusedGraph(),
                 Apart("f/MatMul", {"x", "w", "^x"}, "bias", "NoSuchOp"));
}

}  // namespace
}  // namespace grappler_go
