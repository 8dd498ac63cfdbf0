// An op by its inputs, and what it costs, for the tests of formulas.
#ifndef GRAPPLER_GO_COST_OP_FORMULA_TEST_UTIL_H_
#define GRAPPLER_GO_COST_OP_FORMULA_TEST_UTIL_H_

#include <cstdint>
#include <string>
#include <vector>

#include "cc/cost/op_cost.h"
#include "cc/cost/op_formula.h"
#include "cc/graph/wire.h"
#include "cc/testing/graph_builder.h"
#include "gtest/gtest.h"

namespace grappler_go {

using Attrs = GraphBuilder::Attrs;

constexpr double kT = kTranscendentalFlops;

inline OpCost CostIn(const GraphBuilder& builder,
                     const std::string& name = "op") {
  const std::string bytes = builder.Build();
  StatusOr<OpGraph> graph = OpGraph::Parse(bytes, {});
  EXPECT_TRUE(graph.ok()) << graph.status().message();
  const int32_t op = graph->find(name);
  EXPECT_GE(op, 0) << name;
  return CostOf(*graph, op);
}

struct In {
  Dims dims;
  int dtype = kFloat;
  std::vector<int32_t> values = {};  // an int32 constant where there are any
};

inline In Ints(const std::vector<int32_t>& values) {
  return {{static_cast<int64_t>(values.size())}, kInt32, values};
}

inline In Int(int32_t value) { return {{}, kInt32, {value}}; }

// An op whose inputs are _Args of these shapes. Where no rule infers its
// outputs' shapes, they are given.
inline GraphBuilder GraphOf(const std::string& op,
                            const std::vector<In>& inputs, Attrs attrs = {},
                            const std::vector<Dims>& outputs = {}) {
  GraphBuilder builder;
  std::vector<std::string> names;
  for (size_t i = 0; i < inputs.size(); ++i) {
    names.push_back("in" + std::to_string(i));
    const In& in = inputs[i];
    if (!in.values.empty()) {
      builder.IntConst(names.back(), in.dims, in.values);
    } else if (in.dtype == kResource) {
      builder.VarArg(names.back(), in.dims);
    } else {
      builder.Arg(names.back(), in.dims, in.dtype);
    }
  }
  attrs.emplace_back("T", TypeAttrValue(kFloat));
  if (!outputs.empty()) {
    attrs.emplace_back("_output_shapes", ShapeListAttr(outputs));
  }
  builder.Node("op", op, names, attrs);
  return builder;
}

inline OpCost Cost(const std::string& op, const std::vector<In>& inputs,
                   const Attrs& attrs = {},
                   const std::vector<Dims>& outputs = {}) {
  return CostIn(GraphOf(op, inputs, attrs, outputs));
}

// The work alone, for ops whose outputs' types no rule infers from attributes
// of a test: CostOf() wants the bytes too.
inline double Flops(const std::string& op, const std::vector<In>& inputs,
                    const Attrs& attrs, const std::vector<Dims>& outputs) {
  const std::string bytes = GraphOf(op, inputs, attrs, outputs).Build();
  StatusOr<OpGraph> graph = OpGraph::Parse(bytes, {});
  EXPECT_TRUE(graph.ok()) << graph.status().message();
  const int32_t at = graph->find("op");
  return FindFormula(graph->def(at))->flops(OpFacts(*graph, at));
}

inline void ExpectWork(const OpCost& cost, double flops, double read,
                       double written) {
  EXPECT_TRUE(cost.known);
  EXPECT_NEAR(cost.flops, flops, 1e-9 * flops);
  EXPECT_EQ(cost.bytes_read, read);
  EXPECT_EQ(cost.bytes_written, written);
}

}  // namespace grappler_go

#endif  // GRAPPLER_GO_COST_OP_FORMULA_TEST_UTIL_H_
