// A policy written in Python, "module:function", for whoever asks from C++.
//
//   StatusOr<std::shared_ptr<Policy>> policy = LoadPythonPolicy("mine:decide");
//
// What runs Python is the extension module _core (cc/bindings); this library
// neither includes Python's headers nor links to it. Three situations:
//  - _core is imported: it has left its factory here, and that one is asked.
//  - Python is in the process, _core is not imported yet (TensorFlow loads the
//    plugin while `import tensorflow` is still running): the policy that comes
//    back imports _core and the module at its first Decide.
//  - No Python (a C++ host): an interpreter is started, once, and left without
//    the GIL held. libpython is the file that GRAPPLER_GO_LIBPYTHON names, else
//    libpython3.X.so of the version that the _core beside this library is for.
//
// The module is looked for where Python looks (PYTHONPATH ...), in the folders
// of GRAPPLER_GO_PYTHONPATH (like PYTHONPATH), and beside the grappler_go
// package. numpy must be importable; TensorFlow's Python package is not
// imported, since a C++ host has TensorFlow already.
#ifndef GRAPPLER_GO_POLICY_PYTHON_HOST_H_
#define GRAPPLER_GO_POLICY_PYTHON_HOST_H_

#include <cxxabi.h>
#include <unistd.h>

#include <memory>
#include <string>

#include "cc/base/status.h"
#include "cc/policy/policy.h"

namespace grappler_go {

// Makes a policy in a running interpreter. Takes the GIL itself.
using PythonPolicyFactory =
    StatusOr<std::shared_ptr<Policy>> (*)(const std::string& module_function);

// Called by _core when it is imported.
void SetPythonPolicyFactory(PythonPolicyFactory factory);

// Errors: kInvalidArgument for what is not "module:function"; kUnavailable when
// there is no libpython or _core cannot be imported; what the factory says
// (kInvalidArgument with Python's own message when the import fails).
StatusOr<std::shared_ptr<Policy>> LoadPythonPolicy(
    const std::string& module_function);

// Runs a function that asks for the GIL. While Python shuts down, it ends any
// other thread that does so, by pthread_exit. That would unwind through code
// that must not be left this way and end the process with an abort; so the
// thread sleeps until the process is gone. (Python 3.14 does it by itself.)
template <typename Function>
auto SleepWhenEnded(Function function) {
  try {
    return function();
  } catch (const abi::__forced_unwind&) {
    for (;;) pause();
  }
}

}  // namespace grappler_go

#endif  // GRAPPLER_GO_POLICY_PYTHON_HOST_H_
