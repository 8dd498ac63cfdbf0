"""Many baselines on many workloads, as lines that a file keeps."""

import dataclasses
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import grappler_go
from grappler_go.bench import environment
from grappler_go_training.baselines.budget import Budget
from grappler_go_training.baselines.problem import Problem
from grappler_go_training.baselines.registry import check_names
from grappler_go_training.baselines.run import row_of

if TYPE_CHECKING:
    from grappler_go.captured import CapturedGraph


class Workload(Protocol):
    """What is asked of a workload; grappler_go_training.workloads has some."""

    @property
    def name(self) -> str: ...
    @property
    def family(self) -> str: ...
    @property
    def training(self) -> bool: ...
    @property
    def num_devices(self) -> int: ...

    def graph(self) -> "CapturedGraph": ...


# (workload, baseline, seed, plans, max_seconds)
Key = tuple[str, str, int, int, float | None]


@dataclasses.dataclass(frozen=True)
class Cell:
    """One baseline on one workload with one seed.

    Attributes:
      workload, family, training: the workload's.
      machine: the name of the shipped machine that was simulated.
      num_ops: of the graph.
      baseline, seed: which.
      plans, max_seconds: what the baseline might spend (Budget).
      step_ms: milliseconds of the simulated step; None where there is no plan.
      out_of_memory: on some device of the machine.
      peak_bytes: the most memory in use at once on any device.
      seconds: taken to make the plan, the simulations for it included.
      error: why there is no plan, else empty.
      where: what the seconds were measured on.
    """

    workload: str
    family: str
    training: bool
    machine: str
    num_ops: int
    baseline: str
    seed: int
    plans: int
    max_seconds: float | None
    step_ms: float | None
    out_of_memory: bool
    peak_bytes: int
    seconds: float
    error: str
    where: str

    @property
    def key(self) -> Key:
        """What is not worked out twice."""
        return self.workload, self.baseline, self.seed, self.plans, self.max_seconds

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return dataclasses.asdict(self)


def machine_of(workload: Workload) -> str:
    """The machine with as many P100s as the workload is for, at least two."""
    count = next((count for count in (2, 4) if workload.num_devices <= count), 8)
    return f"p100x{count}"


def sweep(
    get: Callable[[str], Workload],
    workloads: Sequence[str],
    names: Sequence[str],
    seeds: Sequence[int] = (0,),
    budget: Budget | None = None,
    done: Collection[Key] = (),
    progress: Callable[[str], None] | None = None,
) -> Iterator[Cell]:
    """Places each workload on its machine with each baseline, with free state
    (Problem.free_state), and simulates a step.

    Args:
      get: a workload by its name.
      workloads, names, seeds: every combination of them. A workload's graph is loaded
        once, and not at all where all of its cells are done.
      budget: of each; None: Budget().
      done: Cell.key of those to leave out.
      progress: called with "workload: baseline" before each cell.

    Yields:
      Cells as they are found. A baseline that fails has a cell that says why.

    Raises:
      ValueError: a name that is no baseline's.
    """
    check_names(names)
    budget = budget or Budget()
    for name in workloads:
        missing = [
            (baseline, seed)
            for baseline in names
            for seed in seeds
            if (name, baseline, seed, budget.plans, budget.seconds) not in done
        ]
        if not missing:
            continue
        workload = get(name)
        if progress is not None:
            progress(f"{name}: its graph")
        machine = machine_of(workload)
        problem = Problem(workload.graph().op_graph(), grappler_go.load_machine(machine), True)
        # What all baselines need is worked out before the first one's clock starts.
        _ = problem.micros, problem.tensors, problem.unit_edges, problem.unit_bytes
        for baseline, seed in missing:
            if progress is not None:
                progress(f"{name}: {baseline}")
            row = row_of(problem, baseline, budget, seed)
            yield Cell(
                workload=name,
                family=workload.family,
                training=workload.training,
                machine=machine,
                num_ops=problem.graph.num_ops,
                baseline=baseline,
                seed=seed,
                plans=budget.plans,
                max_seconds=budget.seconds,
                step_ms=row.step_ms,
                out_of_memory=row.out_of_memory,
                peak_bytes=max(row.peak_bytes.values(), default=0),
                seconds=row.seconds,
                error=row.error,
                where=_where(),
            )


def _where() -> str:
    here = environment.describe()
    return f"{here['cores']} cores of {here['cpu']}, TensorFlow {here['tensorflow']}"
