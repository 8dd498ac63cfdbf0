"""Order: which of the ops that are ready runs first, kept by control edges.

A plan has no priorities, only pairs of ops of which one waits for the other. So a step
is scheduled with the wanted queues, one op at a time on each device, and its order is
kept: each op waits for the one that started before it there, on a device of several
cores for the one that started as many places before.
"""

import heapq
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from grappler_go_training.baselines.budget import Budget
from grappler_go_training.baselines.list_schedule import upward_ranks
from grappler_go_training.baselines.problem import Problem

if TYPE_CHECKING:
    from grappler_go import Plan

# Ops that no control edge may start or end at (cc/plan/plan.cc, cc/rewrite/order.cc).
_NEVER_ORDERED = ("in_loop", "conditional", "control_flow", "source", "sink")


def fifo(problem: Problem, budget: Budget, seed: int) -> "Plan":
    """First come, first served: TensorFlow's own order; decides nothing.

    Source: GO's default scheduler; FIFOManager in tensorflow/core/grappler/costs/
    virtual_scheduler.h.
    """
    return problem.plan("fifo")


def lifo(problem: Problem, budget: Budget, seed: int) -> "Plan":
    """Of the ready ops, the one that became ready last.

    Source: LIFOManager in tensorflow/core/grappler/costs/virtual_scheduler.h. It runs
    depth first, which tends to need less memory.
    """
    return _ordered(problem, "lifo", lambda op, arrival: -arrival)


def critical_path(problem: Problem, budget: Budget, seed: int) -> "Plan":
    """Of the ready ops, the one with the longest path to the end of the step.

    Source: Graham's list scheduling by bottom levels, as in Kwok and Ahmad, "Static
    Scheduling Algorithms for Allocating Directed Task Graphs to Multiprocessors" (ACM
    Computing Surveys 1999). Transfers count as if between the mean pair of devices,
    where the graph stands on several.
    """
    across = len(np.unique(problem.home)) > 1
    ranks = upward_ranks(problem, transfers=across).tolist()
    return _ordered(problem, "critical_path", lambda op, arrival: -ranks[op])


def _ordered(problem: Problem, name: str, key: Callable[[int, int], float]) -> "Plan":
    plan = problem.plan(name)
    orderable = (~problem.has_flag(*_NEVER_ORDERED)).tolist()
    edges: list[tuple[int, int]] = []
    for device, ops in enumerate(_schedule(problem, key)):
        apart = max(1, problem.machine.devices[device]["cores"])
        kept = [op for op in ops if orderable[op]]
        edges += zip(kept, kept[apart:], strict=False)
    plan.order = edges
    return plan


def _schedule(problem: Problem, key: Callable[[int, int], float]) -> list[list[int]]:
    """By device, the ops that take time in the order in which they start. The lowest
    key(op, how many came before it) runs first."""
    count = problem.graph.num_ops
    t = problem.tensors
    by_src = np.argsort(t.edge_src, kind="stable")
    out_ptr = np.searchsorted(t.edge_src[by_src], np.arange(count + 1)).tolist()
    readers = t.edge_dst[by_src].tolist()
    nbytes = t.bytes[t.edge_tensor[by_src]].tolist()
    missing = np.diff(t.in_ptr).tolist()
    home = problem.home.tolist()
    micros = problem.micros[np.arange(count), problem.home].tolist()
    latency, per_byte = (table.tolist() for table in problem.links)
    ready_at = [0.0] * count
    queues: list[list[tuple[float, int, int]]] = [[] for _ in range(problem.num_devices)]
    busy = [False] * problem.num_devices
    started: list[list[int]] = [[] for _ in range(problem.num_devices)]
    arrivals = 0
    # (when, 0: an op has ended, 1: it is ready, op). Ends come first, so that what they
    # make ready is there when the next op is chosen.
    events = [(0.0, 1, op) for op in range(count) if missing[op] == 0]
    heapq.heapify(events)
    while events:
        now = events[0][0]
        while events and events[0][0] == now:
            _, kind, op = heapq.heappop(events)
            device = home[op]
            if kind == 1 and micros[op] > 0:
                heapq.heappush(queues[device], (key(op, arrivals), arrivals, op))
                arrivals += 1
                continue
            if micros[op] > 0:
                busy[device] = False
            for k in range(out_ptr[op], out_ptr[op + 1]):
                reader = readers[k]
                there = home[reader]
                at = now
                if there != device:
                    at += latency[device][there] + nbytes[k] * per_byte[device][there]
                ready_at[reader] = max(ready_at[reader], at)
                missing[reader] -= 1
                if missing[reader] == 0:
                    heapq.heappush(events, (ready_at[reader], 1, reader))
        for device, queue in enumerate(queues):
            if queue and not busy[device]:
                _, _, op = heapq.heappop(queue)
                busy[device] = True
                started[device].append(op)
                heapq.heappush(events, (now + micros[op], 0, op))
    return started
