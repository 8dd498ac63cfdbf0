#include "cc/sim/step_graph.h"

#include <algorithm>
#include <numeric>
#include <optional>

#include "cc/graph/recompute_clones.h"
#include "cc/sim/turn_edges.h"

namespace grappler_go {
namespace {

class Builder {
 public:
  Builder(const StepFacts& facts, const StepInput& input)
      : facts_(facts), graph_(*facts.graph), input_(input) {
    const bool any = std::any_of(input.recompute.begin(), input.recompute.end(),
                                 [](uint8_t bit) { return bit != 0; });
    if (any) clones_.emplace(graph_, input.recompute, input.group);
    order_ = input.order;
    if (input.turn_bytes > 0 && input.group_overhead.empty()) {
      const auto turns =
          TurnEdges(graph_, input.recompute, input.order, input.turn_bytes);
      order_.insert(order_.end(), turns.begin(), turns.end());
    }
    std::stable_sort(order_.begin(), order_.end(),
                     [](auto& a, auto& b) { return a.second < b.second; });
  }

  StepGraph Build() {
    if (facts_.plain != nullptr && !clones_ && order_.empty()) {
      TakePlain(*facts_.plain);
    } else {
      AddNodes();
      AddTasks();
      AddEdges();
      AddReaders();
    }
    NumberLinks();
    SetTimes();
    return std::move(step_);
  }

  StepGraph BuildPlain() {
    AddNodes();
    AddTasks();
    AddEdges();
    AddReaders();
    return std::move(step_);
  }

 private:
  int32_t runs(int32_t op) const {
    return facts_.loops.runs.empty() ? 1 : facts_.loops.runs[op];
  }
  int32_t node(int32_t op, int32_t run) const {
    if (facts_.loops.runs.empty()) return op;
    // A graph may jump between frames as TensorFlow would not let it.
    return first_run_[op] + std::clamp(run, 0, runs(op) - 1);
  }
  int32_t group(int32_t op) const {
    return input_.group.empty() ? -1 : input_.group[op];
  }
  int32_t device(int32_t op) const {
    return input_.device.empty() ? 0 : input_.device[op];
  }
  bool cloned(int32_t op) const { return clones_ && clones_->cloned(op); }

  // The plan changes nothing but which nodes are one task.
  void TakePlain(const StepGraph& plain) {
    step_.op_of = plain.op_of;
    step_.first_clone = plain.first_clone;
    step_.first_slot = plain.first_slot;
    step_.first_edge = plain.first_edge;
    step_.edge_slot = plain.edge_slot;
    step_.first_reader = plain.first_reader;
    step_.readers = plain.readers;
    if (input_.group_overhead.empty()) {
      step_.task_of = plain.task_of;
      step_.first_node = plain.first_node;
      step_.nodes = plain.nodes;
      step_.waiting = plain.waiting;
      step_.device = input_.device.empty() ? plain.device : input_.device;
      return;
    }
    AddTasks();
    step_.waiting.assign(step_.num_tasks(), 0);
    for (int32_t v = 0; v < step_.num_nodes(); ++v) {
      step_.waiting[step_.task_of[v]] += plain.waiting[v];
    }
    // Without groups, tasks are numbered as their nodes.
    for (SlotReader& reader : step_.readers) {
      reader.task = step_.task_of[reader.task];
    }
  }

  void AddNodes() {
    const int32_t n = graph_.num_ops();
    if (facts_.loops.runs.empty()) {
      step_.op_of.resize(n);
      std::iota(step_.op_of.begin(), step_.op_of.end(), 0);
    } else {
      first_run_.resize(n);
      for (int32_t i = 0; i < n; ++i) {
        first_run_[i] = step_.num_nodes();
        step_.op_of.insert(step_.op_of.end(), runs(i), i);
      }
    }
    step_.first_clone = step_.num_nodes();
    if (clones_) {
      clone_node_.assign(n, -1);
      for (int32_t i = 0; i < n; ++i) {
        if (!cloned(i)) continue;
        clone_node_[i] = step_.num_nodes();
        step_.op_of.push_back(i);
      }
    }
    step_.first_slot.resize(step_.num_nodes() + 1);
    step_.first_slot[0] = 0;
    for (int32_t v = 0; v < step_.num_nodes(); ++v) {
      const int32_t op = step_.op_of[v];
      step_.first_slot[v + 1] = step_.first_slot[v] + 1 +
                                facts_.first_tensor[op + 1] -
                                facts_.first_tensor[op];
    }
  }

