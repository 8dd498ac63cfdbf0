// Loads the policy that a configuration only names.
#ifndef GRAPPLER_GO_PLUGIN_LAZY_POLICY_H_
#define GRAPPLER_GO_PLUGIN_LAZY_POLICY_H_

#include <memory>

#include "cc/base/status.h"
#include "cc/plugin/config.h"

namespace grappler_go {

// `config` itself when it needs no loading; else the process's configuration
// after its policy_spec was loaded, which happens once, on the thread that
// comes first. Never waits: loading a policy may trace TensorFlow functions,
// and these come back to this pass.
// Errors: kUnavailable "policy is being loaded" for whoever comes meanwhile;
// "policy could not be loaded: ..." for ever after, until the configuration
// changes.
StatusOr<std::shared_ptr<const Config>> WithPolicy(
    std::shared_ptr<const Config> config);

}  // namespace grappler_go

#endif  // GRAPPLER_GO_PLUGIN_LAZY_POLICY_H_
