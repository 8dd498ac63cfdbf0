// What TensorFlow calls: TF_InitGraph, and the optimizer it registers.
//
// In doubt the answer is TF_ABORTED, which TensorFlow takes for "nothing to
// change", silently. Any other error is logged, and OK with an empty buffer
// would break the user's program.
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "cc/plugin/call_mode.h"
#include "cc/plugin/call_tracker.h"
#include "cc/plugin/config.h"
#include "cc/plugin/kernel_registry.h"
#include "cc/plugin/lazy_policy.h"
#include "cc/plugin/optimize.h"
#include "cc/plugin/policy_runner.h"
#include "cc/plugin/registration.h"
#include "cc/plugin/report.h"
#include "tensorflow/c/experimental/grappler/grappler.h"

namespace grappler_go {
namespace {

// Graphs with fewer nodes may be gone after TensorFlow's first round.
constexpr int32_t kTinyGraph = 16;

using SizeFunction = void (*)(const TF_GrapplerItem*, int*, size_t*,
                              TF_Status*);
using ListFunction = void (*)(const TF_GrapplerItem*, char**, size_t*, int,
                              void*, size_t, TF_Status*);

// False when TensorFlow will not tell; `status` is left as it was found.
bool ReadNames(const TF_GrapplerItem* item, SizeFunction size_of,
               ListFunction list, std::vector<std::string>* names) {
  TF_Status* const status = TF_NewStatus();
  int count = 0;
  size_t bytes = 0;
  size_of(item, &count, &bytes, status);
  bool ok = TF_GetCode(status) == TF_OK;
  if (ok && count > 0) {
    std::vector<char*> values(static_cast<size_t>(count));
    std::vector<size_t> lengths(values.size());
    std::vector<char> storage(bytes + 1);
    list(item, values.data(), lengths.data(), count, storage.data(), bytes,
         status);
    ok = TF_GetCode(status) == TF_OK;
    for (size_t i = 0; ok && i < values.size(); ++i) {
      names->emplace_back(values[i], lengths[i]);
    }
  }
  TF_DeleteStatus(status);
  return ok;
}

// Rewritten graphs on their way to TensorFlow, which gives back an address
// only. They are handed over without another copy.
class OutgoingGraphs {
 public:
  void Give(std::string graphdef, TF_Buffer* out) {
    const std::lock_guard<std::mutex> lock(mutex_);
    auto graph = std::make_unique<std::string>(std::move(graphdef));
    out->data = graph->data();
    out->length = graph->size();
    out->data_deallocator = [](void* data, size_t) { The().Take(data); };
    graphs_[graph->data()] = std::move(graph);
  }

  static OutgoingGraphs& The() {
    static OutgoingGraphs* const graphs = new OutgoingGraphs;
    return *graphs;
  }

 private:
  void Take(void* data) {
    const std::lock_guard<std::mutex> lock(mutex_);
    graphs_.erase(data);
  }

