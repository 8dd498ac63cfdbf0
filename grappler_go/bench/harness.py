"""Runs a program in several modes, in separate warm processes, interleaved.

One worker a mode. All are started and warmed one after the other; then, round by
round, each in turn times a few steps while the others sleep, in an order that is
reversed every other round. What disturbs the machine for a while thus falls on
all modes alike, and the ratio of two modes is taken within each round.

    results = harness.compare("transformer-train", rounds=10)
    results["ours"].speedup, results["ours"].difference
"""

import dataclasses
import functools
import os
import statistics
import tempfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from grappler_go.bench import models, process
from grappler_go.bench import worker as worker_lib
from grappler_go.bench.process import WorkerError
from grappler_go.bench.worker import MODES, TUNED, UNTUNED


@dataclasses.dataclass
class Result:
    """One mode of one program.

    Attributes:
      mode: default, jit, auto, ours or tuned.
      error: why there are no numbers; empty when there are.
      median_ms: of all timed steps.
      low_ms, high_ms: their 10th and 90th percentile.
      steps: how many were timed.
      first_ms: the first step: tracing, graph optimisation and compilation.
      trial_ms: further steps that our guard timed (enable(guard=...)), one by one; the
        first of them has TensorFlow optimise the original, too.
      speedup: median over rounds of (default's median / this mode's median).
      speedup_low, speedup_high: lowest and highest of the rounds.
      peak_mb: peak resident memory of the process, compilation included.
      step_peak_mb: peak while stepping after the first steps.
      start_mb: resident memory before the first step.
      difference: largest difference of an output of the first steps from
        default's, relative to the largest value of that output.
      verdict: of grappler_go.tune (mode tuned only): "plan", "default", or "undecided", and
        then the policy decides, as in mode ours.
      plan: the name of the plan that it found; "TensorFlow's default" where it found none.
      tuning_s: seconds that it took, budget_s: that it was given.
      reports: what our pass reported (modes ours and tuned only).
    """

    mode: str
    error: str = ""
    median_ms: float = 0.0
    low_ms: float = 0.0
    high_ms: float = 0.0
    steps: int = 0
    first_ms: float = 0.0
    trial_ms: list[float] = dataclasses.field(default_factory=list)
    speedup: float = 0.0
    speedup_low: float = 0.0
    speedup_high: float = 0.0
    peak_mb: float = 0.0
    step_peak_mb: float = 0.0
    start_mb: float = 0.0
    difference: float = 0.0
    verdict: str = ""
    plan: str = ""
    tuning_s: float = 0.0
    budget_s: float = 0.0
    reports: list[dict[str, Any]] = dataclasses.field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return dataclasses.asdict(self)

    @property
    def no_program(self) -> str:
        """What is said where there is no such program; empty where there is one."""
        return self.error.removeprefix(_NO_PROGRAM) if self.error.startswith(_NO_PROGRAM) else ""


# How a worker tells of that error.
_NO_PROGRAM = f"{models.UnknownProgramError.__name__}: "


class WorkerProcess(process.Process):
    """The parent's end of the worker of one mode."""

    def __init__(self, mode: str, log_path: str, machine: str = "") -> None:
        command = ("-m", "grappler_go.bench.worker")
        super().__init__(command, log_path, worker_lib.environment(mode, machine))


