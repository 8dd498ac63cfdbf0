// What a compiled group takes of memory, worked out by hand from XLA's rules.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "cc/sim/simulator_test_util.h"

namespace grappler_go {
namespace {

constexpr int64_t kTensor = 64 * 64 * 4;
constexpr int64_t kNumber = 4;

GraphBuilder::Attrs Dtype() { return {{"dtype", TypeAttrValue(kFloat)}}; }

// Of a step on one device in which `names` are a group; without what is there
// throughout.
int64_t PeakOf(const GraphBuilder& builder,
               const std::vector<std::string>& names) {
  TestStep step(builder, Gpus(1));
  step.Group(1, names);
  const DeviceUse use = step.Run().devices[0];
  return use.peak_bytes - use.resident_bytes;
}

TEST(GroupMemory, OutputsAreThereFromTheStart) {
  const GraphBuilder builder = GraphBuilder()
                                   .Arg("x", {64, 64})
                                   .Node("a", "MatMul", {"x", "x"}, FloatOp())
                                   .Node("b", "MatMul", {"a", "a"}, FloatOp())
                                   .Retval("first", "a")
                                   .Retval("second", "b");
  TestStep step(builder, Gpus(1));
  step.Micros({{"a", 10}, {"b", 10}}).Group(1, {"a", "b"});
  const DeviceUse use = step.Run().devices[0];
  EXPECT_EQ(use.peak_bytes, 3 * kTensor);
  EXPECT_DOUBLE_EQ(use.peak_at_micros, 0);
}

TEST(GroupMemory, LoopsThatAreFusedStoreNothing) {
  const GraphBuilder builder = GraphBuilder()
                                   .Arg("x", {64, 64})
                                   .IntConst("axes", {2}, {0, 1})
                                   .Node("a", "Relu", {"x"}, FloatOp())
                                   .Node("b", "Tanh", {"a"}, FloatOp())
                                   .Node("c", "Relu", {"b"}, FloatOp())
                                   .Node("sum", "Sum", {"c", "axes"}, FloatOp())
                                   .Retval("out", "sum");
  EXPECT_EQ(PeakOf(builder, {"a", "b", "c", "sum"}), kNumber);
}

// Two readers compute a negation twice, but a tanh once.
TEST(GroupMemory, WhatIsCostlyIsStoredForSeveralReaders) {
  const auto peak = [](const std::string& type) {
    const GraphBuilder builder =
        GraphBuilder()
            .Arg("x", {64, 64})
            .IntConst("axes", {2}, {0, 1})
            .Node("a", type, {"x"}, FloatOp())
            .Node("b", "Relu", {"a"}, FloatOp())
            .Node("c", "Square", {"a"}, FloatOp())
            .Node("d", "AddV2", {"b", "c"}, FloatOp())
            .Node("sum", "Sum", {"d", "axes"}, FloatOp())
            .Retval("out", "sum");
    return PeakOf(builder, {"a", "b", "c", "d", "sum"});
  };
  EXPECT_EQ(peak("Neg"), kNumber);
  EXPECT_EQ(peak("Tanh"), kTensor + kNumber);
}

TEST(GroupMemory, AProductIsNotFusedIntoTheNext) {
  const GraphBuilder builder = GraphBuilder()
                                   .Arg("x", {64, 64})
                                   .IntConst("axes", {2}, {0, 1})
                                   .Node("a", "MatMul", {"x", "x"}, FloatOp())
                                   .Node("b", "MatMul", {"a", "a"}, FloatOp())
                                   .Node("sum", "Sum", {"b", "axes"}, FloatOp())
                                   .Retval("out", "sum");
  EXPECT_EQ(PeakOf(builder, {"a", "b", "sum"}), 2 * kTensor + kNumber);
}

// XLA has an order of its own: one that is asked for counts for nothing,
// whichever way it points in the numbers of ops.
TEST(GroupMemory, AnOrderWithinTheGroupChangesNothing) {
  const GraphBuilder builder = GraphBuilder()
                                   .Arg("x", {64, 64})
                                   .Node("a", "MatMul", {"x", "x"}, FloatOp())
                                   .Node("b", "MatMul", {"x", "x"}, FloatOp())
                                   .Node("c", "MatMul", {"a", "b"}, FloatOp())
                                   .Retval("out", "c");
  for (const auto& [before, after] :
       {std::pair("a", "b"), std::pair("b", "a")}) {
    TestStep step(builder, Gpus(1));
    step.Group(1, {"a", "b", "c"});
    step.input.order = {{step.op(before), step.op(after)}};
    const DeviceUse use = step.Run().devices[0];
    EXPECT_EQ(use.peak_bytes - use.resident_bytes, 3 * kTensor);
  }
}

// The first product is gone when the output is written, the second is not; a
// loop may write over what it reads.
TEST(GroupMemory, AnOutputHoldsOthersUntilItIsWritten) {
  const auto peak = [](const std::string& last,
                       const std::vector<std::string>& reads) {
    const GraphBuilder builder = GraphBuilder()
                                     .Arg("x", {64, 64})
                                     .Node("a", "MatMul", {"x", "x"}, FloatOp())
                                     .Node("b", "MatMul", {"a", "a"}, FloatOp())
                                     .Node("c", last, reads, FloatOp())
                                     .Retval("out", "c");
    return PeakOf(builder, {"a", "b", "c"});
  };
  EXPECT_EQ(peak("MatMul", {"b", "b"}), 2 * kTensor);
  EXPECT_EQ(peak("AddV2", {"b", "b"}), 2 * kTensor)
      << "b writes over the output's room, a has none";
}

TEST(GroupMemory, ALoopWritesOverAnOperandThatDiesWithIt) {
  const auto peak = [](const std::string& type) {
    const GraphBuilder builder = GraphBuilder()
                                     .Arg("x", {64, 64})
                                     .Arg("v", {64, 1})
                                     .Node("a", "MatMul", {"x", "x"}, FloatOp())
                                     .Node("b", type, {"a"}, FloatOp())
                                     .Node("c", "MatMul", {"b", "v"}, FloatOp())
                                     .Retval("out", "c");
    return PeakOf(builder, {"a", "b", "c"});
  };
  EXPECT_EQ(peak("Tanh"), kTensor + 64 * 4);
  EXPECT_EQ(peak("Softmax"), 2 * kTensor + 64 * 4);
}

// Four products, then what reads each: depth first, one would be there at a
// time.
TEST(GroupMemory, RunsBreadthFirst) {
  GraphBuilder builder;
  builder.Arg("x", {64, 64}).Arg("v", {64, 1});
  std::vector<std::string> group;
  for (const std::string number : {"0", "1", "2", "3"}) {
    builder.Node("m" + number, "MatMul", {"x", "x"}, FloatOp())
        .Node("s" + number, "MatMul", {"m" + number, "v"}, FloatOp())
        .Retval("out" + number, "s" + number);
    group.push_back("m" + number);
    group.push_back("s" + number);
  }
  EXPECT_EQ(PeakOf(builder, group), 4 * kTensor + 4 * 64 * 4);
}

TEST(GroupMemory, AVariableThatIsWrittenIsThereTwice) {
  const GraphBuilder builder =
      GraphBuilder()
          .VarArg("v", {64, 64})
          .Arg("x", {64, 64})
          .Node("g", "MatMul", {"x", "x"}, FloatOp())
          .Node("v-=g", "AssignSubVariableOp", {"v", "g"}, Dtype());
  // The gradient lies where the new value will be.
  EXPECT_EQ(PeakOf(builder, {"g", "v-=g"}), kTensor);
  // Alone, the update writes into the variable and holds the gradient.
  EXPECT_EQ(PeakOf(builder, {"g"}), kTensor);
}

TEST(GroupMemory, AnOptimizerUpdatesAllOfItsVariables) {
  const GraphBuilder builder =
      GraphBuilder()
          .VarArg("v", {64, 64})
          .VarArg("a", {64, 64})
          .Arg("x", {64, 64})
          .Arg("lr", {})
          .Node("momentum", "ResourceApplyMomentum",
                {"v", "a", "lr", "x", "lr"}, FloatOp());
  EXPECT_EQ(PeakOf(builder, {"momentum"}), 2 * kTensor);
}

TEST(GroupMemory, WhatIsAssignedBecomesTheVariable) {
  const GraphBuilder builder =
      GraphBuilder()
          .VarArg("v", {64, 64})
          .Arg("x", {64, 64})
          .Node("y", "MatMul", {"x", "x"}, FloatOp())
          .Node("set", "AssignVariableOp", {"v", "y"}, Dtype());
  EXPECT_EQ(PeakOf(builder, {"y", "set"}), kTensor);
}

TEST(GroupMemory, WhatWasOnlyForTheGroupGoesWithIt) {
  const GraphBuilder builder =
      GraphBuilder()
          .Arg("x", {64, 64})
          .IntConst("axes", {2}, {0, 1})
          .Node("a", "MatMul", {"x", "x"}, FloatOp())
          .Node("sum", "Sum", {"a", "axes"}, FloatOp())
          .Node("b", "MatMul", {"x", "x", "^sum"}, FloatOp())
          .Node("c", "MatMul", {"b", "b"}, FloatOp())
          .Retval("out", "c")
          .Retval("other", "sum");
  EXPECT_EQ(PeakOf(builder, {"a", "sum"}), 2 * kTensor + kNumber);
}

}  // namespace
}  // namespace grappler_go
