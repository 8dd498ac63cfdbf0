#include "cc/plan/memory_margin.h"

#include <algorithm>
#include <cstdio>

namespace grappler_go {

int64_t MemoryTarget(const PlanOptions& options, int64_t peak_bytes) {
  const int64_t limit = MemoryLimit(options, peak_bytes);
  if (limit <= 0) return 0;
  return std::max<int64_t>(
      1, static_cast<int64_t>((1 - kPeakMargin) * static_cast<double>(limit)));
}

std::string MarginText(const Plan& plan, const PlanOptions& options) {
  const int64_t limit = MemoryLimit(options, plan.peak_bytes_before);
  const int64_t target = MemoryTarget(options, plan.peak_bytes_before);
  if (plan.peak_bytes_after > limit || plan.peak_bytes_before <= target) {
    return "";
  }
  char percent[16];
  std::snprintf(percent, sizeof(percent), "%g %%", 100 * kPeakMargin);
  if (plan.peak_bytes_after <= target) {
    return std::string(percent) +
           " or more below the limit, as predictions may be off by that";
  }
  return "below the limit, but not by the " + std::string(percent) +
         " that predictions may be off by";
}

}  // namespace grappler_go
