"""A policy against the baselines at equal budget: as many simulated plans, or as many
seconds, for everyone.

    case = case_of("gnmt-2", "p100x2")
    for row in evaluate(judged.load("runs/go"), [case], ["policy", "policy_best", "metis"]):
        print(row.method, row.step_us)
"""

import pathlib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from absl import logging

from grappler_go.bench import environment
from grappler_go.captured import CapturedGraph
from grappler_go_training import baselines, workloads
from grappler_go_training.baselines.sweep import machine_of
from grappler_go_training.go import machines
from grappler_go_training.go.asked import Asker
from grappler_go_training.go.environment import Case, make_case, restricted
from grappler_go_training.go.judged import JudgedPolicy
from grappler_go_training.go.sampling import TASKS
from grappler_go_training.go.sources import captured_apart
from grappler_go_training.go.teacher import TeacherCache
from grappler_go_training.measure.judge import grappler_ms
from grappler_go_training.policy_results import (
    LEARNING,
    METHODS,
    POLICY_BEST,
    SEQUENTIAL,
    Key,
    Row,
)

if TYPE_CHECKING:
    from grappler_go import Plan


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
    judge: bool = False,
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
      judge: ask TensorFlow's own cost model of plans, too; of placements only.

    Raises:
      ValueError: as check().
    """
    budget = budget or baselines.Budget()
    check(policy, methods, decides, budget, judge)
    text = ",".join(task for task in TASKS if task in decides)
    for whole in cases:
        case = restricted(whole, decides)
        asker = Asker(policy, case)
        judge_default_us = None
        if judge:
            judge_default_us = _judge_us(case, case.problem.plan("tensorflow_default"))
        for method in methods:
            for seed in seeds:
                asked = policy.name if policy is not None and method in METHODS else ""
                if (case.name, text, method, seed, budget.plans, budget.seconds, asked) in done:
                    continue
                on_progress(f"{case.name}: {method}")
                found = asker.answer(method, budget, seed)
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
                    policy=asked,
                    where=environment.where(),
                    step_us=found.step_us,
                    out_of_memory=found.out_of_memory,
                    seconds=found.seconds,
                    error=found.error,
                    judge_us=_judge_us(case, found.plan) if judge else None,
                    judge_default_us=judge_default_us,
                )


def _judge_us(case: Case, plan: "Plan | None") -> float | None:
    if plan is None:
        return None
    try:
        return 1e3 * grappler_ms(case.captured, plan, case.target.machine)
    except RuntimeError as error:
        logging.warning("%s: %s", case.name, error)
        return None


def check(
    policy: JudgedPolicy | None,
    methods: Sequence[str],
    decides: Sequence[str],
    budget: baselines.Budget | None = None,
    judge: bool = False,
) -> None:
    """Raises:
    ValueError: no such method or task, POLICY_BEST of a policy that cannot be sampled, a
      method of LEARNING with a budget of seconds, or a judge of more than devices.
    """
    if judge and set(decides) != {"device"}:
        raise ValueError("TensorFlow's cost model judges placements: decide nothing but device")
    own = (*METHODS, SEQUENTIAL)
    baselines.registry.check_names([name for name in methods if name not in own])
    unknown = [task for task in decides if task not in TASKS]
    if unknown or not decides:
        raise ValueError(f"no task {', '.join(unknown) or 'at all'}: there are {', '.join(TASKS)}")
    if POLICY_BEST in methods and policy is not None and not policy.draws:
        raise ValueError(f"{POLICY_BEST} needs a run's network: an exported policy does not draw")
    if budget is not None and budget.seconds is not None and set(methods) & set(LEARNING):
        raise ValueError(f"{' and '.join(LEARNING)} take a number of plans, not of seconds")
