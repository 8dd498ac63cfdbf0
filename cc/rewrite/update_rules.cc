#include "cc/rewrite/update_rules.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <optional>
#include <set>

#include "cc/graph/attr_value.h"
#include "cc/plan/contraction.h"

namespace grappler_go {
namespace {

using Rule = VariableUpdate::Rule;

// Nothing that may be dead, run several times, or is somebody else's.
constexpr uint32_t kNotHere = kInLoop | kControlFlow | kConditional |
                              kMarkedByUser | kPlanned | kRefTyped;

// The kernel computes 1 - (1 - x) in the variable's own type, where the graph
// has x. Relative to x, this much may be lost: Adam's usual 0.001 loses 1.3e-5
// as a float.
constexpr double kMaxBetaLoss = 2e-5;

class Matcher {
 public:
  explicit Matcher(const OpGraph& graph)
      : graph_(graph), writers_(graph.num_ops(), 0) {
    for (int32_t i = 0; i < graph.num_ops(); ++i) {
      if (graph.has(i, kWritesVariable)) CountWrites(i);
    }
  }

  std::optional<VariableUpdate> Match(int32_t write) {
    const std::string_view type = graph_.op(write);
    const bool subtracts = type == "AssignSubVariableOp";
    if (!subtracts && type != "AssignAddVariableOp") return std::nullopt;
    for (const auto match :
         {&Matcher::Adam, &Matcher::Momentum, &Matcher::GradientDescent}) {
      if ((match == &Matcher::Momentum) == subtracts) continue;
      update_ = VariableUpdate();
      update_.write = write;
      update_.variable = Input(write, 0);
      if ((this->*match)(Input(write, 1)) && MayBeReplaced()) return update_;
    }
    return std::nullopt;
  }

 private:
  // variable -= lr * m / (sqrt(v) + epsilon) after
  // m += (1 - beta1) * (g - m), v += (1 - beta2) * (g * g - v)
  bool Adam(Output step) {
    update_.rule = Rule::kAdam;
    if (!Computed(step, "RealDiv")) return false;
    const Output above = Input(step.op, 0), below = Input(step.op, 1);
    if (!Computed(above, "Mul")) return false;
    Output m, rate;
    if (!OneIs(above.op, "ReadVariableOp", &m, &rate)) return false;
    if (!Computed(below, "AddV2") && !Computed(below, "Add")) return false;
    Output root, epsilon;
    if (!OneIs(below.op, "Sqrt", &root, &epsilon)) return false;
    if (!Computed(root, "Sqrt")) return false;
    const Output v = Input(root.op, 0);
    Output square;
    double m_scale = 1;
    if (!MovingAverage(m, &update_.gradient, &update_.beta1, &m_scale) ||
        !MovingAverage(v, &square, &update_.beta2, &update_.v_scale)) {
      return false;
    }
    update_.scalars = {rate, epsilon};
    return IsSquareOf(square, update_.gradient);
  }

  // The value that a slot has after slot += (1 - beta) * (of - slot).
  // `scale`: how many times as large it becomes by the kernel.
  bool MovingAverage(Output value, Output* of, double* beta, double* scale) {
    int32_t write = -1;
    if (!ReadAfterWrite(value, "AssignAddVariableOp", &write) || !Slot(write)) {
      return false;
    }
    const Output more = Input(write, 1);
    if (!Computed(more, "Mul")) return false;
    Output difference, share;
    if (!OneIs(more.op, "Sub", &difference, &share)) return false;
    if (!Computed(difference, "Sub")) return false;
    *of = Input(difference.op, 0);
    const Output before = Input(difference.op, 1);
    return ReadOf(before, Input(write, 0)) && Beta(share, beta, scale);
  }

  // variable += s after s' = momentum * s - lr * g, or with Nesterov's:
  // variable += momentum * s' - lr * g.
  bool Momentum(Output step) {
    Output next;
    int32_t write = -1;
    if (NewValue(step, &next, &write)) {
      update_.rule = Rule::kMomentum;
      return SlotStep(next, write);
    }
    // Of the two products one has what the slot has become.
    update_.rule = Rule::kNesterovMomentum;
    if (!Computed(step, "Sub")) return false;
    const Output kept = Input(step.op, 0), scaled = Input(step.op, 1);
    if (!Computed(kept, "Mul") || !Computed(scaled, "Mul")) return false;
    for (const int32_t slot : {0, 1}) {
      if (!NewValue(Input(kept.op, slot), &next, &write)) continue;
      return SlotStep(next, write) &&
             Same(Input(kept.op, 1 - slot), update_.scalars[1]) &&
             IsProductOf(scaled.op, update_.gradient, update_.scalars[0]);
    }
    return false;
  }

