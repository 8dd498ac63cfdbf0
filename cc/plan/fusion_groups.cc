#include "cc/plan/fusion_groups.h"

#include <algorithm>
#include <limits>
#include <map>
#include <numeric>
#include <utility>

#include "cc/graph/contracted_graph.h"
#include "cc/graph/fingerprint.h"
#include "cc/graph/frames.h"
#include "cc/plan/contraction.h"
#include "cc/plan/group_kernels.h"

namespace grappler_go {
namespace {

constexpr int32_t kNever = std::numeric_limits<int32_t>::max();
// Of all ops' time: less than that is no reason to compile a group, which takes
// seconds where the group is large.
constexpr double kLeastShare = 0.005;

// Between two ops of a group, the second may not read variables when a path
// leads to it from the first and that writes. The epoch of an op counts such
// pairs along its paths: a write leads to a read only of a later epoch.
Scratch<int32_t> Epochs(const OpGraph& graph) {
  Scratch<int32_t> epoch(graph.num_ops(), 0);
  std::vector<bool> wrote(graph.num_ops(), false);  // in this epoch, before it
  for (int32_t i = 0; i < graph.num_ops(); ++i) {
    for (const InputEdge& e : graph.inputs(i)) {
      if (e.back_edge) continue;
      if (epoch[e.src] > epoch[i]) {
        epoch[i] = epoch[e.src];
        wrote[i] = false;
      }
      if (epoch[e.src] == epoch[i]) {
        wrote[i] =
            wrote[i] || wrote[e.src] || graph.has(e.src, kWritesVariable);
      }
    }
    if (wrote[i] && graph.has(i, kReadsVariable)) {
      ++epoch[i];
      wrote[i] = false;
    }
  }
  return epoch;
}

}  // namespace

void Renumber(const std::vector<bool>& kept, FusionGroups* groups) {
  Scratch<int32_t> number(groups->count, -1);
  groups->count = 0;
  for (int32_t& g : groups->of_op) {
    if (g < 0) continue;
    if (!kept[g]) {
      g = -1;
      continue;
    }
    if (number[g] < 0) number[g] = groups->count++;
    g = number[g];
  }
}

namespace {

// What crosses a group's boundary, a tensor once for each group that reads it
// and once if it leaves the group that makes it.
struct Boundary {
  double bytes_in = 0, bytes_out = 0;
  int32_t tensors = 0;
};

std::vector<Boundary> Boundaries(const OpGraph& graph,
                                 const FusionGroups& groups) {
  std::vector<Boundary> boundary(groups.count);
  std::vector<int32_t> read_by(groups.count, -1);  // last producer counted
  for (int32_t i = 0; i < graph.num_ops(); ++i) {
    const int32_t from = groups.of_op[i];
    const bool one_tensor = graph.num_outputs(i) == 1;
    bool left = false;
    for (const OutputEdge& e : graph.outputs(i)) {
      const int32_t to = groups.of_op[e.dst];
      if (e.port == kControlPort || from == to) continue;
      const auto size =
          static_cast<double>(std::max<int64_t>(graph.bytes(i, e.port), 0));
      if (from >= 0 && !(left && one_tensor)) {
        boundary[from].bytes_out += size;
        ++boundary[from].tensors;
      }
      left = true;
      // Constants are cloned into the groups that read them.
      if (to < 0 || (one_tensor && read_by[to] == i)) continue;
      if (graph.has(i, kConstant)) continue;
      read_by[to] = i;
      boundary[to].bytes_in += size;
      ++boundary[to].tensors;
    }
  }
  return boundary;
}

// Views, constants and the like do not count for the size of a group.
bool DoesWork(const OpGraph& graph, int32_t op) {
  const OpClass op_class = graph.def(op).op_class;
  return op_class != OpClass::kShape && op_class != OpClass::kConstOp &&
         op_class != OpClass::kControl;
}

using GroupPair = std::pair<int32_t, int32_t>;

// Pairs of groups, in the order in which they came (open addressing).
class PairSet {
 public:
  explicit PairSet(size_t max_pairs) {
    while (slots_.size() < 2 * max_pairs + 2) slots_.resize(2 * slots_.size());
    std::fill(slots_.begin(), slots_.end(), -1);
  }
  bool has(GroupPair pair) const { return slots_[SlotOf(pair)] >= 0; }
  void Insert(GroupPair pair) {
    int32_t& slot = slots_[SlotOf(pair)];
    if (slot >= 0) return;
    slot = static_cast<int32_t>(pairs_.size());
    pairs_.push_back(pair);
  }
  const Scratch<GroupPair>& pairs() const { return pairs_; }

