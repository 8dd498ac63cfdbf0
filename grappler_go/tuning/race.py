"""Who is the fastest: interleaved rounds, from which the slow are taken out.

Successive halving (Jamieson and Talwalkar, 2016, "Non-stochastic best arm
identification and hyperparameter optimization", section 2): all run a few rounds, the
faster half runs twice as many, and so on. Ours always has TensorFlow's default in every
round, and the last one left is judged on rounds of its own: of many that are equally
fast one will look faster by chance, and must not be believed for that.
"""

import dataclasses
import functools
import math
import time
from collections.abc import Callable, Sequence

from grappler_go.tuning import judge

# A reading lasts about that long, so that a step of a microsecond is not one reading.
_READING_S = 0.02
_MOST_STEPS = 200
_FIRST_ROUNDS = 3
_FINAL_ROUNDS = 30
# Slower than the default by that, after compilation, it need not be timed again.
_HOPELESS = 2.0
# Of the budget, for first steps: compilation. The rest is for rounds.
_SHARE_FOR_FIRST_STEPS = 0.65


@dataclasses.dataclass
class Runner:
    """One way to run the step.

    Attributes:
      name: for people.
      switch: from the next step on, runs this way.
      compile_s: how long its first step is expected to take.
      first_s: how long it took; NaN before.
      readings: seconds of a step, one a round that it was in.
      base: the default's of the same rounds.
      state: "waiting", "racing", "slower", "failed", "skipped", "best".
      why: for all but "waiting" and "best".
    """

    name: str
    switch: Callable[[], None]
    compile_s: float = 0.0
    first_s: float = math.nan
    readings: list[float] = dataclasses.field(default_factory=list)
    base: list[float] = dataclasses.field(default_factory=list)
    state: str = "waiting"
    why: str = ""

    @property
    def ratio(self) -> float:
        """The default's time divided by its own: median of rounds; NaN before any."""
        return judge.median([b / r for b, r in zip(self.base, self.readings, strict=True)])


@dataclasses.dataclass(frozen=True)
class Progress:
    """How far a race is.

    Attributes:
      phase: "compiling", "racing" or "judging".
      what: the runner's name.
      elapsed_s, budget_s: of the whole race.
      best: name of the fastest so far; empty before any was timed.
      best_ratio: its speed-up over the default; NaN before.
    """

    phase: str
    what: str
    elapsed_s: float
    budget_s: float
    best: str = ""
    best_ratio: float = math.nan

    @property
    def left_s(self) -> float:
        """Seconds left."""
        return max(0.0, self.budget_s - self.elapsed_s)


def _left_text(seconds: float) -> str:
    return f"{seconds:.3g} s are left" if seconds > 0 else "nothing is left"


def _why_not(verdict: judge.Verdict) -> str:
    """Why the last plan did not win; empty where it did."""
    if verdict.faster:
        return ""
    if verdict.slower:
        return "slower than the default"
    return "no faster than the default by more than the noise"


