#include "cc/plugin/kernel_registry.h"

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "cc/graph/wire.h"
#include "tensorflow/c/c_api.h"
#include "tensorflow/c/kernels.h"

namespace grappler_go {
namespace {

// KernelList: kernel = 1; KernelDef: device_type = 2 (kernel_def.proto).
std::set<std::string> DeviceTypesOf(const std::string& op_type) {
  std::set<std::string> types;
  const std::unique_ptr<TF_Status, void (*)(TF_Status*)> status(
      TF_NewStatus(), TF_DeleteStatus);
  const std::unique_ptr<TF_Buffer, void (*)(TF_Buffer*)> kernels(
      TF_GetRegisteredKernelsForOp(op_type.c_str(), status.get()),
      TF_DeleteBuffer);
  if (TF_GetCode(status.get()) != TF_OK || kernels == nullptr) return types;
  WireReader list({static_cast<const char*>(kernels->data), kernels->length});
  WireField kernel, field;
  while (list.Next(&kernel)) {
    if (kernel.number != 1 || kernel.type != WireType::kBytes) continue;
    WireReader reader(kernel.bytes);
    while (reader.Next(&field)) {
      if (field.number == 2 && field.type == WireType::kBytes) {
        types.emplace(field.bytes);
      }
    }
  }
  return types;
}

struct Registry {
  std::mutex mutex;
  std::map<std::string, std::set<std::string>, std::less<>> by_op;
};

}  // namespace

bool HasKernel(std::string_view op_type, std::string_view device_type) {
  static Registry* const registry = new Registry;
  const std::lock_guard<std::mutex> lock(registry->mutex);
  auto found = registry->by_op.find(op_type);
  if (found == registry->by_op.end()) {
    const std::string op(op_type);
    found = registry->by_op.emplace(op, DeviceTypesOf(op)).first;
  }
  // NoOp and ControlTrigger have no other: TensorFlow falls back to a kernel
  // for any device (FindKernelRegistration in core/framework/op_kernel.cc).
  return found->second.count(std::string(device_type)) > 0 ||
         found->second.count("DEFAULT") > 0;
}

}  // namespace grappler_go
