#include "cc/sim/loops.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "cc/sim/simulator_test_util.h"

namespace grappler_go {
namespace {

GraphBuilder::Attrs Frame(const std::string& name) {
  return {{"T", TypeAttrValue(kInt32)}, {"frame_name", StringAttrValue(name)}};
}
const GraphBuilder::Attrs kInt = {{"T", TypeAttrValue(kInt32)}};

struct LoopSpec {
  std::string condition = "Less";
  int32_t start = 0, step = 1, limit = 5;
  bool constant_limit = true;
  std::string next = "AddV2";
};

// for (i = start; i < limit; i += step) value = Tanh(value); all nodes are
// named `name`/...; the loop starts from `value`, which is in frame `outer`.
GraphBuilder& AddLoop(GraphBuilder& b, const std::string& name,
                      const std::string& value, const LoopSpec& spec,
                      const std::string& outer = "") {
  const std::string n = name + "/";
  const GraphBuilder::Attrs frame = Frame(name);
  b.IntConst(n + "start", {}, {spec.start});
  if (spec.constant_limit) {
    b.IntConst(n + "limit", {}, {spec.limit});
  } else {
    b.Arg(n + "limit", {}, kInt32);
  }
  b.IntConst(n + "step", {}, {spec.step});
  for (const std::string what : {"start", "limit", "step"}) {
    std::string from = n + what;
    if (!outer.empty()) {
      b.Node(n + "outer_" + what, "Enter", {from}, Frame(outer));
      from = n + "outer_" + what;
    }
    b.Node(n + "enter_" + what, "Enter", {from}, frame);
  }
  b.Node(n + "enter", "Enter", {value},
         {{"T", TypeAttrValue(kFloat)}, {"frame_name", StringAttrValue(name)}})
      .Node(n + "merge_i", "Merge", {n + "enter_start", n + "next_i"}, kInt)
      .Node(n + "merge", "Merge", {n + "enter", n + "next"}, FloatOp())
      .Node(n + "test", spec.condition, {n + "merge_i", n + "enter_limit"},
            kInt)
      .Node(n + "cond", "LoopCond", {n + "test"})
      .Node(n + "switch_i", "Switch", {n + "merge_i", n + "cond"}, kInt)
      .Node(n + "switch", "Switch", {n + "merge", n + "cond"}, FloatOp())
      .Node(n + "i", "Identity", {n + "switch_i:1"}, kInt)
      .Node(n + "plus", spec.next, {n + "i", n + "enter_step"}, kInt)
      .Node(n + "next_i", "NextIteration", {n + "plus"}, kInt)
      .Node(n + "body", "Tanh", {n + "switch:1"}, FloatOp())
      .Node(n + "next", "NextIteration", {n + "body"}, FloatOp())
      .Node(n + "exit", "Exit", {n + "switch"}, FloatOp());
  return b;
}

GraphBuilder OneLoop(const LoopSpec& spec) {
  GraphBuilder b;
  b.Arg("x", {250});
  AddLoop(b, "loop", "x", spec);
  return b.Node("after", "Tanh", {"loop/exit"}, FloatOp());
}

double MicrosOf(const LoopSpec& spec) {
  TestStep step(OneLoop(spec), Gpus(1));
  return step.Micros({{"loop/body", 10}, {"after", 1}}).Run().micros;
}

TEST(Loops, ACountedLoopIsUnrolled) {
  TestStep step(OneLoop({}), Gpus(1));
  const Simulation result =
      step.Micros({{"loop/body", 10}, {"after", 1}}).Run();
  EXPECT_DOUBLE_EQ(result.micros, 51);
  EXPECT_EQ(result.loops_unrolled, 1);
  EXPECT_EQ(result.loops_run_once, 0);
  ASSERT_EQ(result.tasks.size(), 6u);
  for (int k = 0; k < 5; ++k) {
    EXPECT_EQ(result.tasks[k].run, k);
    EXPECT_DOUBLE_EQ(result.tasks[k].end, 10 * (k + 1));
  }
}

TEST(Loops, UnderstandsHowALoopCounts) {
  EXPECT_DOUBLE_EQ(MicrosOf({"Less", 2, 1, 5}), 31);
  EXPECT_DOUBLE_EQ(MicrosOf({"Less", 0, 2, 5}), 31);
  EXPECT_DOUBLE_EQ(MicrosOf({"LessEqual", 0, 1, 5}), 61);
  EXPECT_DOUBLE_EQ(MicrosOf({"Greater", 5, -1, 0}), 51);
  EXPECT_DOUBLE_EQ(MicrosOf({"GreaterEqual", 5, -1, 0}), 61);
  EXPECT_DOUBLE_EQ(MicrosOf({"Greater", 5, 1, 0, true, "Sub"}), 51);
  EXPECT_DOUBLE_EQ(MicrosOf({"Less", 9, 1, 5}), 11) << "once at least";
}

TEST(Loops, AnUnknownLoopRunsOnceAndIsCounted) {
  for (const LoopSpec& spec :
       {LoopSpec{"Less", 0, 1, 5, false}, LoopSpec{"Less", 0, -1, 5},
        LoopSpec{"Less", 0, 2, 5, true, "Mul"},
        LoopSpec{"NotEqual", 0, 1, 5}}) {
    TestStep step(OneLoop(spec), Gpus(1));
    const Simulation result =
        step.Micros({{"loop/body", 10}, {"after", 1}}).Run();
    EXPECT_DOUBLE_EQ(result.micros, 11);
    EXPECT_EQ(result.loops_unrolled, 0);
    EXPECT_EQ(result.loops_run_once, 1);
  }
}

TEST(Loops, ALoopTooLongToUnrollRunsOnce) {
  TestStep step(OneLoop({"Less", 0, 1, 2'000'000'000}), Gpus(1));
  EXPECT_EQ(step.Micros({{"loop/body", 10}}).Run().loops_run_once, 1);
  TestStep fits(OneLoop({"Less", 0, 1, 1000}), Gpus(1));
  EXPECT_EQ(fits.Run().loops_unrolled, 1);
  fits.options.max_runs = 5000;
  EXPECT_EQ(fits.Run().loops_run_once, 1);
}

TEST(Loops, WhatALoopOnlyReadsIsThereForEveryIteration) {
  GraphBuilder b = OneLoop({});
  b.Node("weights", "Exp", {"x"}, FloatOp())
      .Node("loop/enter_weights", "Enter", {"weights"},
            {{"T", TypeAttrValue(kFloat)},
             {"frame_name", StringAttrValue("loop")}})
      .Node("loop/use", "Tanh", {"loop/enter_weights", "^loop/body"},
            FloatOp());
  TestStep step(b, Gpus(1));
  const Simulation result =
      step.Micros({{"loop/use", 7}, {"loop/body", 10}}).Run();
  EXPECT_DOUBLE_EQ(result.micros, 5 * 17);
}

// while (i < 3) { value = Tanh(value); while (j < 4) value = Tanh(value); }
TEST(Loops, LoopsWithinLoopsMultiply) {
  GraphBuilder b;
  b.Arg("x", {250});
  AddLoop(b, "outer", "x", {"Less", 0, 1, 3});
  // The inner loop hangs on the outer body.
  AddLoop(b, "inner", "outer/body", {"Less", 0, 1, 4}, "outer");
  b.Node("last", "Tanh", {"inner/exit", "^outer/body"}, FloatOp());
  TestStep step(b, Gpus(1));
  const Loops loops = FindLoops(step.graph(), 1'000'000);
  EXPECT_EQ(loops.unrolled, 2);
  EXPECT_EQ(loops.run_once, 0);
  EXPECT_EQ(loops.runs[step.op("outer/body")], 3);
  EXPECT_EQ(loops.runs[step.op("inner/enter")], 3);
  EXPECT_EQ(loops.runs[step.op("inner/body")], 12);
  EXPECT_EQ(loops.runs[step.op("inner/exit")], 3);
  step.Micros({{"outer/body", 10}, {"inner/body", 1}, {"last", 100}});
  const Simulation result = step.Run();
  EXPECT_DOUBLE_EQ(result.micros, 3 * 10 + 12 * 1 + 3 * 100);
  // Side by side: each run of the inner loop starts when the outer body has.
  TestStep cores(b, Cpu(8));
  cores.options.share_memory_bandwidth = false;
  cores.Micros({{"outer/body", 10}, {"inner/body", 1}, {"last", 40}});
  EXPECT_DOUBLE_EQ(cores.Run().micros, 3 * 10 + 4 * 1 + 40);
}

TEST(Loops, ALoopHandsItsValuesOnAndKeepsItsConstantsOnce) {
  GraphBuilder b = OneLoop({});
  b.Node("loop/table", "Const", {"^loop/i"},
         {{"dtype", TypeAttrValue(kFloat)},
          {"value", FloatTensorAttr({1000}, {1})}});
  TestStep step(b, Gpus(1));
  const Simulation result =
      step.Micros({{"loop/body", 10}, {"after", 1}}).Run();
  // The argument, the table and three numbers; then the value, rewritten in
  // place, and counters.
  EXPECT_EQ(result.devices[0].resident_bytes, 1000 + 4000 + 3 * 4);
  EXPECT_GE(result.devices[0].peak_bytes, 5012 + 1000);
  EXPECT_LT(result.devices[0].peak_bytes, 5012 + 1000 + 100);
}

TEST(Loops, AnIterationHoldsWhatTheOneBeforeItMade) {
  GraphBuilder b = OneLoop({});
  b.IntConst("axes", {1}, {0})
      .Node("loop/enter_axes", "Enter", {"axes"}, Frame("loop"))
      .Node("loop/late", "Sum",
            {"loop/switch:1", "loop/enter_axes", "^loop/body"}, FloatOp());
  TestStep step(b, Gpus(1));
  const Simulation result =
      step.Micros({{"loop/body", 10}, {"loop/late", 10}}).Run();
  const DeviceUse& use = result.devices[0];
  EXPECT_GE(use.peak_bytes - use.resident_bytes, 2000);
  EXPECT_LT(use.peak_bytes - use.resident_bytes, 2100);
}

TEST(Loops, GroupsMayNotBeInALoopThatIsUnrolled) {
  TestStep step(OneLoop({}), Gpus(1));
  step.Group(1, {"loop/body"});
  EXPECT_NE(step.Error().find("in a loop"), std::string::npos);
  TestStep ordered(OneLoop({}), Gpus(1));
  ordered.input.order = {{ordered.op("loop/body"), ordered.op("after")}};
  EXPECT_NE(ordered.Error().find("in a loop"), std::string::npos);
  TestStep again(OneLoop({}), Gpus(1));
  EXPECT_NE(again.Recompute({"loop/body"}).Error().find("in a loop"),
            std::string::npos);
}

TEST(Loops, AGraphWithoutLoopsHasNone) {
  TestStep step(GraphBuilder().Arg("x", {1}), Gpus(1));
  EXPECT_TRUE(FindLoops(step.graph(), 100).runs.empty());
}

}  // namespace
}  // namespace grappler_go
