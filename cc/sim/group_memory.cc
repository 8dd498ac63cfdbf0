#include "cc/sim/group_memory.h"

#include <algorithm>
#include <numeric>

#include "cc/sim/op_memory.h"

namespace grappler_go {
namespace {

// XLA tries every allocation; this many are enough to find room where there is
// some, and keep groups of ten thousand ops quick.
constexpr int32_t kMostTried = 32;

bool IsElementwiseClass(OpClass op_class) {
  return op_class == OpClass::kElementwise ||
         op_class == OpClass::kTranscendental;
}

// Can XLA's loop fusion take the op in as a producer or compute it in a loop of
// its own (CanBeLoopFused in xla/service/cpu/cpu_instruction_fusion.cc)?
bool IsLoop(OpClass op_class) {
  return IsElementwiseClass(op_class) || op_class == OpClass::kShape ||
         op_class == OpClass::kMove || op_class == OpClass::kReduction ||
         op_class == OpClass::kVariable || op_class == OpClass::kOptimizer;
}

// What costs a few instructions is computed in each of several readers
// (InstructionFusion::IsExpensive in xla/service/instruction_fusion.cc).
bool IsCheap(const OpGraph& graph, int32_t op) {
  const OpClass op_class = graph.def(op).op_class;
  return op_class == OpClass::kShape || op_class == OpClass::kMove ||
         (op_class == OpClass::kElementwise && graph.op(op) != "RealDiv");
}

}  // namespace

bool IsFusedIntoReaders(const OpGraph& graph, int32_t op) {
  const OpClass op_class = graph.def(op).op_class;
  if (!IsElementwiseClass(op_class) && op_class != OpClass::kMove &&
      op_class != OpClass::kShape) {
    return false;
  }
  int32_t readers = 0;
  for (const OutputEdge& e : graph.outputs(op)) {
    if (e.port == kControlPort) continue;
    ++readers;
    if (!IsLoop(graph.def(e.dst).op_class)) return false;
  }
  return readers <= 1 || IsCheap(graph, op);
}

GroupMemory::GroupMemory(const StepFacts& facts, const StepGraph& step)
    : facts_(facts), step_(step) {
  if (step.num_groups > 0) place_of_slot_.assign(step.num_slots(), -1);
}

GroupMemory::Bytes GroupMemory::Of(int32_t task) {
  task_ = task;
  begin_ = step_.first_node[task];
  count_ = step_.first_node[task + 1] - begin_;
  CollectNodes();
  FindUpdates();
  Order();
  FindLastUses();
  CollectBuffers();
  std::stable_sort(
      temporaries_.begin(), temporaries_.end(),
      [](const Temporary& a, const Temporary& b) { return a.bytes > b.bytes; });
  std::stable_sort(
      live_outs_.begin(), live_outs_.end(),
      [](const LiveOut& a, const LiveOut& b) { return a.bytes < b.bytes; });
  std::vector<Temporary> rest;
  for (const Temporary& temporary : temporaries_) {
    if (!PutIntoLiveOut(temporary)) rest.push_back(temporary);
  }
  return {update_bytes_, SharedBlock(&rest)};
}

bool GroupMemory::IsElementwise(int32_t k) const {
  return IsElementwiseClass(facts_.graph->def(op(k)).op_class);
}

bool GroupMemory::LivesOut(int32_t slot) const {
  for (int32_t r = step_.first_reader[slot]; r < step_.first_reader[slot + 1];
       ++r) {
    if (step_.readers[r].task != task_) return true;
  }
  return false;
}

// Which nodes are stored, and what reads what.
void GroupMemory::CollectNodes() {
  const OpGraph& graph = *facts_.graph;
  kind_.assign(count_, Kind::kPassed);
  first_producer_.assign(1, 0);
  producers_.clear();
  // All places first: an order edge may point backwards within the group.
  for (int32_t k = 0; k < count_; ++k) {
    const int32_t v = step_.nodes[begin_ + k];
    bool lives_out = IsKept(graph, op(k));
    for (int32_t s = step_.first_slot[v]; s < step_.first_slot[v + 1]; ++s) {
      place_of_slot_[s] = k;
      lives_out |= s > step_.first_slot[v] && LivesOut(s);
    }
    const bool stored = facts_.storage[op(k)] != Storage::kResident &&
                        (lives_out || !IsFusedIntoReaders(graph, op(k)));
    if (stored) kind_[k] = Kind::kStored;
  }
  for (int32_t k = 0; k < count_; ++k) {
    const int32_t v = step_.nodes[begin_ + k];
    for (int32_t e = step_.first_edge[v]; e < step_.first_edge[v + 1]; ++e) {
      if (!step_.is_inside[e]) continue;
      const int32_t producer = place_of_slot_[step_.edge_slot[e]];
      const int32_t of = step_.nodes[begin_ + producer];
      if (step_.edge_slot[e] == step_.first_slot[of]) continue;  // control
      producers_.push_back(producer);
    }
    first_producer_.push_back(static_cast<int32_t>(producers_.size()));
  }
}

// The variables that are written, each once; and what an assignment, which
// computes nothing, puts in their place.
void GroupMemory::FindUpdates() {
  const OpGraph& graph = *facts_.graph;
  is_update_.assign(count_, 0);
  std::vector<int32_t> variables;
  for (int32_t k = 0; k < count_; ++k) {
    if (!graph.has(op(k), kWritesVariable)) continue;
    ForEachVariable(k, [&](int32_t v) { variables.push_back(v); });
    if (!IsAssignment(k)) continue;
    kind_[k] = Kind::kPassed;
    const int32_t end = first_producer_[k + 1];
    if (end == first_producer_[k]) continue;  // a value from outside
    const int32_t value = producers_[end - 1];
    is_update_[value] = 1;
    kind_[value] = Kind::kStored;
  }
  std::sort(variables.begin(), variables.end());
  variables.erase(std::unique(variables.begin(), variables.end()),
                  variables.end());
  update_bytes_ = 0;
  for (const int32_t variable : variables) {
    update_bytes_ += facts_.resident_bytes[variable];
  }
}

bool GroupMemory::IsAssignment(int32_t k) const {
  return facts_.graph->op(op(k)) == "AssignVariableOp";
}

template <typename Function>
void GroupMemory::ForEachVariable(int32_t k, Function function) const {
  for (const InputEdge& e : facts_.graph->inputs(op(k))) {
    if (e.port == kControlPort) break;
    const int32_t variable = facts_.graph->handle(e.src);
    if (variable >= 0) function(variable);
  }
}

// First come, first served; what is fused takes no turn.
void GroupMemory::Order() {
  std::vector<int32_t> waiting(count_), first_user(count_ + 1, 0);
  for (int32_t k = 0; k < count_; ++k) {
    waiting[k] = first_producer_[k + 1] - first_producer_[k];
  }
  for (const int32_t producer : producers_) ++first_user[producer + 1];
  std::partial_sum(first_user.begin(), first_user.end(), first_user.begin());
  std::vector<int32_t> users(producers_.size());
  std::vector<int32_t> next(first_user.begin(), first_user.end() - 1);
  for (int32_t k = 0; k < count_; ++k) {
    for (int32_t p = first_producer_[k]; p < first_producer_[k + 1]; ++p) {
      users[next[producers_[p]]++] = k;
    }
  }
  order_.assign(count_, -1);
  by_order_.clear();
  std::vector<int32_t> passed;
  const auto ready = [&](int32_t k) {
    if (kind_[k] == Kind::kStored) {
      by_order_.push_back(k);  // the queue itself: it is read from `at` on
    } else {
      passed.push_back(k);
    }
  };
  const auto finish = [&](int32_t k) {
    for (int32_t u = first_user[k]; u < first_user[k + 1]; ++u) {
      if (--waiting[users[u]] == 0) ready(users[u]);
    }
  };
  const auto pass = [&] {
    while (!passed.empty()) {
      const int32_t k = passed.back();
      passed.pop_back();
      finish(k);
    }
  };
  for (int32_t k = 0; k < count_; ++k) {
    if (first_producer_[k + 1] == first_producer_[k]) ready(k);
  }
  pass();
  for (size_t at = 0; at < by_order_.size(); ++at) {
    order_[by_order_[at]] = static_cast<int32_t>(at);
    finish(by_order_[at]);
    pass();
  }
}

// Nodes are in topological order: going backwards, what reads a fused one is
// known when it is looked at.
void GroupMemory::FindLastUses() {
  last_use_ = order_;
  for (int32_t k = count_; k-- > 0;) {
    const int32_t use = kind_[k] == Kind::kStored ? order_[k] : last_use_[k];
    for (int32_t p = first_producer_[k]; p < first_producer_[k + 1]; ++p) {
      int32_t& last = last_use_[producers_[p]];
      last = std::max(last, use);
    }
  }
}

void GroupMemory::CollectBuffers() {
  temporaries_.clear();
  live_outs_.clear();
  for (const int32_t k : by_order_) {
    const int32_t v = step_.nodes[begin_ + k];
    const int64_t* bytes =
        facts_.tensor_bytes.data() + facts_.first_tensor[op(k)];
    const int32_t first = step_.first_slot[v] + 1;
    int64_t inside = 0;
    for (int32_t s = first; s < step_.first_slot[v + 1]; ++s) {
      const int64_t size = bytes[s - first];
      if (is_update_[k] || LivesOut(s) || IsKept(*facts_.graph, op(k))) {
        live_outs_.push_back({size, order_[k], IsElementwise(k), {}});
      } else if (step_.first_reader[s] < step_.first_reader[s + 1]) {
        inside += size;  // what nobody reads is not computed
      }
    }
    if (facts_.graph->has(op(k), kWritesVariable)) {
      ForEachVariable(k, [&](int32_t variable) {
        live_outs_.push_back(
            {facts_.resident_bytes[variable], order_[k], true, {}});
      });
    }
    if (inside > 0) temporaries_.push_back({inside, order_[k], last_use_[k]});
  }
}

bool GroupMemory::FitsInto(const Temporary& temporary,
                           const LiveOut& out) const {
  const bool before = temporary.dies < out.born ||
                      (temporary.dies == out.born && out.over_operand);
  return before && std::all_of(out.used.begin(), out.used.end(),
                               [&](const Temporary& used) {
                                 return temporary.dies < used.born ||
                                        used.dies < temporary.born;
                               });
}

bool GroupMemory::PutIntoLiveOut(const Temporary& temporary) {
  auto out = std::lower_bound(
      live_outs_.begin(), live_outs_.end(), temporary.bytes,
      [](const LiveOut& a, int64_t bytes) { return a.bytes < bytes; });
  for (int32_t tried = 0; out != live_outs_.end() && tried < kMostTried;
       ++out, ++tried) {
    if (!FitsInto(temporary, *out)) continue;
    out->used.push_back(temporary);
    return true;
  }
  return false;
}

// The most that is live together.
int64_t GroupMemory::SharedBlock(std::vector<Temporary>* rest) const {
  std::vector<Temporary>& by_birth = *rest;
  std::sort(
      by_birth.begin(), by_birth.end(),
      [](const Temporary& a, const Temporary& b) { return a.born < b.born; });
  std::vector<Temporary> by_death = by_birth;
  std::sort(
      by_death.begin(), by_death.end(),
      [](const Temporary& a, const Temporary& b) { return a.dies < b.dies; });
  int64_t live = 0, most = 0;
  size_t dead = 0;
  for (const Temporary& born : by_birth) {
    while (dead < by_death.size() && by_death[dead].dies < born.born) {
      live -= by_death[dead++].bytes;
    }
    bool over_operand = false;
    for (size_t d = dead; d < by_death.size() && by_death[d].dies == born.born;
         ++d) {
      over_operand |=
          by_death[d].born < born.born && by_death[d].bytes == born.bytes;
    }
    over_operand = over_operand && IsElementwise(by_order_[born.born]);
    live += born.bytes;
    most = std::max(most, over_operand ? live - born.bytes : live);
  }
  return most;
}

}  // namespace grappler_go
