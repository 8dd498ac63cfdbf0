// Plans already made, by fingerprint.
#ifndef GRAPPLER_GO_PLUGIN_DECISION_CACHE_H_
#define GRAPPLER_GO_PLUGIN_DECISION_CACHE_H_

#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "cc/plan/build_plan.h"
#include "cc/plan/plan.h"

namespace grappler_go {

struct CachedDecision {
  Plan plan;
  PlanExplanation why;
  // False: the policy answered with a finished plan.
  bool from_logits = true;
};

// Keeps the most recently used plans, up to a total number of ops. Thread safe.
class DecisionCache {
 public:
  explicit DecisionCache(int64_t max_ops = 2'000'000) : max_ops_(max_ops) {}

  // Null when there is none.
  std::shared_ptr<const CachedDecision> Find(const std::string& key);
  void Insert(const std::string& key, CachedDecision decision);

 private:
  struct Entry {
    std::string key;
    std::shared_ptr<const CachedDecision> decision;
  };
  std::mutex mutex_;
  const int64_t max_ops_;
  int64_t ops_ = 0;
  std::list<Entry> entries_;  // most recently used first
  std::unordered_map<std::string, std::list<Entry>::iterator> by_key_;
};

}  // namespace grappler_go

#endif  // GRAPPLER_GO_PLUGIN_DECISION_CACHE_H_
