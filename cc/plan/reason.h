// Why nothing was decided for an op, and in which words that is said.
#ifndef GRAPPLER_GO_PLAN_REASON_H_
#define GRAPPLER_GO_PLAN_REASON_H_

#include <cstdint>

namespace grappler_go {

enum class Reason : uint8_t {
  kNone = 0,  // nothing in the way
  kPreserved,
  kArgument,
  kConstantOp,
  kControlFlowOp,
  kInALoop,
  kInABranch,
  kUserMark,
  kUnknownType,
  kCallsFunction,
  kDrawsRandom,
  kHasState,
  kUsesVariable,
  kUpdatesInPlace,
  kReference,
  kDtype,
  kNoXlaKernel,
  kCannotTakeApart,
  kShapeNotKnown,
  kDynamicArgument,
  kNotOnCpu,
  kOwnKernel,
  kPolicyDeclined,
  kNeverTimed,
  kSlowerCompiled,
  kForRecompute,
  kGroupTooSmall,
  kGroupDoesNotPay,
  kPlanDoesNotPay,
  kCompileBudget,
  kNotBackwardUse,
  kColocated,
  kOtherDevice,
  kNumReasons,
};

// "no XLA kernel"; empty for kNone.
const char* ReasonText(Reason reason);

}  // namespace grappler_go

#endif  // GRAPPLER_GO_PLAN_REASON_H_
