#include "cc/testing/loop_graph.h"

#include "cc/graph/wire.h"
#include "cc/testing/graph_builder.h"

namespace grappler_go {

std::string LoopOfTwoVariables() {
  const GraphBuilder::Attrs t = {{"T", TypeAttrValue(kFloat)}};
  GraphBuilder builder;
  builder.Arg("x", {4});
  std::string late = "x";
  for (int i = 0; i < 8; ++i) {
    const std::string name = "late" + std::to_string(i);
    builder.Node(name, "Tanh", {late}, t);
    late = name;
  }
  for (const std::string n : {"1", "2"}) {
    builder.Node("enter" + n, "Enter", {n == "1" ? "x" : late}, t)
        .Node("merge" + n, "Merge", {"enter" + n, "next" + n}, t);
  }
  builder.Node("less", "Less", {"merge1", "merge1"}, t)
      .Node("cond", "LoopCond", {"less"});
  for (const std::string n : {"1", "2"}) {
    builder.Node("switch" + n, "Switch", {"merge" + n, "cond"}, t)
        .Node("exit" + n, "Exit", {"switch" + n}, t);
  }
  return builder.Node("both", "AddV2", {"switch1:1", "switch2:1"}, t)
      .Node("next1", "NextIteration", {"both"}, t)
      .Node("next2", "NextIteration", {"switch2:1"}, t)
      .Node("after", "Tanh", {"exit1"}, t)
      .Node("beside", "Tanh", {"x"}, t)
      .Node("sum", "AddV2", {"exit1", late}, t)
      .Build();
}

}  // namespace grappler_go
