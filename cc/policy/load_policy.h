// A policy from the text that a user writes.
#ifndef GRAPPLER_GO_POLICY_LOAD_POLICY_H_
#define GRAPPLER_GO_POLICY_LOAD_POLICY_H_

#include <memory>
#include <string>

#include "cc/base/status.h"
#include "cc/policy/policy.h"

namespace grappler_go {

//   "default"                  policies/default beside this library
//   "path/to/folder"           a SavedModel policy (policy_folder.h)
//   "path/to/plan.json"        one saved plan
//   "path/to/folder-of-plans"  <fingerprint>.json for each graph
//   "python:module:function"   a Python callable (python_host.h)
// Errors: kInvalidArgument for anything else, and those of the loaders.
StatusOr<std::shared_ptr<Policy>> LoadPolicy(const std::string& spec);

// The folder of the default policy; empty when this code is not in a shared
// library with a path.
std::string DefaultPolicyFolder();

}  // namespace grappler_go

#endif  // GRAPPLER_GO_POLICY_LOAD_POLICY_H_
