#include "cc/sim/turn_edges.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>

#include "cc/graph/wire.h"
#include "cc/sim/liveness.h"
#include "cc/testing/graph_builder.h"

namespace grappler_go {
namespace {

const GraphBuilder::Attrs kT = {{"T", TypeAttrValue(kFloat)}};
constexpr int64_t kTensor = 64 * 64 * 4;
using RunPairs = std::vector<std::pair<int32_t, int32_t>>;
using Names = std::vector<std::pair<std::string, std::string>>;

class TurnEdgesTest : public ::testing::Test {
 protected:
  void Parse(std::string bytes) {
    bytes_ = std::move(bytes);
    StatusOr<OpGraph> graph = OpGraph::Parse(bytes_, {});
    ASSERT_TRUE(graph.ok()) << graph.status().message();
    graph_ = std::move(*graph);
    recompute_.assign(graph_.num_ops(), 0);
  }
  void Recompute(const std::string& name) {
    recompute_.at(graph_.find(name)) = 1;
  }
  // Names of ops; those of clones end with a star.
  Names Edges() const {
    Names names;
    for (const auto& [before, after] :
         TurnEdges(graph_, recompute_, {}, /*bytes=*/1)) {
      names.emplace_back(Name(before), Name(after));
    }
    std::sort(names.begin(), names.end());
    return names;
  }
  RunPairs EdgesWithin(int64_t bytes) const {
    return TurnEdges(graph_, recompute_, {}, bytes);
  }
  // Ops in an order by chance that keeps the graph's edges and these.
  int64_t PeakInSomeOrder(unsigned seed, const RunPairs& edges) const {
    std::mt19937 random(seed);
    const int32_t n = graph_.num_ops();
    std::vector<int32_t> waiting(n, 0), ready, order;
    for (int32_t i = 0; i < n; ++i) {
      waiting[i] = static_cast<int32_t>(graph_.inputs(i).size());
    }
    for (const auto& [before, after] : edges) ++waiting[after];
    for (int32_t i = 0; i < n; ++i) {
      if (waiting[i] == 0) ready.push_back(i);
    }
    while (!ready.empty()) {
      std::swap(ready[random() % ready.size()], ready.back());
      const int32_t i = ready.back();
      ready.pop_back();
      order.push_back(i);
      const auto finish = [&](int32_t next) {
        if (--waiting[next] == 0) ready.push_back(next);
      };
      for (const OutputEdge& e : graph_.outputs(i)) finish(e.dst);
      for (const auto& [before, after] : edges) {
        if (before == i) finish(after);
      }
    }
    EXPECT_EQ(order.size(), static_cast<size_t>(n)) << "a cycle";
    return SimulateLiveness(graph_, order, {}).peak_bytes;
  }

 private:
  std::string Name(int32_t run) const {
    const int32_t n = graph_.num_ops();
    return std::string(graph_.name(run % n)) + (run >= n ? "*" : "");
  }

