"""The best baseline of a graph on a machine: what a policy is measured by, and what it
imitates before it learns by itself. Worked out once and kept in a file."""

import dataclasses
import hashlib
import json
import os
import pathlib
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

import grappler_go
from grappler_go import native
from grappler_go_training import baselines
from grappler_go_training.baselines.list_schedule import upward_ranks
from grappler_go_training.baselines.run import row_of
from grappler_go_training.go.machines import Target

if TYPE_CHECKING:
    from grappler_go import OpGraph, Plan, Simulation

# What plan building makes of a policy that wants everything compiled: the core's own
# groups, each of which pays. Of the graph as it stands, and, after the name of a placement,
# of what that makes of it.
_EVERYTHING = "fuse_what_pays"
# The core's search, told that everything may be compiled (the baseline joint_search needs
# no word on that with free state).
_SEARCH = "search_from_everything"
# So many of the best placements are tried with it.
_PLACEMENTS_TO_FUSE = 2
# Baselines of kinds that a machine has no use for are not asked.
_ONLY_WITH_SEVERAL = "device"
_ONLY_ON_CPUS = ("fusion", "recompute")
_VERSION = 2


@dataclasses.dataclass(frozen=True)
class Teacher:
    """The best of some baselines for one graph on one machine.

    Attributes:
      name: of the baseline whose plan it is, "+critical_path" after it if ops that wait
        are taken by critical path.
      plan: what it decides.
      critical_path: whether its step is simulated with critical_path_priority().
      step_us: microseconds of its simulated step.
      default_us: of the graph as TensorFlow would run it, whether that fits the memory or
        not.
      fits: it fits into the memory; no baseline did where it does not.
      rows: step in microseconds of each baseline that was asked, infinite where it does not
        fit or failed.
    """

    name: str
    plan: "Plan"
    critical_path: bool
    step_us: float
    default_us: float
    fits: bool
    rows: dict[str, float]

    @property
    def everything_is_as_good(self) -> bool:
        """Who wants everything compiled gets a plan that is no slower: plan building leaves
        out what does not pay."""
        if _EVERYTHING in self.name:
            return True
        return self.rows.get(_EVERYTHING, np.inf) <= 1.001 * self.step_us


def plan_options(target: Target, graph: "OpGraph") -> dict[str, Any]:
    """Options of _core.build_plan for a machine: everything that could gain there is
    decided, however little it gains.

    Memory is limited for recomputation only where there is a single device: the core
    predicts the peak of the whole step.
    """
    devices = target.machine.devices
    limit = 0
    if len(devices) == 1 and devices[0]["memory_bytes"]:
        limit = max(1, devices[0]["memory_bytes"] - int(graph.resident_bytes.sum()))
    return {
        "device": len(devices) > 1,
        "fusion": True,
        "memory": True,
        "free_state": target.free_state,
        "first_is_home": True,
        "min_gain": 0.0,
        "memory_limit": limit,
    }


def critical_path_priority(problem: baselines.Problem) -> npt.NDArray[np.float32]:
    """[num_ops] for the simulator: the longest path from an op to the end of the step."""
    return upward_ranks(problem).astype(np.float32)


