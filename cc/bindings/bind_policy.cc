// Policies in Python: those of the core, and those written in Python.
#include <pybind11/stl.h>

#include <chrono>
#include <cmath>
#include <optional>
#include <utility>

#include "cc/bindings/arrays.h"
#include "cc/bindings/bindings.h"
#include "cc/bindings/logits_arrays.h"
#include "cc/bindings/python_policy.h"
#include "cc/bindings/status_casters.h"
#include "cc/plan/policy_features.h"
#include "cc/plugin/config.h"
#include "cc/policy/policy.h"
#include "cc/policy/python_host.h"

namespace py = pybind11;

namespace grappler_go {
namespace {

using std::chrono::steady_clock;

// What a policy is asked about, as one object that arrays can share.
struct OwnedInput {
  std::shared_ptr<const OpGraph> graph;
  std::shared_ptr<const Machine> machine;
  Features features;
};

Deadline DeadlineIn(std::optional<double> seconds) {
  // A year is as good as never, and far from the clock's end.
  constexpr double kYear = 365.0 * 24 * 3600;
  const double wait = seconds.has_value() ? *seconds : kYear;
  if (!(wait >= 0)) throw py::value_error("timeout_s is not 0 or above");
  return steady_clock::now() +
         std::chrono::duration_cast<steady_clock::duration>(
             std::chrono::duration<double>(std::min(wait, kYear)));
}

py::object Decide(Policy& policy, const PyOpGraph& graph,
                  const PyMachine& machine, std::optional<double> timeout_s,
                  bool free_state) {
  const Deadline deadline = DeadlineIn(timeout_s);
  StatusOr<Decision> decision = WithoutGil([&] {
    auto owned = std::make_shared<OwnedInput>();
    owned->graph = graph.graph;
    owned->machine = machine.machine;
    PlanOptions options;
    options.free_state = free_state;
    owned->features = PolicyFeatures(*graph.graph, *machine.machine,
                                     PlacementRulesOf(options),
                                     policy.reads_arrays(*machine.machine));
    return policy.Decide({*owned->graph, *owned->machine, owned->features,
                          deadline, owned, free_state});
  });
  Decision answer = ValueOrThrow(std::move(decision));
  if (answer.plan.has_value()) return py::cast(*std::move(answer.plan));
  if (!answer.logits.has_value()) return py::dict();
  ThrowIfError(
      ValidateLogits(*answer.logits, graph.graph->num_ops(),
                     static_cast<int32_t>(machine.machine->devices.size())));
  return LogitsToDict(*std::move(answer.logits));
}

void CheckRead(bool is_there, const char* name) {
  if (is_there) return;
  throw py::attribute_error(std::string(name) +
                            " is not among what the policy reads");
}

void BindPolicyInput(py::module_& m) {
  py::class_<PyPolicyInput> c(
      m, "PolicyInput",
      "What a Python policy is called with. Arrays are read-only views of the "
      "core's memory and may be kept; their shapes stand in "
      "cc/schema/features.h"
      " and docs/write-a-policy.md.");
  for (const std::string& name : ArrayNames()) {
    c.def_property_readonly(name.c_str(), [name](const PyPolicyInput& input) {
      CheckRead((input.arrays & ArraysOf(name)) != 0, name.c_str());
      return FeatureView(*input.features, name, input.features);
    });
  }
  c.def_property_readonly("graph", [](const PyPolicyInput& input) {
    CheckRead(input.has_graph, "graph");
    return PyOpGraph{input.graph};
  });
  c.def_property_readonly("machine", [](const PyPolicyInput& input) {
    return PyMachine{input.machine};
  });
  c.def_property_readonly(
      "graphdef",
      [](const PyPolicyInput& input) {
        CheckRead(input.has_graph, "graphdef");
        return Bytes(input.graph->graphdef());
      },
      "The serialized GraphDef, copied when asked for.");
  c.def_property_readonly(
      "deadline_s",
      [](const PyPolicyInput& input) {
        return std::chrono::duration<double>(input.deadline -
                                             steady_clock::now())
            .count();
      },
      "Seconds left; an answer that comes later is not used.");
}

}  // namespace

void BindPolicy(py::module_& m) {
  BindPolicyInput(m);
  py::class_<Policy, std::shared_ptr<Policy>> policy(
      m, "Policy", "What decides: a SavedModel, saved plans, or Python.");
  policy.def_property_readonly("name", &Policy::name);
  policy.def("decide", &Decide, py::arg("graph"), py::arg("machine"),
             py::arg("timeout_s") = py::none(), py::arg("free_state") = false,
             "A dict of the logits it decided on (empty: nothing), or a Plan. "
             "ValueError for a policy that raised or answered with nonsense.");
  policy.def("__repr__", [](const Policy& self) {
    return "<Policy \"" + self.name() + "\">";
  });

  py::class_<PythonPolicy, Policy, std::shared_ptr<PythonPolicy>>(
      m, "PythonPolicy",
      "A callable that is given a PolicyInput and returns a dict of logits "
      "(device, fusion, schedule, recompute, op_micros, fused_micros; what is "
      "missing is not decided), a Plan, or None. When it has an attribute "
      "`reads`, a list of names of arrays, it gets these alone and no graph, "
      "and the pass need not make the others nor copy the graph.")
      .def(py::init([](py::object callable, std::string name) {
             if (PyCallable_Check(callable.ptr()) == 0) {
               throw py::type_error("a PythonPolicy needs a callable, not " +
                                    std::string(py::str(py::repr(callable))));
             }
             const std::optional<uint32_t> arrays = ArraysRead(callable);
             return std::make_shared<PythonPolicy>(std::move(callable),
                                                   std::move(name), arrays);
           }),
           py::arg("callable"), py::arg("name") = "python");

  m.def(
      "load_policy",
      [](const std::string& spec) {
        return ValueOrThrow(WithoutGil([&] { return LoadPolicy(spec); }));
      },
      py::arg("spec"),
      "A SavedModel's folder, a plan's file, a folder of plans, or "
      "\"module:function\".");

  WatchForPythonExit();
  SetPythonPolicyFactory(&PythonPolicyFromSpec);
}

}  // namespace grappler_go
