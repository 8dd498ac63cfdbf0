"""Is one faster than the other, or was that noise?

What is judged are ratios of readings taken one right after the other, so that what
slows the whole machine down for a while slows both.
"""

import dataclasses
import math
import statistics
from collections.abc import Sequence

import numpy as np

# Fewer than these rounds decide nothing: even all of five on one side happen by chance
# once in 16 times.
LEAST_ROUNDS = 6
_CONFIDENCE = 0.95
_RESAMPLES = 2000
# A gain nobody would notice is not worth a plan that has to be kept and understood.
LEAST_GAIN = 0.01


@dataclasses.dataclass(frozen=True)
class Verdict:
    """How much faster one is.

    Attributes:
      speedup: median over the rounds of the other's time divided by its own.
      low, high: 95 % confidence interval of that median (bootstrap), to be shown: of few
        rounds a bootstrap is too sure of itself, so that what follows rests on counting.
      rounds: how many it rests on.
      faster: it is faster by more than the noise: it was in at least LEAST_ROUNDS rounds,
        in so many of them that a coin would hardly do it (sign test, 95 %), and by
        LEAST_GAIN in the median.
      slower: the same on the other side.
    """

    speedup: float
    low: float
    high: float
    rounds: int
    faster: bool
    slower: bool


def judge(base: Sequence[float], other: Sequence[float], *, seed: int = 0) -> Verdict:
    """Compares `other` with `base`.

    Args:
      base, other: readings of the same rounds, any unit of time.
      seed: of the bootstrap's draws.

    Raises:
      ValueError: no rounds, or not as many of both.
    """
    if len(base) == 0 or len(base) != len(other):
        raise ValueError(f"{len(base)} and {len(other)} readings cannot be compared")
    ratios = np.asarray(base, float) / np.maximum(np.asarray(other, float), 1e-12)
    speedup = float(np.median(ratios))
    rng = np.random.default_rng(seed)
    drawn = rng.choice(ratios, size=(_RESAMPLES, len(ratios)))
    tail = (1 - _CONFIDENCE) / 2
    low, high = (float(q) for q in np.quantile(np.median(drawn, axis=1), [tail, 1 - tail]))
    enough = len(ratios) >= LEAST_ROUNDS
    return Verdict(
        speedup,
        low,
        high,
        len(ratios),
        enough and speedup >= 1 + LEAST_GAIN and _unlikely(int(np.sum(ratios > 1)), len(ratios)),
        enough and speedup <= 1 - LEAST_GAIN and _unlikely(int(np.sum(ratios < 1)), len(ratios)),
    )


def _unlikely(wins: int, rounds: int) -> bool:
    """Would a coin show so many wins or more in less than one of 20 times (sign test)?"""
    at_least = sum(math.comb(rounds, k) for k in range(wins, rounds + 1))
    return at_least / 2**rounds < 1 - _CONFIDENCE


def median(readings: Sequence[float]) -> float:
    """The median; NaN of nothing."""
    return statistics.median(readings) if readings else math.nan
