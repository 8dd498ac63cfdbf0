#include "cc/plugin/policy_runner.h"

#include <atomic>
#include <condition_variable>
#include <exception>
#include <map>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

namespace grappler_go {
namespace {

std::atomic<int> running{0};
thread_local bool on_policy_thread = false;

// How often each living policy was abandoned.
class Abandonments {
 public:
  int Of(const std::shared_ptr<Policy>& policy) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = counts_.find(policy);
    return found == counts_.end() ? 0 : found->second;
  }
  void Add(const std::shared_ptr<Policy>& policy) {
    const std::lock_guard<std::mutex> lock(mutex_);
    for (auto it = counts_.begin(); it != counts_.end();) {
      it = it->first.expired() ? counts_.erase(it) : std::next(it);
    }
    ++counts_[policy];
  }

 private:
  std::mutex mutex_;
  std::map<std::weak_ptr<Policy>, int, std::owner_less<std::weak_ptr<Policy>>>
      counts_;
};

Abandonments& TheAbandonments() {
  static Abandonments* const abandonments = new Abandonments;
  return *abandonments;
}

// Shared between the caller, who may leave, and the policy's thread.
struct Call {
  std::shared_ptr<Policy> policy;
  std::shared_ptr<const PolicyContext> context;
  Deadline deadline;

  std::mutex mutex;
  std::condition_variable done;
  std::optional<StatusOr<Decision>> answer;
};

StatusOr<Decision> Ask(const Call& call) {
  try {
    const PolicyInput input{*call.context->graph,   call.context->machine,
                            call.context->features, call.deadline,
                            call.context,           call.context->free_state};
    return call.policy->Decide(input);
  } catch (const std::exception& e) {
    return Internal(std::string("policy threw: ") + e.what());
  } catch (...) {
    return Internal("policy threw something that is not a std::exception");
  }
}

void RunCall(std::shared_ptr<Call> call) {
  on_policy_thread = true;
  StatusOr<Decision> answer = Ask(*call);
  {
    const std::lock_guard<std::mutex> lock(call->mutex);
    call->context = nullptr;
    call->answer.emplace(std::move(answer));
  }
  call->done.notify_one();
  --running;
}

}  // namespace

bool OnPolicyThread() { return on_policy_thread; }

StatusOr<Decision> RunPolicy(std::shared_ptr<Policy> policy,
                             std::shared_ptr<const PolicyContext> context,
                             Deadline deadline) {
  if (TheAbandonments().Of(policy) >= kMaxAbandoned) {
    return Unavailable(
        "policy is not asked any more: it ran past the deadline " +
        std::to_string(kMaxAbandoned) + " times");
  }
  if (++running > kMaxPoliciesAtOnce) {
    --running;
    return Unavailable("too many policies are running");
  }
  const auto call = std::make_shared<Call>();
  call->policy = policy;
  call->context = std::move(context);
  call->deadline = deadline;
  try {
    std::thread(RunCall, call).detach();
  } catch (const std::system_error& e) {
    --running;
    return Unavailable(std::string("no thread for the policy: ") + e.what());
  }
  std::unique_lock<std::mutex> lock(call->mutex);
  if (call->done.wait_until(lock, deadline,
                            [&] { return call->answer.has_value(); })) {
    return std::move(*call->answer);
  }
  TheAbandonments().Add(policy);
  return DeadlineExceeded("policy ran past the deadline");
}

}  // namespace grappler_go