class TeacherCache:
    """Teachers by graph and machine, in a file of JSON lines that grows.

    Args:
      path: the file; made if missing. None: nothing is kept. Lines that cannot be read,
        as the last one of a run that was killed, are left out.
      names: baselines to ask; others than those of the file make it again.
      plans: what those that search may simulate.
    """

    def __init__(
        self, path: str | os.PathLike[str] | None, names: Sequence[str], plans: int
    ) -> None:
        baselines.registry.check_names(list(names))
        self._path = None if path is None else pathlib.Path(path)
        self._names = tuple(names)
        self._plans = plans
        self._lines: dict[str, dict[str, Any]] = {}
        if self._path is not None and self._path.exists():
            for line in self._path.read_text(encoding="utf-8").splitlines():
                try:
                    row = json.loads(line)
                    self._lines[row["key"]] = row
                except (ValueError, KeyError, TypeError):
                    continue

    def get(self, problem: baselines.Problem, target: Target) -> Teacher:
        """The teacher of a problem, from the file or worked out now (seconds)."""
        key = self._key(problem.graph, target)
        line = self._lines.get(key)
        if line is None:
            line = {"key": key, **to_line(self._work_out(problem, target))}
            self._lines[key] = line
            self._append(line)
        return from_line(line)

    def _key(self, graph: "OpGraph", target: Target) -> str:
        asked = json.dumps([_VERSION, self._names, self._plans, target.free_state])
        rest = hashlib.sha256((asked + target.machine.to_json()).encode()).hexdigest()
        return f"{graph.fingerprint}-{rest[:16]}"

    def _append(self, line: dict[str, Any]) -> None:
        if self._path is None:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        except OSError as error:
            warnings.warn(f"baselines are not kept: {error}", stacklevel=2)

    def _work_out(self, problem: baselines.Problem, target: Target) -> Teacher:
        graph, machine = problem.graph, target.machine
        default = problem.plan("tensorflow_default")
        found: list[tuple[str, Plan, Simulation]] = [
            ("tensorflow_default", default, grappler_go.simulate(graph, default, machine))
        ]
        budget = baselines.Budget(plans=self._plans)
        rows: dict[str, float] = {}
        for name in self._names:
            if not _applies(baselines.BASELINES[name].decides, target):
                continue
            row = row_of(problem, name, budget, seed=0)
            rows[name] = np.inf
            if row.plan is not None:
                found.append((name, row.plan, grappler_go.simulate(graph, row.plan, machine)))
        found += _fused(problem, target, found)
        if not target.free_state:
            found.append((_SEARCH, *self._searched(problem, target)))
        rows |= {n: np.inf if s.out_of_memory else s.step_ms * 1e3 for n, _, s in found}
        name, plan, best = min(found, key=lambda one: _rank(one[2]))
        in_order = False
        if plan.priority is None:
            priority = critical_path_priority(problem)
            ordered = grappler_go.simulate(graph, plan, machine, priority=priority)
            in_order = _rank(ordered) < _rank(best)
        if in_order:
            name, best = f"{name}+critical_path", ordered
        return Teacher(
            name=name,
            plan=plan,
            critical_path=in_order,
            step_us=best.step_ms * 1e3,
            default_us=found[0][2].step_ms * 1e3,
            fits=not best.out_of_memory,
            rows=rows,
        )

    def _searched(self, problem: baselines.Problem, target: Target) -> tuple["Plan", "Simulation"]:
        graph, machine = problem.graph, target.machine
        plan, _ = native.core().search_plan(
            graph,
            machine,
            {"fusion": np.ones(graph.num_ops, np.float32)},
            plan_options(target, graph),
            {"max_plans": max(1, self._plans), "seed": 0},
        )
        return plan, grappler_go.simulate(graph, plan, machine)


def _fused(
    problem: baselines.Problem, target: Target, found: Sequence[tuple[str, "Plan", "Simulation"]]
) -> list[tuple[str, "Plan", "Simulation"]]:
    """With everything compiled that pays: the graph as it stands, and the best placements
    of what was `found`."""
    graph, machine = problem.graph, target.machine
    options = plan_options(target, graph)
    wanted: list[tuple[str, dict[str, npt.NDArray[np.float32]]]] = []
    if not target.free_state:
        wanted.append((_EVERYTHING, {}))
    placed = [
        (_rank(step), name, plan.device)
        for name, plan, step in found
        if plan.device is not None and plan.fusion_group is None
    ]
    for _, name, planned in sorted(placed, key=lambda one: one[0])[:_PLACEMENTS_TO_FUSE]:
        device = np.where(planned < 0, problem.stands, planned)
        one_hot = device[:, np.newaxis] == np.arange(len(machine.devices))
        wanted.append((f"{name}+{_EVERYTHING}", {"device": one_hot.astype(np.float32)}))
    fused = []
    for name, logits in wanted:
        logits["fusion"] = np.ones(graph.num_ops, np.float32)
        plan, _ = native.core().build_plan(graph, machine, logits, options)
        fused.append((name, plan, grappler_go.simulate(graph, plan, machine)))
    return fused


def _applies(decides: str, target: Target) -> bool:
    if decides == _ONLY_WITH_SEVERAL:
        return len(target.machine.devices) > 1
    return decides not in _ONLY_ON_CPUS or not target.free_state


def _rank(simulation: "Simulation") -> tuple[bool, float]:
    return simulation.out_of_memory, baselines.energy(simulation)


def to_line(teacher: Teacher) -> dict[str, Any]:
    """Plain values, for a file or another process."""
    values = {f.name: getattr(teacher, f.name) for f in dataclasses.fields(teacher)}
    values["plan"] = json.loads(teacher.plan.to_json())
    values["rows"] = {k: v if np.isfinite(v) else None for k, v in teacher.rows.items()}
    return values


def from_line(line: dict[str, Any]) -> Teacher:
    """What to_line() was given."""
    values = {f.name: line[f.name] for f in dataclasses.fields(Teacher)}
    values["plan"] = native.core().Plan.from_json(json.dumps(line["plan"]))
    values["rows"] = {k: np.inf if v is None else v for k, v in line["rows"].items()}
    return Teacher(**values)
