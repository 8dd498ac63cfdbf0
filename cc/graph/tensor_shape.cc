#include "cc/graph/tensor_shape.h"

namespace grappler_go {

TensorShape TensorShape::OfRank(int rank) {
  TensorShape shape;
  if (rank < 0 || rank > kMaxRank) return shape;
  shape.rank_ = static_cast<int8_t>(rank);
  for (int i = 0; i < rank; ++i) shape.dims_[i] = -1;
  return shape;
}

TensorShape TensorShape::Of(std::initializer_list<int64_t> dims) {
  TensorShape shape = Scalar();
  for (int64_t dim : dims) shape.add_dim(dim);
  return shape;
}

void TensorShape::add_dim(int64_t value) {
  if (rank_ < 0) return;
  if (rank_ == kMaxRank) {
    rank_ = -1;
    return;
  }
  dims_[rank_++] = value < 0 ? -1 : value;
}

bool TensorShape::fully_known() const {
  for (int i = 0; i < rank_; ++i) {
    if (dims_[i] < 0) return false;
  }
  return rank_ >= 0;
}

int64_t TensorShape::num_elements() const {
  constexpr int64_t kMax = int64_t{1} << 62;
  if (!fully_known()) return -1;
  // A zero anywhere makes the product zero, however large the other factors.
  for (int i = 0; i < rank_; ++i) {
    if (dims_[i] == 0) return 0;
  }
  int64_t product = 1;
  for (int i = 0; i < rank_; ++i) {
    if (dims_[i] > kMax / product) return -1;
    product *= dims_[i];
  }
  return product;
}

std::string TensorShape::ToString() const {
  if (rank_ < 0) return "?";
  std::string out = "[";
  for (int i = 0; i < rank_; ++i) {
    if (i > 0) out += ',';
    out += dims_[i] < 0 ? "?" : std::to_string(dims_[i]);
  }
  return out + "]";
}

bool operator==(const TensorShape& a, const TensorShape& b) {
  if (a.rank_ != b.rank_) return false;
  for (int i = 0; i < a.rank_; ++i) {
    if (a.dims_[i] != b.dims_[i]) return false;
  }
  return true;
}

int DataTypeSize(int dtype) {
  // tensorflow/core/framework/types.proto; a reference dtype is its value's
  // plus 100.
  switch (dtype >= 100 ? dtype - 100 : dtype) {
    case 4:   // DT_UINT8
    case 6:   // DT_INT8
    case 10:  // DT_BOOL
    case 11:  // DT_QINT8
    case 12:  // DT_QUINT8
    case 24:  // DT_FLOAT8_E5M2
    case 25:  // DT_FLOAT8_E4M3FN
    case 29:  // DT_INT4, a byte each in memory
    case 30:  // DT_UINT4
      return 1;
    case 5:   // DT_INT16
    case 14:  // DT_BFLOAT16
    case 15:  // DT_QINT16
    case 16:  // DT_QUINT16
    case 17:  // DT_UINT16
    case 19:  // DT_HALF
      return 2;
    case 1:   // DT_FLOAT
    case 3:   // DT_INT32
    case 13:  // DT_QINT32
    case 22:  // DT_UINT32
      return 4;
    case 2:   // DT_DOUBLE
    case 8:   // DT_COMPLEX64
    case 9:   // DT_INT64
    case 23:  // DT_UINT64
      return 8;
    case 18:  // DT_COMPLEX128
      return 16;
    default:
      return 0;
  }
}

}  // namespace grappler_go
