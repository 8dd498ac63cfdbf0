#include "cc/sim/step_time.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "cc/graph/wire.h"
#include "cc/testing/graph_builder.h"

namespace grappler_go {
namespace {

// x -> a0 -> a1 -> a2 and x -> b0 -> b1 -> b2, two independent chains.
std::string TwoChains() {
  GraphBuilder b;
  b.Arg("x", {4});
  for (const char* chain : {"a", "b"}) {
    std::string last = "x";
    for (int i = 0; i < 3; ++i) {
      const std::string name = chain + std::to_string(i);
      b.Node(name, "Neg", {last}, {{"T", TypeAttrValue(kFloat)}});
      last = name;
    }
  }
  return b.Build();
}

struct Fixture {
  std::string bytes = TwoChains();
  OpGraph graph = *OpGraph::Parse(bytes, ParseOptions());
  Scratch<float> micros = Scratch<float>(graph.num_ops(), 0.0f);
  std::vector<int32_t> group;
  std::vector<float> overhead;

  void SetAll(float value) {
    for (int32_t i = 0; i < graph.num_ops(); ++i) {
      if (graph.op(i) == "Neg") micros[i] = value;
    }
  }
  double Time(int cores) {
    return StepMicros(graph, {micros, group, overhead, cores});
  }
};

TEST(StepMicros, OverlapsSmallOpsOnTwoCores) {
  Fixture f;
  f.SetAll(10);
  EXPECT_DOUBLE_EQ(f.Time(1), 60);
  EXPECT_DOUBLE_EQ(f.Time(2), 30);
  EXPECT_DOUBLE_EQ(f.Time(8), 30) << "no shorter than a chain";
}

TEST(StepMicros, DoesNotOverlapOpsTooShortForAnotherThread) {
  Fixture f;
  f.SetAll(1);
  EXPECT_DOUBLE_EQ(f.Time(2), 6);
  f.SetAll(kInlineOpMicros);
  EXPECT_DOUBLE_EQ(f.Time(2), 3 * kInlineOpMicros);
}

TEST(StepMicros, DoesNotOverlapOpsThatUseEveryCore) {
  Fixture f;
  f.SetAll(kParallelOpMicros);
  EXPECT_DOUBLE_EQ(f.Time(2), 6 * kParallelOpMicros);
}

TEST(StepMicros, RunsTheOpsOfAGroupInTurn) {
  Fixture f;
  f.SetAll(10);
  f.group.assign(f.graph.num_ops(), -1);
  for (int32_t i = 0; i < f.graph.num_ops(); ++i) {
    if (f.graph.op(i) == "Neg") f.group[i] = 0;
  }
  f.overhead = {5};
  EXPECT_DOUBLE_EQ(f.Time(2), 65);
}

TEST(StepMicros, FollowsAPathThroughAGroupAndOutOfIt) {
  Fixture f;
  f.SetAll(10);
  // a0 and b0 together: a1, a2 wait for both.
  f.group.assign(f.graph.num_ops(), -1);
  f.group[f.graph.find("a0")] = 0;
  f.group[f.graph.find("b0")] = 0;
  f.overhead = {1};
  EXPECT_DOUBLE_EQ(f.Time(8), 1 + 20 + 20);
}

}  // namespace
}  // namespace grappler_go
