#include "cc/policy/policy_folder.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "cc/base/json.h"
#include "cc/policy/sha256.h"
#include "cc/schema/features.h"

namespace grappler_go {
namespace {

namespace fs = std::filesystem;

const std::vector<std::string>& OutputNames() {
  static const auto& names = *new std::vector<std::string>{
      "device", "fusion", "schedule", "recompute", "op_micros", "fused_micros"};
  return names;
}

Status CheckSchemaVersion(const std::string& version) {
  int major = -1;
  std::from_chars(version.data(), version.data() + version.size(), major);
  if (major == kSchemaMajor) return OkStatus();
  return FailedPrecondition(
      "the policy speaks schema " + version + ", this build speaks " +
      std::to_string(kSchemaMajor) + "." + std::to_string(kSchemaMinor));
}

Status CheckNames(const std::vector<std::string>& names,
                  const std::vector<std::string>& known, const char* what) {
  if (names.empty()) {
    return InvalidArgument(std::string("schema.json lists no ") + what);
  }
  for (const std::string& name : names) {
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      return InvalidArgument(std::string("schema.json lists '") + name +
                             "' among its " + what +
                             ", which no policy of this schema has");
    }
  }
  return OkStatus();
}

// Only what TensorFlow's loader reads without being told to: no assets, and no
// second form of the model beside the one that is checked.
bool MayBeInFolder(const std::string& file) {
  return file == "saved_model.pb" || file == "fingerprint.pb" ||
         file.rfind("variables/", 0) == 0;
}

// Has checksums of its own.
bool IsInCosts(const std::string& file) {
  return file.rfind(std::string(kCostsFolder) + "/", 0) == 0;
}

bool IsDescription(const std::string& file) {
  return file == "schema.json" || file == "card.json" || file == "README.md";
}

Status CheckFiles(const std::string& folder,
                  const std::map<std::string, std::string>& sums) {
  if (sums.count("saved_model.pb") == 0) {
    return InvalidArgument("schema.json has no checksum of saved_model.pb");
  }
  for (const auto& [file, sum] : sums) {
    if (!MayBeInFolder(file) || file.find("..") != std::string::npos) {
      return FailedPrecondition("schema.json lists " + file +
                                ", which has no place in a policy");
    }
    StatusOr<std::string> actual = Sha256HexOfFile(folder + "/" + file);
    if (!actual.ok()) return actual.status();
    if (*actual != sum) {
      return FailedPrecondition(file + " does not match its checksum");
    }
  }
  std::error_code error;
  for (fs::recursive_directory_iterator it(folder, error), end;
       !error && it != end; it.increment(error)) {
    if (it->is_directory(error)) continue;
    const std::string file =
        it->path().lexically_relative(folder).generic_string();
    if (sums.count(file) == 0 && !IsDescription(file) && !IsInCosts(file)) {
      return FailedPrecondition(file + " is not listed in schema.json");
    }
  }
  if (error) return NotFound("cannot list " + folder);
  return OkStatus();
}

}  // namespace

StatusOr<PolicyFolder> ReadPolicyFolder(const std::string& path) {
  const std::string file = path + "/schema.json";
  std::ifstream in(file, std::ios::binary);
  if (!in) return NotFound("cannot read " + file);
  std::ostringstream text;
  text << in.rdbuf();

  PolicyFolder folder;
  folder.path = path;
  std::string version;
  std::map<std::string, std::string> sums;
  try {
    const Json json = ParseJson(text.str());
    version = json.at("schema").get<std::string>();
    // Before anything else is read: another major version may have no other
    // field in common with this one.
    GO_RETURN_IF_ERROR(CheckSchemaVersion(version));
    folder.name = json.at("name").get<std::string>();
    json.at("inputs").get_to(folder.inputs);
    json.at("outputs").get_to(folder.outputs);
    json.at("op_features").get_to(folder.op_features);
    json.at("device_features").get_to(folder.device_features);
    folder.link_features = json.value("link_features", LinkFeatureNames());
    json.at("vocabulary").get_to(folder.vocabulary);
    json.at("files").get_to(sums);
  } catch (const Json::exception& e) {
    return InvalidArgument(file + ": " + e.what());
  }
  GO_RETURN_IF_ERROR(CheckNames(folder.inputs, ArrayNames(), "inputs"));
  GO_RETURN_IF_ERROR(CheckNames(folder.outputs, OutputNames(), "outputs"));
  GO_RETURN_IF_ERROR(CheckFiles(path, sums));
  return folder;
}

}  // namespace grappler_go
