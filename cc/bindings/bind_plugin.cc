// The pass itself, its configuration and its reports in Python.
#include <pybind11/stl.h>

#include <utility>

#include "cc/bindings/bindings.h"
#include "cc/bindings/dict_fields.h"
#include "cc/bindings/status_casters.h"
#include "cc/plugin/call_mode.h"
#include "cc/plugin/capture.h"
#include "cc/plugin/config.h"
#include "cc/plugin/freed_memory.h"
#include "cc/plugin/optimize.h"
#include "cc/plugin/plan_cache.h"
#include "cc/plugin/registration.h"
#include "cc/plugin/report.h"

namespace py = pybind11;

namespace grappler_go {
namespace {

// All but policy and machine, which are objects in Python.
template <typename Visitor>
void VisitFields(Visitor& visit, Config& config) {
  visit("enabled", config.enabled);
  VisitFields(visit, config.plan);
  visit("budget_ms", config.budget_ms);
  visit("search_ms", config.search_ms);
  visit("keep_memory", config.keep_memory);
  visit("fuse_updates", config.fuse_updates);
  visit("compile_loops", config.compile_loops);
  visit("flatten_rows", config.flatten_rows);
  visit("min_ops", config.min_ops);
  visit("max_shapes", config.max_shapes);
  visit("record_dir", config.record_dir);
  visit("capture", config.capture);
  visit("policy_spec", config.policy_spec);
  visit("devices_exist", config.devices_exist);
  visit("plan_folders", config.plan_folders);
}

template <typename Visitor>
void VisitFields(Visitor& visit, Report& report) {
  visit("id", report.id);
  visit("fetches", report.fetches);
  visit("num_nodes", report.num_nodes);
  visit("graph_bytes", report.graph_bytes);
  visit("applied", report.applied);
  visit("outcome", report.outcome);
  visit("notes", report.notes);
  visit("policy", report.policy);
  visit("updates", report.updates);
  visit("loops", report.loops);
  visit("moved", report.moved);
  visit("groups", report.groups);
  visit("grouped_ops", report.grouped_ops);
  visit("recomputed", report.recomputed);
  visit("ordered", report.ordered);
  visit("nodes_after", report.nodes_after);
  visit("micros_before", report.micros_before);
  visit("micros_after", report.micros_after);
  visit("peak_bytes_before", report.peak_bytes_before);
  visit("peak_bytes_after", report.peak_bytes_after);
  visit("left_out", report.left_out);
  visit("timing_ms", report.timing_ms);
}

Config ConfigFromDict(const py::dict& values) {
  Config config;
  DictReader reader(values, "setting");
  VisitFields(reader, config);
  const py::object policy = reader.Take("policy");
  const py::object machine = reader.Take("machine");
  reader.Done();
  if (!policy.is_none()) {
    if (!py::isinstance<Policy>(policy)) {
      throw py::type_error("setting \"policy\" is neither a Policy nor None");
    }
    config.policy = policy.cast<std::shared_ptr<Policy>>();
  }
  if (!machine.is_none()) {
    if (!py::isinstance<PyMachine>(machine)) {
      throw py::type_error("setting \"machine\" is neither a Machine nor None");
    }
    config.machine = *machine.cast<PyMachine>().machine;
  }
  return config;
}

py::dict ConfigToDict(const Config& config) {
  Config copy = config;
  DictWriter writer;
  VisitFields(writer, copy);
  writer.values()["policy"] = config.policy;
  if (config.machine.devices.empty()) {
    writer.values()["machine"] = py::none();
  } else {
    writer.values()["machine"] =
        PyMachine{std::make_shared<const Machine>(config.machine)};
  }
  return writer.values();
}

py::dict ReportToDict(Report report) {
  DictWriter writer;
  VisitFields(writer, report);
  writer.values()["fingerprint"] = report.fingerprint.ToString();
  return writer.values();
}

py::dict Optimize(const py::bytes& graphdef, std::vector<std::string> fetches,
                  std::vector<std::string> preserve,
                  const std::optional<py::dict>& settings, bool keep_graphdef) {
  const Config config = settings.has_value() ? ConfigFromDict(*settings)
                                             : *WithoutGil(&CurrentConfig);
  OptimizeInput input;
  input.graphdef = graphdef;
  input.fetches = std::move(fetches);
  input.preserve = std::move(preserve);
  OptimizeResult result =
      WithoutGil([&] { return OptimizeGraph(input, config); });
  py::dict values;
  values["applied"] = result.applied;
  values["graphdef"] = result.applied && keep_graphdef
                           ? py::object(Bytes(result.graphdef))
                           : py::none();
  values["report"] = ReportToDict(std::move(result.report));
  values["plan"] = std::move(result.plan);
  values["why"] = ExplanationToDict(result.why);
  return values;
}

py::list CapturedToList(const std::vector<CapturedGraph>& graphs) {
  py::list values;
  for (const CapturedGraph& graph : graphs) {
    py::dict value;
    value["graphdef"] = Bytes(graph.graphdef);
    value["fetches"] = py::cast(graph.fetches);
    value["preserve"] = py::cast(graph.preserve);
    values.append(std::move(value));
  }
  return values;
}

py::dict PlanCacheKeyToDict(const PyOpGraph& graph,
                            const std::optional<PyMachine>& machine) {
  const PlanCacheKey key = WithoutGil([&] {
    return MakePlanCacheKey(
        *graph.graph, machine.has_value() ? *machine->machine : Machine());
  });
  py::dict values;
  values["graph"] = key.graph;
  values["cpu"] = key.cpu;
  values["cores"] = key.cores;
  values["devices"] = key.devices;
  values["tensorflow"] = key.tensorflow;
  py::dict result;
  result["file_name"] = key.FileName();
  result["key"] = std::move(values);
  return result;
}

}  // namespace

void BindPlugin(py::module_& m) {
  m.def(
      "optimize", &Optimize, py::arg("graphdef"), py::arg("fetches"),
      py::arg("preserve"), py::arg("config") = py::none(),
      py::arg("keep_graphdef") = true,
      "The whole pass over one graph: a dict of applied, graphdef (None "
      "unless applied), report, plan, why. Never fails for what is wrong with "
      "the graph or the policy: report[\"outcome\"] says it. Without a config, "
      "the process's is used. keep_graphdef=False: to see what it takes.");
  m.def(
      "set_config",
      [](const py::dict& settings) {
        Config config = ConfigFromDict(settings);
        WithoutGil([&] { SetConfig(std::move(config)); });
      },
      py::arg("config"),
      "Replaces the process's configuration as a whole; what is missing gets "
      "its default. TypeError for a key that does not exist.");
  m.def("current_config",
        [] { return ConfigToDict(*WithoutGil(&CurrentConfig)); });
  m.def("default_plan_folders", &DefaultPlanFolders,
        "Where measured plans are kept: GRAPPLER_GO_PLANS, or the user's "
        "cache.");
  m.def("plan_cache_key", &PlanCacheKeyToDict, py::arg("graph"),
        py::arg("machine") = py::none(),
        "{\"file_name\": ..., \"key\": {...}} of a graph in this process; "
        "machine: the one configured, None for the graph's own devices.");
  m.def(
      "registration_error",
      [] {
        const Status outcome = RegistrationOutcome();
        return outcome.ok() ? std::string() : outcome.message();
      },
      "Why TensorFlow does not call the pass, in one sentence; empty when it "
      "does.");
  m.def("keep_freed_memory", &KeepFreedMemory, py::arg("keep"),
        "What set_config() does for keep_memory, without the pass.");
  m.def("keeps_freed_memory", &KeepsFreedMemory,
        "Whether malloc was told to keep what is freed.");
  m.def("killed_by_environment", &KilledByEnvironment,
        "GRAPPLER_GO=0: nothing can switch the pass on.");

  m.def(
      "reports",
      [](int64_t after) {
        py::list values;
        for (Report& report : WithoutGil([after] { return Reports(after); })) {
          values.append(ReportToDict(std::move(report)));
        }
        return values;
      },
      py::arg("after") = 0,
      "What happened to each graph with an id above `after`, oldest first.");
  m.def(
      "set_call_mode",
      [](const std::string& name) {
        for (const auto& [known, mode] :
             {std::pair("usual", CallMode::kUsual),
              std::pair("on_trial", CallMode::kOnTrial),
              std::pair("updates_alone", CallMode::kUpdatesAlone)}) {
          if (name == known) return SetCallMode(mode);
        }
        throw py::value_error("call mode " + name);
      },
      py::arg("mode"),
      "What the pass is to do for functions that this thread calls from here "
      "on: \"usual\"; \"on_trial\", where the first steps are timed; "
      "\"updates_alone\", where only kernels for updates of variables are "
      "taken, and nothing is reported.");
  m.def("last_report_id", &LastReportId, "0 before the first report.");
  m.def("amend_report", &AmendReport, py::arg("id"), py::arg("applied"),
        py::arg("outcome"), py::arg("note"), py::arg("loops") = 0,
        "What became of a graph after it was reported.");
  m.def("clear_reports", [] { WithoutGil(&ClearReports); });
  m.def(
      "take_captured", [] { return CapturedToList(WithoutGil(&TakeCaptured)); },
      "Graphs kept while the setting \"capture\" was on, and forgotten now.");
}

}  // namespace grappler_go
