#include "cc/plan/eligibility.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "cc/graph/wire.h"
#include "cc/testing/graph_builder.h"

namespace grappler_go {
namespace {

constexpr int kString = 7;  // types.proto
const GraphBuilder::Attrs kT = {{"T", TypeAttrValue(kFloat)}};
const GraphBuilder::Attrs kStringT = {{"T", TypeAttrValue(kString)}};
const GraphBuilder::Attrs kDtype = {{"dtype", TypeAttrValue(kFloat)}};

// One op for each rule.
GraphBuilder OneOfEach() {
  return GraphBuilder()
      .Arg("x", {4, 4})
      .Arg("p", {}, kBool)
      .Arg("text", {4}, kString)
      .VarArg("v", {4, 4})
      .Const("constant", {4, 4})
      .Node("plain", "Tanh", {"x"}, kT)
      .Node("kept", "Tanh", {"x"}, kT)
      .Node("kept_fused", "_FusedMatMul", {"x", "x"}, kT)
      .Node("switch", "Switch", {"x", "p"}, kT)
      .Node("in_branch", "Tanh", {"switch"}, kT)
      .Node("enter", "Enter", {"x"}, kT)
      .Node("in_loop", "Tanh", {"enter"}, kT)
      .Node(
          "marked", "Tanh", {"x"},
          {{"T", TypeAttrValue(kFloat)}, {"_XlaCompile", BoolAttrValue(false)}})
      .Node("unheard_of", "NoSuchOp", {"x"}, kT)
      .Node("call", "PartitionedCall", {"x"},
            {{"Tout", TypeListAttr({kFloat})}, {"f", FuncAttr("f")}})
      .Node("random", "RandomUniform", {"x"}, kDtype)
      .Node("read", "ReadVariableOp", {"v"}, kDtype)
      .Node("write", "AssignVariableOp", {"v", "x"}, kDtype)
      .Node("reference", "VariableV2", {},
            {{"dtype", TypeAttrValue(kFloat)}, {"shape", ShapeAttr({4, 4})}})
      .Node("of_reference", "Abs", {"reference"}, kT)
      .Node("stateful", "CheckNumerics", {"x"}, kT)
      .Node("no_kernel", "EuclideanNorm", {"x", "x"}, kT)
      .Node("makes_text", "Cast", {"x"},
            {{"SrcT", TypeAttrValue(kFloat)}, {"DstT", TypeAttrValue(kString)}})
      .Node("reads_text", "Shape", {"text"}, kStringT)
      .Node("gradient_tape/backward", "Tanh", {"x"}, kT)
      .Retval("out", "plain");
}

struct Expected {
  const char* op;
  Reason moved, fused, recomputed;
};

TEST(Eligibility, HasAReasonForEveryOpThatIsLeftOut) {
  const std::string bytes = OneOfEach().Build();
  ParseOptions options;
  options.preserve = {"kept", "kept_fused"};
  const StatusOr<OpGraph> graph = OpGraph::Parse(bytes, options);
  ASSERT_TRUE(graph.ok()) << graph.status().message();
  const Reason kNone = Reason::kNone;
  const std::vector<Expected> all = {
      {"plain", kNone, kNone, kNone},
      {"x", Reason::kArgument, Reason::kArgument, Reason::kArgument},
      {"out", Reason::kArgument, Reason::kArgument, Reason::kArgument},
      {"constant", kNone, kNone, Reason::kConstantOp},
      // A mark changes nothing that its reader could see.
      {"kept", Reason::kPreserved, kNone, Reason::kPreserved},
      {"kept_fused", Reason::kPreserved, Reason::kPreserved,
       Reason::kPreserved},
      {"switch", Reason::kControlFlowOp, Reason::kControlFlowOp,
       Reason::kControlFlowOp},
      {"in_branch", kNone, Reason::kInABranch, Reason::kInABranch},
      {"in_loop", Reason::kInALoop, Reason::kInALoop, Reason::kInALoop},
      {"marked", kNone, Reason::kUserMark, Reason::kUserMark},
      {"unheard_of", Reason::kUnknownType, Reason::kUnknownType,
       Reason::kUnknownType},
      {"call", Reason::kCallsFunction, Reason::kCallsFunction,
       Reason::kCallsFunction},
      {"random", Reason::kHasState, Reason::kDrawsRandom, Reason::kDrawsRandom},
      {"read", Reason::kUsesVariable, kNone, Reason::kUsesVariable},
      {"write", Reason::kUsesVariable, kNone, Reason::kUsesVariable},
      {"of_reference", Reason::kReference, Reason::kReference,
       Reason::kReference},
      {"stateful", Reason::kHasState, Reason::kHasState, Reason::kHasState},
      {"no_kernel", kNone, Reason::kNoXlaKernel, kNone},
      {"makes_text", kNone, Reason::kDtype, kNone},
      {"reads_text", kNone, Reason::kDtype, kNone},
      {"gradient_tape/backward", kNone, kNone, Reason::kNotBackwardUse},
  };
  for (const Expected& expected : all) {
    const int32_t op = graph->find(expected.op);
    ASSERT_GE(op, 0) << expected.op;
    EXPECT_STREQ(ReasonText(WhyNotMoved(*graph, op)),
                 ReasonText(expected.moved))
        << expected.op;
    EXPECT_STREQ(ReasonText(WhyNotFused(*graph, op)),
                 ReasonText(expected.fused))
        << expected.op;
    EXPECT_STREQ(ReasonText(WhyNotRecomputed(*graph, op)),
                 ReasonText(expected.recomputed))
        << expected.op;
  }
}

}  // namespace
}  // namespace grappler_go
