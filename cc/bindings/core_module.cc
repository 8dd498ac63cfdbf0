// The Python module grappler_go._core.
#include <pybind11/pybind11.h>

#include "cc/bindings/bindings.h"

PYBIND11_MODULE(_core, m) {
  m.doc() =
      "The native core of grappler-go: graphs, features, plans, policies and "
      "the plugin's configuration. Shares its state with libgrappler_go.so, "
      "the plugin that TensorFlow loads.";
  // Arrays need it anyway; here its absence is an ImportError that says so.
  pybind11::module_::import("numpy");
  grappler_go::BindGraph(m);
  grappler_go::BindMachine(m);
  grappler_go::BindPlan(m);
  grappler_go::BindSim(m);
  grappler_go::BindPolicy(m);
  grappler_go::BindPlugin(m);
}
