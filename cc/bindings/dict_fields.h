// Structs of plain settings to and from Python dicts, by one list of fields:
//
//   template <typename Visitor>
//   void VisitFields(Visitor& visit, Device& device) {
//     visit("name", device.name);
//     ...
//   }
//
// DictReader takes what a dict has and leaves the rest as it was; DictWriter
// writes everything.
#ifndef GRAPPLER_GO_BINDINGS_DICT_FIELDS_H_
#define GRAPPLER_GO_BINDINGS_DICT_FIELDS_H_

#include <pybind11/pybind11.h>

#include <cmath>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include "cc/cost/machine.h"
#include "cc/plan/build_plan.h"
#include "cc/plan/search_plan.h"

namespace grappler_go {

// {"default": {"gflops": 0.5, "gbytes_per_s": 0.7}, "matmul": {...}}, as in a
// machine's file. Throws TypeError for another key or another type.
AchievedByClass AchievedFromDict(const pybind11::dict& values);
pybind11::dict AchievedToDict(const AchievedByClass& achieved);

// A calibration as Python's json module reads it; None for null. Throws
// ValueError, naming the field.
using SharedCalibration = std::shared_ptr<const Calibration>;
SharedCalibration CalibrationFromObject(const pybind11::object& values);
pybind11::object CalibrationToObject(const SharedCalibration& calibration);

class [[gnu::visibility("hidden")]] DictReader {
 public:
  // `what` names the dict in messages: "plan option".
  DictReader(pybind11::dict values, std::string what)
      : values_(std::move(values)), what_(std::move(what)) {}

  // Throws TypeError for a value of another type, ValueError for a number that
  // is negative or not finite: no setting of ours has a use for those.
  template <typename T>
  void operator()(const char* key, T& field) {
    known_.push_back(key);
    if (!values_.contains(key)) return;
    pybind11::handle value = values_[key];
    try {
      field = value.cast<T>();
    } catch (const pybind11::cast_error&) {
      throw pybind11::type_error(Describe(key, value) + " has another type");
    }
    if constexpr (std::is_arithmetic_v<T>) {
      if (!(field >= T(0)) || !std::isfinite(static_cast<double>(field))) {
        throw pybind11::value_error(Describe(key, value) +
                                    " is not a number of 0 or above");
      }
    }
  }

  void operator()(const char* key, AchievedByClass& field) {
    known_.push_back(key);
    if (!values_.contains(key)) return;
    pybind11::handle value = values_[key];
    if (!pybind11::isinstance<pybind11::dict>(value)) {
      throw pybind11::type_error(Describe(key, value) + " is not a dict");
    }
    field = AchievedFromDict(value.cast<pybind11::dict>());
  }

  void operator()(const char* key, SharedCalibration& field) {
    field = CalibrationFromObject(Take(key));
  }

  // A field that the caller reads himself.
  pybind11::object Take(const char* key) {
    known_.push_back(key);
    if (!values_.contains(key)) return pybind11::none();
    return values_[key];
  }

  // Throws TypeError that names a key which no field has.
  void Done() const {
    for (const auto& item : values_) {
      const std::string key = pybind11::str(item.first);
      bool found = false;
      std::string known;
      for (const std::string& name : known_) {
        found = found || name == key;
        known += (known.empty() ? "" : ", ") + name;
      }
      if (!found) {
        throw pybind11::type_error("unknown " + what_ + " \"" + key +
                                   "\"; known are " + known);
      }
    }
  }

 private:
  std::string Describe(const char* key, pybind11::handle value) const {
    return what_ + " \"" + key +
           "\": " + std::string(pybind11::str(pybind11::repr(value)));
  }

  pybind11::dict values_;
  std::string what_;
  std::vector<std::string> known_;
};

class [[gnu::visibility("hidden")]] DictWriter {
 public:
  template <typename T>
  void operator()(const char* key, const T& field) {
    values_[key] = pybind11::cast(field);
  }
  void operator()(const char* key, AchievedByClass& field) {
    values_[key] = AchievedToDict(field);
  }
  void operator()(const char* key, SharedCalibration& field) {
    values_[key] = CalibrationToObject(field);
  }
  pybind11::dict& values() { return values_; }

 private:
  pybind11::dict values_;
};

template <typename Visitor>
void VisitFields(Visitor& visit, Achieved& fractions) {
  visit("gflops", fractions.gflops);
  visit("gbytes_per_s", fractions.gbytes_per_s);
}

template <typename Visitor>
void VisitFields(Visitor& visit, Device& device) {
  visit("name", device.name);
  visit("type", device.type);
  visit("gflops", device.gflops);
  visit("gbytes_per_s", device.gbytes_per_s);
  visit("memory_bytes", device.memory_bytes);
  visit("cores", device.cores);
  visit("dispatch_us", device.dispatch_us);
  visit("achieved", device.achieved);
  visit("calibration", device.calibration);
}

template <typename Visitor>
void VisitFields(Visitor& visit, Link& link) {
  visit("src", link.src);
  visit("dst", link.dst);
  visit("gbytes_per_s", link.gbytes_per_s);
  visit("latency_us", link.latency_us);
  visit("cpu_us", link.cpu_us);
  visit("cpu_us_per_mb", link.cpu_us_per_mb);
}

template <typename Visitor>
void VisitFields(Visitor& visit, PlanOptions& options) {
  visit("device", options.device);
  visit("fusion", options.fusion);
  visit("memory", options.memory);
  visit("free_state", options.free_state);
  visit("cut_by_policy", options.cut_by_policy);
  visit("first_is_home", options.first_is_home);
  visit("min_gain", options.min_gain);
  visit("on_trial", options.on_trial);
  visit("memory_limit", options.memory_limit);
  visit("memory_fraction", options.memory_fraction);
  visit("min_group_ops", options.min_group_ops);
  visit("group_launch_micros", options.group_launch_micros);
  visit("group_tensor_micros", options.group_tensor_micros);
  visit("group_output_micros_per_mb", options.group_output_micros_per_mb);
  visit("compile_budget_s", options.compile_budget_s);
  visit("fuse_unknown_shapes", options.fuse_unknown_shapes);
}

template <typename Visitor>
void VisitFields(Visitor& visit, SearchOptions& options) {
  visit("max_plans", options.max_plans);
  visit("budget_ms", options.budget_ms);
  visit("samples", options.samples);
  visit("temperature", options.temperature);
  visit("seed", options.seed);
  visit("threads", options.threads);
  visit("schedule", options.schedule);
}

// A struct with a VisitFields above, all of it.
template <typename T>
T FromDict(pybind11::dict values, const char* what) {
  T result;
  DictReader reader(std::move(values), what);
  VisitFields(reader, result);
  reader.Done();
  return result;
}
template <typename T>
pybind11::dict ToDict(T value) {
  DictWriter writer;
  VisitFields(writer, value);
  return writer.values();
}

}  // namespace grappler_go

#endif  // GRAPPLER_GO_BINDINGS_DICT_FIELDS_H_
