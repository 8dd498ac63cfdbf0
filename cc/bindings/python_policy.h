// A policy that is a Python callable.
//
// It is called with one PolicyInput (op_type, op_features, edge_src, edge_dst,
// edge_features, device_features, graph, machine, graphdef, deadline_s) and
// returns a dict of logits, a Plan, or None. Arrays of the input are read-only
// views; the policy may keep them.
//
// The plugin calls Decide on a thread of its own while the thread that runs
// TensorFlow waits with the GIL released. Decide takes the GIL; what Python
// raises becomes a Status. Once Python has begun to shut down, Decide fails at
// once, and a call still under way never returns: its thread is stopped where
// Python would have ended it, for the C++ above would not survive that.
#ifndef GRAPPLER_GO_BINDINGS_PYTHON_POLICY_H_
#define GRAPPLER_GO_BINDINGS_PYTHON_POLICY_H_

#include <pybind11/pybind11.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "cc/base/status.h"
#include "cc/policy/policy.h"

namespace grappler_go {

// What the callable is given.
struct PyPolicyInput {
  std::shared_ptr<const OpGraph> graph;
  std::shared_ptr<const Machine> machine;
  std::shared_ptr<const Features> features;
  Deadline deadline;
  uint32_t arrays = kAllArrays;  // those that are there
  bool has_graph = true;
};

class [[gnu::visibility("hidden")]] PythonPolicy : public Policy {
 public:
  // With the GIL held. `arrays`: what the callable reads (FeatureArrays), when
  // it reads nothing else; without, it reads everything, the graph included.
  PythonPolicy(pybind11::object function, std::string name,
               std::optional<uint32_t> arrays = std::nullopt);
  // With or without the GIL, Python running or gone.
  ~PythonPolicy() override;

  std::string name() const override { return name_; }
  bool reads_graph() const override { return !arrays_.has_value(); }
  uint32_t reads_arrays(const Machine&) const override {
    return arrays_.value_or(uint32_t{kAllArrays});
  }
  // Errors: kInvalidArgument for what the callable raised (type, message, file
  // and line) and for an answer of another type or shape; kUnavailable when
  // Python is shutting down; kInternal without an owner of the input.
  StatusOr<Decision> Decide(const PolicyInput& input) override;

 private:
  pybind11::object function_;
  const std::string name_;
  const std::optional<uint32_t> arrays_;
};

// The names in a callable's `reads`, as FeatureArrays; nothing when it has
// none. Throws what Python raises, ValueError for a name that is no array's.
std::optional<uint32_t> ArraysRead(const pybind11::object& callable);

// "module:function" -> a policy; the factory behind LoadPythonPolicy. Errors:
// kInvalidArgument, with Python's message, when the module cannot be imported
// or has no such callable.
StatusOr<std::shared_ptr<Policy>> PythonPolicyFromSpec(
    const std::string& module_function);

// Called at import: from Python's exit on, policies are no longer called.
void WatchForPythonExit();

}  // namespace grappler_go

#endif  // GRAPPLER_GO_BINDINGS_PYTHON_POLICY_H_
