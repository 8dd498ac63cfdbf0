// What the schema.json of a policy's folder promises, checked against the
// files.
//
//   my-policy/
//     saved_model.pb, variables/   the model
//     schema.json                  what it reads and answers, checksums
//     card.json                    how it was made; for people, not read here
//     costs/                       another such folder (policy_with_costs.h),
//     or
//                                  none
#ifndef GRAPPLER_GO_POLICY_POLICY_FOLDER_H_
#define GRAPPLER_GO_POLICY_POLICY_FOLDER_H_

#include <string>
#include <vector>

#include "cc/base/status.h"

namespace grappler_go {

// The part of a policy's folder that holds another one (policy_with_costs.h).
constexpr char kCostsFolder[] = "costs";

struct PolicyFolder {
  std::string path;
  std::string name;                  // "scorer-1.0"
  std::vector<std::string> inputs;   // arrays of Features to feed
  std::vector<std::string> outputs;  // arrays of Logits to fetch
  // The columns and the vocabulary that the model was made with. They may be
  // fewer than this build has, or in another order; the policy is fed its own.
  // Models of schema 1.0 know of no link features: all of ours, unread.
  std::vector<std::string> op_features, device_features, link_features,
      vocabulary;
};

// Reads `path`/schema.json and holds every file below `path` against it.
// Errors: kNotFound (no such folder or file); kInvalidArgument (not JSON, a
// field is missing, an input or output that no schema of this major version
// has); kFailedPrecondition (another schema major version, a checksum that does
// not match, a file that schema.json does not list).
StatusOr<PolicyFolder> ReadPolicyFolder(const std::string& path);

}  // namespace grappler_go

#endif  // GRAPPLER_GO_POLICY_POLICY_FOLDER_H_
