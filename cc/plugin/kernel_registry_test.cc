#include "cc/plugin/kernel_registry.h"

#include <gtest/gtest.h>

namespace grappler_go {
namespace {

TEST(KernelRegistry, KnowsWhatTensorFlowRegistered) {
  EXPECT_TRUE(HasKernel("MatMul", "CPU"));
  EXPECT_FALSE(HasKernel("MatMul", "ABACUS"));
  EXPECT_FALSE(HasKernel("NoSuchOp", "CPU"));
  EXPECT_TRUE(HasKernel("MatMul", "CPU")) << "asked a second time";
}

// NoOp and ControlTrigger are registered for DEVICE_DEFAULT alone.
TEST(KernelRegistry, AKernelForAnyDeviceIsOneForEach) {
  for (const char* op : {"NoOp", "ControlTrigger"}) {
    EXPECT_TRUE(HasKernel(op, "CPU")) << op;
    EXPECT_TRUE(HasKernel(op, "ABACUS")) << op;
  }
}

}  // namespace
}  // namespace grappler_go
