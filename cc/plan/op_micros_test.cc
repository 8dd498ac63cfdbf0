#include "cc/plan/op_micros.h"

#include <string>
#include <utility>

#include "cc/graph/wire.h"
#include "cc/testing/graph_builder.h"
#include "gtest/gtest.h"

namespace grappler_go {
namespace {

// 16,000 operations and 8,000 bytes.
OpGraph Product() {
  GraphBuilder builder;
  builder.Arg("a", {20, 20})
      .Arg("b", {20, 20})
      .Node("op", "MatMul", {"a", "b"}, {{"T", TypeAttrValue(kFloat)}});
  static const std::string& bytes = *new std::string(builder.Build());
  return std::move(*OpGraph::Parse(bytes, {}));
}

Device MakeDevice(const char* name, const char* type, double gflops) {
  Device device;
  device.name = name;
  device.type = type;
  device.gflops = gflops;
  device.gbytes_per_s = 1e6;
  return device;
}

TEST(EstimateOpMicros, WithoutACpuItIsTheFirstDevice) {
  const OpGraph graph = Product();
  const int32_t op = graph.find("op");
  Machine machine;
  machine.devices = {MakeDevice("/device:GPU:0", "GPU", 8),
                     MakeDevice("/device:GPU:1", "GPU", 4)};
  machine.devices[0].dispatch_us = 5;
  const OpMicros micros = EstimateOpMicros(graph, machine, Logits());
  EXPECT_FLOAT_EQ(micros.alone[op], 2 + 5);
  EXPECT_FLOAT_EQ(micros.compiled[op], 2);
  machine.devices.push_back(MakeDevice("/device:CPU:0", "CPU", 1));
  EXPECT_FLOAT_EQ(EstimateOpMicros(graph, machine, Logits()).alone[op], 16 + 1);
}

TEST(EstimateOpMicros, GroupsCrossTheirBoundaryAtWhatStreamingAchieves) {
  Machine machine;
  machine.devices = {MakeDevice("/device:CPU:0", "CPU", 1)};
  machine.devices[0].gbytes_per_s = 10;
  const OpGraph graph = Product();
  EXPECT_DOUBLE_EQ(EstimateOpMicros(graph, machine, Logits()).per_boundary_byte,
                   1e-4);
  machine.devices[0].achieved.fill({1.0, 0.5});
  EXPECT_DOUBLE_EQ(EstimateOpMicros(graph, machine, Logits()).per_boundary_byte,
                   2e-4);
}

}  // namespace
}  // namespace grappler_go
