// The arrays of Features that describe a machine.
#ifndef GRAPPLER_GO_SCHEMA_DEVICE_ARRAYS_H_
#define GRAPPLER_GO_SCHEMA_DEVICE_ARRAYS_H_

#include "cc/cost/machine.h"
#include "cc/graph/op_graph.h"
#include "cc/schema/features.h"

namespace grappler_go {

void FillDeviceFeatures(const Machine& machine, Features* features);
void FillLinkFeatures(const Machine& machine, Features* features);
void FillOpDeviceMicros(const OpGraph& graph, const Machine& machine,
                        Features* features);

}  // namespace grappler_go

#endif  // GRAPPLER_GO_SCHEMA_DEVICE_ARRAYS_H_
