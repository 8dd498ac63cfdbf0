"""What memory costs an element-wise op beyond the chains that `measure` times.

In those chains each op writes over its input, which is in the cache. In a step an
op often may not write over its input, because the backward pass reads it too;
what it reads may have left the cache; and TensorFlow's kernels broadcast slowly.
One product of two tensors is timed in each of these situations; what it takes
longer than the same product without, per byte, is the cost.
"""

import dataclasses
import statistics
from collections.abc import Callable, Sequence

import tensorflow as tf

from grappler_go_training.calibrate import measure, op_cases

_SHAPES: Sequence[op_cases.Shape] = ((256, 256), (768, 128), (512, 384), (768, 512))
_FEW, _MANY = 8, 40
_ROUNDS = 7
# Tensors enough to push each other out of any cache in reach.
_COLD_BYTES = 96e6


@dataclasses.dataclass(frozen=True)
class MemoryCosts:
    """Microseconds per MB (10^6 bytes).

    Attributes:
      new: writing an output that takes memory of its own.
      cold_read: reading an input that has left the cache.
    """

    new: float
    cold_read: float


def measure_memory(on_progress: Callable[[int, int], None] = lambda *_: None) -> MemoryCosts:
    """Measures on this machine, in TensorFlow's executor.

    Args:
      on_progress: called with (shapes done, shapes in all).

    Returns:
      The median over the shapes, none negative.
    """
    rows = []
    for number, shape in enumerate(_SHAPES):
        on_progress(number, len(_SHAPES))
        rows.append(_costs_at(shape))
    on_progress(len(_SHAPES), len(_SHAPES))
    columns = zip(*(dataclasses.astuple(row) for row in rows), strict=True)
    return MemoryCosts(*(max(0.0, statistics.median(column)) for column in columns))


def _costs_at(shape: op_cases.Shape) -> MemoryCosts:
    megabytes = 4e-6 * shape[0] * shape[1]
    chain = op_cases.OpCase("Mul", (shape, shape), tf.multiply, chain=True)
    in_place = measure.measure_case(chain, jit_too=False).tf_micros
    plain = _micros(shape)
    kept = _micros(shape, keep=True)
    cold = _micros(shape, sets=max(2, int(_COLD_BYTES / (2e6 * megabytes))))
    return MemoryCosts(
        new=(kept - in_place) / megabytes,
        cold_read=(cold - plain) / (2 * megabytes),
    )


def _micros(shape: op_cases.Shape, sets: int = 1, keep: bool = False) -> float:
    """Microseconds of a product that takes its turn at `sets` pairs of inputs; its
    output is dropped at once, and its memory used again, unless it is to be kept."""
    inputs = [(tf.random.uniform(shape), tf.random.uniform(shape)) for _ in range(sets)]
    with measure.grappler_off():
        runs = [_step(inputs, copies, keep) for copies in (_FEW, _MANY)]
        few, many = measure.quickest_seconds(runs, _ROUNDS)
    return (many - few) / (_MANY - _FEW) * 1e6


def _step(inputs, copies: int, keep: bool) -> Callable[[], object]:
    @tf.function(autograph=False)
    def run() -> tf.Tensor:
        outputs: list[tf.Tensor] = []
        for i in range(copies):
            with tf.control_dependencies(outputs[-1:]):
                outputs.append(tf.multiply(*inputs[i % len(inputs)]))
        last = tf.identity_n(outputs) if keep else outputs
        with tf.control_dependencies(last[-1:]):
            return tf.constant(0.0)

    run()
    return run
