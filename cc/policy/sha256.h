// SHA-256 (FIPS 180-4), for the checksums in a policy's schema.json.
#ifndef GRAPPLER_GO_POLICY_SHA256_H_
#define GRAPPLER_GO_POLICY_SHA256_H_

#include <string>
#include <string_view>

#include "cc/base/status.h"

namespace grappler_go {

// 64 lower-case hexadecimal digits.
std::string Sha256Hex(std::string_view bytes);

// Of a file, read in pieces. kNotFound names a file that cannot be read.
StatusOr<std::string> Sha256HexOfFile(const std::string& path);

}  // namespace grappler_go

#endif  // GRAPPLER_GO_POLICY_SHA256_H_
