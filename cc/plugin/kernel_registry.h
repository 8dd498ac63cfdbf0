// Which kernels the TensorFlow in this process has.
#ifndef GRAPPLER_GO_PLUGIN_KERNEL_REGISTRY_H_
#define GRAPPLER_GO_PLUGIN_KERNEL_REGISTRY_H_

#include <string_view>

namespace grappler_go {

// Is any kernel registered for this op type on this device type ("CPU")? Types
// and labels of the kernel are not looked at. Asks TensorFlow once for each op
// type. Thread safe.
bool HasKernel(std::string_view op_type, std::string_view device_type);

}  // namespace grappler_go

#endif  // GRAPPLER_GO_PLUGIN_KERNEL_REGISTRY_H_
