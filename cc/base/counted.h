// Numbers in sentences.
#ifndef GRAPPLER_GO_BASE_COUNTED_H_
#define GRAPPLER_GO_BASE_COUNTED_H_

#include <cstdint>
#include <string>

namespace grappler_go {

// "1 group", "2 groups".
inline std::string Counted(int64_t count, const char* noun) {
  return std::to_string(count) + " " + noun + (count == 1 ? "" : "s");
}

}  // namespace grappler_go

#endif  // GRAPPLER_GO_BASE_COUNTED_H_
