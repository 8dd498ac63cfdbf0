#include "cc/graph/attr_value.h"

#include <cstring>

#include "cc/graph/wire.h"

namespace grappler_go {
namespace {

// The last field of a number wins, as in protobuf.
bool LastField(std::string_view message, uint32_t number, WireType type,
               WireField* out) {
  WireReader reader(message);
  WireField field;
  bool found = false;
  while (reader.Next(&field)) {
    if (field.number != number || field.type != type) continue;
    *out = field;
    found = true;
  }
  return found;
}

// Calls visit(varint) for each element of a repeated integer, packed or not.
template <typename Visit>
void ForEachVarint(std::string_view message, uint32_t number, Visit visit) {
  WireReader reader(message);
  WireField field;
  while (reader.Next(&field)) {
    if (field.number != number) continue;
    if (field.type == WireType::kVarint) {
      visit(field.varint);
    } else if (field.type == WireType::kBytes) {
      uint64_t value = 0;
      int shift = 0;
      for (const char c : field.bytes) {
        const uint64_t byte = static_cast<uint8_t>(c);
        if (shift < 64) value |= (byte & 0x7f) << shift;
        shift += 7;
        if (byte >= 0x80) continue;
        visit(value);
        value = 0;
        shift = 0;
      }
    }
  }
}

// AttrValue's fields (tensorflow/core/framework/attr_value.proto).
enum AttrField : uint32_t {
  kListField = 1,
  kStringField = 2,
  kIntField = 3,
  kBoolField = 5,
  kTypeField = 6,
  kShapeField = 7,
  kTensorField = 8,
};

std::string_view Bytes(std::string_view message, uint32_t number) {
  WireField field;
  if (!LastField(message, number, WireType::kBytes, &field)) return {};
  return field.bytes;
}

// Fills a tensor's values from little-endian contents.
void ReadContent(std::string_view content, int64_t count, int size,
                 IntValues* values) {
  if (content.size() != static_cast<size_t>(count) * size) {
    values->set_unknown();
    return;
  }
  for (int64_t i = 0; i < count; ++i) {
    const char* at = content.data() + i * size;
    if (size == 4) {
      int32_t narrow = 0;
      std::memcpy(&narrow, at, sizeof narrow);
      values->push_back(narrow);
    } else {
      int64_t wide = 0;
      std::memcpy(&wide, at, sizeof wide);
      values->push_back(wide);
    }
  }
}

}  // namespace

bool IntValues::push_back(int64_t value) {
  if (size_ < 0) return false;
  if (size_ == kMaxValues) {
    size_ = -1;
    return false;
  }
  at_[size_++] = value;
  return true;
}

int64_t AttrInt(std::string_view attr_value, int64_t otherwise) {
  WireField field;
  return LastField(attr_value, kIntField, WireType::kVarint, &field)
             ? static_cast<int64_t>(field.varint)
             : otherwise;
}

bool AttrBool(std::string_view attr_value) {
  WireField field;
  return LastField(attr_value, kBoolField, WireType::kVarint, &field) &&
         field.varint != 0;
}

int AttrType(std::string_view attr_value, int otherwise) {
  WireField field;
  return LastField(attr_value, kTypeField, WireType::kVarint, &field)
             ? static_cast<int>(field.varint)
             : otherwise;
}

std::string_view AttrString(std::string_view attr_value) {
  return Bytes(attr_value, kStringField);
}

TensorShape AttrShape(std::string_view attr_value) {
  WireField field;
  return LastField(attr_value, kShapeField, WireType::kBytes, &field)
             ? ParseShape(field.bytes)
             : TensorShape();
}

std::string_view AttrTensor(std::string_view attr_value) {
  return Bytes(attr_value, kTensorField);
}

IntValues AttrInts(std::string_view attr_value) {
  IntValues values;
  ForEachVarint(Bytes(attr_value, kListField), kIntField,
                [&values](uint64_t value) {
                  values.push_back(static_cast<int64_t>(value));
                });
  return values;
}

std::vector<int> AttrTypes(std::string_view attr_value) {
  std::vector<int> types;
  ForEachVarint(
      Bytes(attr_value, kListField), kTypeField,
      [&types](uint64_t value) { types.push_back(static_cast<int>(value)); });
  return types;
}

std::vector<TensorShape> AttrShapes(std::string_view attr_value) {
  std::vector<TensorShape> shapes;
  WireReader reader(Bytes(attr_value, kListField));
  WireField field;
  while (reader.Next(&field)) {
    if (field.number == kShapeField && field.type == WireType::kBytes) {
      shapes.push_back(ParseShape(field.bytes));
    }
  }
  return shapes;
}

bool AttrStrings(std::string_view attr_value,
                 std::vector<std::string_view>* list) {
  list->clear();
  WireReader reader(attr_value);
  WireField field, item;
  bool found = false;
  while (reader.Next(&field)) {
    if (field.number != kListField || field.type != WireType::kBytes) continue;
    found = true;
    WireReader items(field.bytes);
    while (items.Next(&item)) {
      if (item.number != kStringField || item.type != WireType::kBytes)
        return false;
      list->push_back(item.bytes);
    }
    if (!items.ok()) return false;
  }
  return found && reader.ok();
}

TensorShape ParseShape(std::string_view shape_proto) {
  TensorShape shape = TensorShape::Scalar();
  bool unknown_rank = false;
  WireReader reader(shape_proto);
  WireField field, size;
  while (reader.Next(&field)) {
    if (field.number == 2 && field.type == WireType::kBytes) {
      const bool given = LastField(field.bytes, 1, WireType::kVarint, &size);
      shape.add_dim(given ? static_cast<int64_t>(size.varint) : 0);
    } else if (field.number == 3 && field.type == WireType::kVarint) {
      unknown_rank = field.varint != 0;
    }
  }
  return unknown_rank || !reader.ok() ? TensorShape() : shape;
}

bool ParseScalar(std::string_view tensor_proto, double* value) {
  const ParsedTensor tensor = ParseTensor(tensor_proto);
  const bool narrow = tensor.dtype == dt::kFloat;
  if ((!narrow && tensor.dtype != dt::kDouble) || !tensor.shape.known_rank() ||
      tensor.shape.rank() != 0) {
    return false;
  }
  *value = 0;  // what is not said
  WireReader reader(tensor_proto);
  WireField field;
  while (reader.Next(&field)) {
    // tensor_content = 4, float_val = 5, double_val = 6: packed or not.
    const bool content = field.number == 4 && field.type == WireType::kBytes;
    if (!content && field.number != (narrow ? 5u : 6u)) continue;
    std::string_view bytes = field.bytes;
    if (field.type == WireType::kFixed32 || field.type == WireType::kFixed64) {
      bytes = {reinterpret_cast<const char*>(&field.varint), narrow ? 4u : 8u};
    } else if (field.type != WireType::kBytes) {
      return false;
    }
    if (bytes.size() < (narrow ? 4u : 8u)) return false;
    float as_float = 0;
    std::memcpy(narrow ? static_cast<void*>(&as_float) : value, bytes.data(),
                narrow ? 4 : 8);
    if (narrow) *value = as_float;
  }
  return reader.ok();
}

ParsedTensor ParseTensor(std::string_view tensor_proto) {
  ParsedTensor tensor;
  tensor.shape = TensorShape::Scalar();
  std::string_view content;
  WireReader reader(tensor_proto);
  WireField field;
  while (reader.Next(&field)) {
    if (field.number == 1 && field.type == WireType::kVarint) {
      tensor.dtype = static_cast<int>(field.varint);
    } else if (field.number == 2 && field.type == WireType::kBytes) {
      tensor.shape = ParseShape(field.bytes);
    } else if (field.number == 4 && field.type == WireType::kBytes) {
      content = field.bytes;
    }
  }
  if (!reader.ok()) {
    tensor.shape = TensorShape();
    tensor.values.set_unknown();
    return tensor;
  }
  const bool wide = tensor.dtype == dt::kInt64;
  const int64_t count = tensor.shape.num_elements();
  if ((tensor.dtype != dt::kInt32 && !wide) || count < 0 ||
      count > kMaxValues) {
    tensor.values.set_unknown();
    return tensor;
  }
  if (!content.empty()) {
    ReadContent(content, count, wide ? 8 : 4, &tensor.values);
    return tensor;
  }
  // int_val = 7, int64_val = 10. The last one given stands for those missing,
  // and zero for all when there is none.
  int64_t last = 0;
  ForEachVarint(tensor_proto, wide ? 10 : 7, [&](uint64_t value) {
    last = wide ? static_cast<int64_t>(value) : static_cast<int32_t>(value);
    if (tensor.values.size() < count) tensor.values.push_back(last);
  });
  while (tensor.values.size() < count) tensor.values.push_back(last);
  return tensor;
}

}  // namespace grappler_go
