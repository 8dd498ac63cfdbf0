#include "cc/policy/load_policy.h"

#include <cctype>
#include <filesystem>
#include <string_view>

#include "cc/policy/package_folder.h"
#include "cc/policy/plan_policy.h"
#include "cc/policy/policy_folder.h"
#include "cc/policy/policy_with_costs.h"
#include "cc/policy/python_host.h"
#include "cc/policy/saved_model_policy.h"

namespace grappler_go {
namespace {

bool EndsWith(const std::string& text, const std::string& end) {
  return text.size() >= end.size() &&
         text.compare(text.size() - end.size(), end.size(), end) == 0;
}

// "train", "my.module", "Holder.policy". Python allows letters of any alphabet.
bool IsDottedName(std::string_view text) {
  bool begins = true;  // a part, which no digit does
  for (const unsigned char c : text) {
    if (c == '.' ? begins
                 : !(std::isalpha(c) || c == '_' || c >= 0x80 ||
                     (std::isdigit(c) && !begins))) {
      return false;
    }
    begins = c == '.';
  }
  return !begins;
}

// "module:function".
bool IsPythonTarget(std::string_view text) {
  const size_t colon = text.find(':');
  return colon != std::string_view::npos &&
         IsDottedName(text.substr(0, colon)) &&
         IsDottedName(text.substr(colon + 1));
}

StatusOr<std::shared_ptr<Policy>> LoadFromFolder(const std::string& folder) {
  namespace fs = std::filesystem;
  std::error_code error;
  if (fs::exists(folder + "/saved_model.pb", error) ||
      fs::exists(folder + "/schema.json", error)) {
    return fs::exists(folder + "/" + kCostsFolder, error)
               ? LoadPolicyWithCosts(folder)
               : LoadSavedModelPolicy(folder);
  }
  for (fs::directory_iterator it(folder, error), end; !error && it != end;
       it.increment(error)) {
    if (it->path().extension() == ".json") return LoadPlanPolicy(folder);
  }
  return InvalidArgument(folder +
                         " holds neither a policy (saved_model.pb and "
                         "schema.json) nor plans (<fingerprint>.json)");
}

// What "default" stands for.
constexpr char kDefault[] = "go-1.0";

// The folder of a policy that ships; empty where the text is no such name. What
// is in the current folder goes first, but for "default".
std::string ShippedFolder(const std::string& spec) {
  if (spec.empty() || spec.find('/') != std::string::npos || spec[0] == '.') {
    return "";
  }
  std::error_code error;
  if (spec != "default" && std::filesystem::exists(spec, error)) return "";
  std::string folder =
      PackageFolder() + "/policies/" + (spec == "default" ? kDefault : spec);
  const bool is_there = std::filesystem::is_directory(folder, error);
  return is_there || spec == "default" ? folder : "";
}

}  // namespace

StatusOr<std::shared_ptr<Policy>> LoadPolicy(const std::string& spec) {
  static const std::string kPython = "python:";
  const std::string shipped = ShippedFolder(spec);
  const std::string path = shipped.empty() ? spec : shipped;
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) return LoadFromFolder(path);
  const bool exists = std::filesystem::exists(path, error);
  if (exists && EndsWith(path, ".json")) return LoadPlanPolicy(path);
  // "python:function" would be a function of a module named python, but is more
  // likely what somebody wrote who has left out the module.
  if (spec.rfind(kPython, 0) == 0) {
    const std::string target = spec.substr(kPython.size());
    if (IsPythonTarget(target)) return LoadPythonPolicy(target);
  } else if (!exists && IsPythonTarget(spec)) {
    return LoadPythonPolicy(spec);
  }
  return InvalidArgument(
      "policy '" + spec + "': " +
      (exists ? "that file is no plan (*.json)"
              : "there is no such file or folder, and it is not "
                "module:function") +
      "; a policy is 'default' or another that ships, a policy's folder, a "
      "plan's file (*.json), a folder of plans, or a Python function as "
      "module:function");
}

}  // namespace grappler_go
