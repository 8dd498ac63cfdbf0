// A policy that is a SavedModel, run by the TensorFlow that is in the process.
//
// Loaded once and kept warm, in a session of its own whose ConfigProto switches
// plugin optimizers off: the policy's own graphs never come back to this pass.
// Needs no Python.
#ifndef GRAPPLER_GO_POLICY_SAVED_MODEL_POLICY_H_
#define GRAPPLER_GO_POLICY_SAVED_MODEL_POLICY_H_

#include <memory>
#include <string>

#include "cc/base/status.h"
#include "cc/policy/policy.h"

namespace grappler_go {

// `folder` is described in policy_folder.h. Checks it, loads it and runs it
// once on a graph of a few ops.
// Errors: those of ReadPolicyFolder and CheckSavedModel; kInvalidArgument where
// schema.json and the model's signature disagree, or an answer has the wrong
// shape; kUnavailable with TensorFlow's message when it cannot load or run.
StatusOr<std::shared_ptr<Policy>> LoadSavedModelPolicy(
    const std::string& folder);

}  // namespace grappler_go

#endif  // GRAPPLER_GO_POLICY_SAVED_MODEL_POLICY_H_
