// What the simulated step of a placement tells one who cuts anew, near it.
#ifndef GRAPPLER_GO_PLAN_SEARCH_TIMED_CUT_H_
#define GRAPPLER_GO_PLAN_SEARCH_TIMED_CUT_H_

#include <cstdint>
#include <vector>

#include "cc/plan/search_space.h"
#include "cc/plan/search_starts.h"
#include "cc/plan/search_timeline.h"

namespace grappler_go {

// Stretches of equal time, of the step that was simulated: where each unit's
// ops started. `count`: 1 or more.
Windows WindowsInTime(const SearchSpace& space, const OpTimes& times,
                      int32_t count);

// [num_tensors] of the space: what sending each takes, `micros`, less what
// nobody waits for: next to nothing where its readers could start that much
// later, as in the timing-driven placement of circuits (Marquardt, Betz and
// Rose, "Timing-driven placement for FPGAs", 2000).
std::vector<float> CriticalTensorMicros(const SearchSpace& space,
                                        const std::vector<float>& micros,
                                        const OpTimes& times);

}  // namespace grappler_go

#endif  // GRAPPLER_GO_PLAN_SEARCH_TIMED_CUT_H_
