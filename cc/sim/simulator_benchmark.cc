// How long a simulation takes: milliseconds, the best of several runs, for
// synthetic training steps of about 1k, 10k and 80k ops on one CPU of 8 cores
// and spread over 8 GPUs; and how many plans a second a batch simulates.
//
//   simulator_benchmark [runs] [graph.pb ...]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "cc/cost/op_cost.h"
#include "cc/sim/simulator.h"
#include "cc/testing/unrolled_network.h"

namespace grappler_go {
namespace {

template <typename Work>
double BestMilliseconds(int runs, Work work) {
  double best = 1e30;
  for (int run = 0; run < runs; ++run) {
    const auto start = std::chrono::steady_clock::now();
    work();
    const std::chrono::duration<double, std::milli> took =
        std::chrono::steady_clock::now() - start;
    best = std::min(best, took.count());
  }
  return best;
}

Machine MachineOf(const char* type, int count, int cores) {
  Machine machine;
  for (int i = 0; i < count; ++i) {
    Device& device = machine.devices.emplace_back();
    device.name = std::string("/job:a/replica:0/task:0/device:") + type + ":" +
                  std::to_string(i);
    device.type = type;
    device.gflops = 1000;
    device.gbytes_per_s = 100;
    device.cores = cores;
  }
  machine.links.push_back({0, count - 1, 10.0, 10.0});
  if (count == 1) machine.links.clear();
  return machine;
}

// Stretches of ops by number on one device each, ten times round.
StepInput SomeInput(const OpGraph& graph, const Machine& machine) {
  StepInput input;
  const auto count = static_cast<int64_t>(machine.devices.size());
  for (int32_t i = 0; i < graph.num_ops(); ++i) {
    input.micros.push_back(static_cast<float>(RooflineMicros(
        CostOf(graph, i), graph.def(i).op_class, machine.devices[0])));
    input.device.push_back(static_cast<int32_t>(int64_t{i} * 10 * count /
                                                graph.num_ops() % count));
    input.priority.push_back(static_cast<float>((i * 7919) % 32));
  }
  return input;
}

void Measure(const char* label, const std::string& bytes, int runs) {
  const StatusOr<OpGraph> graph = OpGraph::Parse(bytes, {});
  if (!graph.ok()) {
    std::fprintf(stderr, "%s\n", graph.status().message().c_str());
    std::exit(1);
  }
  for (const Machine& machine :
       {MachineOf("CPU", 1, 8), MachineOf("GPU", 8, 1)}) {
    const double create = BestMilliseconds(
        runs, [&] { (void)Simulator::Create(*graph, machine, {}).ok(); });
    const Simulator simulator = *Simulator::Create(*graph, machine, {});
    const StepInput input = SomeInput(*graph, machine);
    const double run =
        BestMilliseconds(runs, [&] { (void)simulator.Run(input).ok(); });
    const std::vector<StepInput> batch(16, input);
    const double all =
        BestMilliseconds(1, [&] { (void)simulator.RunAll(batch); });
    const Simulation result = *simulator.Run(input);
    std::printf("%-10s %7d %2zu %s %10.2f %9.2f %10.0f %10.2f %9lld\n", label,
                graph->num_ops(), machine.devices.size(),
                machine.devices[0].type.c_str(), create, run,
                1e3 * static_cast<double>(batch.size()) / all,
                result.micros / 1e3,
                static_cast<long long>(result.num_transfers));
  }
}

}  // namespace
}  // namespace grappler_go

int main(int argc, char** argv) {
  const int runs = argc > 1 ? std::max(1, std::atoi(argv[1])) : 10;
  std::printf("%-10s %7s %6s %10s %9s %10s %10s %9s\n", "graph", "ops",
              "machine", "create ms", "run ms", "batch 1/s", "step ms",
              "transfers");
  for (int k = 2; k < argc; ++k) {
    std::ifstream file(argv[k], std::ios::binary);
    const std::string bytes((std::istreambuf_iterator<char>(file)),
                            std::istreambuf_iterator<char>());
    grappler_go::Measure("file", bytes, runs);
  }
  if (argc > 2) return 0;
  for (int nodes : {1000, 10000, 80000}) {
    grappler_go::Measure("unrolled", grappler_go::UnrolledNetwork(nodes), runs);
  }
}
