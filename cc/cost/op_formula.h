// What each op counts: a row an op, or what its class counts where it has none.
//
// Work is what the kernel does, not what the mathematics could do with: an op's
// formula follows TensorFlow's CPU kernel where kernels differ. Sizes come from
// shapes alone; what depends on the values (sparse indices that repeat, samples
// that are rejected) counts as the usual case.
#ifndef GRAPPLER_GO_COST_OP_FORMULA_H_
#define GRAPPLER_GO_COST_OP_FORMULA_H_

#include "cc/cost/op_facts.h"
#include "cc/graph/op_def.h"

namespace grappler_go {

// Bytes that an op moves; unknown where a shape that matters is missing.
struct Traffic {
  double read = 0;
  double written = 0;
  bool known() const { return read >= 0 && written >= 0; }
};

struct OpFormula {
  double (*flops)(const OpFacts& op) = nullptr;  // multiply-adds count as two
  Traffic (*traffic)(const OpFacts& op) = nullptr;
};

// Null for an op that has none.
const OpFormula* FindFormula(const OpDef& def);

// ---- flops_product.cc: matrix products, convolutions, recurrent cells ----
double MatMulFlops(const OpFacts& op);
double EinsumFlops(const OpFacts& op);
double SparseMatMulFlops(const OpFacts& op);
double LstmFlops(const OpFacts& op);
double LstmCellGradFlops(const OpFacts& op);
double GruFlops(const OpFacts& op);
double ConvFlops(const OpFacts& op);
double DepthwiseConvFlops(const OpFacts& op);

// ---- flops_window.cc: pooling, resizing, normalization ----
double PoolFlops(const OpFacts& op);
double BilinearFlops(const OpFacts& op);
double BicubicFlops(const OpFacts& op);
double BatchNormFlops(const OpFacts& op);
double BatchNormGradFlops(const OpFacts& op);
double LayerNormFlops(const OpFacts& op);
double LrnFlops(const OpFacts& op);
double LrnGradFlops(const OpFacts& op);

// ---- flops_linear_algebra.cc: matrices, spectra, CTC ----
double CholeskyFlops(const OpFacts& op);
double DeterminantFlops(const OpFacts& op);
double InverseFlops(const OpFacts& op);
double SolveFlops(const OpFacts& op);
double TriangularSolveFlops(const OpFacts& op);
double QrFlops(const OpFacts& op);
double SvdFlops(const OpFacts& op);
double EigFlops(const OpFacts& op);
double FftFlops(const OpFacts& op);
double CtcLossFlops(const OpFacts& op);

// ---- variable_cost.cc: variables and weight updates ----
// Null for an op that is neither.
const OpFormula* FindVariableFormula(std::string_view op_type);
const OpFormula* FindOptimizerFormula(std::string_view op_type);

}  // namespace grappler_go

#endif  // GRAPPLER_GO_COST_OP_FORMULA_H_
