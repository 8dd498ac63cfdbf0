"""One decision after another, where the joint search weighs them against each other: what the
paper calls pl|sch|fu (section 4.4, "three separate GOs")."""

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

import grappler_go
from grappler_go.captured import CapturedGraph
from grappler_go_training import baselines
from grappler_go_training.go.environment import Case, restricted
from grappler_go_training.go.teacher import critical_path_priority
from grappler_go_training.policy_results import SEQUENTIAL

if TYPE_CHECKING:
    from grappler_go import Plan

# Searches a case for so many plans.
Search = Callable[[Case, int], "Plan"]


def sequential(case: Case, plans: int, search: Search) -> tuple["Plan", float, bool]:
    """Devices first, by half of the plans; then groups, for these devices; then the order of
    ready ops, first come, first served or by critical path, whichever is faster.

    The order is that of the paper's figure. A placement is searched for as if nothing were
    fused, so that what would only pay together is not found.

    Args:
      case: with everything that it decides; memory is left alone.
      plans: 4 or more, that may be simulated in all.
      search: finds the best plan of a case within so many plans.

    Returns:
      (the plan, microseconds of its step, whether it is out of memory).
    """
    placed_by = search(restricted(case, ("device",)), plans // 2)
    placed = with_devices(case, placed_by)
    plan = case.problem.plan(SEQUENTIAL)
    plan.device = placed_by.device
    if "fusion" in case.tasks:
        fused = search(restricted(placed, ("fusion",)), plans - plans // 2 - 2)
        plan.fusion_group = fused.fusion_group
    best = _judged(case, plan, None)
    if "schedule" in case.tasks:
        best = min(best, _judged(case, plan, critical_path_priority(placed.problem)))
    out_of_memory, step_us = best
    return plan, step_us, out_of_memory


def _judged(case: Case, plan: "Plan", priority: "np.ndarray | None") -> tuple[bool, float]:
    step = grappler_go.simulate(case.graph, plan, case.target.machine, priority=priority)
    return step.out_of_memory, 1e3 * step.step_ms


def with_devices(case: Case, plan: "Plan") -> Case:
    """The case of a graph that stands where the plan's devices would have it."""
    if plan.device is None:
        return case
    from tensorflow.core.framework import graph_pb2

    names = [device["name"] for device in case.target.machine.devices]
    wanted = {
        name: names[device]
        for name, device in zip(case.graph.names, plan.device.tolist(), strict=True)
        if device >= 0
    }
    graph = graph_pb2.GraphDef.FromString(case.captured.graphdef)
    for node in graph.node:
        node.device = wanted.get(node.name, node.device)
    captured = case.captured
    moved = CapturedGraph(graph.SerializeToString(), captured.fetches, captured.preserve)
    op_graph = moved.op_graph()
    problem = baselines.Problem(op_graph, case.target.machine, case.target.free_state)
    return dataclasses.replace(case, captured=moved, graph=op_graph, problem=problem)
