// How far below a memory limit predictions are kept, that what is measured
// keeps the limit itself.
#ifndef GRAPPLER_GO_PLAN_MEMORY_MARGIN_H_
#define GRAPPLER_GO_PLAN_MEMORY_MARGIN_H_

#include <cstdint>
#include <string>

#include "cc/plan/build_plan.h"
#include "cc/plan/plan.h"

namespace grappler_go {

// As a share of the limit: how far measured peaks were above predicted ones in
// the median of 31 plans of deep-mlp (4 %), vit, transformer-train (8 %),
// chargpt-train (10 %) and bert (16 %), by `grappler-go bench memory` at limits
// of 0.8 to 0.4 with TensorFlow 2.21 on two busy cores of an AMD EPYC. A step
// of convolutions is farther off, by their kernels' workspaces, which no margin
// of a few percent covers; a larger one costs every step time.
inline constexpr double kPeakMargin = 0.07;

// What predicted peaks are held to: the limit less the margin. 0: no limit.
// `peak_bytes`: as for MemoryLimit.
int64_t MemoryTarget(const PlanOptions& options, int64_t peak_bytes);

// Whether a plan that keeps the limit keeps the margin, too, in a few words.
// Empty where the limit is not kept or there is none, and where the step kept
// both without the plan.
std::string MarginText(const Plan& plan, const PlanOptions& options);

}  // namespace grappler_go

#endif  // GRAPPLER_GO_PLAN_MEMORY_MARGIN_H_