  void AddTasks() {
    step_.num_groups = static_cast<int32_t>(input_.group_overhead.size());
    int32_t num_tasks = step_.num_groups;
    step_.task_of.resize(step_.num_nodes());
    for (int32_t v = 0; v < step_.num_nodes(); ++v) {
      const int32_t g = v < step_.first_clone ? group(step_.op_of[v]) : -1;
      step_.task_of[v] = g >= 0 ? g : num_tasks++;
    }
    step_.first_node.assign(num_tasks + 1, 0);
    for (const int32_t task : step_.task_of) ++step_.first_node[task + 1];
    std::partial_sum(step_.first_node.begin(), step_.first_node.end(),
                     step_.first_node.begin());
    step_.nodes.resize(step_.num_nodes());
    step_.device.assign(num_tasks, 0);
    std::vector<int32_t> next(step_.first_node.begin(),
                              step_.first_node.end() - 1);
    for (int32_t v = 0; v < step_.num_nodes(); ++v) {
      const int32_t task = step_.task_of[v];
      step_.nodes[next[task]++] = v;
      step_.device[task] = device(step_.op_of[v]);
    }
  }

  void AddEdges() {
    step_.first_edge.reserve(step_.num_nodes() + 1);
    step_.edge_slot.reserve(graph_.num_edges() + order_.size());
    size_t next_order = 0;
    for (int32_t v = 0; v < step_.first_clone; ++v) {
      const int32_t op = step_.op_of[v];
      step_.first_edge.push_back(static_cast<int32_t>(step_.edge_slot.size()));
      for (const InputEdge& e : graph_.inputs(op)) {
        if (cloned(e.src) &&
            clones_->UserReadsClone(e.src, {op, e.port, e.back_edge})) {
          AddEdge(clone_node_[e.src], e.port);
        } else if (facts_.loops.runs.empty()) {
          if (!e.back_edge) AddEdge(e.src, e.port);
        } else {
          AddEdgeInLoop(e, op, v - first_run_[op]);
        }
      }
      AddOrder(op, &next_order);
    }
    for (int32_t v = step_.first_clone; v < step_.num_nodes(); ++v) {
      const int32_t op = step_.op_of[v];
      step_.first_edge.push_back(static_cast<int32_t>(step_.edge_slot.size()));
      for (const InputEdge& e : graph_.inputs(op)) {
        const bool of_clone = e.port != kControlPort && cloned(e.src);
        AddEdge(of_clone ? clone_node_[e.src] : node(e.src, 0), e.port);
      }
      if (clones_->held_by(op) >= 0) {
        AddEdge(node(clones_->held_by(op), 0), kControlPort);
      }
      AddOrder(graph_.num_ops() + op, &next_order);
    }
    step_.first_edge.push_back(static_cast<int32_t>(step_.edge_slot.size()));
  }

  // What a run waits for; runs are numbered as TurnEdges numbers them.
  void AddOrder(int32_t run, size_t* next) {
    for (; *next < order_.size() && order_[*next].second == run; ++*next) {
      const int32_t before = order_[*next].first;
      AddEdge(before < graph_.num_ops()
                  ? node(before, 0)
                  : clone_node_[before - graph_.num_ops()],
              kControlPort);
    }
  }

  void AddEdge(int32_t src, int32_t port) {
    step_.edge_slot.push_back(step_.first_slot[src] + 1 + port);
  }

  // Which run of the producer does this run of the consumer read?
  void AddEdgeInLoop(const InputEdge& e, int32_t op, int32_t run) {
    const int32_t trips = facts_.loops.trips[op];
    const int32_t mine = runs(op), theirs = runs(e.src);
    if (e.back_edge) {  // that of the iteration before
      if (run % trips != 0) AddEdge(node(e.src, run - 1), e.port);
      return;
    }
    if (facts_.loops.exit_reads[op] >= 0 && e.port != kControlPort) {
      return AddEdge(LastRun(facts_.loops.exit_reads[op], op, run), 0);
    }
    if (mine == theirs) return AddEdge(node(e.src, run), e.port);
    if (mine > theirs) {  // from outside: a loop's variable reads it once
      const bool is_merge = graph_.has(op, kControlFlow) &&
                            graph_.op(op).find("Merge") != std::string::npos;
      if (is_merge && run % trips != 0) return;
      return AddEdge(node(e.src, run / (mine / theirs)), e.port);
    }
    // Out of a loop: the last iteration.
    AddEdge(LastRun(e.src, op, run), e.port);
  }

  // Of an op in a loop, for this run of one outside.
  int32_t LastRun(int32_t src, int32_t op, int32_t run) const {
    const int32_t ratio = runs(src) / runs(op);
    return node(src, run * ratio + ratio - 1);
  }

  void AddReaders() {
    const int32_t num_slots = step_.num_slots();
    step_.first_reader.assign(num_slots + 1, 0);
    for (const int32_t slot : step_.edge_slot) ++step_.first_reader[slot + 1];
    std::partial_sum(step_.first_reader.begin(), step_.first_reader.end(),
                     step_.first_reader.begin());
    step_.readers.resize(step_.edge_slot.size());
    step_.waiting.assign(step_.num_tasks(), 0);
    std::vector<int32_t> next(step_.first_reader.begin(),
                              step_.first_reader.end() - 1);
    for (int32_t v = 0; v < step_.num_nodes(); ++v) {
      const int32_t task = step_.task_of[v];
      for (int32_t e = step_.first_edge[v]; e < step_.first_edge[v + 1]; ++e) {
        step_.readers[next[step_.edge_slot[e]]++] = {e, task};
        ++step_.waiting[task];
      }
    }
  }

