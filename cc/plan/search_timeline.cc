#include "cc/plan/search_timeline.h"

#include <algorithm>
#include <unordered_map>

namespace grappler_go {
namespace {

class Timeline {
 public:
  Timeline(const OpGraph& graph, const std::vector<int32_t>& group,
           const std::vector<int32_t>& device, const Simulation& simulation)
      : graph_(graph),
        group_(group),
        device_(device),
        simulation_(simulation),
        task_of_(graph.num_ops(), -1),
        end_(graph.num_ops(), 0.0),
        waits_for_(graph.num_ops(), -1) {
    FindTasks();
    for (const TransferSpan& t : simulation.transfers) {
      arrival_[Key(t.op, t.port, t.dst)] = t.end;
    }
    FindArrivals();
  }

  std::vector<CriticalWait> CriticalPath() const {
    std::vector<CriticalWait> path;
    int32_t task = -1;
    for (size_t k = 0; k < simulation_.tasks.size(); ++k) {
      if (task < 0 || simulation_.tasks[k].end > simulation_.tasks[task].end) {
        task = static_cast<int32_t>(k);
      }
    }
    // Each step goes to a task that ended earlier, or there is an end to it.
    for (size_t step = 0; task >= 0 && step < simulation_.tasks.size();
         ++step) {
      const TaskSpan& span = simulation_.tasks[task];
      path.push_back({CriticalWait::kCompute, span.op, -1, span.device,
                      span.end - span.start});
      double ready = 0;
      int32_t maker = -1;
      for (int32_t k = first_op_[task]; k < first_op_[task + 1]; ++k) {
        const Last last = LastInput(ops_[k]);
        if (last.maker >= 0 && last.at >= ready) {
          ready = last.at;
          maker = last.maker;
        }
      }
      const int32_t before = before_on_device_[task];
      const double free = before < 0 ? 0 : simulation_.tasks[before].end;
      if (before >= 0 && free > ready) {
        path.push_back({CriticalWait::kQueue, span.op,
                        simulation_.tasks[before].op, span.device,
                        span.start - ready});
        task = before;
        continue;
      }
      while (maker >= 0 && task_of_[maker] < 0) {  // ops of no time
        if (device_[maker] != span.device) break;
        maker = waits_for_[maker];
      }
      if (maker < 0) break;
      if (device_[maker] != span.device) {
        path.push_back({CriticalWait::kTransfer, span.op, maker, span.device,
                        std::max(0.0, ready - end_[maker])});
      }
      while (maker >= 0 && task_of_[maker] < 0) maker = waits_for_[maker];
      task = maker < 0 ? -1 : task_of_[maker];
    }
    return path;
  }

  OpTimes Times() const {
    const int32_t n = graph_.num_ops();
    OpTimes times;
    times.end = end_;
    times.start = end_;
    double step_end = 0;
    for (const TaskSpan& span : simulation_.tasks) {
      step_end = std::max(step_end, span.end);
    }
    const std::vector<double> latest = LatestStarts(step_end);
    for (int32_t i = 0; i < n; ++i) {
      const bool has_task = task_of_[i] >= 0;
      if (has_task) times.start[i] = simulation_.tasks[task_of_[i]].start;
      times.slack.push_back(std::max(0.0, latest[i] - times.start[i]));
    }
    return times;
  }

 private:
  struct Last {
    int32_t maker = -1;
    double at = 0;
  };

  static uint64_t Key(int32_t op, int32_t port, int32_t dst) {
    return static_cast<uint64_t>(static_cast<uint32_t>(op)) << 32 |
           static_cast<uint64_t>(port + 1) << 12 | static_cast<uint64_t>(dst);
  }
  int32_t group(int32_t op) const { return group_.empty() ? -1 : group_[op]; }

  // By task its ops, and the task that ended before it on its device.
  void FindTasks() {
    const auto count = static_cast<int32_t>(simulation_.tasks.size());
    std::unordered_map<int32_t, int32_t> of_group;
    for (int32_t k = 0; k < count; ++k) {
      const TaskSpan& span = simulation_.tasks[k];
      if (span.is_clone) continue;
      task_of_[span.op] = k;
      if (span.group >= 0) of_group[span.group] = k;
    }
    for (int32_t i = 0; i < graph_.num_ops(); ++i) {
      if (group(i) < 0) continue;
      const auto at = of_group.find(group(i));
      if (at != of_group.end()) task_of_[i] = at->second;
    }
    first_op_.assign(count + 1, 0);
    for (int32_t task : task_of_) {
      if (task >= 0) ++first_op_[task + 1];
    }
    for (int32_t k = 0; k < count; ++k) first_op_[k + 1] += first_op_[k];
    ops_.resize(first_op_[count]);
    std::vector<int32_t> next(first_op_.begin(), first_op_.end() - 1);
    for (int32_t i = 0; i < graph_.num_ops(); ++i) {
      if (task_of_[i] >= 0) ops_[next[task_of_[i]]++] = i;
    }
    // Tasks are in the order of their ends.
    before_on_device_.assign(count, -1);
    std::unordered_map<int32_t, int32_t> last;
    for (int32_t k = 0; k < count; ++k) {
      const int32_t d = simulation_.tasks[k].device;
      const auto [at, is_new] = last.try_emplace(d, k);
      if (!is_new) {
        before_on_device_[k] = at->second;
        at->second = k;
      }
    }
  }

