"""The layers of the network: GraphSAGE and Transformer layers over segments of ops."""

import math
from typing import NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_gnn as tfgnn

from grappler_go_training.go import config as go_config

# Attention's logits are at most this: their exponentials and sums of these stay finite.
_MAX_ATTENTION_SCALE = 20.0


class Dense(tf.Module):
    """x W + b over the last axis. Glorot's initial weights times `scale`."""

    def __init__(
        self, name: str, rng: np.random.Generator, rows: int, columns: int, scale: float = 1.0
    ) -> None:
        super().__init__(name=name)
        limit = scale * math.sqrt(6.0 / (rows + columns))
        initial = rng.uniform(-1.0, 1.0, (rows, columns)) * limit
        self._weights = tf.Variable(initial.astype(np.float32), name=f"{name}/weights")
        self._bias = tf.Variable(np.zeros(columns, np.float32), name=f"{name}/bias")
        self._rows = rows

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        if x.shape.rank == 2:
            return tf.nn.bias_add(tf.matmul(x, self._weights), self._bias)
        # One product of matrices rather than one for each of the leading indices.
        flat = tf.matmul(tf.reshape(x, [-1, self._rows]), self._weights)
        shape = tf.concat([tf.shape(x)[:-1], tf.shape(self._bias)], 0)
        result = tf.reshape(tf.nn.bias_add(flat, self._bias), shape)
        result.set_shape(x.shape[:-1].concatenate(self._bias.shape))
        return result


class Embedding(tf.Module):
    """A row of parameters for each of `size` numbers."""

    def __init__(self, name: str, rng: np.random.Generator, size: int, width: int) -> None:
        super().__init__(name=name)
        initial = rng.normal(0.0, 1.0 / math.sqrt(width), (size, width))
        self.table = tf.Variable(initial.astype(np.float32), name=f"{name}/table")

    def __call__(self, number: tf.Tensor) -> tf.Tensor:
        return tf.gather(self.table, number)


def normalize(x: tf.Tensor) -> tf.Tensor:
    """Layer normalization without scale and offset: each user is followed by a Dense,
    which has its own."""
    centered = x - tf.reduce_mean(x, -1, keepdims=True)
    variance = tf.reduce_mean(tf.square(centered), -1, keepdims=True)
    return centered * tf.math.rsqrt(variance + 1e-6)


class Sage(tf.Module):
    """One GraphSAGE layer (the paper's 2.2), for both directions of edges:

        h_in  = max over producers u of sigmoid(W_in h_u + b_in)     h_out: over consumers
        h'    = relu(F [h; h_in; h_out])

    The paper does not say which neighbours are meant, nor the activation of F: we take
    producers and consumers, each with weights of their own, and ReLU. The maximum over no
    neighbours counts as 0, below every sigmoid.
    """

    def __init__(self, name: str, rng: np.random.Generator, width: int) -> None:
        super().__init__(name=name)
        self._pool = [Dense(f"pool_{way}", rng, width, width) for way in ("in", "out")]
        self._combine = Dense("combine", rng, 3 * width, width, math.sqrt(2.0))

    def __call__(self, graph: tfgnn.GraphTensor, h: tf.Tensor) -> tf.Tensor:
        """h: [N, width], of the ops of `graph` (graph_tensor())."""
        ends = (tfgnn.SOURCE, tfgnn.TARGET)
        parts = [h]
        for pool, start, end in zip(self._pool, ends, reversed(ends), strict=True):
            messages = tfgnn.broadcast_node_to_edges(
                graph, "tensor", start, feature_value=tf.sigmoid(pool(h))
            )
            pooled = tfgnn.pool_edges_to_node(graph, "tensor", end, "max", feature_value=messages)
            # Of no neighbours the maximum is the lowest number.
            parts.append(tf.nn.relu(pooled))
        return tf.nn.relu(self._combine(tf.concat(parts, -1)))


def graph_tensor(num_ops: tf.Tensor, edge_src: tf.Tensor, edge_dst: tf.Tensor) -> tfgnn.GraphTensor:
    """The graph as TF-GNN has it: node set "op", edge set "tensor" from producers to
    consumers, no features."""
    return tfgnn.GraphTensor.from_pieces(
        node_sets={"op": tfgnn.NodeSet.from_fields(sizes=tf.reshape(num_ops, [1]))},
        edge_sets={
            "tensor": tfgnn.EdgeSet.from_fields(
                sizes=tf.reshape(tf.size(edge_src), [1]),
                adjacency=tfgnn.Adjacency.from_indices(("op", edge_src), ("op", edge_dst)),
            )
        },
    )


