"""Transformer-XL: attention over a segment and a memory of the one before."""

import tensorflow as tf

from grappler_go_training.workloads import layers, steps
from grappler_go_training.workloads.registry import workload
from grappler_go_training.workloads.workload import Made

WIDTH, HEADS, INNER, LENGTH, BATCH, VOCABULARY = 512, 8, 2048, 512, 24, 204


@workload("transformer-xl-2", "transformer-xl", training=True, num_devices=2, depth=2)
@workload("transformer-xl-4", "transformer-xl", training=True, num_devices=4, depth=4)
@workload("transformer-xl-8", "transformer-xl", training=True, num_devices=8, depth=8)
def transformer_xl(depth: int) -> Made:
    """One training step of Transformer-XL (Dai et al. 2019).

    The paper says: 2, 4 and 8 layers on as many GPUs, and no sizes. Those of the
    authors' "enwik8 base" setting (tf/scripts/enwik8_base_gpu.sh of
    kimiyoung/transformer-xl), whose 12 layers become 2, 4 or 8: width 512, 8 heads of 64,
    inner width 2048, segments of 512 with a memory of 512, batch 24, dropout 0.1, Adam
    with the norm of gradients clipped to 0.25. Vocabulary: the 204 characters of enwik8.
    """
    return segment_step(depth, WIDTH, HEADS, INNER, LENGTH, BATCH, VOCABULARY)


def segment_step(
    depth: int, width: int, heads: int, inner: int, length: int, batch: int, vocabulary: int
) -> Made:
    """The step of a model of any size: tokens and labels [batch, length], and for each
    layer a memory [batch, length, width], which is updated."""
    weights = layers.Weights()
    embedding = weights.normal("embedding", vocabulary, width, scale=0.02)
    content_bias = weights.normal("content_bias", heads, width // heads, scale=0.02)
    position_bias = weights.normal("position_bias", heads, width // heads, scale=0.02)
    blocks = [_Block(weights, f"layer{i}", width, heads, inner) for i in range(depth)]
    softmax = layers.Dense(weights, "softmax", width, vocabulary)
    memory_shape = (batch, length, width)
    memories = [
        tf.Variable(lambda: tf.zeros(memory_shape), trainable=False, name=f"memory{i}")
        for i in range(depth)
    ]

    def loss(words: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        with tf.name_scope("embedding"):
            x = tf.nn.embedding_lookup(embedding, words) * width**0.5
            x = layers.dropout(x, 0.1, training=True)
            positions = layers.dropout(_sinusoids(2 * length, width), 0.1, training=True)
        for number, (block, memory) in enumerate(zip(blocks, memories, strict=True)):
            with tf.name_scope(f"layer{number}"):
                before, old = x, memory.read_value()
                x = block(x, old, positions, content_bias, position_bias)
                memory.assign(tf.stop_gradient(before))
        with tf.name_scope("softmax"):
            return layers.cross_entropy(labels, softmax(x))

    step = steps.training_step(loss, weights.all, "adam", clip=0.25)
    words, labels = (layers.tokens(vocabulary, batch, length, salt=salt) for salt in (1, 2))
    return step, (words, labels)


class _Block:
    def __init__(
        self, weights: layers.Weights, name: str, width: int, heads: int, inner: int
    ) -> None:
        self.heads, self.width = heads, width
        self.query = layers.Dense(weights, f"{name}/query", width, width, bias=False)
        self.key_value = layers.Dense(weights, f"{name}/key_value", width, 2 * width, bias=False)
        self.position = layers.Dense(weights, f"{name}/position", width, width, bias=False)
        self.output = layers.Dense(weights, f"{name}/output", width, width, bias=False)
        self.inner = layers.Dense(weights, f"{name}/inner", width, inner)
        self.outer = layers.Dense(weights, f"{name}/outer", inner, width)
        self.norms = [layers.LayerNorm(weights, f"{name}/norm{i}", width) for i in range(2)]

    def __call__(
        self,
        x: tf.Tensor,
        memory: tf.Tensor,
        positions: tf.Tensor,
        content_bias: tf.Variable,
        position_bias: tf.Variable,
    ) -> tf.Tensor:
        with tf.name_scope("attention"):
            attended = self._attend(x, memory, positions, content_bias, position_bias)
            x = self.norms[0](x + layers.dropout(self.output(attended), 0.1, training=True))
        with tf.name_scope("feed_forward"):
            h = layers.dropout(tf.nn.relu(self.inner(x)), 0.1, training=True)
            return self.norms[1](x + layers.dropout(self.outer(h), 0.1, training=True))

    def _attend(
        self,
        x: tf.Tensor,
        memory: tf.Tensor,
        positions: tf.Tensor,
        content_bias: tf.Variable,
        position_bias: tf.Variable,
    ) -> tf.Tensor:
        batch, length, width = x.shape
        context = tf.concat([memory, x], 1)
        keys, values = tf.split(self.key_value(context), 2, 2)
        query = self._split(self.query(x))
        keys, values = self._split(keys), self._split(values)
        distance = tf.reshape(self.position(positions), (-1, self.heads, width // self.heads))
        by_content = tf.einsum("bihd,bjhd->bhij", query + content_bias, keys)
        by_position = tf.einsum("bihd,jhd->bhij", query + position_bias, distance)
        scores = (by_content + _relative_shift(by_position)) * (width // self.heads) ** -0.5
        ahead = 1.0 - tf.linalg.band_part(tf.ones((length, context.shape[1])), -1, memory.shape[1])
        probabilities = tf.nn.softmax(scores - 1e30 * ahead)
        mixed = tf.einsum("bhij,bjhd->bihd", probabilities, values)
        return tf.reshape(mixed, (batch, length, width))

    def _split(self, x: tf.Tensor) -> tf.Tensor:
        return tf.reshape(x, (*x.shape[:2], self.heads, self.width // self.heads))


def _relative_shift(x: tf.Tensor) -> tf.Tensor:
    """[batch, heads, i, j]: row i moved left, so that j counts from the position i.
    Section 3.3 and appendix B of Dai et al."""
    batch, heads, rows, columns = x.shape
    padded = tf.pad(x, [[0, 0], [0, 0], [0, 0], [1, 0]])
    turned = tf.reshape(padded, (batch, heads, columns + 1, rows))
    return tf.reshape(turned[:, :, 1:], (batch, heads, rows, columns))


def _sinusoids(count: int, width: int) -> tf.Tensor:
    """[count, width]: the distances count - 1 ... 0."""
    frequency = 1.0 / 10_000.0 ** (tf.range(0.0, width, 2.0) / width)
    angle = tf.range(count - 1.0, -1.0, -1.0)[:, None] * frequency[None, :]
    return tf.concat([tf.sin(angle), tf.cos(angle)], 1)
