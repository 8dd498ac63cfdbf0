"""What an evaluation found, as lines that a file keeps, and what is made of them. Needs
neither TensorFlow nor a policy."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

# What a policy is asked for: its first choice, one plan; the best of that and of as many
# samples as the budget has plans or seconds; and what the core's search (the baseline
# joint_search) makes of its scores.
POLICY, POLICY_BEST, POLICY_SEARCH = "policy", "policy_best", "policy_search"
# The same as the pass does it for a graph that it has never seen: whatever the budget, no
# more plans than the pass simulates.
ZERO_SHOT = "zero_shot"
# What a search of that many plans (or a fourth of the budget's) makes of the best plan that
# it sees while it learns by PPO on this case alone, with the rest of the plans; and the same
# of a new network of the same config, the paper's GO-one.
FINE_TUNED, GO_ONE = "fine_tuned", "go_one"
LEARNING = (FINE_TUNED, GO_ONE)
METHODS = (POLICY, POLICY_BEST, POLICY_SEARCH, ZERO_SHOT, *LEARNING)

# The core's search without a policy. Here it decides what a case lets it decide, and
# where fusion needs a policy's word it is told that everything may be compiled.
SEARCH = "joint_search"
# The same search for one decision after the other, as what deciding together is compared with.
SEQUENTIAL = "sequential_search"

# (case, decides, method, seed, plans, max_seconds, policy)
Key = tuple[str, str, str, int, int, float | None, str]


@dataclasses.dataclass(frozen=True)
class Row:
    """One method on one case with one seed.

    Attributes:
      case: "gnmt-2 on p100x2".
      family, num_ops: of the graph.
      decides: the tasks that were to be decided, with commas. A baseline decides what it
        is made for, but for SEARCH.
      method: of METHODS or a baseline's name.
      seed: of what draws.
      plans, max_seconds: what it might spend (baselines.Budget).
      step_us: of the simulated step of its plan, with ready ops taken by critical path
        where a baseline's plan is faster so; None where there is no plan.
      out_of_memory: on some device.
      default_us: as TensorFlow would run it, whether that fits or not.
      seconds: taken, simulations included.
      error: why there is no plan, else empty.
      policy: the name of the policy that METHODS asked, else empty.
      where: what the seconds were measured on.
      judge_us: of the step by TensorFlow's own cost model; None: it was not asked, or does
        not take the graph.
      judge_default_us: the same as TensorFlow would run it.
    """

    case: str
    family: str
    num_ops: int
    decides: str
    method: str
    seed: int
    plans: int
    max_seconds: float | None
    step_us: float | None
    out_of_memory: bool
    default_us: float
    seconds: float
    error: str
    policy: str
    where: str
    judge_us: float | None = None
    judge_default_us: float | None = None

    @property
    def key(self) -> Key:
        """What is not worked out twice."""
        asked = self.case, self.decides, self.method, self.seed
        return (*asked, self.plans, self.max_seconds, self.policy)

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return dataclasses.asdict(self)


# (program, method, seed, plans, max_seconds)
MeasuredKey = tuple[str, str, int, int, float | None]


@dataclasses.dataclass(frozen=True)
class MeasuredRow:
    """The placement that one method makes of one program, run on two workers.

    Attributes:
      program, num_ops: which, and of its graph.
      method, seed, plans, max_seconds, policy: as in Row.
      simulated_ms: of the plan's step; None where there is no plan.
      simulated_default_ms: of the step as TensorFlow places it, all on the first worker.
      ms: median of the plan's steps as they ran; None where it did not run.
      default_ms: of the steps as TensorFlow places them, in turns with these.
      ratio: median over the turns of the plan's time over that; below 1 is faster.
      spread: highest less lowest reading without the plan, as a share of its median.
      seconds: taken to make the plan.
      error: why something is missing, else empty.
      machine: whose times the simulator went by.
      where: what ran it.
    """

    program: str
    num_ops: int
    method: str
    seed: int
    plans: int
    max_seconds: float | None
    simulated_ms: float | None
    simulated_default_ms: float | None
    ms: float | None
    default_ms: float | None
    ratio: float | None
    spread: float | None
    seconds: float
    error: str
    policy: str
    machine: str
    where: str

    @property
    def key(self) -> MeasuredKey:
        """What is not measured twice."""
        return self.program, self.method, self.seed, self.plans, self.max_seconds

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True)
class Summary:
    """One method over all cases.

    Attributes:
      method: which.
      ratio: geometric mean over cases of the mean step over seeds, as a share of the best
        baseline's; over the cases in which both fit.
      cases: how many these are.
      misses: cases in which it ran out of memory or failed with some seed.
      seconds: mean time taken.
    """

    method: str
    ratio: float
    cases: int
    misses: int
    seconds: float


def summarize(rows: Sequence[Row]) -> list[Summary]:
    """Each method against the best baseline of each case, in the order of the rows."""
    means = mean_steps(rows)
    best: dict[str, float] = {}
    for (case, method), step in means.items():
        if method not in METHODS:
            best[case] = min(best.get(case, math.inf), step)
    found = []
    for method in dict.fromkeys(row.method for row in rows):
        steps = {case: step for (case, name), step in means.items() if name == method}
        ratios = [
            step / best[case]
            for case, step in steps.items()
            if math.isfinite(step) and math.isfinite(best.get(case, math.inf))
        ]
        found.append(
            Summary(
                method=method,
                ratio=float(np.exp(np.mean(np.log(ratios)))) if ratios else math.nan,
                cases=len(ratios),
                misses=sum(not math.isfinite(step) for step in steps.values()),
                seconds=float(np.mean([row.seconds for row in rows if row.method == method])),
            )
        )
    return found


def mean_steps(rows: Sequence[Row]) -> dict[tuple[str, str], float]:
    """By (case, method) the mean step over seeds in microseconds; infinite where one of
    them does not fit or failed."""
    steps: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        step = math.inf if row.step_us is None or row.out_of_memory else row.step_us
        steps.setdefault((row.case, row.method), []).append(step)
    return {key: float(np.mean(values)) for key, values in steps.items()}


def mean_ratios(rows: Sequence[MeasuredRow]) -> dict[str, float]:
    """By method, the geometric mean of what was measured; NaN where nothing was."""
    ratios: dict[str, list[float]] = {}
    for row in rows:
        ratios.setdefault(row.method, []).extend([] if row.ratio is None else [row.ratio])
    return {
        method: float(np.exp(np.mean(np.log(some)))) if some else math.nan
        for method, some in ratios.items()
    }
