// Where a Status becomes a Python exception:
//   ValueError    what the caller gave is wrong, or does not fit
//   TimeoutError  the deadline passed
//   RuntimeError  something is missing in this process, or a bug of ours
#ifndef GRAPPLER_GO_BINDINGS_STATUS_CASTERS_H_
#define GRAPPLER_GO_BINDINGS_STATUS_CASTERS_H_

#include <pybind11/pybind11.h>

#include <utility>

#include "cc/base/status.h"

namespace grappler_go {

[[noreturn]] inline void ThrowStatus(const Status& status) {
  switch (status.code()) {
    case StatusCode::kInvalidArgument:
    case StatusCode::kNotFound:
    case StatusCode::kResourceExhausted:
    case StatusCode::kFailedPrecondition:
    case StatusCode::kAborted:
      throw pybind11::value_error(status.message());
    case StatusCode::kDeadlineExceeded:
      PyErr_SetString(PyExc_TimeoutError, status.message().c_str());
      throw pybind11::error_already_set();
    default:
      PyErr_SetString(PyExc_RuntimeError, status.message().c_str());
      throw pybind11::error_already_set();
  }
}

inline void ThrowIfError(const Status& status) {
  if (!status.ok()) ThrowStatus(status);
}

template <typename T>
T ValueOrThrow(StatusOr<T> result) {
  if (!result.ok()) ThrowStatus(result.status());
  return std::move(*result);
}

}  // namespace grappler_go

#endif  // GRAPPLER_GO_BINDINGS_STATUS_CASTERS_H_
