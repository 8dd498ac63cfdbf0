#include "cc/graph/wire.h"

#include <cstddef>

namespace grappler_go {
namespace {

// Protobuf's own bound: field numbers are 29 bits.
constexpr uint64_t kMaxFieldNumber = (uint64_t{1} << 29) - 1;

uint64_t LittleEndian(const char* bytes, int count) {
  uint64_t value = 0;
  for (int i = 0; i < count; ++i) {
    value |= uint64_t{static_cast<uint8_t>(bytes[i])} << (8 * i);
  }
  return value;
}

}  // namespace

bool WireReader::ReadLongVarint(uint64_t* value) {
  uint64_t result = 0;
  for (int shift = 0; shift < 70; shift += 7) {
    if (pos_ == end_) return false;
    const uint64_t byte = static_cast<uint8_t>(*pos_++);
    // Bits past the 64th are dropped, as protobuf does.
    result |= (byte & 0x7f) << shift;
    if (byte < 0x80) {
      *value = result;
      return true;
    }
  }
  return false;
}

bool WireReader::Next(WireField* field) {
  if (!ok_ || pos_ == end_) return false;
  field->begin = pos_;
  uint64_t tag = 0;
  if (!ReadVarint(&tag)) return Fail();
  const uint64_t number = tag >> 3;
  if (number == 0 || number > kMaxFieldNumber) return Fail();
  field->number = static_cast<uint32_t>(number);
  field->type = static_cast<WireType>(tag & 7);
  const size_t left = static_cast<size_t>(end_ - pos_);
  switch (field->type) {
    case WireType::kVarint:
      if (!ReadVarint(&field->varint)) return Fail();
      break;
    case WireType::kFixed64:
    case WireType::kFixed32: {
      const int size = field->type == WireType::kFixed64 ? 8 : 4;
      if (left < static_cast<size_t>(size)) return Fail();
      field->varint = LittleEndian(pos_, size);
      pos_ += size;
      break;
    }
    case WireType::kBytes: {
      uint64_t length = 0;
      if (!ReadVarint(&length)) return Fail();
      if (length > static_cast<size_t>(end_ - pos_)) return Fail();
      field->bytes = std::string_view(pos_, static_cast<size_t>(length));
      pos_ += length;
      break;
    }
    default:
      return Fail();
  }
  field->end = pos_;
  return true;
}

void AppendVarint(uint64_t value, std::string* out) {
  while (value >= 0x80) {
    out->push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  out->push_back(static_cast<char>(value));
}

namespace {

void AppendTag(uint32_t number, WireType type, std::string* out) {
  AppendVarint(uint64_t{number} << 3 | static_cast<uint64_t>(type), out);
}

}  // namespace

void AppendVarintField(uint32_t number, uint64_t value, std::string* out) {
  AppendTag(number, WireType::kVarint, out);
  AppendVarint(value, out);
}

void AppendFixed32Field(uint32_t number, uint32_t bits, std::string* out) {
  AppendTag(number, WireType::kFixed32, out);
  for (int i = 0; i < 4; ++i) out->push_back(static_cast<char>(bits >> 8 * i));
}

void AppendBytesField(uint32_t number, std::string_view bytes,
                      std::string* out) {
  AppendTag(number, WireType::kBytes, out);
  AppendVarint(bytes.size(), out);
  out->append(bytes);
}

void AppendAttr(std::string_view key, std::string_view attr_value,
                std::string* node) {
  std::string entry;
  entry.reserve(key.size() + attr_value.size() + 8);
  AppendBytesField(1, key, &entry);
  AppendBytesField(2, attr_value, &entry);
  AppendBytesField(5, entry, node);
}

std::string StringAttrValue(std::string_view value) {
  std::string out;
  AppendBytesField(2, value, &out);
  return out;
}

std::string BoolAttrValue(bool value) {
  std::string out;
  AppendVarintField(5, value ? 1 : 0, &out);
  return out;
}

std::string IntAttrValue(int64_t value) {
  std::string out;
  AppendVarintField(3, static_cast<uint64_t>(value), &out);
  return out;
}

std::string TypeAttrValue(int dtype) {
  std::string out;
  AppendVarintField(6, static_cast<uint64_t>(dtype), &out);
  return out;
}

}  // namespace grappler_go
