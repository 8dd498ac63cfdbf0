#include "cc/policy/python_host.h"

#include <dlfcn.h>
#include <glob.h>

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <mutex>
#include <type_traits>
#include <utility>
#include <vector>

#include "cc/policy/package_folder.h"

namespace grappler_go {
namespace {

std::atomic<PythonPolicyFactory> g_factory{nullptr};

// The few functions of Python's stable ABI that start an interpreter.
struct PythonApi {
  int (*is_initialized)() = nullptr;
  void (*initialize)(int install_signal_handlers) = nullptr;
  int (*ensure_gil)() = nullptr;
  void (*release_gil)(int) = nullptr;
  void* (*save_thread)() = nullptr;
  int (*run)(const char* code, void* flags) = nullptr;
  void* (*sys_object)(const char* name) = nullptr;  // borrowed
  const char* (*utf8)(void* text, ptrdiff_t* size) = nullptr;

  // From `library`, or from what the process has loaded.
  static PythonApi Find(void* library) {
    PythonApi api;
    auto find = [library](const char* name, auto* function) {
      using Function = std::remove_pointer_t<decltype(function)>;
      *function = reinterpret_cast<Function>(dlsym(library, name));
      return *function != nullptr;
    };
    const bool complete = find("Py_IsInitialized", &api.is_initialized) &&
                          find("Py_InitializeEx", &api.initialize) &&
                          find("PyGILState_Ensure", &api.ensure_gil) &&
                          find("PyGILState_Release", &api.release_gil) &&
                          find("PyEval_SaveThread", &api.save_thread) &&
                          find("PyRun_SimpleStringFlags", &api.run) &&
                          find("PySys_GetObject", &api.sys_object) &&
                          find("PyUnicode_AsUTF8AndSize", &api.utf8);
    return complete ? api : PythonApi();
  }
  bool found() const { return utf8 != nullptr; }
};

bool PythonIsRunning(const PythonApi& api) {
  return api.found() && api.is_initialized() != 0;
}

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// "3.11" for _core.cpython-311-x86_64-linux-gnu.so; one per file found.
std::vector<std::string> VersionsOfCore(const std::string& folder) {
  std::vector<std::string> versions;
  const std::string prefix = folder + "/_core.cpython-3";
  glob_t files{};
  if (glob((prefix + "*.so").c_str(), 0, nullptr, &files) == 0) {
    for (size_t i = 0; i < files.gl_pathc; ++i) {
      const std::string rest = std::string(files.gl_pathv[i] + prefix.size());
      const std::string minor =
          rest.substr(0, rest.find_first_not_of("0123456789"));
      if (!minor.empty()) versions.push_back("3." + minor);
    }
  }
  globfree(&files);
  return versions;
}

StatusOr<PythonApi> LoadLibpython() {
  std::vector<std::string> names;
  const std::string given = Environment("GRAPPLER_GO_LIBPYTHON");
  const std::string folder = PackageFolder();
  if (!given.empty()) {
    names.push_back(given);
  } else {
    for (const std::string& version : VersionsOfCore(folder)) {
      names.push_back("libpython" + version + ".so.1.0");
      names.push_back("libpython" + version + ".so");
    }
    if (names.empty()) {
      return Unavailable("no Python policy can run here: " + folder +
                         " has no extension module _core");
    }
  }
  std::string tried;
  for (const std::string& name : names) {
    // Global, for extension modules do not link to libpython themselves.
    void* library = dlopen(name.c_str(), RTLD_NOW | RTLD_GLOBAL);
    if (library != nullptr) {
      const PythonApi api = PythonApi::Find(library);
      if (api.found()) return api;
    }
    tried += (tried.empty() ? "" : ", ") + name;
  }
  return Unavailable(
      "a Python policy needs an interpreter and none could be loaded (tried " +
      tried + "); set GRAPPLER_GO_LIBPYTHON to the file of libpython");
}

// A Python string literal.
std::string Quoted(const std::string& text) {
  std::string quoted = "'";
  for (const char c : text) {
    if (c == '\\' || c == '\'') quoted += '\\';
    quoted += c;
  }
  return quoted + "'";
}

// Imports _core by its file, which leaves a factory here. Not through the
// package: another one may come first on the path, with a library of its own.
// What went wrong is left as sys._grappler_go_error.
std::string ImportCoreCode() {
  return R"(
def _grappler_go_import_core(folder, paths):
    import importlib.util, os, sys
    from importlib import machinery
    sys._grappler_go_error = ''
    try:
        for path in paths.split(os.pathsep) + [os.path.dirname(folder)]:
            if path and path not in sys.path:
                sys.path.append(path)
        if 'grappler_go._core' in sys.modules:
            return
        for suffix in machinery.EXTENSION_SUFFIXES:
            file = os.path.join(folder, '_core' + suffix)
            if os.path.exists(file):
                break
        else:
            raise ImportError('no _core for Python ' + sys.version.split()[0])
        loader = machinery.ExtensionFileLoader('grappler_go._core', file)
        spec = importlib.util.spec_from_loader(loader.name, loader, origin=file)
        module = importlib.util.module_from_spec(spec)
        sys.modules[loader.name] = module
        try:
            loader.exec_module(module)
        except BaseException:
            del sys.modules[loader.name]
            raise
    except BaseException as error:
        error = error.__cause__ or error
        sys._grappler_go_error = f'{type(error).__name__}: {error}'
)"
         "_grappler_go_import_core(" +
         Quoted(PackageFolder()) + ", " +
         Quoted(Environment("GRAPPLER_GO_PYTHONPATH")) +
         ")\ndel _grappler_go_import_core\n";
}

class HoldGil {
 public:
  explicit HoldGil(const PythonApi& api)
      : api_(api),
        state_(SleepWhenEnded([&api] { return api.ensure_gil(); })) {}
  ~HoldGil() { api_.release_gil(state_); }
  HoldGil(const HoldGil&) = delete;
  HoldGil& operator=(const HoldGil&) = delete;

