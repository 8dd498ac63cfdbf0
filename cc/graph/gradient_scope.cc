#include "cc/graph/gradient_scope.h"

namespace grappler_go {

GradientScope FindGradientScope(std::string_view name) {
  constexpr std::string_view kStem = "gradient", kTape = "_tape/";
  for (size_t begin = name.find(kStem); begin != std::string_view::npos;
       begin = name.find(kStem, begin + 1)) {
    size_t at = begin + kStem.size();
    if (name.substr(at, kTape.size()) == kTape) {
      return {true, true, begin, at + kTape.size()};
    }
    if (begin > 0 && name[begin - 1] != '/') continue;
    if (at == name.size() || name[at] != 's') continue;
    ++at;
    if (at < name.size() && name[at] == '_') {
      ++at;
      while (at < name.size() && name[at] >= '0' && name[at] <= '9') ++at;
    }
    if (at < name.size() && name[at] == '/') {
      return {true, false, begin, at + 1};
    }
  }
  return {};
}

}  // namespace grappler_go
