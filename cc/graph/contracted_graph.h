// A graph with each of some groups of ops contracted to one node.
#ifndef GRAPPLER_GO_GRAPH_CONTRACTED_GRAPH_H_
#define GRAPPLER_GO_GRAPH_CONTRACTED_GRAPH_H_

#include <cstdint>
#include <vector>

#include "cc/graph/op_graph.h"

namespace grappler_go {

// Nodes are the groups by their number, then the other ops. Edges within a
// node and loop back-edges are left out; parallel edges are kept. A loop waits
// for all that enters it (LoopEntries() in frames.h).
struct ContractedGraph {
  std::vector<int32_t> node;    // [num_ops]
  std::vector<int32_t> first;   // [num_nodes + 1], into `target`
  std::vector<int32_t> target;  // where the edges of each node lead

  int32_t num_nodes() const { return static_cast<int32_t>(first.size()) - 1; }
};

// `group`: by op, -1 or below num_groups; empty: none.
ContractedGraph Contract(const OpGraph& graph,
                         const std::vector<int32_t>& group, int32_t num_groups);

// For each node the longest path that ends where it starts: the largest sum of
// `length` over the nodes before it. The contracted graph must be acyclic
// (nodes on a cycle, and those behind one, get what is known before it).
std::vector<double> LongestPathsBefore(const ContractedGraph& contracted,
                                       const std::vector<double>& length);

}  // namespace grappler_go

#endif  // GRAPPLER_GO_GRAPH_CONTRACTED_GRAPH_H_