def compare(
    program: str,
    modes: Sequence[str] = UNTUNED,
    *,
    rounds: int = 10,
    round_seconds: float = 0.5,
    compare_steps: int = 5,
    batch: int = 0,
    image_size: int = 0,
    settings: Mapping[str, Any] | None = None,
    machine: str = "",
    tune_s: float = 120.0,
    tuned_plans: str = "",
    timeout_s: float = 300.0,
    progress: Callable[[str], None] = lambda _: None,
) -> dict[str, Result]:
    """Measures a program in each mode.

    Args:
      program: a built-in name or module:function; see bench.models.build.
      modes: which of MODES; "default" is added, as the others are compared with it. For
        "tuned", the program is first tuned in a process of its own.
      rounds: how often each mode takes its turn.
      round_seconds: about how long a turn lasts; at least one step.
      compare_steps: first steps whose outputs are compared, not timed.
      batch: batch size of a built-in model; 0 for its own.
      image_size: height and width of the images of a model of keras.applications;
        0 for its own.
      settings: arguments of grappler_go.enable() for the modes ours and tuned.
      machine: the file of op times that the modes ours and tuned decide with (what
        `grappler-go calibrate` wrote); empty: what a program finds by itself.
      tune_s: seconds that tuning may take.
      tuned_plans: a folder that keeps what tuning found; what it has already is not tuned
        again. Empty: nothing is kept.
      timeout_s: how long a worker may take for its first steps or for a turn.
      progress: told what is being done, in a few words.

    Returns:
      Mode -> its result, in the order of MODES. A mode that failed has `error`;
      the others go on, unless the first one failed as there is no such program: they
      then have the same error, and are not started.

    Raises:
      ValueError: an unknown mode.
    """
    for mode in modes:
        if mode not in MODES:
            raise ValueError(f"no mode {mode!r}; there are {', '.join(MODES)}")
    results = {mode: Result(mode) for mode in MODES if mode in modes or mode == "default"}
    workers: dict[str, WorkerProcess] = {}
    with tempfile.TemporaryDirectory(prefix="grappler-go-bench-") as folder:
        plans = os.path.abspath(tuned_plans or os.path.join(folder, "plans"))
        built: dict[str, Any] = {
            "program": program,
            "options": {"batch": batch, "image_size": image_size},
            "settings": dict(settings or {}),
        }
        try:
            if TUNED in results:
                # Before the others run: nothing else is on the machine.
                progress(f"{TUNED}: tuning")
                request = {"do": "tune", **built, "mode": TUNED, "budget_s": tune_s, "plans": plans}
                log = os.path.join(folder, "tuning.log")
                # A compilation that has begun is not interrupted.
                ask = functools.partial(_asked_once, log, machine, request, tune_s + timeout_s)
                _attempt(results[TUNED], ask)
                if results[TUNED].no_program:
                    for result in results.values():
                        result.error = results[TUNED].error
            for mode, result in results.items():
                if result.error:
                    continue
                progress(f"{mode}: first steps")
                log = os.path.join(folder, f"{mode}.log")
                workers[mode] = WorkerProcess(mode, log, machine)
                request = {
                    "do": "start",
                    **built,
                    "mode": mode,
                    "compare_steps": compare_steps,
                    "outputs": os.path.join(folder, f"{mode}.npz"),
                }
                if mode == TUNED:
                    request["settings"] = {**built["settings"], "plan_cache": plans}
                _attempt(result, functools.partial(_started, workers[mode], request, timeout_s))
                if result.no_program and len(workers) == 1:
                    # Nobody else will find it, and each would take seconds to say so.
                    for other in results.values():
                        other.error = result.error
            _take_turns(results, workers, rounds, round_seconds, timeout_s, progress)
            for mode, result in results.items():
                if not result.error:
                    finish = functools.partial(workers[mode].ask, {"do": "finish"}, timeout_s)
                    _attempt(result, finish)
                if mode == TUNED and not result.error:
                    result.error = _not_as_tuned(result)
                if not result.error and not results["default"].error:
                    result.difference = largest_difference(
                        os.path.join(folder, "default.npz"), os.path.join(folder, f"{mode}.npz")
                    )
        finally:
            for running in workers.values():
                running.close()
    return results


def num_parts(modes: Sequence[str], rounds: int) -> int:
    """How often compare() calls `progress`, if nothing fails."""
    return len({"default", *modes}) * (1 + rounds) + (TUNED in modes)


def _asked_once(
    log_path: str, machine: str, request: dict[str, Any], timeout_s: float
) -> dict[str, Any]:
    """The answer of a worker of its own, which then ends."""
    running = WorkerProcess(request["mode"], log_path, machine)
    try:
        return running.ask(request, timeout_s)
    finally:
        running.close()


