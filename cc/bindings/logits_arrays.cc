#include "cc/bindings/logits_arrays.h"

#include <string>
#include <utility>
#include <vector>

#include "cc/bindings/arrays.h"

namespace py = pybind11;

namespace grappler_go {
namespace {

using FloatArray =
    py::array_t<float, py::array::c_style | py::array::forcecast>;

struct Task {
  const char* name;
  std::vector<float> Logits::*values;
  bool per_device;
};
const Task kTasks[] = {
    {"device", &Logits::device, true},
    {"fusion", &Logits::fusion, false},
    {"schedule", &Logits::schedule, false},
    {"recompute", &Logits::recompute, false},
    {"op_micros", &Logits::op_micros, false},
    {"fused_micros", &Logits::fused_micros, false},
};

std::string ShapeText(const std::vector<py::ssize_t>& shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) {
    text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  }
  return text + "]";
}

Status UnknownKey(const std::string& key) {
  std::string known;
  for (const Task& task : kTasks) {
    known += (known.empty() ? "" : ", ") + std::string(task.name);
  }
  return InvalidArgument("logits have no \"" + key + "\"; known are " + known);
}

StatusOr<std::vector<float>> Values(const char* name, py::handle value,
                                    const std::vector<py::ssize_t>& expected) {
  const std::string what = "logits \"" + std::string(name) + "\"";
  // numpy would make numbers of text and drop imaginary parts.
  const py::array any = py::array::ensure(value);
  if (!any ||
      std::string("biuf").find(any.dtype().kind()) == std::string::npos) {
    PyErr_Clear();
    return InvalidArgument(what + " are not an array of real numbers");
  }
  const FloatArray array = FloatArray::ensure(any);
  if (!array) {
    PyErr_Clear();
    return InvalidArgument(what + " cannot be converted to float32");
  }
  const std::vector<py::ssize_t> shape(array.shape(),
                                       array.shape() + array.ndim());
  if (shape != expected) {
    return InvalidArgument(what + " have shape " + ShapeText(shape) +
                           " and should have " + ShapeText(expected));
  }
  return std::vector<float>(array.data(), array.data() + array.size());
}

}  // namespace

StatusOr<Logits> LogitsFromDict(const py::dict& arrays, int32_t num_ops,
                                int32_t num_devices) {
  Logits logits;
  logits.num_ops = num_ops;
  logits.num_devices = num_devices;
  for (const auto& item : arrays) {
    if (!py::isinstance<py::str>(item.first)) {
      return InvalidArgument("a key of logits is not a string");
    }
    const std::string key = item.first.cast<std::string>();
    const Task* found = nullptr;
    for (const Task& task : kTasks) {
      if (key == task.name) found = &task;
    }
    if (found == nullptr) return UnknownKey(key);
    if (item.second.is_none()) continue;
    std::vector<py::ssize_t> expected = {num_ops};
    if (found->per_device) expected.push_back(num_devices);
    StatusOr<std::vector<float>> values =
        Values(found->name, item.second, expected);
    if (!values.ok()) return values.status();
    logits.*(found->values) = std::move(*values);
  }
  return logits;
}

py::dict LogitsToDict(Logits logits) {
  auto owner = std::make_shared<const Logits>(std::move(logits));
  py::dict arrays;
  for (const Task& task : kTasks) {
    const std::vector<float>& values = (*owner).*(task.values);
    if (values.empty()) continue;
    arrays[task.name] =
        View(values, owner, task.per_device ? owner->num_devices : 0);
  }
  return arrays;
}

}  // namespace grappler_go
