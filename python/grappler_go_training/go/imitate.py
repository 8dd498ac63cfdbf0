"""The best baseline's plan as actions: what a policy imitates before it learns by itself."""

import numpy as np
import numpy.typing as npt

from grappler_go_training.go import sampling
from grappler_go_training.go.config import NetworkConfig
from grappler_go_training.go.environment import Case
from grappler_go_training.go.network import Actions
from grappler_go_training.go.ppo import Best
from grappler_go_training.go.teacher import critical_path_priority

_Ints = npt.NDArray[np.int32]


def teacher_actions(case: Case, config: NetworkConfig) -> Best:
    """The actions that say what the teacher's plan does, and of which ops it decides.

    Devices: what the plan leaves is where it stands. Fusion: ops in a group have the
    highest level, others 0: a plan does not say in which order its groups grew. Schedule:
    ops by the length of their path to the end, in levels of equally many; all of level 0,
    first come, first served, where that is no slower. Recomputation: as planned. Of a task
    that the plan says nothing about nothing is imitated; placements say nothing of fusion.
    """
    plan, count = case.teacher.plan, case.graph.num_ops
    nothing = np.zeros(count, np.int32)
    device = case.problem.home
    if plan.device is not None:
        device = np.where(plan.device < 0, case.problem.stands, plan.device)
    fusion = nothing
    if plan.fusion_group is not None:
        fusion = np.where(plan.fusion_group >= 0, config.fusion_levels - 1, 0)
    schedule = nothing
    if case.teacher.critical_path:
        schedule = levels_of(
            critical_path_priority(case.problem),
            case.matters["schedule"] > 0,
            config.schedule_levels,
        )
    recompute = nothing if plan.recompute is None else plan.recompute
    decided = {
        "device": True,
        "fusion": plan.device is None,
        "schedule": True,
        "recompute": True,
    }
    actions = [part.astype(np.int32) for part in (device, fusion, schedule, recompute)]
    masks = {task: np.full(count, float(decided[task]), np.float32) for task in sampling.TASKS}
    return Best(
        Actions(**dict(zip(sampling.TASKS, actions, strict=True))), sampling.LogProbs(**masks)
    )


def best_actions(actions: Actions) -> Best:
    """Actions that were drawn: all of them are to be imitated."""
    everything = np.ones(len(np.asarray(actions.device)), np.float32)
    return Best(actions, sampling.LogProbs(*[everything] * len(sampling.TASKS)))


def levels_of(priority: npt.ArrayLike, among: npt.ArrayLike, levels: int) -> _Ints:
    """[num_ops] 0 .. levels - 1, in the order of priorities, with about as many of the ops
    `among` in each level; equal priorities have one level, and other ops the one that
    their priority would have."""
    priority, among = np.asarray(priority), np.asarray(among, bool)
    ranked = np.sort(priority[among])
    if len(ranked) == 0:
        return np.zeros(len(priority), np.int32)
    below = np.searchsorted(ranked, priority)
    return np.minimum(below * levels // len(ranked), levels - 1).astype(np.int32)