  // Ends of all ops: of those of no time, when what they read is there.
  void FindArrivals() {
    for (int32_t i = 0; i < graph_.num_ops(); ++i) {
      if (task_of_[i] >= 0) {
        end_[i] = simulation_.tasks[task_of_[i]].end;
        continue;
      }
      const Last last = LastInput(i);
      end_[i] = last.at;
      waits_for_[i] = last.maker;
    }
  }

  // By op. From the end of the step backwards: an op is done before what reads
  // it starts, less the time that its tensor took, and before what followed it
  // on its device.
  std::vector<double> LatestStarts(double step_end) const {
    const auto num_tasks = static_cast<int32_t>(simulation_.tasks.size());
    std::vector<double> task_latest_end(num_tasks, step_end);
    std::vector<double> latest(graph_.num_ops(), step_end);  // of no time
    const auto lower = [&](int32_t op, double to) {
      double& end =
          task_of_[op] >= 0 ? task_latest_end[task_of_[op]] : latest[op];
      end = std::min(end, to);
    };
    // `op` may start no later than this.
    const auto tell_makers = [&](int32_t op, double start) {
      for (const InputEdge& e : graph_.inputs(op)) {
        if (e.back_edge) continue;
        if (task_of_[op] >= 0 && task_of_[e.src] == task_of_[op]) continue;
        double way = 0;
        if (device_[e.src] != device_[op]) {
          const auto known = arrival_.find(Key(e.src, e.port, device_[op]));
          if (known != arrival_.end()) {
            way = std::max(0.0, known->second - end_[e.src]);
          }
        }
        lower(e.src, start - way);
      }
    };
    // Ops of no time are as late as what they read: the last of equals first.
    std::vector<int32_t> views;
    for (int32_t i = graph_.num_ops(); i-- > 0;) {
      if (task_of_[i] < 0) views.push_back(i);
    }
    std::stable_sort(views.begin(), views.end(),
                     [&](int32_t a, int32_t b) { return end_[a] > end_[b]; });
    size_t next_view = 0;
    for (int32_t k = num_tasks; k-- > 0;) {  // in the order of their ends
      const TaskSpan& span = simulation_.tasks[k];
      for (; next_view < views.size() && end_[views[next_view]] >= span.end;
           ++next_view) {
        tell_makers(views[next_view], latest[views[next_view]]);
      }
      const double start = task_latest_end[k] - (span.end - span.start);
      for (int32_t at = first_op_[k]; at < first_op_[k + 1]; ++at) {
        latest[ops_[at]] = start;
        tell_makers(ops_[at], start);
      }
      const int32_t before = before_on_device_[k];
      if (before >= 0) {
        task_latest_end[before] = std::min(task_latest_end[before], start);
      }
    }
    for (; next_view < views.size(); ++next_view) {
      tell_makers(views[next_view], latest[views[next_view]]);
    }
    return latest;
  }

  Last LastInput(int32_t op) const {
    Last last;
    for (const InputEdge& e : graph_.inputs(op)) {
      if (e.back_edge) continue;
      if (task_of_[op] >= 0 && task_of_[e.src] == task_of_[op]) continue;
      double at = end_[e.src];
      if (device_[e.src] != device_[op]) {
        const auto known = arrival_.find(Key(e.src, e.port, device_[op]));
        if (known != arrival_.end()) at = known->second;
      }
      if (last.maker < 0 || at > last.at) last = {e.src, at};
    }
    return last;
  }

  const OpGraph& graph_;
  const std::vector<int32_t>& group_;
  const std::vector<int32_t>& device_;
  const Simulation& simulation_;
  std::vector<int32_t> task_of_;    // by op; -1: takes no time
  std::vector<double> end_;         // by op
  std::vector<int32_t> waits_for_;  // by op of no time: its last input
  std::vector<int32_t> first_op_, ops_, before_on_device_;  // by task
  std::unordered_map<uint64_t, double> arrival_;
};

}  // namespace

TimelineFacts ReadTimeline(const OpGraph& graph,
                           const std::vector<int32_t>& group,
                           const std::vector<int32_t>& device,
                           const Simulation& simulation) {
  const Timeline timeline(graph, group, device, simulation);
  return {timeline.CriticalPath(), timeline.Times()};
}

}  // namespace grappler_go
