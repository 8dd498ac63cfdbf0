"""How well predicted times go with measured ones."""

import dataclasses
import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

# Times closer than that are not told apart: machines are shared.
LEAST_DIFFERENCE = 0.05
_FEWEST_PLANS = 3

# What the simulator is asked to reach within a program, by the field of Agreement.
LEAST = {"spearman": 0.9, "judge_agrees": 0.9}
MOST = {"time_error": 0.15, "memory_error": 0.1}

_Floats = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Row:
    """One plan, run and simulated.

    Attributes:
      program, kind, plan: what was run; the plan by its candidate's name.
      decides: "nothing", "fusion", "recompute" or "device".
      key: of the plan's decisions; see measurement.Cache.key().
      error: why there are no measured numbers; None when there are.
      ms, reference_ms: measured milliseconds of a step with the plan and without it.
      ratio: of the two, turn by turn.
      spread: (highest - lowest) / median of the readings without the plan.
      first_ms: of the first step, compilation included.
      simulated_ms, simulated_reference_ms: the same two from the simulator.
      peak_bytes, simulated_peak_bytes: of all devices together.
      resident_bytes, simulated_resident_bytes: there throughout the step.
      judge_ms: from TensorFlow's own cost model; None: it has none, or does not take the
        graph.
      machine: whose costs were simulated.
      where: what it was measured on, in words.
    """

    program: str
    kind: str
    plan: str
    decides: str
    key: str
    error: str | None = None
    ms: float = 0.0
    reference_ms: float = 0.0
    ratio: float = 0.0
    spread: float = 0.0
    first_ms: float = 0.0
    simulated_ms: float = 0.0
    simulated_reference_ms: float = 0.0
    peak_bytes: int = 0
    simulated_peak_bytes: int = 0
    resident_bytes: int = 0
    simulated_resident_bytes: int = 0
    judge_ms: float | None = None
    machine: str = ""
    where: str = ""

    @property
    def simulated_ratio(self) -> float:
        return self.simulated_ms / self.simulated_reference_ms

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True)
class Agreement:
    """One program, one kind of measurement.

    Attributes:
      program, kind: which.
      plans: that were measured; failed: that could not be.
      spearman: rank correlation of the measured ratio and the simulated one; measured
        times within 5 % of each other share a rank. None: fewer than 3 ranks.
      pairs: pairs of plans whose measured times differ by more than 5 %.
      pairs_right: share of these that the simulator puts in the same order.
      time_error: median of |simulated / measured - 1| of the time of a step.
      ratio_error: the same of (time with the plan / time without).
      memory_error: the same of the peak memory.
      above_resident_error: the same of what the peak is above variables and arguments.
      judge_right: as pairs_right, of TensorFlow's own cost model; None: no placements.
      judge_agrees: share of these pairs that the simulator and that model put in the
        same order.
      spread: median spread of the readings without a plan: what noise there was.
    """

    program: str
    kind: str
    plans: int
    failed: int
    spearman: float | None
    pairs: int
    pairs_right: float | None
    time_error: float | None
    ratio_error: float | None
    memory_error: float | None
    above_resident_error: float | None
    judge_right: float | None
    judge_agrees: float | None
    spread: float | None

    @property
    def missed(self) -> dict[str, float]:
        """The targets (LEAST, MOST) that are missed, and what was reached. One without a
        figure is not."""
        values = {name: getattr(self, name) for name in (*LEAST, *MOST)}
        return {
            name: value
            for name, value in values.items()
            if value is not None and (value < LEAST[name] if name in LEAST else value > MOST[name])
        }

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return dataclasses.asdict(self)


def agreement(rows: Sequence[Row]) -> Agreement:
    """
    Args:
      rows: of one program and kind; at least one.
    """
    good = [row for row in rows if row.error is None]
    measured = np.array([row.ratio for row in good])
    simulated = np.array([row.simulated_ratio for row in good])
    differ = _pairs(measured)
    judged: tuple[float | None, float | None] = None, None
    if good and all(row.judge_ms is not None for row in good):
        judge = np.array([row.judge_ms for row in good], np.float64)
        judged = _same_order(differ, judge, measured), _same_order(differ, judge, simulated)
    return Agreement(
        program=rows[0].program,
        kind=rows[0].kind,
        plans=len(good),
        failed=len(rows) - len(good),
        spearman=_spearman(measured, simulated),
        pairs=len(differ),
        pairs_right=_same_order(differ, simulated, measured),
        time_error=_error([(row.simulated_ms, row.ms) for row in good]),
        ratio_error=_error([(row.simulated_ratio, row.ratio) for row in good]),
        memory_error=_error([(row.simulated_peak_bytes, row.peak_bytes) for row in good]),
        above_resident_error=_error(
            [
                (
                    row.simulated_peak_bytes - row.simulated_resident_bytes,
                    row.peak_bytes - row.resident_bytes,
                )
                for row in good
            ]
        ),
        judge_right=judged[0],
        judge_agrees=judged[1],
        spread=statistics.median(row.spread for row in good) if good else None,
    )


def summarize(rows: Sequence[Row]) -> list[Agreement]:
    """One agreement for each program and kind, in the order in which they come."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.program, row.kind), []).append(row)
    return [agreement(group) for group in groups.values()]


def _pairs(measured: _Floats) -> list[tuple[int, int]]:
    """(slower, faster) of all pairs that differ by more than 5 %."""
    count = len(measured)
    return [
        (a, b)
        for a in range(count)
        for b in range(count)
        if measured[a] > measured[b] * (1 + LEAST_DIFFERENCE)
    ]


def _same_order(pairs: list[tuple[int, int]], ours: _Floats, theirs: _Floats) -> float | None:
    """Share of the pairs that both put in one order; a tie counts as half."""
    if not pairs:
        return None
    signs = [np.sign(ours[a] - ours[b]) * np.sign(theirs[a] - theirs[b]) for a, b in pairs]
    return float(np.mean([(1 + sign) / 2 for sign in signs]))


def _spearman(measured: _Floats, simulated: _Floats) -> float | None:
    from scipy.stats import spearmanr

    ranks = _ranks(measured)
    if len(set(ranks)) < _FEWEST_PLANS or len(set(simulated)) < 2:
        return None
    return float(spearmanr(ranks, simulated).statistic)


def _ranks(measured: _Floats) -> list[int]:
    """From the fastest on, a new rank begins where the time is more than 5 % above that
    of the rank's first."""
    ranks = [0] * len(measured)
    rank, first = 0, None
    for number in np.argsort(measured):
        if first is not None and measured[number] > first * (1 + LEAST_DIFFERENCE):
            rank, first = rank + 1, None
        first = measured[number] if first is None else first
        ranks[number] = rank
    return ranks


def _error(pairs: Sequence[tuple[float, float]]) -> float | None:
    errors = [abs(told / real - 1) for told, real in pairs if real > 0]
    return statistics.median(errors) if errors else None
