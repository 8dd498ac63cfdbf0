// Floating-point work of linear algebra and spectra: the leading terms of the
// textbook counts (Golub and Van Loan, Matrix Computations, 4th edition).
#include <algorithm>
#include <cmath>
#include <string_view>

#include "cc/cost/op_cost.h"
#include "cc/cost/op_formula.h"
#include "cc/graph/attr_value.h"

namespace grappler_go {
namespace {

// A batch of m x n matrices, m >= n.
struct Matrices {
  double count, m, n;
};

Matrices MatricesOf(const OpFacts& op, int input) {
  const TensorShape& shape = op.input(input);
  const double rows = OpFacts::Dim(shape, -2);
  const double columns = OpFacts::Dim(shape, -1);
  return {op.in_elements(input) / (rows * columns), std::max(rows, columns),
          std::min(rows, columns)};
}

bool AttrOrTrue(const OpFacts& op, std::string_view key) {
  return op.attr(key).empty() || AttrBool(op.attr(key));
}

// 2 n^3 / 3: an LU decomposition.
double LuFlops(const Matrices& a) {
  return a.count * 2.0 / 3.0 * a.n * a.n * a.n;
}

bool Contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

}  // namespace

double CholeskyFlops(const OpFacts& op) {
  const Matrices a = MatricesOf(op, 0);
  return a.count * a.n * a.n * a.n / 3.0;
}

double DeterminantFlops(const OpFacts& op) {
  return LuFlops(MatricesOf(op, 0));
}

double InverseFlops(const OpFacts& op) {
  const Matrices a = MatricesOf(op, 0);
  return a.count * 2.0 * a.n * a.n * a.n;
}

// An LU decomposition and two triangular solves.
double SolveFlops(const OpFacts& op) {
  const Matrices a = MatricesOf(op, 0);
  return LuFlops(a) + 2.0 * op.out_elements() * a.n;
}

// A multiply-add for each element of the result and half of a row.
double TriangularSolveFlops(const OpFacts& op) {
  return op.out_elements() * OpFacts::Dim(op.input(0), -1);
}

// Householder's R, then Q from its reflections, which costs the same again; the
// full m x m one: 4 (m^2 n - m n^2 + n^3 / 3).
double QrFlops(const OpFacts& op) {
  const auto [count, m, n] = MatricesOf(op, 0);
  const double r = 2.0 * m * n * n - 2.0 / 3.0 * n * n * n;
  const bool full = AttrBool(op.attr("full_matrices"));
  const double q = full ? 4.0 * (m * m * n - m * n * n + n * n * n / 3.0) : r;
  return count * (r + q);
}

// Golub and Reinsch: values alone, values and the vectors that are asked for.
double SvdFlops(const OpFacts& op) {
  const auto [count, m, n] = MatricesOf(op, 0);
  if (!AttrOrTrue(op, "compute_uv")) {
    return count * (4.0 * m * n * n - 4.0 / 3.0 * n * n * n);
  }
  if (AttrBool(op.attr("full_matrices"))) {
    return count * (4.0 * m * m * n + 8.0 * m * n * n + 9.0 * n * n * n);
  }
  return count * (14.0 * m * n * n + 8.0 * n * n * n);
}

// Tridiagonal QR: 4 n^3 / 3 for the values, 9 n^3 with vectors.
double EigFlops(const OpFacts& op) {
  const Matrices a = MatricesOf(op, 0);
  const double each = AttrOrTrue(op, "compute_v") ? 9.0 : 4.0 / 3.0;
  return a.count * each * a.n * a.n * a.n;
}

// 5 N log2 N a transform of N points, half of that for real ones. N is the
// product of the transformed dimensions, on the side that is longer.
double FftFlops(const OpFacts& op) {
  const std::string_view type = op.type();
  const int dims = Contains(type, "2D") ? 2 : Contains(type, "3D") ? 3 : 1;
  const bool inverse_real = type.substr(0, 2) == "IR";
  const TensorShape& shape = inverse_real ? op.output(0) : op.input(0);
  const double elements = inverse_real ? op.out_elements() : op.in_elements(0);
  double points = 1.0;
  for (int i = 1; i <= dims; ++i) points *= OpFacts::Dim(shape, -i);
  const bool real = Contains(type, "RFFT");
  return (real ? 2.5 : 5.0) * elements * std::log2(points);
}

// Inputs: [time, batch, classes], then the labels' indices and values. A
// softmax of each frame; then at each time, forward and backward, two
// log-add-exp (an exp and a log1p each) for each label and the blanks around
// it.
double CtcLossFlops(const OpFacts& op) {
  const double time = OpFacts::Dim(op.input(0), 0);
  const double batch = OpFacts::Dim(op.input(0), 1);
  const double states = 2.0 * op.in_elements(2) + batch;
  return op.in_elements(0) * (kTranscendentalFlops + 4.0) +
         time * states * 2.0 * 2.0 * (2.0 * kTranscendentalFlops);
}

}  // namespace grappler_go
