"""Baechi's placers: m-TOPO, m-ETF and m-SCT.

Source of all three: Jeon et al., "Baechi: Fast Device Placement of Machine Learning
Graphs" (SoCC 2020) and github.com/beomyeol/baechi. Where all of ours differ: the memory
of an op is what it holds at the step's peak on one device (Problem.unit_bytes), and each
device keeps room for what comes and goes (Problem.passing_bytes), where theirs is the sum
of what it allocates; a unit that fits nowhere goes where most is left instead of failing,
and the simulator then reports out of memory; transfers wait for others on the same link,
where theirs wait for all others of either device; what is placed as one (coplace.py) is
not fused to one op as well.
"""

import heapq
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from grappler_go_training.baselines import sct_lp
from grappler_go_training.baselines.budget import Budget
from grappler_go_training.baselines.coplace import CoplacedProblem
from grappler_go_training.baselines.list_schedule import Schedule, upward_ranks
from grappler_go_training.baselines.problem import Problem

if TYPE_CHECKING:
    from grappler_go import Plan


def m_topo(problem: Problem, budget: Budget, seed: int) -> "Plan":
    """Units in topological order fill one device after the other with equal memory.

    A device is full at the sum of all units over the number of devices, plus the largest
    unit, or at its own memory where that is less. Where no byte is known (shapes are
    not), microseconds are shared out instead.

    Source: m-TOPO of Baechi (Jeon et al., SoCC 2020).
    """
    problem = CoplacedProblem(problem)
    weight = problem.unit_bytes
    limits = problem.memory_bytes
    passing = problem.passing_bytes
    if not weight.any():
        weight = problem.unit_mean_micros
        limits = np.full(problem.num_devices, np.inf)
        passing = 0.0
    device_of = problem.unit_home.copy()
    movable = np.zeros(problem.num_units, bool)
    movable[problem.movable] = True
    used = np.bincount(
        problem.unit_home[~movable], weights=weight[~movable], minlength=problem.num_devices
    )
    largest = weight[movable].max(initial=0.0)
    targets = problem.targets.tolist()
    fair = weight.sum() / len(targets)
    share = np.minimum(limits, np.maximum(fair, np.minimum(limits - passing, fair + largest)))
    place = 0  # among the targets
    # Variables come first in a graph; where a unit belongs says its first op with an input.
    reads = np.diff(problem.tensors.in_ptr) > 0
    first = problem.first_op + problem.graph.num_ops
    np.minimum.at(first, problem.unit_of[reads], np.flatnonzero(reads))
    order = problem.movable[np.argsort(first[problem.movable], kind="stable")]
    for unit in order.tolist():
        allowed = problem.allowed[unit]
        while place < len(targets) - 1 and (
            used[targets[place]] + weight[unit] > share[targets[place]]
        ):
            place += 1
        device = targets[place]
        if not allowed[device]:
            free = np.where(allowed, share - used, -np.inf)
            device = int(free.argmax())
        device_of[unit] = device
        used[device] += weight[unit]
    return problem.placed(device_of, "m_topo")


def m_etf(problem: Problem, budget: Budget, seed: int) -> "Plan":
    """Of all ready ops and devices, the pair that can start earliest comes next.

    Source: Baechi's memory-limited form of Hwang et al., "Scheduling Precedence Graphs in Systems
    with Interprocessor Communication Times" (SIAM J. Comput. 1989). Among pairs that can
    start at once, the op with the longest path to the end comes first, as in Hwang et
    al.; Baechi takes them as they come.
    """
    problem = CoplacedProblem(problem)
    return problem.placed(_earliest_start_first(problem, None), "m_etf")


def m_sct(problem: Problem, budget: Budget, seed: int) -> "Plan":
    """As m-ETF, and a device is kept for the favourite child of the op it ran last.

    Source: Baechi's memory-limited form of Hanen and Munier, "An approximation algorithm for
    scheduling dependent tasks on m processors with small communication delays" (1995). A
    linear program, solved by HiGHS, says which child of an op should follow it without a
    transfer (sct_lp.py, which says what is done for graphs too large for that). The
    device is kept until the child's data would have reached any other; an op that could
    start now wherever it is put may take it meanwhile. We look for such an op only at
    the head of the device's queue.

    SCT assumes that no transfer takes longer than an op. Where ops are much shorter, as
    the element-wise ones of a recurrent network are, devices are kept idle for them and
    m-ETF does better; Baechi fuses ops before it comes to that.
    """
    problem = CoplacedProblem(problem)
    favourite = sct_lp.favourite_children(problem)
    return problem.placed(_earliest_start_first(problem, favourite), "m_sct")


class _Queue:
    """The ready ops of one device: those whose data is there by priority, the others by
    when it will be. An op is in the queues of all devices it may be placed on."""

    def __init__(self, ranks: Sequence[float]) -> None:
        self._ranks = ranks
        self._waiting: list[tuple[float, int]] = []
        self._here: list[tuple[float, int, float]] = []

    def push(self, op: int, data_ready: float) -> None:
        heapq.heappush(self._waiting, (data_ready, op))

    def first(self, now: float, placed: Sequence[int]) -> tuple[int, float] | None:
        """(op, when its data is there) of the op to run next on a device that is free
        from `now` on; None when there is none."""
        while self._waiting and self._waiting[0][0] <= now:
            ready, op = heapq.heappop(self._waiting)
            if placed[op] < 0:
                heapq.heappush(self._here, (-self._ranks[op], op, ready))
        while self._here and placed[self._here[0][1]] >= 0:
            heapq.heappop(self._here)
        if self._here:
            return self._here[0][1], self._here[0][2]
        while self._waiting and placed[self._waiting[0][1]] >= 0:
            heapq.heappop(self._waiting)
        return (self._waiting[0][1], self._waiting[0][0]) if self._waiting else None

    def drop_first(self) -> None:
        """Forgets what first() returned last."""
        if self._here:
            heapq.heappop(self._here)
        else:
            heapq.heappop(self._waiting)


