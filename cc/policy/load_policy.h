// A policy from the text that a user writes.
#ifndef GRAPPLER_GO_POLICY_LOAD_POLICY_H_
#define GRAPPLER_GO_POLICY_LOAD_POLICY_H_

#include <memory>
#include <string>

#include "cc/base/status.h"
#include "cc/policy/policy.h"

namespace grappler_go {

//   "default"                  policies/default beside this library
//   "go-0.2"                   another folder of policies, unless there is a
//                              file or folder of that name
//   "path/to/folder"           a SavedModel policy (policy_folder.h)
//   "path/to/plan.json"        one saved plan
//   "path/to/folder-of-plans"  <fingerprint>.json for each graph
//   "module:function"          a Python callable (python_host.h), unless there
//                              is a file of that name
//   "python:module:function"   the same, whatever files there are
// This is the only place that reads such texts: those of enable(), of the
// command line and of the environment all end here.
// Errors: kInvalidArgument for anything else, and those of the loaders.
StatusOr<std::shared_ptr<Policy>> LoadPolicy(const std::string& spec);

}  // namespace grappler_go

#endif  // GRAPPLER_GO_POLICY_LOAD_POLICY_H_
