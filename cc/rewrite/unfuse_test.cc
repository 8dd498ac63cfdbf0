#include "cc/rewrite/fused_parts.h"
#include "cc/rewrite/rewrite_test_util.h"

namespace grappler_go {
namespace {

using Strings = std::vector<std::string>;

// A matrix product with the given fused ops and as many further arguments, all
// of them vectors, "arg0" and so on.
GraphBuilder Fused(const std::string& op, const Strings& fused_ops,
                   int num_args, GraphBuilder::Attrs attrs = {},
                   const Strings& control_inputs = {}) {
  GraphBuilder b;
  b.Arg("x", {4, 8}).Arg("w", {8, 6});
  Strings inputs = {"x", "w"};
  for (int i = 0; i < num_args; ++i) {
    inputs.push_back("arg" + std::to_string(i));
    b.Arg(inputs.back(), {6});
  }
  inputs.insert(inputs.end(), control_inputs.begin(), control_inputs.end());
  attrs.insert(attrs.end(), {{"T", TypeAttrValue(kFloat)},
                             {"fused_ops", StringListAttr(fused_ops)},
                             {"num_args", IntAttrValue(num_args)}});
  return b.Node("f", op, inputs, attrs, kCpu0).Retval("out", "f");
}

TestGraph Unfused(const TestGraph& graph) {
  Plan plan = graph.NewPlan();
  graph.Group(&plan, 0, {"f"});
  GraphEdits edits(*graph);
  EXPECT_TRUE(RewriteFusionGroups(plan, &edits).ok());
  const Status status = RewriteUnfuse(plan, &edits);
  EXPECT_TRUE(status.ok()) << status.message();
  return TestGraph(edits.Write());
}

// The ops from the end back to the contraction, along first inputs.
std::string ChainOf(const TestGraph& graph, std::string name) {
  std::string chain;
  while (graph.has_node(name) && graph.type(name) != "_Arg") {
    chain = graph.type(name) + (chain.empty() ? "" : " ") + chain;
    name = std::string(InputNode(graph.node(name).data_inputs[0]));
  }
  return chain;
}

TEST(RewriteUnfuse, TakesAMatMulApart) {
  const TestGraph after =
      Unfused(TestGraph(Fused("_FusedMatMul", {"BiasAdd", "Relu"}, 1,
                              {{"transpose_a", BoolAttrValue(false)},
                               {"transpose_b", BoolAttrValue(true)},
                               {"epsilon", FloatAttr(0.5)},
                               {"leakyrelu_alpha", FloatAttr(0.5)},
                               {"_class", StringListAttr({"loc:@x"})}},
                              {"^arg0"})
                            .Build()));
  EXPECT_EQ(after.type("f"), "Relu");
  EXPECT_EQ(after.inputs("f"), "f/BiasAdd");
  EXPECT_EQ(after.inputs("f/BiasAdd"), "f/MatMul arg0 ^arg0");
  EXPECT_EQ(after.inputs("f/MatMul"), "x w ^arg0");
  const NodeView matmul = after.node("f/MatMul");
  EXPECT_EQ(matmul.attr("transpose_b"), BoolAttrValue(true));
  EXPECT_EQ(matmul.attr("T"), TypeAttrValue(kFloat));
  for (const char* gone :
       {"fused_ops", "num_args", "epsilon", "leakyrelu_alpha"}) {
    EXPECT_TRUE(matmul.attr(gone).empty()) << gone;
  }
  // Device, colocation and group are inherited by each part.
  for (const char* name : {"f", "f/BiasAdd", "f/MatMul"}) {
    EXPECT_EQ(after.node(name).device, kCpu0) << name;
    EXPECT_FALSE(after.scope(name).empty()) << name;
    EXPECT_EQ(after.node(name).attr("_class"), StringListAttr({"loc:@x"}));
  }
}

TEST(RewriteUnfuse, CarriesTheAttributesOfAConvolutionOver) {
  const GraphBuilder::Attrs attrs = {
      {"strides", IntListAttr({1, 2, 2, 1})},
      {"padding", StringAttrValue("EXPLICIT")},
      {"explicit_paddings", IntListAttr({0, 0, 1, 1, 2, 2, 0, 0})},
      {"dilations", IntListAttr({1, 1, 1, 1})},
      {"data_format", StringAttrValue("NHWC")},
      {"use_cudnn_on_gpu", BoolAttrValue(true)}};
  GraphBuilder::Attrs more = attrs;
  more.insert(more.end(), {{"TArgs", TypeListAttr({kFloat})},
                           {"num_host_args", IntAttrValue(0)},
                           {"filter_format", StringAttrValue("HWIO")},
                           {"leakyrelu_alpha", FloatAttr(0.25)}});
  const TestGraph after = Unfused(TestGraph(
      Fused("_FusedConv2D", {"BiasAdd", "LeakyRelu"}, 1, more).Build()));
  EXPECT_EQ(ChainOf(after, "f"), "Conv2D BiasAdd LeakyRelu");
  const NodeView conv = after.node("f/Conv2D");
  for (const auto& [key, value] : attrs) EXPECT_EQ(conv.attr(key), value);
  for (const char* gone : {"TArgs", "num_host_args", "filter_format"}) {
    EXPECT_TRUE(conv.attr(gone).empty()) << gone;
  }
  EXPECT_EQ(after.node("f").attr("alpha"), FloatAttr(0.25));
}

TEST(RewriteUnfuse, TakesABatchNormalizationOutOfAConvolution) {
  const TestGraph after =
      Unfused(TestGraph(Fused("_FusedConv2D", {"FusedBatchNorm", "Relu6"}, 4,
                              {{"epsilon", FloatAttr(0.001f)},
                               {"data_format", StringAttrValue("NHWC")}})
                            .Build()));
  EXPECT_EQ(after.inputs("f/FusedBatchNormV3"), "f/Conv2D arg0 arg1 arg2 arg3");
  const NodeView norm = after.node("f/FusedBatchNormV3");
  EXPECT_EQ(norm.attr("epsilon"), FloatAttr(0.001f));
  EXPECT_EQ(norm.attr("is_training"), BoolAttrValue(false));
  EXPECT_EQ(norm.attr("U"), TypeAttrValue(kFloat));
  EXPECT_EQ(after.type("f"), "Relu6");
}

TEST(RewriteUnfuse, KnowsEveryActivation) {
  for (const char* op : {"Relu", "Relu6", "Elu", "Tanh", "Sigmoid"}) {
    const TestGraph after =
        Unfused(TestGraph(Fused("_FusedMatMul", {"BiasAdd", op}, 1).Build()));
    EXPECT_EQ(ChainOf(after, "f"), std::string("MatMul BiasAdd ") + op);
  }
  const TestGraph add = Unfused(
      TestGraph(Fused("_FusedMatMul", {"BiasAdd", "Add", "Relu"}, 2).Build()));
  EXPECT_EQ(ChainOf(add, "f"), "MatMul BiasAdd AddV2 Relu");
  EXPECT_EQ(add.inputs("f/AddV2"), "f/BiasAdd arg1");
}

TEST(RewriteUnfuse, SpellsGeluOut) {
  const TestGraph exact = Unfused(
      TestGraph(Fused("_FusedMatMul", {"BiasAdd", "GeluExact"}, 1).Build()));
  EXPECT_EQ(exact.type("f"), "Mul");
  EXPECT_TRUE(exact.has_node("f/Erf"));
  const TestGraph approximate = Unfused(TestGraph(
      Fused("_FusedMatMul", {"BiasAdd", "GeluApproximate"}, 1).Build()));
  EXPECT_TRUE(approximate.has_node("f/Tanh"));
  EXPECT_FALSE(approximate.scope("f/Const").empty());
}

TEST(RewriteUnfuse, AddsABiasThatIsNotAVector) {
  const TestGraph graph(GraphBuilder()
                            .Arg("x", {4, 8})
                            .Arg("w", {8, 6})
                            .Arg("bias", {1, 6})
                            .Node("f", "_FusedMatMul", {"x", "w", "bias"},
                                  {{"T", TypeAttrValue(kFloat)},
                                   {"fused_ops", StringListAttr({"BiasAdd"})},
                                   {"num_args", IntAttrValue(1)}})
                            .Retval("out", "f")
                            .Build());
  EXPECT_EQ(Unfused(graph).type("f"), "AddV2");
}

TEST(RewriteUnfuse, TakesAComposedUnaryOpApartInOrder) {
  const TestGraph graph(
      GraphBuilder()
          .Arg("x", {4})
          .Node("f", "_UnaryOpsComposition", {"x"},
                {{"T", TypeAttrValue(kFloat)},
                 {"fused_ops", std::string()},
                 {"op_names", StringListAttr({"Neg", "Exp", "Inv"})}})
          .Retval("out", "f")
          .Build());
  const TestGraph after = Unfused(graph);
  EXPECT_EQ(ChainOf(after, "f"), "Neg Exp Reciprocal");
  EXPECT_TRUE(after.node("f").attr("op_names").empty());
}

TEST(RewriteUnfuse, TakesGatedActivationsApart) {
  for (const auto& [fused, chain] :
       {std::pair<const char*, const char*>{"_MklSwish", "Sigmoid Mul"},
        {"_MklFusedMish", "Softplus Tanh Mul"}}) {
    const TestGraph graph(
        GraphBuilder()
            .Arg("x", {4})
            .Node("f", fused, {"x"}, {{"T", TypeAttrValue(kFloat)}})
            .Retval("out", "f")
            .Build());
    const TestGraph after = Unfused(graph);
    EXPECT_EQ(ChainOf(after, "f"), chain);
    EXPECT_EQ(after.inputs("f").substr(after.inputs("f").find(' ')), " x");
  }
}

GraphBuilder BatchNormEx(const std::string& mode, bool side_input) {
  GraphBuilder b;
  b.Arg("x", {2, 4, 4, 8});
  for (const char* arg : {"scale", "offset", "mean", "variance"}) {
    b.Arg(arg, {8});
  }
  b.Arg("side", {2, 4, 4, 8});
  Strings inputs = {"x", "scale", "offset", "mean", "variance"};
  if (side_input) inputs.push_back("side");
  return b
      .Node("f", "_FusedBatchNormEx", inputs,
            {{"T", TypeAttrValue(kFloat)},
             {"U", TypeAttrValue(kFloat)},
             {"epsilon", FloatAttr(0.001f)},
             {"exponential_avg_factor", FloatAttr(1)},
             {"data_format", StringAttrValue("NHWC")},
             {"is_training", BoolAttrValue(true)},
             {"num_side_inputs", IntAttrValue(side_input ? 1 : 0)},
             {"activation_mode", StringAttrValue(mode)}})
      .Retval("out", "f")
      .Node("moving", "AddV2", {"f:1", "mean"}, FloatType())
      .Retval("out2", "moving");
}

TEST(RewriteUnfuse, RedirectsTheOtherOutputsOfABatchNormalization) {
  const TestGraph after = Unfused(TestGraph(BatchNormEx("Relu", true).Build()));
  EXPECT_EQ(after.type("f"), "Relu");
  EXPECT_EQ(after.inputs("f"), "f/AddV2");
  EXPECT_EQ(after.inputs("f/AddV2"), "f/FusedBatchNormV3 side");
  EXPECT_EQ(after.inputs("moving"), "f/FusedBatchNormV3:1 mean");
  const NodeView norm = after.node("f/FusedBatchNormV3");
  EXPECT_EQ(norm.attr("is_training"), BoolAttrValue(true));
  EXPECT_EQ(norm.attr("epsilon"), FloatAttr(0.001f));
  EXPECT_TRUE(norm.attr("activation_mode").empty());
  EXPECT_EQ(
      Unfused(TestGraph(BatchNormEx("Identity", false).Build())).type("f"),
      "Identity");
}

TEST(RewriteUnfuse, RefusesToRedirectAPreservedReader) {
  const TestGraph graph(BatchNormEx("Relu", false).Build(), {"moving"});
  EXPECT_FALSE(CanUnfuse(*graph, graph.op("f")));
}

TEST(RewriteUnfuse, LeavesWhatStandsOutsideOfGroupsFused) {
  const TestGraph graph(Fused("_FusedMatMul", {"BiasAdd"}, 1).Build());
  Plan plan = graph.NewPlan();
  graph.Group(&plan, 0, {});
  EXPECT_EQ(After(RewriteUnfuse, plan, graph).bytes(), graph.bytes());
}

TEST(RewriteUnfuse, RefusesWhatItDoesNotKnow) {
  const Strings no_ops;
  const std::vector<GraphBuilder> unknown = {
      Fused("_FusedMatMul", {"BiasAdd", "Mystery"}, 1),
      Fused("_FusedMatMul", no_ops, 0),
      Fused("_FusedMatMul", {"BiasAdd"}, 2),  // an argument too many
      Fused("_FusedMatMul", {"BiasAdd"}, 0),  // and one too few
      Fused("_FusedConv2D", {"BiasAdd"}, 1,
            {{"filter_format", StringAttrValue("OIHW_VECT_I")}}),
      Fused("_FusedConv3D", {"BiasAdd"}, 1,
            {{"padding_list", IntListAttr({1, 1})}}),
  };
  for (size_t i = 0; i < unknown.size(); ++i) {
    const TestGraph graph(unknown[i].Build());
    EXPECT_FALSE(CanUnfuse(*graph, graph.op("f"))) << i;
    Plan plan = graph.NewPlan();
    graph.Group(&plan, 0, {"f"});
    EXPECT_EQ(StatusOf(RewriteUnfuse, plan, graph).code(),
              StatusCode::kUnimplemented)
        << i;
  }
  const TestGraph preserved(Fused("_FusedMatMul", {"BiasAdd"}, 1).Build(),
                            {"f"});
  EXPECT_FALSE(CanUnfuse(*preserved, preserved.op("f")));
  EXPECT_FALSE(CanUnfuse(*preserved, preserved.op("x")));
}

}  // namespace
}  // namespace grappler_go
