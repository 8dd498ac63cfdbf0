"""Critical-path list scheduling."""

from typing import TYPE_CHECKING

import numpy as np

from grappler_go_training.baselines.budget import Budget
from grappler_go_training.baselines.list_schedule import Schedule, upward_ranks
from grappler_go_training.baselines.problem import Problem

if TYPE_CHECKING:
    from grappler_go import Plan


def heft(problem: Problem, budget: Budget, seed: int) -> "Plan":
    """Ops by the length of the longest path to the end, each where it ends earliest.

    Source: Topcuoglu, Hariri and Wu, "Performance-Effective and Low-Complexity Task
    Scheduling for Heterogeneous Computing" (IEEE TPDS 2002), HEFT. We differ in that ops
    of one unit share a device, which the first of them chooses; that a device without
    memory for the unit is passed over; that a link carries one transfer at a time, as in
    Sinnen and Sousa, "Communication Contention in Task Scheduling" (IEEE TPDS 2005); and
    that an op never goes into a gap before ops that are scheduled already (no insertion).
    """
    schedule = Schedule(problem)
    ranks = upward_ranks(problem)
    # Ops are numbered in topological order, so a stable sort keeps that order among ops
    # of equal rank: an op of no time and its reader.
    for op in np.argsort(-ranks, kind="stable").tolist():
        if schedule.follows_reader[op]:
            continue
        best, best_end = -1, np.inf
        for device in schedule.choices(op):
            start = schedule.data_ready(op, device)
            micros = schedule.micros(op, device)
            if micros > 0:
                start = max(start, schedule.free_at[device])
            if start + micros < best_end:
                best, best_end = device, start + micros
        schedule.place(op, best)
    return problem.placed(schedule.finished(), "heft")
