// Floating-point work of matrix products, convolutions and recurrent cells.
#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>

#include "cc/cost/op_cost.h"
#include "cc/cost/op_formula.h"
#include "cc/graph/attr_value.h"

namespace grappler_go {
namespace {

bool Contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

// Of the bias and the activation that a fused op adds to its result.
double EpilogueFlops(const OpFacts& op, double result) {
  return op.is_fused() ? 2.0 * result : 0.0;
}

// An LSTM's gates: three sigmoids and two tanh, and about nine other operations
// (c = i * g + f * c, h = o * tanh(c), the biases) for each value of the cell.
constexpr double kLstmGateFlops = 5 * kTranscendentalFlops + 9;
// Backward there is no costly function: the forward gates are inputs.
constexpr double kLstmGateGradFlops = 25;
// A GRU's: two sigmoids, one tanh, h = u * h + (1 - u) * c, r * h and biases.
constexpr double kGruGateFlops = 3 * kTranscendentalFlops + 8;

// Forward and backward do the same multiply-adds: one for each element of the
// (gradient of the) result and each weight that it meets.
double ConvolutionFlops(const OpFacts& op, int unmet_dims) {
  const std::string_view type = op.type();
  const bool of_filter = Contains(type, "BackpropFilter");
  const bool backward = of_filter || Contains(type, "BackpropInput");
  const TensorShape& filter = of_filter ? op.output(0) : op.input(1);
  const double result = backward ? op.in_elements(2) : op.out_elements();
  if (filter.rank() < 3 || !filter.fully_known()) return 0;
  double met = 1.0;
  for (int i = 0; i < filter.rank() - unmet_dims; ++i) {
    met *= static_cast<double>(filter.dim(i));
  }
  return 2.0 * result * met + EpilogueFlops(op, result);
}

}  // namespace

// [.., m, k] x [.., k, n], either of them possibly transposed. Which of the two
// sizes is contracted shows in the result: it is the one that is not m.
double MatMulFlops(const OpFacts& op) {
  const TensorShape& a = op.input(0);
  const TensorShape& out = op.output(0);
  if (a.rank() < 2 || out.rank() < 2) return 0;
  const int64_t k = a.dim(-2) == out.dim(-2) ? a.dim(-1) : a.dim(-2);
  return 2.0 * op.out_elements() * static_cast<double>(k) +
         EpilogueFlops(op, op.out_elements());
}

// Two operations for each combination of all labels' values.
double EinsumFlops(const OpFacts& op) {
  const std::string_view equation = AttrString(op.attr("equation"));
  const size_t arrow = equation.find("->");
  if (arrow == std::string_view::npos) return 0;
  std::string_view operands = equation.substr(0, arrow);
  // What an ellipsis stands for is in the output; a label is in an operand.
  std::array<bool, 256> seen{};
  double product = 2.0;
  for (const char c : equation.substr(arrow + 2)) {
    seen[static_cast<unsigned char>(c)] = true;
  }
  product *= op.out_elements();
  for (int i = 0; i < op.num_inputs(); ++i) {
    const size_t comma = std::min(operands.find(','), operands.size());
    const std::string_view subscript = operands.substr(0, comma);
    const TensorShape& shape = op.input(i);
    // Labels before an ellipsis count from the front, those after it from the
    // end.
    const size_t dots = subscript.find("...");
    for (size_t at = 0; at < subscript.size(); ++at) {
      const auto label = static_cast<unsigned char>(subscript[at]);
      if (label == '.' || seen[label]) continue;
      seen[label] = true;
      const int dim =
          dots != std::string_view::npos && at > dots
              ? static_cast<int>(at) - static_cast<int>(subscript.size())
              : static_cast<int>(at);
      if (dim >= shape.rank() || dim < -shape.rank()) return 0;
      product *= static_cast<double>(shape.dim(dim));
    }
    operands.remove_prefix(std::min(comma + 1, operands.size()));
  }
  return product;
}

// One multiply-add for each value that is there and each column of b.
double SparseMatMulFlops(const OpFacts& op) {
  return 2.0 * op.in_elements(1) * OpFacts::Dim(op.output(0), 1);
}

// [rows, in + cell] x [in + cell, 4 cell], then the gates. The rows are those
// of the batch, in the block op of every step. Inputs: BlockLSTM starts with
// the number of steps; then x, cs_prev, h_prev, w. The block's gradient also
// makes those of the weights, by as many multiply-adds again.
double LstmFlops(const OpFacts& op) {
  const int x = op.type().substr(0, 5) == "Block" ? 1 : 0;
  const double rows = op.in_elements(x) / OpFacts::Dim(op.input(x), -1);
  const double cell = OpFacts::Dim(op.input(x + 2), -1);
  const double product = 2.0 * rows * op.in_elements(x + 3);
  return Contains(op.type(), "Grad")
             ? 2.0 * product + rows * cell * kLstmGateGradFlops
             : product + rows * cell * kLstmGateFlops;
}

// Its products are ops of their own.
double LstmCellGradFlops(const OpFacts& op) {
  return kLstmGateGradFlops * op.in_elements(1);  // cs_prev
}

// Two products, of the two gates and of the candidate; inputs x, h_prev, w_ru,
// w_c. The gradient multiplies by the same weights and leaves theirs to others.
double GruFlops(const OpFacts& op) {
  const double rows = OpFacts::Dim(op.input(0), 0);
  return 2.0 * rows * (op.in_elements(2) + op.in_elements(3)) +
         op.in_elements(1) *
             (Contains(op.type(), "Grad") ? kLstmGateGradFlops : kGruGateFlops);
}

double ConvFlops(const OpFacts& op) { return ConvolutionFlops(op, 1); }

// A result meets one channel only: neither the channels nor their multiplier
// are met.
double DepthwiseConvFlops(const OpFacts& op) { return ConvolutionFlops(op, 2); }

}  // namespace grappler_go
