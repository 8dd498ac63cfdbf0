// Plan in Python, and what makes and applies one.
#include <pybind11/stl.h>

#include <utility>

#include "cc/bindings/arrays.h"
#include "cc/bindings/bindings.h"
#include "cc/bindings/dict_fields.h"
#include "cc/bindings/logits_arrays.h"
#include "cc/bindings/status_casters.h"
#include "cc/plan/compile_budget.h"
#include "cc/plan/placement.h"
#include "cc/plan/plan.h"
#include "cc/plan/search_plan.h"
#include "cc/rewrite/rewrite.h"
#include "cc/rewrite/verify.h"

namespace py = pybind11;

namespace grappler_go {

py::dict ExplanationToDict(const PlanExplanation& why) {
  py::dict values;
  values["left_out"] = py::cast(why.left_out);
  std::vector<py::str> texts;
  for (size_t r = 0; r < static_cast<size_t>(Reason::kNumReasons); ++r) {
    texts.emplace_back(ReasonText(static_cast<Reason>(r)));
  }
  py::list per_op(why.per_op.size());
  for (size_t i = 0; i < why.per_op.size(); ++i) {
    per_op[i] = texts[static_cast<size_t>(why.per_op[i])];
  }
  values["per_op"] = std::move(per_op);
  values["summary"] = why.summary;
  return values;
}

namespace {

// A per-op field of a plan: None or a read-only copy on reading (an edit in
// place would have to be kept apart from the plan's next edit), None or any
// array of integers of the right length on writing.
template <typename T>
void DefPerOp(py::class_<Plan>& c, const char* name,
              std::vector<T> Plan::*field, const char* doc) {
  c.def_property(
      name,
      [field](const Plan& plan) -> py::object {
        if ((plan.*field).empty()) return py::none();
        return Owned(plan.*field);
      },
      [field, name](Plan& plan, const py::object& value) {
        if (value.is_none()) {
          (plan.*field).clear();
          return;
        }
        const py::array any = py::array::ensure(value);
        if (!any ||
            std::string("biu").find(any.dtype().kind()) == std::string::npos) {
          throw py::type_error(std::string(name) +
                               " is not an array of integers");
        }
        const auto wide =
            py::array_t<int64_t, py::array::c_style | py::array::forcecast>(
                any);
        if (wide.ndim() != 1 || wide.size() != plan.num_ops) {
          throw py::value_error(std::string(name) +
                                " needs one value for each "
                                "of " +
                                std::to_string(plan.num_ops) + " ops");
        }
        std::vector<T> values(plan.num_ops);
        for (int32_t i = 0; i < plan.num_ops; ++i) {
          values[i] = static_cast<T>(wide.at(i));
          if (values[i] != wide.at(i)) {
            throw py::value_error(
                std::string(name) + "[" + std::to_string(i) +
                "] is out of range: " + std::to_string(wide.at(i)));
          }
        }
        plan.*field = std::move(values);
      },
      doc);
}

std::pair<Plan, py::dict> Build(const PyOpGraph& graph,
                                const PyMachine& machine,
                                const py::dict& arrays,
                                const py::dict& options) {
  const auto plan_options = FromDict<PlanOptions>(options, "plan option");
  const auto devices = static_cast<int32_t>(machine.machine->devices.size());
  Logits logits =
      ValueOrThrow(LogitsFromDict(arrays, graph.graph->num_ops(), devices));
  PlanExplanation why;
  StatusOr<Plan> plan = WithoutGil([&] {
    return BuildPlan(*graph.graph, *machine.machine, logits, plan_options,
                     &why);
  });
  return {ValueOrThrow(std::move(plan)), ExplanationToDict(why)};
}

py::dict TraceToDict(const SearchTrace& trace) {
  py::list best;
  for (const SearchTrace::Best& b : trace.best) {
    py::dict values;
    values["plans"] = b.plans;
    values["millis"] = b.millis;
    values["micros"] = b.micros;
    values["fits"] = b.fits;
    values["maker"] = b.maker;
    best.append(std::move(values));
  }
  py::dict values;
  values["plans"] = trace.plans;
  values["millis"] = trace.millis;
  values["best"] = std::move(best);
  return values;
}

std::pair<Plan, py::dict> Search(const PyOpGraph& graph,
                                 const PyMachine& machine,
                                 const py::dict& arrays,
                                 const py::dict& options,
                                 const py::dict& search) {
  const auto plan_options = FromDict<PlanOptions>(options, "plan option");
  const auto search_options = FromDict<SearchOptions>(search, "search option");
  const auto devices = static_cast<int32_t>(machine.machine->devices.size());
  const Logits logits =
      ValueOrThrow(LogitsFromDict(arrays, graph.graph->num_ops(), devices));
  SearchTrace trace;
  StatusOr<Plan> plan = WithoutGil([&] {
    return SearchPlan(*graph.graph, *machine.machine, logits, plan_options,
                      search_options, &trace);
  });
  return {ValueOrThrow(std::move(plan)), TraceToDict(trace)};
}

// Units are numbered by their first ops here, without gaps.
py::dict PlacementUnits(const PyOpGraph& graph, const PyMachine& machine,
                        bool free_state) {
  PlacementRules rules;
  rules.free_state = free_state;
  rules.first_is_home = true;
  if (machine.machine->devices.empty()) {
    throw py::value_error("a machine without devices");
  }
  const Placement p = WithoutGil(
      [&] { return PlacementOf(*graph.graph, *machine.machine, rules); });
  const auto row = static_cast<size_t>(p.num_devices);
  std::vector<int32_t> number(p.unit.size()), unit_of(p.unit.size());
  std::vector<uint8_t> pinned, allowed;
  for (size_t i = 0; i < p.unit.size(); ++i) {
    const auto first = static_cast<size_t>(p.unit[i]);
    if (first == i) {
      number[i] = static_cast<int32_t>(pinned.size());
      pinned.push_back(p.pinned[i]);
      allowed.insert(allowed.end(), p.allowed.begin() + i * row,
                     p.allowed.begin() + (i + 1) * row);
    }
    unit_of[i] = number[first];
  }
  auto owner = std::make_shared<const std::vector<uint8_t>>(std::move(allowed));
  py::dict values;
  values["unit_of"] = Owned(std::move(unit_of));
  values["home"] = Owned(p.home);
  values["pinned"] = Owned(std::move(pinned));
  values["allowed"] = View(*owner, owner, p.num_devices);
  return values;
}

}  // namespace

void BindPlan(py::module_& m) {
  py::class_<Plan> c(
      m, "Plan",
      "Every decision for one graph on one machine, by op number. Arrays are "
      "copies: assign a whole array to change one.");
  c.def(py::init([](const PyOpGraph& graph) {
          Plan plan;
          plan.fingerprint = graph.graph->fingerprint();
          plan.num_ops = graph.graph->num_ops();
          return plan;
        }),
        py::arg("graph"), "A plan that decides nothing.");
  c.def_static(
      "from_json",
      [](const std::string& json) { return ValueOrThrow(PlanFromJson(json)); },
      py::arg("json"));
  c.def(
      "to_json",
      [](const Plan& plan, const PyOpGraph* graph) {
        return PlanToJson(plan,
                          graph == nullptr ? nullptr : graph->graph.get());
      },
      py::arg("graph") = nullptr,
      "With a graph, ops are written with their names.");
  c.def(
      "validate",
      [](const Plan& plan, const PyOpGraph& graph) {
        ThrowIfError(ValidatePlan(plan, *graph.graph));
      },
      py::arg("graph"), "ValueError, naming the op, if it does not fit.");
  c.def("copy", [](const Plan& plan) { return plan; });
  c.def("__repr__", [](const Plan& plan) {
    return "<Plan of " + std::to_string(plan.num_ops) +
           " ops: " + std::to_string(plan.num_moved()) + " moved, " +
           std::to_string(plan.num_groups()) + " groups, " +
           std::to_string(plan.num_recomputed()) + " recomputed, " +
           std::to_string(plan.order.size()) + " order edges>";
  });

  c.def_property_readonly("fingerprint", [](const Plan& plan) {
    return plan.fingerprint.ToString();
  });
  c.def_readonly("num_ops", &Plan::num_ops);
  c.def_readwrite("machine", &Plan::machine);
  c.def_readwrite("policy", &Plan::policy);
  c.def_readwrite("devices", &Plan::devices, "Names that `device` indexes.");
  DefPerOp(c, "device", &Plan::device, "Index into devices; -1: as it was.");
  DefPerOp(c, "fusion_group", &Plan::fusion_group, "Group number; -1: none.");
  DefPerOp(c, "recompute", &Plan::recompute,
           "1: the backward pass reads a clone.");
  c.def_readwrite("order", &Plan::order,
                  "(before, after) pairs of ops, kept by control edges.");
  c.def_property(
      "priority",
      [](const Plan& plan) -> py::object {
        if (plan.priority.empty()) return py::none();
        return Owned(plan.priority);
      },
      [](Plan& plan, const py::object& value) {
        if (value.is_none()) {
          plan.priority.clear();
          return;
        }
        const auto values =
            py::array_t<float, py::array::c_style |
                                   py::array::forcecast>::ensure(value);
        if (!values || values.ndim() != 1 || values.size() != plan.num_ops) {
          throw py::value_error("priority needs one number for each of " +
                                std::to_string(plan.num_ops) + " ops");
        }
        plan.priority.assign(values.data(), values.data() + values.size());
      },
      "Higher runs earlier among the ready ops of a device; with free_state "
      "only, for the simulator.");
  c.def_readwrite("free_state", &Plan::free_state,
                  "Made as if variables could still be placed; for the "
                  "simulator only, the pass refuses it.");
  c.def_readwrite("turn_bytes", &Plan::turn_bytes,
                  "Where more bytes than this could be alive at once beside "
                  "what is resident, ops with large tensors run in the order "
                  "in which the peak was predicted; 0: when they are ready.");
  c.def_readwrite("micros_before", &Plan::micros_before);
  c.def_readwrite("micros_after", &Plan::micros_after);
  c.def_readwrite("peak_bytes_before", &Plan::peak_bytes_before);
  c.def_readwrite("peak_bytes_after", &Plan::peak_bytes_after);
  c.def_property_readonly("num_groups", &Plan::num_groups);
  c.def_property_readonly("num_moved", &Plan::num_moved);
  c.def_property_readonly("num_recomputed", &Plan::num_recomputed);
  c.def_property_readonly("empty", &Plan::empty);

  m.def("build_plan", &Build, py::arg("graph"), py::arg("machine"),
        py::arg("logits"), py::arg("options") = py::dict(),
        "(plan, {\"left_out\", \"per_op\", \"summary\"}) from scores per op. "
        "TypeError for an option that does not exist.");
  m.def("search_plan", &Search, py::arg("graph"), py::arg("machine"),
        py::arg("logits") = py::dict(), py::arg("options") = py::dict(),
        py::arg("search") = py::dict(),
        "(plan, {\"plans\", \"millis\", \"best\"}): the best plan that so many "
        "simulations find, starting from scores per op, and when each better "
        "one was found. Search options: max_plans, budget_ms (0: no limit), "
        "samples, temperature, seed, threads (0: one for each core), "
        "schedule. TypeError for an option that does not exist.");
  m.def(
      "compile_seconds",
      [](const Plan& plan) {
        return CompileSeconds({plan.fusion_group, plan.num_groups()});
      },
      py::arg("plan"),
      "Predicted seconds that XLA takes to compile the plan's groups.");
  m.def("placement_units", &PlacementUnits, py::arg("graph"),
        py::arg("machine"), py::arg("free_state") = false,
        "Which ops share a device and where they may be: {\"unit_of\" "
        "[num_ops], \"home\" [num_ops] device now (0 where the machine has "
        "no such device), \"pinned\" [num_units], \"allowed\" [num_units, "
        "num_devices]}.");
  m.def(
      "apply_plan",
      [](const Plan& plan, const PyOpGraph& graph) {
        StatusOr<std::string> bytes =
            WithoutGil([&] { return ApplyPlan(plan, *graph.graph); });
        return Bytes(ValueOrThrow(std::move(bytes)));
      },
      py::arg("plan"), py::arg("graph"),
      "The GraphDef with the plan written in.");
  m.def(
      "verify_rewrite",
      [](const PyOpGraph& graph, const py::bytes& rewritten,
         const std::vector<std::string>& devices) {
        VerifyOptions options;
        options.devices = devices;
        const std::string_view view = rewritten;
        ThrowIfError(WithoutGil(
            [&] { return VerifyRewrite(*graph.graph, view, options); }));
      },
      py::arg("graph"), py::arg("graphdef"),
      py::arg("devices") = std::vector<std::string>(),
      "ValueError that names the node and the rule it breaks.");
}

}  // namespace grappler_go
