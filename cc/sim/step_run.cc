#include "cc/sim/step_run.h"

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include "cc/sim/device_run.h"
#include "cc/sim/event_queue.h"
#include "cc/sim/link_run.h"
#include "cc/sim/step_memory.h"

namespace grappler_go {
namespace {

struct Transfer {
  int32_t slot, node;
  int32_t src, dst;  // devices
  int32_t link;
  int32_t copy;  // its buffer; -1: a control edge
  int64_t bytes;
  float priority;  // the highest of its readers'
  double start;
};

class StepRun {
 public:
  StepRun(const StepFacts& facts, const StepGraph& step, bool timeline)
      : facts_(facts),
        step_(step),
        timeline_(timeline),
        waiting_(step.waiting),
        clock_(num_devices() + step.num_links),
        result_(NewResult(facts)),
        memory_(facts, step, &result_.devices) {
    for (const Device& device : facts.machine->devices) {
      devices_.emplace_back(device, facts.options);
    }
    AddLinks();
    arrived_.reserve(step.num_tasks());
    is_dirty_.assign(num_devices() + step.num_links, 0);
    sent_by_.assign(num_devices(), -1);
    sent_as_.assign(num_devices(), -1);
  }

  StatusOr<Simulation> Run() {
    for (int32_t v = 0; v < step_.num_nodes(); ++v) {
      const int32_t task = step_.task_of[v];
      const bool is_first = step_.nodes[step_.first_node[task]] == v;
      if (is_first && waiting_[task] == 0) Ready(task);
    }
    for (int32_t g = 0; g < step_.num_groups; ++g) {
      num_empty_ += step_.first_node[g] == step_.first_node[g + 1];
    }
    num_done_ = num_empty_;
    for (;;) {
      Settle();
      now_ = clock_.time();
      if (now_ == kNever) break;
      // Everything that happens now, before anything new starts.
      while (clock_.time() <= now_) {
        const int32_t resource = clock_.first();
        clock_.Set(resource, kNever);
        Touch(resource);
        if (resource < num_devices()) {
          FinishTasks(resource);
        } else {
          FinishTransfers(resource - num_devices());
        }
      }
    }
    GO_RETURN_IF_ERROR(CheckAllDone());
    for (size_t d = 0; d < result_.devices.size(); ++d) {
      const int64_t limit = facts_.machine->devices[d].memory_bytes;
      DeviceUse& use = result_.devices[d];
      use.out_of_memory = limit > 0 && use.peak_bytes > limit;
      result_.out_of_memory |= use.out_of_memory;
    }
    for (const LinkRun& link : links_) {
      result_.transfer_micros += link.busy_micros();
    }
    result_.num_tasks = num_done_ - num_empty_;
    result_.num_transfers = static_cast<int64_t>(transfers_.size());
    return std::move(result_);
  }

 private:
  int32_t num_devices() const {
    return static_cast<int32_t>(facts_.machine->devices.size());
  }

  static Simulation NewResult(const StepFacts& facts) {
    Simulation result;
    result.devices.resize(facts.machine->devices.size());
    result.unknown_outputs = facts.unknown_outputs;
    result.loops_unrolled = facts.loops.unrolled;
    result.loops_run_once = facts.loops.run_once;
    result.ops_in_branches = facts.ops_in_branches;
    return result;
  }

  void AddLinks() {
    std::vector<const Link*> used(step_.num_links, &facts_.missing_link);
    for (const Link& link : facts_.machine->links) {
      const int32_t number =
          step_.link_number[link.src * num_devices() + link.dst];
      if (number >= 0) used[number] = &link;
    }
    for (const Link* link : used) {
      links_.emplace_back(*link, facts_.options.links);
    }
  }

  float priority(int32_t task) const {
    return step_.priority.empty() ? 0.0f : step_.priority[task];
  }

  void Touch(int32_t resource) {
    if (is_dirty_[resource]) return;
    is_dirty_[resource] = 1;
    dirty_.push_back(resource);
  }

  // Tasks of no time take no turn.
  void Ready(int32_t task) {
    if (step_.micros[task] <= 0) {
      instant_.push_back(task);
      return;
    }
    const int32_t device = step_.device[task];
    devices_[device].waiting().Push(priority(task),
                                    static_cast<uint32_t>(arrived_.size()));
    arrived_.push_back(task);
    Touch(device);
  }