  // next = momentum * slot - lr * g
  bool SlotStep(Output next, int32_t write) {
    if (!Computed(next, "Sub")) return false;
    const Output kept = Input(next.op, 0), scaled = Input(next.op, 1);
    if (!Computed(kept, "Mul") || !Computed(scaled, "Mul")) return false;
    Output before, momentum;
    if (!OneIs(kept.op, "ReadVariableOp", &before, &momentum)) return false;
    if (!ReadOf(before, Input(write, 0)) || !Slot(write)) return false;
    const Output a = Input(scaled.op, 0), b = Input(scaled.op, 1);
    const bool rate_first = IsScalar(a) && !IsScalar(b);
    update_.gradient = rate_first ? b : a;
    update_.scalars = {rate_first ? a : b, momentum};
    return true;
  }

  // variable -= lr * g
  bool GradientDescent(Output step) {
    update_.rule = Rule::kGradientDescent;
    if (!Computed(step, "Mul")) return false;
    const Output a = Input(step.op, 0), b = Input(step.op, 1);
    const bool rate_first = IsScalar(a) && !IsScalar(b);
    update_.gradient = rate_first ? b : a;
    update_.scalars = {rate_first ? a : b};
    return true;
  }

  // ---- parts of rules
  Output Input(int32_t op, int32_t slot) const {
    const Span<InputEdge> inputs = graph_.inputs(op);
    if (slot >= static_cast<int32_t>(inputs.size())) return {};
    const InputEdge& e = inputs[slot];
    return e.port == kControlPort ? Output() : Output{e.src, e.port};
  }
  bool Is(Output output, std::string_view type) const {
    return output.op >= 0 && graph_.op(output.op) == type;
  }
  // Notes it as one that has no other purpose.
  bool Computed(Output output, std::string_view type) {
    if (!Is(output, type)) return false;
    update_.computed.push_back(output.op);
    return true;
  }
  // Of the two inputs, the one of the given type and the other one.
  bool OneIs(int32_t op, std::string_view type, Output* it,
             Output* other) const {
    const Output a = Input(op, 0), b = Input(op, 1);
    const bool first = Is(a, type);
    if (!first && !Is(b, type)) return false;
    // Of two reads, that of a scalar is a factor.
    const bool swap = !first || (Is(b, type) && IsScalar(a));
    *it = swap ? b : a;
    *other = swap ? a : b;
    return true;
  }
  bool IsProductOf(int32_t op, Output a, Output b) const {
    const Output first = Input(op, 0), second = Input(op, 1);
    return (Same(first, a) && Same(second, b)) ||
           (Same(first, b) && Same(second, a));
  }
  // Equal constants, and reads of one variable that wait for nothing, may be
  // there several times.
  bool Same(Output a, Output b) const {
    if (a == b) return true;
    if (a.op < 0 || b.op < 0 || graph_.op(a.op) != graph_.op(b.op)) {
      return false;
    }
    if (graph_.has(a.op, kConstant)) {
      return graph_.attr(a.op, "value") == graph_.attr(b.op, "value");
    }
    return graph_.op(a.op) == "ReadVariableOp" &&
           graph_.inputs(a.op).size() == 1 && graph_.inputs(b.op).size() == 1 &&
           Input(a.op, 0) == Input(b.op, 0) && IsNeverWritten(a.op);
  }
  bool IsNeverWritten(int32_t read) const {
    const int32_t variable = graph_.variable(read);
    return variable >= 0 && writers_[variable] == 0;
  }
  bool IsSquareOf(Output square, Output of) {
    if (Is(square, "Square") && Input(square.op, 0) == of) {
      return Computed(square, "Square");
    }
    return Is(square, "Mul") && IsProductOf(square.op, of, of) &&
           Computed(square, "Mul");
  }
  bool IsScalar(Output output) const {
    if (output.op < 0) return false;
    const TensorShape& shape = graph_.shape(output.op, output.port);
    return shape.known_rank() && shape.rank() == 0;
  }
  // 1 - beta, a constant from which the kernel gets back what it was.
  bool Beta(Output share, double* beta, double* scale) const {
    double value = 0;
    if (share.op < 0 || !graph_.has(share.op, kConstant) ||
        !ParseScalar(AttrTensor(graph_.attr(share.op, "value")), &value) ||
        value <= 0 || value >= 1) {
      return false;
    }
    *beta = 1 - value;
    const double again = graph_.dtype(share.op, 0) == dt::kFloat
                             ? 1.0f - static_cast<float>(*beta)
                             : 1 - *beta;
    *scale = again / value;
    return std::abs(*scale - 1) <= kMaxBetaLoss;
  }

