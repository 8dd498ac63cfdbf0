"""A policy against the baselines at equal budget: as many simulated plans, or as many
seconds, for everyone.

    case = case_of("gnmt-2", "p100x2")
    for row in evaluate(judged.load("runs/go"), [case], ["policy", "policy_best", "metis"]):
        print(row.method, row.step_us)
"""

import concurrent.futures
import dataclasses
import functools
import os
import pathlib
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

import grappler_go
from grappler_go import native
from grappler_go.bench import environment
from grappler_go.captured import CapturedGraph
from grappler_go_training import baselines, workloads
from grappler_go_training.baselines.run import row_of
from grappler_go_training.baselines.sweep import machine_of
from grappler_go_training.go import machines
from grappler_go_training.go.environment import Case, Outcome, make_case, outcome_of, restricted
from grappler_go_training.go.judged import JudgedPolicy
from grappler_go_training.go.sampling import TASKS
from grappler_go_training.go.sources import captured_apart
from grappler_go_training.go.teacher import TeacherCache, critical_path_priority
from grappler_go_training.policy_results import (
    METHODS,
    POLICY_BEST,
    POLICY_SEARCH,
    SEARCH,
    Key,
    Row,
)

if TYPE_CHECKING:
    from grappler_go import Simulation


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
    policy: JudgedPolicy | None,
    cases: Iterable[Case],
    methods: Sequence[str],
    seeds: Sequence[int] = (0,),
    budget: baselines.Budget | None = None,
    decides: Sequence[str] = TASKS,
    done: Collection[Key] = (),
    on_progress: Callable[[str], None] = lambda _: None,
) -> Iterator[Row]:
    """Every method on every case with every seed.

    Args:
      policy: None where METHODS are not asked.
      cases: made one by one, when it is their turn.
      methods: METHODS and names of baselines.
      budget: of each; None: baselines.Budget().
      decides: of sampling.TASKS, what is to be decided.
      done: Row.key of those to leave out.

    Raises:
      ValueError: as check().
    """
    check(policy, methods, decides)
    budget = budget or baselines.Budget()
    text = ",".join(task for task in TASKS if task in decides)
    for whole in cases:
        case = restricted(whole, decides)
        asker = _Asker(policy, case)
        for method in methods:
            for seed in seeds:
                if (case.name, text, method, seed, budget.plans, budget.seconds) in done:
                    continue
                on_progress(f"{case.name}: {method}")
                if method in METHODS or method == SEARCH:
                    found = asker.row(method, budget, seed)
                else:
                    found = _baseline(case, method, budget, seed)
                yield Row(
                    case=case.name,
                    family=case.family,
                    num_ops=case.graph.num_ops,
                    decides=text,
                    method=method,
                    seed=seed,
                    plans=budget.plans,
                    max_seconds=budget.seconds,
                    default_us=case.teacher.default_us,
                    policy=policy.name if policy is not None and method in METHODS else "",
                    where=environment.where(),
                    **found,
                )


def check(policy: JudgedPolicy | None, methods: Sequence[str], decides: Sequence[str]) -> None:
    """Raises:
    ValueError: no such method or task, or POLICY_BEST of a policy that cannot be sampled.
    """
    baselines.registry.check_names([name for name in methods if name not in METHODS])
    unknown = [task for task in decides if task not in TASKS]
    if unknown or not decides:
        raise ValueError(f"no task {', '.join(unknown) or 'at all'}: there are {', '.join(TASKS)}")
    if POLICY_BEST in methods and policy is not None and not policy.draws:
        raise ValueError(f"{POLICY_BEST} needs a run's network: an exported policy does not draw")


def _baseline(case: Case, name: str, budget: baselines.Budget, seed: int) -> dict[str, Any]:
    started = time.monotonic()
    row = row_of(case.problem, name, budget, seed)
    if row.plan is None or row.step_ms is None:
        return _found(None, False, time.monotonic() - started, row.error)
    best = row.out_of_memory, row.step_ms
    if "schedule" in case.tasks:
        priority = critical_path_priority(case.problem)
        ordered = grappler_go.simulate(case.graph, row.plan, case.target.machine, priority=priority)
        best = min(best, (ordered.out_of_memory, ordered.step_ms))
    out_of_memory, step_ms = best
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


class _Asker:
    """A policy, or none, on one case."""

    def __init__(self, policy: JudgedPolicy | None, case: Case) -> None:
        self._policy, self._case = policy, case
        self._is_warm = False

    def row(self, method: str, budget: baselines.Budget, seed: int) -> dict[str, Any]:
        if method == SEARCH:
            started = time.monotonic()
            step = self._searched(self._without_policy(), budget, seed)
            return _found(1e3 * step.step_ms, step.out_of_memory, time.monotonic() - started, "")
        if self._policy is None:
            raise ValueError(f"{method} needs a policy")
        self._warm_up(self._policy, method)
        started = time.monotonic()
        scores = self._policy.scores(self._case)
        if method == POLICY_SEARCH:
            step = self._searched(scores, budget, seed)
            return _found(1e3 * step.step_ms, step.out_of_memory, time.monotonic() - started, "")
        best = outcome_of(self._first_choice(), scores)
        spent = 1
        while method == POLICY_BEST and spent < budget.plans:
            if budget.seconds is not None and time.monotonic() - started >= budget.seconds:
                break
            drawn = self._policy.draw(self._case, seed * 1_000_003 + spent)
            drawn = drawn[: budget.plans - spent]
            spent += len(drawn)
            with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
                tried = pool.map(functools.partial(outcome_of, self._case), drawn)
                best = min([best, *tried], key=_rank)
        return _found(best.step_us, best.out_of_memory, time.monotonic() - started, "")

    def _first_choice(self) -> Case:
        """Devices are weighed against what they send (cc/plan/policy_cut.h); draws are
        orders for each op."""
        return dataclasses.replace(
            self._case, options={**self._case.options, "cut_by_policy": True}
        )

    def _warm_up(self, policy: JudgedPolicy, method: str) -> None:
        """Tracing is done before anybody's clock starts."""
        if not self._is_warm:
            policy.scores(self._case)
            if policy.draws and method == POLICY_BEST:
                policy.draw(self._case, 0)
            self._is_warm = True

    def _without_policy(self) -> dict[str, np.ndarray]:
        case = self._case
        if case.target.free_state or "fusion" not in case.tasks:
            return {}
        return {"fusion": np.ones(case.graph.num_ops, np.float32)}

    def _searched(
        self, scores: Mapping[str, np.ndarray], budget: baselines.Budget, seed: int
    ) -> "Simulation":
        case, machine = self._case, self._case.target.machine
        settings: dict[str, Any] = {
            "max_plans": budget.plans,
            "seed": seed,
            "schedule": "schedule" in case.tasks,
        }
        if budget.seconds is not None:
            settings["budget_ms"] = max(1, int(1000 * budget.seconds))
        wanted = {task: scores[task] for task in case.tasks if task in scores}
        plan, _ = native.core().search_plan(case.graph, machine, wanted, case.options, settings)
        return grappler_go.simulate(case.graph, plan, machine)


def _rank(outcome: Outcome) -> tuple[bool, float]:
    return outcome.out_of_memory, outcome.step_us
