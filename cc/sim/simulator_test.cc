// When things happen: makespans worked out by hand.
#include "cc/sim/simulator.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "cc/sim/simulator_test_util.h"

namespace grappler_go {
namespace {

constexpr char kTanh[] = "Tanh";

// x -> a -> b, tensors of 10,000 bytes: 10 microseconds on a link.
GraphBuilder Pair() {
  return GraphBuilder()
      .Arg("x", {2500})
      .Node("a", kTanh, {"x"}, FloatOp())
      .Node("b", kTanh, {"a"}, FloatOp());
}

// x -> a, x -> b: two ops that are ready at once.
GraphBuilder Siblings(int64_t elements = 250) {
  return GraphBuilder()
      .Arg("x", {elements})
      .Node("a", kTanh, {"x"}, FloatOp())
      .Node("b", "Exp", {"x"}, FloatOp());
}

TEST(Simulator, AGraphWithoutOpsTakesNoTime) {
  const Simulation result = TestStep(GraphBuilder(), Gpus(1)).Run();
  EXPECT_EQ(result.micros, 0);
  EXPECT_EQ(result.devices[0].peak_bytes, 0);
  EXPECT_EQ(result.num_tasks, 0);
}

TEST(Simulator, AGpuRunsOneOpAtATime) {
  TestStep step(Siblings(), MachineOf("GPU", 1, 8));
  const Simulation result = step.Micros({{"a", 10}, {"b", 20}}).Run();
  EXPECT_DOUBLE_EQ(result.micros, 30);
  EXPECT_DOUBLE_EQ(result.devices[0].busy_micros, 30);
  EXPECT_EQ(result.devices[0].tasks, 2);
}

TEST(Simulator, ATensorTravelsToAnotherDevice) {
  TestStep step(Pair(), Gpus(2));
  const Simulation result =
      step.Micros({{"a", 10}, {"b", 20}}).On(1, {"b"}).Run();
  EXPECT_DOUBLE_EQ(result.micros, 10 + (5 + 10) + 20);
  EXPECT_EQ(result.num_transfers, 1);
  EXPECT_EQ(result.transfer_bytes, 10000);
  EXPECT_DOUBLE_EQ(result.transfer_micros, 15);
  ASSERT_EQ(result.transfers.size(), 1u);
  EXPECT_EQ(result.transfers[0].op, step.op("a"));
  EXPECT_EQ(result.transfers[0].src, 0);
  EXPECT_EQ(result.transfers[0].dst, 1);
  EXPECT_DOUBLE_EQ(result.transfers[0].start, 10);
  EXPECT_DOUBLE_EQ(result.transfers[0].end, 25);
  EXPECT_DOUBLE_EQ(result.devices[1].busy_micros, 20);
}

TEST(Simulator, ATensorIsSentOnceForTwoReaders) {
  const GraphBuilder builder = Pair().Node("c", "Exp", {"a"}, FloatOp());
  TestStep step(builder, Gpus(3));
  step.Micros({{"a", 10}, {"b", 20}, {"c", 20}}).On(1, {"b", "c"});
  Simulation result = step.Run();
  EXPECT_EQ(result.num_transfers, 1);
  EXPECT_DOUBLE_EQ(result.micros, 10 + 15 + 20 + 20);
  result = step.On(2, {"c"}).Run();
  EXPECT_EQ(result.num_transfers, 2) << "once to each device";
  EXPECT_DOUBLE_EQ(result.micros, 10 + 15 + 20) << "on links of their own";
}

TEST(Simulator, AControlEdgeBetweenDevicesIsAnEmptyMessage) {
  const GraphBuilder builder =
      Siblings().Node("c", kTanh, {"b", "^a"}, FloatOp());
  TestStep step(builder, Gpus(2));
  step.Micros({{"a", 10}, {"b", 1}, {"c", 1}}).On(1, {"x", "b", "c"});
  const Simulation result = step.Run();
  // x travels to a (5 + 1), a runs, its message travels back, c runs.
  EXPECT_DOUBLE_EQ(result.micros, 6 + 10 + 5 + 1);
  EXPECT_EQ(result.num_transfers, 2);
  EXPECT_EQ(result.transfer_bytes, 1000);
}

// a and b of 10 on the first device; c reads a, d reads b on the second.
TestStep TwoTransfers() {
  const GraphBuilder builder = GraphBuilder()
                                   .Arg("x", {6250})  // 25 us on a link
                                   .Node("a", kTanh, {"x"}, FloatOp())
                                   .Node("b", "Exp", {"a"}, FloatOp())
                                   .Node("c", kTanh, {"a"}, FloatOp())
                                   .Node("d", kTanh, {"b"}, FloatOp());
  TestStep step(builder, Gpus(2));
  step.Micros({{"a", 10}, {"b", 10}, {"c", 1}, {"d", 1}}).On(1, {"c", "d"});
  return step;
}

TEST(Simulator, ALinkCarriesOneTransferAtATime) {
  TestStep step = TwoTransfers();
  const Simulation result = step.Run();
  // a's goes from 10 to 40; b's is ready at 20 and waits for it.
  EXPECT_DOUBLE_EQ(step.EndOf(result, "c"), 41);
  EXPECT_DOUBLE_EQ(step.EndOf(result, "d"), 71);
  EXPECT_DOUBLE_EQ(result.micros, 71);
}

TEST(Simulator, ALinkMayShareItselfBetweenTransfers) {
  TestStep step = TwoTransfers();
  step.options.links = LinkSharing::kEqualShares;
  const Simulation result = step.Run();
  // a's is alone for 10, then at half speed: 20 left take 40. b's, at half
  // speed for 40, has 10 left, alone.
  EXPECT_DOUBLE_EQ(step.EndOf(result, "c"), 61);
  EXPECT_DOUBLE_EQ(step.EndOf(result, "d"), 71);
  EXPECT_DOUBLE_EQ(result.transfer_micros, 60);
}

TEST(Simulator, AMissingLinkIsAsTheSlowestOne) {
  TestStep step(Pair(), Gpus(3));
  step.Micros({{"a", 10}, {"b", 20}}).On(1, {"b"});
  step.machine().links = {{1, 0, 4.0, 1.0}, {2, 0, 0.5, 7.0}};
  EXPECT_DOUBLE_EQ(step.Run().micros, 10 + (7 + 20) + 20);
  step.machine().links[0] = {1, 0, 0.5, 17.0};
  EXPECT_DOUBLE_EQ(step.Run().micros, 10 + (17 + 20) + 20);
  step.machine().links = {{1, 0, 0.5, 7.0}, {2, 0, 0.5, 17.0}};
  EXPECT_DOUBLE_EQ(step.Run().micros, 10 + (17 + 20) + 20);
  step.machine().links.clear();  // as Link's defaults
  EXPECT_DOUBLE_EQ(step.Run().micros, 10 + (50 + 10) + 20);
}

// x -> a on the first, its tensor to b on the second; c runs there meanwhile,
// and d follows a on the first.
TestStep TransferBesideWork(const char* device_type) {
  const GraphBuilder builder = Pair()
                                   .Arg("y", {2500})
                                   .Node("c", kTanh, {"y"}, FloatOp())
                                   .Node("d", kTanh, {"a"}, FloatOp());
  TestStep step(builder, MachineOf(device_type, 2));
  step.Micros({{"a", 10}, {"b", 20}, {"c", 100}, {"d", 50}})
      .On(1, {"b", "c", "y"});
  for (Link& link : step.machine().links) {
    link.cpu_us = 20;
    link.cpu_us_per_mb = 1000;  // 10 for 10,000 bytes
  }
  return step;
}

TEST(Simulator, ATransferTakesOfTheCpusAtItsEnds) {
  TestStep step = TransferBesideWork("CPU");
  const Simulation result = step.Run();
  // From 10 on, for 60, c and d have half their core. b is there at 25 and
  // waits for c, as the transfer's own share is no task of the step.
  EXPECT_DOUBLE_EQ(step.EndOf(result, "d"), 10 + 50 + 30);
  EXPECT_DOUBLE_EQ(step.EndOf(result, "c"), 100 + 30);
  EXPECT_DOUBLE_EQ(result.micros, 100 + 30 + 20);
  EXPECT_EQ(result.devices[0].tasks, 2);
}

TEST(Simulator, ATransferTakesNothingOfAGpu) {
  TestStep step = TransferBesideWork("GPU");
  const Simulation result = step.Run();
  EXPECT_DOUBLE_EQ(step.EndOf(result, "d"), 60);
  EXPECT_DOUBLE_EQ(result.micros, 120);
}

TEST(Simulator, TheStepEndsWithItsOpsNotWithWhatATransferTakes) {
  TestStep step(Pair(), MachineOf("CPU", 2));
  step.Micros({{"a", 10}, {"b", 1}}).On(1, {"b"});
  for (Link& link : step.machine().links) link.cpu_us = 500;
  // b has half a core.
  EXPECT_DOUBLE_EQ(step.Run().micros, 10 + 15 + 2);
}

TEST(Simulator, TwoSmallOpsRunSideBySideOnTwoCores) {
  TestStep step(Siblings(1), Cpu(2));
  step.Micros({{"a", 30}, {"b", 30}});
  const Simulation result = step.Run();
  EXPECT_DOUBLE_EQ(result.micros, 30);
  EXPECT_DOUBLE_EQ(result.devices[0].busy_micros, 30);
  EXPECT_DOUBLE_EQ(result.devices[0].core_micros, 60);
  step.options.inter_op_threads = 1;
  EXPECT_DOUBLE_EQ(step.Run().micros, 60);
  step.options.inter_op_threads = 2;
  step.machine() = Cpu(1);  // two threads on one core
  EXPECT_DOUBLE_EQ(step.Run().micros, 60);
}

TEST(Simulator, ALargeOpSharesItsCoresWithASmallOne) {
  TestStep step(Siblings(1), Cpu(2));
  step.Micros({{"a", 60}});  // split over both cores
  EXPECT_DOUBLE_EQ(step.Run().micros, 60);
  step.Micros({{"b", 30}});
  const Simulation result = step.Run();
  // Three threads on two cores: both at 2/3 until b is done, at 45; then a has
  // 30 left.
  EXPECT_DOUBLE_EQ(step.EndOf(result, "b"), 45);
  EXPECT_DOUBLE_EQ(step.EndOf(result, "a"), 75);
  EXPECT_DOUBLE_EQ(result.devices[0].core_micros, 150);
  step.Micros({{"b", 60}});  // two large ones: nothing is gained
  EXPECT_DOUBLE_EQ(step.Run().micros, 120);
}

TEST(Simulator, OpsShareTheMemoryBandwidth) {
  // Each reads and writes 1000 bytes, 2 microseconds of the bandwidth.
  TestStep step(Siblings(), Cpu(4));
  step.Micros({{"a", 2}, {"b", 2}});
  EXPECT_DOUBLE_EQ(step.Run().micros, 4);
  // b wants a quarter of it and gets that; a has to do with the rest.
  step.Micros({{"b", 8}});
  const Simulation result = step.Run();
  EXPECT_NEAR(step.EndOf(result, "a"), 2 / 0.75, 1e-6);
  EXPECT_DOUBLE_EQ(step.EndOf(result, "b"), 8);
  step.options.share_memory_bandwidth = false;
  EXPECT_DOUBLE_EQ(step.EndOf(step.Run(), "a"), 2);
}

TEST(Simulator, OpsShareWhatTheirClassAchievesOfTheBandwidth) {
  // At half of the peak each of them takes 4 microseconds, and all there is.
  Machine machine = Cpu(4);
  machine.devices[0].achieved.fill({1.0, 0.5});
  TestStep step(Siblings(), machine);
  step.Micros({{"a", 4}, {"b", 4}});
  EXPECT_DOUBLE_EQ(step.Run().micros, 8);
}

TEST(Simulator, AGroupMovesOnlyWhatCrossesItsBoundary) {
  const GraphBuilder builder =
      Siblings().Node("more", kTanh, {"a"}, FloatOp()).Retval("out", "more");
  TestStep step(builder, Cpu(4));
  step.Micros({{"a", 2}, {"more", 2}, {"b", 2}}).Group(0, {"a", "more"});
  const Simulation result = step.Run();
  // In 4 microseconds the group moves 2000 bytes, half of the bandwidth.
  EXPECT_DOUBLE_EQ(step.EndOf(result, "a"), 4);
  EXPECT_DOUBLE_EQ(step.EndOf(result, "b"), 4);
}

TEST(Simulator, WhatAnUrgentOpReadsTravelsFirst) {
  const GraphBuilder builder = Siblings()
                                   .Node("for_a", kTanh, {"a"}, FloatOp())
                                   .Node("for_b", kTanh, {"b"}, FloatOp());
  TestStep step(builder, Gpus(3));
  // In a group, a and b are there at the same time.
  step.Micros({{"a", 10}, {"b", 10}, {"for_a", 1}, {"for_b", 1}});
  step.Group(0, {"a", "b"}).On(1, {"for_a", "for_b"});
  step.Priority("for_a", 1);
  Simulation result = step.Run();
  EXPECT_DOUBLE_EQ(step.EndOf(result, "for_a"), 20 + 6 + 1);
  EXPECT_DOUBLE_EQ(step.EndOf(result, "for_b"), 20 + 12 + 1);
  result = step.Priority("for_b", 2).Run();
  EXPECT_DOUBLE_EQ(step.EndOf(result, "for_b"), 20 + 6 + 1);
  EXPECT_DOUBLE_EQ(step.EndOf(result, "for_a"), 20 + 12 + 1);
}

TEST(Simulator, ThePriorityDecidesWhichReadyOpRuns) {
  // After a comes c, on another device; after b nothing.
  const GraphBuilder builder = Siblings().Node("c", kTanh, {"a"}, FloatOp());
  TestStep step(builder, Gpus(2));
  step.Micros({{"a", 10}, {"b", 10}, {"c", 50}}).On(1, {"c"});
  const double early = 10 + 6 + 50, late = 20 + 6 + 50;
  EXPECT_DOUBLE_EQ(step.Run().micros,
                   step.op("a") < step.op("b") ? early : late);
  EXPECT_DOUBLE_EQ(step.Priority("a", 1).Run().micros, early);
  EXPECT_DOUBLE_EQ(step.Priority("b", 2).Run().micros, late);
  EXPECT_DOUBLE_EQ(step.Priority("b", -2).Run().micros, early);
  EXPECT_DOUBLE_EQ(step.Priority("a", -3).Run().micros, late);
}

TEST(Simulator, OfEqualPrioritiesTheFirstToComeRuns) {
  const GraphBuilder builder = GraphBuilder()
                                   .Arg("x", {1})
                                   .Node("first", kTanh, {"x"}, FloatOp())
                                   .Node("then", kTanh, {"first"}, FloatOp())
                                   .Node("long", "Exp", {"x"}, FloatOp())
                                   .Node("late", "Exp", {"long"}, FloatOp());
  TestStep step(builder, Gpus(1));
  step.Micros({{"first", 1}, {"then", 1}, {"long", 10}, {"late", 1}});
  step.Priority("first", 2).Priority("long", 1).Priority("then", 1);
  const Simulation result = step.Run();
  // `long` waits from the start, `then` from 1 on.
  EXPECT_DOUBLE_EQ(step.EndOf(result, "long"), 11);
  EXPECT_DOUBLE_EQ(step.EndOf(result, "then"), 12);
}

TEST(Simulator, AGroupRunsAsOne) {
  const GraphBuilder builder =
      Pair()
          .Node("c", kTanh, {"b"}, FloatOp())
          .Node("d", "Exp", {"a"}, FloatOp())
          .Node("late", "Exp", {"x"}, FloatOp())
          .Node("e", "AddV2", {"b", "late"}, FloatOp());
  TestStep step(builder, Gpus(1));
  step.Micros({{"a", 1}, {"b", 2}, {"c", 3}, {"d", 5}, {"late", 7}});
  step.Group(4, {"a", "b", "c"}).Priority("c", 1);
  Simulation result = step.Run();
  // d reads a, which is there only when the whole group is.
  EXPECT_DOUBLE_EQ(step.EndOf(result, "a"), 10);
  EXPECT_EQ(step.EndOf(result, "b"), -1) << "the group is one task";
  EXPECT_DOUBLE_EQ(result.micros, 10 + 5 + 7);
  EXPECT_EQ(result.tasks[0].group, 0);
  EXPECT_EQ(result.num_tasks, 5) << "x, the group, d, late, e";
}

TEST(Simulator, AGroupStartsWhenAllItsInputsAreThere) {
  const GraphBuilder builder =
      Siblings()
          .Node("first", kTanh, {"a"}, FloatOp())
          .Node("second", "AddV2", {"first", "b"}, FloatOp());
  TestStep step(builder, Gpus(2));
  step.Micros({{"a", 1}, {"b", 20}, {"first", 1}, {"second", 1}})
      .On(1, {"x", "b"})
      .Group(0, {"first", "second"});
  EXPECT_DOUBLE_EQ(step.Run().micros, 20 + 6 + 2);
}

TEST(Simulator, OrderHoldsAnOpBack) {
  TestStep step(Siblings(1), Cpu(2));
  step.Micros({{"a", 30}, {"b", 30}});
  step.input.order = {{step.op("b"), step.op("a")}};
  const Simulation result = step.Run();
  EXPECT_DOUBLE_EQ(step.EndOf(result, "b"), 30);
  EXPECT_DOUBLE_EQ(step.EndOf(result, "a"), 60);
}

TEST(Simulator, ViewsAndConstantsTakeNoTurn) {
  const GraphBuilder builder = GraphBuilder()
                                   .Arg("x", {1})
                                   .Node("a", kTanh, {"x"}, FloatOp())
                                   .Node("view", "Identity", {"a"}, FloatOp())
                                   .Node("b", kTanh, {"view"}, FloatOp())
                                   .Node("c", "Exp", {"x"}, FloatOp());
  TestStep step(builder, Gpus(1));
  const Simulation result = step.Micros({{"a", 10}, {"b", 10}, {"c", 5}}).Run();
  EXPECT_DOUBLE_EQ(result.micros, 25);
  EXPECT_EQ(result.num_tasks, 5);
  EXPECT_EQ(result.tasks.size(), 3u);
}

TEST(Simulator, AGraphOfControlEdgesOnlyRuns) {
  const GraphBuilder builder = GraphBuilder()
                                   .Node("a", "NoOp")
                                   .Node("b", "NoOp", {"^a"})
                                   .Node("c", "NoOp", {"^b", "^a"});
  TestStep step(builder, Gpus(1));
  EXPECT_DOUBLE_EQ(step.Micros({{"b", 3}, {"c", 4}}).Run().micros, 7);
}

TEST(Simulator, RefusesWhatCannotBeSimulated) {
  const auto with = [](void (*change)(TestStep*)) {
    TestStep step(Pair(), Gpus(2));
    change(&step);
    return step.Error();
  };
  const auto has = [](const std::string& text, const char* part) {
    EXPECT_NE(text.find(part), std::string::npos) << text;
  };
  has(with([](TestStep* s) { s->input.micros.pop_back(); }), "micros has 2");
  has(with([](TestStep* s) { s->Micros({{"b", -1}}); }), "(b, Tanh) takes -1");
  has(with([](TestStep* s) { s->Micros({{"b", NAN}}); }), "takes nan");
  has(with([](TestStep* s) { s->input.device = {0}; }), "device has 1 entries");
  has(with([](TestStep* s) { s->On(2, {"b"}); }), "on device 2 of 2");
  has(with([](TestStep* s) { s->On(-1, {"b"}); }), "on device -1 of 2");
  has(with([](TestStep* s) { s->input.group = {-1, 0, 0}; }), "group 0 of 0");
  has(with([](TestStep* s) { s->Group(NAN, {"a"}); }), "overhead of nan");
  has(with([](TestStep* s) {
        s->Group(0, {"a", "b"}).On(1, {"b"});
      }),
      "group 0 has ops on two devices");
  has(with([](TestStep* s) { s->Priority("a", NAN); }), "is not a number");
  has(with([](TestStep* s) { s->input.order = {{0, 3}}; }), "op 3 of 3");
  has(with([](TestStep* s) { s->machine().devices.clear(); }),
      "devices is empty");
  has(with([](TestStep* s) { s->machine().links[0].gbytes_per_s = 0; }),
      "gbytes_per_s");
}

TEST(Simulator, NamesAnOpThatWouldWaitForItself) {
  TestStep ordered(Pair(), Gpus(1));
  ordered.input.order = {{ordered.op("b"), ordered.op("a")}};
  EXPECT_NE(ordered.Error().find("wait for itself"), std::string::npos);
  EXPECT_NE(ordered.Error().find("(a, Tanh)"), std::string::npos);
  // a and c in a group, b between them not.
  TestStep grouped(Pair().Node("c", kTanh, {"b"}, FloatOp()), Gpus(1));
  grouped.Group(1, {"a", "c"});
  EXPECT_NE(grouped.Error().find("wait for itself"), std::string::npos);
}

TEST(Simulator, AnEmptyGroupIsNoTask) {
  TestStep step(Pair(), Gpus(1));
  step.Micros({{"a", 1}, {"b", 1}}).Group(100, {}).Group(1, {"a", "b"});
  const Simulation result = step.Run();
  EXPECT_DOUBLE_EQ(result.micros, 3);
  EXPECT_EQ(result.num_tasks, 2);
}

TEST(Simulator, CountsOpsOfWhichSomeBranchWillNotRun) {
  const GraphBuilder builder =
      GraphBuilder()
          .Arg("x", {4})
          .Arg("taken", {}, kBool)
          .Node("switch", "Switch", {"x", "taken"}, FloatOp())
          .Node("no", "Relu", {"switch:0"}, FloatOp())
          .Node("yes", "Exp", {"switch:1"}, FloatOp())
          .Node("merge", "Merge", {"no", "yes"}, FloatOp())
          .Node("after", "Relu", {"merge"}, FloatOp())
          .Retval("out", "after");
  TestStep step(builder, Gpus(1));
  step.Micros({{"no", 3}, {"yes", 4}, {"after", 1}});
  const Simulation result = step.Run();
  EXPECT_EQ(result.ops_in_branches, 2);
  EXPECT_DOUBLE_EQ(result.micros, 8) << "both branches run";
}

}  // namespace
}  // namespace grappler_go