  // Starts what can start now.
  void Settle() {
    for (size_t k = 0; k < instant_.size(); ++k) {  // grows meanwhile
      const int32_t task = instant_[k];
      memory_.StartTask(task, now_);
      Finish(task);
    }
    instant_.clear();
    // Transfers that start take of their devices' cores: these come again.
    while (!dirty_.empty()) {
      settling_.swap(dirty_);
      std::sort(settling_.begin(), settling_.end());
      for (const int32_t resource : settling_) {
        is_dirty_[resource] = 0;
        if (resource < num_devices()) {
          StartTasks(resource);
        } else {
          StartTransfers(resource - num_devices());
        }
      }
      settling_.clear();
    }
  }

  void StartTasks(int32_t d) {
    DeviceRun& device = devices_[d];
    while (device.has_room() && !device.waiting().empty()) {
      const int32_t task = arrived_[device.waiting().Pop()];
      memory_.StartTask(task, now_);
      device.Start(task, step_.micros[task], step_.cores[task],
                   step_.bandwidth[task], now_);
    }
    clock_.Set(d, device.Share(now_, &result_.devices[d]));
  }

  void FinishTasks(int32_t d) {
    finished_.clear();
    devices_[d].TakeFinished(now_, &finished_);
    for (const RunningTask& r : finished_) {
      result_.micros = now_;
      ++result_.devices[d].tasks;
      if (timeline_) AddSpan(r);
      Finish(r.task);
    }
  }

  // Sends what the task has made, tells those who wait for it, and lets go of
  // what it read.
  void Finish(int32_t task) {
    ++num_done_;
    for (int32_t k = step_.first_node[task]; k < step_.first_node[task + 1];
         ++k) {
      const int32_t v = step_.nodes[k];
      for (int32_t s = step_.first_slot[v]; s < step_.first_slot[v + 1]; ++s) {
        Deliver(v, s, task);
      }
    }
    memory_.FinishTask(task);
  }

  void Signal(int32_t task) {
    if (--waiting_[task] == 0) Ready(task);
  }

  void Deliver(int32_t node, int32_t slot, int32_t task) {
    const int32_t home = step_.device[task];
    const size_t first_new = transfers_.size();
    for (int32_t r = step_.first_reader[slot]; r < step_.first_reader[slot + 1];
         ++r) {
      const SlotReader& reader = step_.readers[r];
      if (reader.task == task) continue;
      const int32_t device = step_.device[reader.task];
      if (device == home) {
        Signal(reader.task);
        continue;
      }
      if (sent_by_[device] != slot) {
        sent_by_[device] = slot;
        sent_as_[device] = static_cast<int32_t>(transfers_.size());
        AddTransfer(node, slot, home, device);
      }
      Transfer& transfer = transfers_[sent_as_[device]];
      transfer.priority = std::max(transfer.priority, priority(reader.task));
      if (transfer.copy >= 0) memory_.AddReader(transfer.copy, reader.edge);
    }
    for (size_t k = first_new; k < transfers_.size(); ++k) {
      const Transfer& transfer = transfers_[k];
      links_[transfer.link].waiting().Push(transfer.priority,
                                           static_cast<uint32_t>(k));
      Touch(num_devices() + transfer.link);
    }
  }

  void AddTransfer(int32_t node, int32_t slot, int32_t src, int32_t dst) {
    Transfer transfer{};
    transfer.slot = slot;
    transfer.node = node;
    transfer.src = src;
    transfer.dst = dst;
    transfer.link = step_.link_number[src * num_devices() + dst];
    transfer.copy = -1;
    transfer.priority = -std::numeric_limits<float>::infinity();
    const int32_t port = slot - step_.first_slot[node] - 1;
    if (port != kControlPort) {
      const int32_t op = step_.op_of[node];
      transfer.bytes = facts_.tensor_bytes[facts_.first_tensor[op] + port];
      transfer.copy = memory_.AddCopy(dst);
      memory_.Hold(slot);
    }
    transfers_.push_back(transfer);
  }

