#include "cc/plan/group_kernels.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "cc/graph/wire.h"
#include "cc/plan/build_plan.h"
#include "cc/plan/simulate_plan.h"
#include "cc/testing/graph_builder.h"

namespace grappler_go {
namespace {

constexpr char kGpu0[] = "/job:a/replica:0/task:0/device:GPU:0";
constexpr double kBytes = 4.0 * 1000 * 1000;  // of each tensor

// a -> b -> sum -> c, a product of b, and d, which reads both.
class GroupKernelsTest : public ::testing::Test {
 protected:
  GroupKernelsTest() {
    const GraphBuilder::Attrs t = {{"T", TypeAttrValue(kFloat)}};
    bytes_ = GraphBuilder()
                 .Arg("x", {1000, 1000})
                 .IntConst("axis", {1}, {1})
                 .Node("a", "Tanh", {"x"}, t)
                 .Node("b", "Neg", {"a"}, t)
                 .Node("product", "MatMul", {"b", "b"}, t)
                 .Node("d", "AddV2", {"product", "a"}, t)
                 .Node("sum", "Sum", {"d", "axis"},
                       {{"T", TypeAttrValue(kFloat)},
                        {"Tidx", TypeAttrValue(kInt32)}})
                 .Node("e", "Exp", {"sum"}, t)
                 .Retval("out", "e")
                 .Build();
    graph_ = *OpGraph::Parse(bytes_, {});
    group_.assign(graph_.num_ops(), -1);
    Device& gpu = machine_.devices.emplace_back();
    gpu.name = kGpu0;
    gpu.type = "GPU";
    gpu.gflops = 1000;
    gpu.gbytes_per_s = 100;
    gpu.dispatch_us = 5;
    plan_.fingerprint = graph_.fingerprint();
    plan_.num_ops = logits_.num_ops = graph_.num_ops();
    plan_.free_state = true;
    logits_.num_devices = 1;
  }
  int32_t Op(const char* name) const { return graph_.find(name); }
  void Group(std::initializer_list<const char*> names) {
    for (const char* name : names) group_[Op(name)] = 0;
  }
  double Micros() {
    plan_.fusion_group = group_;
    StatusOr<std::vector<SimulatedPlan>> step =
        SimulatePlans(graph_, machine_, {plan_}, logits_, options_,
                      SimulatorOptions(), 1, false);
    EXPECT_TRUE(step.ok()) << step.status().message();
    return step.ok() ? step.value()[0].simulation.micros : 0;
  }

  std::string bytes_;
  OpGraph graph_;
  std::vector<int32_t> group_;
  Machine machine_;
  Plan plan_;
  Logits logits_;
  PlanOptions options_;
};

TEST_F(GroupKernelsTest, AKernelIsWhatFeedsEachOtherUpToAProductOrAReduction) {
  Group({"a", "b", "product", "d", "sum", "e"});
  const GroupKernels kernels = KernelsOf(graph_, group_);
  auto kernel = [&](const char* name) { return kernels.of_op[Op(name)]; };
  EXPECT_EQ(kernel("a"), kernel("b"));
  EXPECT_EQ(kernel("product"), -1);
  EXPECT_EQ(kernel("d"), kernel("sum")) << "a reduction takes in its producer";
  EXPECT_NE(kernel("a"), kernel("d")) << "the product is between the two";
  EXPECT_NE(kernel("e"), kernel("sum")) << "and is not taken in";
  EXPECT_EQ(kernels.first_op.size(), 3u);
}

TEST_F(GroupKernelsTest, OnlyWhatEntersAndLeavesAKernelGoesThroughMemory) {
  Group({"a", "b", "product", "d", "sum", "e"});
  const GroupKernels kernels = KernelsOf(graph_, group_);
  auto bytes = [&](const char* name) {
    return kernels.bytes[kernels.of_op[Op(name)]];
  };
  EXPECT_EQ(bytes("a"), 3 * kBytes) << "x in, a and b out";
  EXPECT_EQ(bytes("d"), 2 * kBytes + 4000) << "two in, the sums out";
  EXPECT_EQ(bytes("e"), 2 * 4000);
}

TEST_F(GroupKernelsTest, OtherGroupsAreOutside) {
  Group({"a"});
  group_[Op("b")] = 1;
  const GroupKernels kernels = KernelsOf(graph_, group_);
  EXPECT_NE(kernels.of_op[Op("a")], kernels.of_op[Op("b")]);
  EXPECT_EQ(kernels.bytes[kernels.of_op[Op("b")]], 2 * kBytes);
}

TEST_F(GroupKernelsTest, TheSimulatorTakesALaunchAndATripThroughMemoryLess) {
  const double alone = Micros();
  Group({"a", "b"});
  // b no longer reads a from memory.
  EXPECT_NEAR(alone - Micros(), 5 + kBytes / 100e3, 0.5);
}

TEST_F(GroupKernelsTest, AProductCostsInAGroupWhatItCostsAlone) {
  const double alone = Micros();
  Group({"product"});
  EXPECT_NEAR(Micros(), alone, 1e-3);
}

TEST_F(GroupKernelsTest, GroupsOnAcceleratorsAreForSimulationsOnly) {
  logits_.fusion.assign(graph_.num_ops(), 1.0f);
  for (bool free_state : {false, true}) {
    Plan plan;
    plan.num_ops = graph_.num_ops();
    plan.free_state = free_state;
    DecideFusion(graph_, machine_, logits_, options_, &plan, nullptr);
    EXPECT_EQ(plan.num_groups() > 0, free_state);
  }
}

}  // namespace
}  // namespace grappler_go
