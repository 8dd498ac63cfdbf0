"""A policy against the baselines at equal budget: as many simulated plans, or as many
seconds, for everyone.

    case = case_of("gnmt-2", "p100x2")
    for row in evaluate(network, config, [case], ["policy", "policy_best", "metis"]):
        print(row.method, row.step_us)
"""

import dataclasses
import math
import pathlib
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

import grappler_go
from grappler_go import native
from grappler_go.captured import CapturedGraph
from grappler_go_training import baselines, workloads
from grappler_go_training.baselines.run import row_of
from grappler_go_training.baselines.sweep import machine_of
from grappler_go_training.go import machines
from grappler_go_training.go.environment import Case, Outcome, make_case
from grappler_go_training.go.network import Actions, GoNetwork
from grappler_go_training.go.rollouts import LocalRollouts, Request
from grappler_go_training.go.sources import captured_apart
from grappler_go_training.go.teacher import TeacherCache, critical_path_priority
from grappler_go_training.go.train_config import TrainConfig

if TYPE_CHECKING:
    from grappler_go import Simulation

# What a policy is asked for: its first choice, one plan; the best of that and of as many
# samples as the budget has plans or seconds; and what the core's search (the baseline
# joint_search) makes of its scores.
POLICY, POLICY_BEST, POLICY_SEARCH = "policy", "policy_best", "policy_search"
METHODS = (POLICY, POLICY_BEST, POLICY_SEARCH)

# (case, method, seed, plans, max_seconds)
Key = tuple[str, str, int, int, float | None]


@dataclasses.dataclass(frozen=True)
class Row:
    """One method on one case with one seed.

    Attributes:
      case: "gnmt-2 on p100x2".
      family, num_ops: of the graph.
      method: POLICY, POLICY_BEST or a baseline's name.
      seed: of what draws.
      plans, max_seconds: what it might spend (baselines.Budget).
      step_us: of the simulated step of its plan, with ready ops taken by critical path
        where a baseline's plan is faster so; None where there is no plan.
      out_of_memory: on some device.
      default_us: as TensorFlow would run it, whether that fits or not.
      seconds: taken, simulations included.
      error: why there is no plan, else empty.
    """

    case: str
    family: str
    num_ops: int
    method: str
    seed: int
    plans: int
    max_seconds: float | None
    step_us: float | None
    out_of_memory: bool
    default_us: float
    seconds: float
    error: str

    @property
    def key(self) -> Key:
        """What is not worked out twice."""
        return self.case, self.method, self.seed, self.plans, self.max_seconds

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return dataclasses.asdict(self)


def case_of(graph: str, machine: str | None = None) -> Case:
    """A graph on a machine, for judging or fine-tuning, not for training.

    Args:
      graph: a recorded .pb file, or any workload.
      machine: as machines.sample(), but not a kind that is drawn; None: as many P100s as
        the workload is for, at least two; for a recorded graph "local".

    Raises:
      OSError, ValueError: no such graph, workload or machine.
    """
    path = pathlib.Path(graph)
    if path.suffix == ".pb" or path.is_file():
        captured, family = CapturedGraph.load(path), "recorded"
        machine = machine or "local"
    else:
        workload = workloads.get(graph)
        captured, family = captured_apart(workload), workload.family
        machine = machine or machine_of(workload)
    target = machines.sample(machine, 0, np.random.default_rng(0))
    cache = TeacherCache(None, (), 0)
    return make_case(f"{graph} on {machine}", family, captured, target, cache.get)


def evaluate(
    network: GoNetwork,
    config: TrainConfig,
    cases: Iterable[Case],
    methods: Sequence[str],
    seeds: Sequence[int] = (0,),
    budget: baselines.Budget | None = None,
    done: Collection[Key] = (),
    on_progress: Callable[[str], None] = lambda _: None,
) -> Iterator[Row]:
    """Every method on every case with every seed.

    Args:
      network, config: the policy; config.samples are drawn at a time.
      cases: made one by one, when it is their turn.
      methods: METHODS and names of baselines.
      budget: of each; None: baselines.Budget().
      done: Row.key of those to leave out.

    Raises:
      ValueError: no such method.
    """
    baselines.registry.check_names([name for name in methods if name not in METHODS])
    budget = budget or baselines.Budget()
    for case in cases:
        sampler: _Sampler | None = None
        for method in methods:
            for seed in seeds:
                if (case.name, method, seed, budget.plans, budget.seconds) in done:
                    continue
                on_progress(f"{case.name}: {method}")
                if method in METHODS:
                    sampler = sampler or _Sampler(network, config, case)
                    found = sampler.row(method, budget, seed)
                else:
                    found = _baseline(case, method, budget, seed)
                yield _row(case, method, seed, budget, **found)
        if sampler is not None:
            sampler.close()


def _row(case: Case, method: str, seed: int, budget: baselines.Budget, **found: Any) -> Row:
    return Row(
        case=case.name,
        family=case.family,
        num_ops=case.graph.num_ops,
        method=method,
        seed=seed,
        plans=budget.plans,
        max_seconds=budget.seconds,
        default_us=case.teacher.default_us,
        **found,
    )


