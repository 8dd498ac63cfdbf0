"""What a memory limit costs: programs with the peak held down in several ways.

For each program, in one process and in turns: TensorFlow as it is; with our limit at
shares of TensorFlow's measured peak; with tf.recompute_grad by hand around its layers,
where it has any to offer; with the plan of √n checkpointing, where the training package
is installed. Beside the last two, ours with what they were measured to take as its limit:
who is faster at equal memory?

    comparison = memory.compare("deep-mlp", limits=(0.6, 0.4))
    comparison.mode("limit 0.6").peak_share, comparison.mode("limit 0.6").time_ratio
"""

import dataclasses
import importlib
import os
import statistics
import tempfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from grappler_go.bench import memory_worker, process
from grappler_go.bench.process import WorkerError

DEFAULT, BY_HAND, SQRT_N = "default", "by hand", "sqrt n"
# As hard as the limit: the bytes of one small tensor more are not above it.
_SLACK = 1.005


def limit_mode(limit: float) -> str:
    """The name of ours with that limit."""
    return f"limit {limit:g}"


def equal_mode(other: str) -> str:
    """The name of ours with what another mode takes as its limit."""
    return f"at {other}"


@dataclasses.dataclass
class Mode:
    """One way to run a program.

    Attributes:
      name: default, limit <share>, by hand, sqrt n, at by hand or at sqrt n.
      limit_bytes: what the peak should not pass; 0: no limit.
      peak_bytes: the most that TensorFlow's allocator held during a step, variables
        and arguments included.
      peak_share: peak_bytes / default's.
      predicted_bytes: what was predicted for it; 0: not predicted.
      median_ms: of a step.
      time_ratio: median over the turns of (this mode's step / default's).
      first_ms: the first step, graph optimisation included.
      difference: the largest difference of an output of the first steps from default's,
        relative to that output.
      recomputed: ops that run again.
      summary: what our pass says that it did.
      error: why there are no numbers; empty when there are.
    """

    name: str
    limit_bytes: int = 0
    peak_bytes: int = 0
    peak_share: float = 0.0
    predicted_bytes: int = 0
    median_ms: float = 0.0
    time_ratio: float = 0.0
    first_ms: float = 0.0
    difference: float = 0.0
    recomputed: int = 0
    summary: str = ""
    error: str = ""

    @property
    def fits(self) -> bool:
        """Whether the measured peak is under the limit."""
        return not self.error and 0 < self.peak_bytes <= self.limit_bytes * _SLACK


@dataclasses.dataclass
class Comparison:
    """One program in its modes; `error` when it did not even start."""

    program: str
    modes: list[Mode] = dataclasses.field(default_factory=list)
    resident_bytes: int = 0
    error: str = ""

    def mode(self, name: str) -> Mode:
        """By name.

        Raises:
          KeyError: it was not run.
        """
        for mode in self.modes:
            if mode.name == name:
                return mode
        raise KeyError(name)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        told = dataclasses.asdict(self)
        for values, mode in zip(told["modes"], self.modes, strict=True):
            values["fits"] = mode.fits
        return told

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Comparison":
        """The reverse of to_dict().

        Raises:
          TypeError: there are fields that it does not have.
        """
        modes = [{k: v for k, v in mode.items() if k != "fits"} for mode in values["modes"]]
        return cls(**{**values, "modes": [Mode(**mode) for mode in modes]})


def compare(
    program: str,
    limits: Sequence[float] = (0.6, 0.4),
    *,
    settings: Mapping[str, Any] | None = None,
    batch: int = 0,
    rounds: int = 8,
    steps: int = 2,
    timeout_s: float = 300.0,
    progress: Callable[[str], None] = lambda _: None,
) -> Comparison:
    """Measures a program in every mode that it has.

    Args:
      program: as for bench.memory_programs.build.
      limits: shares of the measured peak without a plan.
      settings: arguments of grappler_go.enable() for ours.
      batch: of a program of bench.models; 0 for its own.
      rounds: how often each mode takes its turn.
      steps: how many are timed in a turn.
      timeout_s: how long a mode's first steps may take.
      progress: told what is being done, in a few words.
    """
    found = Comparison(program)
    with tempfile.TemporaryDirectory(prefix="grappler-go-memory-") as folder:
        worker = process.Process(
            ("-m", "grappler_go.bench.memory_worker"),
            os.path.join(folder, "log"),
            memory_worker.environment(),
        )
        try:
            progress("building it")
            graph = os.path.join(folder, "graph.pb")
            request = {"do": "start", "program": program, "batch": batch, "graph": graph}
            has_blocks = worker.ask(request, timeout_s)["has_blocks"]
            runs = _Runs(worker, found, dict(settings or {}), timeout_s, progress)
            base = runs.add(DEFAULT)
            for limit in limits:
                runs.add_ours(limit_mode(limit), int(limit * base.peak_bytes))
            others = [runs.add(BY_HAND, by_hand=True)] if has_blocks else []
            plan = _sqrt_n_plan(graph, os.path.join(folder, "plan.json"))
            if plan:
                others.append(runs.add(SQRT_N, settings={**_AS_PLANNED, "policy": plan}))
            for other in others:
                if not other.error and other.peak_bytes < base.peak_bytes:
                    runs.add_ours(equal_mode(other.name), other.peak_bytes)
            runs.take_turns(rounds, steps)
        except WorkerError as error:
            found.error = str(error)
        finally:
            worker.close()
    return found


