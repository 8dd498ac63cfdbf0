"""Layers in plain TensorFlow ops, for models that are written out op by op."""

from typing import Any

import tensorflow as tf

SEED = 7


class Weights:
    """Makes trainable variables, each with numbers of its own, the same every time.

    Attributes:
      all: the variables, in the order in which they were made.
    """

    def __init__(self, seed: int = SEED) -> None:
        self.all: list[tf.Variable] = []
        self._seed = seed

    def normal(self, name: str, *shape: int, scale: float | None = None) -> tf.Variable:
        """[*shape] drawn from a normal distribution of that standard deviation; None:
        one over the root of the number of inputs (all dimensions but the last)."""
        inputs = 1
        for size in shape[:-1]:
            inputs *= size
        deviation = inputs**-0.5 if scale is None else scale
        seed = (self._seed, len(self.all))
        return self._made(name, lambda: deviation * tf.random.stateless_normal(shape, seed))

    def zeros(self, name: str, *shape: int) -> tf.Variable:
        """[*shape] of zeros."""
        return self._made(name, lambda: tf.zeros(shape))

    def ones(self, name: str, *shape: int) -> tf.Variable:
        """[*shape] of ones."""
        return self._made(name, lambda: tf.ones(shape))

    def _made(self, name: str, value: Any) -> tf.Variable:
        self.all.append(tf.Variable(value, name=name))
        return self.all[-1]


class LSTMCell:
    """Long short-term memory as in TensorFlow 1's BasicLSTMCell: one product for the
    four gates, forget bias 1.

    Args:
      weights: makes the cell's variables.
      name: of them.
      inputs: width of the input.
      units: width of the state.
    """

    def __init__(self, weights: Weights, name: str, inputs: int, units: int) -> None:
        self.units = units
        self.kernel = weights.normal(f"{name}/kernel", inputs + units, 4 * units)
        self.bias = weights.zeros(f"{name}/bias", 4 * units)

    def start(self, batch: int) -> tuple[tf.Tensor, tf.Tensor]:
        """The state before the first step: two of [batch, units]."""
        return tf.zeros((batch, self.units)), tf.zeros((batch, self.units))

    def __call__(
        self, x: tf.Tensor, state: tuple[tf.Tensor, tf.Tensor]
    ) -> tuple[tf.Tensor, tuple[tf.Tensor, tf.Tensor]]:
        """x [batch, inputs] and the state -> the output [batch, units], the new state."""
        cell, hidden = state
        gates = tf.nn.bias_add(tf.matmul(tf.concat([x, hidden], 1), self.kernel), self.bias)
        gate_in, value, gate_forget, gate_out = tf.split(gates, 4, 1)
        cell = cell * tf.sigmoid(gate_forget + 1.0) + tf.sigmoid(gate_in) * tf.tanh(value)
        hidden = tf.tanh(cell) * tf.sigmoid(gate_out)
        return hidden, (cell, hidden)


class Dense:
    """x @ kernel + bias over the last dimension."""

    def __init__(self, weights: Weights, name: str, inputs: int, units: int, bias: bool = True):
        self.kernel = weights.normal(f"{name}/kernel", inputs, units)
        self.bias = weights.zeros(f"{name}/bias", units) if bias else None

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        """[..., inputs] -> [..., units]"""
        flat = tf.reshape(x, (-1, x.shape[-1])) if x.shape.rank != 2 else x
        y = tf.matmul(flat, self.kernel)
        if self.bias is not None:
            y = tf.nn.bias_add(y, self.bias)
        return tf.reshape(y, (*x.shape[:-1], self.kernel.shape[-1])) if x.shape.rank != 2 else y


class LayerNorm:
    """Over the last dimension, as tf.contrib.layers.layer_norm: moments, then a scale."""

    def __init__(self, weights: Weights, name: str, width: int) -> None:
        self.scale = weights.ones(f"{name}/scale", width)
        self.offset = weights.zeros(f"{name}/offset", width)

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        """[..., width] -> the same"""
        mean, variance = tf.nn.moments(x, [-1], keepdims=True)
        return tf.nn.batch_normalization(x, mean, variance, self.offset, self.scale, 1e-6)


def dropout(x: tf.Tensor, rate: float, training: bool) -> tf.Tensor:
    """Of TensorFlow, with its stateful random op; nothing without training or rate."""
    return tf.nn.dropout(x, rate) if training and rate else x


def cross_entropy(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """The mean over all of [...] labels and [..., classes] logits."""
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))


def tokens(vocabulary: int, *shape: int, salt: int = 1) -> tf.Tensor:
    """Integers below `vocabulary`, int32."""
    return tf.random.stateless_uniform(shape, (SEED, salt), 0, vocabulary, tf.int32)


def normal(*shape: int, salt: int = 1) -> tf.Tensor:
    """Numbers of a standard normal distribution, float32."""
    return tf.random.stateless_normal(shape, (SEED, salt))