def _baseline(case: Case, name: str, budget: baselines.Budget, seed: int) -> dict[str, Any]:
    started = time.monotonic()
    row = row_of(case.problem, name, budget, seed)
    if row.plan is None or row.step_ms is None:
        return _found(None, False, time.monotonic() - started, row.error)
    ordered = grappler_go.simulate(
        case.graph, row.plan, case.target.machine, priority=critical_path_priority(case.problem)
    )
    out_of_memory, step_ms = min(
        (row.out_of_memory, row.step_ms), (ordered.out_of_memory, ordered.step_ms)
    )
    return _found(step_ms * 1e3, out_of_memory, time.monotonic() - started, "")


def _found(
    step_us: float | None, out_of_memory: bool, seconds: float, error: str
) -> dict[str, Any]:
    return {
        "step_us": step_us,
        "out_of_memory": out_of_memory,
        "seconds": seconds,
        "error": error,
    }


class _Sampler:
    """The policy on one case."""

    def __init__(self, network: GoNetwork, config: TrainConfig, case: Case) -> None:
        self._config, self._case = config, case
        self._rollouts = LocalRollouts(network, [case], config)
        # Tracing is done before anybody's clock starts.
        self._rollouts.greedy(0)
        self._rollouts.draw(Request(0, 0, config.network.iterations))

    def close(self) -> None:
        self._rollouts.close()

    def row(self, method: str, budget: baselines.Budget, seed: int) -> dict[str, Any]:
        started = time.monotonic()
        if method == POLICY_SEARCH:
            step = self._searched(budget, seed)
            return _found(1e3 * step.step_ms, step.out_of_memory, time.monotonic() - started, "")
        best = self._try([self._rollouts.greedy(0)])
        spent = 1
        while method == POLICY_BEST and spent < budget.plans:
            if budget.seconds is not None and time.monotonic() - started >= budget.seconds:
                break
            request = Request(0, seed * 1_000_003 + spent, self._config.network.iterations)
            _, actions, _, _ = self._rollouts.draw(request)
            drawn = [Actions(*one) for one in zip(*actions, strict=True)]
            drawn = drawn[: budget.plans - spent]
            spent += len(drawn)
            best = min(best, self._try(drawn), key=_rank)
        return _found(best.step_us, best.out_of_memory, time.monotonic() - started, "")

    def _searched(self, budget: baselines.Budget, seed: int) -> "Simulation":
        case, machine = self._case, self._case.target.machine
        scores = self._rollouts.scores(0)
        settings: dict[str, Any] = {"max_plans": budget.plans, "seed": seed}
        if budget.seconds is not None:
            settings["budget_ms"] = max(1, int(1000 * budget.seconds))
        wanted = {task: scores[task] for task in case.tasks}
        plan, _ = native.core().search_plan(case.graph, machine, wanted, case.options, settings)
        return grappler_go.simulate(case.graph, plan, machine)

    def _try(self, drawn: Sequence[Actions]) -> Outcome:
        return min(self._rollouts.environment.try_actions(self._case, drawn), key=_rank)


def _rank(outcome: Outcome) -> tuple[bool, float]:
    return outcome.out_of_memory, outcome.step_us


@dataclasses.dataclass(frozen=True)
class Summary:
    """One method over all cases.

    Attributes:
      method: which.
      ratio: geometric mean over cases of the mean step over seeds, as a share of the best
        baseline's; over the cases in which both fit.
      cases: how many these are.
      misses: cases in which it ran out of memory or failed with some seed.
      seconds: mean time taken.
    """

    method: str
    ratio: float
    cases: int
    misses: int
    seconds: float


def summarize(rows: Sequence[Row]) -> list[Summary]:
    """Each method against the best baseline of each case, in the order of the rows."""
    means = mean_steps(rows)
    best: dict[str, float] = {}
    for (case, method), step in means.items():
        if method not in METHODS:
            best[case] = min(best.get(case, math.inf), step)
    found = []
    for method in dict.fromkeys(row.method for row in rows):
        steps = {case: step for (case, name), step in means.items() if name == method}
        ratios = [
            step / best[case]
            for case, step in steps.items()
            if math.isfinite(step) and math.isfinite(best.get(case, math.inf))
        ]
        found.append(
            Summary(
                method=method,
                ratio=float(np.exp(np.mean(np.log(ratios)))) if ratios else math.nan,
                cases=len(ratios),
                misses=sum(not math.isfinite(step) for step in steps.values()),
                seconds=float(np.mean([row.seconds for row in rows if row.method == method])),
            )
        )
    return found


def mean_steps(rows: Sequence[Row]) -> dict[tuple[str, str], float]:
    """By (case, method) the mean step over seeds in microseconds; infinite where one of
    them does not fit or failed."""
    steps: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        step = math.inf if row.step_us is None or row.out_of_memory else row.step_us
        steps.setdefault((row.case, row.method), []).append(step)
    return {key: float(np.mean(values)) for key, values in steps.items()}
