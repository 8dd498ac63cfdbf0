"""What sending a tensor from one worker of a cluster to another takes."""

from collections.abc import Callable

import tensorflow as tf

from grappler_go_training.calibrate import measure

_FEW, _MANY = 2, 10
_ROUNDS = 7
DEVICES = tuple(f"/job:worker/replica:0/task:{task}/device:CPU:0" for task in (0, 1))


def hop_micros(elements: int) -> float:
    """Microseconds from one worker to the other and its op there, an addition.

    Needs to be connected to a cluster of two workers. The time is the slope between a
    step in which the tensor goes back and forth a few times and one with many, less the
    slope of the same additions on one worker.
    """
    with measure.grappler_off():
        runs = [_step(elements, hops, there) for there in (1, 0) for hops in (_FEW, _MANY)]
        readings = measure.quickest_seconds(runs, _ROUNDS)
    apart, together = readings[1] - readings[0], readings[3] - readings[2]
    return max(0.0, apart - together) / (_MANY - _FEW) * 1e6


def _step(elements: int, hops: int, there: int) -> Callable[[], object]:
    with tf.device(DEVICES[0]):
        start = tf.random.uniform([elements])

    @tf.function(autograph=False)
    def run() -> tf.Tensor:
        x = start
        for hop in range(hops):
            with tf.device(DEVICES[there if hop % 2 == 0 else 0]):
                x = x + 1.0
        with tf.device(DEVICES[0]):
            return x[:1]

    run()
    return run
