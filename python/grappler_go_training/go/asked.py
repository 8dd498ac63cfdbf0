"""The plan that a policy or a baseline makes of a case within a budget, and what the
simulator says of it.

    answer = Asker(judged.load("runs/go"), case).answer("policy_search", budget, seed=0)
    print(answer.step_us, answer.seconds)
"""

import concurrent.futures
import dataclasses
import functools
import os
import tempfile
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

import grappler_go
from grappler_go_training import baselines
from grappler_go_training.baselines.run import row_of
from grappler_go_training.go import finetune
from grappler_go_training.go.environment import Case, Outcome, outcome_of
from grappler_go_training.go.judged import JudgedPolicy
from grappler_go_training.go.searched import DEFAULT_PLANS, search
from grappler_go_training.go.sequential import sequential
from grappler_go_training.policy_results import (
    FINE_TUNED,
    LEARNING,
    METHODS,
    POLICY_BEST,
    POLICY_SEARCH,
    SEARCH,
    SEQUENTIAL,
    ZERO_SHOT,
)

if TYPE_CHECKING:
    from grappler_go import Plan


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a method came to.

    Attributes:
      plan: None where there is none.
      step_us: of the simulated step, with ready ops taken by critical path where a
        baseline's plan is faster so; None without a plan.
      out_of_memory: on some device.
      seconds: taken, simulations included.
      error: why there is no plan, else empty.
    """

    plan: "Plan | None"
    step_us: float | None
    out_of_memory: bool
    seconds: float
    error: str = ""


class Asker:
    """A policy, or none, and the baselines on one case.

    Args:
      policy: None where METHODS are not asked.
      case: restricted to what is to be decided.
    """

    def __init__(self, policy: JudgedPolicy | None, case: Case) -> None:
        self._policy, self._case = policy, case
        self._is_warm = False

    def answer(self, method: str, budget: baselines.Budget, seed: int) -> Answer:
        """One method's.

        Args:
          method: of METHODS, SEARCH, SEQUENTIAL or a baseline.
          budget: what it may spend.
          seed: of what it draws.

        Raises:
          ValueError: one of METHODS without a policy, or too small a budget.
        """
        if method in METHODS:
            if self._policy is None:
                raise ValueError(f"{method} needs a policy")
            if method in LEARNING:
                return self._learned(self._policy, method, budget, seed)
            return self._policys(self._policy, method, budget, seed)
        if method == SEARCH:
            return self._searched(self._without_policy(), budget, seed, time.monotonic())
        if method == SEQUENTIAL:
            return self._in_sequence(budget, seed)
        return self._baselines(method, budget, seed)

    def _policys(
        self, policy: JudgedPolicy, method: str, budget: baselines.Budget, seed: int
    ) -> Answer:
        self._warm_up(policy, method)
        started = time.monotonic()
        scores = policy.scores(self._case)
        if method == POLICY_SEARCH:
            return self._searched(scores, budget, seed, started)
        if method == ZERO_SHOT:
            few = dataclasses.replace(budget, plans=min(budget.plans, DEFAULT_PLANS))
            return self._searched(scores, few, seed, started)
        best = outcome_of(self._case, scores)
        spent = 1
        while method == POLICY_BEST and spent < budget.plans:
            if budget.seconds is not None and time.monotonic() - started >= budget.seconds:
                break
            drawn = policy.draw(self._case, seed * 1_000_003 + spent)
            drawn = drawn[: budget.plans - spent]
            spent += len(drawn)
            with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
                tried = pool.map(functools.partial(outcome_of, self._case), drawn)
                best = min([best, *tried], key=_rank)
        seconds = time.monotonic() - started
        return Answer(best.plan, best.step_us, best.out_of_memory, seconds)

    def _learned(
        self, policy: JudgedPolicy, method: str, budget: baselines.Budget, seed: int
    ) -> Answer:
        started = time.monotonic()
        network, config = policy.trainable()
        config = finetune.finetune_config(config)
        searched = min(DEFAULT_PLANS, budget.plans // 4)
        steps = max(1, (budget.plans - searched) // config.samples)
        config = dataclasses.replace(config, seed=seed, steps=steps, threads=0)
        with tempfile.TemporaryDirectory() as folder:
            start_from = network if method == FINE_TUNED else None
            result = finetune.finetune(
                self._case, config, folder, start_from, search_plans=searched
            )
        best = result.best[self._case.name]
        seconds = time.monotonic() - started
        return Answer(best.plan, best.step_us, best.out_of_memory, seconds)

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
        self,
        scores: Mapping[str, np.ndarray],
        budget: baselines.Budget,
        seed: int,
        started: float,
    ) -> Answer:
        plan = search(self._case, scores, budget, seed)
        step = grappler_go.simulate(self._case.graph, plan, self._case.target.machine)
        seconds = time.monotonic() - started
        return Answer(plan, 1e3 * step.step_ms, step.out_of_memory, seconds)

    def _in_sequence(self, budget: baselines.Budget, seed: int) -> Answer:
        started = time.monotonic()

        def search_one(case: Case, plans: int) -> "Plan":
            return search(case, {}, dataclasses.replace(budget, plans=plans), seed)

        plan, step_us, out_of_memory = sequential(self._case, budget.plans, search_one)
        return Answer(plan, step_us, out_of_memory, time.monotonic() - started)

    def _baselines(self, name: str, budget: baselines.Budget, seed: int) -> Answer:
        case, started = self._case, time.monotonic()
        row = row_of(case.problem, name, budget, seed)
        if row.plan is None or row.step_ms is None:
            return Answer(None, None, False, time.monotonic() - started, row.error)
        best = row.out_of_memory, row.step_ms
        if "schedule" in case.tasks:
            machine, priority = case.target.machine, case.critical_path
            ordered = grappler_go.simulate(case.graph, row.plan, machine, priority=priority)
            best = min(best, (ordered.out_of_memory, ordered.step_ms))
        out_of_memory, step_ms = best
        return Answer(row.plan, 1e3 * step_ms, out_of_memory, time.monotonic() - started)


def _rank(outcome: Outcome) -> tuple[bool, float]:
    return outcome.out_of_memory, outcome.step_us
