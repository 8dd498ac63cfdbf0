#include "cc/sim/liveness.h"

#include <gtest/gtest.h>

#include <string>

#include "cc/graph/wire.h"
#include "cc/testing/graph_builder.h"

namespace grappler_go {
namespace {

const GraphBuilder::Attrs kT = {{"T", TypeAttrValue(kFloat)}};
constexpr int64_t kTensor = 64 * 64 * 4;

OpGraph Parse(const std::string& bytes) {
  StatusOr<OpGraph> graph = OpGraph::Parse(bytes, {});
  EXPECT_TRUE(graph.ok()) << graph.status().message();
  return std::move(*graph);
}

int64_t Peak(const OpGraph& graph,
             const std::vector<std::pair<int32_t, int32_t>>& order = {},
             const std::vector<uint8_t>& recompute = {}) {
  return SimulateLiveness(graph, ExecutionOrder(graph, order), recompute)
      .peak_bytes;
}

// Forward: m0 .. m3, each a product of the one before; backward: g3 .. g0, each
// of the gradient before it and the forward tensor at its place.
std::string Chain() {
  GraphBuilder builder;
  builder.Arg("x", {64, 64});
  std::string last = "x";
  for (int i = 0; i < 4; ++i) {
    const std::string name = "m" + std::to_string(i);
    builder.Node(name, "MatMul", {last, last}, kT);
    last = name;
  }
  for (int i = 3; i >= 0; --i) {
    const std::string name = "gradient_tape/g" + std::to_string(i);
    builder.Node(name, "MatMul", {last, "m" + std::to_string(i)}, kT);
    last = name;
  }
  return builder.Retval("out", last).Build();
}

TEST(Liveness, CountsWhatIsAliveTogether) {
  const std::string bytes = Chain();
  const OpGraph graph = Parse(bytes);
  // While g3 runs: m0 to m3 and g3 itself.
  const Liveness live = SimulateLiveness(graph, ExecutionOrder(graph, {}), {});
  EXPECT_EQ(live.peak_bytes, 5 * kTensor);
  EXPECT_EQ(graph.name(live.peak_op), "gradient_tape/g3");
  EXPECT_EQ(live.unknown_outputs, 0);
}

TEST(Liveness, ARecomputedOpIsAliveAgainOnlyWhereTheBackwardPassReadsIt) {
  const std::string bytes = Chain();
  const OpGraph graph = Parse(bytes);
  std::vector<uint8_t> recompute(graph.num_ops(), 0);
  recompute[graph.find("m1")] = 1;
  // m1 is dead while g3 runs, and comes back, from m0, for g1: then m0, m1, g2
  // and g1 are alive.
  EXPECT_EQ(Peak(graph, {}, recompute), 4 * kTensor);
  // All four: g3 cannot begin before every one of them is back.
  for (const char* name : {"m0", "m2", "m3"}) recompute[graph.find(name)] = 1;
  EXPECT_GE(Peak(graph, {}, recompute), 5 * kTensor);
}

TEST(Liveness, JustBeforeARunWhatItMakesIsNotThereAndWhatItReadsIs) {
  const std::string bytes = GraphBuilder()
                                .Arg("x", {64, 64})
                                .Node("a", "MatMul", {"x", "x"}, kT)
                                .Node("b", "MatMul", {"a", "x"}, kT)
                                .Node("c", "Relu", {"b"}, kT)
                                .Retval("out", "c")
                                .Build();
  const OpGraph graph = Parse(bytes);
  Lifetimes lifetimes;
  SimulateLiveness(graph, ExecutionOrder(graph, {}), {}, &lifetimes);
  const auto at = [&](const char* name) {
    const int32_t tick = lifetimes.runs[graph.find(name)];
    return std::pair(lifetimes.before[tick], lifetimes.alive[tick]);
  };
  EXPECT_EQ(at("a"), std::pair(0 * kTensor, kTensor));
  EXPECT_EQ(at("b"), std::pair(kTensor, 2 * kTensor));
  EXPECT_EQ(at("c"), std::pair(kTensor, kTensor)) << "written in place";
}

TEST(Liveness, AnElementwiseOpWritesIntoAnInputThatDies) {
  const std::string bytes = GraphBuilder()
                                .Arg("x", {64, 64})
                                .Node("a", "MatMul", {"x", "x"}, kT)
                                .Node("b", "Relu", {"a"}, kT)
                                .Node("c", "Relu", {"b"}, kT)
                                .Retval("out", "c")
                                .Build();
  EXPECT_EQ(Peak(Parse(bytes)), kTensor);
  const std::string read_twice = GraphBuilder()
                                     .Arg("x", {64, 64})
                                     .Node("a", "MatMul", {"x", "x"}, kT)
                                     .Node("b", "Relu", {"a"}, kT)
                                     .Node("c", "MatMul", {"a", "b"}, kT)
                                     .Retval("out", "c")
                                     .Build();
  EXPECT_EQ(Peak(Parse(read_twice)), 3 * kTensor);
}

TEST(Liveness, AViewKeepsWhatItLooksAtAndCostsNothing) {
  const std::string bytes = GraphBuilder()
                                .Arg("x", {64, 64})
                                .Node("a", "MatMul", {"x", "x"}, kT)
                                .Node("view", "Identity", {"a"}, kT)
                                .Node("b", "MatMul", {"x", "x"}, kT)
                                .Node("c", "MatMul", {"view", "b"}, kT)
                                .Retval("out", "c")
                                .Build();
  EXPECT_EQ(Peak(Parse(bytes)), 3 * kTensor);
}

TEST(Liveness, WhatIsThereBeforeTheStepDoesNotCount) {
  const std::string bytes = GraphBuilder()
                                .VarArg("v", {64, 64})
                                .Node("read", "ReadVariableOp", {"v"},
                                      {{"dtype", TypeAttrValue(kFloat)}})
                                .Const("w", {64, 64})
                                .Node("y", "MatMul", {"read", "w"}, kT)
                                .Retval("out", "y")
                                .Build();
  EXPECT_EQ(Peak(Parse(bytes)), kTensor);
}

TEST(Liveness, OfWhatIsPreservedOnlyWhatIsFetchedLivesToTheEnd) {
  const std::string bytes = GraphBuilder()
                                .IntConst("shape", {2}, {64, 64})
                                .Node("r", "RandomUniform", {"shape"},
                                      {{"dtype", TypeAttrValue(kFloat)},
                                       {"T", TypeAttrValue(kInt32)}})
                                .Node("a", "MatMul", {"r", "r"}, kT)
                                .Node("b", "MatMul", {"a", "a"}, kT)
                                .Node("c", "MatMul", {"b", "b"}, kT)
                                .Retval("out", "c")
                                .Build();
  const auto peak = [&](std::string_view preserved) {
    ParseOptions options;
    options.preserve = {preserved};
    const OpGraph graph = *OpGraph::Parse(bytes, options);
    EXPECT_TRUE(graph.has(graph.find(preserved), kPreserved));
    return Peak(graph);
  };
  EXPECT_EQ(peak("r"), 2 * kTensor);  // preserved because it is stateful
  // With r, which it reads: as a sink would hold it.
  EXPECT_EQ(peak("a"), 4 * kTensor);
}

TEST(Liveness, OrderDelaysAnEarlyOp) {
  // `late` is ready at once, but only the end of the chain needs it.
  const std::string bytes = GraphBuilder()
                                .Arg("x", {64, 64})
                                .Node("late", "MatMul", {"x", "x"}, kT)
                                .Node("a", "MatMul", {"x", "x"}, kT)
                                .Node("b", "MatMul", {"a", "a"}, kT)
                                .Node("c", "Sum", {"b", "axes"}, kT)
                                .IntConst("axes", {2}, {0, 1})
                                .Node("y", "AddV2", {"c", "late"}, kT)
                                .Retval("out", "y")
                                .Build();
  const OpGraph graph = Parse(bytes);
  EXPECT_GE(Peak(graph), 3 * kTensor);
  const std::vector<std::pair<int32_t, int32_t>> order = {
      {graph.find("c"), graph.find("late")}};
  const std::vector<int32_t> run = ExecutionOrder(graph, order);
  std::vector<int32_t> place(run.size());
  for (size_t at = 0; at < run.size(); ++at) {
    place[run[at]] = static_cast<int32_t>(at);
  }
  EXPECT_LT(place[graph.find("c")], place[graph.find("late")]);
  EXPECT_LT(Peak(graph, order), 3 * kTensor);
}

}  // namespace
}  // namespace grappler_go
