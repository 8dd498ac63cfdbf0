#include "cc/sim/run_order.h"

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <optional>

#include "cc/sim/op_memory.h"

namespace grappler_go {
namespace {

// Smaller than this share of the largest op's output is not large: a peak that
// matters is made of few tensors.
constexpr int64_t kLargeShare = 64;
constexpr int64_t kMinBytes = 4096;

// A control edge from one of these could be dead, and one into a loop's frame
// would be an error.
constexpr uint32_t kNotTied =
    kInLoop | kControlFlow | kConditional | kSource | kSink | kConstant;

// What runs read, with clones in the place of what they stand for.
class RunInputs {
 public:
  RunInputs(const OpGraph& graph, const RecomputeClones* clones)
      : graph_(graph), clones_(clones) {}

  int32_t op_of(int32_t run) const { return run % graph_.num_ops(); }
  bool is_clone(int32_t run) const { return run >= graph_.num_ops(); }
  // Calls visit(run, port).
  template <typename Visit>
  void ForEach(int32_t run, const Visit& visit) const {
    const int32_t op = op_of(run);
    for (const InputEdge& e : graph_.inputs(op)) {
      if (!e.back_edge)
        visit(e.src + (ReadsClone(run, e) ? graph_.num_ops() : 0), e.port);
    }
    if (is_clone(run) && clones_->held_by(op) >= 0) {
      visit(clones_->held_by(op), kControlPort);
    }
  }

 private:
  bool ReadsClone(int32_t run, const InputEdge& e) const {
    if (clones_ == nullptr || e.port == kControlPort ||
        !clones_->cloned(e.src)) {
      return false;
    }
    return is_clone(run) ||
           clones_->UserReadsClone(e.src, {op_of(run), e.port, e.back_edge});
  }

