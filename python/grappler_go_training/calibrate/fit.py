"""Fits what an op costs to the timings of `measure`.

The model of one op type is linear and non-negative in four terms,

    micros = a + b * flops + c * bytes + d * max(0, bytes - cache)

once for the executor and once inside a cluster: dispatch, arithmetic, memory
traffic, and what traffic costs more once it leaves the last-level cache. Ops that
are timed side by side take their inputs from outside of the cluster and hand their
outputs out of it; inside a group an op does neither, and plan building charges a
group for its boundary. So that is taken off first (handover_micros). Few enough to
fit from a handful of sizes, and monotone in size, so that it cannot do anything
surprising on shapes that were never timed. Op types without
timings take the pooled model of their class (OpClass in cc/graph/op_def.h). Kinds of one
type that go about it differently (cc/cost/cost_kind.h) are types of their own here. A case
that was timed in one of the two ways counts for that one.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import scipy.optimize
import tensorflow as tf

from grappler_go import _core
from grappler_go_training.calibrate import measure, op_cases

CACHE_BYTES = 8e6
NUM_TERMS = 4
# What TensorFlow's remapper and oneDNN make of ops takes about what the ops do.
_LIKE = {
    "_FusedConv2D": "Conv2D",
    "_FusedDepthwiseConv2dNative": "DepthwiseConv2dNative",
    "_FusedMatMul": "MatMul",
    "_MklSwish": "Sigmoid",
}
# An op type needs this many timings for a model of its own.
_MIN_SAMPLES = 3
# Errors are relative, but not to less than this many microseconds.
_FLOOR_MICROS = 2.0


@dataclasses.dataclass(frozen=True)
class Work:
    """What one timed op does, as the core counts it.

    Attributes:
      key: its type and kind (CostKey in cc/cost/cost_kind.h).
      op_class: name of its OpClass.
      flops: floating-point operations, a multiply-add counting as two.
      bytes_moved: bytes read and written.
    """

    key: str
    op_class: str
    flops: float
    bytes_moved: float


@dataclasses.dataclass(frozen=True)
class CostModel:
    """Coefficients, [op_micros | fused_micros] x NUM_TERMS each.

    Attributes:
      by_op: op type, or "type:kind" -> [2, NUM_TERMS].
      by_class: OpClass name -> [2, NUM_TERMS].
    """

    by_op: Mapping[str, np.ndarray]
    by_class: Mapping[str, np.ndarray]

    def own(self, key: str) -> np.ndarray | None:
        """[2, NUM_TERMS] of a "type:kind", or else of its type; None: neither was timed."""
        table = self.by_op.get(key)
        return self.by_op.get(key.partition(":")[0]) if table is None else table

    def predict(self, work: Work) -> np.ndarray:
        """[2]: microseconds under the executor and inside a cluster; 0 where nothing like it
        was timed."""
        table = self.own(work.key)
        if table is None:
            table = self.by_class.get(work.op_class)
        if table is None:
            return np.zeros(2)
        return table @ terms(work.flops, work.bytes_moved)


def terms(flops: float, bytes_moved: float) -> np.ndarray:
    """The four terms, [NUM_TERMS], in units that keep coefficients near one."""
    return np.array(
        [
            1.0,
            flops / 1e6,
            bytes_moved / 1e6,
            max(0.0, bytes_moved - CACHE_BYTES) / 1e6,
        ]
    )


def handover_micros(cases: Sequence[op_cases.OpCase], samples: Sequence[measure.Sample]) -> float:
    """What the timings of ops side by side in a cluster contain for each tensor that
    enters or leaves it: as much as the cheapest op of all leaves room for. (Ops that do
    next to nothing, a slice of 64 x 64 or the sum of 32 rows, are among those that are
    timed: they are all boundary.)

    Args:
      cases: what was timed.
      samples: the timings, in the order of `cases`.

    Returns:
      Microseconds; 0 if nothing was timed side by side.
    """
    return min(
        (
            sample.xla_micros / _num_tensors(case)
            for case, sample in zip(cases, samples, strict=True)
            if not case.chain and np.isfinite(sample.xla_micros)
        ),
        default=0.0,
    )


def _num_tensors(case: op_cases.OpCase) -> int:
    """That one copy takes from outside or hands out: its inputs and one output."""
    return len(case.shapes) + 1


def inside_micros(
    cases: Sequence[op_cases.OpCase], samples: Sequence[measure.Sample]
) -> list[float]:
    """What each case takes inside a group, without handing anything over, microseconds."""
    each = handover_micros(cases, samples)
    handed = [0.0 if case.chain else each * _num_tensors(case) for case in cases]
    return [
        # max() would take NaN for 0.
        float(np.maximum(0.0, sample.xla_micros - taken_off))
        for sample, taken_off in zip(samples, handed, strict=True)
    ]


def work_of(case: op_cases.OpCase) -> Work:
    """Asks the core what `case` does.

    Raises:
      ValueError: the case does not contain its op type, or the core does not
        know its shapes.
    """
    specs = [tf.TensorSpec(s, tf.float32) for s in case.shapes]
    function = tf.function(case.build, autograph=False)
    graph_def = function.get_concrete_function(*specs).graph.as_graph_def()
    graph = _core.OpGraph(graph_def.SerializeToString())
    try:
        i = graph.ops.index(case.op)
    except ValueError:
        raise ValueError(f"case {case.label!r} contains no {case.op}: {graph.ops}") from None
    moved = float(graph.bytes_moved[i])
    if moved <= 0 and case.op not in ("Reshape", "Identity"):
        raise ValueError(f"case {case.label!r}: the core knows no cost for it")
    return Work(graph.cost_keys[i], graph.op_classes[i], float(graph.flops[i]), moved)


def fit(cases: Sequence[op_cases.OpCase], samples: Sequence[measure.Sample]) -> CostModel:
    """Fits one model per op type and kind, and one per class.

    Args:
      cases: what was timed.
      samples: the timings, in the order of `cases`.

    Returns:
      The coefficients.
    """
    inside = inside_micros(cases, samples)
    rows = [
        (work.key, work, (s.tf_micros, within))
        for work, s, within in zip(map(work_of, cases), samples, inside, strict=True)
    ]
    by_op: dict[str, np.ndarray] = {}
    for op in sorted({r[0] for r in rows}):
        own = [r for r in rows if r[0] == op]
        if min(_num_timed(own)) >= _MIN_SAMPLES:
            by_op[op] = _never_faster_than_timed(_solve(own), own)
    for op, like in _LIKE.items():
        by_op.update(
            {op + key[len(like) :]: by_op[key] for key in list(by_op) if key.split(":")[0] == like}
        )
    by_class = {}
    for op_class in sorted({r[1].op_class for r in rows}):
        own = [r for r in rows if r[1].op_class == op_class]
        if min(_num_timed(own)) > 0:
            by_class[op_class] = _solve(own)
    return CostModel(by_op, by_class)


def _num_timed(rows) -> list[int]:
    """How many rows were timed under the executor, and inside a cluster."""
    return np.isfinite([timed for _, _, timed in rows]).sum(axis=0).tolist()


def relative_errors(
    model: CostModel,
    cases: Sequence[op_cases.OpCase],
    samples: Sequence[measure.Sample],
) -> np.ndarray:
    """|predicted - timed| / timed, [number of cases, 2]; of those inside a group without
    what handing tensors over took. NaN where nothing was timed."""
    errors = []
    inside = inside_micros(cases, samples)
    for case, s, within in zip(cases, samples, inside, strict=True):
        timed = np.array([s.tf_micros, within])
        predicted = model.predict(work_of(case))
        errors.append(np.abs(predicted - timed) / np.maximum(timed, _FLOOR_MICROS))
    return np.array(errors)


def _never_faster_than_timed(table: np.ndarray, rows) -> np.ndarray:
    """Where every timing of an op is slower inside a cluster, so is every prediction: the two
    rows are fitted apart, and sizes that were never timed may stretch their errors into a
    gain that nobody has seen (overlapping windows of MaxPoolGrad, above all)."""
    slowdown = min(
        (
            within / max(alone, _FLOOR_MICROS)
            for _, _, (alone, within) in rows
            if np.isfinite(alone + within)
        ),
        default=1.0,
    )
    if slowdown <= 1.0:
        return table
    return np.array([table[0], np.maximum(table[1], slowdown * table[0])])


def _solve(rows) -> np.ndarray:
    """Non-negative least squares on relative errors, [2, NUM_TERMS]."""
    design = np.array([terms(w.flops, w.bytes_moved) for _, w, _ in rows])
    timed = np.array([t for _, _, t in rows])
    result = []
    for column in timed.T:
        known = np.isfinite(column)
        weight = 1.0 / np.maximum(column[known], _FLOOR_MICROS)
        coefficients, _ = scipy.optimize.nnls(
            design[known] * weight[:, None], column[known] * weight
        )
        result.append(coefficients)
    return np.array(result)
