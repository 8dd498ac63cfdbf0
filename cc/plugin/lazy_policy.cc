#include "cc/plugin/lazy_policy.h"

#include <mutex>
#include <string>
#include <utility>

namespace grappler_go {
namespace {

// What became of the last configuration that named a policy.
struct Loading {
  std::mutex mutex;
  std::shared_ptr<const Config> config;
  Status outcome;
};

Loading& TheLoading() {
  static Loading* const loading = new Loading;
  return *loading;
}

}  // namespace

StatusOr<std::shared_ptr<const Config>> WithPolicy(
    std::shared_ptr<const Config> config) {
  if (config->policy != nullptr || config->policy_spec.empty()) return config;
  Loading& loading = TheLoading();
  {
    const std::lock_guard<std::mutex> lock(loading.mutex);
    if (loading.config == config) return loading.outcome;
    loading.config = config;
    loading.outcome = Unavailable("policy is being loaded");
  }
  StatusOr<std::shared_ptr<Policy>> policy = LoadPolicy(config->policy_spec);
  const std::lock_guard<std::mutex> lock(loading.mutex);
  if (!policy.ok()) {
    const Status failed(policy.status().code(), "policy could not be loaded: " +
                                                    policy.status().message());
    if (loading.config == config) loading.outcome = failed;
    return failed;
  }
  Config loaded = *config;
  loaded.policy = std::move(*policy);
  loaded.policy_spec.clear();
  // Someone may have configured the process anew in the meantime; that counts.
  if (CurrentConfig() != config) return Unavailable("policy is being loaded");
  SetConfig(std::move(loaded));
  loading.config = nullptr;
  return CurrentConfig();
}

}  // namespace grappler_go
