// Two chains of products, which nothing joins but their argument, and two
// devices for them.
#ifndef GRAPPLER_GO_TESTING_TWO_CHAINS_H_
#define GRAPPLER_GO_TESTING_TWO_CHAINS_H_

#include <string>

#include "cc/cost/machine.h"
#include "cc/graph/wire.h"
#include "cc/testing/graph_builder.h"

namespace grappler_go {

// GraphDef bytes: a0, a1 ... and b0, b1 ..., `length` each, of 256 x 256.
inline std::string TwoChains(int length) {
  const GraphBuilder::Attrs t = {{"T", TypeAttrValue(kFloat)}};
  GraphBuilder builder;
  builder.Arg("x", {256, 256});
  for (const std::string chain : {"a", "b"}) {
    std::string below = "x";
    for (int k = 0; k < length; ++k) {
      const std::string name = chain + std::to_string(k);
      builder.Node(name, "MatMul", {below, below}, t);
      below = name;
    }
  }
  return builder.Build();
}

// With every rate and link as it is by default.
inline Machine TwoGpus() {
  Machine machine;
  for (int k = 0; k < 2; ++k) {
    Device& device = machine.devices.emplace_back();
    device.name = "/job:a/replica:0/task:0/device:GPU:" + std::to_string(k);
    device.type = "GPU";
  }
  return machine;
}

}  // namespace grappler_go

#endif  // GRAPPLER_GO_TESTING_TWO_CHAINS_H_
