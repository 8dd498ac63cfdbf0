"""Placements of a policy and of the baselines, run for real: on a TensorFlow cluster of two
single-core workers on this machine.

    for row in measure(judged.load("go-1.0"), ["rnnlm-train"], ["policy_search", "metis"]):
        print(row.method, row.ratio)
"""

import contextlib
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import TYPE_CHECKING

from grappler_go.bench import environment
from grappler_go.bench.process import WorkerError
from grappler_go_training import baselines
from grappler_go_training.go.asked import Answer, Asker
from grappler_go_training.go.environment import Case, make_case, restricted
from grappler_go_training.go.evaluate import check
from grappler_go_training.go.judged import JudgedPolicy
from grappler_go_training.go.machines import Target
from grappler_go_training.go.teacher import TeacherCache
from grappler_go_training.measure.candidates import machine_of_kind
from grappler_go_training.measure.measurement import Measurement
from grappler_go_training.measure.run import capture_graph, measure_plans
from grappler_go_training.policy_results import METHODS, MeasuredKey, MeasuredRow

if TYPE_CHECKING:
    from grappler_go import Machine

_KIND = "cluster"
_DECIDES = ("device",)


def measure(
    policy: JudgedPolicy | None,
    programs: Sequence[str],
    methods: Sequence[str],
    seed: int = 0,
    budget: baselines.Budget | None = None,
    machine: "Machine | None" = None,
    timeout_s: float = 300.0,
    done: Collection[MeasuredKey] = (),
    on_progress: Callable[[str], None] = lambda _: None,
) -> Iterator[MeasuredRow]:
    """Places each program by each method, with the simulator as judge, and runs it.

    Args:
      policy: None where METHODS are not asked.
      programs: see measure.worker.make(); on the first worker as they stand.
      methods: METHODS and names of baselines.
      seed: of what draws.
      budget: of each; None: baselines.Budget().
      machine: whose times the simulator goes by (measure.candidates.machine_of_kind());
        None: this machine's, as far as they are known.
      timeout_s: how long a program may take to start, and one plan to be measured.
      done: MeasuredRow.key of those to leave out.

    Raises:
      ValueError: as evaluate.check(), or this process has a single core.
    """
    check(policy, methods, _DECIDES)
    budget = budget or baselines.Budget()
    target = Target(machine_of_kind(_KIND, machine), False, _KIND)
    for program in programs:
        left = [m for m in methods if (program, m, seed, budget.plans, budget.seconds) not in done]
        if not left:
            continue
        on_progress(f"{program}: its graph")
        try:
            with _keras_3():
                graph = capture_graph(program, _KIND, start_timeout_s=timeout_s)
        except WorkerError as error:
            for method in left:
                yield _row(program, None, policy, method, seed, budget, error=str(error))
            continue
        cache = TeacherCache(None, (), 0)
        whole = make_case(program, program, graph, target, cache.get)
        case = restricted(whole, _DECIDES)
        asker = Asker(policy, case)
        answers: list[Answer] = []
        for method in left:
            on_progress(f"{program}: {method}")
            answers.append(asker.answer(method, budget, seed))
        on_progress(f"{program}: runs {len(left)} plans")
        with _keras_3():
            found = measure_plans(
                program,
                [answer.plan for answer in answers],
                kind=_KIND,
                timeout_s=timeout_s,
                start_timeout_s=timeout_s,
            )
        for method, answer, one in zip(left, answers, found, strict=True):
            yield _row(program, case, policy, method, seed, budget, answer, one)


@contextlib.contextmanager
def _keras_3() -> Iterator[None]:
    """Programs are Keras 3's, whatever this process needs (grappler_go_training.go: Keras 2);
    those that are started inside have its environment."""
    legacy = os.environ.pop("TF_USE_LEGACY_KERAS", None)
    try:
        yield
    finally:
        if legacy is not None:
            os.environ["TF_USE_LEGACY_KERAS"] = legacy


def _row(
    program: str,
    case: Case | None,
    policy: JudgedPolicy | None,
    method: str,
    seed: int,
    budget: baselines.Budget,
    answer: Answer | None = None,
    measured: Measurement | None = None,
    error: str = "",
) -> MeasuredRow:
    if answer is not None and answer.plan is None:
        measured, error = None, answer.error or "it made no plan"
    if measured is not None and measured.error is not None:
        error = measured.error
        measured = None
    reference = measured.reference_readings_ms if measured is not None else ()
    return MeasuredRow(
        program=program,
        num_ops=case.graph.num_ops if case is not None else 0,
        method=method,
        seed=seed,
        plans=budget.plans,
        max_seconds=budget.seconds,
        simulated_ms=_ms(answer.step_us) if answer is not None else None,
        simulated_default_ms=_ms(case.teacher.default_us) if case is not None else None,
        ms=measured.median_ms if measured is not None else None,
        default_ms=measured.reference_ms if measured is not None else None,
        ratio=measured.ratio if measured is not None else None,
        spread=(max(reference) - min(reference)) / measured.reference_ms if measured else None,
        seconds=answer.seconds if answer is not None else 0.0,
        error=error,
        policy=policy.name if policy is not None and method in METHODS else "",
        machine=case.target.machine.name if case is not None else "",
        where=environment.where(),
    )


def _ms(micros: float | None) -> float | None:
    return None if micros is None else micros / 1e3
