#include "cc/graph/op_graph.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "cc/graph/wire.h"
#include "cc/testing/graph_builder.h"

namespace grappler_go {
namespace {

const GraphBuilder::Attrs kFloatT = {{"T", TypeAttrValue(kFloat)}};

StatusOr<OpGraph> Parse(const std::string& bytes) {
  ParseOptions options;
  options.infer_shapes = false;
  return OpGraph::Parse(bytes, options);
}

std::string SmallGraph() {
  return GraphBuilder()
      .Arg("x", {2, 3})
      .Const("w", {3, 4})
      .Node("y", "MatMul", {"x", "w", "^x"}, kFloatT, "/device:CPU:0")
      .Retval("out", "y")
      .Build();
}

TEST(OpGraph, GivesNodesInTopologicalOrderWithTheirEdges) {
  const std::string bytes = SmallGraph();
  const StatusOr<OpGraph> graph = Parse(bytes);
  ASSERT_TRUE(graph.ok()) << graph.status().message();
  ASSERT_EQ(graph->num_ops(), 4);
  EXPECT_EQ(graph->num_edges(), 4);
  const int32_t x = graph->find("x"), w = graph->find("w");
  const int32_t y = graph->find("y"), out = graph->find("out");
  EXPECT_EQ(graph->find("z"), -1);
  EXPECT_EQ(graph->op(y), "MatMul");
  EXPECT_EQ(graph->device(y), "/device:CPU:0");
  EXPECT_EQ(graph->device(x), "");
  EXPECT_EQ(graph->def(y).op_class, OpClass::kMatMul);
  EXPECT_EQ(graph->depth(w), 0);
  EXPECT_EQ(graph->depth(out), 2);
  EXPECT_EQ(out, 3);

  ASSERT_EQ(graph->inputs(y).size(), 3u);
  EXPECT_EQ(graph->inputs(y)[0].src, x);
  EXPECT_EQ(graph->inputs(y)[0].port, 0);
  EXPECT_EQ(graph->inputs(y)[1].src, w);
  EXPECT_EQ(graph->inputs(y)[2].port, kControlPort);
  ASSERT_EQ(graph->outputs(x).size(), 2u);
  EXPECT_EQ(graph->outputs(x)[0].port, 0);
  EXPECT_EQ(graph->outputs(x)[1].port, kControlPort);
  for (const OutputEdge& e : graph->outputs(x)) {
    EXPECT_EQ(e.dst, y);
    EXPECT_FALSE(e.back_edge);
  }
  for (int32_t i = 0; i < graph->num_ops(); ++i) {
    EXPECT_EQ(graph->find(graph->name(i)), i);
  }
  EXPECT_EQ(graph->op_at(2), y);
}

TEST(OpGraph, AcceptsAGraphWithoutNodes) {
  for (const std::string& bytes : {std::string(), GraphBuilder().Build()}) {
    const StatusOr<OpGraph> graph = Parse(bytes);
    ASSERT_TRUE(graph.ok());
    EXPECT_EQ(graph->num_ops(), 0);
    EXPECT_EQ(graph->num_edges(), 0);
    EXPECT_EQ(graph->find("x"), -1);
  }
}

TEST(OpGraph, SaysWhetherThereIsAFunctionLibrary) {
  EXPECT_FALSE(Parse(SmallGraph())->has_library());
  const std::string bytes = GraphBuilder().Arg("x", {}).Library("").Build();
  EXPECT_FALSE(Parse(bytes)->has_library());
  std::string function;
  AppendBytesField(1, "", &function);
  EXPECT_TRUE(Parse(GraphBuilder().Arg("x", {}).Library(function).Build())
                  ->has_library());
}

void ExpectError(const std::string& bytes, const std::string& message) {
  const StatusOr<OpGraph> graph = Parse(bytes);
  ASSERT_FALSE(graph.ok());
  EXPECT_EQ(graph.status().code(), StatusCode::kInvalidArgument);
  EXPECT_NE(graph.status().message().find(message), std::string::npos)
      << graph.status().message();
}

TEST(OpGraph, RejectsANodeWithoutANameOrAnOp) {
  ExpectError(GraphBuilder().Node("", "NoOp").Build(), "no name");
  ExpectError(GraphBuilder().Node("a", "").Build(), "a has no op");
}

TEST(OpGraph, RejectsANodeThatBreaksOff) {
  // The file is whole, and says how long the node is; the node's last field,
  // the device, is one byte short.
  std::string node, bytes;
  AppendBytesField(1, "a", &node);
  AppendBytesField(2, "NoOp", &node);
  AppendBytesField(4, "/cpu:0", &node);
  node.pop_back();
  AppendBytesField(1, node, &bytes);
  ExpectError(bytes, "malformed NodeDef");
}

TEST(OpGraph, RejectsTwoNodesOfOneName) {
  ExpectError(GraphBuilder().Arg("x", {}).Arg("x", {}).Build(),
              "two nodes are named x");
}

TEST(OpGraph, RejectsInputsThatDoNotExist) {
  ExpectError(GraphBuilder().Retval("r", "x").Build(), "does not exist: x");
  ExpectError(GraphBuilder().Node("n", "NoOp", {"^x"}).Build(), "^x");
  ExpectError(GraphBuilder().Node("n", "Abs", {""}, kFloatT).Build(),
              "does not exist");
  ExpectError(GraphBuilder().Arg("x", {}).Retval("r", "x:1").Build(),
              "output 1 of node x");
  ExpectError(GraphBuilder().Arg("x", {}).Retval("r", "x:z").Build(),
              "malformed input: x:z");
  ExpectError(GraphBuilder().Arg("x", {}).Retval("r", "x:").Build(),
              "malformed input");
  ExpectError(
      GraphBuilder().Arg("x", {}).Retval("r", "x:99999999999999999999").Build(),
      "malformed input");
}

TEST(OpGraph, RejectsADataInputAfterAControlInput) {
  ExpectError(GraphBuilder().Arg("x", {}).Node("n", "Abs", {"^x", "x"}).Build(),
              "after a control input");
}

TEST(OpGraph, RejectsACycleThatIsNotALoop) {
  ExpectError(GraphBuilder()
                  .Arg("x", {})
                  .Node("a", "AddV2", {"x", "b"}, kFloatT)
                  .Node("b", "Abs", {"a"}, kFloatT)
                  .Build(),
              "cycle");
  ExpectError(GraphBuilder().Node("a", "Abs", {"a"}, kFloatT).Build(), "cycle");
  // NextIteration breaks a cycle at a Merge only, and by data only.
  ExpectError(GraphBuilder()
                  .Node("a", "Abs", {"n"}, kFloatT)
                  .Node("n", "NextIteration", {"a"}, kFloatT)
                  .Build(),
              "cycle");
  ExpectError(GraphBuilder()
                  .Arg("x", {})
                  .Node("m", "Merge", {"x", "x", "^n"}, kFloatT)
                  .Node("n", "NextIteration", {"m"}, kFloatT)
                  .Build(),
              "cycle");
}

TEST(OpGraph, StopsAtTheNodeLimit) {
  const std::string bytes = SmallGraph();
  ParseOptions options;
  options.infer_shapes = false;
  options.max_nodes = 4;
  EXPECT_TRUE(OpGraph::Parse(bytes, options).ok());
  options.max_nodes = 3;
  EXPECT_EQ(OpGraph::Parse(bytes, options).status().code(),
            StatusCode::kResourceExhausted);
}

TEST(OpGraph, RefusesToMakeRoomForOutputsThatCannotBe) {
  const std::string bytes =
      GraphBuilder()
          .Arg("x", {})
          .Node("s", "Split", {"x", "x"},
                {{"num_split", IntAttrValue(2'000'000'000)}})
          .Build();
  EXPECT_EQ(Parse(bytes).status().code(), StatusCode::kResourceExhausted);
}

TEST(OpGraph, TakesTheNumberOfOutputsFromTheOpItsAttributesOrItsReaders) {
  const std::string bytes =
      GraphBuilder()
          .Arg("x", {4})
          .Node("split", "Split", {"x", "x"}, {{"num_split", IntAttrValue(3)}})
          .Node("call", "PartitionedCall", {"x"},
                {{"Tout", TypeListAttr({kFloat, kInt64})},
                 {"f", FuncAttr("__inference_f_12")}})
          .Node("norm", "FusedBatchNormV3", {"x", "x", "x", "x", "x"})
          .Node("mystery", "NobodyKnowsThisOp", {"x"})
          .Retval("r", "mystery:4")
          .Build();
  const StatusOr<OpGraph> graph = Parse(bytes);
  ASSERT_TRUE(graph.ok()) << graph.status().message();
  EXPECT_EQ(graph->num_outputs(graph->find("split")), 3);
  EXPECT_EQ(graph->num_outputs(graph->find("call")), 2);
  EXPECT_EQ(graph->num_outputs(graph->find("norm")), 6);
  EXPECT_EQ(graph->num_outputs(graph->find("mystery")), 5);
  EXPECT_EQ(graph->num_outputs(graph->find("r")), 0);
}

TEST(OpGraph, ReadsAttributesAndLetsTheLastOneWin) {
  std::string node;
  AppendBytesField(1, "n", &node);
  AppendBytesField(2, "Abs", &node);
  AppendAttr("T", TypeAttrValue(kInt32), &node);
  AppendAttr("T", TypeAttrValue(kFloat), &node);
  std::string bytes;
  AppendBytesField(1, node, &bytes);
  const StatusOr<OpGraph> graph = Parse(bytes);
  ASSERT_TRUE(graph.ok());
  EXPECT_EQ(graph->attr(0, "T"), TypeAttrValue(kFloat));
  EXPECT_TRUE(graph->attr(0, "Tidx").empty());
}

TEST(OpGraph, ParsesALoopAndMarksItsBackEdge) {
  const std::string bytes =
      GraphBuilder()
          .Arg("x", {})
          .Node("enter", "Enter", {"x"}, kFloatT)
          .Node("merge", "Merge", {"enter", "next"}, kFloatT)
          .Node("less", "Less", {"merge", "merge"}, kFloatT)
          .Node("cond", "LoopCond", {"less"})
          .Node("switch", "Switch", {"merge", "cond"}, kFloatT)
          .Node("body", "Identity", {"switch:1"}, kFloatT)
          .Node("next", "NextIteration", {"body"}, kFloatT)
          .Node("exit", "Exit", {"switch"}, kFloatT)
          .Retval("out", "exit")
          .Build();
  const StatusOr<OpGraph> graph = Parse(bytes);
  ASSERT_TRUE(graph.ok()) << graph.status().message();
  int back_edges = 0;
  for (int32_t i = 0; i < graph->num_ops(); ++i) {
    for (const InputEdge& e : graph->inputs(i)) {
      EXPECT_EQ(e.back_edge, e.src >= i);
      if (!e.back_edge) continue;
      ++back_edges;
      EXPECT_EQ(graph->name(i), "merge");
      EXPECT_EQ(graph->name(e.src), "next");
    }
  }
  EXPECT_EQ(back_edges, 1);
}

TEST(OpGraph, DoesNotCopyAGiantConstant) {
  const std::string bytes =
      GraphBuilder().Const("c", {50, 1 << 20}).Retval("r", "c").Build();
  ASSERT_GT(bytes.size(), 200u << 20);
  const StatusOr<OpGraph> graph = Parse(bytes);
  ASSERT_TRUE(graph.ok());
  const auto inside = [&bytes](std::string_view view) {
    return view.data() >= bytes.data() &&
           view.data() + view.size() <= bytes.data() + bytes.size();
  };
  const int32_t c = graph->find("c");
  EXPECT_TRUE(inside(graph->node(c)));
  EXPECT_TRUE(inside(graph->name(c)));
  EXPECT_TRUE(inside(graph->op(c)));
  EXPECT_TRUE(inside(graph->attr(c, "value")));
  EXPECT_GT(graph->attr(c, "value").size(), 200u << 20);
}

// 20,000 mutations: bytes changed, cut out, doubled, moved; the end cut off.
TEST(OpGraph, SurvivesMutatedBytes) {
  const std::string valid =
      GraphBuilder()
          .Arg("x", {2, 3})
          .VarArg("v", {3, 4})
          .Node("read", "ReadVariableOp", {"v"}, {{"dtype", TypeAttrValue(1)}})
          .Node("y", "MatMul", {"x", "read"}, kFloatT)
          .Node("enter", "Enter", {"y"}, kFloatT)
          .Node("merge", "Merge", {"enter", "next"}, kFloatT)
          .Node("next", "NextIteration", {"merge"},
                {{"T", TypeAttrValue(kFloat)},
                 {"_class", StringListAttr({"loc:@x"})}})
          .Node("call", "PartitionedCall", {"merge"},
                {{"Tout", TypeListAttr({1, 1})}, {"f", FuncAttr("f_1")}})
          .Node("s", "Split", {"call:1", "x"}, {{"num_split", IntAttrValue(2)}})
          .Node("gradient_tape/neg", "Neg", {"s:1", "^y"}, kFloatT)
          .Retval("out", "gradient_tape/neg")
          .Build();
  ASSERT_TRUE(Parse(valid).ok());
  std::mt19937 random(20240607);
  int parsed = 0;
  for (int trial = 0; trial < 20000; ++trial) {
    std::string bytes = valid;
    for (int edits = 1 + random() % 3; edits > 0 && !bytes.empty(); --edits) {
      const size_t at = random() % bytes.size();
      const size_t length = random() % std::min<size_t>(40, bytes.size() - at);
      switch (random() % 5) {
        case 0:
          bytes[at] = static_cast<char>(random());
          break;
        case 1:
          bytes[at] ^= static_cast<char>(1 << random() % 8);
          break;
        case 2:
          bytes.erase(at, length);
          break;
        case 3:
          bytes.insert(random() % bytes.size(), bytes.substr(at, length));
          break;
        case 4:
          bytes.resize(at);
          break;
      }
    }
    // A buffer of exactly this size lets AddressSanitizer see a read past it.
    const std::vector<char> exact(bytes.begin(), bytes.end());
    ParseOptions options;
    const StatusOr<OpGraph> graph =
        OpGraph::Parse({exact.data(), exact.size()}, options);
    if (!graph.ok()) {
      EXPECT_FALSE(graph.status().message().empty());
      continue;
    }
    ++parsed;
    for (int32_t i = 0; i < graph->num_ops(); ++i) {
      for (const InputEdge& e : graph->inputs(i)) {
        ASSERT_TRUE(e.back_edge || e.src < i);
        ASSERT_LT(e.port, graph->num_outputs(e.src));
      }
    }
  }
  EXPECT_GT(parsed, 100);  // or nothing was tested beyond the reader
}

TEST(OpGraph, RejectsEveryTruncationInsideANode) {
  const std::string bytes = SmallGraph();
  for (size_t n = 1; n < bytes.size(); ++n) {
    const std::vector<char> exact(bytes.begin(), bytes.begin() + n);
    ParseOptions options;
    const StatusOr<OpGraph> graph =
        OpGraph::Parse({exact.data(), exact.size()}, options);
    if (graph.ok()) {
      EXPECT_EQ(graph->graphdef().size(), n);
    }
  }
}

}  // namespace
}  // namespace grappler_go
