// Names that say that an op was made for a gradient.
#ifndef GRAPPLER_GO_GRAPH_GRADIENT_SCOPE_H_
#define GRAPPLER_GO_GRAPH_GRADIENT_SCOPE_H_

#include <cstddef>
#include <string_view>

namespace grappler_go {

// Where in a name it says so: "gradient_tape/" anywhere, since Grappler puts
// its own prefixes before it; "gradients/" and "gradients_3/" as a scope. The
// first.
struct GradientScope {
  bool found = false;
  bool tape = false;  // "gradient_tape/"
  size_t begin = 0;   // of the scope
  size_t end = 0;     // just after its slash
};
GradientScope FindGradientScope(std::string_view name);

}  // namespace grappler_go

#endif  // GRAPPLER_GO_GRAPH_GRADIENT_SCOPE_H_