class Race:
    """Runs them all.

    Args:
      step: runs one step until it is done.
      default: TensorFlow alone.
      others: in the order in which they are tried: where time is short, the last are
        left out.
      budget_s: seconds from now. A compilation that has begun is not interrupted.
      on_progress: called before each thing that takes time.
      clock: seconds, for tests.

    Attributes:
      verdict: of the last one left; None: there was not the time to judge one.
    """

    def __init__(
        self,
        step: Callable[[], object],
        default: Runner,
        others: Sequence[Runner],
        budget_s: float,
        on_progress: Callable[[Progress], None] = lambda _: None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._step = step
        self._clock = clock
        self._began = clock()
        self._budget_s = budget_s
        self._on_progress = on_progress
        self.default = default
        self.others = list(others)
        self.verdict: judge.Verdict | None = None
        self.winner: Runner | None = None
        self._steps = 1

    def run(self) -> None:
        """Runs it to its end.

        Raises:
          What the step raises under the default: a candidate under which it raises is
          out, and the others go on.
        """
        self._first_step(self.default)
        self._steps = max(1, min(_MOST_STEPS, math.ceil(_READING_S / max(self._timed(1), 1e-6))))
        self._try_others()
        if any(runner.state == "failed" for runner in self.others):
            # Was it the plans, or does the program fail after some steps? Then this raises.
            self.default.switch()
            self._step()
        self._halve()
        self._judge()

    def _try_others(self) -> None:
        default_s = judge.median([self._timed(1) for _ in range(3)])
        for number, runner in enumerate(self.others):
            left = self._budget_s * _SHARE_FOR_FIRST_STEPS - self._elapsed()
            if left <= 0 or runner.compile_s > left:
                runner.state = "skipped"
                expected = f"compiling it is expected to take {runner.compile_s:.3g} s"
                runner.why = f"{expected}, and {_left_text(left)} of the time for that"
                continue
            self._tell("compiling", f"{runner.name} ({number + 1} of {len(self.others)})")
            if not self._survives(functools.partial(self._first_step, runner), runner):
                continue
            slowdown = self._second_steps(runner) / max(default_s, 1e-9)
            if slowdown > _HOPELESS:
                runner.state = "slower"
                runner.why = f"a step takes {slowdown:.2g} times the default's step"

    def _second_steps(self, runner: Runner) -> float:
        """Seconds of the shorter one of two: the first step may have left something to do.
        NaN when it failed."""
        timed: list[float] = []
        for _ in range(2):
            self._survives(lambda: timed.append(self._timed(1)), runner)
        return min(timed, default=math.nan)

    def _halve(self) -> None:
        racing = [r for r in self.others if r.state == "racing"]
        rounds = _FIRST_ROUNDS
        while len(racing) > 1 and self._time_for_rounds(len(racing) + 1, 1):
            for _ in range(rounds):
                if not self._time_for_rounds(len(racing) + 1, 1):
                    break
                self._round(racing)
                racing = [r for r in racing if r.state == "racing"]
            racing.sort(key=lambda r: -r.ratio if r.readings else math.inf)
            for loser in racing[math.ceil(len(racing) / 2) :]:
                loser.state = "slower"
                loser.why = "slower than another plan"
            racing = racing[: math.ceil(len(racing) / 2)]
            rounds *= 2
        for loser in racing[1:]:
            loser.state, loser.why = "slower", "slower than another plan when time was up"
        self.winner = racing[0] if racing else None

    def _judge(self) -> None:
        """The last one against the default, on rounds of their own."""
        winner = self.winner
        if winner is None:
            return
        before = len(winner.readings)
        while len(winner.readings) - before < _FINAL_ROUNDS and self._time_for_rounds(2, 1):
            self._tell("judging", winner.name)
            self._round([winner])
            if winner.state != "racing":
                self.winner = None
                return
        base, own = winner.base[before:], winner.readings[before:]
        winner.why = f"time was up after {len(own)} rounds of its own: too few to judge"
        if len(own) >= judge.LEAST_ROUNDS:
            self.verdict = judge.judge(base, own)
            winner.state = "best" if self.verdict.faster else "slower"
            winner.why = _why_not(self.verdict)

    def _round(self, runners: Sequence[Runner]) -> None:
        """One reading of each, and one of the default, which comes first in every other
        round: what the one before it left in the caches then evens out."""
        self._tell("racing", f"{len(runners)} plans")
        turn = len(self.default.readings)
        order = [self.default, *runners] if turn % 2 == 0 else [*reversed(runners), self.default]
        read: dict[int, float] = {}
        for runner in order:

            def read_one(r: Runner = runner) -> None:
                r.switch()
                if self._steps > 1:
                    self._timed(1)
                read[id(r)] = self._timed(self._steps)

            if runner is self.default:
                read_one()
            else:
                self._survives(read_one, runner)
        self.default.readings.append(read[id(self.default)])
        for runner in runners:
            if id(runner) in read:
                runner.readings.append(read[id(runner)])
                runner.base.append(read[id(self.default)])

    def _first_step(self, runner: Runner) -> None:
        runner.switch()
        runner.first_s = self._timed(1)
        runner.state = "racing"

    def _survives(self, do: Callable[[], None], runner: Runner) -> bool:
        try:
            do()
        except Exception as error:  # the program's own, of any kind
            runner.state = "failed"
            text = str(error).strip().splitlines()
            runner.why = f"{type(error).__name__}: {text[0] if text else ''}"
            return False
        return True

    def _timed(self, steps: int) -> float:
        """Mean seconds of a step."""
        began = self._clock()
        for _ in range(steps):
            self._step()
        return (self._clock() - began) / steps

    def _time_for_rounds(self, runners: int, rounds: int) -> bool:
        step_s = judge.median(self.default.readings) if self.default.readings else 0.0
        return self._elapsed() + rounds * runners * (self._steps + 1) * step_s < self._budget_s

    def _elapsed(self) -> float:
        return self._clock() - self._began

    def _tell(self, phase: str, what: str) -> None:
        timed = [r for r in self.others if r.readings and r.state in ("racing", "best")]
        best = max(timed, key=lambda r: r.ratio, default=None)
        self._on_progress(
            Progress(
                phase,
                what,
                self._elapsed(),
                self._budget_s,
                best.name if best else "",
                best.ratio if best else math.nan,
            )
        )
