// A graph, a machine and what is simulated, by the names of ops. Test-only.
#ifndef GRAPPLER_GO_SIM_SIMULATOR_TEST_UTIL_H_
#define GRAPPLER_GO_SIM_SIMULATOR_TEST_UTIL_H_

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "cc/graph/wire.h"
#include "cc/sim/simulator.h"
#include "cc/testing/graph_builder.h"

namespace grappler_go {

inline GraphBuilder::Attrs FloatOp() { return {{"T", TypeAttrValue(kFloat)}}; }

// Devices of 1 GB/s, 1000 bytes a microsecond, with links of 1 GB/s and 5
// microseconds.
inline Machine MachineOf(const std::string& type, int32_t count,
                         int32_t cores = 1) {
  Machine machine;
  for (int32_t i = 0; i < count; ++i) {
    Device& device = machine.devices.emplace_back();
    device.name =
        "/job:a/replica:0/task:0/device:" + type + ":" + std::to_string(i);
    device.type = type;
    device.gbytes_per_s = 1;
    device.cores = cores;
    for (int32_t j = 0; j < count; ++j) {
      if (i != j) machine.links.push_back({i, j, 1.0, 5.0});
    }
  }
  return machine;
}
inline Machine Gpus(int32_t count) { return MachineOf("GPU", count); }
inline Machine Cpu(int32_t cores) { return MachineOf("CPU", 1, cores); }

class TestStep {
 public:
  TestStep(const GraphBuilder& builder, Machine machine)
      : machine_(std::move(machine)), bytes_(builder.Build()) {
    StatusOr<OpGraph> parsed = OpGraph::Parse(bytes_, {});
    EXPECT_TRUE(parsed.ok()) << parsed.status().message();
    graph_.push_back(std::move(*parsed));
    input.micros.assign(graph().num_ops(), 0.0f);
    input.timeline = true;
  }

  const OpGraph& graph() const { return graph_[0]; }
  Machine& machine() { return machine_; }
  int32_t op(const std::string& name) const {
    const int32_t found = graph().find(name);
    EXPECT_GE(found, 0) << name;
    return found;
  }

  TestStep& Micros(const std::vector<std::pair<std::string, float>>& micros) {
    for (const auto& [name, value] : micros) input.micros[op(name)] = value;
    return *this;
  }
  TestStep& On(int32_t device, const std::vector<std::string>& names) {
    input.device.resize(graph().num_ops(), 0);
    for (const std::string& name : names) input.device[op(name)] = device;
    return *this;
  }
  TestStep& Group(float overhead, const std::vector<std::string>& names) {
    input.group.resize(graph().num_ops(), -1);
    for (const std::string& name : names) {
      input.group[op(name)] = static_cast<int32_t>(input.group_overhead.size());
    }
    input.group_overhead.push_back(overhead);
    return *this;
  }
  TestStep& Priority(const std::string& name, float priority) {
    input.priority.resize(graph().num_ops(), 0.0f);
    input.priority[op(name)] = priority;
    return *this;
  }
  TestStep& Recompute(const std::vector<std::string>& names) {
    input.recompute.resize(graph().num_ops(), 0);
    for (const std::string& name : names) input.recompute[op(name)] = 1;
    return *this;
  }

  StatusOr<Simulation> TryRun() const {
    StatusOr<Simulator> simulator =
        Simulator::Create(graph(), machine_, options);
    if (!simulator.ok()) return simulator.status();
    return simulator->Run(input);
  }
  Simulation Run() const {
    StatusOr<Simulation> result = TryRun();
    EXPECT_TRUE(result.ok()) << result.status().message();
    return result.ok() ? std::move(*result) : Simulation();
  }
  std::string Error() const {
    StatusOr<Simulation> result = TryRun();
    EXPECT_FALSE(result.ok());
    return result.ok() ? "" : result.status().message();
  }

  // When the (first) task of an op ended, -1: it is not in the timeline.
  double EndOf(const Simulation& result, const std::string& name) const {
    for (const TaskSpan& span : result.tasks) {
      if (span.op == op(name)) return span.end;
    }
    return -1;
  }

  StepInput input;
  SimulatorOptions options;

 private:
  Machine machine_;
  std::string bytes_;           // `graph_` views them
  std::vector<OpGraph> graph_;  // one
};

}  // namespace grappler_go

#endif  // GRAPPLER_GO_SIM_SIMULATOR_TEST_UTIL_H_