  // ---- slots
  bool ReadOf(Output value, Output handle) {
    if (!Is(value, "ReadVariableOp") || !(Input(value.op, 0) == handle)) {
      return false;
    }
    update_.reads.push_back(value.op);
    return true;
  }
  // A read that waits for a write of what it reads, of the given type.
  bool ReadAfterWrite(Output value, std::string_view type, int32_t* write) {
    if (!Is(value, "ReadVariableOp")) return false;
    const Output handle = Input(value.op, 0);
    for (const InputEdge& e : graph_.inputs(value.op)) {
      if (e.port != kControlPort || graph_.op(e.src) != type) continue;
      if (!(Input(e.src, 0) == handle)) continue;
      *write = e.src;
      return ReadOf(value, handle);
    }
    return false;
  }
  // What a slot has become: the very tensor that is assigned to it, or a read
  // that waits for this.
  bool NewValue(Output value, Output* assigned, int32_t* write) {
    if (value.op < 0) return false;
    constexpr std::string_view kAssign = "AssignVariableOp";
    if (ReadAfterWrite(value, kAssign, write)) {
      *assigned = Input(*write, 1);
      return true;
    }
    for (const OutputEdge& e : graph_.outputs(value.op)) {
      if (e.port != value.port || graph_.op(e.dst) != kAssign) continue;
      *write = e.dst;
      *assigned = value;
      return true;
    }
    return false;
  }
  bool Slot(int32_t write) {
    update_.slots.push_back(Input(write, 0));
    update_.slot_writes.push_back(write);
    const int32_t variable = graph_.variable(write);
    return variable >= 0 && writers_[variable] == 1;
  }
  void CountWrites(int32_t op) {
    for (const InputEdge& e : graph_.inputs(op)) {
      if (e.port == kControlPort) break;
      if (graph_.handle(e.src) >= 0) ++writers_[graph_.handle(e.src)];
    }
  }

  // ---- what holds for all rules
  bool MayBeReplaced() {
    std::vector<Output> read = update_.slots;
    read.push_back(update_.variable);
    read.push_back(update_.gradient);
    for (const Output& output : read) {
      if (output.op < 0) return false;  // a broken graph
    }
    update_.dtype = graph_.dtype(update_.gradient.op, update_.gradient.port);
    if (update_.dtype != dt::kFloat && update_.dtype != dt::kDouble) {
      return false;
    }
    for (const Output& scalar : update_.scalars) {
      if (scalar.op < 0 || !IsScalar(scalar) ||
          graph_.dtype(scalar.op, scalar.port) != update_.dtype) {
        return false;
      }
    }
    // A gradient that is the variable itself, as a decay of weights has it, is
    // written while it is read: the kernel would copy it before.
    if (graph_.op(update_.gradient.op) == "ReadVariableOp" &&
        Input(update_.gradient.op, 0) == update_.variable) {
      return false;
    }
    std::vector<int32_t> variables = {graph_.variable(update_.write)};
    for (const int32_t write : update_.slot_writes) {
      variables.push_back(graph_.variable(write));
    }
    std::sort(variables.begin(), variables.end());
    if (variables[0] < 0 ||
        std::adjacent_find(variables.begin(), variables.end()) !=
            variables.end()) {
      return false;
    }
    // All as large as the gradient: nothing is broadcast.
    const TensorShape& shape =
        graph_.shape(update_.gradient.op, update_.gradient.port);
    if (shape.num_elements() < 0) return false;
    for (const auto* ops : {&update_.computed, &update_.reads}) {
      for (const int32_t op : *ops) {
        if (!(graph_.shape(op, 0) == shape) || !IsHere(op)) return false;
      }
    }
    for (const int32_t op : update_.slot_writes) {
      if (!IsHere(op)) return false;
    }
    return IsHere(update_.write);
  }
  bool IsHere(int32_t op) const {
    const std::string_view device = graph_.device(op);
    return !graph_.has(op, kNotHere) &&
           device == graph_.device(update_.write) &&
           (device.empty() || device.find("CPU:") != std::string_view::npos);
  }

