#include "cc/graph/shape_inference.h"

#include <cstdint>

#include "cc/graph/shape_test_util.h"

namespace grappler_go {
namespace {

// ---- Sources

TEST(InferShapes, TakesArgumentsAtTheirWord) {
  Inferred graph(GraphBuilder().Arg("x", {2, -1}).Arg("i", {3}, kInt64));
  EXPECT_EQ(graph.Shape("x"), "[2,?]");
  EXPECT_EQ(graph.Dtype("x"), kFloat);
  EXPECT_EQ(graph.Dtype("i"), kInt64);
}

TEST(InferShapes, ReadsOfAVariableHaveItsShape) {
  Inferred graph(
      GraphBuilder()
          .VarArg("v", {4, 5})
          .Node("read", "ReadVariableOp", {"v"},
                {{"dtype", TypeAttrValue(kFloat)}})
          .Node("own", "VarHandleOp", {},
                {{"shape", ShapeAttr({7})}, {"dtype", TypeAttrValue(kDouble)}})
          .Node("read_own", "ReadVariableOp", {"own"}));
  EXPECT_EQ(graph.Shape("v"), "[]");
  EXPECT_EQ(graph.Dtype("v"), kResource);
  EXPECT_EQ(graph.Shape("read"), "[4,5]");
  EXPECT_EQ(graph.Shape("read_own"), "[7]");
  EXPECT_EQ(graph.Dtype("read_own"), kDouble);
}

TEST(InferShapes, PlaceholdersAndConstantsSayTheirShape) {
  Inferred graph(
      GraphBuilder()
          .Node(
              "p", "Placeholder", {},
              {{"shape", ShapeAttr({-1, 3})}, {"dtype", TypeAttrValue(kBool)}})
          .Node("q", "Placeholder", {}, {{"dtype", TypeAttrValue(kFloat)}})
          .Const("c", {2, 2}, {1.0f}));
  EXPECT_EQ(graph.Shape("p"), "[?,3]");
  EXPECT_EQ(graph.Dtype("p"), kBool);
  EXPECT_EQ(graph.Shape("q"), "?");
  EXPECT_EQ(graph.Shape("c"), "[2,2]");
  EXPECT_EQ(graph.Dtype("c"), kFloat);
}

// ---- Shapes that are computed

TEST(InferShapes, FollowsAShapeThroughIntegerArithmetic) {
  GraphBuilder builder;
  builder.Arg("x", {6, 8, 4})
      .Node("shape", "Shape", {"x"})
      .IntConst("zero", {1}, {0})
      .IntConst("one", {1}, {1})
      .IntConst("two", {1}, {2})
      .IntConst("half", {}, {2})
      .Node("first", "StridedSlice", {"shape", "zero", "one", "one"},
            {{"shrink_axis_mask", IntAttrValue(1)}})
      .Node("second", "StridedSlice", {"shape", "one", "two", "one"},
            {{"shrink_axis_mask", IntAttrValue(1)}})
      .Node("product", "Mul", {"first", "second"})
      .Node("quotient", "FloorDiv", {"product", "half"})
      .Node("sum", "AddV2", {"quotient", "half"})
      .Node("packed", "Pack", {"sum", "half"})
      .Node("size", "Size", {"x"})
      .Node("filled", "Fill", {"packed", "half"})
      .Node("all", "Prod", {"shape", "zero"})
      .Node("vector", "Pack", {"all"})
      .Node("flat", "Reshape", {"x", "vector"});
  Inferred graph(builder);
  EXPECT_EQ(graph.Shape("filled"), "[26,2]");
  EXPECT_EQ(graph.Shape("flat"), "[192]");
}

TEST(InferShapes, AnUnknownElementOfAShapeLeavesTheOthersKnown) {
  GraphBuilder builder;
  builder.Arg("x", {-1, 8, 4})
      .Node("shape", "Shape", {"x"})
      .IntConst("zero", {1}, {0})
      .IntConst("one", {1}, {1})
      .IntConst("n", {}, {32})
      .Node("batch", "StridedSlice", {"shape", "zero", "one", "one"},
            {{"shrink_axis_mask", IntAttrValue(1)}})
      .Node("new_shape", "Pack", {"batch", "n"})
      .Node("y", "Reshape", {"x", "new_shape"});
  EXPECT_EQ(Inferred(builder).Shape("y"), "[?,32]");
}

TEST(InferShapes, GradientsOfBroadcastsReduceTheRightAxes) {
  GraphBuilder builder;
  builder.Arg("x", {2, 3})
      .IntConst("a", {2}, {2, 3})
      .IntConst("b", {2}, {1, 3})
      .Node("axes", "BroadcastGradientArgs", {"a", "b"})
      .Node("sum_a", "Sum", {"x", "axes:0"})
      .Node("sum_b", "Sum", {"x", "axes:1"})
      .Node("same", "BroadcastGradientArgs", {"b", "b"});
  Inferred graph(builder);
  EXPECT_EQ(graph.Shape("sum_a"), "[2,3]");
  EXPECT_EQ(graph.Shape("sum_b"), "[3]");
  EXPECT_EQ(graph.Shape("same"), "[0]");
}

TEST(InferShapes, AFedConstantIsNotBelieved) {
  GraphBuilder builder;
  builder.Arg("x", {2, 3})
      .IntConst("shape", {2}, {3, 2})
      .Node("y", "Reshape", {"x", "shape"});
  EXPECT_EQ(Inferred(builder).Shape("y"), "[3,2]");
  ParseOptions options;
  options.preserve = {"shape"};
  EXPECT_EQ(Inferred(builder, options).Shape("y"), "[?,?]");
}

// ---- Control flow

// A loop whose variable is doubled along the axis 0, or kept, each iteration.
GraphBuilder Loop(bool grows) {
  GraphBuilder builder;
  builder.Arg("x", {2, 5})
      .Arg("go_on", {}, kBool)
      .IntConst("axis", {}, {0})
      .Node("enter", "Enter", {"x"}, {{"frame_name", StringAttrValue("f")}})
      .Node("axis_in", "Enter", {"axis"},
            {{"frame_name", StringAttrValue("f")},
             {"is_constant", BoolAttrValue(true)}})
      .Node("go_in", "Enter", {"go_on"},
            {{"frame_name", StringAttrValue("f")},
             {"is_constant", BoolAttrValue(true)}})
      .Node("merge", "Merge", {"enter", "next"})
      .Node("cond", "LoopCond", {"go_in"})
      .Node("switch", "Switch", {"merge", "cond"})
      .Node("body", "Identity", {"switch:1"});
  if (grows) {
    builder.Node("value", "ConcatV2", {"body", "body", "axis_in"});
  } else {
    builder.Node("value", "Neg", {"body"});
  }
  return builder.Node("next", "NextIteration", {"value"})
      .Node("exit", "Exit", {"switch"});
}

TEST(InferShapes, ALoopVariableThatKeepsItsShapeIsKnown) {
  Inferred graph(Loop(false));
  EXPECT_EQ(graph.Shape("merge"), "[2,5]");
  EXPECT_EQ(graph.Shape("exit"), "[2,5]");
}

TEST(InferShapes, ALoopVariableThatGrowsIsUnknownEverywhere) {
  Inferred graph(Loop(true));
  for (const char* op : {"merge", "switch", "body", "value", "next", "exit"}) {
    EXPECT_EQ(graph.Shape(op).find('2'), std::string::npos)
        << op << " " << graph.Shape(op);
  }
}

TEST(InferShapes, ACounterIsNotAConstant) {
  GraphBuilder builder;
  builder.Arg("go_on", {}, kBool)
      .IntConst("zero", {1}, {0})
      .Node("enter", "Enter", {"zero"}, {{"frame_name", StringAttrValue("f")}})
      .Node("one", "Const", {},
            {{"value", IntTensorAttr({1}, {1})},
             {"dtype", TypeAttrValue(kInt32)}})
      .Node("one_in", "Enter", {"one"}, {{"frame_name", StringAttrValue("f")}})
      .Node("go_in", "Enter", {"go_on"}, {{"frame_name", StringAttrValue("f")}})
      .Node("merge", "Merge", {"enter", "next"})
      .Node("cond", "LoopCond", {"go_in"})
      .Node("switch", "Switch", {"merge", "cond"})
      .Node("next_value", "AddV2", {"switch:1", "one_in"})
      .Node("next", "NextIteration", {"next_value"})
      .Node("value", "Const", {"^switch"},
            {{"value", FloatTensorAttr({}, {1.0f})},
             {"dtype", TypeAttrValue(kFloat)}})
      .Node("filled", "Fill", {"switch:1", "value"});
  EXPECT_EQ(Inferred(builder).Shape("filled"), "[?]");
}

TEST(InferShapes, AConstantThatEntersALoopStaysOne) {
  GraphBuilder builder = Loop(false);
  builder.IntConst("shape", {2}, {5, 2})
      .Node("shape_in", "Enter", {"shape"},
            {{"frame_name", StringAttrValue("f")},
             {"is_constant", BoolAttrValue(true)}})
      .Node("turned", "Reshape", {"body", "shape_in"});
  EXPECT_EQ(Inferred(builder).Shape("turned"), "[5,2]");
}

// Each iteration turns the dimensions by one and doubles the first: another one
// becomes unknown with every pass.
TEST(InferShapes, ALoopThatSettlesTooSlowlyIsGivenUp) {
  GraphBuilder builder;
  const auto enter = [&builder](const std::string& name) {
    builder.Node(name + "_in", "Enter", {name},
                 {{"frame_name", StringAttrValue("f")},
                  {"is_constant", BoolAttrValue(true)}});
  };
  builder.Arg("x", Dims(8, 2)).Arg("go_on", {}, kBool);
  builder.IntConst("turn", {8}, {7, 0, 1, 2, 3, 4, 5, 6});
  builder.IntConst("twice", {8}, {2, 1, 1, 1, 1, 1, 1, 1});
  for (const char* name : {"go_on", "turn", "twice"}) enter(name);
  builder.Node("enter", "Enter", {"x"}, {{"frame_name", StringAttrValue("f")}})
      .Node("merge", "Merge", {"enter", "next"})
      .Node("cond", "LoopCond", {"go_on_in"})
      .Node("switch", "Switch", {"merge", "cond"})
      .Node("turned", "Transpose", {"switch:1", "turn_in"})
      .Node("value", "Tile", {"turned", "twice_in"})
      .Node("next", "NextIteration", {"value"});
  EXPECT_EQ(Inferred(builder).Shape("merge"), "?");
}

TEST(InferShapes, BranchesThatDifferMeetInWhatTheyShare) {
  GraphBuilder builder;
  builder.Arg("a", {2, 3}).Arg("b", {2, 4}).Node("m", "Merge", {"a", "b"});
  Inferred graph(builder);
  EXPECT_EQ(graph.Shape("m"), "[2,?]");
  EXPECT_EQ(graph.Shape("m", 1), "[]");
  EXPECT_EQ(graph.Dtype("m", 1), kInt32);
}

TEST(InferShapes, CallsKeepWhatTheyPromise) {
  Inferred graph(GraphBuilder().Arg("x", {2}).Node(
      "call", "If", {"x", "x"},
      {{"Tout", TypeListAttr({kFloat, kInt64})},
       {"output_shapes", ShapeListAttr({{4, -1}, {}})}}));
  EXPECT_EQ(graph.Shape("call", 0), "[4,?]");
  EXPECT_EQ(graph.Dtype("call", 1), kInt64);
}

// ---- What is not known

TEST(InferShapes, AnOpWithoutARuleIsUnknown) {
  EXPECT_EQ(ShapeOf("NeverHeardOf", {{2, 3}}), "no such output");
  Inferred graph(
      GraphBuilder()
          .Arg("x", {2, 3})
          .Node("u", "NeverHeardOf", {"x"}, {{"dtype", TypeAttrValue(kInt64)}})
          .Node("y", "Tanh", {"u"}));
  EXPECT_EQ(graph.Shape("u"), "?");
  EXPECT_EQ(graph.Dtype("u"), kInt64);
  EXPECT_EQ(graph.Shape("y"), "?");
}

TEST(InferShapes, OutputShapesSpeakForAnOpWithoutARule) {
  Inferred graph(GraphBuilder()
                     .Node("u", "NeverHeardOf", {},
                           {{"_output_shapes", ShapeListAttr({{4}})}})
                     .Node("y", "Tanh", {"u"}));
  EXPECT_EQ(graph.Shape("y"), "[4]");
}

TEST(InferShapes, SizesThatDoNotFitAreUnknown) {
  const int64_t huge = int64_t{1} << 62;
  EXPECT_EQ(ShapeWithInts("Tile", {{huge}}, {{1 << 30}}), "[?]");
  EXPECT_EQ(ShapeWithInts("Pad", {{2}}, {{-9, 1}}), "[?]");
  EXPECT_EQ(ShapeWithInts("ConcatV2", {{huge}, {huge}, {huge}}, {{0}}), "[?]");
  Attrs attrs = Window("VALID", {1, 1, 1, 1});
  attrs.emplace_back("dilations", IntListAttr({1, huge, huge, 1}));
  EXPECT_EQ(ShapeOf("Conv2D", {{8, 9, 9, 3}, {3, 3, 3, 16}}, attrs),
            "[8,?,?,16]");
}

TEST(InferShapes, InputsThatAreMissingMakeNothingFall) {
  for (const char* op : {"AddV2",
                         "Conv2D",
                         "ConcatV2",
                         "StridedSlice",
                         "Reshape",
                         "Einsum",
                         "Split",
                         "FusedBatchNormV3",
                         "GatherV2",
                         "Merge",
                         "Pack",
                         "ResourceGather",
                         "Transpose",
                         "Range",
                         "TensorListGetItem",
                         "SelectV2",
                         "BlockLSTMV2",
                         "RFFT",
                         "CTCLoss",
                         "DynamicStitch",
                         "BroadcastGradientArgs"}) {
    Inferred graph(GraphBuilder().Node("op", op));
    EXPECT_GE(graph.graph().find("op"), 0) << op;
  }
}

}  // namespace
}  // namespace grappler_go
