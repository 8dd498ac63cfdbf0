"""What turning us on gains: each program under every mode, and what that adds up to.

    row = gains.measure(gains_programs.BY_NAME["black-scholes"], rounds=6)
    gains.summarize([row]).geometric_means["ours"]

A mode is default, jit, auto, ours ("untuned": the policy decides from what the graph looks
like) or tuned (what grappler_go.tune found by running plans, within a budget of time).
"""

import collections
import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import grappler_go
from grappler_go import guard
from grappler_go.bench import environment, harness
from grappler_go.bench.gains_programs import BY_NAME, Program

# What a user has without us.
OTHERS = ("default", "jit", "auto")
# A step after the first starts from weights that an optimizer has moved, and Adam turns a
# difference in the last digit of a gradient near zero into one of the learning rate.
_COMPARE_STEPS = 1
# Steps after which what the first one cost should be won back.
BREAK_EVEN_STEPS = 500


@dataclasses.dataclass
class Row:
    """One program.

    Attributes:
      program: its name in gains_programs.
      results: mode -> harness.Result, without reports.
      decision: what our pass did to its largest graph.
      compiled: whether it compiled any group.
      where: the machine and the day.
    """

    program: str
    results: dict[str, harness.Result]
    decision: str = ""
    compiled: bool = False
    where: str = ""

    @property
    def held_out(self) -> bool:
        """Whether no training sees a graph of its family; so is a program of one's own."""
        known = BY_NAME.get(self.program)
        return known is None or known.held_out

    def speedup(self, mode: str) -> float | None:
        """Over TensorFlow's default; None where there are no numbers."""
        result = self.results.get(mode)
        if result is None or result.error or result.speedup <= 0:
            return None
        return result.speedup

    @property
    def best_of_others(self) -> float:
        """The best that a user can have without us, 1 or more."""
        return max(self.speedup(mode) or 1.0 for mode in OTHERS)

    def break_even(self, mode: str) -> float | None:
        """Steps until what the first one cost more than the default's is won back, and
        what the guard's and tuning took: 0 where it cost no more, None where a step gains
        nothing."""
        default, result = self.results["default"], self.results[mode]
        extra = result.first_ms - default.first_ms + result.tuning_s * 1e3
        extra += sum(ms - result.median_ms for ms in result.trial_ms)
        gain = default.median_ms - result.median_ms
        if gain <= 0:
            return None
        return max(0.0, extra / gain)

    @property
    def taken_back(self) -> bool:
        """Whether the guard went back to the original."""
        return self.decision.endswith(guard.GONE_BACK)

    @property
    def break_even_text(self) -> str:
        """Steps until ours has won back what it cost, or why there are none."""
        if not self.compiled:
            return "taken back" if self.taken_back else "not compiled"
        steps = self.break_even("ours")
        return "never" if steps is None else f"{steps:,.0f}"

    @property
    def tuning_text(self) -> str:
        """Seconds that it took, and what was found where that is no plan; empty where
        the program was not tuned."""
        tuned = self.results.get("tuned")
        if tuned is None or not tuned.verdict:
            return ""
        seconds = f"{tuned.tuning_s:,.0f}"
        return seconds if tuned.verdict == "plan" else f"{seconds}, {tuned.verdict}"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Row":
        """What to_dict() gave.

        Raises:
          TypeError, AttributeError, KeyError: it is something else.
        """
        kept = dict(values)
        kept["results"] = {
            mode: harness.Result(**result) for mode, result in kept["results"].items()
        }
        return cls(**kept)


