// What holds on any graph.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>

#include "cc/sim/simulator_test_util.h"
#include "cc/testing/random_graph.h"

namespace grappler_go {
namespace {

struct RandomStep {
  explicit RandomStep(uint32_t seed) : random(seed) {
    RandomGraphOptions options;
    options.num_ops = 60;
    bytes = RandomGraphDef(options, &random);
    graph.push_back(*OpGraph::Parse(bytes, {}));
    for (int32_t i = 0; i < graph[0].num_ops(); ++i) {
      input.micros.push_back(static_cast<float>(random() % 80));
    }
  }
  void Spread(int32_t num_devices) {
    input.device.clear();
    for (int32_t i = 0; i < graph[0].num_ops(); ++i) {
      input.device.push_back(static_cast<int32_t>(random() % num_devices));
    }
  }
  void Prioritise() {
    input.priority.clear();
    for (int32_t i = 0; i < graph[0].num_ops(); ++i) {
      input.priority.push_back(static_cast<float>(random() % 10));
    }
  }
  Simulation Run(const Machine& machine) const {
    StatusOr<Simulation> result =
        Simulator::Create(graph[0], machine, options)->Run(input);
    EXPECT_TRUE(result.ok()) << result.status().message();
    return *result;
  }
  double Work() const {
    double work = 0;
    for (const float micros : input.micros) work += micros;
    return work;
  }
  double LongestPath() const {
    std::vector<double> end(graph[0].num_ops(), 0.0);
    double longest = 0;
    for (int32_t i = 0; i < graph[0].num_ops(); ++i) {
      for (const InputEdge& e : graph[0].inputs(i)) {
        end[i] = std::max(end[i], end[e.src]);
      }
      end[i] += input.micros[i];
      longest = std::max(longest, end[i]);
    }
    return longest;
  }

