#include "cc/plan/fusion_groups.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "cc/plan/contraction.h"
#include "cc/testing/loop_graph.h"
#include "cc/testing/random_graph.h"

namespace grappler_go {
namespace {

using Matrix = std::vector<std::vector<bool>>;

// reach[i][j]: a path of at least one edge leads from i to j.
void Close(Matrix* reach) {
  const size_t n = reach->size();
  for (size_t k = 0; k < n; ++k) {
    for (size_t i = 0; i < n; ++i) {
      if (!(*reach)[i][k]) continue;
      for (size_t j = 0; j < n; ++j) {
        if ((*reach)[k][j]) (*reach)[i][j] = true;
      }
    }
  }
}

Matrix Reach(const OpGraph& graph) {
  Matrix reach(graph.num_ops(), std::vector<bool>(graph.num_ops()));
  for (int32_t i = 0; i < graph.num_ops(); ++i) {
    for (const InputEdge& e : graph.inputs(i)) reach[e.src][i] = true;
  }
  Close(&reach);
  return reach;
}

bool ContractedIsAcyclic(const OpGraph& graph, const FusionGroups& groups) {
  const int32_t n = graph.num_ops() + groups.count;
  auto node = [&](int32_t i) {
    return groups.of_op[i] < 0 ? i : graph.num_ops() + groups.of_op[i];
  };
  Matrix reach(n, std::vector<bool>(n));
  for (int32_t i = 0; i < graph.num_ops(); ++i) {
    for (const InputEdge& e : graph.inputs(i)) {
      if (node(e.src) != node(i)) reach[node(e.src)][node(i)] = true;
    }
  }
  Close(&reach);
  for (int32_t v = 0; v < n; ++v) {
    if (reach[v][v]) return false;
  }
  return true;
}

FusionCandidates RandomCandidates(const OpGraph& graph, std::mt19937* random) {
  FusionCandidates candidates;
  const unsigned share = 3 + (*random)() % 7;  // of ten
  const unsigned devices = 1 + (*random)() % 2;
  for (int32_t i = 0; i < graph.num_ops(); ++i) {
    const bool is = !graph.has(i, kSource) && (*random)() % 10 < share;
    candidates.reason.push_back(is ? Reason::kNone : Reason::kPolicyDeclined);
    candidates.device.push_back(static_cast<int32_t>((*random)() % devices));
  }
  return candidates;
}

void ExpectPromises(const OpGraph& graph, const FusionCandidates& candidates,
                    const FusionGroups& groups) {
  ASSERT_TRUE(ContractedIsAcyclic(graph, groups));
  ASSERT_EQ(FindCycle(graph, groups.of_op, {}), -1);
  const Matrix reach = Reach(graph);
  for (int32_t i = 0; i < graph.num_ops(); ++i) {
    const int32_t g = groups.of_op[i];
    ASSERT_EQ(g >= 0, candidates.is(i));
    if (g < 0) continue;
    for (int32_t j = 0; j < graph.num_ops(); ++j) {
      if (groups.of_op[j] != g) continue;
      ASSERT_EQ(candidates.device[i], candidates.device[j]);
      ASSERT_FALSE(graph.has(i, kWritesVariable) &&
                   graph.has(j, kReadsVariable) && reach[i][j])
          << "write " << graph.name(i) << " leads to read " << graph.name(j);
    }
  }
}

TEST(FusionGroups, OfRandomGraphsLeaveThemAcyclicAndKeepReadsBehindWrites) {
  std::mt19937 random(1);
  int64_t before = 0, after = 0;
  for (int round = 0; round < 3000; ++round) {
    RandomGraphOptions options;
    options.num_ops = 5 + static_cast<int>(random() % 30);
    options.window = 2 + static_cast<int>(random() % 20);
    options.variables = 0.1 * static_cast<double>(random() % 6);
    options.control = 0.1 * static_cast<double>(random() % 5);
    const std::string bytes = RandomGraphDef(options, &random);
    const StatusOr<OpGraph> graph = OpGraph::Parse(bytes, {});
    ASSERT_TRUE(graph.ok()) << graph.status().message();
    const FusionCandidates candidates = RandomCandidates(*graph, &random);
    FusionGroups groups = GroupByLevel(*graph, candidates);
    ASSERT_NO_FATAL_FAILURE(ExpectPromises(*graph, candidates, groups));
    before += groups.count;
    std::vector<float> priority;
    for (int32_t i = 0; i < graph->num_ops(); ++i) {
      priority.push_back(static_cast<float>(random() % 100));
    }
    MergeByPriority(*graph, candidates, priority, &groups);
    ASSERT_NO_FATAL_FAILURE(ExpectPromises(*graph, candidates, groups));
    after += groups.count;
  }
  EXPECT_LT(after, before) << "merging joins what levels separate";
}

TEST(FusionGroups, OfRandomGraphsWithoutVariablesCannotBeMergedFurther) {
  std::mt19937 random(3);
  for (int round = 0; round < 300; ++round) {
    RandomGraphOptions options;
    options.variables = 0;
    const std::string bytes = RandomGraphDef(options, &random);
    const StatusOr<OpGraph> graph = OpGraph::Parse(bytes, {});
    ASSERT_TRUE(graph.ok());
    const FusionCandidates candidates = RandomCandidates(*graph, &random);
    FusionGroups groups = GroupByLevel(*graph, candidates);
    MergeByPriority(*graph, candidates,
                    std::vector<float>(graph->num_ops(), 1.0f), &groups);
    for (int32_t i = 0; i < graph->num_ops(); ++i) {
      for (const InputEdge& e : graph->inputs(i)) {
        const int32_t from = groups.of_op[e.src], to = groups.of_op[i];
        if (e.port == kControlPort || from < 0 || to < 0 || from == to ||
            candidates.device[e.src] != candidates.device[i]) {
          continue;
        }
        FusionGroups merged = groups;
        std::replace(merged.of_op.begin(), merged.of_op.end(), from, to);
        EXPECT_FALSE(ContractedIsAcyclic(*graph, merged));
      }
    }
  }
}

TEST(FusionGroups, OfRandomGraphsStayAcyclicWhenTrimmedAndDissolved) {
  std::mt19937 random(2);
  for (int round = 0; round < 1000; ++round) {
    const std::string bytes = RandomGraphDef({}, &random);
    const StatusOr<OpGraph> graph = OpGraph::Parse(bytes, {});
    ASSERT_TRUE(graph.ok());
    FusionCandidates candidates = RandomCandidates(*graph, &random);
    FusionGroups groups = GroupByLevel(*graph, candidates);
    MergeByPriority(*graph, candidates,
                    std::vector<float>(graph->num_ops(), 1.0f), &groups);
    OpMicros micros;
    for (int32_t i = 0; i < graph->num_ops(); ++i) {
      micros.alone.push_back(static_cast<float>(random() % 20));
      micros.compiled.push_back(static_cast<float>(random() % 20));
    }
    PlanOptions options;
    options.min_group_ops = 2;
    options.group_launch_micros = 2;
    options.group_tensor_micros = options.group_output_micros_per_mb = 0;
    TrimRims(*graph, micros, &groups, &candidates.reason);
    ASSERT_TRUE(ContractedIsAcyclic(*graph, groups));
    if (round % 2) {
      MergeSiblings(*graph, candidates, micros, options, &groups);
      ASSERT_NO_FATAL_FAILURE(ExpectPromises(*graph, candidates, groups));
    }
    const double gain =
        KeepWhatPays(*graph, micros, options, &groups, &candidates.reason);
    EXPECT_TRUE(ContractedIsAcyclic(*graph, groups));
    double sum = 0;
    for (int32_t i = 0; i < graph->num_ops(); ++i) {
      EXPECT_EQ(groups.of_op[i] >= 0, candidates.is(i));
      if (groups.of_op[i] >= 0) sum += micros.alone[i] - micros.compiled[i];
    }
    EXPECT_NEAR(gain, sum - 2 * groups.count, 1e-3);
    EXPECT_GE(gain, 0);
  }
}

const GraphBuilder::Attrs kT = {{"T", TypeAttrValue(kFloat)}};

FusionCandidates AllOf(const OpGraph& graph,
                       const std::vector<std::string>& but) {
  FusionCandidates candidates;
  for (int32_t i = 0; i < graph.num_ops(); ++i) {
    const bool out = graph.has(i, kSource | kSink) ||
                     std::count(but.begin(), but.end(), graph.name(i)) > 0;
    candidates.reason.push_back(out ? Reason::kPolicyDeclined : Reason::kNone);
  }
  candidates.device.assign(graph.num_ops(), 0);
  return candidates;
}

TEST(FusionGroups, ARimOpThatLosesIsTakenOffAndWhatStoodBehindItToo) {
  const std::string bytes = GraphBuilder()
                                .Arg("x", {8})
                                .Node("a", "Tanh", {"x"}, kT)
                                .Node("b", "Tanh", {"a"}, kT)
                                .Node("c", "Tanh", {"b"}, kT)
                                .Node("d", "Tanh", {"c"}, kT)
                                .Build();
  const StatusOr<OpGraph> graph = OpGraph::Parse(bytes, {});
  ASSERT_TRUE(graph.ok());
  FusionCandidates candidates = AllOf(*graph, {});
  FusionGroups groups = GroupByLevel(*graph, candidates);
  ASSERT_EQ(groups.count, 1);
  OpMicros micros;
  micros.alone.assign(graph->num_ops(), 50);
  micros.compiled.assign(graph->num_ops(), 10);
  micros.compiled[graph->find("c")] = micros.compiled[graph->find("d")] = 60;
  PlanOptions options;
  options.min_group_ops = 2;
  TrimRims(*graph, micros, &groups, &candidates.reason);
  KeepWhatPays(*graph, micros, options, &groups, &candidates.reason);
  EXPECT_EQ(groups.of_op[graph->find("a")], 0);
  EXPECT_EQ(groups.of_op[graph->find("b")], 0);
  EXPECT_EQ(groups.of_op[graph->find("c")], -1);
  EXPECT_EQ(groups.of_op[graph->find("d")], -1);
  EXPECT_EQ(candidates.reason[graph->find("c")], Reason::kSlowerCompiled);
}

TEST(FusionGroups, SiblingsThatWouldNotPayForAStartEachShareOne) {
  const std::string bytes = GraphBuilder()
                                .Arg("x", {8})
                                .Arg("y", {8})
                                .Arg("z", {8})
                                .Node("a", "Tanh", {"x"}, kT)
                                .Node("b", "Tanh", {"a"}, kT)
                                .Node("c", "Tanh", {"y"}, kT)
                                .Node("d", "Tanh", {"c"}, kT)
                                .Node("never_pays", "Tanh", {"z"}, kT)
                                .Build();
  const StatusOr<OpGraph> graph = OpGraph::Parse(bytes, {});
  ASSERT_TRUE(graph.ok());
  FusionCandidates candidates = AllOf(*graph, {});
  FusionGroups groups = GroupByLevel(*graph, candidates);
  ASSERT_EQ(groups.count, 3);
  OpMicros micros;
  micros.alone.assign(graph->num_ops(), 10);
  micros.compiled.assign(graph->num_ops(), 0);
  micros.compiled[graph->find("never_pays")] = 10;
  PlanOptions options;
  options.min_group_ops = 1;
  options.group_launch_micros = 30;
  options.group_tensor_micros = 1;
  options.group_output_micros_per_mb = 0;
  MergeSiblings(*graph, candidates, micros, options, &groups);
  EXPECT_EQ(groups.of_op[graph->find("b")], groups.of_op[graph->find("d")]);
  EXPECT_NE(groups.of_op[graph->find("b")],
            groups.of_op[graph->find("never_pays")]);
  // Four ops of 10, one start of 30, and the tensors x and y at 1 each.
  EXPECT_NEAR(
      KeepWhatPays(*graph, micros, options, &groups, &candidates.reason), 8,
      1e-3);
  EXPECT_EQ(groups.count, 1);
}

TEST(FusionGroups, AsManyGroupsCountAsTheGainRestsOn) {
  GraphBuilder builder;
  for (int chain = 0; chain < 4; ++chain) {
    const std::string name = "x" + std::to_string(chain);
    builder.Arg(name, {8}).Node(name + "_a", "Tanh", {name}, kT);
  }
  const std::string bytes = builder.Build();
  const StatusOr<OpGraph> graph = OpGraph::Parse(bytes, {});
  ASSERT_TRUE(graph.ok());
  const FusionGroups groups = GroupByLevel(*graph, AllOf(*graph, {}));
  ASSERT_EQ(groups.count, 4);
  OpMicros micros;
  micros.alone.assign(graph->num_ops(), 10);
  micros.compiled.assign(graph->num_ops(), 0);
  PlanOptions options;
  options.group_tensor_micros = options.group_output_micros_per_mb = 0;
  EXPECT_NEAR(EffectiveGroups(*graph, micros, options, groups, groups), 4,
              1e-9);
  // (100 + 3 * 10)^2 / (100^2 + 3 * 10^2)
  micros.alone[graph->find("x0_a")] = 100;
  EXPECT_NEAR(EffectiveGroups(*graph, micros, options, groups, groups), 1.641,
              1e-3);
  // Only what is kept counts, and no group at all is as sure as one.
  FusionGroups kept = groups;
  kept.of_op[graph->find("x0_a")] = -1;
  EXPECT_NEAR(EffectiveGroups(*graph, micros, options, groups, kept), 3, 1e-9);
  kept.of_op.assign(graph->num_ops(), -1);
  EXPECT_EQ(EffectiveGroups(*graph, micros, options, groups, kept), 1);
}

TEST(FusionGroups, AnOpLeftOutBetweenTwoOthersKeepsThemApart) {
  // a -> out -> b and a -> b: one group of a and b would wait for itself.
  const std::string bytes =
      GraphBuilder()
          .Arg("x", {8})
          .Node("a", "Tanh", {"x"}, kT)
          .Node("out", "Tanh", {"a"}, kT)
          .Node("b", "AddN", {"a", "out"},
                {{"T", TypeAttrValue(kFloat)}, {"N", IntAttrValue(2)}})
          .Build();
  const StatusOr<OpGraph> graph = OpGraph::Parse(bytes, {});
  ASSERT_TRUE(graph.ok());
  const FusionCandidates candidates = AllOf(*graph, {"out"});
  FusionGroups groups = GroupByLevel(*graph, candidates);
  MergeByPriority(*graph, candidates, std::vector<float>(4, 1.0f), &groups);
  EXPECT_EQ(groups.count, 2);
}

TEST(FusionGroups, ProducersThatOnlyTheLevelKeepsApartAreJoined) {
  // b is one level up because of `out`, whose producers are not in a's group.
  const std::string bytes =
      GraphBuilder()
          .Arg("x", {8})
          .Node("a", "Tanh", {"x"}, kT)
          .Node("c", "Exp", {"x"}, kT)
          .Node("out", "Tanh", {"c"}, kT)
          .Node("b", "AddN", {"a", "out"},
                {{"T", TypeAttrValue(kFloat)}, {"N", IntAttrValue(2)}})
          .Build();
  const StatusOr<OpGraph> graph = OpGraph::Parse(bytes, {});
  ASSERT_TRUE(graph.ok());
  const FusionCandidates candidates = AllOf(*graph, {"out"});
  FusionGroups groups = GroupByLevel(*graph, candidates);
  EXPECT_EQ(groups.count, 3);
  MergeByPriority(*graph, candidates, std::vector<float>(5, 1.0f), &groups);
  EXPECT_EQ(groups.count, 2);
  EXPECT_EQ(groups.of_op[graph->find("a")], groups.of_op[graph->find("b")]);
}

TEST(GroupByLevel, WhatEntersALoopIsNotInAGroupWithWhatReadsItsResult) {
  const std::string bytes = LoopOfTwoVariables();
  StatusOr<OpGraph> graph = OpGraph::Parse(bytes, {});
  ASSERT_TRUE(graph.ok());
  FusionCandidates candidates;
  for (int32_t i = 0; i < graph->num_ops(); ++i) {
    const bool is = graph->op(i) == "Tanh" || graph->op(i) == "AddV2";
    candidates.reason.push_back(is && !graph->has(i, kInLoop)
                                    ? Reason::kNone
                                    : Reason::kPolicyDeclined);
    candidates.device.push_back(0);
  }
  const FusionGroups groups = GroupByLevel(*graph, candidates);
  EXPECT_EQ(FindCycle(*graph, groups.of_op, {}), -1);
  const int32_t late = groups.of_op[graph->find("late7")];
  ASSERT_GE(late, 0);
  EXPECT_EQ(groups.of_op[graph->find("late0")], late);
  EXPECT_NE(groups.of_op[graph->find("sum")], late);
}

}  // namespace
}  // namespace grappler_go
