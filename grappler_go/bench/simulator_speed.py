"""How fast the simulator is, through the Python bindings.

The graphs are those of `overhead`: training steps of an LSTM unrolled in Python, after
TensorFlow's own Grappler. Plans place stretches of ops at random, so that tensors cross
links. Timed is grappler_go.simulate_plans(): reading the plans and making the results
are in it.
"""

import dataclasses
import os
import time
from typing import TYPE_CHECKING, Any

import numpy as np

import grappler_go
from grappler_go.bench import overhead

if TYPE_CHECKING:
    from grappler_go._core import Machine, OpGraph, Plan

_STRETCHES = 16
_NEVER_MOVED = (
    *("preserved", "source", "sink", "control_flow", "in_loop", "unknown_op", "has_subgraph"),
    *("reads_variable", "writes_variable", "ref_typed", "stateful"),
)


@dataclasses.dataclass(frozen=True)
class Speed:
    """One graph on one machine.

    Attributes:
      ops: of the graph.
      machine: a name for load_machine().
      devices: of it.
      create_ms: what is worked out once for a graph and a machine: the time of a batch
        of one plan, less one_ms.
      one_ms: milliseconds for each plan of a batch on one core.
      plans_per_s: of a batch on one core.
      batch_per_s: of a batch on all cores.
      cores: those of this process.
      step_ms: the simulated step, of the graph as it stands.
    """

    ops: int
    machine: str
    devices: int
    create_ms: float
    one_ms: float
    plans_per_s: float
    batch_per_s: float
    cores: int
    step_ms: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return dataclasses.asdict(self)


def measure(nodes: int, machines: list[str], plans: int = 16, repeats: int = 5) -> list[Speed]:
    """Builds a graph of about that many ops and times the simulator on it.

    Args:
      nodes: about how many.
      machines: names for load_machine().
      plans: in a batch; at least 2.
      repeats: of which the fastest counts: noise only adds.
    """
    captured = overhead.graph_of_about(nodes)
    graph = captured.op_graph()
    found = []
    for name in machines:
        machine = grappler_go.load_machine(name)
        batch = _random_placements(graph, machine, plans)
        one = _fastest(graph, batch[:1], machine, 1, repeats)
        many = _fastest(graph, batch, machine, 1, repeats)
        all_cores = _fastest(graph, batch, machine, 0, repeats)
        each = (many - one) / (plans - 1)
        found.append(
            Speed(
                ops=graph.num_ops,
                machine=name,
                devices=len(machine.devices),
                create_ms=max(0.0, one - each) * 1e3,
                one_ms=each * 1e3,
                plans_per_s=plans / many,
                batch_per_s=plans / all_cores,
                cores=len(os.sched_getaffinity(0)),
                step_ms=grappler_go.simulate(graph, None, machine).step_ms,
            )
        )
    return found


def _fastest(
    graph: "OpGraph", plans: "list[Plan]", machine: "Machine", threads: int, repeats: int
) -> float:
    """Seconds of the fastest of some runs."""
    spent = []
    for _ in range(repeats):
        began = time.perf_counter()
        grappler_go.simulate_plans(graph, plans, machine, threads=threads)
        spent.append(time.perf_counter() - began)
    return min(spent)


def _random_placements(graph: "OpGraph", machine: "Machine", count: int) -> "list[Plan]":
    """Plans that move stretches of what may be moved (cc/plan/eligibility.cc)."""
    bits = graph.flag_names()
    fixed = (graph.flags & sum(bits[name] for name in _NEVER_MOVED)) != 0
    fixed |= graph.colocation_group >= 0
    rng = np.random.default_rng(0)
    plans = []
    for _ in range(count):
        plan = grappler_go.Plan(graph)
        borders = np.sort(rng.integers(0, graph.num_ops, _STRETCHES - 1))
        stretch = np.searchsorted(borders, np.arange(graph.num_ops), side="right")
        plan.devices = [device["name"] for device in machine.devices]
        on = rng.integers(0, len(machine.devices), _STRETCHES)
        plan.device = np.where(fixed, -1, on[stretch]).astype(np.int32)
        plans.append(plan)
    return plans
