// The ops that a policy's SavedModel may contain.
#ifndef GRAPPLER_GO_POLICY_ALLOWED_OPS_H_
#define GRAPPLER_GO_POLICY_ALLOWED_OPS_H_

#include <string_view>

namespace grappler_go {

enum class OpLicence {
  kRefused,
  kPure,        // mathematics, calls, and reading variables
  kReadsFiles,  // restoring variables: only what runs at load may reach it
  kWritesFiles  // saving variables: nothing that runs may reach it
};

OpLicence LicenceOf(std::string_view op_type);

}  // namespace grappler_go

#endif  // GRAPPLER_GO_POLICY_ALLOWED_OPS_H_
