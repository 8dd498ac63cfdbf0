"""What running a compiled group costs beside its ops.

Chains of groups of two ops each, as our own rewrite marks them, against the same
function with more of them: the slope is one group. The number and the size of
the tensors that each group takes in and hands on vary, and a least-squares fit
gives the three figures of PlanOptions (cc/plan/build_plan.h).
"""

import dataclasses
from collections.abc import Callable

import numpy as np
import scipy.optimize
import tensorflow as tf

import grappler_go
from grappler_go import _core
from grappler_go_training.calibrate import measure

_FEW, _MANY = 10, 40
_ROUNDS = 9
_CASES = ((1, 16), (8, 16), (24, 16), (1, 1 << 16), (1, 1 << 18), (1, 1 << 20), (4, 1 << 18))


@dataclasses.dataclass(frozen=True)
class LaunchCosts:
    """Microseconds: a group, each tensor across its boundary, each MB that leaves."""

    group_launch_micros: float
    group_tensor_micros: float
    group_output_micros_per_mb: float


def measure_launch(on_progress: Callable[[int, int], None] = lambda *_: None) -> LaunchCosts:
    """Measures on this machine; switches grappler_go on and off.

    Args:
      on_progress: called with (cases done, cases in all).

    Returns:
      The fitted costs, none negative.
    """
    rows, micros = [], []
    for number, (tensors, elements) in enumerate(_CASES):
        on_progress(number, len(_CASES))
        runs = [_step(groups, tensors, elements) for groups in (_FEW, _MANY)]
        few, many = measure.quickest_seconds(runs, _ROUNDS)
        slope = (many - few) / (_MANY - _FEW)
        rows.append([1.0, 2.0 * tensors, tensors * elements * 4 / 1e6])
        micros.append(max(0.0, slope * 1e6))
    on_progress(len(_CASES), len(_CASES))
    weight = 1.0 / np.maximum(micros, 1.0)
    costs, _ = scipy.optimize.nnls(np.array(rows) * weight[:, None], np.array(micros) * weight)
    return LaunchCosts(*(float(c) for c in costs))


def _step(groups: int, tensors: int, elements: int) -> Callable[[], object]:
    """A warm function with `groups` groups in a row, `tensors` side by side."""

    @tf.function(autograph=False)
    def chain(*values: tf.Tensor) -> tuple[tf.Tensor, ...]:
        for number in range(groups):
            with tf.name_scope(f"group{number}_"):
                values = tuple(x * x - x for x in values)
        return values

    def policy(graph: _core.PolicyInput) -> grappler_go.Plan:
        plan = grappler_go.Plan(graph.graph)
        numbers = np.full(graph.graph.num_ops, -1, np.int32)
        for i, (name, op) in enumerate(zip(graph.graph.names, graph.graph.ops, strict=True)):
            if name.startswith("group") and op in ("Mul", "Sub"):
                numbers[i] = int(name[len("group") : name.index("_")])
        plan.fusion_group = numbers
        return plan

    inputs = [tf.random.uniform([elements]) for _ in range(tensors)]
    grappler_go.enable(policy=policy, min_gain=0.0, budget_ms=60_000)
    chain(*inputs)
    return lambda: chain(*inputs)
