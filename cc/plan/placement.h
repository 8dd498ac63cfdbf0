// Where ops may stand: which of them must share a device, and on which devices
// each of these units may be. DecideDevices, ValidatePlan and the baselines in
// Python all ask here.
#ifndef GRAPPLER_GO_PLAN_PLACEMENT_H_
#define GRAPPLER_GO_PLAN_PLACEMENT_H_

#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "cc/cost/machine.h"
#include "cc/graph/op_graph.h"
#include "cc/plan/plan.h"
#include "cc/plan/reason.h"

namespace grappler_go {

// [num_ops] the unit of each op, named by its first op: colocation groups,
// joined where a tensor between them cannot be sent (strings, resources,
// variants, those of unknown dtype). With free state, too, a loop's or a
// branch's control flow with what it leads to, a result with what makes it, and
// a reference with its readers.
std::vector<int32_t> UnitsOf(const OpGraph& graph, bool free_state);

struct PlacementRules {
  // As Plan::free_state: variables may move, and to every type of device that
  // has the kernels.
  bool free_state = false;
  // Ops that stand on no device of the machine are taken to be on its first, as
  // in the simulator. Off: they stay where they are.
  bool first_is_home = false;
  // As PlanOptions::has_kernel. Null: ops move only between devices of one
  // type, or with free state as HasKernelOn() says.
  std::function<bool(std::string_view op, std::string_view device_type)>
      has_kernel = nullptr;
};

struct Placement {
  int32_t num_devices = 0;
  std::vector<int32_t> home;    // [num_ops] its device now; -1: not of this
                                // machine
  std::vector<int32_t> unit;    // [num_ops], as UnitsOf()
  std::vector<Reason> reason;   // [num_ops] why not moved, colocation aside
  std::vector<uint8_t> pinned;  // [num_ops] by unit: 1 where it stays, because
                                // of an op in it or because its ops stand on
                                // several devices already
  // [num_ops, num_devices] by unit: may it be there? Rows of other ops than
  // first ones are 0.
  std::vector<uint8_t> allowed;

  bool may_be_on(int32_t unit, int32_t device) const {
    return allowed[static_cast<size_t>(unit) * num_devices + device] != 0;
  }
};

// [num_ops] the device, of the machine's, that the simulator runs each op on: a
// plan's, or else the graph's, or else the first.
std::vector<int32_t> DevicesOf(const OpGraph& graph, const Machine& machine,
                               const Plan& plan);

Placement PlacementOf(const OpGraph& graph, const Machine& machine,
                      const PlacementRules& rules);

// Where a unit is when nothing is decided: where it stands; with free state
// where TensorFlow's placer would put it, on the first accelerator that can
// have it unless it stands on one (tensorflow/core/common_runtime/placer.cc).
// -1: not of this machine.
int32_t UndecidedDevice(const Placement& placement, const Machine& machine,
                        bool free_state, int32_t unit);

}  // namespace grappler_go

#endif  // GRAPPLER_GO_PLAN_PLACEMENT_H_
