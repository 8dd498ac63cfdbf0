// A large graph for benchmarks.
#ifndef GRAPPLER_GO_TESTING_UNROLLED_NETWORK_H_
#define GRAPPLER_GO_TESTING_UNROLLED_NETWORK_H_

#include <cstdint>
#include <string>

namespace grappler_go {

// GraphDef bytes of an unrolled recurrent network with its backward pass:
// twenty nodes a step, with the attributes and the long names that TensorFlow
// writes.
std::string UnrolledNetwork(int32_t nodes);

}  // namespace grappler_go

#endif  // GRAPPLER_GO_TESTING_UNROLLED_NETWORK_H_
