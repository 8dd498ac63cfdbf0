// Random graphs for tests and benchmarks.
#ifndef GRAPPLER_GO_TESTING_RANDOM_GRAPH_H_
#define GRAPPLER_GO_TESTING_RANDOM_GRAPH_H_

#include <random>
#include <string>
#include <utility>
#include <vector>

#include "cc/graph/op_graph.h"
#include "cc/graph/wire.h"
#include "cc/testing/graph_builder.h"

namespace grappler_go {

struct RandomGraphOptions {
  int num_ops = 30;
  int max_inputs = 3;
  int window = 12;         // inputs come from this many ops before
  double variables = 0.2;  // share of ops that read or write a variable
  double control = 0.2;    // share of inputs that are control edges
};

// A GraphDef: two variables, an argument, and ops that read ops before them.
inline std::string RandomGraphDef(const RandomGraphOptions& options,
                                  std::mt19937* random) {
  auto chance = [&](double p) { return (*random)() % 1000 < p * 1000; };
  const GraphBuilder::Attrs kT = {{"T", TypeAttrValue(kFloat)}};
  const GraphBuilder::Attrs kDtype = {{"dtype", TypeAttrValue(kFloat)}};
  GraphBuilder builder;
  builder.Arg("x", {8, 8}).VarArg("v0", {8, 8}).VarArg("v1", {8, 8});
  std::vector<std::string> names = {"x"};
  std::vector<bool> has_output = {true};
  for (int i = 0; i < options.num_ops; ++i) {
    std::vector<std::string> data, control;
    const int wanted = 1 + static_cast<int>((*random)() % options.max_inputs);
    for (int k = 0; k < wanted; ++k) {
      const auto from = static_cast<int>(names.size());
      const int back =
          1 + static_cast<int>((*random)() % std::min(from, options.window));
      const int src = from - back;
      if (has_output[src] && !chance(options.control)) {
        data.push_back(names[src]);
      } else {
        control.push_back("^" + names[src]);
      }
    }
    const std::string variable = chance(0.5) ? "v0" : "v1";
    std::string op = data.size() == 1 ? "Tanh" : "AddN";
    GraphBuilder::Attrs attrs = kT;
    bool output = true;
    if (chance(options.variables)) {
      const bool writes = !data.empty() && chance(0.5);
      op = !writes ? "ReadVariableOp"
                   : (chance(0.5) ? "AssignVariableOp" : "AssignAddVariableOp");
      for (size_t k = writes ? 1 : 0; k < data.size(); ++k) {
        control.push_back("^" + data[k]);
      }
      data = writes ? std::vector<std::string>{variable, data[0]}
                    : std::vector<std::string>{variable};
      attrs = kDtype;
      output = !writes;
    } else if (data.empty()) {
      data.push_back("x");
      op = "Tanh";
    }
    if (op == "AddN") {
      attrs.emplace_back("N", IntAttrValue(static_cast<int64_t>(data.size())));
    }
    const std::string name = "n" + std::to_string(i);
    std::vector<std::string> inputs = data;
    inputs.insert(inputs.end(), control.begin(), control.end());
    builder.Node(name, op, inputs, attrs,
                 "/job:a/replica:0/task:0/device:CPU:0");
    names.push_back(name);
    has_output.push_back(output);
  }
  return builder.Build();
}

}  // namespace grappler_go

#endif  // GRAPPLER_GO_TESTING_RANDOM_GRAPH_H_
