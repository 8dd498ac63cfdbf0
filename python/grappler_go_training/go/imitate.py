"""The best baseline's plan as actions: what a policy imitates before it learns by itself."""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from grappler_go_training.go import sampling
from grappler_go_training.go.config import NetworkConfig
from grappler_go_training.go.environment import Case
from grappler_go_training.go.network import Actions
from grappler_go_training.go.ppo import Best

if TYPE_CHECKING:
    from grappler_go import Machine

_Ints = npt.NDArray[np.int32]


def teacher_actions(case: Case, config: NetworkConfig) -> Best:
    """The actions that say what the teacher's plan does, and of which ops it decides.

    Devices: what the plan leaves is where it stands; of devices that are alike, the first
    ones run what comes first, as a plan's own choice among them cannot be foreseen. Fusion:
    ops in a group have the highest level, others 0: a plan does not say in which order its
    groups grew; all have the highest where that is no slower, for it is plan building that
    knows what pays. Schedule: ops by the plan's priorities, or the length of their path to the
    end, in levels of equally many; all of level 0, first come, first served, where that is
    no slower. Recomputation: as planned. Of a task that the plan says nothing about nothing
    is imitated; placements say nothing of fusion.
    """
    plan, count = case.teacher.plan, case.graph.num_ops
    nothing = np.zeros(count, np.int32)
    device = case.problem.home
    if plan.device is not None:
        device = in_order(case, np.where(plan.device < 0, case.problem.stands, plan.device))
    fusion = nothing
    if plan.fusion_group is not None:
        fusion = np.where(plan.fusion_group >= 0, config.fusion_levels - 1, 0)
    if case.teacher.everything_is_as_good:
        fusion = np.full(count, config.fusion_levels - 1)
    schedule, priority = nothing, plan.priority
    if priority is None and case.teacher.critical_path:
        priority = case.critical_path
    if priority is not None:
        schedule = levels_of(priority, case.matters["schedule"] > 0, config.schedule_levels)
    recompute = nothing if plan.recompute is None else plan.recompute
    decided = {
        "device": True,
        "fusion": plan.device is None
        or plan.fusion_group is not None
        or case.teacher.everything_is_as_good,
        "schedule": True,
        "recompute": True,
    }
    actions = [part.astype(np.int32) for part in (device, fusion, schedule, recompute)]
    masks = {task: np.full(count, float(decided[task]), np.float32) for task in sampling.TASKS}
    return Best(
        Actions(**dict(zip(sampling.TASKS, actions, strict=True))), sampling.LogProbs(**masks)
    )


def in_order(case: Case, device: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """[num_ops] devices, exchanged among those that are alike so that the first of them
    has the forward ops that come first, in the mean by time. With free state only:
    elsewhere variables stand where they do, and no device is like another."""
    device = np.asarray(device, np.int64)
    if not case.target.free_state:
        return device
    work = np.where(case.problem.backward, 0.0, case.problem.mean_micros)
    if not work.any():
        work = case.problem.mean_micros
    count = case.problem.num_devices
    total = np.bincount(device, work, count)
    moment = np.bincount(device, work * np.arange(len(device)), count)
    mean = np.divide(moment, total, out=np.full(count, np.inf), where=total > 0)
    new = np.arange(count)
    for alike in like_devices(case.target.machine):
        new[np.array(alike)[np.argsort(mean[alike], kind="stable")]] = alike
    return new[device]


def like_devices(machine: "Machine") -> list[list[int]]:
    """Devices, by number, that could be exchanged without a difference: the same but for
    their names, and linked alike to each other and to all others."""
    devices = [{k: v for k, v in device.items() if k != "name"} for device in machine.devices]
    links = {(link["src"], link["dst"]): {**link, "src": 0, "dst": 0} for link in machine.links}

    def are_alike(a: int, b: int) -> bool:
        others = [c for c in range(len(devices)) if c not in (a, b)]
        return (
            devices[a] == devices[b]
            and links.get((a, b)) == links.get((b, a))
            and all(links.get((a, c)) == links.get((b, c)) for c in others)
            and all(links.get((c, a)) == links.get((c, b)) for c in others)
        )

    sets: list[list[int]] = []
    for device in range(len(devices)):
        like = next((known for known in sets if are_alike(known[0], device)), None)
        if like is None:
            sets.append([device])
        else:
            like.append(device)
    return sets


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
