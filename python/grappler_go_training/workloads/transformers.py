"""Transformers: encoders (BERT, ViT), decoders (GPT-2), both (T5)."""

from typing import Any

import tensorflow as tf

from grappler_go_training.workloads import layers, steps
from grappler_go_training.workloads.registry import both
from grappler_go_training.workloads.workload import Made


def _attention(x: Any, memory: Any, heads: int, causal: bool = False, rate: float = 0.1) -> Any:
    layer = tf.keras.layers
    width = x.shape[-1]
    attend = layer.MultiHeadAttention(heads, width // heads, dropout=rate)
    return layer.Dropout(rate)(attend(x, memory, use_causal_mask=causal))


def _feed_forward(x: Any, activation: str, rate: float = 0.1) -> Any:
    layer = tf.keras.layers
    width = x.shape[-1]
    return layer.Dropout(rate)(layer.Dense(width)(layer.Dense(4 * width, activation=activation)(x)))


class _Positions(tf.keras.layers.Layer):
    """Adds a learned row to each position. (An Embedding of tf.range() would be computed
    once, by Keras, and be a constant of the graph.)"""

    def build(self, shape: Any) -> None:
        self.rows = self.add_weight(shape=tuple(shape[1:]), initializer="random_normal")

    def call(self, x: Any) -> Any:
        return x + self.rows


def _embedded(tokens: Any, vocabulary: int, width: int) -> Any:
    """Of tokens [batch, length] and of their positions, added."""
    return _Positions()(tf.keras.layers.Embedding(vocabulary, width)(tokens))


@both("bert-tiny", "bert", depth=2, width=128, heads=2, length=128, batch=16)
@both("bert-small", "bert", depth=4, width=512, heads=8, length=128, batch=16)
@both("bert-base", "bert", depth=12, width=768, heads=12, length=128, batch=8)
def bert(depth: int, width: int, heads: int, length: int, batch: int, training: bool) -> Made:
    """BERT (Devlin et al. 2019; small sizes: Turc et al. 2019): every token is guessed;
    normalisation after each part."""
    layer = tf.keras.layers
    tokens = tf.keras.Input((length,), batch_size=batch, dtype="int32")
    segments = tf.keras.Input((length,), batch_size=batch, dtype="int32")
    x = _embedded(tokens, 30_522, width) + layer.Embedding(2, width)(segments)
    x = layer.Dropout(0.1)(layer.LayerNormalization(epsilon=1e-12)(x))
    for _ in range(depth):
        x = layer.LayerNormalization(epsilon=1e-12)(x + _attention(x, x, heads))
        x = layer.LayerNormalization(epsilon=1e-12)(x + _feed_forward(x, "gelu"))
    x = layer.LayerNormalization(epsilon=1e-12)(layer.Dense(width, activation="gelu")(x))
    network = tf.keras.Model([tokens, segments], layer.Dense(30_522)(x))
    inputs = layers.tokens(30_522, batch, length), layers.tokens(2, batch, length, salt=2)
    labels = layers.tokens(30_522, batch, length, salt=3)
    return steps.keras_step(network, inputs, labels, training=training)


@both("gpt2-tiny", "gpt", depth=2, width=128, heads=2, length=128, batch=8)
@both("gpt2-small", "gpt", depth=12, width=768, heads=12, length=256, batch=4)
@both("gpt2-medium", "gpt", depth=24, width=1024, heads=16, length=256, batch=2)
def gpt2(depth: int, width: int, heads: int, length: int, batch: int, training: bool) -> Made:
    """GPT-2 (Radford et al. 2019): causal, normalisation before each part."""
    layer = tf.keras.layers
    tokens = tf.keras.Input((length,), batch_size=batch, dtype="int32")
    x = layer.Dropout(0.1)(_embedded(tokens, 50_257, width))
    for _ in range(depth):
        n = layer.LayerNormalization(epsilon=1e-5)(x)
        x = x + _attention(n, n, heads, causal=True)
        x = x + _feed_forward(layer.LayerNormalization(epsilon=1e-5)(x), "gelu")
    x = layer.LayerNormalization(epsilon=1e-5)(x)
    network = tf.keras.Model(tokens, layer.Dense(50_257, use_bias=False)(x))
    words, following = (layers.tokens(50_257, batch, length, salt=salt) for salt in (1, 2))
    return steps.keras_step(network, (words,), following, training=training)


@both("vit-tiny", "vit", depth=6, width=192, heads=3, size=96, batch=16)
@both("vit-small", "vit", depth=12, width=384, heads=6, size=224, batch=16)
@both("vit-base", "vit", depth=12, width=768, heads=12, size=224, batch=8)
def vit(depth: int, width: int, heads: int, size: int, batch: int, training: bool) -> Made:
    """ViT with patches of 16 (Dosovitskiy et al. 2021), pooled by the mean."""
    layer = tf.keras.layers
    patches = (size // 16) ** 2
    images = tf.keras.Input((size, size, 3), batch_size=batch)
    x = layer.Reshape((patches, width))(layer.Conv2D(width, 16, 16)(images))
    x = layer.Dropout(0.1)(_Positions()(x))
    for _ in range(depth):
        n = layer.LayerNormalization(epsilon=1e-6)(x)
        x = x + _attention(n, n, heads)
        x = x + _feed_forward(layer.LayerNormalization(epsilon=1e-6)(x), "gelu")
    x = layer.GlobalAveragePooling1D()(layer.LayerNormalization(epsilon=1e-6)(x))
    network = tf.keras.Model(images, layer.Dense(1000)(x))
    labels = layers.tokens(1000, batch, salt=2)
    return steps.keras_step(network, (layers.normal(*images.shape),), labels, training=training)


@both("t5-tiny", "t5", depth=2, width=128, heads=4, length=64, batch=16)
@both("t5-small", "t5", depth=6, width=512, heads=8, length=128, batch=8)
def t5(depth: int, width: int, heads: int, length: int, batch: int, training: bool) -> Made:
    """T5 (Raffel et al. 2020): encoder and decoder, scaled by the root mean square only.
    Positions are learned per token rather than as biases of attention."""
    layer = tf.keras.layers

    def normalized(x: Any) -> Any:
        return layer.RMSNormalization()(x)

    source, target = (tf.keras.Input((length,), batch_size=batch, dtype="int32") for _ in range(2))
    memory = _embedded(source, 32_128, width)
    for _ in range(depth):
        n = normalized(memory)
        memory = memory + _attention(n, n, heads)
        memory = memory + _feed_forward(normalized(memory), "relu")
    memory = normalized(memory)
    x = _embedded(target, 32_128, width)
    for _ in range(depth):
        n = normalized(x)
        x = x + _attention(n, n, heads, causal=True)
        x = x + _attention(normalized(x), memory, heads)
        x = x + _feed_forward(normalized(x), "relu")
    network = tf.keras.Model([source, target], layer.Dense(32_128, use_bias=False)(normalized(x)))
    words = tuple(layers.tokens(32_128, batch, length, salt=salt) for salt in (1, 2, 3))
    return steps.keras_step(network, words[:2], words[2], training=training)
