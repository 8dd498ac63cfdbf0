// The attributes by which TensorFlow's own clustering compiles a group with
// XLA, whatever the global JIT level is (tensorflow/compiler/jit,
// mark_for_compilation_pass.cc): ops of different scopes never share a cluster.
#ifndef GRAPPLER_GO_REWRITE_FUSION_GROUPS_H_
#define GRAPPLER_GO_REWRITE_FUSION_GROUPS_H_

#include <string>
#include <vector>

#include "cc/plan/plan.h"

namespace grappler_go {

constexpr char kXlaCompileAttr[] = "_XlaCompile";
constexpr char kXlaScopeAttr[] = "_XlaScope";
constexpr char kXlaSeparateAttr[] = "_XlaSeparateCompiledGradients";

// Per group, the bytes to append to the NodeDef of each of its ops. The scope's
// name comes from the graph and the groups, so that two functions that are
// inlined into one never share a scope.
std::vector<std::string> FusionGroupAttrs(const Plan& plan);

}  // namespace grappler_go

#endif  // GRAPPLER_GO_REWRITE_FUSION_GROUPS_H_
