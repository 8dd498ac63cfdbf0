"""The cost model that the committed timings give."""

import dataclasses
import functools
import math
import os
from collections.abc import Sequence

from grappler_go_training.calibrate import fit, measure, op_cases

# Of six machines; docs/make-a-policy.md says how they were timed. The fifth was busy with
# other work, so it tells what XLA's loops of one thread take and, of the ops that move
# tensors, what nobody timed before.
SAMPLES = tuple(
    os.path.join(os.path.dirname(__file__), f"samples_{machine}.jsonl") for machine in "abcdef"
)


@dataclasses.dataclass(frozen=True)
class Fitted:
    """A model with the timings it was fitted to, case by case, and the names of their files."""

    model: fit.CostModel
    cases: Sequence[op_cases.OpCase]
    samples: Sequence[measure.Sample]
    files: Sequence[str]


@functools.cache
def fit_shipped() -> Fitted:
    """The model of SAMPLES, fitted once: it takes some seconds."""
    return fit_files(SAMPLES)


def fit_files(paths: Sequence[str]) -> Fitted:
    """Fits one model to the timings of several files.

    Raises:
      ValueError: a file without timings.
    """
    cases, samples = [], []
    for path in paths:
        timed = timed_cases(path)
        if not timed:
            raise ValueError(f"no timings in {path}: run `measure` first")
        cases += [case for case, _ in timed]
        samples += [sample for _, sample in timed]
    names = [os.path.basename(path) for path in paths]
    return Fitted(fit.fit(cases, samples), cases, samples, names)


def timed_cases(path: str) -> list[tuple[op_cases.OpCase, measure.Sample]]:
    """What a file has of today's cases. Of those that XLA sums up by now and chained when
    they were timed, TensorFlow's time alone; XLA's is NaN."""
    known = {s.label: s for s in measure.read_samples(path)}
    found = []
    for case in op_cases.all_cases():
        sample, chained = known.get(case.label), known.get(case.chain_label)
        if sample is None and case.summed and chained is not None:
            sample = dataclasses.replace(chained, label=case.label, xla_micros=math.nan)
        if sample is not None:
            found.append((case, sample))
    return found
