#include <gtest/gtest.h>

#include "cc/graph/wire.h"
#include "cc/plan/build_plan.h"
#include "cc/testing/graph_builder.h"

namespace grappler_go {
namespace {

constexpr char kCpu0[] = "/job:a/replica:0/task:0/device:CPU:0";
constexpr char kCpu1[] = "/job:a/replica:0/task:0/device:CPU:1";
constexpr char kGpu0[] = "/job:a/replica:0/task:0/device:GPU:0";

const GraphBuilder::Attrs kT = {{"T", TypeAttrValue(kFloat)}};

class DecideDevicesTest : public ::testing::Test {
 protected:
  DecideDevicesTest() { AddDevice(kCpu0, "CPU"), AddDevice(kCpu1, "CPU"); }
  void AddDevice(const char* name, const char* type) {
    Device device;
    device.name = name;
    device.type = type;
    machine_.devices.push_back(device);
  }
  // A variable's read, a chain a -> b -> c, and d colocated with b.
  void Build() {
    bytes_ = builder_.Arg("x", {4, 4})
                 .VarArg("v", {4, 4})
                 .Node("read", "ReadVariableOp", {"v"},
                       {{"dtype", TypeAttrValue(kFloat)}}, kCpu0)
                 .Node("a", "Tanh", {"x"}, kT, kCpu0)
                 .Node("b", "Exp", {"a"}, kT, kCpu0)
                 .Node("c", "MatMul", {"b", "read"}, kT, kCpu0)
                 .Node("d", "Neg", {"a"},
                       {{"T", TypeAttrValue(kFloat)},
                        {"_class", StringListAttr({"loc:@b"})}},
                       kCpu0)
                 .Retval("out", "c")
                 .Build();
    graph_ = *OpGraph::Parse(bytes_, {});
    logits_.num_ops = graph_.num_ops();
    logits_.num_devices = static_cast<int32_t>(machine_.devices.size());
    logits_.device.assign(
        static_cast<size_t>(logits_.num_ops) * logits_.num_devices, 0.0f);
  }
  void Like(const char* op, int device, float logit) {
    logits_.device[graph_.find(op) * logits_.num_devices + device] = logit;
  }
  Plan Decide(PlanExplanation* why = nullptr) {
    Plan plan;
    DecideDevices(graph_, machine_, logits_, options_, &plan, why);
    return plan;
  }
  int32_t DeviceOf(const Plan& plan, const char* op) {
    return plan.device.at(graph_.find(op));
  }

  GraphBuilder builder_;
  std::string bytes_;
  OpGraph graph_;
  Machine machine_;
  Logits logits_;
  PlanOptions options_;
};

TEST_F(DecideDevicesTest, EachOpGoesWhereItsLogitIsHighest) {
  Build();
  Like("a", 1, 2.0f);
  Like("c", 0, 1.0f);
  const Plan plan = Decide();
  EXPECT_EQ(plan.devices, (std::vector<std::string>{kCpu0, kCpu1}));
  EXPECT_EQ(DeviceOf(plan, "a"), 1);
  EXPECT_EQ(DeviceOf(plan, "c"), -1) << "it is there already";
}

TEST_F(DecideDevicesTest, ATieLeavesAnOpWhereItWas) {
  Build();
  EXPECT_EQ(Decide().num_moved(), 0);
}

TEST_F(DecideDevicesTest, OneDeviceIsNoChoice) {
  machine_.devices.pop_back();
  Build();
  logits_.device.assign(graph_.num_ops(), 1.0f);
  EXPECT_EQ(Decide().num_moved(), 0);
}

TEST_F(DecideDevicesTest, ColocatedOpsMoveTogetherByTheSumOfTheirLogits) {
  Build();
  Like("b", 1, 3.0f);
  Like("d", 0, 2.0f);
  Plan plan = Decide();
  EXPECT_EQ(DeviceOf(plan, "b"), 1);
  EXPECT_EQ(DeviceOf(plan, "d"), 1);
  Like("d", 0, 4.0f);
  plan = Decide();
  EXPECT_EQ(DeviceOf(plan, "b"), -1);
  EXPECT_EQ(DeviceOf(plan, "d"), -1);
}

TEST_F(DecideDevicesTest, WhatMayNotMoveStaysAndSaysWhy) {
  Build();
  for (const char* op : {"x", "v", "read", "out"}) Like(op, 1, 9.0f);
  PlanExplanation why;
  const Plan plan = Decide(&why);
  EXPECT_EQ(plan.num_moved(), 0);
  EXPECT_EQ(why.per_op[graph_.find("read")], Reason::kUsesVariable);
}

TEST_F(DecideDevicesTest, OpsOnADeviceOfNoMachineStay) {
  builder_.Arg("y", {4}).Node("far", "Tanh", {"y"}, kT,
                              "/job:b/replica:0/task:0/device:CPU:0");
  Build();
  Like("far", 1, 9.0f);
  PlanExplanation why;
  EXPECT_EQ(Decide(&why).num_moved(), 0);
  EXPECT_EQ(why.per_op[graph_.find("far")], Reason::kOtherDevice);
}

TEST_F(DecideDevicesTest, AnotherTypeOfDeviceNeedsAKernel) {
  AddDevice(kGpu0, "GPU");
  Build();
  Like("a", 2, 9.0f);
  Like("c", 2, 9.0f);
  EXPECT_EQ(Decide().num_moved(), 0) << "not known whether there is a kernel";
  options_.has_kernel = [](std::string_view op, std::string_view type) {
    return type == "CPU" || op == "MatMul";
  };
  const Plan plan = Decide();
  EXPECT_EQ(DeviceOf(plan, "a"), -1);
  EXPECT_EQ(DeviceOf(plan, "c"), 2);
}

// A CPU comes first here, and every op stands on it.
TEST_F(DecideDevicesTest,
       WithFreeStateWhatNobodyDecidesIsWhereTensorFlowPutsIt) {
  AddDevice(kGpu0, "GPU");
  AddDevice("/job:a/replica:0/task:0/device:GPU:1", "GPU");
  Build();
  options_.free_state = true;
  for (const bool says_nothing : {true, false}) {
    if (says_nothing) logits_.device.clear();
    const Plan plan = Decide();
    for (const char* op : {"v", "read", "a", "b", "c", "d"}) {
      EXPECT_EQ(DeviceOf(plan, op), 2) << op;
    }
    logits_.device.assign(
        static_cast<size_t>(logits_.num_ops) * logits_.num_devices, 0.0f);
  }
  // Switched off, scores are not heard.
  Like("c", 3, 9.0f);
  EXPECT_EQ(DeviceOf(Decide(), "c"), 3);
  options_.device = false;
  EXPECT_EQ(DeviceOf(Decide(), "c"), 2);
  EXPECT_TRUE(Decide().free_state);
}

}  // namespace
}  // namespace grappler_go
