// Where a search over plans begins: placements that cost no simulation to make.
#ifndef GRAPPLER_GO_PLAN_SEARCH_STARTS_H_
#define GRAPPLER_GO_PLAN_SEARCH_STARTS_H_

#include <cstdint>
#include <vector>

#include "cc/plan/search_clusters.h"
#include "cc/plan/search_space.h"

namespace grappler_go {

// A device of each unit, [num_units].
using UnitDevices = std::vector<int32_t>;

// Each unit on `device` where it may be there, else at home.
UnitDevices OnOneDevice(const SearchSpace& space, int32_t device);

// Where the policy's score is highest. The space must have scores.
UnitDevices PolicyArgmax(const SearchSpace& space);

// Draws from softmax(score / temperature). All units of a stretch, in the order
// of their depth, get the same noise (Gumbel's), so that neighbours which the
// policy wants alike go together; of each unit alone the probabilities stay the
// policy's. `stretches`: into how many the units are cut.
UnitDevices PolicySample(const SearchSpace& space, double temperature,
                         int32_t stretches, SearchRandom* random);

// The units in the order of their depth, in as many contiguous parts as
// `devices`, each with as much work as its device's speed is worth.
UnitDevices ContiguousCut(const SearchSpace& space,
                          const std::vector<int32_t>& devices);

// [num_units] the layer of each unit, named by one of its units; -1: of none. A
// layer is what reads the same variables, with all that hands most of its bytes
// to it or takes most from it. `units`: UnitClusters().
std::vector<int32_t> LayersOf(const SearchSpace& space, const Clusters& units);

// Layers, in the order of their depth, in as many contiguous parts as
// `devices`: what a program unrolls over time is cut between its layers, where
// ContiguousCut would cut time. A layer is whole: `reach` in [0, 1] says which
// point of its work has to be in a device's part for it to go there, and so who
// gets more than an equal part, the first devices (0) or the last (1).
UnitDevices LayerCut(const SearchSpace& space,
                     const std::vector<int32_t>& layers,
                     const std::vector<int32_t>& devices, double reach);

// Ops by the longest way to the end of the step, each where it ends earliest:
// HEFT (Topcuoglu, Hariri and Wu, IEEE TPDS 2002). A link carries one tensor at
// a time and each to a device once; the first op of a cluster decides for all
// of it; a device without memory for a cluster is passed over. Constants and
// variables go with their first reader.
UnitDevices ListSchedule(const SearchSpace& space, const Clusters& clusters);

// In which of `count` stretches of the step units do their work.
struct Windows {
  struct Part {
    int32_t window;
    double share;  // of the unit's work
  };
  int32_t count = 1;
  std::vector<size_t> first = {0};  // [num_units + 1]
  std::vector<Part> parts;          // of unit u: first[u] .. first[u + 1] - 1
};

// Stretches of equal work, by depth: each unit is in one of them.
Windows WindowsByDepth(const SearchSpace& space, int32_t count);

struct AnnealOptions {
  double cut_weight = 1.0;          // of the microseconds that are sent
  double start_temperature = 0.01;  // as a share of the work of one device
  int32_t steps_per_cluster = 60;
  // Devices are to have equal work in each of so many WindowsByDepth. 1: in all
  // of the step, which one device after the other fulfils, too.
  int32_t windows = 1;
  // Other windows than these; null: none. Must outlive the call.
  const Windows* own_windows = nullptr;
  // Of what the policy thinks of it: for each microsecond of work, how much
  // less likely (in nats) its device is than the likeliest. 0, or a space
  // without scores: it is not asked.
  double policy_weight = 0.0;
};

// Simulated annealing of an estimate, without the simulator: the work of each
// device in each window, squared, over a window's work, and cut_weight times
// what crosses between devices, a tensor once for each device that reads it,
// and what the policy would rather not have. Devices that run out of memory
// count as ten times as long for each memory that is missing. A cluster starts
// where `start` has most of its work.
UnitDevices AnnealCut(const SearchSpace& space, const Clusters& clusters,
                      const std::vector<int32_t>& devices,
                      const UnitDevices& start, const AnnealOptions& options,
                      SearchRandom* random);

// AnnealCut of levels from coarse to fine, each from what the one before found
// and at half its temperature: what is to go together is found where it is one
// cluster, where it ends where clusters are small (as partitioners do since
// Karypis and Kumar, search_clusters.h).
UnitDevices MultilevelCut(const SearchSpace& space,
                          const std::vector<Clusters>& levels,
                          const std::vector<int32_t>& devices,
                          const UnitDevices& start, AnnealOptions options,
                          SearchRandom* random);

}  // namespace grappler_go

#endif  // GRAPPLER_GO_PLAN_SEARCH_STARTS_H_
