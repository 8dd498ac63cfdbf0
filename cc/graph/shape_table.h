// The distinct shapes of a graph, numbered as they come.
//
//   ShapeTable shapes;
//   int32_t number = shapes.Intern(TensorShape::Of({8, 32}));
//   Use(shapes[number]);
//
// A graph of 80,000 tensors has a few dozen shapes.
#ifndef GRAPPLER_GO_GRAPH_SHAPE_TABLE_H_
#define GRAPPLER_GO_GRAPH_SHAPE_TABLE_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "cc/graph/fingerprint.h"
#include "cc/graph/tensor_shape.h"

namespace grappler_go {

class ShapeTable {
 public:
  static constexpr int32_t kUnknown = 0;  // the number of TensorShape()
  ShapeTable() { Intern(TensorShape()); }

  // References stay valid while shapes are added.
  const TensorShape& operator[](int32_t number) const {
    return shapes_[number];
  }
  size_t size() const { return shapes_.size(); }

  int32_t Intern(const TensorShape& shape) {
    // Neighbours tend to have the same shape.
    if (!shapes_.empty() && shapes_[last_] == shape) return last_;
    if (2 * shapes_.size() >= slots_.size()) Grow();
    int32_t& slot = slots_[SlotOf(shape)];
    if (slot < 0) {
      slot = static_cast<int32_t>(shapes_.size());
      shapes_.push_back(shape);
    }
    return last_ = slot;
  }

 private:
  static uint64_t HashOf(const TensorShape& shape) {
    auto hash = static_cast<uint64_t>(shape.rank());
    for (int i = 0; i < shape.rank(); ++i) {
      hash = HashMix(hash, static_cast<uint64_t>(shape.dim(i)));
    }
    return HashMix(hash, 0);
  }

  // Where the shape's number is, or else belongs (open addressing).
  size_t SlotOf(const TensorShape& shape) const {
    size_t at = HashOf(shape) & (slots_.size() - 1);
    while (slots_[at] >= 0 && shapes_[slots_[at]] != shape) {
      at = (at + 1) & (slots_.size() - 1);
    }
    return at;
  }

  void Grow() {
    slots_.assign(std::max<size_t>(64, 2 * slots_.size()), -1);
    for (size_t i = 0; i < shapes_.size(); ++i) {
      slots_[SlotOf(shapes_[i])] = static_cast<int32_t>(i);
    }
  }

  std::deque<TensorShape> shapes_;  // a deque: references stay valid
  std::vector<int32_t> slots_;      // at most half full; -1: free
  int32_t last_ = 0;
};

}  // namespace grappler_go

#endif  // GRAPPLER_GO_GRAPH_SHAPE_TABLE_H_