class Segments(NamedTuple):
    """Ops in topological order as S segments of L, the last one padded.

    Attributes:
      num_ops: int32 [], N.
      length: L.
      real: float32 [S, L, 1], 0 for padding.
    """

    num_ops: tf.Tensor
    length: int
    real: tf.Tensor

    @staticmethod
    def of(num_ops: tf.Tensor, length: int) -> "Segments":
        count = (num_ops + length - 1) // length
        real = tf.cast(tf.range(count * length) < num_ops, tf.float32)
        return Segments(num_ops, length, tf.reshape(real, [count, length, 1]))

    def split(self, x: tf.Tensor) -> tf.Tensor:
        """[N, w] -> [S, L, w]."""
        missing = tf.size(self.real) - self.num_ops
        padded = tf.pad(x, [[0, missing], [0, 0]])
        return tf.reshape(padded, [-1, self.length, x.shape[-1]])

    def join(self, x: tf.Tensor) -> tf.Tensor:
        """[S, L, w] -> [N, w]."""
        return tf.reshape(x, [-1, x.shape[-1]])[: self.num_ops]


def _previous(x: tf.Tensor) -> tf.Tensor:
    """[S, ...] the segment before each; zeros before the first."""
    return tf.concat([tf.zeros_like(x[:1]), x[:-1]], 0)


class SegmentAttention(tf.Module):
    """Attention of each op to its segment and to the previous one, without positions (the
    paper's 2.3). No gradient flows into the previous segment's features.

    Memory is the previous segment's input to the same layer, so that all segments of a
    layer are computed at once.

    Queries and keys have unit length and a learned scale for each head (Henry et al. 2020,
    "Query-Key Normalization for Transformers"). So exponentials stay in range without a
    maximum to be found first; what is padding or not there has the weight 0 in place of an
    exponential, which costs no pass over the scores.
    """

    def __init__(self, name: str, rng: np.random.Generator, config: go_config.NetworkConfig):
        super().__init__(name=name)
        width = config.width
        self._heads = config.heads
        self._head_width = width // config.heads
        self._recurrence = config.recurrence
        self._query = Dense("query", rng, width, width)
        self._key_value = Dense("key_value", rng, width, 2 * width)
        self._out = Dense("out", rng, width, width)
        scale = np.full([config.heads, 1, 1], math.log(4.0), np.float32)
        self._log_scale = tf.Variable(scale, name="log_scale")

    def __call__(self, x: tf.Tensor, segments: Segments) -> tf.Tensor:
        """[S, L, width] -> [S, L, width]."""
        scale = tf.minimum(tf.exp(self._log_scale), _MAX_ATTENTION_SCALE)
        query = scale * _unit_length(self._split_heads(self._query(x)))
        key, value = self._keys_and_values(x, segments)
        if self._recurrence:
            memory = self._keys_and_values(tf.stop_gradient(x), segments)
            key = tf.concat([_previous(memory[0]), key], 2)
            value = tf.concat([_previous(memory[1]), value], 2)
        weights = tf.exp(tf.matmul(query, key, transpose_b=True))
        sums = tf.matmul(weights, value)
        # Padding of an otherwise empty context divides 0 by next to nothing.
        mean = sums[..., :-1] / (sums[..., -1:] + 1e-9)
        merged = tf.reshape(tf.transpose(mean, [0, 2, 1, 3]), [-1, *x.shape[1:]])
        return self._out(merged)

    def _split_heads(self, x: tf.Tensor) -> tf.Tensor:
        """[S, L, width] -> [S, heads, L, head width]."""
        split = tf.reshape(x, [-1, x.shape[1], self._heads, self._head_width])
        return tf.transpose(split, [0, 2, 1, 3])

    def _keys_and_values(self, x: tf.Tensor, segments: Segments) -> tuple[tf.Tensor, tf.Tensor]:
        """Keys [S, heads, L, head width]; values with a last column of 1, all 0 where there
        is no op."""
        key, value = tf.split(self._key_value(x), 2, -1)
        value = self._split_heads(value)
        real = segments.real[:, tf.newaxis]
        one = tf.ones_like(value[..., :1])
        return _unit_length(self._split_heads(key)), tf.concat([value, one], -1) * real


def _unit_length(x: tf.Tensor) -> tf.Tensor:
    return x * tf.math.rsqrt(tf.reduce_sum(tf.square(x), -1, keepdims=True) + 1e-6)


class TransformerLayer(tf.Module):
    """Attention and a feed-forward part, each around a normalized input and added to it.
    The paper does not say where it normalizes."""

    def __init__(self, name: str, rng: np.random.Generator, config: go_config.NetworkConfig):
        super().__init__(name=name)
        width, hidden = config.width, config.ffn_width
        self._attention = SegmentAttention("attention", rng, config) if config.attention else None
        self._up = Dense("up", rng, width, hidden, math.sqrt(2.0))
        self._down = Dense("down", rng, hidden, width)

    def __call__(self, x: tf.Tensor, segments: Segments) -> tf.Tensor:
        """[S, L, width] -> [S, L, width]."""
        if self._attention is not None:
            x += self._attention(normalize(x), segments)
        return x + self._down(tf.nn.relu(self._up(normalize(x))))
