"""The core's search (cc/plan/search_plan.h) on a case, from a policy's scores or a plan."""

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

import grappler_go
from grappler_go import native
from grappler_go_training import baselines
from grappler_go_training.go.environment import Case, Outcome, reward_of
from grappler_go_training.go.sampling import DRAWN_NATS

if TYPE_CHECKING:
    from grappler_go import Plan

# As many as the pass lets a search simulate (SearchOptions of cc/plan/search_plan.h).
DEFAULT_PLANS = 200


def search(
    case: Case, scores: Mapping[str, np.ndarray], budget: baselines.Budget, seed: int
) -> "Plan":
    """The best plan that it finds within the budget.

    Args:
      scores: by task what a policy says; empty: it finds all by itself.
      seed: of what it draws.
    """
    settings: dict[str, Any] = {
        "max_plans": budget.plans,
        "seed": seed,
        "schedule": "schedule" in case.tasks,
    }
    if budget.seconds is not None:
        settings["budget_ms"] = max(1, int(1000 * budget.seconds))
    wanted = {task: scores[task] for task in case.tasks if task in scores}
    plan, _ = native.core().search_plan(
        case.graph, case.target.machine, wanted, case.options, settings
    )
    return plan


def refined(case: Case, best: Outcome, plans: int, seed: int) -> Outcome:
    """What a search of so many plans makes of the best plan so far; that one where it finds
    nothing better."""
    if plans < 1:
        return best
    plan = search(case, scores_of(case, best.plan), baselines.Budget(plans), seed)
    step = grappler_go.simulate(case.graph, plan, case.target.machine)
    if (step.out_of_memory, 1e3 * step.step_ms) >= (best.out_of_memory, best.step_us):
        return best
    reward = reward_of(1e3 * step.step_ms, step.out_of_memory, case.teacher)
    return dataclasses.replace(
        best,
        reward=reward,
        step_us=1e3 * step.step_ms,
        out_of_memory=step.out_of_memory,
        plan=plan,
    )


def scores_of(case: Case, plan: "Plan") -> dict[str, np.ndarray]:
    """What a policy would say that wants exactly this: the devices, and which ops are
    compiled."""
    scores = {}
    if plan.device is not None:
        count = len(case.target.machine.devices)
        device = np.where(plan.device < 0, case.problem.home, plan.device)
        one_hot = device[:, np.newaxis] == np.arange(count)
        scores["device"] = DRAWN_NATS * one_hot.astype(np.float32)
    if plan.fusion_group is not None:
        scores["fusion"] = (plan.fusion_group >= 0).astype(np.float32)
    return scores
