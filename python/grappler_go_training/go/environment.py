"""An episode is one decision: actions for all ops of a graph on a machine, a plan of
them, one simulated step, a reward.

    case = make_case("bert-tiny-train", "bert", captured, target, cache.get)
    environment = Environment(network_config, threads=2)
    for outcome in environment.try_actions(case, actions):
        print(outcome.reward, outcome.step_us)

Actions go through the same path as a policy's answers in production: logits,
_core.build_plan, and from there to _core.simulate. Devices are what a cut makes of them
(cc/plan/policy_cut.h), which weighs them against transfers and balance: ops that are drawn
one by one scatter, and then all samples are so bad that a policy learns nothing but to
leave everything on one device.
"""

import concurrent.futures
import dataclasses
import math
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from absl import logging

from grappler_go import native
from grappler_go_training import baselines
from grappler_go_training.baselines import costs
from grappler_go_training.go import sampling
from grappler_go_training.go.config import NetworkConfig
from grappler_go_training.go.inputs import GraphInputs, graph_inputs
from grappler_go_training.go.machines import Target
from grappler_go_training.go.network import Actions
from grappler_go_training.go.sampling import TASKS
from grappler_go_training.go.teacher import Teacher, critical_path_priority, plan_options

if TYPE_CHECKING:
    from grappler_go import OpGraph, Plan
    from grappler_go.captured import CapturedGraph

# What GO gives for a plan that cannot run. Ours are out of memory: what else would make a
# plan invalid, plan building is not to let through (tests/go/test_random_logits.py).
INVALID_REWARD = -10.0

# Why plan building leaves an op out of groups although it could be compiled
# (cc/plan/reason.cc); where the reason is another one, its fusion action means nothing.
_COMPILABLE = (
    *("", "the policy left it alone", "slower when compiled"),
    *("group too small", "group does not pay", "plan does not pay"),
)
# Smaller tensors are not worth a second run of their op (cc/plan/decide_memory.cc).
_MIN_BYTES = 4096


