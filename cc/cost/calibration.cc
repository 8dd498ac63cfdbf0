#include "cc/cost/calibration.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "cc/cost/cost_kind.h"
#include "cc/cost/op_cost.h"

namespace grappler_go {
namespace {

bool IsTime(double value) { return std::isfinite(value) && value >= 0; }

Status CheckTerms(const std::string& where, const CostTerms& terms) {
  for (const double term : terms) {
    if (IsTime(term)) continue;
    return InvalidArgument(where + " has the term " + std::to_string(term) +
                           "; expected numbers of 0 or above.");
  }
  return OkStatus();
}

Status CheckCost(const std::string& where, const TimedCost& cost) {
  GO_RETURN_IF_ERROR(CheckTerms(where + ".executor", cost.executor));
  return CheckTerms(where + ".group", cost.group);
}

}  // namespace

const TimedCost* Calibration::Find(const OpGraph& graph, int32_t op) const {
  // Most ops are plain: no key is put together for them.
  auto own = ops.end();
  if (CostKindOf(graph, op) != CostKind::kPlain) {
    own = ops.find(CostKey(graph, op));
  }
  if (own == ops.end()) own = ops.find(graph.op(op));
  if (own != ops.end()) return &own->second;
  const auto of_class = classes.find(graph.def(op).op_class);
  return of_class == classes.end() ? nullptr : &of_class->second;
}

Status Calibration::Validate(const std::string& where) const {
  const std::pair<const char*, double> numbers[] = {
      {"new_us_per_mb", new_us_per_mb},
      {"cold_read_us_per_mb", cold_read_us_per_mb},
      {"group_launch_us", group_launch_us},
      {"group_tensor_us", group_tensor_us},
      {"group_output_us_per_mb", group_output_us_per_mb}};
  for (const auto& [name, value] : numbers) {
    if (IsTime(value)) continue;
    return InvalidArgument(where + "." + name +
                           " must be zero or a positive number.");
  }
  for (const auto& [op, cost] : ops) {
    GO_RETURN_IF_ERROR(CheckCost(where + ".ops." + op, cost));
  }
  for (const auto& [op_class, cost] : classes) {
    GO_RETURN_IF_ERROR(
        CheckCost(where + ".classes." + OpClassName(op_class), cost));
  }
  return OkStatus();
}

double MicrosOf(const CostTerms& terms, const OpCost& cost) {
  const double moved = cost.bytes_read + cost.bytes_written;
  return terms[0] + terms[1] * cost.flops * 1e-6 + terms[2] * moved * 1e-6 +
         terms[3] * std::max(0.0, moved - kCacheBytes) * 1e-6;
}

}  // namespace grappler_go
