"""What sending a tensor from one worker of a cluster to another takes, of time and of the
processors at both ends."""

import dataclasses
import pathlib
import statistics
from collections.abc import Callable, Sequence

import tensorflow as tf

from grappler_go_training.calibrate import measure

_FEW, _MANY = 2, 10
_ROUNDS = 7
# Of a step with many hops when processors are read: what they do after the step's end, as
# putting memory back, is then a small share.
_STEPS = 20
DEVICES = tuple(f"/job:worker/replica:0/task:{task}/device:CPU:0" for task in (0, 1))


@dataclasses.dataclass(frozen=True)
class Hop:
    """One tensor from one worker to the other.

    Attributes:
      micros: microseconds until the op there may start.
      cpu_micros: microseconds that each end's processors were busy with it, in the mean of
        both; waiting is none.
    """

    micros: float
    cpu_micros: float


def measure_hop(elements: int, pids: Sequence[int]) -> Hop:
    """Times a hop of so many floats.

    Needs to be connected to a cluster of two workers. Both figures are the slope between a
    step in which the tensor goes back and forth a few times and one with many, an addition
    after each, less the slope of the same additions on one worker.

    Args:
      pids: of the workers' processes.

    Raises:
      OSError: one of them is gone.
    """
    with measure.grappler_off():
        runs = [_step(elements, hops, there) for there in (1, 0) for hops in (_FEW, _MANY)]
        seconds = measure.quickest_seconds(runs, _ROUNDS)
        busy = [statistics.median(_busy_micros(run, pids) for _ in range(3)) for run in runs]
    return Hop(micros=1e6 * _slope(seconds), cpu_micros=_slope(busy) / len(pids))


def _slope(readings: Sequence[float]) -> float:
    apart, together = readings[1] - readings[0], readings[3] - readings[2]
    return max(0.0, apart - together) / (_MANY - _FEW)


def _busy_micros(run: Callable[[], object], pids: Sequence[int]) -> float:
    """Microseconds of processors that a step takes of all these processes together."""
    began = _cpu_micros(pids)
    for _ in range(_STEPS):
        run()
    return (_cpu_micros(pids) - began) / _STEPS


def _cpu_micros(pids: Sequence[int]) -> float:
    """So far, of all threads; the kernel counts nanoseconds there, where it counts
    hundredths of a second for the process."""
    total = 0
    for pid in pids:
        for thread in pathlib.Path(f"/proc/{pid}/task").iterdir():
            try:
                total += int((thread / "schedstat").read_text().split()[0])
            except FileNotFoundError:
                continue  # it has ended meanwhile
    return total / 1e3


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

    # The call returns before the workers are done.
    def fetched() -> object:
        return run().numpy()

    fetched()
    return fetched
