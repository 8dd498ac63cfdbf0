// Plans that were measured (grappler_go.tune), kept on disk for every later
// process.
//
// A folder has one file for each graph, kind of machine, and TensorFlow:
// <fingerprint>-<16 hex digits>.json, the digits a hash of the rest of the key.
// A file appears whole or not at all (whoever writes renames), so readers take
// no lock. It is JSON:
//
//   {"format": "grappler-go-tuned", "version": "1.1",
//    "key": {"graph": ..., "cpu": ..., "cores": 2, "devices": [...],
//            "tensorflow": "2.21.0"},
//    "verdict": "plan" or "default",
//    "measured": {"default_ms": 12.9, "plan_ms": 10.1, ...},
//    "plan": {...}}            a plan's file; null for "default"
//
// Unknown fields are ignored; another major version is not read. The file is
// written by grappler_go/plan_cache.py. Since 1.1, files for functions with
// loops lie beside them, which Python alone reads: "function" in the place of
// "graph", the verdict "loops" (XLA runs them) or "no loops", and no plan.
#ifndef GRAPPLER_GO_PLUGIN_PLAN_CACHE_H_
#define GRAPPLER_GO_PLUGIN_PLAN_CACHE_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cc/base/status.h"
#include "cc/cost/machine.h"
#include "cc/graph/op_graph.h"
#include "cc/plan/plan.h"

namespace grappler_go {

constexpr int kPlanCacheMajor = 1;

// What the fingerprint of a graph leaves out and a decision depends on: its
// ops' devices, and which of them must be preserved.
std::string DecisionKey(const OpGraph& graph);

struct PlanCacheKey {
  std::string graph;                 // DecisionKey
  std::string cpu;                   // CpuModel() of local_machine.h
  int32_t cores = 0;                 // that this process may run on
  std::vector<std::string> devices;  // where ops may be placed, sorted
  std::string tensorflow;            // TF_Version()

  std::string FileName() const;
};

// The key of a graph in this process. `machine`: what was configured; without
// devices, those that the graph uses, which are in `graph` already.
PlanCacheKey MakePlanCacheKey(const OpGraph& graph, const Machine& machine);

// Where plans are kept unless something else is said: the folders in
// GRAPPLER_GO_PLANS, with colons between them ("0": none), or
// grappler-go/plans in $XDG_CACHE_HOME or ~/.cache.
std::vector<std::string> DefaultPlanFolders();

struct TunedPlan {
  std::string path;
  bool use_default = false;            // TensorFlow alone was the best
  double default_ms = 0, plan_ms = 0;  // medians of a step; plan_ms: the best
  Plan plan;                           // empty with use_default
};

// The first folder's entry for the key. Errors: kNotFound, there is none.
// Entries that cannot be used are passed over, and `notes` gets a sentence
// about each that names the file.
StatusOr<TunedPlan> FindTunedPlan(const std::vector<std::string>& folders,
                                  const PlanCacheKey& key,
                                  std::vector<std::string>* notes);

// One entry's text. Errors: kInvalidArgument with what was expected,
// kFailedPrecondition for another version or another key.
StatusOr<TunedPlan> TunedPlanFromJson(std::string_view json,
                                      const PlanCacheKey& key);

}  // namespace grappler_go

#endif  // GRAPPLER_GO_PLUGIN_PLAN_CACHE_H_
