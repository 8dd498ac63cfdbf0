#include "cc/plugin/decision_cache.h"

#include <utility>

namespace grappler_go {

std::shared_ptr<const CachedDecision> DecisionCache::Find(
    const std::string& key) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return nullptr;
  entries_.splice(entries_.begin(), entries_, found->second);
  return found->second->decision;
}

void DecisionCache::Insert(const std::string& key, CachedDecision decision) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (by_key_.count(key) > 0) return;  // another thread was first
  ops_ += decision.plan.num_ops;
  entries_.push_front(
      {key, std::make_shared<const CachedDecision>(std::move(decision))});
  by_key_[key] = entries_.begin();
  while (ops_ > max_ops_ && entries_.size() > 1) {
    ops_ -= entries_.back().decision->plan.num_ops;
    by_key_.erase(entries_.back().key);
    entries_.pop_back();
  }
}

}  // namespace grappler_go
