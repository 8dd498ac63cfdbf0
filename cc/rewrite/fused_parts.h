// What a remapped op is made of.
//
// TensorFlow's remapper (tensorflow/core/grappler/optimizers/remapper.cc) makes
// _FusedMatMul, _FusedConv2D and their like out of ordinary ops; here the
// ordinary ops are found again, exactly as the fused kernels compute
// (tensorflow/core/kernels/fused_eigen_output_kernels.h,
// unary_ops_composition.cc, mkl/): the contraction, then fused_ops in order,
// each taking its further arguments from the inputs that are left.
#ifndef GRAPPLER_GO_REWRITE_FUSED_PARTS_H_
#define GRAPPLER_GO_REWRITE_FUSED_PARTS_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "cc/base/status.h"
#include "cc/graph/op_graph.h"

namespace grappler_go {

// One ordinary op. An input is output 0 of an earlier part (its index) or a
// data input of the fused op (FusedInput(slot)).
struct FusedPart {
  std::string op;
  std::vector<int32_t> inputs;
  std::vector<std::pair<std::string, std::string>> attrs;
};
constexpr int32_t FusedInput(int32_t slot) { return -1 - slot; }
constexpr bool IsFusedInput(int32_t input) { return input < 0; }
constexpr int32_t FusedInputSlot(int32_t input) { return -1 - input; }

// In the order in which they run; the last one is the fused op's output 0. Its
// other outputs (_FusedBatchNormEx) are those of part 0. kUnimplemented, naming
// what is not known, for everything that cannot be taken apart.
StatusOr<std::vector<FusedPart>> PartsOf(const OpGraph& graph, int32_t op);

}  // namespace grappler_go

#endif  // GRAPPLER_GO_REWRITE_FUSED_PARTS_H_
