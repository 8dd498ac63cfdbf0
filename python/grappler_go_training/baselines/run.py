"""Many baselines on one graph, as a table."""

import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import grappler_go
from grappler_go_training.baselines.budget import Budget
from grappler_go_training.baselines.problem import Problem
from grappler_go_training.baselines.registry import BASELINES, check_names

if TYPE_CHECKING:
    from grappler_go import Machine, OpGraph, Plan


@dataclasses.dataclass(frozen=True)
class Row:
    """One baseline on one graph.

    Attributes:
      name: the baseline's.
      decides: as Baseline.decides.
      step_ms: milliseconds of the simulated step; None where there is no plan.
      peak_bytes: the most memory in use at once, by device.
      out_of_memory: on some device.
      seconds: taken to make the plan, simulations for it included.
      plan: what was decided; None where that failed.
      error: why there is no plan, else empty.
    """

    name: str
    decides: str
    step_ms: float | None = None
    peak_bytes: dict[str, int] = dataclasses.field(default_factory=dict)
    out_of_memory: bool = False
    seconds: float = 0.0
    plan: "Plan | None" = None
    error: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain values, without the plan."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        del values["plan"]
        return values


def run_baselines(
    graph: "OpGraph",
    machine: "Machine",
    names: Sequence[str] | None = None,
    budget: Budget | None = None,
    seed: int = 0,
    progress: Callable[[str, int, int], None] | None = None,
    free_state: bool = False,
) -> list[Row]:
    """Each baseline's plan, simulated. One that fails has a row that says why, and the
    others go on.

    Args:
      graph, machine, seed, free_state: as make_plan().
      names: keys of BASELINES; None: all.
      budget: of each; None: Budget().
      progress: called as progress(name, done, total) before each baseline and, with an
        empty name, at the end.

    Raises:
      ValueError: a name that is none.
    """
    chosen = list(BASELINES) if names is None else list(names)
    check_names(chosen)
    # What all of them need is worked out before the first one's clock starts.
    problem = Problem(graph, machine, free_state)
    _ = problem.micros, problem.tensors, problem.unit_edges, problem.unit_bytes
    rows = []
    for done, name in enumerate(chosen):
        if progress is not None:
            progress(name, done, len(chosen))
        rows.append(row_of(problem, name, budget or Budget(), seed))
    if progress is not None:
        progress("", len(chosen), len(chosen))
    return rows


def row_of(problem: Problem, name: str, budget: Budget, seed: int) -> Row:
    """One baseline's plan for a problem, simulated; or the reason why there is none."""
    baseline = BASELINES[name]
    started = time.monotonic()
    try:
        plan = baseline.make(problem, budget, seed)
        seconds = time.monotonic() - started
        simulation = grappler_go.simulate(problem.graph, plan, problem.machine)
    except (ImportError, MemoryError, RuntimeError, ValueError) as error:
        seconds = time.monotonic() - started
        return Row(name, baseline.decides, seconds=seconds, error=str(error))
    return Row(
        name,
        baseline.decides,
        step_ms=simulation.step_ms,
        peak_bytes=simulation.peak_bytes,
        out_of_memory=simulation.out_of_memory,
        seconds=seconds,
        plan=plan,
    )