 private:
  // Where the pair is, or else belongs.
  size_t SlotOf(GroupPair pair) const {
    const uint64_t mixed = HashMix(static_cast<uint64_t>(pair.first),
                                   static_cast<uint64_t>(pair.second));
    size_t at = mixed & (slots_.size() - 1);
    while (slots_[at] >= 0 && pairs_[slots_[at]] != pair) {
      at = (at + 1) & (slots_.size() - 1);
    }
    return at;
  }

  Scratch<int32_t> slots_ = Scratch<int32_t>(16, -1);
  Scratch<GroupPair> pairs_;
};

// Pairs of groups joined by a data edge, in the order in which their ops, by
// priority, come to them: a forward op asks its producers first, a backward op
// its consumers.
Scratch<GroupPair> NeighboursByPriority(const OpGraph& graph,
                                        const FusionCandidates& candidates,
                                        const std::vector<float>& priority,
                                        const FusionGroups& groups) {
  const std::vector<int32_t>& group = groups.of_op;
  int64_t num_crossing = 0;
  std::vector<bool> is_rim(graph.num_ops(), false);
  auto crosses = [&](int32_t src, int32_t dst) {
    return group[src] >= 0 && group[dst] >= 0 && group[src] != group[dst] &&
           candidates.device[src] == candidates.device[dst];
  };
  for (int32_t i = 0; i < graph.num_ops(); ++i) {
    if (group[i] < 0) continue;
    for (const InputEdge& e : graph.inputs(i)) {
      if (e.port == kControlPort) break;
      if (e.back_edge || !crosses(e.src, i)) continue;
      is_rim[i] = is_rim[e.src] = true;
      ++num_crossing;
    }
  }
  std::vector<int32_t> rim;
  for (int32_t i = 0; i < graph.num_ops(); ++i) {
    if (is_rim[i]) rim.push_back(i);
  }
  std::stable_sort(rim.begin(), rim.end(), [&](int32_t i, int32_t j) {
    return priority[i] > priority[j];
  });

  PairSet pairs(static_cast<size_t>(num_crossing));
  auto ask_producers = [&](int32_t i) {
    for (const InputEdge& e : graph.inputs(i)) {
      if (e.port == kControlPort) break;
      if (crosses(e.src, i)) pairs.Insert({group[e.src], group[i]});
    }
  };
  auto ask_consumers = [&](int32_t i) {
    for (const OutputEdge& e : graph.outputs(i)) {
      if (e.port != kControlPort && crosses(i, e.dst)) {
        pairs.Insert({group[i], group[e.dst]});
      }
    }
  };
  for (int32_t i : rim) {
    if (graph.has(i, kBackward)) {
      ask_consumers(i);
      ask_producers(i);
    } else {
      ask_producers(i);
      ask_consumers(i);
    }
  }
  return pairs.pairs();
}

// level(v): for a candidate, at least the level of each producer, and one more
// than that of a producer that is no candidate or on another device, or of a
// write that leads to a read; for others, the highest of their producers.
// A group is a connected set of candidates of one level.
//
// Why contraction is acyclic: levels never fall along an edge, so all nodes of
// a cycle would have one level. An edge from a non-candidate to a candidate
// raises it, hence a cycle through a group has candidates only; edges between
// candidates of one level are on one device and have both ends in one group.
// So the cycle is within one group: contracted, it is none.
//
// `at_least`: by op, the least that its level may be. Returns the levels.
Scratch<int32_t> GroupFrom(const Scratch<int32_t>& at_least,
                           const OpGraph& graph,
                           const FusionCandidates& candidates,
                           FusionGroups* result) {
  const int32_t n = graph.num_ops();
  Scratch<int32_t> level(n, -1);
  std::vector<bool> wrote(n, false);  // at this level, before the op
  FusionGroups& groups = *result;
  groups.count = 0;
  std::vector<int32_t>& parent = groups.of_op;
  parent.assign(n, -1);
  auto root = [&](int32_t i) {
    while (parent[i] != i) i = parent[i] = parent[parent[i]];
    return i;
  };
  for (int32_t i = 0; i < n; ++i) {
    const bool is = candidates.is(i);
    auto joins = [&](int32_t src) {
      return candidates.is(src) &&
             candidates.device[src] == candidates.device[i];
    };
    level[i] = std::max(is ? 0 : -1, at_least[i]);
    for (const InputEdge& e : graph.inputs(i)) {
      if (e.back_edge) continue;
      level[i] = std::max(level[i], level[e.src] + (is && !joins(e.src)));
    }
    if (!is) continue;
    for (const InputEdge& e : graph.inputs(i)) {
      if (e.back_edge || level[e.src] != level[i]) continue;
      wrote[i] = wrote[i] || wrote[e.src] || graph.has(e.src, kWritesVariable);
    }
    parent[i] = i;
    if (wrote[i] && graph.has(i, kReadsVariable)) {
      ++level[i];
      wrote[i] = false;
      continue;
    }
    for (const InputEdge& e : graph.inputs(i)) {
      if (e.back_edge || level[e.src] != level[i]) continue;
      const int32_t a = root(e.src), b = root(i);
      parent[std::max(a, b)] = std::min(a, b);
    }
  }
  // Roots are the first ops of their groups: numbers can replace them in order.
  for (int32_t i = 0; i < n; ++i) {
    if (parent[i] >= 0) parent[i] = root(i);
  }
  Scratch<int32_t> number(n, -1);
  for (int32_t i = 0; i < n; ++i) {
    if (parent[i] < 0) continue;
    if (parent[i] == i) number[i] = groups.count++;
    parent[i] = number[parent[i]];
  }
  return level;
}

}  // namespace

// A loop waits for all that enters it: its LoopCond has the highest level of
// its Enters, which may come after it in the order of ops. A pass takes each
// level through one more loop.
FusionGroups GroupByLevel(const OpGraph& graph,
                          const FusionCandidates& candidates) {
  FusionGroups groups;
  Scratch<int32_t> at_least(graph.num_ops(), -1);
  const auto loop_entries = LoopEntries(graph);
  for (size_t pass = 0; pass <= loop_entries.size(); ++pass) {
    const Scratch<int32_t> level =
        GroupFrom(at_least, graph, candidates, &groups);
    bool rose = false;
    for (const auto& [enter, condition] : loop_entries) {
      if (level[enter] <= level[condition]) continue;
      at_least[condition] = std::max(at_least[condition], level[enter]);
      rose = true;
    }
    if (!rose) return groups;
  }
  // A loop that waits for itself; such a graph is left alone.
  groups.of_op.assign(graph.num_ops(), -1);
  groups.count = 0;
  return groups;
}

void MergeByPriority(const OpGraph& graph, const FusionCandidates& candidates,
                     const std::vector<float>& priority, FusionGroups* groups) {
  const int32_t n = graph.num_ops();
  std::vector<int32_t>& group = groups->of_op;
  const Scratch<int32_t> epoch = Epochs(graph);
  std::vector<int32_t> first_write(groups->count, kNever);
  std::vector<int32_t> last_read(groups->count, -1);
  for (int32_t i = 0; i < n; ++i) {
    const int32_t g = group[i];
    if (g < 0) continue;
    if (graph.has(i, kWritesVariable)) {
      first_write[g] = std::min(first_write[g], epoch[i]);
    }
    if (graph.has(i, kReadsVariable)) {
      last_read[g] = std::max(last_read[g], epoch[i]);
    }
  }

  GroupMerger merger(graph, group, groups->count);
  auto may_merge = [&](int32_t from, int32_t to) {
    // No path leads from `to` back to `from`, so only these pairs are new.
    return first_write[from] >= last_read[to] && merger.TryMerge(from, to);
  };
  // A merge can take away what stood between two others: a -> b -> c with
  // a -> c lets a and c be one only when b is.
  constexpr int kMaxPasses = 4;
  Scratch<GroupPair> pairs =
      NeighboursByPriority(graph, candidates, priority, *groups);
  for (int pass = 0; pass < kMaxPasses; ++pass) {
    PairSet refused(pairs.size());
    for (const auto& [src, dst] : pairs) {
      const int32_t from = merger.Find(src), to = merger.Find(dst);
      if (from == to || refused.has({from, to})) continue;
      if (!may_merge(from, to)) {
        refused.Insert({from, to});
        continue;
      }
      const int32_t merged = merger.Find(from);
      first_write[merged] = std::min(first_write[from], first_write[to]);
      last_read[merged] = std::max(last_read[from], last_read[to]);
    }
    if (refused.pairs().size() == pairs.size()) break;
    pairs = refused.pairs();
  }
  for (int32_t& g : group) {
    if (g >= 0) g = merger.Find(g);
  }
  Renumber(std::vector<bool>(groups->count, true), groups);
}

std::vector<float> GroupOverheads(const OpGraph& graph, const OpMicros& micros,
                                  const PlanOptions& options,
                                  const FusionGroups& groups) {
  std::vector<float> overhead;
  for (const Boundary& b : Boundaries(graph, groups)) {
    overhead.push_back(static_cast<float>(
        options.group_launch_micros + b.tensors * options.group_tensor_micros +
        b.bytes_out * 1e-6 * options.group_output_micros_per_mb +
        (b.bytes_in + b.bytes_out) * micros.per_boundary_byte));
  }
  if (micros.machine == nullptr) return overhead;
  for (int32_t i = 0; i < graph.num_ops(); ++i) {
    const int32_t g = groups.of_op[i];
    const bool on_cpu = micros.machine->devices[micros.device[i]].type == "CPU";
    if (g >= 0 && !on_cpu) overhead[g] = 0;
  }
  AddKernelMicros(graph, *micros.machine, micros.device, micros.compiled.data(),
                  groups.of_op, &overhead);
  return overhead;
}

// Removing an op that nothing in its group feeds, or that feeds nothing in it,
// leaves no path from the group through the op back into the group: what was
// acyclic when contracted stays so.
void TrimRims(const OpGraph& graph, const OpMicros& micros,
              FusionGroups* groups, std::vector<Reason>* reason) {
  const int32_t n = graph.num_ops();
  std::vector<int32_t>& group = groups->of_op;
  Scratch<int32_t> preds(n, 0), succs(n, 0);  // edges within the group
  for (int32_t i = 0; i < n; ++i) {
    for (const InputEdge& e : graph.inputs(i)) {
      if (group[i] < 0 || group[i] != group[e.src]) continue;
      ++preds[i];
      ++succs[e.src];
    }
  }
  std::vector<int32_t> loses;
  auto look_at = [&](int32_t i) {
    if (group[i] >= 0 && micros.compiled[i] > micros.alone[i] &&
        (preds[i] == 0 || succs[i] == 0)) {
      loses.push_back(i);
    }
  };
  for (int32_t i = 0; i < n; ++i) look_at(i);
  while (!loses.empty()) {
    const int32_t i = loses.back();
    loses.pop_back();
    const int32_t g = std::exchange(group[i], -1);
    if (g < 0) continue;
    (*reason)[i] = Reason::kSlowerCompiled;
    for (const InputEdge& e : graph.inputs(i)) {
      if (group[e.src] == g && --succs[e.src] == 0) look_at(e.src);
    }
    for (const OutputEdge& e : graph.outputs(i)) {
      if (group[e.dst] == g && --preds[e.dst] == 0) look_at(e.dst);
    }
  }
}

std::vector<double> GroupGains(const OpGraph& graph, const OpMicros& micros,
                               const PlanOptions& options,
                               const FusionGroups& groups) {
  std::vector<double> gain;
  for (float overhead : GroupOverheads(graph, micros, options, groups)) {
    gain.push_back(-overhead);
  }
  for (int32_t i = 0; i < graph.num_ops(); ++i) {
    const int32_t g = groups.of_op[i];
    if (g >= 0) gain[g] += micros.alone[i] - micros.compiled[i];
  }
  return gain;
}

// Groups at one depth of the contracted graph: an edge leads to a greater
// depth, so no path joins two of them, and depths stay what they are when these
// become one. Hence all depths can be looked at together.
void MergeSiblings(const OpGraph& graph, const FusionCandidates& candidates,
                   const OpMicros& micros, const PlanOptions& options,
                   FusionGroups* groups) {
  if (groups->count < 2) return;
  PlanOptions started = options;
  started.group_launch_micros = 0;
  const std::vector<double> gain = GroupGains(graph, micros, started, *groups);
  const ContractedGraph contracted =
      Contract(graph, groups->of_op, groups->count);
  const std::vector<double> depth = LongestPathsBefore(
      contracted, std::vector<double>(contracted.num_nodes(), 1.0));

  std::vector<int32_t> device(groups->count, 0);
  for (int32_t i = 0; i < graph.num_ops(); ++i) {
    if (groups->of_op[i] >= 0) device[groups->of_op[i]] = candidates.device[i];
  }
  std::map<std::pair<double, int32_t>, int32_t> eldest;
  std::vector<int32_t> merged_into(groups->count);
  for (int32_t g = 0; g < groups->count; ++g) {
    merged_into[g] =
        gain[g] <= 0
            ? g
            : eldest.try_emplace({depth[g], device[g]}, g).first->second;
  }
  for (int32_t& g : groups->of_op) {
    if (g >= 0) g = merged_into[g];
  }
  Renumber(std::vector<bool>(groups->count, true), groups);
}

double EffectiveGroups(const OpGraph& graph, const OpMicros& micros,
                       const PlanOptions& options, const FusionGroups& groups,
                       const FusionGroups& kept) {
  std::vector<bool> is_kept(groups.count, false);
  for (size_t i = 0; i < groups.of_op.size(); ++i) {
    if (kept.of_op[i] >= 0 && groups.of_op[i] >= 0) {
      is_kept[groups.of_op[i]] = true;
    }
  }
  // Parts share what starting the whole costs.
  PlanOptions started = options;
  started.group_launch_micros = 0;
  const std::vector<double> gains = GroupGains(graph, micros, started, groups);
  double sum = 0, squares = 0;
  for (int32_t g = 0; g < groups.count; ++g) {
    if (!is_kept[g] || gains[g] <= 0) continue;
    sum += gains[g];
    squares += gains[g] * gains[g];
  }
  return squares > 0 ? sum * sum / squares : 1.0;
}

double KeepWhatPays(const OpGraph& graph, const OpMicros& micros,
                    const PlanOptions& options, FusionGroups* groups,
                    std::vector<Reason>* reason) {
  const std::vector<double> gain = GroupGains(graph, micros, options, *groups);
  std::vector<int32_t> size(groups->count, 0);
  for (int32_t i = 0; i < graph.num_ops(); ++i) {
    const int32_t g = groups->of_op[i];
    if (g >= 0) size[g] += DoesWork(graph, i) ? 1 : 0;
  }
  std::vector<bool> kept(groups->count);
  // Two kernels less one are worth having where only the simulator judges.
  const int32_t min_ops = micros.machine != nullptr
                              ? std::min(2, options.min_group_ops)
                              : options.min_group_ops;
  // A program would not notice, but has to compile it. Simulated alone, every
  // microsecond counts.
  const double least =
      micros.machine != nullptr
          ? 0.0
          : kLeastShare *
                std::accumulate(micros.alone.begin(), micros.alone.end(), 0.0);
  double total = 0;
  for (int32_t g = 0; g < groups->count; ++g) {
    kept[g] = size[g] >= min_ops && gain[g] > least;
    if (kept[g]) total += gain[g];
  }
  for (int32_t i = 0; i < graph.num_ops(); ++i) {
    const int32_t g = groups->of_op[i];
    if (g < 0 || kept[g]) continue;
    (*reason)[i] =
        size[g] < min_ops ? Reason::kGroupTooSmall : Reason::kGroupDoesNotPay;
  }
  Renumber(kept, groups);
  return total;
}

}  // namespace grappler_go
