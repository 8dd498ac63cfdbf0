// A Calibration as JSON; the format stands in calibration.h.
#ifndef GRAPPLER_GO_COST_CALIBRATION_JSON_H_
#define GRAPPLER_GO_COST_CALIBRATION_JSON_H_

#include <string>

#include "cc/base/json.h"
#include "cc/base/status.h"
#include "cc/cost/calibration.h"

namespace grappler_go {

// Errors: kInvalidArgument, naming the field below `where`.
StatusOr<Calibration> CalibrationFromJson(const Json& json,
                                          const std::string& where);
Json CalibrationToJson(const Calibration& calibration);

}  // namespace grappler_go

#endif  // GRAPPLER_GO_COST_CALIBRATION_JSON_H_
