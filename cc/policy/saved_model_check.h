// Reads saved_model.pb without TensorFlow and decides whether it may be loaded.
//
// A SavedModel is a program: its graph can read files, write them, and call
// Python. A policy has no business doing so, so every op in it must be on a
// short list of mathematics, or be one of the few with which TensorFlow's own
// exporter saves and restores variables; and those few must stand where the
// exporter puts them:
//  - what the signature computes reaches no file at all;
//  - what runs at load (restoring variables, initialisation) writes none.
#ifndef GRAPPLER_GO_POLICY_SAVED_MODEL_CHECK_H_
#define GRAPPLER_GO_POLICY_SAVED_MODEL_CHECK_H_

#include <map>
#include <string>
#include <string_view>

#include "cc/base/status.h"

namespace grappler_go {

struct SignatureTensor {
  std::string tensor;  // "serving_default_op_type:0"
  int dtype = 0;       // a tensorflow::DataType
};

struct SavedModelSignature {
  std::map<std::string, SignatureTensor> inputs, outputs;
};

// The signature "serving_default" of the MetaGraph tagged "serve".
// Errors: kInvalidArgument (malformed bytes, no such MetaGraph or signature);
// kFailedPrecondition naming the op that a policy may not have, and where.
StatusOr<SavedModelSignature> CheckSavedModel(std::string_view saved_model);

}  // namespace grappler_go

#endif  // GRAPPLER_GO_POLICY_SAVED_MODEL_CHECK_H_
