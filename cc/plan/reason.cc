#include "cc/plan/reason.h"

namespace grappler_go {

const char* ReasonText(Reason reason) {
  switch (reason) {
    case Reason::kNone:
    case Reason::kNumReasons:
      return "";
    case Reason::kPreserved:
      return "fetched, fed or preserved";
    case Reason::kArgument:
      return "an argument or a result";
    case Reason::kConstantOp:
      return "a constant: cloned into the groups that read it";
    case Reason::kControlFlowOp:
      return "control flow";
    case Reason::kInALoop:
      return "in a loop";
    case Reason::kInABranch:
      return "in a branch that may not run";
    case Reason::kUserMark:
      return "marked by the user";
    case Reason::kUnknownType:
      return "unknown op type";
    case Reason::kCallsFunction:
      return "calls a function";
    case Reason::kDrawsRandom:
      return "draws random numbers";
    case Reason::kHasState:
      return "stateful";
    case Reason::kUsesVariable:
      return "uses a variable";
    case Reason::kUpdatesInPlace:
      return "a kernel that updates a variable in place";
    case Reason::kReference:
      return "reference to a variable";
    case Reason::kDtype:
      return "dtype that XLA lacks";
    case Reason::kNoXlaKernel:
      return "no XLA kernel";
    case Reason::kCannotTakeApart:
      return "fused op that cannot be taken apart";
    case Reason::kShapeNotKnown:
      return "shape not known";
    case Reason::kDynamicArgument:
      return "an argument XLA needs as a constant is not";
    case Reason::kOwnKernel:
      return "a kernel of its own in any group";
    case Reason::kNotOnCpu:
      return "not on a CPU device";
    case Reason::kPolicyDeclined:
      return "the policy left it alone";
    case Reason::kNeverTimed:
      return "never timed compiled";
    case Reason::kSlowerCompiled:
      return "slower when compiled";
    case Reason::kForRecompute:
      return "backward pass of a recomputed op";
    case Reason::kGroupTooSmall:
      return "group too small";
    case Reason::kGroupDoesNotPay:
      return "group does not pay";
    case Reason::kPlanDoesNotPay:
      return "plan does not pay";
    case Reason::kCompileBudget:
      return "compiling it would pass compile_budget_s";
    case Reason::kNotBackwardUse:
      return "not kept for the backward pass";
    case Reason::kColocated:
      return "colocated with an op that may not move";
    case Reason::kOtherDevice:
      return "on a device that the machine lacks";
  }
  return "";
}

}  // namespace grappler_go
