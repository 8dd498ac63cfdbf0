// Logits as dicts of numpy arrays: what Python policies return, and what
// build_plan is given.
#ifndef GRAPPLER_GO_BINDINGS_LOGITS_ARRAYS_H_
#define GRAPPLER_GO_BINDINGS_LOGITS_ARRAYS_H_

#include <pybind11/pybind11.h>

#include "cc/base/status.h"
#include "cc/schema/logits.h"

namespace grappler_go {

// Arrays, lists and tensors of any real dtype are converted to float32; a task
// that is missing or None is not decided. Errors: kInvalidArgument for an
// unknown key, for what is not an array of numbers, and for another shape than
// [num_ops] ([num_ops, num_devices] for "device"). Values are not looked at.
StatusOr<Logits> LogitsFromDict(const pybind11::dict& arrays, int32_t num_ops,
                                int32_t num_devices);

// Only the tasks that are decided.
pybind11::dict LogitsToDict(Logits logits);

}  // namespace grappler_go

#endif  // GRAPPLER_GO_BINDINGS_LOGITS_ARRAYS_H_
