// How far below a memory limit predictions are kept, that what is measured
// keeps the limit itself.
#ifndef GRAPPLER_GO_PLAN_MEMORY_MARGIN_H_
#define GRAPPLER_GO_PLAN_MEMORY_MARGIN_H_

#include <cstdint>
#include <string>

#include "cc/plan/build_plan.h"
#include "cc/plan/plan.h"

namespace grappler_go {

// As a share of the limit: what 18 of 22 measured peaks were within of plans of
// eleven training steps (`grappler-go bench memory workload:NAME ...` of
// squeezenet-train and of unet, vae, bert, speech, two-tower, darknet,
// shufflenet and diffusion, each -small-train, vit-tiny-train and
// mlp-mixer-small-train, all of the side that policies are trained on), at
// limits of 0.6 and 0.4, with TensorFlow 2.21 on two cores with AVX-512; the
// median was 15 %. What is missing is mostly the allocator's: it hands out free
// chunks whole unless they are twice as large as what is asked for
// (BFCAllocator::FindChunkPtr). A step of few megabytes, such as vae's, is off
// by more. A larger margin costs time.
inline constexpr double kPeakMargin = 0.2;

// What predicted peaks are held to: the limit less the margin. 0: no limit.
// `peak_bytes`: as for MemoryLimit.
int64_t MemoryTarget(const PlanOptions& options, int64_t peak_bytes);

// Whether a plan that keeps the limit keeps the margin, too, in a few words.
// Empty where the limit is not kept or there is none, and where the step kept
// both without the plan.
std::string MarginText(const Plan& plan, const PlanOptions& options);

}  // namespace grappler_go

#endif  // GRAPPLER_GO_PLAN_MEMORY_MARGIN_H_
