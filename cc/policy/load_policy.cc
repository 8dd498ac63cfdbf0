#include "cc/policy/load_policy.h"

#include <dlfcn.h>

#include <filesystem>

#include "cc/policy/plan_policy.h"
#include "cc/policy/python_host.h"
#include "cc/policy/saved_model_policy.h"

namespace grappler_go {
namespace {

bool EndsWith(const std::string& text, const std::string& end) {
  return text.size() >= end.size() &&
         text.compare(text.size() - end.size(), end.size(), end) == 0;
}

StatusOr<std::shared_ptr<Policy>> LoadFromFolder(const std::string& folder) {
  namespace fs = std::filesystem;
  std::error_code error;
  if (fs::exists(folder + "/saved_model.pb", error) ||
      fs::exists(folder + "/schema.json", error)) {
    return LoadSavedModelPolicy(folder);
  }
  for (fs::directory_iterator it(folder, error), end; !error && it != end;
       it.increment(error)) {
    if (it->path().extension() == ".json") return LoadPlanPolicy(folder);
  }
  return InvalidArgument(folder +
                         " holds neither a policy (saved_model.pb and "
                         "schema.json) nor plans (<fingerprint>.json)");
}

}  // namespace

std::string DefaultPolicyFolder() {
  Dl_info info;
  if (dladdr(reinterpret_cast<const void*>(&DefaultPolicyFolder), &info) == 0 ||
      info.dli_fname == nullptr) {
    return "";
  }
  std::error_code error;
  const std::filesystem::path library =
      std::filesystem::canonical(info.dli_fname, error);
  if (error) return "";
  return (library.parent_path() / "policies" / "default").string();
}

StatusOr<std::shared_ptr<Policy>> LoadPolicy(const std::string& spec) {
  static const std::string kPython = "python:";
  if (spec.rfind(kPython, 0) == 0) {
    const std::string target = spec.substr(kPython.size());
    const size_t colon = target.find(':');
    if (colon == std::string::npos || colon == 0 ||
        colon + 1 == target.size()) {
      return InvalidArgument("policy '" + spec +
                             "' should look like python:module:function");
    }
    return LoadPythonPolicy(target);
  }
  const std::string path = spec == "default" ? DefaultPolicyFolder() : spec;
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) return LoadFromFolder(path);
  if (EndsWith(path, ".json")) return LoadPlanPolicy(path);
  return InvalidArgument(
      "policy '" + spec +
      "' is neither a folder, a plan (*.json) nor python:module:function");
}

}  // namespace grappler_go
