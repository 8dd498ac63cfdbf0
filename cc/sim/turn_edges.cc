#include "cc/sim/turn_edges.h"

#include <algorithm>
#include <cstddef>
#include <optional>

#include "cc/graph/recompute_clones.h"
#include "cc/sim/liveness.h"
#include "cc/sim/op_memory.h"
#include "cc/sim/run_order.h"

namespace grappler_go {
namespace {

using Order = std::vector<std::pair<int32_t, int32_t>>;

// Rather than for more others than this, a run waits for one that has waited
// for them.
constexpr size_t kMaxEdges = 32;

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
             const Order& order, size_t num_nodes) {
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

class Turns {
 public:
  Turns(const OpGraph& graph, const RunInputs& inputs,
        const std::vector<int32_t>& runs, const std::vector<uint8_t>& recompute,
        const Order& order, int64_t bytes)
      : graph_(graph),
        inputs_(inputs),
        runs_(runs),
        large_(FindLarge(graph)),
        bytes_(bytes) {
    SimulateLiveness(graph, ExecutionOrder(graph, order), recompute,
                     &lifetimes_);
    made_.assign(runs.size() + 1, 0);
    for (size_t k = 0; k < runs.size(); ++k) {
      made_[k + 1] = made_[k] + AllocatedBytes(graph, inputs.op_of(runs[k]));
    }
  }

  Order Edges() {
    Order edges;
    std::vector<int32_t> read;  // by the run at hand
    size_t over = 0;  // members that have to be over: never fewer than before
    for (size_t at = 0; at < runs_.size(); ++at) {
      const int32_t run = runs_[at], op = inputs_.op_of(run);
      if (graph_.has(op, kNotTied)) continue;
      bool reads_large = false;
      read.clear();
      inputs_.ForEach(run, [&](int32_t src, int32_t port) {
        read.push_back(src);
        reads_large |=
            port != kControlPort && large_.handed_on[inputs_.op_of(src)];
      });
      if (large_.made[op]) {
        while (over < members_.size() && MayPass(over, at)) ++over;
        const size_t waited_for = WaitedFor(over);
        for (size_t k = OverAlready(waited_for); k < waited_for; ++k) {
          const int32_t one = runs_[members_[k].at];
          if (std::find(read.begin(), read.end(), one) == read.end()) {
            edges.emplace_back(one, run);
          }
        }
        members_.push_back({at, waited_for, true});
      } else if (reads_large && !IsView(graph_, op) &&
                 !MayBeMergedWithFilter(graph_, op)) {
        members_.push_back({at, 0, false});
      }
    }
    return edges;
  }

 private:
  // A run that makes or reads a large tensor.
  struct Member {
    size_t at;    // its place in the order
    size_t over;  // of a maker: how many members are over before it runs
    bool makes;
  };

  // With `over` members over, can there be too much while `at` runs?
  bool MayPass(size_t over, size_t at) const {
    const size_t first = over == 0 ? 0 : members_[over - 1].at + 1;
    return Before(first) + made_[at + 1] - made_[first] > bytes_;
  }

  // Bytes alive just before the run at a place of the order.
  int64_t Before(size_t at) const {
    const int32_t run = runs_[at], op = inputs_.op_of(run);
    return lifetimes_.before[inputs_.is_clone(run) ? lifetimes_.runs_again[op]
                                                   : lifetimes_.runs[op]];
  }

  // At least so many that the first `over` are over; all, if each other number
  // takes too many edges.
  size_t WaitedFor(size_t over) const {
    while (over < members_.size() && over - OverAlready(over) > kMaxEdges) {
      ++over;
    }
    return over;
  }

  // Who waits for the last maker among the first `over` members has waited for
  // as many as that one did.
  size_t OverAlready(size_t over) const {
    for (size_t k = over; k-- > 0;) {
      if (members_[k].makes) return members_[k].over;
    }
    return 0;
  }

  const OpGraph& graph_;
  const RunInputs& inputs_;
  const std::vector<int32_t>& runs_;
  const Large large_;
  const int64_t bytes_;
  Lifetimes lifetimes_;
  std::vector<int64_t> made_;  // by the places before a place
  std::vector<Member> members_;
};

}  // namespace

std::vector<std::pair<int32_t, int32_t>> TurnEdges(
    const OpGraph& graph, const std::vector<uint8_t>& recompute,
    const Order& order, int64_t bytes) {
  const std::vector<int32_t> no_groups;
  std::optional<RecomputeClones> clones;
  if (std::find(recompute.begin(), recompute.end(), 1) != recompute.end()) {
    clones.emplace(graph, recompute, no_groups);
  }
  const RunInputs inputs(graph, clones ? &*clones : nullptr);
  const std::vector<int32_t> runs =
      PairsTogether(graph, RunOrder(graph, ExecutionOrder(graph, order),
                                    clones ? &*clones : nullptr));
  if (!Follows(inputs, runs, order, 2 * static_cast<size_t>(graph.num_ops()))) {
    return {};
  }
  return Turns(graph, inputs, runs, recompute, order, bytes).Edges();
}

}  // namespace grappler_go
