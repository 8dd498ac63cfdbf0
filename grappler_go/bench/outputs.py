"""Do outputs stay the same? A program's first step with the pass on and off.

Each run has a process of its own. For a training step the gradients are compared
too. "On" means a policy that wants every op compiled (bench.everything), so that
far more is rewritten than a policy that looks at costs would.

Some networks, freshly made, turn a change in the last digit into a large one
(batch normalisation over few values). So the program is run once more as it was,
but with each weight changed in its last digit: what that moves is no fault of a
graph that sums in another order.
"""

import dataclasses
import math
import os
import tempfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from grappler_go.bench.harness import WorkerProcess, largest_difference
from grappler_go.bench.process import WorkerError

EVERYTHING = "grappler_go.bench.everything:decide"
# A difference up to this is one of the order of summation, whatever the program;
# above it, one up to so many times what the last digit of the weights does.
TOLERANCE = 1e-4
SENSITIVITIES = 10
# A loss is one number, which a single change may happen to leave where it was: so
# often is another one tried before a difference counts.
NUDGES = 4


@dataclasses.dataclass
class Comparison:
    """One program with the pass on and off.

    Attributes:
      program: its name.
      error: why it could not be compared; empty when it was.
      difference: largest difference of an output, relative to the largest value
        of that output.
      gradient_difference: length of the difference of all gradients, relative to
        the length of the gradient; 0 for inference.
      sensitivity, gradient_sensitivity: the same two between the program as it is
        and with its weights changed in the last digit.
      nodes: of the graphs that were changed.
      grouped_ops, groups: what was done to them.
      outcome: of the largest graph.
    """

    program: str
    error: str = ""
    difference: float = 0.0
    gradient_difference: float = 0.0
    sensitivity: float = 0.0
    gradient_sensitivity: float = 0.0
    nodes: int = 0
    grouped_ops: int = 0
    groups: int = 0
    outcome: str = ""

    @property
    def equal(self) -> bool:
        """Whether the program was compared and its outputs agree."""
        return not self.error and all(
            math.isfinite(difference) and difference <= max(TOLERANCE, SENSITIVITIES * sensitivity)
            for difference, sensitivity in (
                (self.difference, self.sensitivity),
                (self.gradient_difference, self.gradient_sensitivity),
            )
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**dataclasses.asdict(self), "equal": self.equal}


def compare(
    program: str,
    settings: Mapping[str, Any],
    *,
    batch: int = 0,
    image_size: int = 0,
    timeout_s: float = 900.0,
) -> Comparison:
    """Runs a program's first step with the pass off, then on.

    Args:
      program: as for bench.models.build.
      settings: arguments of grappler_go.enable().
      batch, image_size: of a built-in program; 0 for its own.
      timeout_s: how long either may take for the step, compilation included.
    """
    found = Comparison(program)
    options = {"batch": batch, "image_size": image_size, "gradients": True}
    request = {"do": "start", "program": program, "compare_steps": 1, "settings": dict(settings)}
    with tempfile.TemporaryDirectory(prefix="grappler-go-outputs-") as folder:

        def run(name: str, mode: str, **more: Any) -> list[dict[str, Any]]:
            file = os.path.join(folder, f"{name}.npz")
            asked = {**request, "mode": mode, "options": {**options, **more}, "outputs": file}
            return _run(name, mode, file + ".log", asked, timeout_s)

        def differences(name: str) -> tuple[float, float]:
            expected = os.path.join(folder, "default.npz")
            got = os.path.join(folder, f"{name}.npz")
            return largest_difference(expected, got, _is_gradient), _distance(expected, got)

        try:
            run("default", "default")
            _count(run("ours", "ours"), found)
            found.difference, found.gradient_difference = differences("ours")
            for way in range(1, 1 + NUDGES):
                run("nudged", "default", nudge=way)
                moved, gradient_moved = differences("nudged")
                found.sensitivity = max(found.sensitivity, moved)
                found.gradient_sensitivity = max(found.gradient_sensitivity, gradient_moved)
                if found.equal:
                    break
        except WorkerError as error:
            found.error = str(error)
    return found


def _run(
    name: str, mode: str, log: str, request: dict[str, Any], timeout_s: float
) -> list[dict[str, Any]]:
    """One process's step; what the pass reported there."""
    worker = WorkerProcess(mode, log)
    try:
        worker.ask(request, timeout_s)
        reports: list[dict[str, Any]] = worker.ask({"do": "finish"}, timeout_s)["reports"]
        return reports
    except WorkerError as error:
        raise WorkerError(f"{name}: {error}") from error
    finally:
        worker.close()


def _count(reports: list[dict[str, Any]], found: Comparison) -> None:
    applied = [report for report in reports if report["applied"]]
    found.nodes = sum(report["num_nodes"] for report in applied)
    for field in ("grouped_ops", "groups"):
        setattr(found, field, sum(report[field] for report in applied))
    largest = max(reports, key=lambda report: int(report["num_nodes"]), default=None)
    found.outcome = largest["outcome"] if largest else "the pass saw no graph"


def _is_gradient(name: str) -> bool:
    return name.startswith("gradient")


def _distance(expected_path: str, got_path: str) -> float:
    """Length of the difference of all gradients relative to their own length."""
    with np.load(expected_path) as expected, np.load(got_path) as got:
        names = [name for name in expected.files if _is_gradient(name)]
        if not names:
            return 0.0
        if names != [name for name in got.files if _is_gradient(name)]:
            return float("inf")
        squares = [
            (np.sum(np.square(a)), np.sum(np.square(a - b)))
            for a, b in (
                (expected[name].astype(np.float64), got[name].astype(np.float64)) for name in names
            )
        ]
    length, difference = np.sqrt(np.sum(squares, axis=0))
    distance = float(difference / max(length, 1e-30))
    return distance if np.isfinite(distance) else float("inf")
