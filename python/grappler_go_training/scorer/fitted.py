"""The cost model that the committed timings give."""

import dataclasses
import os
from collections.abc import Sequence

from grappler_go_training.calibrate import fit, measure, op_cases

# Of four machines; docs/make-a-policy.md says how they were timed.
SAMPLES = tuple(
    os.path.join(os.path.dirname(__file__), f"samples_{machine}.jsonl") for machine in "abcd"
)


@dataclasses.dataclass(frozen=True)
class Fitted:
    """A model with the timings it was fitted to, case by case."""

    model: fit.CostModel
    cases: Sequence[op_cases.OpCase]
    samples: Sequence[measure.Sample]


def fit_files(paths: Sequence[str] = SAMPLES) -> Fitted:
    """Fits one model to the timings of several files.

    Raises:
      ValueError: a file without timings.
    """
    cases, samples = [], []
    for path in paths:
        known = {s.label: s for s in measure.read_samples(path)}
        timed = [c for c in op_cases.all_cases() if c.label in known]
        if not timed:
            raise ValueError(f"no timings in {path}: run `measure` first")
        cases += timed
        samples += [known[c.label] for c in timed]
    return Fitted(fit.fit(cases, samples), cases, samples)
