"""Plans to compare the simulator with: made by the baselines, partial, and random.

They shall differ in time and memory, not be good. Every one is valid for its graph.
"""

import dataclasses
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

import grappler_go
from grappler_go import native
from grappler_go_training import baselines
from grappler_go_training.measure.session import DEVICES

if TYPE_CHECKING:
    from grappler_go import Machine, OpGraph, Plan

_FUSIONS = ("auto_clustering", "priority_fusion", "topological_fusion")
_PLACEMENTS = ("tensorflow_default", "human_expert", "metis", "m_topo", "m_etf", "heft")
# Of the simulated peak: what `budgeted` has to make do with.
_MEMORY_SHARES = (0.9, 0.8, 0.7, 0.6, 0.5)
# A generator that only makes plans that are there already is given up on.
_MOST_REPEATS = 20


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A plan by name.

    Attributes:
      name: the baseline's, or what is random about it, with its seed.
      decides: "nothing", "fusion", "recompute" or "device".
      plan: valid for the graph.
    """

    name: str
    decides: str
    plan: "Plan"


def make_candidates(
    graph: "OpGraph", machine: "Machine", kind: str, count: int, seed: int = 0
) -> list[Candidate]:
    """Plans that all decide something else.

    Args:
      graph: of capture_graph(program, kind).
      machine: of machine_of_kind(kind).
      kind: "one_process": fusions, and recomputations where there is a backward pass;
        "cluster": placements.
      count: how many; fewer come back where the graph has no more.
      seed: the same seed, the same plans.

    Raises:
      ValueError: a plan that the core does not take: a fault of ours.
    """
    problem = baselines.Problem(graph, machine)
    rng = np.random.default_rng(seed)
    sources = [_placements(problem, rng)]
    if kind == "one_process":
        sources = [_fusions(problem, rng), _recomputations(problem, rng)]
    found = [Candidate("none", "nothing", problem.plan("none"))]
    seen = {_decided(found[0].plan)}
    repeats = [0] * len(sources)
    # The sources take turns, so that none fills the list before another has begun.
    while sources and len(found) < count:
        for number in reversed(range(len(sources))):
            candidate = next(sources[number], None)
            if candidate is not None and _decided(candidate.plan) not in seen:
                candidate.plan.validate(graph)
                seen.add(_decided(candidate.plan))
                found.append(candidate)
                continue
            repeats[number] += 1
            if candidate is None or repeats[number] > _MOST_REPEATS:
                del sources[number], repeats[number]
    return found[:count]


def _decided(plan: "Plan") -> tuple[bytes, ...]:
    arrays = (plan.device, plan.fusion_group, plan.recompute)
    return tuple(b"" if one is None else np.asarray(one).tobytes() for one in arrays)


def _fusions(problem: baselines.Problem, rng: np.random.Generator) -> Iterator[Candidate]:
    for name in _FUSIONS:
        made = baselines.make_plan(name, problem.graph, problem.machine)
        yield Candidate(name, "fusion", made)
    number = 0
    while True:
        # Stretches of ops in topological order, some of which may be fused: few large
        # ones are parts of a network, many small ones fall across its layers.
        stretches = int(2 ** rng.uniform(1, 8))
        share = rng.uniform(0.1, 0.9)
        least = int(rng.choice([2, 4, 16]))
        wanted = _stretches(problem.graph.num_ops, stretches, rng) < share
        name = f"fusion {share:.0%} of {stretches} stretches, {least} ops or more, {number}"
        yield Candidate(name, "fusion", fused(problem, wanted, least))
        number += 1


def fused(problem: baselines.Problem, wanted: npt.NDArray[np.bool_], min_ops: int) -> "Plan":
    """The plan that has XLA compile what it can of the wanted ops, whether that pays or
    not, in groups as large as the core makes them.

    Args:
      problem: graph and machine.
      wanted: [num_ops].
      min_ops: smaller groups are left out.
    """
    count = problem.graph.num_ops
    options: dict[str, Any] = {
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
        "fusion": wanted.astype(np.float32),  # 0: leave it alone
        "op_micros": np.ones(count, np.float32),
        "fused_micros": np.zeros(count, np.float32),
    }
    made, _ = native.core().build_plan(problem.graph, problem.machine, scores, options)
    plan = problem.plan("random_fusion")
    if made.num_groups:
        plan.fusion_group = made.fusion_group
    return plan


def _recomputations(problem: baselines.Problem, rng: np.random.Generator) -> Iterator[Candidate]:
    if not problem.backward.any():
        return
    whole = baselines.make_plan("sqrt_n", problem.graph, problem.machine)
    if whole.recompute is None:
        return
    yield Candidate("sqrt_n", "recompute", whole)
    peak = sum(grappler_go.simulate(problem.graph, None, problem.machine).peak_bytes.values())
    for share in _MEMORY_SHARES:
        smaller = _with_memory(problem.machine, int(share * peak))
        made = baselines.make_plan("budgeted", problem.graph, smaller)
        made.machine = problem.machine.name
        yield Candidate(f"budgeted, {share:.0%} of the peak", "recompute", made)
    again = np.asarray(whole.recompute).astype(bool)
    for number in range(_MOST_REPEATS):
        share = rng.uniform(0.2, 0.8)
        chosen = _stretches(problem.graph.num_ops, int(2 ** rng.uniform(2, 7)), rng) < share
        plan = problem.plan("random_recompute")
        if (again & chosen).any():
            plan.recompute = (again & chosen).astype(np.uint8)
        yield Candidate(f"recompute {share:.0%} of sqrt_n, {number}", "recompute", plan)


def _placements(problem: baselines.Problem, rng: np.random.Generator) -> Iterator[Candidate]:
    for name in _PLACEMENTS:
        try:
            made = baselines.make_plan(name, problem.graph, problem.machine)
        except baselines.MissingPackage:
            continue
        yield Candidate(name, "device", made)
    number = 0
    random: tuple[Callable[[], int], ...] = (
        lambda: 2,
        lambda: int(2 ** rng.uniform(1.5, 5)),
        lambda: max(2, problem.num_units),
    )
    while True:
        stretches = random[number % len(random)]()
        share = rng.uniform(0.2, 0.8)
        if stretches == 2:
            device = (np.arange(problem.num_units) >= share * problem.num_units).astype(int)
            name = f"cut at {share:.0%}"
        else:
            drawn = _stretches(problem.num_units, stretches, rng)
            device = (drawn * problem.num_devices).astype(int)
            name = f"{stretches} random stretches, {number}"
        yield Candidate(name, "device", problem.placed(device, "random_placement"))
        number += 1


def _stretches(count: int, stretches: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """[count] from 0 to 1: the same number throughout each of some stretches of random
    length."""
    borders = np.sort(rng.integers(0, max(count, 1), max(stretches - 1, 0)))
    return rng.random(stretches)[np.searchsorted(borders, np.arange(count), side="right")]


def machine_of_kind(kind: str, machine: "Machine | None" = None) -> "Machine":
    """The machine that a kind of measurement runs on.

    Args:
      kind: "one_process" or "cluster".
      machine: of this computer; None: its default rates. One that has the kind's devices
        is returned as it is. From any other its first CPU is taken: whole for one
        process; a core's share of its rates for each worker of a cluster, with the
        package's default link between processes.

    Raises:
      ValueError: the machine has no CPU.
    """
    names = list(DEVICES[kind])
    plain = grappler_go.devices.machine_of(names)
    if machine is None:
        machine = grappler_go.devices.machine_of(["CPU:0"])
    if set(names) <= {device["name"] for device in machine.devices}:
        return machine
    cpus = [device for device in machine.devices if device["type"] == "CPU"]
    if not cpus:
        raise ValueError(f"{machine.name} has no CPU, on which plans are run")
    cpu = dict(cpus[0])
    if kind == "cluster":
        cores = max(1, cpu["cores"])
        for rate in ("gflops", "gbytes_per_s"):
            cpu[rate] /= cores
        cpu["memory_bytes"] //= len(names)
        cpu["cores"] = 1
    devices = [{**cpu, "name": name} for name in names]
    label = f"{len(names)} cores of {machine.name}" if kind == "cluster" else machine.name
    return grappler_go.Machine(label, devices=devices, links=plain.links)


def _with_memory(machine: "Machine", memory_bytes: int) -> "Machine":
    devices = [{**device, "memory_bytes": memory_bytes} for device in machine.devices]
    return grappler_go.Machine(machine.name, devices=devices, links=machine.links)
