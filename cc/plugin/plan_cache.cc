#include "cc/plugin/plan_cache.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <sstream>
#include <unordered_map>
#include <utility>

#include "cc/base/json.h"
#include "cc/cost/local_machine.h"
#include "cc/graph/wire.h"
#include "tensorflow/c/c_api.h"

namespace grappler_go {
namespace {

constexpr char kFormat[] = "grappler-go-tuned";
// Far above any plan: of 4,000,000 ops, one takes about 60 bytes.
constexpr off_t kMaxBytes = 512 << 20;

// kNotFound when there is no such file; kUnavailable when it cannot be read.
StatusOr<std::string> ReadFile(const std::string& path) {
  // Not to wait for the other end of what is a pipe.
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) {
    // A folder that is not there yet, or a file in its place, holds nothing.
    if (errno == ENOENT || errno == ENOTDIR) return NotFound(path);
    return Unavailable(std::strerror(errno));
  }
  struct stat facts;
  std::string text;
  Status status;
  if (fstat(file, &facts) != 0 || !S_ISREG(facts.st_mode)) {
    status = Unavailable("is not a file");
  } else if (facts.st_size > kMaxBytes) {
    status = Unavailable("is too large");
  } else {
    text.resize(static_cast<size_t>(facts.st_size));
    size_t have = 0;
    while (have < text.size()) {
      const ssize_t got = read(file, &text[have], text.size() - have);
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) break;
      have += static_cast<size_t>(got);
    }
    if (have < text.size()) status = Unavailable("cannot be read whole");
  }
  close(file);
  if (!status.ok()) return status;
  return text;
}

// In this order for ever: a file's name is the hash of the text.
Json ToJson(const PlanCacheKey& key) {
  Json json;
  json["cores"] = key.cores;
  json["cpu"] = key.cpu;
  json["devices"] = key.devices;
  json["graph"] = key.graph;
  json["tensorflow"] = key.tensorflow;
  return json;
}

Status CheckHeader(const Json& file, const PlanCacheKey& key) {
  if (!file.is_object() || file.value("format", "") != kFormat) {
    return InvalidArgument("\"format\" should be \"grappler-go-tuned\"");
  }
  const std::string version = file.value("version", "");
  const std::string major = std::to_string(kPlanCacheMajor) + ".";
  if (version.rfind(major, 0) != 0) {
    return FailedPrecondition("version \"" + version +
                              "\" is not one this build reads; it reads " +
                              major + "x");
  }
  if (!file.contains("key") || !file["key"].is_object()) {
    return InvalidArgument("\"key\" should be an object");
  }
  const Json wanted = ToJson(key);
  for (const auto& [name, value] : wanted.items()) {
    if (!file["key"].contains(name) || file["key"][name] != value) {
      return FailedPrecondition("its \"" + name + "\" is another");
    }
  }
  return OkStatus();
}

StatusOr<TunedPlan> Read(const std::string& path, const PlanCacheKey& key) {
  StatusOr<std::string> text = ReadFile(path);
  if (!text.ok()) return text.status();
  StatusOr<TunedPlan> found = TunedPlanFromJson(*text, key);
  if (found.ok()) found->path = path;
  return found;
}

}  // namespace

std::string DecisionKey(const OpGraph& graph) {
  std::unordered_map<const char*, uint64_t> device_hashes;
  uint64_t hash = 0;
  for (int32_t i = 0; i < graph.num_ops(); ++i) {
    const std::string_view device = graph.device(i);
    const auto [found, is_new] = device_hashes.try_emplace(device.data(), 0);
    if (is_new) found->second = HashBytes(device, 0);
    hash = HashMix(hash, found->second + (graph.has(i, kPreserved) ? 1 : 0));
  }
  return graph.fingerprint().ToString() + ":" + std::to_string(hash);
}

std::string PlanCacheKey::FileName() const {
  const std::string rest = JsonText(ToJson(*this));
  char hash[17];
  std::snprintf(hash, sizeof(hash), "%016llx",
                static_cast<unsigned long long>(HashBytes(rest, 0)));
  return graph.substr(0, graph.find(':')) + "-" + hash + ".json";
}

PlanCacheKey MakePlanCacheKey(const OpGraph& graph, const Machine& machine) {
  static const auto& here = *new std::pair<std::string, int32_t>(
      CpuModel(), NumCores());  // reading /proc takes a while
  PlanCacheKey key;
  key.graph = DecisionKey(graph);
  key.cpu = here.first;
  key.cores = here.second;
  for (const Device& device : machine.devices) {
    key.devices.push_back(device.name);
  }
  std::sort(key.devices.begin(), key.devices.end());
  key.tensorflow = TF_Version();
  return key;
}

std::vector<std::string> DefaultPlanFolders() {
  if (const char* given = std::getenv("GRAPPLER_GO_PLANS");
      given != nullptr && *given != '\0') {
    std::vector<std::string> folders;
    std::istringstream stream(given);
    for (std::string folder; std::getline(stream, folder, ':');) {
      if (!folder.empty() && folder != "0") folders.push_back(folder);
    }
    return folders;
  }
  if (const char* cache = std::getenv("XDG_CACHE_HOME");
      cache != nullptr && *cache == '/') {
    return {std::string(cache) + "/grappler-go/plans"};
  }
  const char* home = std::getenv("HOME");
  if (home == nullptr || *home == '\0') return {};
  return {std::string(home) + "/.cache/grappler-go/plans"};
}

StatusOr<TunedPlan> TunedPlanFromJson(std::string_view json,
                                      const PlanCacheKey& key) {
  try {
    const Json file = ParseJson(json);
    GO_RETURN_IF_ERROR(CheckHeader(file, key));
    TunedPlan tuned;
    const std::string verdict = file.value("verdict", "");
    if (verdict != "plan" && verdict != "default") {
      return InvalidArgument("\"verdict\" should be \"plan\" or \"default\"");
    }
    tuned.use_default = verdict == "default";
    const Json measured = file.value("measured", Json::object());
    tuned.default_ms = measured.value("default_ms", 0.0);
    tuned.plan_ms = measured.value("plan_ms", 0.0);
    if (tuned.use_default) return tuned;
    StatusOr<Plan> plan = PlanFromJson(JsonText(file.value("plan", Json())));
    if (!plan.ok()) return plan.status();
    tuned.plan = std::move(*plan);
    return tuned;
  } catch (const std::exception& e) {
    return InvalidArgument(std::string("not JSON as expected: ") + e.what());
  }
}

StatusOr<TunedPlan> FindTunedPlan(const std::vector<std::string>& folders,
                                  const PlanCacheKey& key,
                                  std::vector<std::string>* notes) {
  const std::string name = key.FileName();
  for (const std::string& folder : folders) {
    const std::string path = folder + "/" + name;
    StatusOr<TunedPlan> found = Read(path, key);
    if (found.ok()) return found;
    if (found.status().code() == StatusCode::kNotFound) continue;
    notes->push_back("plan cache: " + path +
                     " is not used: " + found.status().message());
  }
  return NotFound("no plan in the cache");
}

}  // namespace grappler_go