# A plan from elsewhere is applied as it is, whatever it gains.
_AS_PLANNED: dict[str, Any] = {"min_gain": 0.0, "budget_ms": 600_000, "advanced": {"min_ops": 1}}


def _sqrt_n_plan(graph_path: str, plan_path: str) -> str:
    """The path of the plan; empty without the training package."""
    try:
        recompute = importlib.import_module("grappler_go_training.baselines.recompute")
        problems = importlib.import_module("grappler_go_training.baselines.problem")
        budgets = importlib.import_module("grappler_go_training.baselines.budget")
    except ImportError:
        return ""
    import grappler_go

    graph = grappler_go.CapturedGraph.load(graph_path)
    problem = problems.Problem(graph.op_graph(), grappler_go.local_machine())
    plan = recompute.sqrt_n(problem, budgets.Budget(), seed=0)
    grappler_go.save_plan(plan, plan_path, graph.op_graph())
    return plan_path


class _Runs:
    """The modes of one program in its worker."""

    def __init__(
        self,
        worker: process.Process,
        found: Comparison,
        settings: dict[str, Any],
        timeout_s: float,
        progress: Callable[[str], None],
    ) -> None:
        self._worker = worker
        self._found = found
        self._settings = settings
        self._timeout_s = timeout_s
        self._progress = progress
        self._expected: list[float] = []

    def add_ours(self, name: str, limit_bytes: int) -> Mode:
        return self.add(
            name, settings={**self._settings, "memory_limit": limit_bytes}, limit=limit_bytes
        )

    def add(
        self,
        name: str,
        *,
        by_hand: bool = False,
        settings: dict[str, Any] | None = None,
        limit: int = 0,
    ) -> Mode:
        """First steps of a mode, whose outputs are compared and whose peak is told."""
        self._progress(f"{name}: first steps")
        mode = Mode(name, limit_bytes=limit)
        self._found.modes.append(mode)
        request = {
            "do": "add",
            "mode": name,
            "by_hand": by_hand,
            "settings": settings,
            "steps": 3,
        }
        try:
            answer = self._worker.ask(request, self._timeout_s)
        except WorkerError as error:
            if not error.alive:
                raise
            mode.error = str(error)
            return mode
        mode.first_ms = answer["first_ms"]
        mode.peak_bytes = answer["peak_bytes"]
        if name == DEFAULT:
            self._expected = answer["outputs"]
            self._found.resident_bytes = answer["resident_bytes"]
        mode.difference = _difference(self._expected, answer["outputs"])
        mode.peak_share = mode.peak_bytes / self._found.modes[0].peak_bytes
        report = answer["report"]
        if report is not None:
            mode.summary = "; ".join([report["outcome"], *report["notes"]])
            mode.recomputed = report["recomputed"]
            mode.predicted_bytes = report["peak_bytes_after"]
        return mode

    def take_turns(self, rounds: int, steps: int) -> None:
        """Times the modes, in an order that is reversed every other round."""
        modes = [mode for mode in self._found.modes if not mode.error]
        timed: dict[str, list[float]] = {mode.name: [] for mode in modes}
        every: dict[str, list[float]] = {mode.name: [] for mode in modes}
        for number in range(rounds):
            for mode in modes[::-1] if number % 2 else modes:
                self._progress(f"round {number + 1} of {rounds}: {mode.name}")
                request = {"do": "time", "mode": mode.name, "steps": steps}
                spent = self._worker.ask(request, self._timeout_s)["ms"]
                timed[mode.name].append(statistics.median(spent))
                every[mode.name] += spent
        for mode in modes:
            turns = zip(timed[mode.name], timed[DEFAULT], strict=True)
            mode.time_ratio = statistics.median(mine / base for mine, base in turns)
            mode.median_ms = statistics.median(every[mode.name])


def _difference(expected: Sequence[float], got: Sequence[float]) -> float:
    if len(expected) != len(got):
        return float("inf")
    pairs = zip(expected, got, strict=True)
    return max((abs(a - b) / max(abs(a), 1e-12) for a, b in pairs), default=0.0)
