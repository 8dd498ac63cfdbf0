#include "cc/plan/simulate_plan.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "cc/cost/op_cost.h"
#include "cc/graph/wire.h"
#include "cc/testing/graph_builder.h"

namespace grappler_go {
namespace {

constexpr char kCpu0[] = "/job:a/replica:0/task:0/device:CPU:0";
constexpr char kCpu1[] = "/job:a/replica:0/task:0/device:CPU:1";

class SimulatePlanTest : public ::testing::Test {
 protected:
  SimulatePlanTest() {
    const GraphBuilder::Attrs t = {{"T", TypeAttrValue(kFloat)}};
    bytes_ = GraphBuilder()
                 .Arg("x", {100, 100})
                 .Node("a", "Tanh", {"x"}, t, kCpu0)
                 .Node("b", "Exp", {"a"}, t, kCpu0)
                 .Node("c", "MatMul", {"b", "b"}, t, kCpu0)
                 .Retval("out", "c")
                 .Build();
    graph_ = *OpGraph::Parse(bytes_, {});
    plan_.fingerprint = graph_.fingerprint();
    plan_.num_ops = logits_.num_ops = graph_.num_ops();
    for (const char* name : {kCpu0, kCpu1}) {
      Device& device = machine_.devices.emplace_back();
      device.name = name;
      device.type = "CPU";
    }
    machine_.devices[1].gflops = 10;
    logits_.num_devices = 2;
  }
  int32_t Op(const char* name) const { return graph_.find(name); }
  StatusOr<PlannedStep> Step() const {
    return StepOfPlan(graph_, machine_, plan_, logits_, options_);
  }
  void GiveTimes(float alone, float fused) {
    logits_.op_micros.assign(plan_.num_ops, alone);
    logits_.fused_micros.assign(plan_.num_ops, fused);
  }

  std::string bytes_;
  OpGraph graph_;
  Machine machine_;
  Plan plan_;
  Logits logits_;
  PlanOptions options_;
};

TEST_F(SimulatePlanTest, AnEmptyPlanIsTheGraphAsItStands) {
  const PlannedStep step = *Step();
  EXPECT_EQ(step.ops_elsewhere, 2) << "the argument and the result";
  for (int32_t i = 0; i < graph_.num_ops(); ++i) {
    EXPECT_EQ(step.input.device[i], 0);
    EXPECT_FLOAT_EQ(
        step.input.micros[i],
        static_cast<float>(RooflineMicros(
            CostOf(graph_, i), graph_.def(i).op_class, machine_.devices[0])));
  }
  EXPECT_TRUE(step.input.group.empty());
  EXPECT_TRUE(Simulator::Create(graph_, machine_, {})->Run(step.input).ok());
}

TEST_F(SimulatePlanTest, AMovedOpTakesItsTimeOnItsNewDevice) {
  plan_.devices = {kCpu1};
  plan_.device.assign(plan_.num_ops, -1);
  plan_.device[Op("c")] = 0;
  const PlannedStep step = *Step();
  EXPECT_EQ(step.input.device[Op("c")], 1);
  EXPECT_EQ(step.input.device[Op("b")], 0);
  EXPECT_FLOAT_EQ(
      step.input.micros[Op("c")],
      static_cast<float>(RooflineMicros(
          CostOf(graph_, Op("c")), OpClass::kMatMul, machine_.devices[1])));
}

TEST_F(SimulatePlanTest, AGroupTakesWhatItsOpsTakeCompiledAndItsOverhead) {
  GiveTimes(10, 2);
  plan_.fusion_group.assign(plan_.num_ops, -1);
  plan_.fusion_group[Op("a")] = plan_.fusion_group[Op("b")] = 0;
  options_.group_launch_micros = 20;
  options_.group_tensor_micros = 5;
  options_.group_output_micros_per_mb = 100;
  const PlannedStep step = *Step();
  // x enters, b of 40,000 bytes leaves; b is stored, for it is read twice.
  ASSERT_EQ(step.input.group_overhead.size(), 1u);
  EXPECT_FLOAT_EQ(step.input.group_overhead[0], 20 + 2 * 5 + 0.04f * 100);
  EXPECT_FLOAT_EQ(step.input.micros[Op("a")], 2);
  EXPECT_FLOAT_EQ(step.input.micros[Op("c")], 10);
  EXPECT_EQ(step.input.group, plan_.fusion_group);
}

TEST_F(SimulatePlanTest, TheScheduleIsThePriority) {
  logits_.schedule = {5, 4, 3, 2, 1};
  EXPECT_EQ(Step()->input.priority, logits_.schedule);
}

TEST_F(SimulatePlanTest, RefusesAPlanOfAnotherGraphOrMachine) {
  plan_.devices = {"/job:b/replica:0/task:7/device:CPU:0"};
  plan_.device.assign(plan_.num_ops, -1);
  plan_.device[Op("c")] = 0;
  StatusOr<PlannedStep> step = Step();
  ASSERT_FALSE(step.ok());
  EXPECT_NE(step.status().message().find("(c) is on /job:b"), std::string::npos)
      << step.status().message();
  plan_.device.clear();
  plan_.num_ops = 3;
  step = Step();
  ASSERT_FALSE(step.ok());
  EXPECT_NE(step.status().message().find("another graph"), std::string::npos);
  plan_.num_ops = graph_.num_ops();
  machine_.devices.clear();
  EXPECT_FALSE(Step().ok());
}

TEST_F(SimulatePlanTest, ManyPlansAreSimulatedAsEachAlone) {
  GiveTimes(10, 2);
  std::vector<Plan> plans(5, plan_);
  plans[1].devices = plans[4].devices = {kCpu1};
  for (Plan* plan : {&plans[1], &plans[4]}) {
    plan->device.assign(plan->num_ops, -1);
    plan->device[Op("c")] = 0;
  }
  plans[4].order = {{Op("a"), Op("c")}};
  for (const int32_t threads : {0, 1, 3}) {
    const std::vector<SimulatedPlan> results = *SimulatePlans(
        graph_, machine_, plans, logits_, options_, {}, threads, false);
    ASSERT_EQ(results.size(), plans.size());
    for (size_t k = 0; k < plans.size(); ++k) {
      plan_ = plans[k];
      const PlannedStep step = *Step();
      EXPECT_EQ(
          results[k].simulation.micros,
          Simulator::Create(graph_, machine_, {})->Run(step.input)->micros);
      EXPECT_EQ(results[k].ops_elsewhere, 2);
    }
    EXPECT_LT(results[0].simulation.micros, results[1].simulation.micros);
  }
  plans[2].num_ops = 1;
  EXPECT_FALSE(
      SimulatePlans(graph_, machine_, plans, logits_, options_, {}, 2, false)
          .ok());
}

}  // namespace
}  // namespace grappler_go
