// Kinds of ops of one type that take other times for the same work.
//
// A cost that is linear in operations and bytes (calibration.h) holds for ops
// that go about their work alike. Some types have two ways of doing it, and
// what they take differs by half or more, under TensorFlow and XLA not alike:
//
//   Conv2D:pointwise  of 1 x 1: a matrix product, which XLA compiles as well
//   Mul:broadcast     of unequal shapes: Eigen computes where each element is
//   Sum:apart         over axes that do not lie side by side: TensorFlow
//                     transposes first
#ifndef GRAPPLER_GO_COST_COST_KIND_H_
#define GRAPPLER_GO_COST_COST_KIND_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "cc/graph/op_graph.h"

namespace grappler_go {

enum class CostKind : uint8_t { kPlain, kPointwise, kBroadcast, kApart };

// kPlain where a shape or the axes are not known.
CostKind CostKindOf(const OpGraph& graph, int32_t op);

// By which timings of such ops are known: the op's type, and its kind unless it
// is plain.
std::string CostKey(const OpGraph& graph, int32_t op);

// By axis of a reduction's input, whether it goes over it.
using ReducedAxes = std::array<bool, TensorShape::kMaxRank>;

// Nothing where the shape or the axes are not known.
std::optional<ReducedAxes> AxesOf(const OpGraph& graph, int32_t op);

// Weights that one element of a convolution's result meets, channels aside; 1
// where the filter's shape is not known, and for any other op.
double FilterArea(const OpGraph& graph, int32_t op);

}  // namespace grappler_go

#endif  // GRAPPLER_GO_COST_COST_KIND_H_