  // Also counts the readers on each slot's own device, and takes back what was
  // counted as waiting within a task.
  void NumberLinks() {
    const auto num_devices =
        static_cast<int32_t>(facts_.machine->devices.size());
    step_.link_number.assign(static_cast<size_t>(num_devices) * num_devices,
                             -1);
    step_.local_readers.assign(step_.num_slots(), 0);
    step_.is_inside.assign(step_.edge_slot.size(), 0);
    for (int32_t v = 0; v < step_.num_nodes(); ++v) {
      const int32_t task = step_.task_of[v], home = step_.device[task];
      for (int32_t s = step_.first_slot[v]; s < step_.first_slot[v + 1]; ++s) {
        for (int32_t r = step_.first_reader[s]; r < step_.first_reader[s + 1];
             ++r) {
          const int32_t reader = step_.readers[r].task;
          if (reader == task) {
            --step_.waiting[task];
            step_.is_inside[step_.readers[r].edge] = 1;
          }
          if (step_.device[reader] == home) {
            ++step_.local_readers[s];
          } else {
            step_.link_number[home * num_devices + step_.device[reader]] = 0;
          }
        }
      }
    }
    for (int32_t& link : step_.link_number) {
      if (link == 0) link = step_.num_links++;
    }
  }

  void SetTimes() {
    const int32_t num_tasks = step_.num_tasks();
    step_.micros.assign(num_tasks, 0.0f);
    step_.cores.assign(num_tasks, 1.0f);
    step_.bandwidth.assign(num_tasks, 0.0f);
    if (!input_.priority.empty()) step_.priority.resize(num_tasks);
    for (int32_t task = 0; task < num_tasks; ++task) SetTimesOf(task);
  }

  void SetTimesOf(int32_t task) {
    const int32_t begin = step_.first_node[task];
    const int32_t end = step_.first_node[task + 1];
    if (begin == end) return;  // a group without ops
    const Device& device = facts_.machine->devices[step_.device[task]];
    const bool is_group = task < step_.num_groups;
    double micros = is_group ? input_.group_overhead[task] : 0.0;
    double core_micros = micros, bytes = 0;
    for (int32_t k = begin; k < end; ++k) {
      const int32_t v = step_.nodes[k], op = step_.op_of[v];
      const double of_op = input_.micros[op];
      micros += of_op;
      core_micros += of_op >= kParallelOpMicros ? of_op * device.cores : of_op;
      // In bytes at the peak rate: an op that moves its own at what its class
      // achieves leaves nothing to others.
      const auto op_class = static_cast<size_t>(graph_.def(op).op_class);
      bytes += (is_group ? BoundaryBytes(v) : facts_.moved_bytes[op]) /
               device.achieved[op_class].gbytes_per_s;
      if (!input_.priority.empty()) {
        float& priority = step_.priority[task];
        priority = k == begin ? input_.priority[op]
                              : std::max(priority, input_.priority[op]);
      }
    }
    step_.micros[task] = static_cast<float>(micros);
    if (micros <= 0) return;
    step_.cores[task] = static_cast<float>(core_micros / micros);
    if (facts_.options.share_memory_bandwidth) {
      step_.bandwidth[task] = static_cast<float>(
          std::min(1.0, bytes / (device.gbytes_per_s * 1e3 * micros)));
    }
  }

  // What a node of a group reads and writes outside of it.
  double BoundaryBytes(int32_t v) const {
    const int32_t task = step_.task_of[v], op = step_.op_of[v];
    double bytes = 0;
    for (const InputEdge& e : graph_.inputs(op)) {
      if (e.port == kControlPort) break;
      if (group(e.src) == task) continue;
      bytes += static_cast<double>(
          facts_.tensor_bytes[facts_.first_tensor[e.src] + e.port]);
    }
    for (int32_t s = step_.first_slot[v] + 1; s < step_.first_slot[v + 1];
         ++s) {
      for (int32_t r = step_.first_reader[s]; r < step_.first_reader[s + 1];
           ++r) {
        if (step_.readers[r].task == task) continue;
        bytes += static_cast<double>(
            facts_.tensor_bytes[facts_.first_tensor[op] + s - 1 -
                                step_.first_slot[v]]);
        break;
      }
    }
    return bytes;
  }

  const StepFacts& facts_;
  const OpGraph& graph_;
  const StepInput& input_;
  std::optional<RecomputeClones> clones_;
  std::vector<std::pair<int32_t, int32_t>> order_;  // by what comes after
  std::vector<int32_t> first_run_;                  // node, by op
  std::vector<int32_t> clone_node_;                 // by op, -1
  StepGraph step_;
};

}  // namespace

StepGraph BuildPlainGraph(const StepFacts& facts) {
  return Builder(facts, StepInput()).BuildPlain();
}

StepGraph BuildStepGraph(const StepFacts& facts, const StepInput& input) {
  return Builder(facts, input).Build();
}

}  // namespace grappler_go
