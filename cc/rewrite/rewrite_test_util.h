// What the tests of the rewrites share.
#ifndef GRAPPLER_GO_REWRITE_REWRITE_TEST_UTIL_H_
#define GRAPPLER_GO_REWRITE_REWRITE_TEST_UTIL_H_

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cc/graph/attr_value.h"
#include "cc/graph/op_graph.h"
#include "cc/graph/wire.h"
#include "cc/rewrite/node_def.h"
#include "cc/rewrite/rewrite.h"
#include "cc/testing/graph_builder.h"

namespace grappler_go {

constexpr char kCpu0[] = "/job:localhost/replica:0/task:0/device:CPU:0";
constexpr char kCpu1[] = "/job:localhost/replica:0/task:0/device:CPU:1";

// A parsed graph with the bytes that it refers to, and its nodes by name.
class TestGraph {
 public:
  explicit TestGraph(std::string bytes, std::vector<std::string> preserve = {})
      : bytes_(std::make_unique<std::string>(std::move(bytes))) {
    ParseOptions options;
    for (const std::string& name : preserve) options.preserve.push_back(name);
    StatusOr<OpGraph> graph = OpGraph::Parse(*bytes_, options);
    EXPECT_TRUE(graph.ok()) << graph.status().message();
    if (graph.ok()) graph_ = std::make_unique<OpGraph>(std::move(*graph));
  }

  const std::string& bytes() const { return *bytes_; }
  const OpGraph& operator*() const { return *graph_; }
  const OpGraph* operator->() const { return graph_.get(); }

  int32_t op(const std::string& name) const {
    const int32_t i = graph_->find(name);
    EXPECT_GE(i, 0) << name;
    return i < 0 ? 0 : i;
  }
  bool has_node(const std::string& name) const {
    return graph_->find(name) >= 0;
  }
  NodeView node(const std::string& name) const {
    NodeView view;
    EXPECT_TRUE(ReadNode(graph_->node(op(name)), &view));
    return view;
  }
  std::string type(const std::string& name) const {
    return std::string(graph_->op(op(name)));
  }
  // All inputs, separated by spaces.
  std::string inputs(const std::string& name) const {
    std::string all;
    const NodeView view = node(name);
    for (const auto* list : {&view.data_inputs, &view.control_inputs}) {
      for (std::string_view input : *list) {
        all += (all.empty() ? "" : " ") + std::string(input);
      }
    }
    return all;
  }
  std::string scope(const std::string& name) const {
    return std::string(AttrString(node(name).attr("_XlaScope")));
  }

  // A plan for this graph that decides nothing.
  Plan NewPlan() const {
    Plan plan;
    plan.fingerprint = graph_->fingerprint();
    plan.num_ops = graph_->num_ops();
    plan.policy = "test";
    return plan;
  }
  void Group(Plan* plan, int32_t group,
             const std::vector<std::string>& names) const {
    plan->fusion_group.resize(graph_->num_ops(), -1);
    for (const std::string& name : names) plan->fusion_group[op(name)] = group;
  }
  void Place(Plan* plan, const std::string& device,
             const std::vector<std::string>& names) const {
    plan->device.resize(graph_->num_ops(), -1);
    plan->devices.push_back(device);
    for (const std::string& name : names) {
      plan->device[op(name)] = static_cast<int32_t>(plan->devices.size()) - 1;
    }
  }
  void Recompute(Plan* plan, const std::vector<std::string>& names) const {
    plan->recompute.resize(graph_->num_ops(), 0);
    for (const std::string& name : names) plan->recompute[op(name)] = 1;
  }

 private:
  std::unique_ptr<std::string> bytes_;
  std::unique_ptr<OpGraph> graph_;
};

// The graph after one rewrite alone.
inline TestGraph After(Status (*rewrite)(const Plan&, GraphEdits*),
                       const Plan& plan, const TestGraph& graph) {
  GraphEdits edits(*graph);
  const Status status = rewrite(plan, &edits);
  EXPECT_TRUE(status.ok()) << status.message();
  return TestGraph(edits.Write());
}

inline Status StatusOf(Status (*rewrite)(const Plan&, GraphEdits*),
                       const Plan& plan, const TestGraph& graph) {
  GraphEdits edits(*graph);
  return rewrite(plan, &edits);
}

inline GraphBuilder::Attrs FloatType() {
  return {{"T", TypeAttrValue(kFloat)}};
}

}  // namespace grappler_go

#endif  // GRAPPLER_GO_REWRITE_REWRITE_TEST_UTIL_H_
