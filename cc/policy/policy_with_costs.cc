#include "cc/policy/policy_with_costs.h"

#include <algorithm>
#include <mutex>
#include <string_view>
#include <utility>

#include "cc/policy/policy_folder.h"
#include "cc/policy/saved_model_policy.h"

namespace grappler_go {
namespace {

class PolicyWithCosts : public Policy {
 public:
  PolicyWithCosts(PolicyFolder folder, std::shared_ptr<Policy> costs)
      : folder_(std::move(folder)), costs_(std::move(costs)) {}

  std::string name() const override { return folder_.name; }
  bool reads_graph() const override { return false; }

  uint32_t reads_arrays(const Machine& machine) const override {
    uint32_t arrays = costs_->reads_arrays(machine);
    if (!HasChoice(machine)) return arrays;
    for (const std::string& name : folder_.inputs) arrays |= ArraysOf(name);
    return arrays;
  }

  Status Prepare(const Machine& machine) override {
    return HasChoice(machine) ? Network().status() : OkStatus();
  }

  StatusOr<Decision> Decide(const PolicyInput& input) override {
    if (!HasChoice(input.machine)) return costs_->Decide(input);
    StatusOr<std::shared_ptr<Policy>> network = Network();
    if (!network.ok()) return network.status();
    StatusOr<Decision> decision = (*network)->Decide(input);
    if (!decision.ok() || input.free_state) return decision;
    StatusOr<Decision> costs = costs_->Decide(input);
    if (!costs.ok()) return costs;
    Logits& logits = *decision->logits;
    logits.fusion = std::move(costs->logits->fusion);
    logits.recompute = std::move(costs->logits->recompute);
    logits.op_micros = std::move(costs->logits->op_micros);
    logits.fused_micros = std::move(costs->logits->fused_micros);
    return decision;
  }

 private:
  // Of a machine that nobody has described it is not known what transfers cost:
  // what is there stays where it is. CPUs of one process are the same cores: to
  // move an op from one to another gains nothing, whatever a simulator that
  // takes each for a whole one says.
  static bool HasChoice(const Machine& machine) {
    if (machine.devices.empty() || machine.links.empty()) return false;
    const Device& first = machine.devices[0];
    return std::any_of(machine.devices.begin(), machine.devices.end(),
                       [&first](const Device& device) {
                         return device.type != "CPU" ||
                                TaskOf(device) != TaskOf(first);
                       });
  }
  // "/job:worker/replica:0/task:1" of a full name.
  static std::string_view TaskOf(const Device& device) {
    return std::string_view(device.name)
        .substr(0, device.name.find("/device:"));
  }

  // Loaded by whoever asks first, once; others wait. A SavedModel's session
  // never comes back to this pass.
  StatusOr<std::shared_ptr<Policy>> Network() {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!is_loaded_) {
      network_ = LoadSavedModelPolicy(folder_.path);
      is_loaded_ = true;
    }
    return network_;
  }

  const PolicyFolder folder_;
  const std::shared_ptr<Policy> costs_;
  std::mutex mutex_;
  bool is_loaded_ = false;
  StatusOr<std::shared_ptr<Policy>> network_ = Internal("not loaded yet");
};

}  // namespace

StatusOr<std::shared_ptr<Policy>> LoadPolicyWithCosts(
    const std::string& folder) {
  StatusOr<PolicyFolder> described = ReadPolicyFolder(folder);
  if (!described.ok()) return described.status();
  StatusOr<std::shared_ptr<Policy>> costs =
      LoadSavedModelPolicy(folder + "/" + kCostsFolder);
  if (!costs.ok()) return costs.status();
  return std::shared_ptr<Policy>(std::make_shared<PolicyWithCosts>(
      std::move(*described), std::move(*costs)));
}

}  // namespace grappler_go
