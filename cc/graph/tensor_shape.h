// A shape that may be partly or wholly unknown.
#ifndef GRAPPLER_GO_GRAPH_TENSOR_SHAPE_H_
#define GRAPPLER_GO_GRAPH_TENSOR_SHAPE_H_

#include <array>
#include <cstdint>
#include <initializer_list>
#include <string>

namespace grappler_go {

// Rank at most kMaxRank (TensorFlow's own kernels stop at 8 or below); a higher
// rank is treated as unknown. A dimension of -1 is unknown.
class TensorShape {
 public:
  static constexpr int kMaxRank = 8;
  TensorShape() = default;  // unknown rank
  static TensorShape Scalar() { return OfRank(0); }
  static TensorShape OfRank(int rank);  // every dimension unknown
  static TensorShape Of(std::initializer_list<int64_t> dims);

  bool known_rank() const { return rank_ >= 0; }
  int rank() const { return rank_; }  // -1: unknown
  // Both take i from -rank() to rank() - 1; a negative one counts from the end.
  int64_t dim(int i) const { return dims_[i < 0 ? rank_ + i : i]; }
  void set_dim(int i, int64_t value) {
    dims_[i < 0 ? rank_ + i : i] = value < 0 ? -1 : value;
  }
  void add_dim(int64_t value);  // past kMaxRank the rank becomes unknown
  bool fully_known() const;
  int64_t num_elements() const;  // -1 when not fully known or past 2^62
  std::string ToString() const;  // "[2,?,3]", "?" for unknown rank
  friend bool operator==(const TensorShape& a, const TensorShape& b);
  friend bool operator!=(const TensorShape& a, const TensorShape& b) {
    return !(a == b);
  }

 private:
  int8_t rank_ = -1;
  std::array<int64_t, kMaxRank> dims_{};
};

// Bytes of one element of a tensorflow::DataType; 0 for string, resource,
// variant and what is not known. Reference dtypes (100 and above) count as
// their value's.
int DataTypeSize(int dtype);

}  // namespace grappler_go

#endif  // GRAPPLER_GO_GRAPH_TENSOR_SHAPE_H_
