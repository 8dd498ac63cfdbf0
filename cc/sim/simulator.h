// One step of a graph under a plan, simulated event by event: when each op runs
// and each tensor travels, and what is alive on each device meanwhile.
//
//   StatusOr<Simulator> simulator = Simulator::Create(graph, machine, {});
//   StatusOr<Simulation> step = simulator->Run(input);
//   Use(step->micros, step->devices[0].peak_bytes);
//
// What is modelled:
//
// Tasks. An op, a fusion group (all of its ops, as one) or a clone made for the
// backward pass. It is ready when everything it reads is on its device and the
// ops before it, by control edges, are done. A task of no time (constants,
// views) takes no turn. Of a conditional both branches run, since no graph says
// which will (Simulation::ops_in_branches counts their ops).
//
// CPUs. Up to inter_op_threads tasks run side by side and share the device.
// A task of kParallelOpMicros (step_time.h) or more is split over all cores, a
// shorter one takes one; a group's demand is the mean over its ops. When more
// threads than cores are wanted, each gets its share of a core: a task's rate
// is cores / sum of demands. Memory bandwidth, where the tasks together move
// more bytes than the device can, is shared equally, and who needs less than
// his share keeps what he needs.
// Other devices run one task at a time.
//
// Ready tasks wait in a queue of their device: the highest priority first, and
// first come, first served among equals (and without priorities).
//
// Links. Directed; a transfer takes latency + bytes / bandwidth. A link carries
// one transfer at a time, in the order of the queues above, or all of them at
// once, each at an equal share. From the start of a transfer, what its link
// says that sending and receiving take of a CPU (Link::cpu_us) runs at either
// end, beside the tasks, and slows them. A tensor is sent once to each device
// that reads it; so is a control edge, as a message of no bytes. A link that
// the machine does not name is as its slowest one; with none named, as Link's
// defaults.
//
// Memory. As in liveness.h, on each device: a tensor lives from the start of
// its op to the end of its last reader there, and until it has been sent; a
// received one, from the start of its transfer to the end of its last reader.
// What is fetched or preserved lives to the end. Constants, arguments and
// variables are there throughout and do count here (resident_bytes). A group
// has what XLA allocates for it from its start (group_memory.h): its outputs, a
// new value of each variable that it writes, and a workspace, the latter two
// until it ends; what it reads is held until then.
//
// Everything is deterministic: equal times are taken in the order of devices,
// then links; equal priorities in the order in which tasks became ready, and
// those that became ready together by the order of edges.
#ifndef GRAPPLER_GO_SIM_SIMULATOR_H_
#define GRAPPLER_GO_SIM_SIMULATOR_H_

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "cc/base/status.h"
#include "cc/cost/machine.h"
#include "cc/graph/op_graph.h"
#include "cc/sim/step_time.h"

namespace grappler_go {

enum class LinkSharing { kOneAtATime, kEqualShares };

struct SimulatorOptions {
  LinkSharing links = LinkSharing::kOneAtATime;
  // Tasks that a CPU runs side by side; 0: as many as it has cores.
  int32_t inter_op_threads = 0;
  // Off: ops that run side by side do not slow each other by what they move.
  bool share_memory_bandwidth = true;
  // Loops are unrolled as long as the step has no more runs of ops than this.
  int64_t max_runs = 4'000'000;
};

// What is simulated. Vectors are by op, each either empty (the default) or of
// size num_ops; groups are 0 .. group_overhead.size() - 1.
struct StepInput {
  // Microseconds of each op alone on its device; of an op in a group, its part
  // of the group. Required.
  std::vector<float> micros;
  std::vector<int32_t> device;  // into machine.devices; empty: all 0
  std::vector<int32_t> group;   // -1: on its own
  std::vector<float>
      group_overhead;              // microseconds on top of the ops, by group
  std::vector<float> priority;     // higher first; empty: FIFO
  std::vector<uint8_t> recompute;  // as Plan::recompute
  std::vector<std::pair<int32_t, int32_t>> order;  // (before, after)
  int64_t turn_bytes = 0;  // as Plan::turn_bytes; ignored with groups
  bool timeline = false;   // fill Simulation::tasks and transfers
};

struct DeviceUse {
  double busy_micros = 0;  // at least one task was running
  double core_micros = 0;  // cores in use, over time
  int64_t tasks = 0;       // that took time
  // What is there throughout, and the most that was there at once (with it).
  int64_t resident_bytes = 0;
  int64_t peak_bytes = 0;
  double peak_at_micros = 0;   // when peak_bytes was reached first
  bool out_of_memory = false;  // peak_bytes > the device's memory_bytes
};

struct TaskSpan {
  int32_t op = -1;     // of a group, its first
  int32_t group = -1;  // -1: not a group
  int32_t run = 0;     // which run of the op, in a loop that is unrolled
  bool is_clone = false;
  int32_t device = 0;
  double start = 0, end = 0;  // microseconds
};

struct TransferSpan {
  int32_t op = 0, port = 0;  // the tensor; kControlPort: a control edge
  int32_t src = 0, dst = 0;  // devices
  int64_t bytes = 0;
  double start = 0, end = 0;  // on the link
};

struct Simulation {
  double micros = 0;  // the step
  bool out_of_memory = false;
  std::vector<DeviceUse> devices;  // as in the machine
  int64_t num_tasks = 0;
  int64_t num_transfers = 0;
  int64_t transfer_bytes = 0;
  double transfer_micros = 0;  // the links' busy times together
  // Results to be read with care: outputs whose size is not known count as
  // nothing, loops whose number of iterations is not known as run once.
  int64_t unknown_outputs = 0;
  int32_t loops_unrolled = 0;
  int32_t loops_run_once = 0;
  // Ops of a conditional's branches, of which a step runs those of one.
  int64_t ops_in_branches = 0;
  // In the order in which they ended; only if asked for. Tasks of no time are
  // left out.
  std::vector<TaskSpan> tasks;
  std::vector<TransferSpan> transfers;
};

struct StepFacts;  // step_facts.h

// What does not depend on the plan is worked out once. Immutable: Run may be
// called by several threads at once. Keeps references to graph and machine.
class Simulator {
 public:
  // Errors: what Machine::Validate finds; kInvalidArgument for an edge that
  // reads an output which its producer does not have.
  static StatusOr<Simulator> Create(const OpGraph& graph,
                                    const Machine& machine,
                                    const SimulatorOptions& options);

  // Errors: kInvalidArgument for vectors of the wrong size, times that are
  // negative or not finite, devices, groups or ops out of range, a group on
  // two devices or in a loop, and groups or an order that make an op wait for
  // itself. The message names the op. A graph without ops takes no time.
  StatusOr<Simulation> Run(const StepInput& input) const;

  // Run of each, on up to `threads` threads (0: one for each core). The results
  // do not depend on the number of threads.
  std::vector<StatusOr<Simulation>> RunAll(const std::vector<StepInput>& inputs,
                                           int32_t threads = 0) const;

 private:
  explicit Simulator(std::shared_ptr<const StepFacts> facts)
      : facts_(std::move(facts)) {}

  std::shared_ptr<const StepFacts> facts_;
};

}  // namespace grappler_go

#endif  // GRAPPLER_GO_SIM_SIMULATOR_H_
