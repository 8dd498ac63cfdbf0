// Units joined to clusters that move together: a search of hundreds of plans
// can do nothing with tens of thousands of separate choices.
#ifndef GRAPPLER_GO_PLAN_SEARCH_CLUSTERS_H_
#define GRAPPLER_GO_PLAN_SEARCH_CLUSTERS_H_

#include <cstdint>
#include <vector>

#include "cc/plan/search_space.h"

namespace grappler_go {

// One level: clusters of units, and what crosses between them.
struct Clusters {
  int32_t count = 0;
  std::vector<int32_t> of_unit;  // [num_units]
  IntRows units;                 // by cluster
  // [count, num_devices] microseconds of its ops. Units of a cluster have the
  // same choices: those of its first one.
  std::vector<float> micros;
  std::vector<double> bytes;  // [count] in memory, estimated
  std::vector<float> depth;   // [count] SearchSpace::depth, by work

  // Tensors that several clusters touch: who makes it, who else reads it, what
  // sending it once takes on the mean link. Equal ones are one.
  std::vector<int32_t> tensor_cluster;
  std::vector<float> tensor_micros;
  IntRows tensor_readers;
  IntRows made, read;  // by cluster: tensors that it makes, or reads
};

// Every unit by itself.
Clusters UnitClusters(const SearchSpace& space, double activation_scale);

// A level's clusters where sending tensors takes other times than on the mean
// link. `units`: UnitClusters; micros: of its tensors.
Clusters WithTensorMicros(const SearchSpace& space, const Clusters& units,
                          const Clusters& level, std::vector<float> micros);

// Joins clusters that hand much to each other for their work, in passes, until
// there are no more than `target` or no two may be joined: heavy-edge
// clustering as in multilevel partitioners (Karypis and Kumar, "A fast and high
// quality multilevel scheme for partitioning irregular graphs", 1998), by the
// rating of hypergraph ones (a tensor counts by its readers). None becomes
// larger than a fair share, 1.5 / target of all work.
Clusters Coarsen(const SearchSpace& space, const Clusters& fine, int32_t target,
                 SearchRandom* random);

// Levels of clusters from coarse to fine: 16, 64, 256 and 1024 of them, as far
// as there are more units, and behind them the units.
std::vector<Clusters> ClusterLevels(const SearchSpace& space,
                                    double activation_scale,
                                    SearchRandom* random);

}  // namespace grappler_go

#endif  // GRAPPLER_GO_PLAN_SEARCH_CLUSTERS_H_