  const OpGraph& graph_;
  std::vector<int32_t> writers_;  // by variable: ops that write it
  VariableUpdate update_;
};

// As one op, each update waits for all that its parts waited for.
std::vector<int32_t> AsGroups(const OpGraph& graph,
                              const std::vector<VariableUpdate>& updates) {
  std::vector<int32_t> group(graph.num_ops(), -1);
  // What comes after a slot's write belongs to the update, what comes before it
  // may stay before.
  for (size_t k = 0; k < updates.size(); ++k) {
    const VariableUpdate& update = updates[k];
    const auto number = static_cast<int32_t>(k);
    group[update.write] = number;
    for (const int32_t op : update.slot_writes) group[op] = number;
  }
  std::vector<uint8_t> after(graph.num_ops(), 0);
  for (size_t k = 0; k < updates.size(); ++k) {
    const VariableUpdate& update = updates[k];
    std::vector<int32_t> parts = update.computed;
    parts.insert(parts.end(), update.reads.begin(), update.reads.end());
    std::sort(parts.begin(), parts.end());  // topological
    for (const int32_t op : parts) {
      for (const InputEdge& e : graph.inputs(op)) {
        const bool of_slot =
            std::find(update.slot_writes.begin(), update.slot_writes.end(),
                      e.src) != update.slot_writes.end();
        after[op] |= of_slot ||
                     (after[e.src] && group[e.src] == static_cast<int32_t>(k));
      }
      if (after[op]) group[op] = static_cast<int32_t>(k);
    }
  }
  return group;
}

// Groups that are reached from an op, forwards or backwards, before others.
std::set<int32_t> NextGroups(const OpGraph& graph,
                             const std::vector<int32_t>& group, int32_t from,
                             bool forwards) {
  std::set<int32_t> groups;
  std::vector<uint8_t> seen(graph.num_ops(), 0);
  std::vector<int32_t> open = {from};
  const auto visit = [&](int32_t op, bool back_edge) {
    if (back_edge || seen[op]) return;
    seen[op] = 1;
    if (group[op] >= 0) {
      groups.insert(group[op]);
    } else {
      open.push_back(op);
    }
  };
  while (!open.empty()) {
    const int32_t op = open.back();
    open.pop_back();
    if (forwards) {
      for (const OutputEdge& e : graph.outputs(op)) visit(e.dst, e.back_edge);
    } else {
      for (const InputEdge& e : graph.inputs(op)) visit(e.src, e.back_edge);
    }
  }
  return groups;
}

}  // namespace

std::string_view VariableUpdate::kernel() const {
  switch (rule) {
    case Rule::kGradientDescent:
      return "ResourceApplyGradientDescent";
    case Rule::kMomentum:
    case Rule::kNesterovMomentum:
      return "ResourceApplyKerasMomentum";
    case Rule::kAdam:
      return "ResourceApplyAdam";
  }
  return "";
}

std::vector<VariableUpdate> FindVariableUpdates(const OpGraph& graph) {
  std::vector<VariableUpdate> updates;
  std::optional<Matcher> matcher;
  for (int32_t i = 0; i < graph.num_ops(); ++i) {
    if (!graph.has(i, kWritesVariable)) continue;
    if (!matcher) matcher.emplace(graph);
    std::optional<VariableUpdate> update = matcher->Match(i);
    if (update) updates.push_back(std::move(*update));
  }
  // A slot of two variables would be updated twice.
  std::vector<uint8_t> uses(graph.num_ops(), 0);
  for (const VariableUpdate& update : updates) {
    for (const int32_t op : update.slot_writes) uses[op] += uses[op] < 2;
  }
  const auto shares = [&](const VariableUpdate& update) {
    return std::any_of(update.slot_writes.begin(), update.slot_writes.end(),
                       [&](int32_t op) { return uses[op] > 1; });
  };
  updates.erase(std::remove_if(updates.begin(), updates.end(), shares),
                updates.end());
  // An update whose slots' new values are needed before its gradient is there.
  while (!updates.empty()) {
    const std::vector<int32_t> group = AsGroups(graph, updates);
    const int32_t op = FindCycle(graph, group, {});
    if (op < 0) break;
    std::set<int32_t> on_cycle = {group[op]};
    if (group[op] < 0) {
      const std::set<int32_t> after = NextGroups(graph, group, op, true);
      const std::set<int32_t> before = NextGroups(graph, group, op, false);
      on_cycle.clear();
      std::set_intersection(after.begin(), after.end(), before.begin(),
                            before.end(),
                            std::inserter(on_cycle, on_cycle.end()));
    }
    if (on_cycle.empty()) updates.clear();  // one of several updates
    for (auto k = on_cycle.rbegin(); k != on_cycle.rend(); ++k) {
      updates.erase(updates.begin() + *k);
    }
  }
  return updates;
}

}  // namespace grappler_go