  std::mt19937 random;
  std::string bytes;
  std::vector<OpGraph> graph;  // one
  StepInput input;
  SimulatorOptions options;
};

constexpr uint32_t kTrials = 60;
constexpr double kNear = 1e-6;

TEST(SimulatorOnAnyGraph, OneGpuTakesTheSumOfAllOps) {
  for (uint32_t seed = 0; seed < kTrials; ++seed) {
    RandomStep step(seed);
    const Simulation result = step.Run(Gpus(1));
    EXPECT_DOUBLE_EQ(result.micros, step.Work());
    EXPECT_DOUBLE_EQ(result.devices[0].busy_micros, step.Work());
    step.Prioritise();
    EXPECT_DOUBLE_EQ(step.Run(Gpus(1)).micros, step.Work());
  }
}

TEST(SimulatorOnAnyGraph, IsNoShorterThanItsPathsAndItsWork) {
  for (uint32_t seed = 0; seed < kTrials; ++seed) {
    RandomStep step(seed);
    step.Prioritise();
    const double cpu = step.Run(Cpu(3)).micros;
    EXPECT_GE(cpu, step.LongestPath() - kNear);
    EXPECT_GE(cpu, step.Work() / 3 - kNear);
    EXPECT_LE(cpu, 2 * step.Work()) << "nobody idles while work waits";
    step.Spread(3);
    const Simulation result = step.Run(Gpus(3));
    EXPECT_GE(result.micros, step.LongestPath() - kNear);
    EXPECT_GE(result.micros, step.Work() / 3 - kNear);
    EXPECT_LE(result.micros, step.Work() + result.transfer_micros + kNear);
  }
}

// With room for every op and no contention, nothing can be overtaken.
TEST(SimulatorOnAnyGraph, ManyCoresLeaveOnlyTheLongestPath) {
  for (uint32_t seed = 0; seed < kTrials; ++seed) {
    RandomStep step(seed);
    for (float& micros : step.input.micros) {
      micros = std::min(micros, kParallelOpMicros - 1);
    }
    step.options.share_memory_bandwidth = false;
    EXPECT_NEAR(step.Run(Cpu(1000)).micros, step.LongestPath(), kNear);
  }
}

TEST(SimulatorOnAnyGraph, FasterLinksAreNeverSlowerWithoutContention) {
  for (uint32_t seed = 0; seed < kTrials; ++seed) {
    RandomStep step(seed);
    step.Spread(2);
    for (float& micros : step.input.micros) {
      micros = std::min(micros, kParallelOpMicros - 1);
    }
    step.options.share_memory_bandwidth = false;
    // Links that share equally: a faster one finishes every transfer earlier.
    step.options.links = LinkSharing::kEqualShares;
    double last = 1e30;
    for (const double rate : {0.1, 0.3, 1.0, 10.0}) {
      Machine machine = MachineOf("CPU", 2, 1000);
      for (Link& link : machine.links) link.gbytes_per_s = rate;
      const double micros = step.Run(machine).micros;
      EXPECT_LE(micros, last + kNear);
      last = micros;
    }
  }
}

TEST(SimulatorOnAnyGraph, EveryTaskStartsAfterWhatItReads) {
  for (uint32_t seed = 0; seed < kTrials; ++seed) {
    RandomStep step(seed);
    for (float& micros : step.input.micros) micros += 1;
    step.Spread(3);
    step.input.timeline = true;
    const Simulation result = step.Run(MachineOf("CPU", 3, 2));
    const OpGraph& graph = step.graph[0];
    ASSERT_EQ(result.tasks.size(), static_cast<size_t>(graph.num_ops()));
    std::vector<TaskSpan> span(graph.num_ops());
    for (const TaskSpan& task : result.tasks) span[task.op] = task;
    int64_t sent = 0;
    for (const TransferSpan& transfer : result.transfers) {
      EXPECT_GE(transfer.start, span[transfer.op].end);
      EXPECT_EQ(transfer.src, span[transfer.op].device);
      sent += transfer.bytes;
    }
    EXPECT_EQ(sent, result.transfer_bytes);
    for (int32_t i = 0; i < graph.num_ops(); ++i) {
      EXPECT_GE(span[i].end - span[i].start, step.input.micros[i] - kNear);
      for (const InputEdge& e : graph.inputs(i)) {
        const double latency = span[e.src].device == span[i].device ? 0.0 : 5.0;
        EXPECT_GE(span[i].start, span[e.src].end + latency - kNear);
      }
    }
  }
}

TEST(SimulatorOnAnyGraph, ABatchIsAsOneByOne) {
  RandomStep step(3);
  std::vector<StepInput> inputs;
  for (int k = 0; k < 40; ++k) {
    step.Spread(3);
    step.Prioritise();
    inputs.push_back(step.input);
  }
  inputs[17].device[0] = 99;
  const Machine machine = MachineOf("CPU", 3, 2);
  const Simulator simulator = *Simulator::Create(step.graph[0], machine, {});
  for (const int threads : {0, 1, 2, 7, 100}) {
    const std::vector<StatusOr<Simulation>> results =
        simulator.RunAll(inputs, threads);
    ASSERT_EQ(results.size(), inputs.size());
    for (size_t k = 0; k < inputs.size(); ++k) {
      const StatusOr<Simulation> alone = simulator.Run(inputs[k]);
      ASSERT_EQ(results[k].ok(), alone.ok());
      if (!alone.ok()) {
        EXPECT_EQ(results[k].status().message(), alone.status().message());
        continue;
      }
      EXPECT_EQ(results[k]->micros, alone->micros);
      EXPECT_EQ(results[k]->devices[1].peak_bytes,
                alone->devices[1].peak_bytes);
      EXPECT_EQ(results[k]->num_transfers, alone->num_transfers);
    }
  }
  EXPECT_TRUE(simulator.RunAll({}, 0).empty());
}

}  // namespace
}  // namespace grappler_go
