"""WaveNet: stacks of dilated causal convolutions with gates."""

import tensorflow as tf

from grappler_go_training.workloads import layers, steps
from grappler_go_training.workloads.registry import workload
from grappler_go_training.workloads.workload import Made

CHANNELS, SKIP, LENGTH, BATCH, LEVELS = 256, 256, 8000, 4, 256


@workload("wavenet-2x18", "wavenet", training=True, num_devices=2, stacks=2, depth=18)
@workload("wavenet-4x36", "wavenet", training=True, num_devices=4, stacks=4, depth=36)
def wavenet(stacks: int, depth: int) -> Made:
    """One training step of WaveNet (van den Oord et al. 2016).

    The paper says: "2-stack 18-layer" on 2 GPUs and "4-stack 36-layer" on 4. Both have 9
    layers in a stack, which we take as dilations of 1, 2, 4 ... 256. It leaves open the
    rest; chosen: 256 residual, gate and skip channels, 8-bit mu-law (256 levels, from
    the WaveNet paper), half a second of 16 kHz sound (8000 samples) in batches of 4, Adam.
    """
    return audio_step(stacks, depth // stacks, CHANNELS, SKIP, LENGTH, BATCH)


def audio_step(
    stacks: int, layers_per_stack: int, channels: int, skip: int, length: int, batch: int
) -> Made:
    """The step of a model of any size: samples and the next ones, [batch, length] levels."""
    layer = tf.keras.layers
    levels = tf.keras.Input((length,), batch_size=batch, dtype="int32")
    x = layer.Embedding(LEVELS, channels, name="embedding")(levels)
    x = layer.Conv1D(channels, 2, padding="causal", name="front")(x)
    skips = []
    for number in range(stacks * layers_per_stack):
        name = f"stack{number // layers_per_stack}_layer{number}"
        dilated = layer.Conv1D(
            2 * channels,
            2,
            padding="causal",
            dilation_rate=2 ** (number % layers_per_stack),
            name=f"{name}_dilated",
        )(x)
        value, gate = dilated[..., :channels], dilated[..., channels:]
        tanh = layer.Activation("tanh", name=f"{name}_tanh")(value)
        gated = layer.Multiply(name=f"{name}_gated")(
            [tanh, layer.Activation("sigmoid", name=f"{name}_gate")(gate)]
        )
        skips.append(layer.Conv1D(skip, 1, name=f"{name}_skip")(gated))
        x = layer.Add(name=f"{name}_residual")(
            [x, layer.Conv1D(channels, 1, name=f"{name}_out")(gated)]
        )
    x = layer.ReLU(name="post_relu1")(layer.Add(name="skips")(skips))
    x = layer.ReLU(name="post_relu2")(layer.Conv1D(skip, 1, name="post_conv1")(x))
    network = tf.keras.Model(levels, layer.Conv1D(LEVELS, 1, name="post_conv2")(x))
    samples, following = (layers.tokens(LEVELS, batch, length, salt=salt) for salt in (1, 2))
    return steps.keras_step(network, (samples,), following, training=True, optimizer="adam")
