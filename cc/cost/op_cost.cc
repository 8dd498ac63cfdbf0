#include "cc/cost/op_cost.h"

#include <algorithm>

#include "cc/cost/op_facts.h"
#include "cc/cost/op_formula.h"

namespace grappler_go {

bool IsFree(OpClass op_class) {
  return op_class == OpClass::kConstOp || op_class == OpClass::kArgument ||
         op_class == OpClass::kShape;
}

bool HasFormula(const OpDef& def) { return FindFormula(def) != nullptr; }

OpCost CostOf(const OpGraph& graph, int32_t op) {
  OpCost cost;
  const OpFormula* formula = FindFormula(graph.def(op));
  if (formula == nullptr) return cost;
  const OpFacts facts(graph, op);
  const Traffic traffic = formula->traffic(facts);
  if (!traffic.known()) return cost;
  cost.flops = formula->flops(facts);
  cost.bytes_read = traffic.read;
  cost.bytes_written = traffic.written;
  cost.known = true;
  return cost;
}

double RooflineMicros(const OpCost& cost, OpClass op_class,
                      const Device& device) {
  if (IsFree(op_class)) return 0;
  const Achieved& achieved = device.achieved[static_cast<size_t>(op_class)];
  // 1 GFLOP/s is 1000 operations a microsecond; of GB/s likewise.
  const double compute = cost.flops / (device.gflops * achieved.gflops * 1e3);
  const double memory = (cost.bytes_read + cost.bytes_written) /
                        (device.gbytes_per_s * achieved.gbytes_per_s * 1e3);
  return std::max(compute, memory) + device.dispatch_us;
}

}  // namespace grappler_go