def _not_as_tuned(result: Result) -> str:
    """Why the measured process did not run what tuning found; empty where it did. Its
    graph could be another one, or a setting could keep the pass from looking it up. What is
    found is for functions as they were; one whose loops XLA runs is another."""
    if any(report["loops"] for report in result.reports):
        return ""
    applied = [report for report in result.reports if report["applied"]]
    used = any(report["policy"].startswith("tuned: ") for report in applied)
    if (result.verdict == "plan" and not used) or (result.verdict == "default" and applied):
        outcomes = ", ".join(dict.fromkeys(report["outcome"] for report in result.reports))
        return f"what tuning found was not used: {outcomes or 'no graph reached the pass'}"
    return ""


def _started(running: WorkerProcess, request: dict[str, Any], timeout_s: float) -> dict[str, Any]:
    answer = running.ask(request, timeout_s)
    # Warm: threads, allocator and clock frequency, not only the graph.
    running.ask({"do": "time", "steps": 3}, timeout_s)
    return answer


def _attempt(result: Result, ask: Callable[[], dict[str, Any]]) -> None:
    """Fills the result from an answer, or notes why there is none."""
    try:
        answer = ask()
    except WorkerError as error:
        result.error = str(error)
        return
    for key, value in answer.items():
        if hasattr(result, key):
            setattr(result, key, value)


def _take_turns(
    results: Mapping[str, Result],
    workers: Mapping[str, WorkerProcess],
    rounds: int,
    round_seconds: float,
    timeout_s: float,
    progress: Callable[[str], None],
) -> None:
    """Times the modes in rounds and sums each up."""
    timed: dict[str, list[list[float]]] = {mode: [] for mode in results}
    for number in range(rounds):
        order = [mode for mode, result in results.items() if not result.error]
        for mode in reversed(order) if number % 2 else order:
            progress(f"round {number + 1} of {rounds}: {mode}")
            earlier = timed[mode][-1] if timed[mode] else []
            steps = 1
            if earlier:
                steps = max(1, int(round_seconds * 1e3 / statistics.median(earlier)))
            try:
                answer = workers[mode].ask({"do": "time", "steps": steps}, timeout_s)
                timed[mode].append(answer["ms"])
            except WorkerError as error:
                results[mode].error = str(error)
    for mode, result in results.items():
        # The first round only finds out how many steps fill a turn.
        turns = timed[mode][1:] or timed[mode]
        if result.error or not turns:
            continue
        steps_ms = [ms for turn in turns for ms in turn]
        result.steps = len(steps_ms)
        result.median_ms = statistics.median(steps_ms)
        result.low_ms, result.high_ms = (float(q) for q in np.percentile(steps_ms, [10, 90]))
        if not results["default"].error:
            base = timed["default"][1:] or timed["default"]
            ratios = [
                statistics.median(b) / statistics.median(t)
                for b, t in zip(base, turns, strict=False)
            ]
            result.speedup = statistics.median(ratios)
            result.speedup_low, result.speedup_high = min(ratios), max(ratios)


def largest_difference(
    expected_path: str, got_path: str, leave_out: Callable[[str], bool] = lambda _: False
) -> float:
    """Largest difference between two files of outputs, relative to each output's
    largest value. Infinite when one has an output, a shape or a NaN that the
    other has not. leave_out: which outputs not to look at, by name."""
    with np.load(expected_path) as expected, np.load(got_path) as got:
        if set(expected.files) != set(got.files):
            return float("inf")
        worst = 0.0
        for name in expected.files:
            if leave_out(name):
                continue
            a, b = expected[name], got[name]
            if a.shape != b.shape or not np.array_equal(np.isnan(a), np.isnan(b)):
                return float("inf")
            if a.size == 0:
                continue
            a, b = np.nan_to_num(a).astype(np.float64), np.nan_to_num(b).astype(np.float64)
            scale = float(np.max(np.abs(a)))
            worst = max(worst, float(np.max(np.abs(a - b))) / max(scale, 1e-12))
        return worst