  std::string bytes_;
  OpGraph graph_;
  std::vector<uint8_t> recompute_;
};

TEST_F(TurnEdgesTest, ALargeTensorWaitsForThoseWhoReadOrMadeTheOnesBefore) {
  Parse(GraphBuilder()
            .Arg("x", {64, 64})
            .IntConst("axes", {2}, {0, 1})
            .Node("a", "MatMul", {"x", "x"}, kT)
            .Node("b", "MatMul", {"x", "x"}, kT)
            .Node("sum", "Sum", {"a", "axes"}, kT)
            .Node("c", "MatMul", {"b", "b"}, kT)
            .Node("small", "Exp", {"sum"}, kT)
            .Retval("out", "c")
            .Retval("out2", "small")
            .Build());
  const Names edges = Edges();
  // Nothing waits for small, and small for nobody.
  const std::pair<std::string, std::string> turn("a", "b");
  EXPECT_NE(std::find(edges.begin(), edges.end(), turn), edges.end());
  for (const auto& [before, after] : edges) {
    EXPECT_NE(before, "small");
    EXPECT_NE(after, "small");
    EXPECT_NE(before, "x");
    EXPECT_NE(after, "sum");
  }
}

// m0, m1, m2, then g2, g1, g0, of which each reads the gradient before it and
// the m of its number.
std::string Chain() {
  GraphBuilder builder;
  builder.Arg("x", {64, 64});
  std::string last = "x";
  for (int i = 0; i < 3; ++i) {
    const std::string name = "m" + std::to_string(i);
    builder.Node(name, "MatMul", {last, last}, kT);
    last = name;
  }
  for (int i = 2; i >= 0; --i) {
    const std::string name = "gradient_tape/g" + std::to_string(i);
    builder.Node(name, "MatMul", {last, "m" + std::to_string(i)}, kT);
    last = name;
  }
  return builder.Retval("out", last).Build();
}

TEST_F(TurnEdgesTest, WhatFollowsAnywayNeedsNoEdge) {
  Parse(Chain());
  EXPECT_EQ(Edges(), Names());
}

TEST_F(TurnEdgesTest, ClonesHaveTheirTurns) {
  Parse(GraphBuilder()
            .Arg("x", {64, 64})
            .IntConst("axes", {2}, {0, 1})
            .Node("m0", "MatMul", {"x", "x"}, kT)
            .Node("m1", "MatMul", {"m0", "m0"}, kT)
            .Node("gradient_tape/g1", "MatMul", {"m1", "m1"}, kT)
            .Node("gradient_tape/s1", "Sum", {"gradient_tape/g1", "axes"}, kT)
            .Node("gradient_tape/g0", "MatMul", {"gradient_tape/g1", "m0"}, kT)
            .Retval("out", "gradient_tape/g0")
            .Retval("sum", "gradient_tape/s1")
            .Build());
  EXPECT_EQ(Edges(), Names({{"gradient_tape/s1", "gradient_tape/g0"}}));
  Recompute("m0");
  EXPECT_EQ(Edges(), Names({{"gradient_tape/s1", "m0*"}}));
}

TEST_F(TurnEdgesTest, ArgumentsResultsAndBranchesAreNotTied) {
  Parse(GraphBuilder()
            .Arg("x", {64, 64})
            .Arg("p", {}, kBool)
            .Node("switch", "Switch", {"x", "p"}, kT)
            .Node("then", "MatMul", {"switch:1", "switch:1"}, kT)
            .Node("else", "MatMul", {"switch", "switch"}, kT)
            .Node("merge", "Merge", {"then", "else"},
                  {{"T", TypeAttrValue(kFloat)}, {"N", IntAttrValue(2)}})
            .Node("beside", "MatMul", {"x", "x"}, kT)
            .Retval("out", "merge")
            .Retval("out2", "beside")
            .Build());
  EXPECT_EQ(Edges(), Names());
}

// A chain of large tensors, each of which somebody beside it reads.
std::string Comb(int count) {
  GraphBuilder builder;
  builder.Arg("x", {64, 64}).IntConst("axes", {2}, {0, 1});
  std::string chain = "x", sums = "";
  for (int i = 0; i < count; ++i) {
    const std::string n = std::to_string(i);
    builder.Node("m" + n, "MatMul", {chain, "x"}, kT);
    builder.Node("b" + n, "MatMul", {"m" + n, "x"}, kT);
    builder.Node("s" + n, "Sum", {"b" + n, "axes"}, kT);
    builder.Node("t" + n, "AddV2", {"s" + n, i == 0 ? "s0" : sums}, kT);
    chain = "m" + n, sums = "t" + n;
  }
  return builder.Retval("out", sums).Build();
}

TEST_F(TurnEdgesTest, WhateverTheOrderThePeakIsKept) {
  Parse(Comb(12));
  constexpr int64_t kSmall = 4 * 100;
  int64_t worst_without = 0;
  for (unsigned seed = 0; seed < 50; ++seed) {
    worst_without = std::max(worst_without, PeakInSomeOrder(seed, {}));
  }
  EXPECT_GT(worst_without, 8 * kTensor) << "else there is nothing to see";
  int64_t worst_of_less = 0;
  for (const int64_t tensors : {5, 6, 8, 11}) {
    const auto edges = EdgesWithin(tensors * kTensor + kSmall);
    int64_t worst = 0;
    for (unsigned seed = 0; seed < 50; ++seed) {
      worst = std::max(worst, PeakInSomeOrder(seed, edges));
    }
    EXPECT_LE(worst, tensors * kTensor + kSmall) << tensors;
    EXPECT_GT(worst, worst_of_less) << "they wait without need";
    worst_of_less = worst;
  }
  EXPECT_TRUE(EdgesWithin(24 * kTensor + kSmall).empty());
}

TEST_F(TurnEdgesTest, WhereManyWouldWaitForManyTheyWaitForOne) {
  Parse(Comb(1000));
  // Without that, about 2,000 of them would wait for 150 each.
  const auto edges = EdgesWithin(150 * kTensor);
  EXPECT_GT(edges.size(), 1000u);
  EXPECT_LT(edges.size(), 2000u * 33);
  EXPECT_LE(PeakInSomeOrder(1, edges), 150 * kTensor);
}

// Convolutions whose biases TensorFlow puts into them after the pass.
TEST_F(TurnEdgesTest, NothingComesBetweenWhatIsMergedLater) {
  const GraphBuilder::Attrs conv = {{"T", TypeAttrValue(kFloat)},
                                    {"strides", IntListAttr({1, 1, 1, 1})},
                                    {"padding", StringAttrValue("SAME")}};
  Parse(GraphBuilder()
            .Arg("x", {4, 16, 16, 8})
            .Arg("w", {3, 3, 8, 8})
            .Arg("bias", {8})
            .Node("conv", "Conv2D", {"x", "w"}, conv)
            .Node("other", "Exp", {"x"}, kT)
            .Node("biased", "BiasAdd", {"conv", "bias"}, kT)
            .Retval("out", "biased")
            .Retval("out2", "other")
            .Build());
  EXPECT_EQ(Edges(), Names({{"other", "conv"}}));
}

TEST_F(TurnEdgesTest, NorBetweenThreeThatAre) {
  const GraphBuilder::Attrs conv = {{"T", TypeAttrValue(kFloat)},
                                    {"strides", IntListAttr({1, 1, 1, 1})},
                                    {"padding", StringAttrValue("SAME")}};
  Parse(GraphBuilder()
            .Arg("x", {4, 16, 16, 16})
            .Arg("w", {3, 3, 16, 16})
            .IntConst("there", {4}, {0, 2, 3, 1})
            .IntConst("back", {4}, {0, 3, 1, 2})
            .Node("first", "Transpose", {"x", "there"}, kT)
            .Node("e1", "Exp", {"x"}, kT)
            .Node("conv", "Conv2D", {"first", "w"}, conv)
            .Node("e2", "Exp", {"e1"}, kT)
            .Node("last", "Transpose", {"conv", "back"}, kT)
            .Node("e3", "Exp", {"e2"}, kT)
            .Retval("out", "last")
            .Retval("out2", "e3")
            .Build());
  for (const auto& [before, after] : Edges()) {
    EXPECT_TRUE(before != "first" && before != "conv") << before;
    EXPECT_TRUE(after != "conv" && after != "last") << after;
  }
}

TEST_F(TurnEdgesTest, NothingWaitsForAGradientThatJoinsAnother) {
  const GraphBuilder::Attrs conv = {{"T", TypeAttrValue(kFloat)},
                                    {"strides", IntListAttr({1, 1, 1, 1})},
                                    {"padding", StringAttrValue("SAME")}};
  Parse(GraphBuilder()
            .Arg("x", {4, 16, 16, 8})
            .Arg("dy", {4, 16, 16, 8})
            .IntConst("sizes", {4}, {3, 3, 8, 8})
            .Node("gradient", "Exp", {"dy"}, kT)
            .Node("bias", "BiasAddGrad", {"gradient"}, kT)
            .Node("filter", "Conv2DBackpropFilter", {"x", "sizes", "gradient"},
                  conv)
            .Node("later", "Exp", {"x"}, kT)
            .Node("last", "Tanh", {"later"}, kT)
            .Node("and", "Tanh", {"last"}, kT)
            .Retval("out", "bias")
            .Retval("out1", "filter")
            .Retval("out2", "and")
            .Build());
  for (const auto& [before, after] : Edges()) {
    EXPECT_NE(before, "bias") << after;
  }
  const Names edges = Edges();
  EXPECT_TRUE(std::any_of(edges.begin(), edges.end(), [](const auto& edge) {
    return edge.first == "filter";
  })) << "what reads a large tensor is waited for";
}

}  // namespace
}  // namespace grappler_go
