"""Recomputation: which forward ops run again for the backward pass."""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from grappler_go_training.baselines.budget import Budget, Judge, energy
from grappler_go_training.baselines.problem import Problem

if TYPE_CHECKING:
    from grappler_go import Plan

_Bools = npt.NDArray[np.bool_]

# As in cc/plan/eligibility.cc (WhyNotRecomputed).
_NEVER_RECOMPUTED = (
    "preserved",
    "source",
    "sink",
    "constant",
    "control_flow",
    "in_loop",
    "conditional",
    "marked_by_user",
    "unknown_op",
    "has_subgraph",
    "random",
    "reads_variable",
    "writes_variable",
    "ref_typed",
    "stateful",
    "backward",
)
_SEGMENTS = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)


def sqrt_n(problem: Problem, budget: Budget, seed: int) -> "Plan":
    """The forward pass in √n segments; what crosses from one to the next is kept, the
    rest runs again.

    Source: Chen et al., "Training Deep Nets with Sublinear Memory Cost"
    (arXiv:1604.06174). n is the number of forward ops whose outputs the backward pass
    reads; segments have equal bytes, not equal numbers of layers; the last one is kept
    whole, as the backward pass begins with it.
    """
    plan = problem.plan("sqrt_n")
    recomputed = _segmented(problem, round(float(np.sqrt(_saved(problem).sum()))))
    if recomputed.any():
        plan.recompute = recomputed.astype(np.uint8)
    return plan


def budgeted(problem: Problem, budget: Budget, seed: int) -> "Plan":
    """As few segments as fit into the machine's memory; nothing where all fits already.

    Source: Chen et al. (as above), algorithm 3, which searches for the budget of a
    segment; ours tries fixed numbers of equal segments, each in the simulator, and takes
    the fastest that fits, or, where none does, the one that comes closest.
    """
    name = "budgeted"
    judge = Judge(problem.graph, problem.machine, budget)
    plans = [problem.plan(name)]
    as_it_stands = judge.simulate(plans)
    if not as_it_stands or not as_it_stands[0].out_of_memory:
        return plans[0]
    for segments in _SEGMENTS[: judge.left]:
        recomputed = _segmented(problem, segments)
        if recomputed.any():
            plan = problem.plan(name)
            plan.recompute = recomputed.astype(np.uint8)
            plans.append(plan)
    simulated = as_it_stands + judge.simulate(plans[1:])
    keys = [(one.out_of_memory, energy(one)) for one in simulated]
    return plans[min(range(len(keys)), key=keys.__getitem__)]


def _saved(problem: Problem) -> _Bools:
    """[num_ops] may run again, and a backward op reads it."""
    t = problem.tensors
    carries = t.dtype[t.edge_tensor] >= 0
    read = np.zeros(problem.graph.num_ops, bool)
    read[t.edge_src[carries & problem.backward[t.edge_dst]]] = True
    return read & ~problem.has_flag(*_NEVER_RECOMPUTED)


def _segmented(problem: Problem, segments: int) -> _Bools:
    """[num_ops] what runs again with so many segments; nothing for fewer than two."""
    count = problem.graph.num_ops
    eligible = ~problem.has_flag(*_NEVER_RECOMPUTED)
    if segments < 2 or not eligible.any():
        return np.zeros(count, bool)
    t = problem.tensors
    held = np.bincount(t.src, weights=t.bytes, minlength=count) * eligible
    before = np.cumsum(held) - held
    segment = np.minimum(segments - 1, before * segments // max(float(held.sum()), 1.0))
    carries = t.dtype[t.edge_tensor] >= 0
    src, dst = t.edge_src[carries], t.edge_dst[carries]
    later = eligible[src] & eligible[dst] & (segment[dst] > segment[src])
    again = eligible & (segment < segments - 1)
    again[src[later]] = False
    return _only_what_is_read(again, src, dst, problem.backward)


def _only_what_is_read(
    again: _Bools, src: npt.NDArray[np.int64], dst: npt.NDArray[np.int64], backward: _Bools
) -> _Bools:
    """Without ops that neither the backward pass nor one that runs again reads."""
    wanted = again.tolist()
    read = [False] * len(wanted)
    is_backward = backward.tolist()
    # By descending reader, so that a reader is settled before its inputs.
    for a, b in zip(src[::-1].tolist(), dst[::-1].tolist(), strict=True):
        if is_backward[b] or (wanted[b] and read[b]):
            read[a] = True
    return again & np.array(read, bool)
