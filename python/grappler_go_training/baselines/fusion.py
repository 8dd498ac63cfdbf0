"""Fusion: which ops XLA compiles as one group. Devices are those of the graph, with free
state those where TensorFlow's placer would put the ops: then groups are on GPUs, too
(cc/plan/group_kernels.h)."""

import heapq
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

import grappler_go
from grappler_go import native
from grappler_go_training.baselines.budget import Budget
from grappler_go_training.baselines.contraction import Contraction
from grappler_go_training.baselines.problem import Problem

if TYPE_CHECKING:
    from grappler_go import Plan

_Bools = npt.NDArray[np.bool_]

# tf_xla_min_cluster_size (tensorflow/compiler/jit/flags.cc).
_MIN_CLUSTER = 4
# What a tensor costs that crosses a group's boundary on a CPU, for which merge comes first
# only: handing it over, and a byte of it taken anew. As in cc/plan/build_plan.h. On a GPU
# it is a kernel's launch and the memory traffic.
_TENSOR_MICROS = 5.0
_BYTE_MICROS = 120e-6
# Reasons (cc/plan/reason.cc) with which an op is left out that could be compiled.
_ONLY_UNPROFITABLE = (
    "",
    "group too small",
    "group does not pay",
    "plan does not pay",
    "slower when compiled",
)


def no_fusion(problem: Problem, budget: Budget, seed: int) -> "Plan":
    """Every op runs by itself; decides nothing.

    Source: the reference of GO's Table 3. Ops that TensorFlow's remapper made
    (_FusedMatMul) are in the graph already and stay.
    """
    return problem.plan("no_fusion")


def auto_clustering(problem: Problem, budget: Budget, seed: int) -> "Plan":
    """Everything that XLA can compile, in groups as large as the graph allows.

    Source: tensorflow/compiler/jit/mark_for_compilation_pass.cc, as with
    TF_XLA_FLAGS=--tf_xla_auto_jit=2: no cost is looked at, and a cluster has at least 4
    ops. We differ in that groups are made by depth (cc/plan/fusion_groups.h), and that
    an op TensorFlow would compile anew for each shape stays out.
    """
    plan = problem.plan("auto_clustering")
    everything, _ = _clustered(problem, _MIN_CLUSTER)
    if everything is not None:
        plan.fusion_group = everything
    return plan


def topological_fusion(problem: Problem, budget: Budget, seed: int) -> "Plan":
    """In topological order, a forward op joins one of its producers, a backward op one
    of its consumers.

    Source: "default fusion" in GO and in "Learning to Fuse" (Abdolrashidi et al., ML for
    Systems at NeurIPS 2019). Which producer or consumer is not said there: ours is the
    first in the order of edges with which the graph stays acyclic. Nor is the largest
    number of ops in a group said: ours has no limit. No cost is looked at.
    """
    merger = _Merger(problem)
    t = problem.tensors
    out = np.argsort(t.edge_src, kind="stable")
    out_ptr = np.searchsorted(t.edge_src[out], np.arange(problem.graph.num_ops + 1)).tolist()
    out_dst = t.edge_dst[out].tolist()
    in_ptr, in_src = t.in_ptr.tolist(), t.edge_src.tolist()
    backward = problem.backward.tolist()
    for op in np.flatnonzero(merger.candidates).tolist():
        if backward[op]:
            pairs = [(op, out_dst[k]) for k in range(out_ptr[op], out_ptr[op + 1])]
        else:
            pairs = [(in_src[k], op) for k in range(in_ptr[op], in_ptr[op + 1])]
        for producer, consumer in pairs:
            if merger.merge(producer, consumer):
                break
    plan = problem.plan("topological_fusion")
    merger.write(plan, merger.groups())
    return plan


