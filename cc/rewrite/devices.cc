#include <utility>

#include "cc/graph/wire.h"
#include "cc/rewrite/node_def.h"
#include "cc/rewrite/rewrite.h"

namespace grappler_go {

Status RewriteDevices(const Plan& plan, GraphEdits* edits) {
  const OpGraph& graph = edits->graph();
  std::vector<int32_t> fields;
  for (const std::string& device : plan.devices) {
    std::string field;
    AppendBytesField(kNodeDevice, device, &field);
    fields.push_back(edits->Share(std::move(field)));
  }
  for (size_t i = 0; i < plan.device.size(); ++i) {
    const int32_t op = static_cast<int32_t>(i);
    const int32_t device = plan.device[i];
    if (device < 0 || plan.devices[device] == graph.device(op)) continue;
    edits->AppendShared(op, fields[device]);
  }
  return OkStatus();
}

}  // namespace grappler_go
