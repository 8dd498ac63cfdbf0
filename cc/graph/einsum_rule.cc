// The shape rule of Einsum: "bqhd,bkhd->bhqk", "...ij,...jk->...ik".
#include <array>
#include <string_view>

#include "cc/graph/inference_context.h"

namespace grappler_go {
namespace {

constexpr std::string_view kEllipsis = "...";

// Sizes by label, and the dimensions that an ellipsis stands for.
struct Labels {
  std::array<int64_t, 256> size;
  std::array<bool, 256> seen{};
  TensorShape ellipsis = TensorShape::Scalar();
};

// Takes one operand's subscript into account. False: it does not fit.
bool ReadOperand(std::string_view subscript, const TensorShape& shape,
                 Labels* labels) {
  const size_t dots = subscript.find(kEllipsis);
  const bool has_ellipsis = dots != std::string_view::npos;
  const int named = static_cast<int>(subscript.size() -
                                     (has_ellipsis ? kEllipsis.size() : 0));
  const int hidden = shape.known_rank() ? shape.rank() - named : 0;
  if (shape.known_rank() && (hidden < 0 || (!has_ellipsis && hidden > 0))) {
    return false;
  }
  int dim = 0;
  for (size_t i = 0; i < subscript.size(); ++i) {
    if (has_ellipsis && i == dots) {
      const TensorShape part = shape.known_rank()
                                   ? SubShape(shape, dim, dim + hidden)
                                   : TensorShape();
      labels->ellipsis = BroadcastShapes(labels->ellipsis, part);
      dim += hidden;
      i += kEllipsis.size() - 1;
      continue;
    }
    const auto label = static_cast<unsigned char>(subscript[i]);
    const int64_t size = shape.known_rank() ? shape.dim(dim) : -1;
    // A dimension of 1 broadcasts against the same label elsewhere.
    int64_t& known = labels->size[label];
    if (!labels->seen[label] || known < 0 || known == 1) known = size;
    labels->seen[label] = true;
    ++dim;
  }
  return true;
}

TensorShape EinsumShape(std::string_view equation, InferenceContext* c) {
  const size_t arrow = equation.find("->");
  if (arrow == std::string_view::npos) return TensorShape();
  std::string_view operands = equation.substr(0, arrow);
  const std::string_view result = equation.substr(arrow + 2);
  Labels labels;
  labels.size.fill(-1);
  for (int i = 0; i < c->num_inputs(); ++i) {
    const size_t comma = operands.find(',');
    const std::string_view subscript = operands.substr(0, comma);
    if (!ReadOperand(subscript, c->input(i), &labels)) return TensorShape();
    operands = comma == std::string_view::npos ? std::string_view()
                                               : operands.substr(comma + 1);
  }
  TensorShape shape = TensorShape::Scalar();
  for (size_t i = 0; i < result.size(); ++i) {
    if (result.compare(i, kEllipsis.size(), kEllipsis) == 0) {
      shape = Concatenated(shape, labels.ellipsis);
      i += kEllipsis.size() - 1;
    } else {
      const auto label = static_cast<unsigned char>(result[i]);
      if (!labels.seen[label]) return TensorShape();
      shape.add_dim(labels.size[label]);
    }
  }
  return shape;
}

}  // namespace

void EinsumRule(InferenceContext* c) {
  c->set_output(0, EinsumShape(c->string_attr("equation"), c),
                c->input_dtype(0));
}

}  // namespace grappler_go
