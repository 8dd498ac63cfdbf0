// A rewritten GraphDef, held against the one it was made from.
//
// Only what differs is read: a rewrite copies most nodes byte for byte, or with
// a few bytes appended, and comparing bytes is many times faster than parsing
// them, and needs no room. What is equal was parsed when the original was.
//
//   StatusOr<RewrittenGraph> now = RewrittenGraph::Read(original, graphdef);
//   for (const RewrittenGraph::Changed& c : now->changed()) Look(c.op,
//   c.bytes); for (int32_t j = original.num_ops(); j < now->num_nodes(); ++j) {
//     Look(now->added(j).bytes);
//   }
//
// Nodes have numbers: those of the original its own, whatever they have become,
// and added ones those after them, in the order of the file.
#ifndef GRAPPLER_GO_REWRITE_REWRITTEN_GRAPH_H_
#define GRAPPLER_GO_REWRITE_REWRITTEN_GRAPH_H_

#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "cc/base/status.h"
#include "cc/graph/op_graph.h"

namespace grappler_go {

// The attributes by which decisions reach TensorFlow, and our own mark.
bool IsDecisionAttr(std::string_view key);

class RewrittenGraph {
 public:
  // An original node that says more now than another device and other decision
  // attributes.
  struct Changed {
    int32_t op;
    std::string_view bytes;
  };
  struct Added {
    std::string_view bytes, name, op, device;
  };

  // Both graphs' bytes must outlive it. Errors: kInvalidArgument for malformed
  // bytes, a node that is gone, names that are there twice, a node without a
  // name or an op, and versions or a library that are not the original's.
  static StatusOr<RewrittenGraph> Read(const OpGraph& original,
                                       std::string_view graphdef);

  // In the order of the file.
  const std::vector<Changed>& changed() const { return changed_; }
  int32_t num_nodes() const {
    return original_->num_ops() + static_cast<int32_t>(added_.size());
  }
  bool is_added(int32_t j) const { return j >= original_->num_ops(); }
  const Added& added(int32_t j) const {
    return added_[j - original_->num_ops()];
  }
  // -1 when there is no node of that name.
  int32_t find(std::string_view name) const;
  std::string_view name(int32_t j) const {
    return is_added(j) ? added(j).name : original_->name(j);
  }
  std::string_view device(int32_t j) const;
  // Has any of the original's nodes another device?
  bool any_moved() const { return !moved_.empty(); }

 private:
  RewrittenGraph(const OpGraph& original, std::string_view graphdef)
      : original_(&original), graphdef_(graphdef) {}

  Status ReadNodes();
  Status ReadOriginal(int32_t op, std::string_view node);
  Status ReadAdded(std::string_view node);
  Status CompareOtherFields() const;
  void Move(int32_t op, std::string_view device);

  const OpGraph* original_;
  std::string_view graphdef_;
  std::vector<Changed> changed_;
  std::vector<Added> added_;
  std::unordered_map<std::string_view, int32_t> added_by_name_;
  std::vector<std::string_view> moved_;  // devices by op; empty: all as before
  // What was appended and read last: ops of one group get the same bytes.
  std::string_view appended_, appended_device_;
};

}  // namespace grappler_go

#endif  // GRAPPLER_GO_REWRITE_REWRITTEN_GRAPH_H_