def priority_fusion(problem: Problem, budget: Budget, seed: int) -> "Plan":
    """The merge that saves most comes first; what is saved is looked at again after each.

    Source: XLA:GPU's PriorityFusion (openxla/xla, xla/service/gpu/transforms/
    priority_fusion.cc). We differ in what is merged: clusters of TensorFlow ops and not
    HLO instructions, so that a producer joins one consumer at a time and is never
    duplicated. What a merge saves is what the tensors between the two cost as inputs and
    outputs of groups. In the end a group stays only if the simulator's cost of it is less
    than that of its ops alone.
    """
    merger = _Merger(problem)
    saved = merger.savings()
    queue = [
        (-micros, producer, consumer)
        for producer, consumers in saved.items()
        for consumer, micros in consumers.items()
    ]
    heapq.heapify(queue)
    producers: dict[int, set[int]] = {}
    for producer, consumers in saved.items():
        for consumer in consumers:
            producers.setdefault(consumer, set()).add(producer)
    while queue:
        negative, producer, consumer = heapq.heappop(queue)
        if saved.get(producer, {}).get(consumer) != -negative:
            continue  # merged or raised since
        del saved[producer][consumer]
        producers[consumer].discard(producer)
        merged = merger.join(producer, consumer)
        if merged < 0:
            continue
        gone = producer if merged == consumer else consumer
        for other, micros in saved.pop(gone, {}).items():
            producers[other].discard(gone)
            _raise(saved, producers, queue, merged, other, micros)
        for other in producers.pop(gone, set()):
            micros = saved[other].pop(gone)
            _raise(saved, producers, queue, other, merged, micros)
    plan = problem.plan("priority_fusion")
    merger.write(plan, merger.groups())
    return _without_losses(problem, plan)


def _raise(
    saved: dict[int, dict[int, float]],
    producers: dict[int, set[int]],
    queue: list[tuple[float, int, int]],
    producer: int,
    consumer: int,
    micros: float,
) -> None:
    if producer == consumer:
        return
    consumers = saved.setdefault(producer, {})
    consumers[consumer] = consumers.get(consumer, 0.0) + micros
    producers.setdefault(consumer, set()).add(producer)
    heapq.heappush(queue, (-consumers[consumer], producer, consumer))


def _clustered(problem: Problem, min_ops: int) -> tuple[npt.NDArray[np.int32] | None, _Bools]:
    """(groups of everything that may be compiled, [num_ops] what may be). The core
    decides both, told that compiling is free and always pays."""
    count = problem.graph.num_ops
    if count == 0:
        return None, np.zeros(0, bool)
    names = {name for name in problem.graph.devices if name}
    cpu = {"name": min(names, default="/device:CPU:0"), "type": "CPU"}
    options: Mapping[str, Any] = {
        "device": False,
        "memory": False,
        "min_gain": 0.0,
        "min_group_ops": min_ops,
        "compile_budget_s": 1e9,
        "group_launch_micros": 0.0,
        "group_tensor_micros": 0.0,
        "group_output_micros_per_mb": 0.0,
    }
    scores = {
        "fusion": np.ones(count, np.float32),
        "op_micros": np.ones(count, np.float32),
        "fused_micros": np.zeros(count, np.float32),
    }
    machine = grappler_go.Machine("any CPU", devices=[cpu])
    plan, why = native.core().build_plan(problem.graph, machine, scores, options)
    reasons = why["per_op"] or [""] * count
    candidates = np.array([reason in _ONLY_UNPROFITABLE for reason in reasons], bool)
    return plan.fusion_group, candidates


