// A bounds-checked reader and an appending writer of the protobuf wire format.
//
// GraphDef bytes come from TensorFlow, from files and from strangers, so every
// read is checked and no read copies: fields are views into the caller's bytes.
// There is no protobuf library here because the wheel's own one would tie this
// binary to a single TensorFlow version.
//
//   WireReader reader(bytes);
//   WireField field;
//   while (reader.Next(&field)) {
//     if (field.number == 1 && field.type == WireType::kBytes)
//     Use(field.bytes);
//   }
//   if (!reader.ok()) return InvalidArgument("truncated");
//
// The format: https://protobuf.dev/programming-guides/encoding/. A singular
// field or a map key that occurs again later wins over the earlier one, which
// is what lets a rewrite append to a NodeDef instead of parsing it.
#ifndef GRAPPLER_GO_GRAPH_WIRE_H_
#define GRAPPLER_GO_GRAPH_WIRE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace grappler_go {

enum class WireType : uint8_t {
  kVarint = 0,
  kFixed64 = 1,
  kBytes = 2,
  kFixed32 = 5,
};

struct WireField {
  uint32_t number = 0;
  WireType type = WireType::kVarint;
  uint64_t varint = 0;     // kVarint, and the raw bits of kFixed32 / kFixed64
  std::string_view bytes;  // kBytes: the payload
  const char* begin = nullptr;  // first byte of the field's tag
  const char* end = nullptr;    // one past the field's last byte
};

class WireReader {
 public:
  explicit WireReader(std::string_view bytes)
      : pos_(bytes.data()), end_(bytes.data() + bytes.size()) {}

  // Reads one field. Returns false at the end and on malformed input; ok()
  // tells the two apart. Groups (deprecated) are malformed input here.
  bool Next(WireField* field);
  bool ok() const { return ok_; }

 private:
  // Most tags and lengths take one byte.
  bool ReadVarint(uint64_t* value) {
    if (pos_ == end_ || static_cast<uint8_t>(*pos_) >= 0x80) {
      return ReadLongVarint(value);
    }
    *value = static_cast<uint8_t>(*pos_++);
    return true;
  }
  bool ReadLongVarint(uint64_t* value);
  bool Fail() {
    ok_ = false;
    return false;
  }
  const char* pos_;
  const char* end_;
  bool ok_ = true;
};

// The payload of a kBytes field, given the first byte of the field (`begin`) as
// a WireReader found it: a field can be remembered by its place alone.
inline std::string_view FieldBytes(const char* begin) {
  while (*begin++ & 0x80) {
  }
  size_t length = 0;
  for (int shift = 0;; shift += 7) {
    const auto byte = static_cast<uint8_t>(*begin++);
    length |= static_cast<size_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return {begin, length};
  }
}

// Appends fields to a string.
void AppendVarint(uint64_t value, std::string* out);
void AppendVarintField(uint32_t number, uint64_t value, std::string* out);
void AppendFixed32Field(uint32_t number, uint32_t bits, std::string* out);
void AppendBytesField(uint32_t number, std::string_view bytes,
                      std::string* out);

// One entry of NodeDef.attr (map<string, AttrValue>, field 5) with the value
// given as a serialized AttrValue.
void AppendAttr(std::string_view key, std::string_view attr_value,
                std::string* node);
// Serialized AttrValues: s = 2, i = 3, b = 5, type = 6 (attr_value.proto).
std::string StringAttrValue(std::string_view value);
std::string BoolAttrValue(bool value);
std::string IntAttrValue(int64_t value);
std::string TypeAttrValue(int dtype);

}  // namespace grappler_go

#endif  // GRAPPLER_GO_GRAPH_WIRE_H_
