// What the user asked for. One per process, replaced as a whole.
#ifndef GRAPPLER_GO_PLUGIN_CONFIG_H_
#define GRAPPLER_GO_PLUGIN_CONFIG_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "cc/base/status.h"
#include "cc/cost/machine.h"
#include "cc/plan/build_plan.h"
#include "cc/plugin/decision_cache.h"
#include "cc/plugin/shape_tracker.h"
#include "cc/policy/load_policy.h"
#include "cc/policy/policy.h"

namespace grappler_go {

struct Config {
  bool enabled = false;
  std::shared_ptr<Policy> policy;  // null: nothing is decided, only recorded
  // A policy that is loaded when the first graph worth it comes, for hosts in
  // which nothing can be loaded earlier (LoadPolicy's spec; empty: none).
  std::string policy_spec;
  Machine machine;  // devices empty: those the graph names
  // The caller has seen that the machine's devices exist in this process.
  // False: only those that a graph is already placed on are used, and a graph
  // that is on no device of one of the machine's types is left alone: such a
  // machine is most likely another one. TensorFlow crashes on a device that
  // does not exist.
  bool devices_exist = true;
  PlanOptions plan;
  // Everything this pass does to one graph, the policy included. Past it, the
  // graph is left alone.
  int64_t budget_ms = 2000;
  // Milliseconds of these that a search around the policy's plan may take
  // (plan/search_plan.h), at most half of what is left by then. 0: such a
  // search where there are several devices and the policy scores them, with no
  // bound but SearchOptions::max_plans.
  int64_t search_ms = 0;
  // Whether malloc is told to keep what is freed (freed_memory.h); see
  // KeepsMemory().
  bool keep_memory = true;
  // Whether optimizers' rules that a graph spells out are done by TensorFlow's
  // kernels (rewrite/fuse_updates.h), where fusion is decided.
  bool fuse_updates = true;
  // Loops are run by XLA as a whole, where fusion is decided. For those who
  // hand functions over (grappler_go/loops.py): the pass sees loops that
  // TensorFlow has taken apart.
  bool compile_loops = true;
  // Work that ends in sums over rows is done on matrices
  // (rewrite/flatten_rows.h), where fusion is decided without a memory limit.
  bool flatten_rows = true;
  // Graphs with fewer ops are left alone at once.
  int32_t min_ops = 16;
  // A function of which as many graphs were grouped, which differ in their
  // shapes, is left alone when it comes with others.
  int32_t max_shapes = 4;
  // Every graph the pass sees is stored here as <fingerprint>.pb; empty: none.
  std::string record_dir;
  // Keep the bytes of every graph seen, for TakeCaptured() (capture.h).
  bool capture = false;
  // Folders that are looked through for a measured plan before the policy is
  // asked (plan_cache.h). Empty: none.
  std::vector<std::string> plan_folders;
  // Where decisions are kept, so that the same graph traced again does not pay
  // for the policy again. SetConfig makes a new one: a new configuration
  // forgets. Null: nothing is kept.
  std::shared_ptr<DecisionCache> decisions;
  // Which functions came with which shapes; made anew like `decisions`. Null:
  // not counted.
  std::shared_ptr<ShapeTracker> shapes;
};

// Whether freed memory is to be kept: not where memory is limited or none of
// its decisions may be made, nor where nobody decides.
bool KeepsMemory(const Config& config);

// The process's configuration. Thread safe; readers get a snapshot. Never
// destroyed: abandoned policies may still run when the process ends.
std::shared_ptr<const Config> CurrentConfig();
void SetConfig(Config config);  // freed memory is kept or given back at once

// GRAPPLER_GO=0 in the environment: nothing can switch this pass on.
bool KilledByEnvironment();
// Reads GRAPPLER_GO, GRAPPLER_GO_POLICY, GRAPPLER_GO_DEVICES,
// GRAPPLER_GO_DECISIONS, GRAPPLER_GO_MEMORY_LIMIT, GRAPPLER_GO_BUDGET_MS,
// GRAPPLER_GO_MIN_GAIN, GRAPPLER_GO_COMPILE_BUDGET_S,
// GRAPPLER_GO_KEEP_MEMORY, GRAPPLER_GO_RECORD,
// GRAPPLER_GO_PLANS (plan_cache.h; unless it is set, a policy other than the
// one that ships is asked at once). Called once, when the library is
// loaded by TensorFlow. Errors name the variable and what it should look like.
// enabled is what GRAPPLER_GO=1 says; the policy is left in policy_spec.
StatusOr<Config> ConfigFromEnvironment();

}  // namespace grappler_go

#endif  // GRAPPLER_GO_PLUGIN_CONFIG_H_
