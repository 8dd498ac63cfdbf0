#include "cc/bindings/python_policy.h"

#include <pybind11/stl.h>

#include <atomic>
#include <string>
#include <utility>
#include <vector>

#include "cc/bindings/bindings.h"
#include "cc/bindings/logits_arrays.h"
#include "cc/policy/python_host.h"

namespace py = pybind11;

namespace grappler_go {
namespace {

std::atomic<bool> g_exiting{false};

bool PythonIsUsable() { return !g_exiting && Py_IsInitialized() != 0; }

// Not pybind11's gil_scoped_acquire: that one remembers a thread's state by
// itself, even when Python has freed it since.
class HoldGil {
 public:
  HoldGil() : state_(SleepWhenEnded([] { return PyGILState_Ensure(); })) {}
  ~HoldGil() { PyGILState_Release(state_); }
  HoldGil(const HoldGil&) = delete;
  HoldGil& operator=(const HoldGil&) = delete;

 private:
  const PyGILState_STATE state_;
};

// "ValueError: no such thing (policy.py, line 12, in decide)", in one line.
std::string Describe(const py::error_already_set& error) {
  std::string text = "an exception that cannot be printed";
  try {
    text = py::str(error.type().attr("__name__"));
    std::string message = py::str(error.value());
    message = message.substr(0, message.find('\n'));
    if (!message.empty()) text += ": " + message;
    py::object trace = error.trace();
    if (!trace || trace.is_none()) return text;
    while (!trace.attr("tb_next").is_none()) trace = trace.attr("tb_next");
    const py::object code = trace.attr("tb_frame").attr("f_code");
    const std::string file = py::str(code.attr("co_filename"));
    text += " (" + file.substr(file.rfind('/') + 1) + ", line " +
            std::string(py::str(trace.attr("tb_lineno"))) + ", in " +
            std::string(py::str(code.attr("co_name"))) + ")";
  } catch (const std::exception&) {
    // The message is best effort: __str__ is the policy's code too.
  }
  return text;
}

StatusOr<Decision> ToDecision(py::handle answer, const PolicyInput& input) {
  Decision decision;
  if (answer.is_none()) return decision;
  if (py::isinstance<Plan>(answer)) {
    decision.plan = answer.cast<Plan>();
    return decision;
  }
  if (!py::isinstance<py::dict>(answer)) {
    return InvalidArgument(
        "the policy returned " +
        std::string(py::str(py::type::of(answer).attr("__name__"))) +
        "; expected a dict of logits, a Plan or None");
  }
  StatusOr<Logits> logits = LogitsFromDict(
      py::reinterpret_borrow<py::dict>(answer), input.graph.num_ops(),
      static_cast<int32_t>(input.machine.devices.size()));
  if (!logits.ok()) return logits.status();
  decision.logits = std::move(*logits);
  return decision;
}

}  // namespace

PythonPolicy::PythonPolicy(py::object function, std::string name,
                           std::optional<uint32_t> arrays)
    : function_(std::move(function)), name_(std::move(name)), arrays_(arrays) {}

PythonPolicy::~PythonPolicy() {
  if (!PythonIsUsable()) {
    function_.release();  // there is no Python left to give it back to
    return;
  }
  const HoldGil gil;
  function_ = py::object();
}

StatusOr<Decision> PythonPolicy::Decide(const PolicyInput& input) {
  if (input.owner == nullptr) {
    return Internal("a Python policy needs an input that it may keep");
  }
  if (!PythonIsUsable()) return Unavailable("Python is shutting down");
  const HoldGil gil;
  try {
    const py::object argument =
        py::cast(PyPolicyInput{{input.owner, &input.graph},
                               {input.owner, &input.machine},
                               {input.owner, &input.features},
                               input.deadline,
                               reads_arrays(input.machine),
                               reads_graph()});
    PyObject* raw = SleepWhenEnded([this, &argument] {
      return PyObject_CallFunctionObjArgs(function_.ptr(), argument.ptr(),
                                          nullptr);
    });
    if (raw == nullptr) throw py::error_already_set();
    const auto answer = py::reinterpret_steal<py::object>(raw);
    return ToDecision(answer, input);
  } catch (const py::error_already_set& error) {
    return InvalidArgument("the policy raised " + Describe(error));
  } catch (const std::exception& error) {
    return InvalidArgument("the policy's answer cannot be read: " +
                           std::string(error.what()));
  }
}

std::optional<uint32_t> ArraysRead(const py::object& callable) {
  const py::object reads = py::getattr(callable, "reads", py::none());
  if (reads.is_none()) return std::nullopt;
  uint32_t arrays = 0;
  for (const auto& name : reads.cast<std::vector<std::string>>()) {
    const uint32_t found = ArraysOf(name);
    if (found == 0) throw py::value_error("reads: no array \"" + name + "\"");
    arrays |= found;
  }
  return arrays;
}

StatusOr<std::shared_ptr<Policy>> PythonPolicyFromSpec(
    const std::string& module_function) {
  if (!PythonIsUsable()) return Unavailable("Python is shutting down");
  const size_t colon = module_function.find(':');
  const std::string where = "python:" + module_function + ": ";
  const HoldGil gil;
  try {
    py::object found =
        py::module_::import(module_function.substr(0, colon).c_str());
    std::string path = module_function.substr(colon + 1) + ".";
    for (size_t dot; (dot = path.find('.')) != std::string::npos;
         path.erase(0, dot + 1)) {
      found = found.attr(path.substr(0, dot).c_str());
    }
    if (PyCallable_Check(found.ptr()) == 0) {
      return InvalidArgument(where + "it is not callable");
    }
    const std::optional<uint32_t> arrays = ArraysRead(found);
    return std::shared_ptr<Policy>(std::make_shared<PythonPolicy>(
        std::move(found), "python:" + module_function, arrays));
  } catch (const py::error_already_set& error) {
    return InvalidArgument(where + Describe(error));
  } catch (const std::exception& error) {
    return InvalidArgument(where + error.what());
  }
}

void WatchForPythonExit() {
  py::module_::import("atexit").attr("register")(
      py::cpp_function([] { g_exiting = true; }));
}

}  // namespace grappler_go
