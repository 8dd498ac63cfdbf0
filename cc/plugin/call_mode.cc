#include "cc/plugin/call_mode.h"

#include <utility>

namespace grappler_go {
namespace {

thread_local CallMode current = CallMode::kUsual;

}  // namespace

void SetCallMode(CallMode mode) { current = mode; }

CallMode CurrentCallMode() { return current; }

std::shared_ptr<const Config> InMode(std::shared_ptr<const Config> config,
                                     CallMode mode) {
  if (mode == CallMode::kUsual) return config;
  auto changed = std::make_shared<Config>(*config);
  if (mode == CallMode::kOnTrial) {
    changed->plan.on_trial = true;
    return changed;
  }
  // No plan gains the whole step. Nor is this graph anybody's to learn from.
  changed->plan.min_gain = 1.0;
  changed->decisions = nullptr;
  changed->shapes = nullptr;
  changed->plan_folders.clear();
  changed->record_dir.clear();
  changed->capture = false;
  return changed;
}

}  // namespace grappler_go
