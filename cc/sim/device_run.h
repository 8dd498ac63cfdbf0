// One device during a simulation: the tasks that wait for it and those that run
// on it, at the rates at which they share it.
#ifndef GRAPPLER_GO_SIM_DEVICE_RUN_H_
#define GRAPPLER_GO_SIM_DEVICE_RUN_H_

#include <cstdint>
#include <vector>

#include "cc/cost/machine.h"
#include "cc/sim/event_queue.h"
#include "cc/sim/simulator.h"

namespace grappler_go {

// A RunningTask that is none of the step's: what a transfer takes of a CPU.
constexpr int32_t kOverhead = -1;

struct RunningTask {
  int32_t task;
  float cores, bandwidth;  // that it wants, see StepGraph
  double start;
  double since;   // when `left` was true
  double left;    // microseconds alone
  double rate;    // of its speed alone
  double finish;  // at this rate
};

class DeviceRun {
 public:
  DeviceRun(const Device& device, const SimulatorOptions& options)
      : cores_(device.cores), slots_(1) {
    if (device.type == "CPU") {
      slots_ = options.inter_op_threads > 0 ? options.inter_op_threads
                                            : device.cores;
    }
  }

  ReadyQueue& waiting() { return waiting_; }
  bool has_room() const {
    return static_cast<int32_t>(running_.size()) - overheads_ < slots_;
  }
  void Start(int32_t task, float micros, float cores, float bandwidth,
             double now) {
    running_.push_back({task, cores, bandwidth, now, now, micros, 0, kNever});
  }
  // So many microseconds of a core, at once and beside the tasks: threads of
  // the network do not wait for those of the executor.
  void StartOverhead(float micros, double now) {
    Start(kOverhead, micros, 1.0f, 0.0f, now);
    ++overheads_;
  }
  // Takes out those that are done, in the order in which they started.
  void TakeFinished(double now, std::vector<RunningTask>* finished);
  // After tasks have come or gone: sets their rates. Returns when the next one
  // will be done, kNever when none runs.
  double Share(double now, DeviceUse* use);

 private:
  // Rates within the device's bandwidth.
  void ShareBandwidth(double rate);

  const int32_t cores_;
  int32_t slots_;
  int32_t overheads_ = 0;  // of running_
  ReadyQueue waiting_;
  std::vector<RunningTask> running_;
  std::vector<double> rates_;  // for Share, by place in running_
  double last_change_ = 0, cores_in_use_ = 0;
};

}  // namespace grappler_go

#endif  // GRAPPLER_GO_SIM_DEVICE_RUN_H_
