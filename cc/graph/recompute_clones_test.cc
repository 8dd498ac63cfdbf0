#include "cc/graph/recompute_clones.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "cc/graph/wire.h"
#include "cc/testing/graph_builder.h"

namespace grappler_go {
namespace {

const GraphBuilder::Attrs kT = {{"T", TypeAttrValue(kFloat)}};

// Two layers, and back. `square` and `exp` need a0 only, but are read late.
std::string TrainingStep() {
  return GraphBuilder()
      .Arg("x", {64, 64})
      .Node("a0", "MatMul", {"x", "x"}, kT)
      .Node("a1", "MatMul", {"a0", "a0"}, kT)
      .Node("a2", "MatMul", {"a1", "a1"}, kT)
      .Node("gradient_tape/square", "Square", {"a0"}, kT)
      .Node("gradient_tape/exp", "Exp", {"gradient_tape/square"}, kT)
      .Node("gradient_tape/g2", "MatMul", {"a2", "a1"}, kT)
      .Node("gradient_tape/g1", "MatMul", {"gradient_tape/g2", "a1"}, kT)
      .Node("gradient_tape/g0", "Mul",
            {"gradient_tape/exp", "gradient_tape/g1"}, kT)
      .Retval("out", "gradient_tape/g0")
      .Build();
}

class RecomputeClonesTest : public ::testing::Test {
 protected:
  RecomputeClonesTest()
      : bytes_(TrainingStep()),
        graph_(*OpGraph::Parse(bytes_, {})),
        recompute_(graph_.num_ops(), 0) {}

  int32_t op(const std::string& name) const { return graph_.find(name); }
  RecomputeClones Clones() const { return {graph_, recompute_, no_groups_}; }

  std::string bytes_;
  OpGraph graph_;
  std::vector<uint8_t> recompute_;
  std::vector<int32_t> no_groups_;
};

TEST_F(RecomputeClonesTest, WhatDependsOnLessStandsBeforeItsFirstUser) {
  const RecomputeClones clones = Clones();
  const int32_t user = op("gradient_tape/g0");
  EXPECT_EQ(clones.place(op("gradient_tape/exp")), user);
  EXPECT_EQ(clones.place(op("gradient_tape/square")), user)
      << "a chain of them stands together";
  for (const char* name : {"gradient_tape/g2", "gradient_tape/g1", "a0"}) {
    EXPECT_EQ(clones.place(op(name)), op(name)) << name;
  }
}

TEST_F(RecomputeClonesTest, ItCouldWaitForTheGradientThatItsUserWaitsFor) {
  const RecomputeClones clones = Clones();
  const int32_t gradient = op("gradient_tape/g1");
  EXPECT_EQ(clones.CouldWaitFor(op("gradient_tape/exp")), gradient);
  EXPECT_EQ(clones.CouldWaitFor(op("gradient_tape/square")), gradient);
  for (const char* name : {"gradient_tape/g1", "gradient_tape/g0", "a1", "x"}) {
    EXPECT_EQ(clones.CouldWaitFor(op(name)), -1) << name;
  }
}

TEST_F(RecomputeClonesTest, AnEarlyReaderReadsTheCloneAndWaitsWithIt) {
  recompute_[op("a0")] = 1;
  const RecomputeClones clones = Clones();
  ASSERT_TRUE(clones.cloned(op("a0")));
  EXPECT_EQ(clones.first_use(op("a0")), op("gradient_tape/square"));
  EXPECT_EQ(clones.held_by(op("a0")), op("gradient_tape/g1"));
}

}  // namespace
}  // namespace grappler_go
