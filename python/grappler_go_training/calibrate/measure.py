"""Times ops as TensorFlow's executor runs them and as XLA compiles them.

The time of one op is the slope between a function with a few copies of it and a
function with many, so that calling the function, starting the executor and
launching the compiled cluster cancel out. Element-wise copies form a chain, as
they do in real graphs: under the executor each writes over its input, under XLA
the slope is what one more op costs inside a fused loop (what memory costs beside
is in memory.py); functions of many instructions are summed up there rather than
chained (OpCase.summed). Other copies are independent, each with inputs of its own, and
ordered by control edges so that the executor does not overlap them. Their inputs
and outputs never pass through Python, which takes 10 to 20 microseconds for each:
inputs are captured, outputs are kept alive to the end and dropped.

Each figure is the minimum over interleaved rounds: on a shared machine, noise
only ever adds.
"""

import contextlib
import dataclasses
import json
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import tensorflow as tf

from grappler_go_training.calibrate import op_cases

_FEW, _MANY = 2, 10
# Ops this small take about as long as their dispatch: more copies, less noise.
_SMALL_ELEMENTS, _MANY_SMALL = 5000, 100
_ROUNDS = 7
_SECONDS_PER_READING = 0.004


@dataclasses.dataclass(frozen=True)
class Sample:
    """One timed case.

    Attributes:
      label: `OpCase.label`, the key of the sample.
      op: the op type.
      tf_micros: microseconds of the op under TensorFlow's executor; NaN (null in a
        file): not timed.
      xla_micros: microseconds of the op inside an XLA cluster; NaN: not timed.
    """

    label: str
    op: str
    tf_micros: float
    xla_micros: float


def measure_cases(
    cases: Sequence[op_cases.OpCase],
    out_path: str,
    on_progress: Callable[[int, int, str], None] = lambda *_: None,
) -> list[Sample]:
    """Times `cases`, appending one JSON line each to `out_path`.

    Cases that `out_path` already holds are not timed again, so a stopped run goes
    on where it was.

    Args:
      cases: what to time.
      out_path: a .jsonl file, made if missing.
      on_progress: called with (cases done, cases in all, label).

    Returns:
      All samples of `out_path` that belong to `cases`, in the order of `cases`.
    """
    done = {s.label: s for s in read_samples(out_path)}
    with open(out_path, "a", encoding="utf-8") as out:
        for i, case in enumerate(cases):
            on_progress(i, len(cases), case.label)
            if case.label in done:
                continue
            sample = measure_case(case)
            done[case.label] = sample
            out.write(json.dumps(dataclasses.asdict(sample)) + "\n")
            out.flush()
    on_progress(len(cases), len(cases), "")
    return [done[c.label] for c in cases]


def read_samples(path: str) -> list[Sample]:
    """Samples of a .jsonl file; none if there is no such file."""
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as lines:
        read: list[dict[str, Any]] = [json.loads(line) for line in lines if line.strip()]
    for one in read:
        one.update({key: math.nan for key, value in one.items() if value is None})
    return [Sample(**one) for one in read]


@contextlib.contextmanager
def grappler_off() -> Iterator[None]:
    """Meanwhile TensorFlow's own optimizers, which would fold, merge or drop the
    copies that are to be timed, do nothing."""
    before = tf.config.optimizer.get_experimental_options()
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    try:
        yield
    finally:
        tf.config.optimizer.set_experimental_options(
            {"disable_meta_optimizer": before.get("disable_meta_optimizer", False)}
        )


def measure_case(case: op_cases.OpCase, jit_too: bool = True) -> Sample:
    """Times one case, under XLA too unless told otherwise (then `xla_micros` is 0).

    Raises:
      tf.errors.OpError, ValueError: the op cannot be built or run.
    """
    most = _MANY
    if case.chain and math.prod(case.shapes[0]) <= _SMALL_ELEMENTS:
        most = _MANY_SMALL
    with grappler_off():
        runs = [
            _prepare(case, copies, jit)
            for jit in ((False, True) if jit_too else (False,))
            for copies in (_FEW, most)
        ]
        readings = [*quickest_seconds(runs, _ROUNDS), 0.0, 0.0]
    scale = 1e6 / (most - _FEW)
    return Sample(
        label=case.label,
        op=case.op,
        tf_micros=max(0.0, readings[1] - readings[0]) * scale,
        xla_micros=max(0.0, readings[3] - readings[2]) * scale,
    )


def quickest_seconds(runs: Sequence[Callable[[], object]], rounds: int) -> list[float]:
    """Seconds of a call of each, the least of interleaved rounds."""
    return [
        min(column)
        for column in zip(
            *([_seconds_per_call(run) for run in runs] for _ in range(rounds)), strict=True
        )
    ]


def _prepare(case: op_cases.OpCase, copies: int, jit: bool) -> Callable[[], object]:
    """Traces and compiles; returns a call that runs one step."""
    if case.summed and jit:
        step = _sum(case, copies)
    else:
        step = _chain(case, copies, jit) if case.chain else _side_by_side(case, copies, jit)
    step()
    return step


def _chain(case: op_cases.OpCase, copies: int, jit: bool) -> Callable[[], object]:
    inputs = _random_inputs(case)

    @tf.function(jit_compile=jit, autograph=False)
    def run() -> tf.Tensor:
        x = inputs[0]
        for _ in range(copies):
            x = case.build(x, *inputs[1:])
        return x

    return run


def _sum(case: op_cases.OpCase, copies: int) -> Callable[[], object]:
    inputs = _random_inputs(case)

    @tf.function(jit_compile=True, autograph=False)
    def run() -> tf.Tensor:
        x = total = inputs[0]
        for i in range(copies):
            # Not all of the same, of which XLA would keep one.
            total = total + case.build(x + 0.01 * i, *inputs[1:])
        return total

    return run


def _side_by_side(case: op_cases.OpCase, copies: int, jit: bool) -> Callable[[], object]:
    inputs = [_random_inputs(case) for _ in range(copies)]

    def build() -> list[tf.Tensor]:
        outputs: list[tf.Tensor] = []
        for own in inputs:
            with tf.control_dependencies(outputs[-1:]):
                outputs.append(case.build(*own))
        return outputs

    build = tf.function(build, jit_compile=True, autograph=False) if jit else build

    @tf.function(autograph=False)
    def run() -> tf.Tensor:
        with tf.control_dependencies(tf.identity_n(build())):
            return tf.constant(0.0)

    return run


def _random_inputs(case: op_cases.OpCase) -> list[tf.Tensor]:
    return [tf.random.uniform(shape, 0.5, 1.5) for shape in case.shapes]


def _seconds_per_call(run: Callable[[], object]) -> float:
    """Mean seconds of a call, over enough calls to fill one reading."""
    start = time.perf_counter()
    run()
    once = time.perf_counter() - start
    calls = max(1, min(200, int(_SECONDS_PER_READING / max(once, 1e-7))))
    start = time.perf_counter()
    for _ in range(calls):
        run()
    return (time.perf_counter() - start) / calls


def labels(cases: Iterable[op_cases.OpCase]) -> list[str]:
    """Labels in order; raises ValueError on a duplicate."""
    result = [c.label for c in cases]
    if len(set(result)) != len(result):
        twice = sorted({x for x in result if result.count(x) > 1})
        raise ValueError(f"cases with the same label: {twice[:5]}")
    return result
