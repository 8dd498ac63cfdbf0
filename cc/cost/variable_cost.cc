// What reads, updates and optimizers of variables cost. A variable comes in as
// a resource without a shape or as a reference, so the sizes are those of the
// value that goes into it: all of the variable, or the rows that are touched.
#include <string_view>
#include <unordered_map>

#include "cc/cost/op_formula.h"

namespace grappler_go {
namespace {

double None(const OpFacts&) { return 0; }

Traffic Nothing(const OpFacts&) { return {0, 0}; }

// Inputs from `first` on, except for those whose size does not matter.
double SumOfInputs(const OpFacts& op, int first) {
  double sum = 0;
  for (int i = first; i < op.num_inputs(); ++i) {
    if (op.input_bytes(i) < 0) return -1;
    sum += op.input_bytes(i);
  }
  return sum;
}

// The variable's part is `value` large; it is written, and read where the new
// one depends on the old one.
template <int value, bool reads>
Traffic Update(const OpFacts& op) {
  const double size = op.input_bytes(value);
  const double others = SumOfInputs(op, 1);
  if (size < 0 || others < 0) return {-1, -1};
  return {others + (reads ? size : 0.0), size};
}

template <int value>
double OnePerElement(const OpFacts& op) {
  return op.in_elements(value);
}

// Rows of a variable, copied.
Traffic GatherRows(const OpFacts& op) {
  const double rows = op.output_bytes(0);
  const double others = SumOfInputs(op, 1);
  if (rows < 0 || others < 0) return {-1, -1};
  return {rows + others, rows};
}

// (variable, value), (variable, indices, updates), (variable, begin, end,
// strides, value).
constexpr OpFormula kFree = {None, Nothing};
constexpr OpFormula kAssign = {None, Update<1, false>};
constexpr OpFormula kAccumulate = {OnePerElement<1>, Update<1, true>};
constexpr OpFormula kScatterUpdate = {None, Update<2, false>};
constexpr OpFormula kScatterAdd = {OnePerElement<2>, Update<2, true>};
constexpr OpFormula kGather = {None, GatherRows};
constexpr OpFormula kSliceAssign = {None, Update<4, false>};

using Table = std::unordered_map<std::string_view, const OpFormula*>;

// Never destroyed: the pass may run while the process exits.
const Table& VariableTable() {
  static const Table& table = *new Table{
      {"Assign", &kAssign},
      {"AssignAdd", &kAccumulate},
      {"AssignAddVariableOp", &kAccumulate},
      {"AssignSub", &kAccumulate},
      {"AssignSubVariableOp", &kAccumulate},
      {"AssignVariableOp", &kAssign},
      {"DestroyResourceOp", &kFree},
      {"IsVariableInitialized", &kFree},
      // Shares the variable's buffer.
      {"ReadVariableOp", &kFree},
      {"ResourceGather", &kGather},
      {"ResourceGatherNd", &kGather},
      {"ResourceScatterAdd", &kScatterAdd},
      {"ResourceScatterMax", &kScatterAdd},
      {"ResourceScatterMin", &kScatterAdd},
      {"ResourceScatterNdAdd", &kScatterAdd},
      {"ResourceScatterNdSub", &kScatterAdd},
      {"ResourceScatterNdUpdate", &kScatterUpdate},
      {"ResourceScatterSub", &kScatterAdd},
      {"ResourceScatterUpdate", &kScatterUpdate},
      {"ResourceStridedSliceAssign", &kSliceAssign},
      {"ScatterAdd", &kScatterAdd},
      {"ScatterSub", &kScatterAdd},
      {"ScatterUpdate", &kScatterUpdate},
      {"VarHandleOp", &kFree},
      {"VariableShape", &kFree},
      {"VariableV2", &kFree},
      {"VarIsInitializedOp", &kFree},
  };
  return table;
}

// A weight update reads and writes `slots` variables of the gradient's size
// (the weights and what the optimizer remembers of each) and reads the gradient
// and what else comes in.
template <int slots, int gradient>
Traffic UpdateSlots(const OpFacts& op) {
  const double size = op.input_bytes(gradient);
  const double others = SumOfInputs(op, slots);
  if (size < 0 || others < 0) return {-1, -1};
  return {others + slots * size, slots * size};
}

template <int flops, int gradient>
double PerElement(const OpFacts& op) {
  return flops * op.in_elements(gradient);
}

// Operations on each weight, counted in TensorFlow's training_ops.cc; a square
// root counts as one. The sparse ops do the same to the rows they touch.
template <int slots, int gradient, int flops>
constexpr OpFormula kUpdate = {PerElement<flops, gradient>,
                               UpdateSlots<slots, gradient>};

// var -= alpha * g
constexpr const OpFormula* kGradientDescent = &kUpdate<1, 2, 2>;
// a = a * momentum + g; var -= a * lr
constexpr const OpFormula* kMomentum = &kUpdate<2, 3, 4>;
// a = a * momentum - g * lr; var += a
constexpr const OpFormula* kKerasMomentum = &kUpdate<2, 3, 4>;
// a += g * g; var -= g * lr * rsqrt(a)
constexpr const OpFormula* kAdagrad = &kUpdate<2, 3, 6>;
// a += g * g; var -= g * lr / (sqrt(a) + epsilon)
constexpr const OpFormula* kAdagradV2 = &kUpdate<2, 4, 7>;
// a = a * rho + g * g * (1 - rho); u = sqrt(d + eps) * rsqrt(a + eps) * g;
// d = d * rho + u * u * (1 - rho); var -= u * lr
constexpr const OpFormula* kAdadelta = &kUpdate<3, 6, 16>;
// m += (g - m) * (1 - b1); v += (g * g - v) * (1 - b2);
// var -= m * alpha / (sqrt(v) + eps)
constexpr const OpFormula* kAdam = &kUpdate<3, 9, 12>;
// m as in Adam; v = max(b2 * v, |g|); var -= alpha * m / (v + eps)
constexpr const OpFormula* kAdaMax = &kUpdate<3, 8, 10>;
// Adam; vhat = max(vhat, v)
constexpr const OpFormula* kAmsgrad = &kUpdate<4, 10, 13>;
// ms += (g * g - ms) * (1 - rho);
// mom = mom * momentum + g * lr * rsqrt(ms + eps); var -= mom
constexpr const OpFormula* kRmsProp = &kUpdate<3, 7, 11>;
// ... mg += (g - mg) * (1 - rho); rsqrt(ms - mg * mg + eps)
constexpr const OpFormula* kCenteredRmsProp = &kUpdate<4, 8, 16>;
// a' = a + g * g; l += g - (sqrt(a') - sqrt(a)) / lr * var;
// var = |l| > l1 ? (sign(l) * l1 - l) / (sqrt(a') / lr + 2 * l2) : 0
constexpr const OpFormula* kFtrl = &kUpdate<3, 3, 17>;
// ... with g + 2 * shrinkage * var for g
constexpr const OpFormula* kFtrlV2 = &kUpdate<3, 3, 19>;

const Table& OptimizerTable() {
  static const Table& table = *new Table{
      {"ApplyAdadelta", kAdadelta},
      {"ApplyAdagrad", kAdagrad},
      {"ApplyAdam", kAdam},
      {"ApplyFtrl", kFtrl},
      {"ApplyGradientDescent", kGradientDescent},
      {"ApplyMomentum", kMomentum},
      {"ApplyRMSProp", kRmsProp},
      {"ResourceApplyAdadelta", kAdadelta},
      {"ResourceApplyAdagrad", kAdagrad},
      {"ResourceApplyAdagradV2", kAdagradV2},
      {"ResourceApplyAdam", kAdam},
      {"ResourceApplyAdaMax", kAdaMax},
      {"ResourceApplyAdamWithAmsgrad", kAmsgrad},
      {"ResourceApplyCenteredRMSProp", kCenteredRmsProp},
      {"ResourceApplyFtrl", kFtrl},
      {"ResourceApplyFtrlV2", kFtrlV2},
      {"ResourceApplyGradientDescent", kGradientDescent},
      {"ResourceApplyKerasMomentum", kKerasMomentum},
      {"ResourceApplyMomentum", kMomentum},
      {"ResourceApplyRMSProp", kRmsProp},
      {"ResourceSparseApplyAdagrad", kAdagrad},
      {"ResourceSparseApplyAdagradV2", kAdagradV2},
      {"ResourceSparseApplyFtrl", kFtrl},
      {"ResourceSparseApplyFtrlV2", kFtrlV2},
      {"ResourceSparseApplyKerasMomentum", kKerasMomentum},
      {"ResourceSparseApplyMomentum", kMomentum},
      {"ResourceSparseApplyRMSProp", kRmsProp},
  };
  return table;
}

const OpFormula* Find(const Table& table, std::string_view op_type) {
  const auto found = table.find(op_type);
  return found == table.end() ? nullptr : found->second;
}

}  // namespace

const OpFormula* FindVariableFormula(std::string_view op_type) {
  return Find(VariableTable(), op_type);
}

const OpFormula* FindOptimizerFormula(std::string_view op_type) {
  return Find(OptimizerTable(), op_type);
}

}  // namespace grappler_go
