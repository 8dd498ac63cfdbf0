// Errors as values. No exception crosses a public function of the core.
//
//   StatusOr<OpGraph> graph = OpGraph::Parse(bytes, options);
//   if (!graph.ok()) return graph.status();
//   Use(*graph);
//
// A Status becomes a Python exception in one place only
// (bindings/status_casters.h), and never a TF_Status: TensorFlow logs one or
// aborts, so the plugin puts it into a report (plugin/plugin.cc).
#ifndef GRAPPLER_GO_BASE_STATUS_H_
#define GRAPPLER_GO_BASE_STATUS_H_

#include <cstdlib>
#include <optional>
#include <string>
#include <utility>

namespace grappler_go {

// The names follow absl::StatusCode; only the codes in use are listed.
enum class StatusCode {
  kOk = 0,
  kInvalidArgument = 3,    // the caller's bytes or arguments are wrong
  kDeadlineExceeded = 4,   // the time budget ran out
  kNotFound = 5,           // a file, a symbol or a node is missing
  kResourceExhausted = 8,  // a size or memory bound was hit
  kFailedPrecondition = 9,
  kAborted = 10,        // nothing was done, on purpose
  kUnimplemented = 12,  // outside of what this build handles
  kInternal = 13,       // a bug of ours
  kUnavailable = 14,    // TensorFlow or Python is not there
};

class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(StatusCode code, std::string message)
      : code_(code), message_(std::move(message)) {}

  bool ok() const { return code_ == StatusCode::kOk; }
  StatusCode code() const { return code_; }
  const std::string& message() const { return message_; }

 private:
  StatusCode code_ = StatusCode::kOk;
  std::string message_;
};

inline Status OkStatus() { return Status(); }
inline Status InvalidArgument(std::string m) {
  return Status(StatusCode::kInvalidArgument, std::move(m));
}
inline Status NotFound(std::string m) {
  return Status(StatusCode::kNotFound, std::move(m));
}
inline Status FailedPrecondition(std::string m) {
  return Status(StatusCode::kFailedPrecondition, std::move(m));
}
inline Status Unimplemented(std::string m) {
  return Status(StatusCode::kUnimplemented, std::move(m));
}
inline Status Unavailable(std::string m) {
  return Status(StatusCode::kUnavailable, std::move(m));
}
inline Status Internal(std::string m) {
  return Status(StatusCode::kInternal, std::move(m));
}
inline Status DeadlineExceeded(std::string m) {
  return Status(StatusCode::kDeadlineExceeded, std::move(m));
}

// Either a T or the reason why there is none. Dereferencing an error aborts.
template <typename T>
class [[nodiscard]] StatusOr {
 public:
  StatusOr(Status status) : status_(std::move(status)) {  // NOLINT: implicit
    if (status_.ok()) status_ = Internal("StatusOr made from an OK status");
  }
  StatusOr(T value) : value_(std::move(value)) {}  // NOLINT: implicit

  bool ok() const { return value_.has_value(); }
  const Status& status() const { return status_; }
  T& operator*() { return value(); }
  const T& operator*() const { return const_cast<StatusOr*>(this)->value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &const_cast<StatusOr*>(this)->value(); }
  T& value() {
    if (!value_.has_value()) std::abort();
    return *value_;
  }

 private:
  Status status_;
  std::optional<T> value_;
};

#define GO_RETURN_IF_ERROR(expr)               \
  do {                                         \
    ::grappler_go::Status go_status_ = (expr); \
    if (!go_status_.ok()) return go_status_;   \
  } while (0)

}  // namespace grappler_go

#endif  // GRAPPLER_GO_BASE_STATUS_H_
