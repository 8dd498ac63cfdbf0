"""Recurrent networks in loops: speech recognition."""

import tensorflow as tf

from grappler_go_training.workloads import layers, steps
from grappler_go_training.workloads.registry import both
from grappler_go_training.workloads.workload import Made


@both("speech-small", "speech", depth=1, width=128, frames=200, batch=8, unroll=False)
@both("speech-large", "speech", depth=3, width=800, frames=400, batch=16, unroll=False)
@both("speech-unrolled", "speech", depth=2, width=256, frames=64, batch=16, unroll=True)
def speech(depth: int, width: int, frames: int, batch: int, unroll: bool, training: bool) -> Made:
    """Deep Speech 2 (Amodei et al. 2016): convolutions over a spectrogram of 160 bands,
    bidirectional recurrent layers in while loops (or unrolled), a label for each frame
    (cross entropy in place of the CTC loss)."""
    layer = tf.keras.layers
    sound = tf.keras.Input((frames, 160, 1), batch_size=batch)
    x = sound
    for kernel, stride in (((11, 41), (2, 2)), ((11, 21), (1, 2))):
        x = layer.Conv2D(32, kernel, stride, "same", use_bias=False)(x)
        x = layer.ReLU(20.0)(layer.BatchNormalization()(x))
    x = layer.Reshape((x.shape[1], x.shape[2] * x.shape[3]))(x)
    for _ in range(depth):
        cells = layer.GRU(width, return_sequences=True, unroll=unroll, reset_after=False)
        x = layer.BatchNormalization()(layer.Bidirectional(cells)(x))
    network = tf.keras.Model(sound, layer.Dense(29)(x))
    labels = layers.tokens(29, batch, x.shape[1], salt=2)
    return steps.keras_step(network, (layers.normal(*sound.shape),), labels, training=training)
