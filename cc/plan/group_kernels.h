// What a fusion group costs on a GPU, where XLA makes kernels of it.
//
// XLA's GPU backend compiles what its CPU backend does: the tf2xla kernels are
// registered for all backends, and GpuOpFilter (tensorflow/compiler/tf2xla/
// xla_gpu_backend.cc) refuses random numbers only, which no group of ours has.
// Within a compiled cluster
// - element-wise ops, copies and views that feed each other become one loop,
//   and a reduction takes in what feeds it but is not taken in by its readers
//   (xla/service/gpu/gpu_fusible.cc): one launch, and memory traffic for what
//   enters and leaves that kernel only;
// - products, convolutions and all others keep a kernel of their own (cuBLAS,
//   cuDNN) and cost what they cost alone.
// What TensorFlow does on the host to start a cluster is hidden behind the
// kernels that run meanwhile, and is not counted. Kernels that do not feed each
// other stay apart: neither horizontal nor multi-output fusion is modelled.
#ifndef GRAPPLER_GO_PLAN_GROUP_KERNELS_H_
#define GRAPPLER_GO_PLAN_GROUP_KERNELS_H_

#include <cstdint>
#include <vector>

#include "cc/cost/machine.h"
#include "cc/graph/op_graph.h"

namespace grappler_go {

// Do ops of this class become a part of a kernel that has others in it?
bool FusesOnGpu(OpClass op_class);

struct GroupKernels {
  // [num_ops] the kernel of each op, numbered by their first ops; -1: its own,
  // or not in a group.
  std::vector<int32_t> of_op;
  // [num_kernels] bytes read from memory and written to it.
  std::vector<double> bytes;
  std::vector<int32_t> first_op;  // [num_kernels]
};

// `group`: by op, -1 for none; contracting each leaves the graph acyclic.
GroupKernels KernelsOf(const OpGraph& graph, const std::vector<int32_t>& group);

// Adds to overhead[g], for each group on an accelerator, what its kernels take
// beside `compiled` ([num_ops], what each op computes): a launch each, and as
// much longer as their memory traffic takes than that. `device`: by op, of the
// machine's.
void AddKernelMicros(const OpGraph& graph, const Machine& machine,
                     const std::vector<int32_t>& device, const float* compiled,
                     const std::vector<int32_t>& group,
                     std::vector<float>* overhead);

}  // namespace grappler_go

#endif  // GRAPPLER_GO_PLAN_GROUP_KERNELS_H_