@dataclasses.dataclass(frozen=True)
class Case:
    """A graph on a machine, with all that is worked out once.

    Attributes:
      name: "bert-tiny-train on 4 x p100"; unique within a run.
      family: of the graph's workload; its folder's name for a recorded one.
      captured, graph, target: which.
      problem: as the baselines see it.
      teacher: the best baseline.
      inputs: as the network sees it.
      matters: by task, [num_ops] 0 or 1: whether the op's action can change the plan; of
        ops that share a device, the first. Others are left out of every loss: their
        gradient would be noise.
      options: of _core.build_plan.
      critical_path: [num_ops] priorities, what any plan's ready ops may be taken by.
    """

    name: str
    family: str
    captured: "CapturedGraph"
    graph: "OpGraph"
    target: Target
    problem: baselines.Problem
    teacher: Teacher
    inputs: GraphInputs
    matters: Mapping[str, npt.NDArray[np.float32]]
    options: Mapping[str, Any]
    critical_path: npt.NDArray[np.float32]

    @property
    def tasks(self) -> list[str]:
        """Those in which anything can be decided."""
        return [task for task in TASKS if self.matters[task].any()]


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of actions.

    Attributes:
      reward: -sqrt(step / the best baseline's step); INVALID_REWARD out of memory.
      step_us: microseconds of the simulated step, in the order that was wanted or by
        critical path, whichever is faster, as for the baselines' plans.
      out_of_memory: on some device.
      plan: of the actions; with free state it says in which order.
    """

    reward: float
    step_us: float
    out_of_memory: bool
    plan: "Plan"


def make_case(
    name: str,
    family: str,
    captured: "CapturedGraph",
    target: Target,
    teacher_of: Callable[[baselines.Problem, Target], Teacher],
) -> Case:
    """Works out what a case needs.

    Args:
      teacher_of: TeacherCache.get, which takes seconds where the cache has no teacher yet.

    Raises:
      ValueError: the bytes are not a graph, or one without ops.
    """
    graph = captured.op_graph()
    if graph.num_ops == 0:
        raise ValueError(f"{name}: a graph without ops")
    problem = baselines.Problem(graph, target.machine, target.free_state)
    options = plan_options(target, graph)
    inputs = graph_inputs(graph, target.machine, target.free_state)
    return Case(
        name=name,
        family=family,
        captured=captured,
        graph=graph,
        target=target,
        problem=problem,
        teacher=teacher_of(problem, target),
        inputs=inputs,
        matters=_matters(problem, inputs, options),
        options=options,
        critical_path=critical_path_priority(problem).astype(np.float32),
    )


def restricted(case: Case, tasks: Collection[str]) -> Case:
    """The case with nothing but these of sampling.TASKS to decide: no fusion without
    "fusion", first come, first served without "schedule"."""
    switches = {"device": "device", "fusion": "fusion", "memory": "recompute"}
    options = {
        option: value and switches[option] in tasks if option in switches else value
        for option, value in case.options.items()
    }
    matters = {
        task: mask if task in tasks else np.zeros_like(mask) for task, mask in case.matters.items()
    }
    return dataclasses.replace(case, matters=matters, options=options)


def _matters(
    problem: baselines.Problem, inputs: GraphInputs, options: Mapping[str, Any]
) -> dict[str, npt.NDArray[np.float32]]:
    graph = problem.graph
    nothing = np.zeros(graph.num_ops, bool)
    choices = sampling.drawn(inputs).numpy() > 0
    fusible = recomputable = nothing
    if options["fusion"]:
        ones = np.ones(graph.num_ops, np.float32)
        _, why = native.core().build_plan(graph, problem.machine, {"fusion": ones}, options)
        fusible = np.isin(np.array(why["per_op"], dtype=object), _COMPILABLE)
    if options["memory_limit"]:
        tensors = problem.tensors
        written = costs.sum_by(tensors.src, tensors.bytes, graph.num_ops)
        recomputable = ~problem.backward & (written >= _MIN_BYTES)
    takes_time = problem.mean_micros > 0
    chosen = {
        "device": choices if options["device"] else nothing,
        "fusion": fusible,
        "schedule": takes_time,
        "recompute": recomputable,
    }
    return {task: mask.astype(np.float32) for task, mask in chosen.items()}


def reward_of(step_us: float, out_of_memory: bool, teacher: Teacher) -> float:
    """GO's reward (section 3 of the paper)."""
    if out_of_memory:
        return INVALID_REWARD
    return -float(np.sqrt(step_us / max(teacher.step_us, 1e-9)))


def outcome_of(
    case: Case, logits: Mapping[str, npt.NDArray[np.float32]], *, by_cut: bool = True
) -> Outcome:
    """What becomes of a policy's answer.

    Args:
      by_cut: devices are what a cut makes of the answer; else the likeliest of each op.
    """
    core, machine = native.core(), case.target.machine
    wanted = {task: logits[task] for task in case.tasks if task in logits}
    options = {**case.options, "cut_by_policy": by_cut}
    plan, _ = core.build_plan(case.graph, machine, wanted, options)
    orders = [{"schedule": wanted["schedule"]}] if "schedule" in wanted else [{}]
    if "schedule" in case.tasks:
        orders.append({"schedule": case.critical_path})
    try:
        steps = [
            (step, order.get("schedule"))
            for order in orders
            for step in core.simulate(case.graph, machine, [plan], order, threads=1)
        ]
        step, order = min(steps, key=lambda one: (one[0]["out_of_memory"], one[0]["micros"]))
    except ValueError as error:
        # Should it let one through all the same, that is no reason to end a run of hours.
        logging.warning("%s: a plan counts as out of memory: %s", case.name, error)
        return Outcome(INVALID_REWARD, math.inf, True, plan)
    if case.target.free_state:  # no program can be told an order
        plan.priority = order
    reward = reward_of(step["micros"], step["out_of_memory"], case.teacher)
    return Outcome(reward, step["micros"], step["out_of_memory"], plan)


class Environment:
    """Builds and simulates plans, several at once.

    Args:
      config: of the network that acts: how many levels its actions have.
      threads: 0: one for each core. Outcomes do not depend on their number.
    """

    def __init__(self, config: NetworkConfig, threads: int = 0) -> None:
        self._config = config
        count = threads or len(os.sched_getaffinity(0))
        self._pool = concurrent.futures.ThreadPoolExecutor(count)

    def try_actions(
        self, case: Case, actions: Sequence[Actions], *, by_cut: bool = True
    ) -> list[Outcome]:
        """What becomes of each; by_cut as outcome_of()."""
        return [one.result() for one in self.start(case, actions, by_cut=by_cut)]

    def start(
        self, case: Case, actions: Sequence[Actions], *, by_cut: bool = True
    ) -> "list[concurrent.futures.Future[Outcome]]":
        """The same, without waiting for it."""
        return [self._pool.submit(self._outcome, case, one, by_cut) for one in actions]

    def close(self) -> None:
        """Ends the threads."""
        self._pool.shutdown()

    def _outcome(self, case: Case, actions: Actions, by_cut: bool) -> Outcome:
        num_devices = len(case.target.machine.devices)
        logits = sampling.actions_to_logits(actions, num_devices, self._config)
        return outcome_of(case, logits, by_cut=by_cut)
