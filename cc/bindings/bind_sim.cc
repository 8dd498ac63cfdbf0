// The simulator in Python.
#include <pybind11/stl.h>

#include <string>
#include <utility>
#include <vector>

#include "cc/bindings/arrays.h"
#include "cc/bindings/bindings.h"
#include "cc/bindings/dict_fields.h"
#include "cc/bindings/logits_arrays.h"
#include "cc/bindings/status_casters.h"
#include "cc/plan/simulate_plan.h"
#include "cc/sim/simulator.h"

namespace py = pybind11;

namespace grappler_go {
namespace {

SimulatorOptions OptionsFrom(const py::dict& values) {
  SimulatorOptions options;
  DictReader reader(values, "simulator option");
  reader("inter_op_threads", options.inter_op_threads);
  reader("share_memory_bandwidth", options.share_memory_bandwidth);
  reader("max_runs", options.max_runs);
  const py::object links = reader.Take("links");
  reader.Done();
  if (links.is_none()) return options;
  const std::string name = py::str(links);
  if (name == "equal_shares") {
    options.links = LinkSharing::kEqualShares;
  } else if (name != "one_at_a_time") {
    throw py::value_error("simulator option \"links\": " + name +
                          "; known are one_at_a_time and equal_shares");
  }
  return options;
}

// One field of each span, as an array.
template <typename T, typename Span>
void AddColumn(py::dict* columns, const char* name,
               const std::vector<Span>& spans, T Span::*field) {
  using Value = std::conditional_t<std::is_same_v<T, bool>, uint8_t, T>;
  std::vector<Value> values;
  values.reserve(spans.size());
  for (const Span& span : spans) values.push_back(span.*field);
  (*columns)[name] = Owned(std::move(values));
}

py::dict TasksToDict(const std::vector<TaskSpan>& tasks) {
  py::dict columns;
  AddColumn(&columns, "op", tasks, &TaskSpan::op);
  AddColumn(&columns, "group", tasks, &TaskSpan::group);
  AddColumn(&columns, "run", tasks, &TaskSpan::run);
  AddColumn(&columns, "is_clone", tasks, &TaskSpan::is_clone);
  AddColumn(&columns, "device", tasks, &TaskSpan::device);
  AddColumn(&columns, "start", tasks, &TaskSpan::start);
  AddColumn(&columns, "end", tasks, &TaskSpan::end);
  return columns;
}

py::dict TransfersToDict(const std::vector<TransferSpan>& transfers) {
  py::dict columns;
  AddColumn(&columns, "op", transfers, &TransferSpan::op);
  AddColumn(&columns, "port", transfers, &TransferSpan::port);
  AddColumn(&columns, "src", transfers, &TransferSpan::src);
  AddColumn(&columns, "dst", transfers, &TransferSpan::dst);
  AddColumn(&columns, "bytes", transfers, &TransferSpan::bytes);
  AddColumn(&columns, "start", transfers, &TransferSpan::start);
  AddColumn(&columns, "end", transfers, &TransferSpan::end);
  return columns;
}

py::dict SimulationToDict(const Simulation& simulation, int32_t ops_elsewhere,
                          bool timeline) {
  py::list devices;
  for (const DeviceUse& use : simulation.devices) {
    py::dict values;
    values["busy_micros"] = use.busy_micros;
    values["core_micros"] = use.core_micros;
    values["tasks"] = use.tasks;
    values["resident_bytes"] = use.resident_bytes;
    values["peak_bytes"] = use.peak_bytes;
    values["peak_at_micros"] = use.peak_at_micros;
    values["out_of_memory"] = use.out_of_memory;
    devices.append(std::move(values));
  }
  py::dict values;
  values["micros"] = simulation.micros;
  values["out_of_memory"] = simulation.out_of_memory;
  values["devices"] = std::move(devices);
  values["num_tasks"] = simulation.num_tasks;
  values["num_transfers"] = simulation.num_transfers;
  values["transfer_bytes"] = simulation.transfer_bytes;
  values["transfer_micros"] = simulation.transfer_micros;
  values["unknown_outputs"] = simulation.unknown_outputs;
  values["loops_unrolled"] = simulation.loops_unrolled;
  values["loops_run_once"] = simulation.loops_run_once;
  values["ops_in_branches"] = simulation.ops_in_branches;
  values["ops_elsewhere"] = ops_elsewhere;
  if (timeline) {
    values["tasks"] = TasksToDict(simulation.tasks);
    values["transfers"] = TransfersToDict(simulation.transfers);
  }
  return values;
}

py::list Simulate(const PyOpGraph& graph, const PyMachine& machine,
                  const py::list& plans, const py::dict& logits,
                  const py::dict& options, const py::dict& plan_options,
                  int32_t threads, bool timeline) {
  const auto num_devices =
      static_cast<int32_t>(machine.machine->devices.size());
  const Logits scores =
      ValueOrThrow(LogitsFromDict(logits, graph.graph->num_ops(), num_devices));
  const SimulatorOptions simulator_options = OptionsFrom(options);
  const auto group_costs = FromDict<PlanOptions>(plan_options, "plan option");
  // Copies: Python may change a plan meanwhile.
  std::vector<Plan> copies;
  for (const py::handle plan : plans) {
    copies.push_back(plan.cast<const Plan&>());
  }
  const std::vector<SimulatedPlan> simulated = ValueOrThrow(WithoutGil([&] {
    return SimulatePlans(*graph.graph, *machine.machine, copies, scores,
                         group_costs, simulator_options, threads, timeline);
  }));
  py::list results;
  for (const SimulatedPlan& one : simulated) {
    results.append(
        SimulationToDict(one.simulation, one.ops_elsewhere, timeline));
  }
  return results;
}

}  // namespace

void BindSim(py::module_& m) {
  m.def("simulate", &Simulate, py::arg("graph"), py::arg("machine"),
        py::arg("plans"), py::arg("logits") = py::dict(),
        py::arg("options") = py::dict(), py::arg("plan_options") = py::dict(),
        py::arg("threads") = 0, py::arg("timeline") = false,
        "One step of the graph under each plan, as dicts; times in "
        "microseconds. `logits` may give op_micros and fused_micros in place "
        "of rooflines, and schedule as the priority. Options: links "
        "(one_at_a_time, equal_shares), inter_op_threads, "
        "share_memory_bandwidth, max_runs. ValueError for a plan that does "
        "not fit. The same whatever the number of threads.");
}

}  // namespace grappler_go