  void StartTransfers(int32_t l) {
    LinkRun& link = links_[l];
    while (link.has_room() && !link.waiting().empty()) {
      const auto k = static_cast<int32_t>(link.waiting().Pop());
      Transfer& transfer = transfers_[k];
      transfer.start = now_;
      if (transfer.copy >= 0) {
        memory_.StartCopy(transfer.copy, transfer.bytes, now_);
      }
      link.Start(k, transfer.bytes, now_);
      StartOverhead(link.CpuMicros(transfer.bytes), transfer.src);
      StartOverhead(link.CpuMicros(transfer.bytes), transfer.dst);
    }
    clock_.Set(num_devices() + l, link.next());
  }

  void StartOverhead(float micros, int32_t d) {
    if (micros <= 0 || facts_.machine->devices[d].type != "CPU") return;
    devices_[d].StartOverhead(micros, now_);
    Touch(d);
  }

  void FinishTransfers(int32_t l) {
    for (int32_t k = links_[l].TakeFinished(now_); k >= 0;
         k = links_[l].TakeFinished(now_)) {
      const Transfer& transfer = transfers_[k];
      result_.micros = now_;
      result_.transfer_bytes += transfer.bytes;
      if (transfer.copy >= 0) memory_.Sent(transfer.slot);
      if (timeline_) {
        result_.transfers.push_back(
            {step_.op_of[transfer.node],
             transfer.slot - step_.first_slot[transfer.node] - 1, transfer.src,
             transfer.dst, transfer.bytes, transfer.start, now_});
      }
      const int32_t dst = transfer.dst;
      for (int32_t r = step_.first_reader[transfer.slot],
                   end = step_.first_reader[transfer.slot + 1];
           r < end; ++r) {
        const int32_t task = step_.readers[r].task;
        if (step_.device[task] == dst) Signal(task);
      }
    }
  }

  void AddSpan(const RunningTask& r) {
    const int32_t v = step_.nodes[step_.first_node[r.task]];
    TaskSpan span;
    span.op = step_.op_of[v];
    span.group = r.task < step_.num_groups ? r.task : -1;
    for (int32_t u = v;
         u > 0 && u < step_.first_clone && step_.op_of[u - 1] == span.op; --u) {
      ++span.run;
    }
    span.is_clone = v >= step_.first_clone;
    span.device = step_.device[r.task];
    span.start = r.start;
    span.end = now_;
    result_.tasks.push_back(span);
  }

  Status CheckAllDone() const {
    if (num_done_ == step_.num_tasks()) return OkStatus();
    for (int32_t v = 0; v < step_.num_nodes(); ++v) {
      if (waiting_[step_.task_of[v]] == 0) continue;
      return InvalidArgument(
          "simulate: the groups or the order make an op wait for itself; the "
          "first that cannot start is " +
          NameOfOp(*facts_.graph, step_.op_of[v]));
    }
    return Internal("simulate: tasks are left that wait for nothing");
  }

  const StepFacts& facts_;
  const StepGraph& step_;
  const bool timeline_;
  std::vector<int32_t> waiting_;  // by task: inputs that are not there yet
  EventClock clock_;              // devices, then links
  Simulation result_;
  StepMemory memory_;
  std::vector<DeviceRun> devices_;
  std::vector<LinkRun> links_;
  std::vector<Transfer> transfers_;  // in the order in which they are wanted
  std::vector<int32_t> arrived_;     // tasks, in the order of becoming ready
  std::vector<int32_t> instant_;     // ready ones of no time
  std::vector<int32_t> dirty_;       // resources that may start something
  std::vector<int32_t> settling_;    // those of them that Settle is at
  std::vector<uint8_t> is_dirty_;
  // By device: the slot that was sent there last, and as which transfer.
  std::vector<int32_t> sent_by_, sent_as_;
  std::vector<RunningTask> finished_;
  int32_t num_done_ = 0, num_empty_ = 0;  // groups without ops
  double now_ = 0;
};

}  // namespace

StatusOr<Simulation> RunStep(const StepFacts& facts, const StepGraph& step,
                             bool timeline) {
  return StepRun(facts, step, timeline).Run();
}

}  // namespace grappler_go
