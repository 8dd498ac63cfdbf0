// What a search over plans knows before it starts: which units of ops may be
// where, what each of them takes there, and what they hand to each other.
#ifndef GRAPPLER_GO_PLAN_SEARCH_SPACE_H_
#define GRAPPLER_GO_PLAN_SEARCH_SPACE_H_

#include <cstdint>
#include <vector>

#include "cc/base/status.h"
#include "cc/cost/machine.h"
#include "cc/graph/op_graph.h"
#include "cc/plan/build_plan.h"
#include "cc/plan/op_micros.h"
#include "cc/schema/logits.h"

namespace grappler_go {

// Numbers that do not depend on the standard library (splitmix64; Steele, Lea
// and Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014).
class SearchRandom {
 public:
  explicit SearchRandom(uint64_t seed) : state_(seed) {}
  uint64_t Next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  // In [0, 1).
  double Uniform() { return static_cast<double>(Next() >> 11) * 0x1p-53; }
  // In [0, count), count > 0.
  int32_t Below(int32_t count) {
    return static_cast<int32_t>(Uniform() * count);
  }

 private:
  uint64_t state_;
};

// Numbers by row: of row r, values[first[r]] .. values[first[r + 1] - 1].
struct IntRows {
  std::vector<int32_t> first = {0};
  std::vector<int32_t> values;

  int32_t size() const { return static_cast<int32_t>(first.size()) - 1; }
  Span<int32_t> operator[](int32_t row) const {
    return {values.data() + first[row],
            static_cast<size_t>(first[row + 1] - first[row])};
  }
  void EndRow() { first.push_back(static_cast<int32_t>(values.size())); }
};

// Units are those of placement.h, numbered 0 .. num_units - 1 by their first
// ops.
struct SearchSpace {
  const OpGraph* graph = nullptr;
  const Machine* machine = nullptr;
  const Logits* logits = nullptr;
  PlanOptions options;
  int32_t num_units = 0, num_devices = 0;

  std::vector<int32_t> unit_of;  // [num_ops]
  std::vector<int32_t> stands;   // [num_ops] its device in the graph, or 0
  std::vector<uint8_t> pinned;   // [num_units] no plan may name a device for it
  // [num_units] where it is when nothing is done: UndecidedDevice, or 0.
  std::vector<int32_t> home;
  // [num_units] the devices it may be on. With free state its accelerators, as
  // far as it may be on any: GO's actions are its GPUs, too.
  IntRows choices;
  std::vector<int32_t> movable;  // units with more than one choice
  // [num_units, num_devices] what the policy says, the mean of its ops; empty:
  // it says nothing.
  std::vector<float> score;

  // Devices of one kind have equal rates. By kind: what ops take.
  std::vector<int32_t> kind;      // [num_devices]
  std::vector<OpMicros> by_kind;  // [num_kinds]
  std::vector<float> micros;      // [num_units, num_devices] all of its ops
  // [num_units] bytes that are there throughout, and those of all outputs.
  std::vector<double> resident_bytes, output_bytes;
  // [num_units] depth of its work in the graph, where an op of the backward
  // pass counts as deep as the forward op that it reads.
  std::vector<float> depth;
  std::vector<int32_t> by_depth;  // units, the least deep first

  // [num_ops] may become a part of a kernel on an accelerator; with free state
  // and PlanOptions::fusion only, else empty. And those of them that the policy
  // would not leave alone; empty: it says nothing of fusion.
  std::vector<uint8_t> fuses, policy_fuses;

  // What is handed from one unit to others: tensors and, of no bytes, control
  // edges. Of each the op that makes it and which of its outputs it is, that
  // op's unit, its bytes, and the units that read it, once each.
  std::vector<int32_t> tensor_op, tensor_port, tensor_unit;
  std::vector<double> tensor_bytes;
  IntRows tensor_readers;

  // [num_devices, num_devices]; 0 on the diagonal. With what a transfer takes
  // of the CPUs at its ends.
  std::vector<double> latency_micros, micros_per_byte;
  double mean_latency = 0, mean_per_byte = 0;  // over pairs of devices

  bool free_state() const { return options.free_state; }
  double LinkMicros(int32_t src, int32_t dst, double bytes) const {
    const size_t at = static_cast<size_t>(src) * num_devices + dst;
    return latency_micros[at] + bytes * micros_per_byte[at];
  }
  bool MayBeOn(int32_t unit, int32_t device) const;
};

// Those that some unit has a choice of.
std::vector<int32_t> UsedDevices(const SearchSpace& space);

// Everything must outlive the result. Errors: what Machine::Validate finds.
StatusOr<SearchSpace> MakeSearchSpace(const OpGraph& graph,
                                      const Machine& machine,
                                      const Logits& logits,
                                      const PlanOptions& options);

}  // namespace grappler_go

#endif  // GRAPPLER_GO_PLAN_SEARCH_SPACE_H_
