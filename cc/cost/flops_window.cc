// Floating-point work of pooling, resizing and normalization.
#include <algorithm>
#include <string_view>

#include "cc/cost/op_cost.h"
#include "cc/cost/op_formula.h"
#include "cc/graph/attr_value.h"

namespace grappler_go {
namespace {

bool IsGradient(const OpFacts& op) {
  return op.type().find("Grad") != std::string_view::npos;
}

double LrnWindow(const OpFacts& op) {
  constexpr int64_t kDefaultRadius = 5;
  return 2.0 * static_cast<double>(
                   AttrInt(op.attr("depth_radius"), kDefaultRadius)) +
         1.0;
}

}  // namespace

// One for each window and each element in it. The smaller side has one element
// a window: the result; backward its gradient, the last input.
double PoolFlops(const OpFacts& op) {
  double window = 1.0;
  const IntValues sizes = AttrInts(op.attr("ksize"));
  for (const int64_t size : sizes.span()) {
    window *= static_cast<double>(std::max<int64_t>(size, 1));
  }
  const double windows = IsGradient(op)
                             ? op.in_elements(std::max(op.num_inputs() - 1, 0))
                             : op.out_elements();
  return windows * window;
}

// Two interpolations and one between them, three operations each, for each
// element of the result or of its gradient.
double BilinearFlops(const OpFacts& op) {
  return 9.0 * (IsGradient(op) ? op.in_elements(0) : op.out_elements());
}

// A multiply-add for each of 4 x 4 neighbours.
double BicubicFlops(const OpFacts& op) {
  return 32.0 * (IsGradient(op) ? op.in_elements(0) : op.out_elements());
}

// As TensorFlow's op_level_cost_estimator counts: a multiply-add to scale and
// shift; in training two more operations for mean and variance.
double BatchNormFlops(const OpFacts& op) {
  const std::string_view training = op.attr("is_training");
  const bool is_training = training.empty() || AttrBool(training);
  return (is_training ? 4.0 : 2.0) * op.in_elements(0);
}

double BatchNormGradFlops(const OpFacts& op) {
  return 11.0 * op.in_elements(0);  // also op_level_cost_estimator's
}

// Mean 1, variance 3, normalize 2, scale and shift 2.
double LayerNormFlops(const OpFacts& op) { return 8.0 * op.in_elements(0); }

// x * (bias + alpha * sum of the window's squares) ^ -beta.
double LrnFlops(const OpFacts& op) {
  return op.in_elements(0) * (LrnWindow(op) + kTranscendentalFlops + 4.0);
}

// The norm again; then for each pair of neighbours
// -2 alpha beta x_k y_j / norm_j * dy_j, added up: six operations.
double LrnGradFlops(const OpFacts& op) {
  const double window = LrnWindow(op);
  return op.in_elements(0) * (7.0 * window + kTranscendentalFlops + 4.0);
}

}  // namespace grappler_go
