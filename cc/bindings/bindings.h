// What the files of the Python module grappler_go._core share.
//
// Each bind_*.cc adds one concern to the module. Graphs and features are held
// by shared_ptr: an array that views one keeps it alive, whatever happens to
// the Python object it was taken from. Names and other text of a graph reach
// Python as str, with bytes that are not UTF-8 as surrogates.
#ifndef GRAPPLER_GO_BINDINGS_BINDINGS_H_
#define GRAPPLER_GO_BINDINGS_BINDINGS_H_

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cc/cost/machine.h"
#include "cc/graph/op_graph.h"
#include "cc/plan/build_plan.h"
#include "cc/schema/features.h"

namespace grappler_go {

// The Python classes OpGraph and Machine.
struct PyOpGraph {
  std::shared_ptr<const OpGraph> graph;  // with the bytes that it views
};
struct PyMachine {
  std::shared_ptr<const Machine> machine;
};

// Calls the core, which knows nothing of the GIL and may take it itself.
template <typename Function>
auto WithoutGil(Function function) {
  pybind11::gil_scoped_release release;
  return function();
}

pybind11::str Text(std::string_view text);
pybind11::bytes Bytes(std::string_view bytes);

// An array of Features by its name, which must exist; a view that keeps
// `owner`.
pybind11::array FeatureView(const Features& features, std::string_view name,
                            std::shared_ptr<const void> owner);
// Reading and deciding: {"op_type": array, ...}, such views.
pybind11::dict FeaturesToDict(const Features& features,
                              std::shared_ptr<const void> owner);

// {"left_out": {...}, "per_op": [...], "summary": ...}
pybind11::dict ExplanationToDict(const PlanExplanation& why);

void BindGraph(pybind11::module_& m);
void BindMachine(pybind11::module_& m);
void BindPlan(pybind11::module_& m);
void BindSim(pybind11::module_& m);
void BindPolicy(pybind11::module_& m);
void BindPlugin(pybind11::module_& m);

}  // namespace grappler_go

#endif  // GRAPPLER_GO_BINDINGS_BINDINGS_H_
