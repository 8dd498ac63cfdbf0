#include "cc/schema/logits.h"

#include <cmath>
#include <string>

namespace grappler_go {
namespace {

Status ValidateArray(const char* name, const std::vector<float>& values,
                     int32_t num_ops, int32_t columns, bool per_device) {
  if (values.empty()) return OkStatus();
  const size_t expected =
      static_cast<size_t>(num_ops) * static_cast<size_t>(columns);
  if (values.size() != expected) {
    std::string shape = std::to_string(num_ops) + " ops";
    if (per_device) shape += " x " + std::to_string(columns) + " devices";
    return InvalidArgument("The policy's logits \"" + std::string(name) +
                           "\" have " + std::to_string(values.size()) +
                           " values; expected " + std::to_string(expected) +
                           " (" + shape + ").");
  }
  for (size_t i = 0; i < values.size(); ++i) {
    if (std::isfinite(values[i])) continue;
    return InvalidArgument("The policy's logits \"" + std::string(name) +
                           "\" are " + std::to_string(values[i]) + " for op " +
                           std::to_string(i / columns) +
                           "; every value must be finite.");
  }
  return OkStatus();
}

}  // namespace

Status ValidateLogits(const Logits& logits, int32_t num_ops,
                      int32_t num_devices) {
  if (logits.num_ops != num_ops) {
    return InvalidArgument(
        "The policy answered for " + std::to_string(logits.num_ops) +
        " ops; the graph has " + std::to_string(num_ops) + ".");
  }
  if (!logits.device.empty() && logits.num_devices != num_devices) {
    return InvalidArgument(
        "The policy answered for " + std::to_string(logits.num_devices) +
        " devices; the machine has " + std::to_string(num_devices) + ".");
  }
  GO_RETURN_IF_ERROR(
      ValidateArray("device", logits.device, num_ops, num_devices, true));
  const struct {
    const char* name;
    const std::vector<float>& values;
  } per_op[] = {{"fusion", logits.fusion},
                {"schedule", logits.schedule},
                {"recompute", logits.recompute},
                {"op_micros", logits.op_micros},
                {"fused_micros", logits.fused_micros}};
  for (const auto& array : per_op) {
    GO_RETURN_IF_ERROR(
        ValidateArray(array.name, array.values, num_ops, 1, false));
  }
  if (logits.op_micros.empty() != logits.fused_micros.empty()) {
    return InvalidArgument(
        "The policy gave only one of \"op_micros\" and \"fused_micros\"; give "
        "both or none.");
  }
  return OkStatus();
}

}  // namespace grappler_go
