#include "cc/rewrite/rewrite_test_util.h"

namespace grappler_go {
namespace {

TestGraph Chain() {
  return TestGraph(GraphBuilder()
                       .Arg("x", {2})
                       .Node("a", "Relu", {"x"}, FloatType(), kCpu0)
                       .Node("b", "Tanh", {"a", "^x"}, FloatType(), kCpu0)
                       .Retval("out", "b")
                       .Library("a library, opaque")
                       .Build());
}

// In the file.
int32_t PlaceOf(const TestGraph& graph, const std::string& name) {
  int32_t place = 0;
  while (graph->op_at(place) != graph.op(name)) ++place;
  return place;
}

TEST(GraphEdits, WithoutEditsWritesTheSameBytes) {
  const TestGraph graph = Chain();
  GraphEdits edits(*graph);
  EXPECT_TRUE(edits.empty());
  EXPECT_EQ(edits.Write(), graph.bytes());
}

TEST(GraphEdits, CopiesWhatItDoesNotTouch) {
  const TestGraph graph = Chain();
  GraphEdits edits(*graph);
  std::string device;
  AppendBytesField(kNodeDevice, kCpu1, &device);
  edits.Append(graph.op("a"), device);
  const std::string out = edits.Write();
  // Three nodes and what follows them, byte for byte, in their places.
  const TestGraph after(out);
  EXPECT_EQ(after->device(after.op("a")), kCpu1);
  EXPECT_EQ(out.size(), graph.bytes().size() + device.size());
  for (const char* name : {"x", "b", "out"}) {
    EXPECT_EQ(after->node(after.op(name)), graph->node(graph.op(name)));
    EXPECT_EQ(PlaceOf(after, name), PlaceOf(graph, name));
  }
  EXPECT_NE(out.find("a library, opaque"), std::string::npos);
}

TEST(GraphEdits, AddsNodesAfterTheLastNodeAndBeforeTheLibrary) {
  const TestGraph graph = Chain();
  GraphEdits edits(*graph);
  edits.Append(graph.op("out"), "");
  std::string node;
  AppendBytesField(kNodeName, edits.NewName("c"), &node);
  AppendBytesField(kNodeOp, "NoOp", &node);
  edits.Add(node);
  const std::string out = edits.Write();
  const TestGraph after(out);
  EXPECT_EQ(PlaceOf(after, "c"), 4);
  EXPECT_EQ(after->num_ops(), 5);
  EXPECT_LT(out.find("NoOp"), out.find("a library, opaque"));
}

TEST(GraphEdits, ReplacesOneInputAndKeepsWhatWasAppendedBefore) {
  const TestGraph graph = Chain();
  GraphEdits edits(*graph);
  edits.AddControlInput(graph.op("b"), "a");
  edits.ReplaceInput(graph.op("b"), graph.op("a"), 0, "x");
  edits.AddControlInput(graph.op("b"), "a");  // already there
  edits.AddControlInput(graph.op("b"), "x");  // in the original
  EXPECT_EQ(TestGraph(edits.Write()).inputs("b"), "x ^x ^a");
}

TEST(GraphEdits, NeverGivesANameTwice) {
  const TestGraph graph = Chain();
  GraphEdits edits(*graph);
  EXPECT_EQ(edits.NewName("a"), "a_1");
  EXPECT_EQ(edits.NewName("a"), "a_2");
  EXPECT_EQ(edits.NewName("a_1"), "a_1_1");
  EXPECT_EQ(edits.NewName("fresh"), "fresh");
}

TEST(GraphEdits, RedirectsWhatAddedNodesRead) {
  const TestGraph graph = Chain();
  GraphEdits edits(*graph);
  std::string node;
  AppendBytesField(kNodeName, "c", &node);
  AppendBytesField(kNodeOp, "AddV2", &node);
  AppendBytesField(kNodeInput, "a:1", &node);
  AppendBytesField(kNodeInput, "a", &node);
  edits.Add(node);
  edits.RedirectAdded({{"a:1", "b"}});
  EXPECT_EQ(TestGraph(edits.Write()).inputs("c"), "b a");
}

TEST(NodeDef, KeepsTheLastValueOfARepeatedAttribute) {
  std::string bytes;
  AppendBytesField(kNodeName, "first", &bytes);
  AppendAttr("b", IntAttrValue(1), &bytes);
  AppendAttr("a", IntAttrValue(2), &bytes);
  AppendAttr("b", IntAttrValue(3), &bytes);
  AppendBytesField(kNodeName, "last", &bytes);
  NodeView view;
  ASSERT_TRUE(ReadNode(bytes, &view));
  EXPECT_EQ(view.name, "last");
  ASSERT_EQ(view.attrs.size(), 2u);
  EXPECT_EQ(AttrInt(view.attr("a"), 0), 2);
  EXPECT_EQ(AttrInt(view.attr("b"), 0), 3);
  EXPECT_TRUE(view.attr("c").empty());
}

TEST(NodeDef, ReadsInputsOfEveryKind) {
  EXPECT_EQ(InputNode("x"), "x");
  EXPECT_EQ(InputNode("x/y:12"), "x/y");
  EXPECT_EQ(InputNode("^x/y"), "x/y");
  EXPECT_EQ(InputPort("x"), 0);
  EXPECT_EQ(InputPort("x/y:12"), 12);
  EXPECT_EQ(InputPort("^x/y"), -1);
  EXPECT_EQ(InputName("x", 0), "x");
  EXPECT_EQ(InputName("x", 3), "x:3");
}

TEST(NodeDef, RejectsATruncatedNode) {
  std::string bytes;
  AppendBytesField(kNodeName, "name", &bytes);
  AppendAttr("a", IntAttrValue(1), &bytes);
  NodeView view;
  EXPECT_FALSE(ReadNode(bytes.substr(0, bytes.size() - 1), &view));
}

}  // namespace
}  // namespace grappler_go