class _Merger:
    """Merges candidates, on one device each, and writes what came of it.

    No write of a variable leads to a read within a group: XLA reads all variables when a
    group starts and writes them when it ends (tensorflow/compiler/jit/
    resource_operation_safety_analysis.cc).

    Attributes:
      candidates: [num_ops] may be in a group.
      contraction: groups are its nodes.
    """

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        _, self.candidates = _clustered(problem, 1)
        self.contraction = Contraction(problem)
        self._may = self.candidates.tolist()
        self._home = problem.home.tolist()
        # By node: an op of it reads, or writes, some variable.
        self._reads = problem.has_flag("reads_variable").tolist()
        self._writes = problem.has_flag("writes_variable").tolist()

    def may(self, producer: int, consumer: int) -> bool:
        return (
            self._may[producer]
            and self._may[consumer]
            and self._home[producer] == self._home[consumer]
        )

    def merge(self, producer: int, consumer: int) -> bool:
        """Merges the groups of two ops, of which the second reads the first."""
        if not self.may(producer, consumer):
            return False
        a, b = self.contraction.find(producer), self.contraction.find(consumer)
        return a != b and self.join(a, b) >= 0

    def join(self, producer: int, consumer: int) -> int:
        """Merges two nodes; as Contraction.merge()."""
        if self._writes[producer] and self._reads[consumer]:
            return -1
        merged = self.contraction.merge(producer, consumer)
        if merged >= 0:
            self._reads[merged] = self._reads[producer] or self._reads[consumer]
            self._writes[merged] = self._writes[producer] or self._writes[consumer]
        return merged

    def savings(self) -> dict[int, dict[int, float]]:
        """Producer -> consumer -> microseconds that merging the two saves, of all pairs
        that may be merged and hand over a tensor."""
        t = self._problem.tensors
        devices = self._problem.machine.devices
        home = self._problem.home[t.src] if len(t.src) else np.zeros(0, np.int64)
        on_cpu = np.array([device["type"] == "CPU" for device in devices])[home]
        dispatch = np.array([device["dispatch_us"] for device in devices])[home]
        slowest = min(device["gbytes_per_s"] for device in devices)
        bandwidth = np.array([device["gbytes_per_s"] for device in devices])[home]
        readers = np.bincount(t.edge_tensor, minlength=len(t.src))
        into = np.where(on_cpu, _TENSOR_MICROS, dispatch) + t.bytes * 1e-3 / np.where(
            on_cpu, slowest, bandwidth
        )
        # The producer's part is saved when all readers have joined.
        anew = np.where(on_cpu, _BYTE_MICROS, 0.0)
        out_of = (into + t.bytes * anew) / np.maximum(readers, 1)
        micros = np.where(t.dtype >= 0, into + out_of, 0.0)[t.edge_tensor]
        saved: dict[int, dict[int, float]] = {}
        for src, dst, one in zip(
            t.edge_src.tolist(), t.edge_dst.tolist(), micros.tolist(), strict=True
        ):
            if one > 0 and self.may(src, dst):
                consumers = saved.setdefault(src, {})
                consumers[dst] = consumers.get(dst, 0.0) + one
        return saved

    def groups(self) -> npt.NDArray[np.int32]:
        """[num_ops] groups of two ops or more."""
        roots = np.array([self.contraction.find(op) for op in range(len(self._may))], np.int64)
        if len(roots) == 0:
            return np.zeros(0, np.int32)
        sizes = np.bincount(roots, minlength=len(roots))
        large = np.flatnonzero(sizes >= 2)
        number = np.full(len(roots), -1, np.int32)
        number[large] = np.arange(len(large))
        return number[roots]

    def write(self, plan: "Plan", groups: npt.NDArray[np.int32]) -> None:
        if (groups >= 0).any():
            plan.fusion_group = groups


def _without_losses(problem: Problem, plan: "Plan") -> "Plan":
    """The plan without groups that the simulator takes longer for than for their ops."""
    groups = plan.fusion_group
    if groups is None:
        return plan
    step = grappler_go.simulate(
        problem.graph, plan, problem.machine, timeline=True, inter_op_threads=1
    )
    assert step.timeline is not None
    tasks = step.timeline.tasks
    grouped = tasks["group"] >= 0
    as_one = np.bincount(
        tasks["group"][grouped],
        weights=(tasks["end"] - tasks["start"])[grouped],
        minlength=plan.num_groups,
    )
    here = groups >= 0
    ops = np.arange(len(groups))[here]
    alone = np.bincount(
        groups[here],
        weights=problem.micros[ops, problem.home[here]],
        minlength=plan.num_groups,
    )
    pays = np.flatnonzero(as_one < alone)
    number = np.full(plan.num_groups + 1, -1, np.int32)  # the last one for -1
    number[pays] = np.arange(len(pays))
    kept = number[groups]
    plan.fusion_group = kept if (kept >= 0).any() else None
    return plan
