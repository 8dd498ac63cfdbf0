// Machine, features and the schema in Python.
#include <pybind11/stl.h>

#include <map>
#include <string>
#include <utility>

#include "cc/base/json.h"
#include "cc/bindings/arrays.h"
#include "cc/bindings/bindings.h"
#include "cc/bindings/dict_fields.h"
#include "cc/bindings/status_casters.h"
#include "cc/cost/calibration_json.h"
#include "cc/cost/local_machine.h"
#include "cc/cost/op_cost.h"
#include "cc/plan/compile_budget.h"
#include "cc/plan/op_micros.h"
#include "cc/plan/policy_features.h"

namespace py = pybind11;

namespace grappler_go {

py::array FeatureView(const Features& features, std::string_view name,
                      std::shared_ptr<const void> owner) {
  const FeatureArray array = FindArray(features, name);
  std::vector<py::ssize_t> shape(array.shape.begin(), array.shape.end());
  if (array.ints != nullptr) {
    return View(*array.ints, std::move(owner), std::move(shape));
  }
  return View(*array.floats, std::move(owner), std::move(shape));
}

py::dict FeaturesToDict(const Features& features,
                        std::shared_ptr<const void> owner) {
  py::dict arrays;
  for (const std::string& name : ArrayNames()) {
    arrays[name.c_str()] = FeatureView(features, name, owner);
  }
  return arrays;
}

AchievedByClass AchievedFromDict(const py::dict& values) {
  std::map<std::string, py::dict> left;
  for (const auto& item : values) {
    if (!py::isinstance<py::dict>(item.second)) {
      throw py::type_error("device field \"achieved\": " +
                           std::string(py::str(item.first)) + " is not a dict");
    }
    left[py::str(item.first)] = item.second.cast<py::dict>();
  }
  constexpr char kWhat[] = "achieved fraction";
  AchievedByClass achieved;
  if (left.count("default") > 0) {
    achieved.fill(FromDict<Achieved>(left["default"], kWhat));
    left.erase("default");
  }
  for (size_t k = 0; k < achieved.size(); ++k) {
    const auto found = left.find(OpClassName(static_cast<OpClass>(k)));
    if (found == left.end()) continue;
    achieved[k] = FromDict<Achieved>(found->second, kWhat);
    left.erase(found);
  }
  if (!left.empty()) {
    throw py::type_error("device field \"achieved\": no class of ops is \"" +
                         left.begin()->first + "\"");
  }
  return achieved;
}

py::dict AchievedToDict(const AchievedByClass& achieved) {
  py::dict values;
  for (size_t k = 0; k < achieved.size(); ++k) {
    values[OpClassName(static_cast<OpClass>(k))] = ToDict(achieved[k]);
  }
  return values;
}

SharedCalibration CalibrationFromObject(const py::object& values) {
  if (values.is_none()) return nullptr;
  const auto text =
      py::module_::import("json").attr("dumps")(values).cast<std::string>();
  return std::make_shared<const Calibration>(ValueOrThrow(
      CalibrationFromJson(ParseJson(text), "device field \"calibration\"")));
}

py::object CalibrationToObject(const SharedCalibration& calibration) {
  if (calibration == nullptr) return py::none();
  return py::module_::import("json").attr("loads")(
      JsonText(CalibrationToJson(*calibration)));
}

namespace {

PyMachine MakeMachine(Machine machine) {
  ThrowIfError(machine.Validate());
  return {std::make_shared<const Machine>(std::move(machine))};
}

template <typename T>
py::list ToDicts(const std::vector<T>& values) {
  py::list dicts;
  for (const T& value : values) dicts.append(ToDict(value));
  return dicts;
}

}  // namespace

void BindMachine(py::module_& m) {
  py::class_<PyMachine> c(
      m, "Machine",
      "The devices a plan may use and the links between them. Immutable.");
  c.def(py::init([](std::string name, const std::vector<py::dict>& devices,
                    const std::vector<py::dict>& links,
                    std::map<std::string, std::string> sources) {
          Machine machine;
          machine.sources = std::move(sources);
          machine.name = std::move(name);
          for (const py::dict& device : devices) {
            machine.devices.push_back(FromDict<Device>(device, "device field"));
          }
          for (const py::dict& link : links) {
            machine.links.push_back(FromDict<Link>(link, "link field"));
          }
          machine.CompleteNames();
          return MakeMachine(std::move(machine));
        }),
        py::arg("name"), py::arg("devices") = std::vector<py::dict>(),
        py::arg("links") = std::vector<py::dict>(),
        py::arg("sources") = std::map<std::string, std::string>(),
        "Devices are dicts of name, type, gflops, gbytes_per_s, memory_bytes, "
        "cores, dispatch_us, achieved, calibration; "
        "links of src, dst (indices into devices), gbytes_per_s, latency_us, "
        "cpu_us, cpu_us_per_mb; "
        "sources say where numbers come from. "
        "A name may be short (\"CPU:0\": of this process), and says the type. "
        "What is missing has a default; an unknown key is a TypeError.");
  c.def_static(
      "from_json",
      [](const std::string& json) {
        return MakeMachine(ValueOrThrow(MachineFromJson(json)));
      },
      py::arg("json"));
  c.def("to_json",
        [](const PyMachine& self) { return MachineToJson(*self.machine); });
  c.def_property_readonly(
      "name", [](const PyMachine& self) { return self.machine->name; });
  c.def_property_readonly("devices", [](const PyMachine& self) {
    return ToDicts(self.machine->devices);
  });
  c.def_property_readonly("links", [](const PyMachine& self) {
    return ToDicts(self.machine->links);
  });
  c.def_property_readonly(
      "sources", [](const PyMachine& self) { return self.machine->sources; },
      "Where the numbers come from, by what they are.");
  c.def("__repr__", [](const PyMachine& self) {
    return "<Machine \"" + self.machine->name + "\" of " +
           std::to_string(self.machine->devices.size()) + " devices>";
  });

  m.def(
      "compute_features",
      [](const PyOpGraph& graph, const PyMachine& machine, bool free_state,
         bool first_is_home) {
        PlanOptions options;
        options.free_state = free_state;
        options.first_is_home = first_is_home;
        auto features = WithoutGil([&] {
          return std::make_shared<const Features>(PolicyFeatures(
              *graph.graph, *machine.machine, PlacementRulesOf(options)));
        });
        return FeaturesToDict(*features, features);
      },
      py::arg("graph"), py::arg("machine"), py::arg("free_state") = false,
      py::arg("first_is_home") = false,
      "What a policy is fed: a dict of read-only arrays. `free_state` and "
      "`first_is_home` as the options of build_plan.");
  m.def(
      "with_local_rates",
      [](const PyMachine& machine) {
        Machine result = *machine.machine;
        ApplyLocalMachine(&result);
        return MakeMachine(std::move(result));
      },
      py::arg("machine"),
      "The machine with what `grappler-go calibrate` timed on this process's "
      "CPUs.");
  m.def("local_machine_path", &LocalMachinePath,
        "Where calibrate keeps it; empty: switched off.");
  m.def("local_machine_state", &LocalMachineState,
        "Why it is not used; empty: it is.");
  m.def("cpu_model", &CpuModel);
  m.def(
      "op_micros",
      [](const PyOpGraph& graph, const PyMachine& machine) {
        auto micros = WithoutGil([&] {
          return EstimateOpMicros(*graph.graph, *machine.machine, Logits());
        });
        return py::make_tuple(
            Owned(std::vector<float>(micros.alone.begin(), micros.alone.end())),
            Owned(std::vector<float>(micros.compiled.begin(),
                                     micros.compiled.end())));
      },
      py::arg("graph"), py::arg("machine"),
      "Microseconds of each op on the machine's CPU, alone and as a part of a "
      "compiled group: as timed there, or rooflines.");
  m.def(
      "roofline_micros",
      [](const PyOpGraph& graph, const PyMachine& machine, size_t device) {
        if (device >= machine.machine->devices.size()) {
          throw py::value_error("the machine has no device " +
                                std::to_string(device));
        }
        const Device& on = machine.machine->devices[device];
        auto micros = WithoutGil([&] {
          std::vector<double> values(graph.graph->num_ops());
          for (int32_t i = 0; i < graph.graph->num_ops(); ++i) {
            values[i] = RooflineMicros(CostOf(*graph.graph, i),
                                       graph.graph->def(i).op_class, on);
          }
          return values;
        });
        return Owned(std::move(micros));
      },
      py::arg("graph"), py::arg("machine"), py::arg("device") = 0,
      "Microseconds of each op alone on one of the machine's devices.");
  m.def("compile_seconds_of", py::overload_cast<int32_t>(&CompileSeconds),
        py::arg("num_ops"),
        "Predicted seconds that XLA takes to compile one group of that many "
        "ops.");
  m.def("schema_json", &SchemaJson,
        "The policy schema: version, names of features, op vocabulary.");
  m.def("op_feature_names", &OpFeatureNames);
  m.def("device_feature_names", &DeviceFeatureNames);
  m.def("op_vocabulary", &OpVocabulary,
        "Index is op_type; 0 stands for every other op.");
}

}  // namespace grappler_go
