#include "cc/graph/contracted_graph.h"

#include <gtest/gtest.h>

#include "cc/testing/graph_builder.h"
#include "cc/testing/loop_graph.h"

namespace grappler_go {
namespace {

// x -> a -> b -> d, x -> c -> d
std::string Diamond() {
  return GraphBuilder()
      .Arg("x", {8})
      .Node("a", "Tanh", {"x"})
      .Node("b", "Tanh", {"a"})
      .Node("c", "Tanh", {"x"})
      .Node("d", "AddV2", {"b", "c"})
      .Build();
}

TEST(ContractedGraph, GroupsComeFirstAndHaveNoEdgesWithin) {
  const std::string bytes = Diamond();
  const StatusOr<OpGraph> graph = OpGraph::Parse(bytes, {});
  ASSERT_TRUE(graph.ok());
  std::vector<int32_t> group(graph->num_ops(), -1);
  group[graph->find("a")] = group[graph->find("b")] = 0;
  const ContractedGraph c = Contract(*graph, group, 1);
  EXPECT_EQ(c.num_nodes(), 4);
  EXPECT_EQ(c.node[graph->find("a")], 0);
  EXPECT_EQ(c.node[graph->find("b")], 0);
  EXPECT_EQ(c.target.size(), 4u);  // x -> ab, x -> c, ab -> d, c -> d
  EXPECT_EQ(c.first[1], 1);
  EXPECT_EQ(c.target[0], c.node[graph->find("d")]);
}

TEST(ContractedGraph, TheLongestPathCountsNodesBefore) {
  const std::string bytes = Diamond();
  const StatusOr<OpGraph> graph = OpGraph::Parse(bytes, {});
  ASSERT_TRUE(graph.ok());
  const ContractedGraph c = Contract(*graph, {}, 0);
  std::vector<double> length(c.num_nodes(), 1.0);
  length[c.node[graph->find("c")]] = 5.0;
  const std::vector<double> before = LongestPathsBefore(c, length);
  EXPECT_EQ(before[c.node[graph->find("x")]], 0);
  EXPECT_EQ(before[c.node[graph->find("b")]], 2);
  EXPECT_EQ(before[c.node[graph->find("d")]], 6);  // by c, not by a and b
}

TEST(ContractedGraph, ALoopComesAfterAllThatEntersIt) {
  const std::string bytes = LoopOfTwoVariables();
  StatusOr<OpGraph> graph = OpGraph::Parse(bytes, {});
  ASSERT_TRUE(graph.ok());
  const ContractedGraph c = Contract(*graph, {}, 0);
  const std::vector<double> before =
      LongestPathsBefore(c, std::vector<double>(c.num_nodes(), 1.0));
  auto depth = [&](const char* name) {
    return before[c.node[graph->find(name)]];
  };
  EXPECT_GT(depth("cond"), depth("enter2"));
  EXPECT_GT(depth("after"), depth("late7"));
}

}  // namespace
}  // namespace grappler_go
