"""AmoebaNet-D: an image classifier found by evolution."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from grappler_go_training.workloads import layers, steps
from grappler_go_training.workloads.registry import both, workload
from grappler_go_training.workloads.workload import Made

# The cells of AmoebaNet-D: five pairs of (state that is read, operation); the sum of a
# pair becomes the next state. States that nothing else reads are concatenated. As in
# TensorFlow's TPU models (amoeba_net), and torchgpipe's genotype.py, which counts the
# same parameters as the GPipe paper.
_NORMAL = (
    *((1, "conv_1x1"), (1, "max_pool_3x3")),
    *((1, "none"), (0, "conv_1x7_7x1")),
    *((0, "conv_1x1"), (0, "conv_1x7_7x1")),
    *((2, "max_pool_3x3"), (2, "none")),
    *((1, "avg_pool_3x3"), (5, "conv_1x1")),
)
_NORMAL_CONCAT = (0, 3, 4, 6)
_REDUCTION = (
    *((0, "max_pool_2x2"), (0, "max_pool_3x3")),
    *((2, "none"), (1, "conv_3x3")),
    *((2, "conv_1x7_7x1"), (2, "max_pool_3x3")),
    *((3, "none"), (1, "max_pool_2x2")),
    *((2, "avg_pool_3x3"), (3, "conv_1x1")),
)
_REDUCTION_CONCAT = (4, 5, 6)


@workload("amoebanet", "amoebanet", training=True, num_devices=4)
def amoebanet() -> Made:
    """One training step of AmoebaNet-D (Real et al. 2019).

    The paper says: AmoebaNet on 4 GPUs, neither which nor its sizes. Chosen: variant D
    with 18 cells and 208 filters, the smallest of GPipe's Table 1 (Huang et al. 2019, 82
    million parameters), at 224 x 224 as there; batch 32 as in TensorFlow's TPU models
    (train_batch_size), RMSProp as there. Without the auxiliary head and drop-connect.
    """
    return classifier(cells=18, filters=208, size=224, batch=32, training=True)


@both("amoebanet-small", "amoebanet", cells=6, filters=64, size=64, batch=32)
@both("amoebanet-medium", "amoebanet", cells=12, filters=128, size=128, batch=16)
def classifier(cells: int, filters: int, size: int, batch: int, training: bool) -> Made:
    """A classifier of any size.

    Args:
      cells: normal ones, in three stacks with a reduction between them.
      filters: GPipe's number of filters; a quarter of it leaves the stem.
      size: height and width of the images.
      batch: number of images.
      training: a step of training, else inference.
    """
    network = build(cells, filters, size, batch)
    images, labels = layers.normal(batch, size, size, 3), layers.tokens(1000, batch, salt=2)
    return steps.keras_step(network, (images,), labels, training=training, optimizer="rmsprop")


def build(cells: int, filters: int, size: int, batch: int) -> tf.keras.Model:
    """The network: images [batch, size, size, 3] -> logits [batch, 1000]."""
    layer = tf.keras.layers
    images = tf.keras.Input((size, size, 3), batch_size=batch)
    channels = filters // 4
    x = layer.Conv2D(channels, 3, 2, "same", use_bias=False, name="stem_conv")(images)
    x = layer.BatchNormalization(name="stem_bn")(layer.ReLU(name="stem_relu")(x))
    previous, reduced_before = x, False
    # Two reductions belong to the stem, one goes between stacks.
    plan = ["reduce", "reduce"]
    for stack in range(3):
        plan += ["reduce"] * (stack > 0) + ["normal"] * (cells // 3)
    for number, kind in enumerate(plan):
        channels *= 2 if kind == "reduce" else 1
        cell = _Cell(f"cell{number}", channels, kind == "reduce")
        previous, x = x, cell(previous, x, reduced_before)
        reduced_before = kind == "reduce"
    x = layer.GlobalAveragePooling2D(name="pool")(x)
    return tf.keras.Model(images, layer.Dense(1000, name="logits")(x))


class _Cell:
    def __init__(self, name: str, channels: int, reduction: bool) -> None:
        self.name, self.channels, self.reduction = name, channels, reduction
        self._count = 0

    def __call__(self, before: Any, last: Any, reduced_before: bool) -> Any:
        if reduced_before:
            before = self._halved(before)
        elif before.shape[-1] != self.channels:
            before = self._conv(before, 1)
        states = [self._conv(last, 1), before]
        genes = _REDUCTION if self.reduction else _NORMAL
        for left, right in zip(genes[::2], genes[1::2], strict=True):
            parts = [self._apply(op, states[i], self._stride(i)) for i, op in (left, right)]
            states.append(tf.keras.layers.Add(name=self._named("add"))(parts))
        kept = _REDUCTION_CONCAT if self.reduction else _NORMAL_CONCAT
        return tf.keras.layers.Concatenate(name=self._named("concat"))([states[i] for i in kept])

    def _stride(self, state: int) -> int:
        return 2 if self.reduction and state < 2 else 1

    def _apply(self, operation: str, x: Any, stride: int) -> Any:
        layer = tf.keras.layers
        if operation == "none":
            return x if stride == 1 else self._halved(x)
        if "pool" in operation:
            pool: Callable[..., Any] = (
                layer.MaxPooling2D if operation.startswith("max") else layer.AveragePooling2D
            )
            return pool(int(operation[-1]), stride, "same", name=self._named("pool"))(x)
        if operation == "conv_1x1":
            return self._conv(x, 1, stride)
        # A bottleneck of a quarter of the channels.
        x = self._conv(x, 1, narrow=4)
        if operation == "conv_3x3":
            x = self._conv(x, 3, stride, narrow=4)
        else:
            x = self._conv(x, (1, 7), (1, stride), narrow=4)
            x = self._conv(x, (7, 1), (stride, 1), narrow=4)
        return self._conv(x, 1)

    def _conv(self, x: Any, kernel: Any, stride: Any = 1, narrow: int = 1) -> Any:
        """ReLU, convolution, batch normalisation."""
        layer = tf.keras.layers
        x = layer.ReLU(name=self._named("relu"))(x)
        x = layer.Conv2D(
            self.channels // narrow,
            kernel,
            stride,
            "same",
            use_bias=False,
            name=self._named("conv"),
        )(x)
        return layer.BatchNormalization(name=self._named("bn"))(x)

    def _halved(self, x: Any) -> Any:
        """Half the height and width without losing a pixel: two shifted 1x1 convolutions."""
        layer = tf.keras.layers
        x = layer.ReLU(name=self._named("relu"))(x)
        half = self.channels // 2
        shifted = layer.ZeroPadding2D(((0, 1), (0, 1)), name=self._named("pad"))(x)
        shifted = layer.Cropping2D(((1, 0), (1, 0)), name=self._named("crop"))(shifted)
        sides = [
            layer.Conv2D(half, 1, 2, "same", use_bias=False, name=self._named("conv"))(side)
            for side in (x, shifted)
        ]
        x = layer.Concatenate(name=self._named("concat"))(sides)
        return layer.BatchNormalization(name=self._named("bn"))(x)

    def _named(self, what: str) -> str:
        self._count += 1
        return f"{self.name}_{what}{self._count}"