 private:
  const PythonApi& api_;
  const int state_;
};

// With Python running; `api` is its. The caller holds the GIL.
StatusOr<PythonPolicyFactory> FactoryFromCore(const PythonApi& api) {
  if (PythonPolicyFactory factory = g_factory.load()) return factory;
  std::string error = "it could not be run";
  const int failed = SleepWhenEnded(
      [&api] { return api.run(ImportCoreCode().c_str(), nullptr); });
  if (failed == 0) {
    void* text = api.sys_object("_grappler_go_error");
    const char* utf8 = text == nullptr ? nullptr : api.utf8(text, nullptr);
    if (utf8 != nullptr) error = utf8;
  }
  if (PythonPolicyFactory factory = g_factory.load()) return factory;
  if (error.empty()) error = "another copy of it is imported already";
  return Unavailable("a Python policy needs the extension module in " +
                     PackageFolder() + ": " + error);
}

// Imports its module at the first Decide, when `import tensorflow` is over.
class DeferredPythonPolicy : public Policy {
 public:
  DeferredPythonPolicy(PythonApi api, std::string spec)
      : api_(api), spec_(std::move(spec)) {}

  std::string name() const override { return "python:" + spec_; }

  StatusOr<Decision> Decide(const PolicyInput& input) override {
    // From the import to the call, for both to have the same thread state:
    // importing _core makes pybind11 note that of this thread, and would leave
    // it a dangling pointer.
    const HoldGil gil(api_);
    StatusOr<std::shared_ptr<Policy>> policy = Resolve();
    if (!policy.ok()) return policy.status();
    return (*policy)->Decide(input);
  }

 private:
  StatusOr<std::shared_ptr<Policy>> Resolve() {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      if (policy_ != nullptr) return policy_;
    }
    // Outside of the lock, for the import may give up the GIL meanwhile. Two
    // threads that come here together import once: Python sees to that.
    StatusOr<PythonPolicyFactory> factory = FactoryFromCore(api_);
    if (!factory.ok()) return factory.status();
    StatusOr<std::shared_ptr<Policy>> made = (*factory)(spec_);
    if (!made.ok()) return made.status();
    std::lock_guard<std::mutex> lock(mutex_);
    if (policy_ == nullptr) policy_ = *made;
    return policy_;
  }

  const PythonApi api_;
  const std::string spec_;
  std::mutex mutex_;
  std::shared_ptr<Policy> policy_;
};

std::atomic<bool> g_started_here{false};

// Starts an interpreter in this process, at most once.
StatusOr<PythonApi> StartPython() {
  static std::mutex mutex;
  std::lock_guard<std::mutex> lock(mutex);
  StatusOr<PythonApi> api = LoadLibpython();
  if (!api.ok()) return api.status();
  if (!PythonIsRunning(*api)) {
    api->initialize(/*install_signal_handlers=*/0);
    api->save_thread();  // policies are called on other threads
    g_started_here = true;
  }
  return *api;
}

}  // namespace

void SetPythonPolicyFactory(PythonPolicyFactory factory) {
  g_factory.store(factory);
}

StatusOr<std::shared_ptr<Policy>> LoadPythonPolicy(
    const std::string& module_function) {
  const size_t colon = module_function.find(':');
  if (colon == 0 || colon == std::string::npos ||
      colon + 1 == module_function.size()) {
    return InvalidArgument("\"" + module_function +
                           "\" is not of the form module:function");
  }
  if (PythonPolicyFactory factory = g_factory.load()) {
    return factory(module_function);
  }
  const PythonApi running = PythonApi::Find(RTLD_DEFAULT);
  if (PythonIsRunning(running) && !g_started_here) {
    return std::shared_ptr<Policy>(
        std::make_shared<DeferredPythonPolicy>(running, module_function));
  }
  StatusOr<PythonApi> started = StartPython();
  if (!started.ok()) return started.status();
  const HoldGil gil(*started);
  StatusOr<PythonPolicyFactory> factory = FactoryFromCore(*started);
  if (!factory.ok()) return factory.status();
  return (*factory)(module_function);
}

}  // namespace grappler_go
