#include "cc/sim/simulator.h"

#include <algorithm>
#include <string>

#include "cc/base/parallel.h"
#include "cc/cost/op_cost.h"
#include "cc/sim/op_memory.h"
#include "cc/sim/step_facts.h"
#include "cc/sim/step_graph.h"
#include "cc/sim/step_run.h"

namespace grappler_go {
namespace {

// A link for each pair of devices has a number.
constexpr size_t kMaxDevices = 4096;

Storage StorageOf(const OpGraph& graph, int32_t op) {
  if (IsAlwaysThere(graph, op)) return Storage::kResident;
  // Switch, Merge and the like hand their input on.
  const Span<InputEdge> inputs = graph.inputs(op);
  const bool has_data = !inputs.empty() && inputs[0].port != kControlPort;
  if (has_data && graph.has(op, kControlFlow)) return Storage::kView;
  if (IsView(graph, op)) return Storage::kView;
  return graph.num_outputs(op) == 1 && MayWriteInPlace(graph.def(op).op_class)
             ? Storage::kInPlace
             : Storage::kAllocated;
}

Status CheckEdges(const OpGraph& graph) {
  for (int32_t i = 0; i < graph.num_ops(); ++i) {
    for (const InputEdge& e : graph.inputs(i)) {
      if (e.port < graph.num_outputs(e.src)) continue;
      return InvalidArgument("simulate: " + NameOfOp(graph, i) +
                             " reads output " + std::to_string(e.port) +
                             " of " + NameOfOp(graph, e.src) + ", which has " +
                             std::to_string(graph.num_outputs(e.src)));
    }
  }
  return OkStatus();
}

}  // namespace

StatusOr<Simulator> Simulator::Create(const OpGraph& graph,
                                      const Machine& machine,
                                      const SimulatorOptions& options) {
  GO_RETURN_IF_ERROR(machine.Validate());
  if (machine.devices.size() > kMaxDevices) {
    return InvalidArgument("simulate: the machine has " +
                           std::to_string(machine.devices.size()) +
                           " devices; at most " + std::to_string(kMaxDevices));
  }
  GO_RETURN_IF_ERROR(CheckEdges(graph));
  auto facts = std::make_shared<StepFacts>();
  facts->graph = &graph;
  facts->machine = &machine;
  facts->options = options;
  facts->loops = FindLoops(graph, options.max_runs);
  facts->missing_link = SlowestLink(machine);
  facts->resident_bytes = ResidentBytes(graph);
  const int32_t n = graph.num_ops();
  facts->storage.resize(n);
  facts->moved_bytes.resize(n);
  facts->first_tensor.reserve(n + 1);
  for (int32_t i = 0; i < n; ++i) {
    facts->storage[i] = StorageOf(graph, i);
    facts->ops_in_branches +=
        graph.has(i, kConditional) && !graph.has(i, kInLoop | kControlFlow);
    if (options.share_memory_bandwidth) {
      const OpCost cost = CostOf(graph, i);
      facts->moved_bytes[i] =
          static_cast<float>(cost.bytes_read + cost.bytes_written);
    }
    facts->first_tensor.push_back(
        static_cast<int32_t>(facts->tensor_bytes.size()));
    for (int32_t port = 0; port < graph.num_outputs(i); ++port) {
      const int64_t bytes = graph.bytes(i, port);
      if (bytes < 0) ++facts->unknown_outputs;
      facts->tensor_bytes.push_back(std::max<int64_t>(bytes, 0));
    }
  }
  facts->first_tensor.push_back(
      static_cast<int32_t>(facts->tensor_bytes.size()));
  if (facts->loops.runs.empty()) {
    facts->plain = std::make_shared<const StepGraph>(BuildPlainGraph(*facts));
  }
  return Simulator(std::move(facts));
}

StatusOr<Simulation> Simulator::Run(const StepInput& input) const {
  GO_RETURN_IF_ERROR(CheckStepInput(*facts_, input));
  const StepGraph step = BuildStepGraph(*facts_, input);
  return RunStep(*facts_, step, input.timeline);
}

std::vector<StatusOr<Simulation>> Simulator::RunAll(
    const std::vector<StepInput>& inputs, int32_t threads) const {
  std::vector<StatusOr<Simulation>> results(
      inputs.size(), StatusOr<Simulation>(Internal("simulate: not run")));
  ParallelFor(inputs.size(), threads,
              [&](size_t k) { results[k] = Run(inputs[k]); });
  return results;
}

}  // namespace grappler_go
