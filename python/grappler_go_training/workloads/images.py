"""Networks on images that keras.applications does not have."""

from typing import Any

import tensorflow as tf

from grappler_go_training.workloads import layers, steps
from grappler_go_training.workloads.registry import both
from grappler_go_training.workloads.workload import Made


def _classifier(images: Any, x: Any, training: bool) -> Made:
    """Cross entropy of the logits x [batch, classes] of images."""
    network = tf.keras.Model(images, x)
    labels = layers.tokens(x.shape[-1], images.shape[0], salt=2)
    inputs = layers.normal(*images.shape)
    return steps.keras_step(network, (inputs,), labels, training=training, optimizer="momentum")


@both("squeezenet-small", "squeezenet", size=64, batch=32)
@both("squeezenet", "squeezenet", size=224, batch=32)
def squeezenet(size: int, batch: int, training: bool) -> Made:
    """SqueezeNet 1.1 (Iandola et al. 2016): fire modules, no batch normalisation."""
    layer = tf.keras.layers
    images = tf.keras.Input((size, size, 3), batch_size=batch)
    x = layer.Conv2D(64, 3, 2, "same", activation="relu")(images)
    for number, squeezed in enumerate((16, 16, 32, 32, 48, 48, 64, 64)):
        if number in (0, 2, 4):
            x = layer.MaxPooling2D(3, 2, "same")(x)
        s = layer.Conv2D(squeezed, 1, activation="relu")(x)
        sides = [
            layer.Conv2D(4 * squeezed, k, padding="same", activation="relu")(s) for k in (1, 3)
        ]
        x = layer.Concatenate()(sides)
    x = layer.Conv2D(1000, 1, activation="relu")(layer.Dropout(0.5)(x))
    return _classifier(images, layer.GlobalAveragePooling2D()(x), training)


@both("shufflenet-small", "shufflenet", channels=(48, 96, 192), size=96, batch=32)
@both("shufflenet", "shufflenet", channels=(116, 232, 464), size=224, batch=32)
def shufflenet(channels: tuple[int, ...], size: int, batch: int, training: bool) -> Made:
    """ShuffleNet V2 (Ma et al. 2018): split, transform one half, shuffle channels."""
    layer = tf.keras.layers

    def conv(x: Any, width: int) -> Any:
        x = layer.Conv2D(width, 1, use_bias=False)(x)
        return layer.ReLU()(layer.BatchNormalization()(x))

    def depthwise(x: Any, stride: int) -> Any:
        x = layer.DepthwiseConv2D(3, stride, "same", use_bias=False)(x)
        return layer.BatchNormalization()(x)

    def shuffled(x: Any) -> Any:
        _, height, width, depth = x.shape
        pairs = layer.Reshape((height, width, 2, depth // 2))(x)
        return layer.Reshape((height, width, depth))(layer.Permute((1, 2, 4, 3))(pairs))

    images = tf.keras.Input((size, size, 3), batch_size=batch)
    x = layer.Conv2D(24, 3, 2, "same", use_bias=False)(images)
    x = layer.MaxPooling2D(3, 2, "same")(layer.ReLU()(layer.BatchNormalization()(x)))
    for width, repeats in zip(channels, (4, 8, 4), strict=True):
        half = width // 2
        sides = [conv(depthwise(x, 2), half), conv(depthwise(conv(x, half), 2), half)]
        x = shuffled(layer.Concatenate()(sides))
        for _ in range(repeats - 1):
            kept, changed = x[..., :half], x[..., half:]
            changed = conv(depthwise(conv(changed, half), 1), half)
            x = shuffled(layer.Concatenate()([kept, changed]))
    x = layer.GlobalAveragePooling2D()(conv(x, 1024))
    return _classifier(images, layer.Dense(1000)(x), training)


@both("darknet-small", "darknet", repeats=(1, 1, 2, 2, 1), width=16, size=128, batch=16)
@both("darknet-53", "darknet", repeats=(1, 2, 8, 8, 4), width=32, size=256, batch=16)
def darknet(repeats: tuple[int, ...], width: int, size: int, batch: int, training: bool) -> Made:
    """The backbone of YOLOv3 (Redmon, Farhadi 2018): leaky ReLU, residual bottlenecks."""
    layer = tf.keras.layers

    def conv(x: Any, channels: int, kernel: int, stride: int = 1) -> Any:
        x = layer.Conv2D(channels, kernel, stride, "same", use_bias=False)(x)
        return layer.LeakyReLU(negative_slope=0.1)(layer.BatchNormalization()(x))

    images = tf.keras.Input((size, size, 3), batch_size=batch)
    x = conv(images, width, 3)
    for number, repeat in enumerate(repeats, 1):
        channels = width * 2**number
        x = conv(x, channels, 3, 2)
        for _ in range(repeat):
            x = layer.Add()([x, conv(conv(x, channels // 2, 1), channels, 3)])
    return _classifier(images, layer.Dense(1000)(layer.GlobalAveragePooling2D()(x)), training)


@both("unet-small", "unet", width=16, size=64, batch=8)
@both("unet-medium", "unet", width=32, size=128, batch=8)
@both("unet", "unet", width=64, size=256, batch=4)
def unet(width: int, size: int, batch: int, training: bool) -> Made:
    """U-Net (Ronneberger et al. 2015) for 21 classes a pixel, with padded convolutions."""
    layer = tf.keras.layers

    def twice(x: Any, channels: int) -> Any:
        for _ in range(2):
            x = layer.Conv2D(channels, 3, padding="same", activation="relu")(x)
        return x

    images = tf.keras.Input((size, size, 3), batch_size=batch)
    x, skips = images, []
    for level in range(4):
        x = twice(x, width * 2**level)
        skips.append(x)
        x = layer.MaxPooling2D()(x)
    x = twice(x, width * 16)
    for level in reversed(range(4)):
        x = layer.Conv2DTranspose(width * 2**level, 2, 2)(x)
        x = twice(layer.Concatenate()([skips[level], x]), width * 2**level)
    network = tf.keras.Model(images, layer.Conv2D(21, 1)(x))
    labels = layers.tokens(21, batch, size, size, salt=2)
    return steps.keras_step(network, (layers.normal(*images.shape),), labels, training=training)


@both("mlp-mixer-small", "mlp-mixer", depth=4, width=128, size=64, batch=32)
@both("mlp-mixer-s16", "mlp-mixer", depth=8, width=512, size=224, batch=32)
def mlp_mixer(depth: int, width: int, size: int, batch: int, training: bool) -> Made:
    """MLP-Mixer (Tolstikhin et al. 2021), S/16 at width 512: no convolution but the
    patches', no attention."""
    layer = tf.keras.layers

    def mlp(x: Any, inner: int, outer: int) -> Any:
        return layer.Dense(outer)(layer.Dense(inner, activation="gelu")(x))

    images = tf.keras.Input((size, size, 3), batch_size=batch)
    x = layer.Conv2D(width, 16, 16)(images)
    patches = (size // 16) ** 2
    x = layer.Reshape((patches, width))(x)
    for _ in range(depth):
        h = layer.Permute((2, 1))(layer.LayerNormalization()(x))
        h = layer.Permute((2, 1))(mlp(h, width // 2, patches))
        x = layer.Add()([x, h])
        x = layer.Add()([x, mlp(layer.LayerNormalization()(x), 4 * width, width)])
    x = layer.GlobalAveragePooling1D()(layer.LayerNormalization()(x))
    return _classifier(images, layer.Dense(1000)(x), training)
