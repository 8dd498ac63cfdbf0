// 128 bits that name a graph by its structure.
//
// Two graphs share a fingerprint when they have the same ops, attributes that
// matter to execution, shapes and edges, whatever the order of nodes in the
// file and whatever TensorFlow numbered into the names. Devices are not part of
// it: a plan is looked up before devices are decided.
#ifndef GRAPPLER_GO_GRAPH_FINGERPRINT_H_
#define GRAPPLER_GO_GRAPH_FINGERPRINT_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "cc/base/status.h"

namespace grappler_go {

struct Fingerprint {
  uint64_t hi = 0;
  uint64_t lo = 0;

  std::string ToString() const;  // 32 hexadecimal digits
  static StatusOr<Fingerprint> FromString(std::string_view hex);
  friend bool operator==(const Fingerprint& a, const Fingerprint& b) {
    return a.hi == b.hi && a.lo == b.lo;
  }
  friend bool operator!=(const Fingerprint& a, const Fingerprint& b) {
    return !(a == b);
  }
};

// The mixing functions behind it, stable across machines and releases.
uint64_t HashBytes(std::string_view bytes, uint64_t seed);
uint64_t HashMix(uint64_t a, uint64_t b);

}  // namespace grappler_go

#endif  // GRAPPLER_GO_GRAPH_FINGERPRINT_H_
