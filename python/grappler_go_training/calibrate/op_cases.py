"""The ops that `measure` times: how to build each, at which sizes.

A case makes one op of interest from fresh inputs. Cases are written as plain
TensorFlow calls; which op type each becomes is checked at measurement time, so
a call that TensorFlow lowers to something else is noticed.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence

import tensorflow as tf

Shape = tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class OpCase:
    """One op at one size.

    Attributes:
      op: the op type that is timed, e.g. "Conv2D".
      shapes: shapes of the float32 inputs of one copy of the op.
      build: makes the op from tensors of these shapes; returns its output.
      chain: whether `build` maps its first input to an output of the same shape,
        so that copies can be chained as element-wise ops are in real graphs (XLA
        then fuses them). Others are timed as independent copies.
      summed: of a chain, whether XLA is to sum copies up instead. In a fused chain
        each copy waits for the one before it, which for functions of many instructions
        takes several times what one of them takes in the loop of a real graph, where
        the processor works on many elements at once.
      variant: what tells this case from others of the same op and shapes.
    """

    op: str
    shapes: tuple[Shape, ...]
    build: Callable[..., tf.Tensor]
    chain: bool = False
    summed: bool = False
    variant: str = ""

    @property
    def label(self) -> str:
        return f"{self.chain_label} summed" if self.summed else self.chain_label

    @property
    def chain_label(self) -> str:
        """The label of this case before XLA summed its copies up: TensorFlow has run them
        as a chain ever since."""
        shapes = " ".join("x".join(map(str, s)) for s in self.shapes)
        return f"{self.op} {shapes} {self.variant}".rstrip()


# Element counts from cache-resident to memory-bound.
_VECTOR_SIZES: Sequence[Shape] = (
    (64,),
    (32, 128),
    (256, 256),
    (512, 1024),
    (2048, 2048),
)

_raw = tf.raw_ops

_UNARY = {
    "Neg": tf.negative,
    "Square": tf.square,
    "Abs": tf.abs,
    "Relu": tf.nn.relu,
    "Relu6": tf.nn.relu6,
    "Exp": tf.exp,
    "Log1p": tf.math.log1p,
    "Tanh": tf.tanh,
    "Sigmoid": tf.sigmoid,
    "Erf": tf.math.erf,
    "Erfc": tf.math.erfc,
    "Sqrt": tf.sqrt,
    "Rsqrt": tf.math.rsqrt,
    "Elu": tf.nn.elu,
    "Softplus": tf.nn.softplus,
    "Reciprocal": tf.math.reciprocal,
    "Sin": tf.sin,
    "Log": tf.math.log,
    "Floor": tf.floor,
}

_BINARY = {
    "AddV2": lambda x, y: x + y,
    "Sub": lambda x, y: x - y,
    "Mul": lambda x, y: x * y,
    "RealDiv": lambda x, y: x / y,
    "Maximum": tf.maximum,
    "Minimum": tf.minimum,
    "SquaredDifference": tf.math.squared_difference,
    "Pow": lambda x, y: _raw.Pow(x=x, y=y),
    "ReluGrad": lambda x, y: _raw.ReluGrad(gradients=x, features=y),
    "Relu6Grad": lambda x, y: _raw.Relu6Grad(gradients=x, features=y),
    "TanhGrad": lambda x, y: _raw.TanhGrad(y=y, dy=x),
    "SigmoidGrad": lambda x, y: _raw.SigmoidGrad(y=y, dy=x),
    "RsqrtGrad": lambda x, y: _raw.RsqrtGrad(y=y, dy=x),
    "SqrtGrad": lambda x, y: _raw.SqrtGrad(y=y, dy=x),
    "DivNoNan": tf.math.divide_no_nan,
    "AddN": lambda x, y: tf.add_n([x, y]),
}

# Of two inputs of unequal shapes: rows, columns, and what lies in between, down to a few
# elements that lie side by side (group normalization).
_BROADCASTS: Sequence[tuple[Shape, Shape]] = (
    ((32, 128), (128,)),
    ((256, 256), (256,)),
    ((16384, 32), (32,)),
    ((2048, 512), (512,)),
    ((4096, 1024), (1024,)),
    ((2048, 256), (2048, 1)),
    ((16, 128, 256), (16, 1, 256)),
    ((16, 1024, 8, 4), (16, 1, 8, 1)),
    ((8, 8, 90, 90), (8, 1, 1, 90)),
)
_BROADCASTING = ("AddV2", "Sub", "Mul", "RealDiv", "Maximum", "SquaredDifference")

# Of these, those of many instructions.
_COSTLY = frozenset(
    (
        "Exp",
        "Log1p",
        "Tanh",
        "Sigmoid",
        "Erf",
        "Erfc",
        "Sqrt",
        "Rsqrt",
        "Elu",
        "Softplus",
        "Sin",
        "Log",
        "Pow",
        "RealDiv",
    )
)

_REDUCTIONS: Sequence[tuple[Shape, Sequence[int]]] = (
    ((32, 128), (1,)),
    ((512, 512), (1,)),
    ((512, 512), (0,)),
    ((8, 64, 256), (0, 1)),
    ((2048, 2048), (1,)),
    ((16, 28, 28, 64), (1, 2)),
    # Axes that do not lie side by side.
    ((8, 32, 4, 16), (1, 3)),
    ((16, 128, 8, 32), (1, 3)),
    ((16, 1024, 8, 4), (1, 3)),
    ((16, 1024, 32), (0, 2)),
    ((8, 8, 90, 90), (0, 2)),
)

# (batch, height, width, channels in, channels out, kernel, stride)
_CONVS = (
    (1, 28, 28, 16, 32, 3, 1),
    (4, 56, 56, 64, 64, 1, 1),
    (4, 28, 28, 128, 128, 3, 1),
    (8, 14, 14, 256, 256, 3, 1),
    (8, 56, 56, 32, 64, 3, 2),
    (8, 14, 14, 512, 128, 1, 1),
    (2, 112, 112, 16, 16, 3, 1),
    (4, 64, 64, 3, 32, 5, 2),
    (1, 28, 28, 24, 32, 1, 1),
    (4, 14, 14, 96, 64, 1, 1),
    (4, 56, 56, 128, 128, 1, 1),
    (4, 28, 28, 256, 512, 1, 1),
    (4, 14, 14, 1024, 256, 1, 1),
    (4, 7, 7, 512, 2048, 1, 1),
)

# (batch, length, channels, dilation) of dilated convolutions along one dimension, which
# TensorFlow runs on blocks of every second, fourth ... element.
_DILATED = (
    (1, 256, 16, 2),
    (4, 1024, 32, 4),
    (8, 512, 64, 8),
    (8, 2048, 64, 2),
)

# (batch, height, width, channels, kernel, stride)
_DEPTHWISE = (
    (1, 28, 28, 32, 3, 1),
    (4, 56, 56, 64, 3, 1),
    (8, 28, 28, 128, 3, 1),
    (8, 14, 14, 384, 3, 1),
    (4, 56, 56, 96, 5, 2),
)

_MATMULS = (
    (32, 32, 32),
    (64, 256, 256),
    (512, 128, 512),
    (512, 512, 128),
    (512, 128, 2000),
    (1024, 1024, 1024),
    (8, 1024, 1024),
)

_BATCH_MATMULS = (
    (4, 32, 32, 32),
    (32, 64, 32, 64),
    (32, 64, 64, 32),
    (64, 128, 64, 128),
    (16, 256, 64, 256),
)

# (batch, rows, width, width of the output) of layers that multiply the last dimension of
# what has three by weights that have two.
_BATCH_DENSE = (
    (32, 32, 64, 128),
    (8, 64, 128, 512),
    (8, 64, 512, 128),
    (4, 256, 256, 256),
)


def all_cases() -> list[OpCase]:
    """Every case, grouped by op type."""
    cases: list[OpCase] = []
    for family in (
        _elementwise,
        _shape_and_move,
        _reductions,
        _matmuls,
        _convolutions,
        _norms_and_pools,
        _gathers,
    ):
        cases.extend(family())
    return cases


def _elementwise() -> Iterator[OpCase]:
    for shape in _VECTOR_SIZES:
        for op, fn in (_UNARY | _BINARY).items():
            inputs = (shape,) if op in _UNARY else (shape, shape)
            yield OpCase(op, inputs, fn, chain=True, summed=op in _COSTLY)
        yield OpCase("BiasAdd", (_at_least_2d(shape), (shape[-1],)), tf.nn.bias_add, chain=True)
        yield OpCase(
            "SelectV2",
            (shape, shape),
            lambda x, y: _raw.SelectV2(condition=y > 0, t=x, e=y),
            chain=True,
        )
        yield OpCase(
            "Cast", (shape,), lambda x: tf.cast(tf.cast(x, tf.int32), tf.float32), chain=True
        )
    for x, y in _BROADCASTS:
        for op in _BROADCASTING:
            yield OpCase(op, (x, y), _BINARY[op], chain=True, summed=op in _COSTLY)


def _shape_and_move() -> Iterator[OpCase]:
    for shape in ((64, 64), (256, 1024), (2048, 2048)):
        yield OpCase("Transpose", (shape,), lambda x: tf.transpose(x, [1, 0]))
        yield OpCase("ConcatV2", (shape, shape), lambda x, y: tf.concat([x, y], 1))
        yield OpCase("Pad", (shape,), lambda x: tf.pad(x, [[1, 1], [1, 1]]))
        yield OpCase("Tile", (shape,), lambda x: tf.tile(x, [1, 2]))
        yield OpCase(
            "Slice", (shape,), lambda x: tf.slice(x, [0, 0], [x.shape[0] // 2, x.shape[1]])
        )
        yield OpCase("StridedSlice", (shape,), lambda x: x[: x.shape[0] // 2, 1:])
        yield OpCase("Pack", (shape, shape), lambda x, y: tf.stack([x, y]))
        yield OpCase("Split", (shape,), lambda x: tf.split(x, 2, axis=1)[0])
    for heads in ((8, 64, 4, 32), (16, 128, 8, 64)):
        yield OpCase("Transpose", (heads,), lambda x: tf.transpose(x, [0, 2, 1, 3]))
    for shape in ((64, 64), (256, 256), (256, 1024), (2048, 2048)):
        for axis in (0, 1):
            yield OpCase(
                "Roll", (shape,), lambda x, a=axis: tf.roll(x, 1, a), variant=f"over {axis}"
            )
            yield OpCase(
                "ReverseV2", (shape,), lambda x, a=axis: tf.reverse(x, [a]), variant=f"over {axis}"
            )
    for batch, length, channels, dilation in _DILATED:
        x = (batch, length, 1, channels)
        blocks = (batch * dilation, length // dilation, 1, channels)
        yield OpCase(
            "SpaceToBatchND",
            (x,),
            lambda x, d=dilation: tf.space_to_batch(x, [d], [[0, 0]]),
            variant=f"by {dilation}",
        )
        yield OpCase(
            "BatchToSpaceND",
            (blocks,),
            lambda x, d=dilation: tf.batch_to_space(x, [d], [[0, 0]]),
            variant=f"by {dilation}",
        )


def _reductions() -> Iterator[OpCase]:
    kinds = {"Sum": tf.reduce_sum, "Mean": tf.reduce_mean, "Max": tf.reduce_max}
    for shape, axes in _REDUCTIONS:
        for op, fn in kinds.items():
            yield OpCase(
                op, (shape,), lambda x, fn=fn, axes=axes: fn(x, axes), variant=f"over {axes}"
            )
    for shape in dict.fromkeys(shape for shape, _ in _REDUCTIONS):
        yield OpCase("BiasAddGrad", (shape,), lambda x: _raw.BiasAddGrad(out_backprop=x))
    for shape in ((32, 128), (512, 512), (256, 2000), (16, 8, 64, 64)):
        yield OpCase("Softmax", (shape,), tf.nn.softmax)
    for shape in ((32, 128), (512, 2000)):
        yield OpCase("LogSoftmax", (shape,), tf.nn.log_softmax)


def _matmuls() -> Iterator[OpCase]:
    for m, k, n in _MATMULS:
        for ta, tb in ((False, False), (True, False), (False, True)):
            if m == k == n and ta:
                continue
            a = (k, m) if ta else (m, k)
            b = (n, k) if tb else (k, n)
            yield OpCase(
                "MatMul",
                (a, b),
                lambda x, y, ta=ta, tb=tb: tf.linalg.matmul(x, y, transpose_a=ta, transpose_b=tb),
                variant="transposed" if ta or tb else "",
            )
    for batch, m, k, n in _BATCH_MATMULS:
        yield _batch_matmul((batch, m, k), (batch, k, n))
        yield _batch_matmul((batch, m, k), (batch, n, k), adj_y=True)
        yield _batch_matmul((batch, k, m), (batch, k, n), adj_x=True)
        yield OpCase(
            "Einsum",
            ((batch // 4, m, 4, k), (batch // 4, n, 4, k)),
            lambda x, y: tf.einsum("aecd,abcd->acbe", y, x),
        )
    for batch, rows, width, out in _BATCH_DENSE:
        x, y, weights = (batch, rows, width), (batch, rows, out), (width, out)
        yield _batch_matmul(x, weights)
        yield _batch_matmul(y, weights, adj_y=True)
        yield _batch_matmul(x, y, adj_x=True)
    for batch, tokens, width, heads in ((8, 64, 128, 4), (4, 128, 256, 8)):
        per_head = width // heads
        yield OpCase(
            "Einsum",
            ((batch, tokens, width), (width, heads, per_head)),
            lambda x, y: tf.einsum("abc,cde->abde", x, y),
        )
        yield OpCase(
            "Einsum",
            ((batch, tokens, heads, per_head), (heads, per_head, width)),
            lambda x, y: tf.einsum("abcd,cde->abe", x, y),
        )


def _batch_matmul(x: Shape, y: Shape, adj_x: bool = False, adj_y: bool = False) -> OpCase:
    return OpCase(
        "BatchMatMulV2",
        (x, y),
        lambda x, y: _raw.BatchMatMulV2(x=x, y=y, adj_x=adj_x, adj_y=adj_y),
        variant="adj_x" if adj_x else "adj_y" if adj_y else "",
    )


def _convolutions() -> Iterator[OpCase]:
    for n, h, w, cin, cout, k, s in _CONVS:
        x, f = (n, h, w, cin), (k, k, cin, cout)
        y = (n, -(-h // s), -(-w // s), cout)
        yield OpCase("Conv2D", (x, f), lambda x, f, s=s: tf.nn.conv2d(x, f, s, "SAME"))
        yield OpCase(
            "Conv2DBackpropInput",
            (f, y),
            lambda f, dy, x=x, s=s: _raw.Conv2DBackpropInput(
                input_sizes=x, filter=f, out_backprop=dy, strides=[1, s, s, 1], padding="SAME"
            ),
        )
        yield OpCase(
            "Conv2DBackpropFilter",
            (x, y),
            lambda x, dy, f=f, s=s: _raw.Conv2DBackpropFilter(
                input=x, filter_sizes=f, out_backprop=dy, strides=[1, s, s, 1], padding="SAME"
            ),
        )
    for n, h, w, c, k, s in _DEPTHWISE:
        x, f = (n, h, w, c), (k, k, c, 1)
        y = (n, -(-h // s), -(-w // s), c)
        yield OpCase(
            "DepthwiseConv2dNative",
            (x, f),
            lambda x, f, s=s: _raw.DepthwiseConv2dNative(
                input=x, filter=f, strides=[1, s, s, 1], padding="SAME"
            ),
        )
        yield OpCase(
            "DepthwiseConv2dNativeBackpropInput",
            (f, y),
            lambda f, dy, x=x, s=s: _raw.DepthwiseConv2dNativeBackpropInput(
                input_sizes=x, filter=f, out_backprop=dy, strides=[1, s, s, 1], padding="SAME"
            ),
        )
        yield OpCase(
            "DepthwiseConv2dNativeBackpropFilter",
            (x, y),
            lambda x, dy, f=f, s=s: _raw.DepthwiseConv2dNativeBackpropFilter(
                input=x, filter_sizes=f, out_backprop=dy, strides=[1, s, s, 1], padding="SAME"
            ),
        )


def _norms_and_pools() -> Iterator[OpCase]:
    for shape in ((4, 28, 28, 64), (8, 56, 56, 32), (8, 14, 14, 256)):
        c = (shape[-1],)
        for training in (True, False):
            yield OpCase(
                "FusedBatchNormV3",
                (shape, c, c, c, c),
                lambda x, s, o, m, v, t=training: _raw.FusedBatchNormV3(
                    x=x, scale=s, offset=o, mean=m, variance=v, is_training=t
                ).y,
                variant="training" if training else "inference",
            )
        yield OpCase(
            "FusedBatchNormGradV3",
            (shape, shape, c, c, c),
            lambda dy, x, s, m, v: _raw.FusedBatchNormGradV3(
                y_backprop=dy,
                x=x,
                scale=s,
                reserve_space_1=m,
                reserve_space_2=v,
                reserve_space_3=[],
                is_training=True,
            ).x_backprop,
        )
        window = dict(ksize=[1, 3, 3, 1], strides=[1, 2, 2, 1], padding="SAME")
        half = (shape[0], -(-shape[1] // 2), -(-shape[2] // 2), shape[3])
        yield OpCase("MaxPool", (shape,), lambda x, w=window: _raw.MaxPool(input=x, **w))
        yield OpCase("AvgPool", (shape,), lambda x, w=window: _raw.AvgPool(value=x, **w))
        yield OpCase(
            "MaxPoolGrad",
            (shape, half, half),
            lambda x, y, g, w=window: _raw.MaxPoolGrad(orig_input=x, orig_output=y, grad=g, **w),
        )
        yield OpCase(
            "AvgPoolGrad",
            (half,),
            lambda g, x=shape, w=window: _raw.AvgPoolGrad(orig_input_shape=x, grad=g, **w),
        )


def _gathers() -> Iterator[OpCase]:
    for rows, width, n in ((2000, 128, 512), (50000, 32, 256), (1000, 64, 4096)):
        ids = tf.constant([(i * 7919) % rows for i in range(n)])
        yield OpCase("GatherV2", ((rows, width),), lambda x, ids=ids: tf.gather(x, ids))
        yield OpCase(
            "UnsortedSegmentSum",
            ((n, width),),
            lambda x, ids=ids, rows=rows: tf.math.unsorted_segment_sum(x, ids, rows),
        )
    for n, classes in ((512, 2000), (32, 1000), (64, 10)):
        labels = tf.constant([i % classes for i in range(n)])
        yield OpCase(
            "SparseSoftmaxCrossEntropyWithLogits",
            ((n, classes),),
            lambda x, y=labels: _raw.SparseSoftmaxCrossEntropyWithLogits(features=x, labels=y).loss,
        )
    for n, depth in ((512, 128), (64, 2000)):
        yield OpCase("OneHot", ((n,),), lambda x, d=depth: tf.one_hot(tf.cast(x, tf.int32), d))


def _at_least_2d(shape: Shape) -> Shape:
    return shape if len(shape) > 1 else (1, *shape)