  std::mutex mutex_;
  std::map<const void*, std::unique_ptr<std::string>> graphs_;
};

void Tell(Report report) {
  static const bool verbose = [] {
    const char* value = std::getenv("GRAPPLER_GO_VERBOSE");
    return value != nullptr && value[0] != '\0' && value[0] != '0';
  }();
  if (verbose) std::fprintf(stderr, "%s\n", ReportLine(report).c_str());
  AddReport(std::move(report));
}

uint64_t HashNames(const std::vector<std::string>& names) {
  uint64_t hash = 0;
  for (const std::string& name : names)
    hash = HashMix(hash, HashBytes(name, 1));
  return hash;
}

// True when `out` holds a new graph.
bool Act(CallTracker* tracker, const TF_Buffer* graph,
         const TF_GrapplerItem* item, TF_Buffer* out) {
  std::shared_ptr<const Config> config = CurrentConfig();
  if (!config->enabled || KilledByEnvironment() || OnPolicyThread()) {
    return false;
  }
  OptimizeInput input;
  input.graphdef = {static_cast<const char*>(graph->data), graph->length};
  if (!ReadNames(item, TF_GetFetchNodesListSize, TF_GetFetchNodesList,
                 &input.fetches) ||
      !tracker->ShouldAct(
          item, HashNames(input.fetches),
          CountNodes(input.graphdef, kTinyGraph) < kTinyGraph) ||
      !ReadNames(item, TF_GetNodesToPreserveListSize, TF_GetNodesToPreserveList,
                 &input.preserve)) {
    return false;
  }
  // A policy is not loaded for a graph that is too small to ask it about.
  const bool small =
      CountNodes(input.graphdef, config->min_ops) < config->min_ops;
  if (!small) {
    StatusOr<std::shared_ptr<const Config>> loaded = WithPolicy(config);
    if (!loaded.ok()) {
      Report report;
      report.fetches = input.fetches;
      report.num_nodes =
          CountNodes(input.graphdef, std::numeric_limits<int32_t>::max());
      report.graph_bytes = static_cast<int64_t>(graph->length);
      report.policy = config->policy_spec;
      report.outcome = loaded.status().message();
      Tell(std::move(report));
      return false;
    }
    config = *loaded;
  }
  input.verify.has_kernel = HasKernel;
  const CallMode mode = CurrentCallMode();
  OptimizeResult result = OptimizeGraph(input, *InMode(config, mode));
  if (mode != CallMode::kUpdatesAlone) Tell(std::move(result.report));
  if (!result.applied || result.graphdef.empty()) return false;
  OutgoingGraphs::The().Give(std::move(result.graphdef), out);
  return true;
}

void* Create() { return new (std::nothrow) CallTracker; }
void Destroy(void* tracker) { delete static_cast<CallTracker*>(tracker); }

void Optimize(void* tracker, const TF_Buffer* graph,
              const TF_GrapplerItem* item, TF_Buffer* out, TF_Status* status) {
  bool changed = false;
  try {
    changed = tracker != nullptr &&
              Act(static_cast<CallTracker*>(tracker), graph, item, out);
  } catch (...) {
    // Out of memory: nothing was written to `out`, and nothing is left to
    // report it with.
  }
  TF_SetStatus(status, changed ? TF_OK : TF_ABORTED, "");
}

// The program goes on without this pass. Who switched it on by the environment
// has no other way to learn of it than a line on stderr.
void SayNotEnabled(const std::string& why) {
  Report report;
  report.outcome = "not enabled: " + why;
  if (std::getenv("GRAPPLER_GO") != nullptr && !KilledByEnvironment()) {
    std::fprintf(stderr, "grappler_go: %s\n", report.outcome.c_str());
  }
  AddReport(std::move(report));
}

void ConfigureFromEnvironment() {
  if (std::getenv("GRAPPLER_GO") == nullptr || KilledByEnvironment()) return;
  StatusOr<Config> config = ConfigFromEnvironment();
  if (config.ok()) {
    SetConfig(std::move(*config));
  } else {
    SayNotEnabled(config.status().message());
  }
}

// True: register for the CPU. Loaded for a second time, the library is
// registered already, and stays so.
bool DecideToRegister() {
  static std::mutex* const mutex = new std::mutex;
  const std::lock_guard<std::mutex> lock(*mutex);
  if (RegistrationOutcome().ok()) return false;
  const Status may_register = CheckMayRegister();
  SetRegistrationOutcome(may_register);
  if (may_register.ok()) return true;
  SayNotEnabled(may_register.message());
  return false;
}

// A device type that no device has and nobody registered for before, not even
// another copy of this library.
const char* UnusedDeviceType() {
  static std::atomic<int> count{0};
  char* const name = new char[64];
  std::snprintf(name, 64, "GRAPPLER_GO_UNUSED_%p_%d",
                reinterpret_cast<void*>(&UnusedDeviceType), count++);
  return name;
}

}  // namespace
}  // namespace grappler_go

extern "C" void TF_InitGraph(TP_OptimizerRegistrationParams* params,
                             TF_Status* status) {
  namespace go = grappler_go;
  const bool registers = go::DecideToRegister();
  params->struct_size = TP_OPTIMIZER_REGISTRATION_PARAMS_STRUCT_SIZE;
  params->optimizer_configs->struct_size = TP_OPTIMIZER_CONFIGS_STRUCT_SIZE;
  params->optimizer->struct_size = TP_OPTIMIZER_STRUCT_SIZE;
  // TensorFlow keeps the pointer.
  params->device_type = registers ? "CPU" : go::UnusedDeviceType();
  params->optimizer->create_func = go::Create;
  params->optimizer->optimize_func = go::Optimize;
  params->optimizer->destroy_func = go::Destroy;
  if (registers) go::ConfigureFromEnvironment();
  TF_SetStatus(status, TF_OK, "");
}
