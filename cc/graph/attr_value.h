// Reading serialized AttrValues (tensorflow/core/framework/attr_value.proto)
// and the shapes and tensors in them.
//
//   int64_t axis = AttrInt(graph.attr(i, "axis"), 0);
//   IntValues strides = AttrInts(graph.attr(i, "strides"));
//
// An empty, malformed or differently typed AttrValue reads as the default.
#ifndef GRAPPLER_GO_GRAPH_ATTR_VALUE_H_
#define GRAPPLER_GO_GRAPH_ATTR_VALUE_H_

#include <array>
#include <cstdint>
#include <limits>
#include <string_view>
#include <vector>

#include "cc/graph/span.h"
#include "cc/graph/tensor_shape.h"

namespace grappler_go {

// tensorflow::DataType, the ones that rules name.
namespace dt {
constexpr int kFloat = 1, kDouble = 2, kInt32 = 3, kString = 7, kInt64 = 9;
constexpr int kBool = 10, kResource = 20, kVariant = 21, kUint64 = 23;
}  // namespace dt

// Elements of a small integer tensor in row-major order. An element may be
// unknown, as the batch size in a Shape's output.
constexpr int64_t kUnknownValue = std::numeric_limits<int64_t>::min();
constexpr int kMaxValues = 64;
class IntValues {
 public:
  IntValues() = default;
  explicit IntValues(Span<int64_t> values) {
    for (const int64_t value : values) push_back(value);
  }
  // False when it is full; it is then no longer known().
  bool push_back(int64_t value);
  bool known() const { return size_ >= 0; }
  void set_unknown() { size_ = -1; }
  int size() const { return size_; }
  int64_t operator[](int i) const { return at_[i]; }
  Span<int64_t> span() const {
    return {at_.data(), static_cast<size_t>(size_ < 0 ? 0 : size_)};
  }

 private:
  int size_ = 0;
  std::array<int64_t, kMaxValues> at_;
};

int64_t AttrInt(std::string_view attr_value, int64_t otherwise);
bool AttrBool(std::string_view attr_value);  // false when absent
int AttrType(std::string_view attr_value, int otherwise);
std::string_view AttrString(std::string_view attr_value);
TensorShape AttrShape(std::string_view attr_value);  // unknown when absent
std::string_view AttrTensor(std::string_view attr_value);  // a TensorProto
IntValues AttrInts(std::string_view attr_value);
std::vector<int> AttrTypes(std::string_view attr_value);
std::vector<TensorShape> AttrShapes(std::string_view attr_value);
// False, and an unfinished list, when the attribute is no list of strings.
bool AttrStrings(std::string_view attr_value,
                 std::vector<std::string_view>* list);

// Shapes and contents as the messages of GraphDef spell them.
TensorShape ParseShape(std::string_view shape_proto);
struct ParsedTensor {
  int dtype = 0;
  TensorShape shape;
  IntValues values;  // int32 and int64 of at most kMaxValues elements
};
ParsedTensor ParseTensor(std::string_view tensor_proto);
// False when it is no float or double without dimensions.
bool ParseScalar(std::string_view tensor_proto, double* value);

}  // namespace grappler_go

#endif  // GRAPPLER_GO_GRAPH_ATTR_VALUE_H_
