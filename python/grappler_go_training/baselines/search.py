"""The package's own search, without a policy, beside the baselines."""

from typing import TYPE_CHECKING, Any

from grappler_go import native
from grappler_go_training.baselines.budget import Budget
from grappler_go_training.baselines.problem import Problem

if TYPE_CHECKING:
    from grappler_go import Plan


def search(problem: Problem, budget: Budget, seed: int) -> "Plan":
    """Devices by the search that ships, with no policy to start from.

    Source: cc/plan/search_plan.h. Groups, priorities and recomputation are left as they
    are, as every placement baseline leaves them.
    """
    return _search(problem, budget, seed, "search", joint=False)


def joint_search(problem: Problem, budget: Budget, seed: int) -> "Plan":
    """Devices, fusion, schedule and memory together, by the same search.

    Source: cc/plan/search_plan.h. Without free state only devices: fusion needs a
    policy's scores there.
    """
    return _search(problem, budget, seed, "joint_search", joint=True)


def _search(problem: Problem, budget: Budget, seed: int, name: str, joint: bool) -> "Plan":
    options: dict[str, Any] = {
        "free_state": problem.free_state,
        "first_is_home": True,
        "fusion": joint,
        "memory": joint,
    }
    settings: dict[str, Any] = {
        "max_plans": budget.plans,
        "budget_ms": 0 if budget.seconds is None else max(1, int(1000 * budget.seconds)),
        "seed": seed,
        "schedule": joint,
    }
    plan, _ = native.core().search_plan(problem.graph, problem.machine, {}, options, settings)
    plan.policy = f"baseline:{name}"
    return plan
