// What whoever is about to call a function wants of the pass for it.
//
// TensorFlow optimizes a function's graph within the call that needs it, on the
// caller's thread. So a caller can say, for the graphs of this call alone, what
// no setting of the process could: whether the steps to come are timed.
#ifndef GRAPPLER_GO_PLUGIN_CALL_MODE_H_
#define GRAPPLER_GO_PLUGIN_CALL_MODE_H_

#include <memory>

#include "cc/plugin/config.h"

namespace grappler_go {

enum class CallMode {
  kUsual,
  // The plan's first steps are timed against the graph without it.
  kOnTrial,
  // No plan: only the updates of variables that kernels do, and no report. What
  // a plan is timed against where there are such, and what stays without it.
  kUpdatesAlone,
};

// Of this thread, from here on.
void SetCallMode(CallMode mode);
CallMode CurrentCallMode();

// The settings as that mode has them; `config` itself for kUsual.
std::shared_ptr<const Config> InMode(std::shared_ptr<const Config> config,
                                     CallMode mode);

}  // namespace grappler_go

#endif  // GRAPPLER_GO_PLUGIN_CALL_MODE_H_
