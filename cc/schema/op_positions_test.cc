#include "cc/schema/op_positions.h"

#include <gtest/gtest.h>

#include "cc/graph/wire.h"
#include "cc/testing/graph_builder.h"

namespace grappler_go {
namespace {

class OpPositionsTest : public ::testing::Test {
 protected:
  // A long way and a short one from x to the sum.
  OpPositionsTest() {
    const GraphBuilder::Attrs t = {{"T", TypeAttrValue(kFloat)}};
    bytes_ = GraphBuilder()
                 .Arg("x", {4})
                 .Node("a", "Tanh", {"x"}, t)
                 .Node("b", "Tanh", {"a"}, t)
                 .Node("c", "Tanh", {"x"}, t)
                 .Node("sum", "AddV2", {"b", "c"}, t)
                 .Build();
    graph_ = *OpGraph::Parse(bytes_, {});
    micros_.assign(graph_.num_ops(), 0.0f);
    micros_[Op("a")] = 2;
    micros_[Op("b")] = 3;
    micros_[Op("c")] = 1;
    micros_[Op("sum")] = 5;
  }
  int32_t Op(const char* name) const { return graph_.find(name); }

  std::string bytes_;
  OpGraph graph_;
  std::vector<float> micros_;
};

TEST_F(OpPositionsTest, PathsAreTheLongestOverTheLongestOfAll) {
  const OpPositions found = PositionsOf(graph_, micros_);
  EXPECT_FLOAT_EQ(found.from_start[Op("x")], 0);
  EXPECT_FLOAT_EQ(found.from_start[Op("b")], 0.2);
  EXPECT_FLOAT_EQ(found.from_start[Op("c")], 0);
  EXPECT_FLOAT_EQ(found.from_start[Op("sum")], 0.5);
  EXPECT_FLOAT_EQ(found.to_end[Op("x")], 1);
  EXPECT_FLOAT_EQ(found.to_end[Op("b")], 0.8);
  EXPECT_FLOAT_EQ(found.to_end[Op("c")], 0.6);
  EXPECT_FLOAT_EQ(found.to_end[Op("sum")], 0.5);
}

TEST_F(OpPositionsTest, AStageIsTheShareOfWorkThatIsLessDeep) {
  const OpPositions found = PositionsOf(graph_, micros_);
  // What reads nothing but arguments is as deep as its first reader: a as b,
  // with 5 of 11, c as the sum, with the rest.
  EXPECT_FLOAT_EQ(found.stage[Op("a")], 2.5f / 11);
  EXPECT_FLOAT_EQ(found.stage[Op("b")], 2.5f / 11);
  EXPECT_FLOAT_EQ(found.stage[Op("c")], 8.0f / 11);
  EXPECT_FLOAT_EQ(found.stage[Op("sum")], 8.0f / 11);
}

TEST_F(OpPositionsTest, WithoutWorkAllAreZero) {
  micros_.assign(graph_.num_ops(), 0.0f);
  const OpPositions found = PositionsOf(graph_, micros_);
  for (int32_t i = 0; i < graph_.num_ops(); ++i) {
    EXPECT_EQ(found.from_start[i], 0);
    EXPECT_EQ(found.to_end[i], 0);
    EXPECT_EQ(found.stage[i], 0);
  }
}

TEST(NominalMicros, IsWhatBoundsTheOpAndADispatch) {
  EXPECT_FLOAT_EQ(NominalMicros(5e6, 1e5, true), 6);
  EXPECT_FLOAT_EQ(NominalMicros(1e6, 3e5, true), 4);
  EXPECT_FLOAT_EQ(NominalMicros(0, 3e5, false), 0);
}

}  // namespace
}  // namespace grappler_go