@dataclasses.dataclass
class Summary:
    """What rows add up to; programs that failed in a mode do not count for it.

    Attributes:
      programs: how many rows.
      geometric_means: mode -> of the speed-ups; "best of others": of each program's best
        among default, jit and auto.
      held_out_means: the same over families that no training sees.
      against_best: mode -> geometric mean of its speed-up over that best.
      slowest: mode -> its smallest speed-up.
      first_step: mode -> the largest ratio of its first step to the default's.
      compiled: programs in which we compiled a group, and kept it.
      taken_back: those in which the guard went back to the original.
      break_even: of those, how many win the first step back within BREAK_EVEN_STEPS.
      difference: mode -> largest difference of an output.
      tuned: verdict of tuning -> programs.
      tuning_s: seconds that tuning took, of all programs together.
    """

    programs: int
    geometric_means: dict[str, float]
    held_out_means: dict[str, float]
    against_best: dict[str, float]
    slowest: dict[str, float]
    first_step: dict[str, float]
    compiled: int
    taken_back: int
    break_even: int
    difference: dict[str, float]
    tuned: dict[str, int]
    tuning_s: float

    @property
    def tuning_text(self) -> str:
        """What tuning came to, in two sentences."""
        plan, default, undecided = (
            self.tuned.get(verdict, 0) for verdict in ("plan", "default", "undecided")
        )
        programs = plan + default + undecided
        return (
            f"Tuned: {self.against_best['tuned']:.2f} of the best of TensorFlow, jit and auto; "
            f"a plan for {plan} of {programs} programs, TensorFlow's default for {default}, "
            f"{undecided} undecided. Tuning took {self.tuning_s / 60:.1f} min in all."
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return dataclasses.asdict(self)


def geometric_mean(values: Iterable[float]) -> float:
    """Of positive numbers; 1 without any."""
    logs = [math.log(value) for value in values]
    return math.exp(sum(logs) / len(logs)) if logs else 1.0


def measure(
    program: Program,
    modes: Sequence[str] = (*harness.UNTUNED, harness.TUNED),
    *,
    progress: Callable[[str], None] = lambda _: None,
    **options: Any,
) -> Row:
    """Measures a program in each mode, interleaved.

    Args:
      program: of gains_programs, or one of your own.
      modes: which; "default" is added.
      progress: told what is being done, in a few words.
      options: further arguments of harness.compare.

    Raises:
      ValueError: an unknown mode.
    """
    results = harness.compare(
        program.spec,
        modes,
        compare_steps=_COMPARE_STEPS,
        batch=program.batch,
        image_size=program.image_size,
        progress=progress,
        **options,
    )
    decision, compiled = _decided(results.get("ours"))
    for result in results.values():
        result.reports = []
    return Row(program.name, results, decision, compiled, environment.where())


def _decided(ours: harness.Result | None) -> tuple[str, bool]:
    """In a few words what was done to the largest graph; whether any was compiled."""
    if ours is None or not ours.reports:
        return "", False
    reports = [grappler_go.Report.from_dict(report) for report in ours.reports]
    applied = [report for report in reports if report.applied]
    # A graph that was tried with a plan later has two reports.
    largest = max(applied or reports, key=lambda report: (report.num_nodes, report.groups))
    text = largest.outcome
    if largest.applied:
        text = (
            f"{largest.updates:,} updates by kernels, {largest.loops:,} loops by XLA, "
            f"{largest.grouped_ops:,} of {largest.num_nodes:,} ops in {largest.groups:,} groups"
        )
        if largest.micros_before > 0:
            text += (
                f", predicted {largest.micros_before / 1e3:.3g} -> "
                f"{largest.micros_after / 1e3:.3g} ms"
            )
    return text, any(report.groups or report.loops for report in applied)


def summarize(rows: Sequence[Row]) -> Summary:
    """What the rows add up to."""
    modes = [mode for mode in harness.MODES if any(row.speedup(mode) for row in rows)]

    def speedups(mode: str, of: Iterable[Row] = rows) -> list[float]:
        return [value for row in of if (value := row.speedup(mode)) is not None]

    def means(of: Sequence[Row]) -> dict[str, float]:
        found = {mode: geometric_mean(speedups(mode, of)) for mode in modes}
        return {**found, "best of others": geometric_mean(row.best_of_others for row in of)}

    measured = {mode: [row for row in rows if row.speedup(mode) is not None] for mode in modes}
    compiled = [row for row in measured.get("ours", []) if row.compiled]
    tuned = measured.get("tuned", [])
    waits = [row.break_even("ours") for row in compiled]
    return Summary(
        programs=len(rows),
        geometric_means=means(rows),
        held_out_means=means([row for row in rows if row.held_out]),
        against_best={
            mode: geometric_mean(
                (row.speedup(mode) or 1.0) / row.best_of_others for row in measured[mode]
            )
            for mode in modes
        },
        slowest={mode: min(speedups(mode)) for mode in modes},
        first_step={
            mode: max(
                row.results[mode].first_ms / row.results["default"].first_ms
                for row in measured[mode]
            )
            for mode in modes
        },
        compiled=len(compiled),
        taken_back=sum(row.taken_back for row in measured.get("ours", [])),
        break_even=sum(steps is not None and steps <= BREAK_EVEN_STEPS for steps in waits),
        difference={
            mode: max(row.results[mode].difference for row in measured[mode]) for mode in modes
        },
        tuned=dict(collections.Counter(row.results["tuned"].verdict for row in tuned)),
        tuning_s=sum(row.results["tuned"].tuning_s for row in tuned),
    )
