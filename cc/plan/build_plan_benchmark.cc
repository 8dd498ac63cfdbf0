// How long plan building takes, part by part:
//   build_plan_benchmark [graph.pb ...]
// Without files: random graphs of about 1k, 10k and 80k ops.
#include <algorithm>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <functional>
#include <iterator>

#include "cc/plan/build_plan.h"
#include "cc/plan/contraction.h"
#include "cc/testing/random_graph.h"

namespace grappler_go {
namespace {

// Processor time: a busy machine does not count.
double Millis(const std::function<void()>& work) {
  constexpr int kRuns = 7;
  std::vector<double> times;
  for (int run = 0; run < kRuns; ++run) {
    const std::clock_t begin = std::clock();
    work();
    times.push_back(1e3 * static_cast<double>(std::clock() - begin) /
                    CLOCKS_PER_SEC);
  }
  std::sort(times.begin(), times.end());
  return times[kRuns / 2];
}

// Most ops willing, now and then one that is not: many groups to merge.
Logits SomeLogits(int32_t num_ops, std::mt19937* random) {
  Logits logits;
  logits.num_ops = num_ops;
  logits.num_devices = 2;
  for (int32_t i = 0; i < num_ops; ++i) {
    const bool willing = (*random)() % 20 != 0;
    logits.fusion.push_back(willing ? static_cast<float>((*random)() % 1000 + 1)
                                    : 0.0f);
    logits.op_micros.push_back(20.0f);
    logits.fused_micros.push_back(2.0f);
    logits.device.push_back(static_cast<float>((*random)() % 100));
    logits.device.push_back(static_cast<float>((*random)() % 100));
  }
  return logits;
}

void Measure(const char* label, const std::string& bytes) {
  const StatusOr<OpGraph> graph = OpGraph::Parse(bytes, {});
  if (!graph.ok()) {
    std::printf("%s: %s\n", label, graph.status().message().c_str());
    return;
  }
  std::mt19937 random(1);
  const Logits logits = SomeLogits(graph->num_ops(), &random);
  Machine machine;
  machine.devices.resize(2);
  machine.devices[0].name = "/job:a/replica:0/task:0/device:CPU:0";
  machine.devices[1].name = "/job:a/replica:0/task:0/device:CPU:1";
  for (Device& d : machine.devices) d.type = "CPU";
  const PlanOptions options;
  PlanExplanation why;
  Plan plan;
  const double device = Millis(
      [&] { DecideDevices(*graph, machine, logits, options, &plan, &why); });
  plan.device.clear();
  const double fusion = Millis(
      [&] { DecideFusion(*graph, machine, logits, options, &plan, &why); });
  const double memory =
      Millis([&] { DecideMemory(*graph, machine, logits, options, &plan); });
  const double all = Millis(
      [&] { plan = *BuildPlan(*graph, machine, logits, options, &why); });
  const double validate =
      Millis([&] { (void)ValidatePlan(plan, *graph).ok(); });
  int32_t grouped = 0;
  for (int32_t g : plan.fusion_group) grouped += g >= 0;
  std::printf(
      "%-8s %6d ops %6d in %5d groups | ms: device %.2f  fusion %.2f  "
      "memory %.2f  all %.2f  validate %.2f\n",
      label, graph->num_ops(), grouped, plan.num_groups(), device, fusion,
      memory, all, validate);
}

}  // namespace
}  // namespace grappler_go

int main(int argc, char** argv) {
  for (int k = 1; k < argc; ++k) {
    std::ifstream file(argv[k], std::ios::binary);
    const std::string bytes((std::istreambuf_iterator<char>(file)),
                            std::istreambuf_iterator<char>());
    grappler_go::Measure(argv[k], bytes);
  }
  if (argc > 1) return 0;
  for (int num_ops : {1000, 10000, 80000}) {
    std::mt19937 random(1);
    grappler_go::RandomGraphOptions options;
    options.num_ops = num_ops;
    options.window = 200;
    options.variables = 0.05;
    options.control = 0.05;
    grappler_go::Measure("random",
                         grappler_go::RandomGraphDef(options, &random));
  }
}