  const OpGraph& graph_;
  const RecomputeClones* clones_;
};

// By op: does it make a large tensor, or hand one on?
struct Large {
  std::vector<uint8_t> made, handed_on;
};

Large FindLarge(const OpGraph& graph) {
  const int32_t n = graph.num_ops();
  std::vector<int64_t> bytes(n);
  for (int32_t i = 0; i < n; ++i) bytes[i] = AllocatedBytes(graph, i);
  const int64_t largest =
      n == 0 ? 0 : *std::max_element(bytes.begin(), bytes.end());
  const int64_t from = std::max(kMinBytes, largest / kLargeShare);
  Large large;
  large.made.resize(n);
  for (int32_t i = 0; i < n; ++i) large.made[i] = bytes[i] >= from;
  large.handed_on = large.made;
  for (int32_t i = 0; i < n; ++i) {
    if (IsView(graph, i)) {
      large.handed_on[i] = large.handed_on[graph.inputs(i)[0].src];
    }
  }
  return large;
}

// TensorFlow merges some pairs into one op after the pass (MklLayoutRewritePass
// in tensorflow/core/common_runtime/mkl_layout_pass.cc), which takes over the
// edges of both and asks for no cycle. Nothing may therefore be made to run
// between the two. One kind is an op and its only reader.
bool MayBeMergedIntoReader(const OpGraph& graph, int32_t op) {
  const std::string_view type = graph.op(op);
  const auto has_window = [](std::string_view one) {
    return one == "Conv2D" || one == "_FusedConv2D" || one == "Conv3D" ||
           one == "MaxPool3D";
  };
  const bool has = has_window(type);
  if ((!has && type != "Pad" && type != "Transpose") ||
      graph.outputs(op).size() != 1) {
    return false;
  }
  const std::string_view reader = graph.op(graph.outputs(op)[0].dst);
  return has ? reader == "BiasAdd" || reader == "Transpose"
             : has_window(reader);
}

// The other is the gradient of a bias, which joins that of the filter.
bool MayBeMergedWithFilter(const OpGraph& graph, int32_t op) {
  if (graph.op(op) != "BiasAddGrad") return false;
  const InputEdge& gradient = graph.inputs(op)[0];
  for (const OutputEdge& e : graph.outputs(gradient.src)) {
    if (e.port == gradient.port && graph.op(e.dst) == "Conv2DBackpropFilter") {
      return true;
    }
  }
  return false;
}

// The first of a pair runs just before the second.
std::vector<int32_t> PairsTogether(const OpGraph& graph,
                                   const std::vector<int32_t>& runs) {
  const int32_t n = graph.num_ops();
  std::vector<int32_t> moved(2 * static_cast<size_t>(n), -1);  // by the second
  std::vector<uint8_t> there(2 * static_cast<size_t>(n), 0);
  for (const int32_t run : runs) there[run] = 1;
  std::vector<int32_t> together;
  together.reserve(runs.size());
  for (const int32_t run : runs) {
    const int32_t op = run % n;
    if (MayBeMergedIntoReader(graph, op)) {
      const int32_t reader = graph.outputs(op)[0].dst + run - op;
      if (there[reader] && moved[reader] < 0) {
        moved[reader] = run;
        continue;
      }
    }
    // A convolution that takes its padding in may itself be moved.
    const auto insert = static_cast<std::ptrdiff_t>(together.size());
    for (int32_t first = moved[run]; first >= 0; first = moved[first]) {
      together.insert(together.begin() + insert, first);
    }
    together.push_back(run);
  }
  return together;
}

bool Follows(const RunInputs& inputs, const std::vector<int32_t>& runs,
             const std::vector<std::pair<int32_t, int32_t>>& order,
             size_t num_nodes) {
  std::vector<int32_t> tick(num_nodes, -1);
  for (size_t t = 0; t < runs.size(); ++t) {
    tick[runs[t]] = static_cast<int32_t>(t);
  }
  bool follows = true;
  for (const int32_t run : runs) {
    inputs.ForEach(run, [&](int32_t src, int32_t) {
      follows = follows && tick[src] < tick[run];
    });
  }
  for (const auto& [before, after] : order) {
    follows = follows && tick[before] < tick[after];
  }
  return follows;
}

}  // namespace

std::vector<int32_t> ExecutionOrder(
    const OpGraph& graph,
    const std::vector<std::pair<int32_t, int32_t>>& order) {
  const int32_t n = graph.num_ops();
  std::vector<int32_t> sorted(n);
  std::iota(sorted.begin(), sorted.end(), 0);
  if (order.empty()) return sorted;

  std::vector<int32_t> waiting(n, 0), depth(n, 0);
  std::vector<std::vector<int32_t>> held_back(n);
  for (const auto& [before, after] : order) {
    held_back[before].push_back(after);
    ++waiting[after];
  }
  for (int32_t i = 0; i < n; ++i) {
    for (const InputEdge& e : graph.inputs(i)) waiting[i] += !e.back_edge;
  }
  std::vector<int32_t> ready;
  for (int32_t i = 0; i < n; ++i) {
    if (waiting[i] == 0) ready.push_back(i);
  }
  for (size_t at = 0; at < ready.size(); ++at) {
    const int32_t i = ready[at];
    auto finish = [&](int32_t next) {
      depth[next] = std::max(depth[next], depth[i] + 1);
      if (--waiting[next] == 0) ready.push_back(next);
    };
    for (const OutputEdge& e : graph.outputs(i)) {
      if (!e.back_edge) finish(e.dst);
    }
    for (int32_t next : held_back[i]) finish(next);
  }
  std::stable_sort(sorted.begin(), sorted.end(),
                   [&](int32_t i, int32_t j) { return depth[i] < depth[j]; });
  return sorted;
}

std::vector<int32_t> RunOrder(const OpGraph& graph,
                              const std::vector<int32_t>& execution_order,
                              const RecomputeClones* clones) {
  if (clones == nullptr) return execution_order;
  const int32_t n = graph.num_ops();
  std::vector<std::vector<int32_t>> before(n);  // by op, runs in order
  std::vector<uint8_t> is_late(n, 0);
  for (int32_t i = 0; i < n; ++i) {
    if (clones->cloned(i)) {
      before[clones->place(clones->first_use(i))].push_back(n + i);
    }
    const int32_t place = clones->place(i);
    if (place == i) continue;
    for (const InputEdge& e : graph.inputs(i)) {
      is_late[i] |= is_late[e.src] ||
                    (clones->cloned(e.src) &&
                     clones->UserReadsClone(e.src, {i, e.port, e.back_edge}));
    }
    if (is_late[i]) before[place].push_back(i);
  }
  std::vector<int32_t> runs;
  runs.reserve(n);
  for (const int32_t i : execution_order) {
    runs.insert(runs.end(), before[i].begin(), before[i].end());
    if (!is_late[i]) runs.push_back(i);
  }
  return runs;
}

std::vector<std::pair<int32_t, int32_t>> TurnEdges(
    const OpGraph& graph, const std::vector<uint8_t>& recompute,
    const std::vector<std::pair<int32_t, int32_t>>& order) {
  const std::vector<int32_t> no_groups;
  std::optional<RecomputeClones> clones;
  if (std::find(recompute.begin(), recompute.end(), 1) != recompute.end()) {
    clones.emplace(graph, recompute, no_groups);
  }
  const RunInputs inputs(graph, clones ? &*clones : nullptr);
  const std::vector<int32_t> runs =
      PairsTogether(graph, RunOrder(graph, ExecutionOrder(graph, order),
                                    clones ? &*clones : nullptr));
  std::vector<std::pair<int32_t, int32_t>> edges;
  if (!Follows(inputs, runs, order, 2 * static_cast<size_t>(graph.num_ops()))) {
    return edges;
  }
  const Large large = FindLarge(graph);
  std::vector<int32_t> read;    // by the run at hand
  std::vector<int32_t> before;  // what the next large one waits for
  for (const int32_t run : runs) {
    const int32_t op = inputs.op_of(run);
    if (graph.has(op, kNotTied)) continue;
    bool reads_large = false;
    read.clear();
    inputs.ForEach(run, [&](int32_t src, int32_t port) {
      read.push_back(src);
      reads_large |= port != kControlPort && large.handed_on[inputs.op_of(src)];
    });
    if (large.made[op]) {
      for (const int32_t one : before) {
        if (std::find(read.begin(), read.end(), one) == read.end()) {
          edges.emplace_back(one, run);
        }
      }
      before.clear();
    }
    if (large.made[op] || (reads_large && !IsView(graph, op) &&
                           !MayBeMergedWithFilter(graph, op))) {
      before.push_back(run);
    }
  }
  return edges;
}

}  // namespace grappler_go