class _EarliestStart:
    """The loop that m-ETF and m-SCT share."""

    def __init__(self, problem: Problem, favourite: Sequence[int] | None) -> None:
        self._problem = problem
        self._favourite = favourite
        self._schedule = Schedule(problem)
        ranks = upward_ranks(problem).tolist()
        self._queues = [_Queue(ranks) for _ in range(problem.num_devices)]
        tensors = problem.tensors
        # Producers that are still to be placed, by op; sources follow their readers.
        follows = self._schedule.follows_reader
        waits = ~np.array(follows, bool)[tensors.edge_src]
        self._missing = np.bincount(
            tensors.edge_dst[waits], minlength=problem.graph.num_ops
        ).tolist()
        by_src = np.argsort(tensors.edge_src, kind="stable")
        self._out_ptr = np.searchsorted(
            tensors.edge_src[by_src], np.arange(problem.graph.num_ops + 1)
        ).tolist()
        self._out_dst = tensors.edge_dst[by_src].tolist()
        self._out_bytes = tensors.bytes[tensors.edge_tensor[by_src]].tolist()
        # By op, the latest arrival of its data on any device; set when it is ready.
        self._everywhere_at = [0.0] * problem.graph.num_ops
        # By device: (the favourite child it is kept for, until when).
        self._kept: list[tuple[int, float] | None] = [None] * problem.num_devices

    def run(self) -> list[int]:
        """The device of each unit."""
        schedule = self._schedule
        for op, missing in enumerate(self._missing):
            if missing == 0 and not schedule.follows_reader[op]:
                self._becomes_ready(op)
        for _ in range(schedule.follows_reader.count(False)):
            op, device = self._next()
            schedule.place(op, device)
            for number, kept in enumerate(self._kept):
                if kept is not None and kept[0] == op:
                    self._kept[number] = None
            self._keep_for_favourite(op, device)
            for k in range(self._out_ptr[op], self._out_ptr[op + 1]):
                child = self._out_dst[k]
                self._missing[child] -= 1
                if self._missing[child] == 0:
                    self._becomes_ready(child)
        return schedule.finished()

    def _becomes_ready(self, op: int) -> None:
        latest = 0.0
        for device in self._schedule.choices(op):
            ready = self._schedule.data_ready(op, device)
            latest = max(latest, ready)
            self._queues[device].push(op, ready)
        self._everywhere_at[op] = latest

    def _next(self) -> tuple[int, int]:
        """(op, device) of the pair that can start earliest."""
        while True:
            best: tuple[float, float, int, int] | None = None
            for device, queue in enumerate(self._queues):
                kept = self._kept[device]
                if kept is not None and self._missing[kept[0]] == 0:
                    ready = self._schedule.data_ready(kept[0], device)
                    start = self._start(kept[0], device, ready)
                    if best is None or (start, ready, device, kept[0]) < best:
                        best = (start, ready, device, kept[0])
                first = queue.first(self._schedule.free_at[device], self._schedule.device_of)
                if first is None:
                    continue
                op, ready = first
                start = self._start(op, device, ready)
                # Among equal starts, the device that has the data first.
                key = (start, ready, device, op)
                if best is None or key < best:
                    best = key
            assert best is not None, "a graph without cycles always has a ready op"
            start, _, device, op = best
            choices = self._schedule.choices(op)
            kept = self._kept[device]
            if device in choices:
                now = self._schedule.data_ready(op, device)
                if kept is not None and kept[0] == op:
                    return op, device
                if self._start(op, device, now) <= start:
                    return op, device
                # Others have taken the link since.
                self._queues[device].drop_first()
                self._queues[device].push(op, now)
                continue
            # Its unit has gone elsewhere, or the memory here, since it became ready.
            if kept is not None and kept[0] == op:
                self._kept[device] = None
            else:
                self._queues[device].drop_first()
            for other in choices:
                self._queues[other].push(op, self._schedule.data_ready(op, other))

    def _start(self, op: int, device: int, ready: float) -> float:
        if self._schedule.micros(op, device) == 0:
            return ready
        start = max(ready, self._schedule.free_at[device])
        kept = self._kept[device]
        if kept is None or kept[0] == op or self._everywhere_at[op] <= start:
            return start
        return max(start, kept[1])

    def _keep_for_favourite(self, op: int, device: int) -> None:
        if self._favourite is None:
            return
        child = self._favourite[op]
        if child < 0 or self._schedule.device_of[child] >= 0:
            return
        unit = self._schedule.device_of_unit[self._schedule.unit_of(child)]
        if unit not in (-1, device):
            return
        nbytes = next(
            self._out_bytes[k]
            for k in range(self._out_ptr[op], self._out_ptr[op + 1])
            if self._out_dst[k] == child
        )
        others = [d for d in range(self._schedule.num_devices) if d != device]
        delay = min(
            (self._schedule.transfer_micros(nbytes, device, other) for other in others),
            default=0.0,
        )
        self._kept[device] = (child, self._schedule.end[op] + delay)


def _earliest_start_first(problem: Problem, favourite: Sequence[int] | None) -> list[int]:
    return _EarliestStart(problem, favourite).run()
