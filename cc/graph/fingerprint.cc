#include "cc/graph/fingerprint.h"

#include <cstdio>
#include <cstring>

namespace grappler_go {
namespace {

// Odd constants with well spread bits (digits of pi in hexadecimal).
constexpr uint64_t kPi0 = 0x243f6a8885a308d3;
constexpr uint64_t kPi1 = 0x13198a2e03707345;
constexpr uint64_t kPi2 = 0xa4093822299f31d1;

// The two halves of the 128-bit product, folded: every bit of the result
// depends on every bit of both factors.
uint64_t MultiplyFold(uint64_t a, uint64_t b) {
  const auto product = static_cast<unsigned __int128>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

uint64_t Load(const char* bytes, size_t count) {
  static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
                "saved fingerprints are little-endian");
  uint64_t value = 0;
  std::memcpy(&value, bytes, count);
  return value;
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

}  // namespace

uint64_t HashMix(uint64_t a, uint64_t b) {
  return MultiplyFold(a ^ kPi0, b ^ kPi1) + a;
}

uint64_t HashBytes(std::string_view bytes, uint64_t seed) {
  const char* p = bytes.data();
  size_t left = bytes.size();
  // A seed as it is could be undone by the bytes that it is mixed with.
  uint64_t hash = MultiplyFold(seed ^ kPi2, kPi1);
  for (; left > 16; left -= 16, p += 16) {
    hash = MultiplyFold(Load(p, 8) ^ kPi0, Load(p + 8, 8) ^ hash);
  }
  uint64_t a = 0, b = 0;
  if (left >= 8) {
    a = Load(p, 8);
    b = Load(p + left - 8, 8);
  } else if (left > 0) {
    a = Load(p, left);
  }
  hash = MultiplyFold(a ^ kPi1, b ^ hash);
  return MultiplyFold(hash ^ kPi2, bytes.size() ^ kPi0);
}

std::string Fingerprint::ToString() const {
  char text[33];
  std::snprintf(text, sizeof(text), "%016llx%016llx",
                static_cast<unsigned long long>(hi),
                static_cast<unsigned long long>(lo));
  return text;
}

StatusOr<Fingerprint> Fingerprint::FromString(std::string_view hex) {
  Fingerprint result;
  if (hex.size() != 32) {
    return InvalidArgument("a fingerprint is 32 hexadecimal digits");
  }
  for (size_t i = 0; i < hex.size(); ++i) {
    const int digit = HexDigit(hex[i]);
    if (digit < 0) {
      return InvalidArgument("a fingerprint is 32 hexadecimal digits");
    }
    uint64_t& half = i < 16 ? result.hi : result.lo;
    half = half << 4 | static_cast<uint64_t>(digit);
  }
  return result;
}

}  // namespace grappler_go
