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
        self,
        name: str,
        rng: np.random.Generator,
        rows: int,
        columns: int,
        scale: float = 1.0,
        bias: bool = True,
    ) -> None:
        super().__init__(name=name)
        limit = scale * math.sqrt(6.0 / (rows + columns))
        initial = rng.uniform(-1.0, 1.0, (rows, columns)) * limit
        self._weights = tf.Variable(initial.astype(np.float32), name=f"{name}/weights")
        self._bias = (
            tf.Variable(np.zeros(columns, np.float32), name=f"{name}/bias") if bias else None
        )

    @property
    def weights(self) -> tf.Variable:
        """[rows, columns]."""
        return self._weights

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        return affine(x, self._weights, self._bias)


def affine(x: tf.Tensor, weights: tf.Tensor, bias: tf.Tensor | None) -> tf.Tensor:
    """x W + b over the last axis.

    Args:
      x: [..., rows]; of its leading axes one may be of unknown length.
      weights: [rows, columns].
      bias: [columns].
    """
    # One product of matrices rather than one for each of the leading indices.
    flat = x if x.shape.rank == 2 else tf.reshape(x, [-1, x.shape[-1]])
    result = tf.matmul(flat, weights)
    if bias is not None:
        result = tf.nn.bias_add(result, bias)
    if x.shape.rank != 2:
        lengths = [-1 if length is None else length for length in x.shape[:-1]]
        shape = lengths if lengths.count(-1) < 2 else tf.unstack(tf.shape(x)[:-1])
        result = tf.reshape(result, [*shape, weights.shape[-1]])
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
      seen: float32 [S, 1, L] or [S, 1, 2 L], 0 for what an op of a segment does not see: of
        the previous segment, where it sees one, and of its own.
      learns: gradients are going to be taken.
    """

    num_ops: tf.Tensor
    length: int
    real: tf.Tensor
    seen: tf.Tensor
    learns: bool

    @staticmethod
    def of(num_ops: tf.Tensor, length: int, recurrence: bool, learns: bool) -> "Segments":
        count = (num_ops + length - 1) // length
        flat = tf.cast(tf.range(count * length) < num_ops, tf.float32)
        real = tf.reshape(flat, [count, length, 1])
        seen = tf.reshape(flat, [count, 1, length])
        if recurrence:
            seen = tf.concat([Segments.previous(seen), seen], 2)
        return Segments(num_ops, length, real, seen, learns)

    @staticmethod
    def previous(x: tf.Tensor) -> tf.Tensor:
        """[S, ...] of each segment what the one before it has; zeros for the first."""
        return tf.pad(x, [[1, 0], *([0, 0] for _axis in x.shape[1:])])[:-1]

    def split(self, x: tf.Tensor) -> tf.Tensor:
        """[N, w] -> [S, L, w]."""
        missing = tf.size(self.real) - self.num_ops
        padded = tf.pad(x, [[0, missing], [0, 0]])
        return tf.reshape(padded, [-1, self.length, x.shape[-1]])

    def join(self, x: tf.Tensor) -> tf.Tensor:
        """[S, L, w] -> [N, w]."""
        return tf.reshape(x, [-1, x.shape[-1]])[: self.num_ops]


class SegmentAttention(tf.Module):
    """Attention of each op to its segment and to the previous one, without positions (the
    paper's 2.3). No gradient flows into the previous segment's features.

    Memory is the previous segment's input to the same layer, so that all segments of a
    layer are computed at once.

    Queries and keys have unit length and a learned scale for each head (Henry et al. 2020,
    "Query-Key Normalization for Transformers"). So exponentials stay in range without a
    maximum to be found first. What is padding has the weight 0.
    """

    def __init__(self, name: str, rng: np.random.Generator, config: go_config.NetworkConfig):
        super().__init__(name=name)
        self._heads = [
            AttentionHead(f"head_{i}", rng, config.width, config.width // config.heads)
            for i in range(config.heads)
        ]
        self._recurrence = config.recurrence
        self._bias = tf.Variable(np.zeros(config.width, np.float32), name="bias")

    def __call__(self, x: tf.Tensor, segments: Segments) -> tf.Tensor:
        """[S, L, width] -> [S, L, width]."""
        heads = [head(x, segments, self._recurrence) for head in self._heads]
        return (heads[0] if len(heads) == 1 else tf.add_n(heads)) + self._bias


class AttentionHead(tf.Module):
    """One head with weights of its own: nothing is split, joined or transposed, which on a
    CPU takes longer than the products."""

    def __init__(self, name: str, rng: np.random.Generator, width: int, head_width: int) -> None:
        super().__init__(name=name)
        self._query = Dense("query", rng, width, head_width)
        self._key = Dense("key", rng, width, head_width)
        self._value = Dense("value", rng, width, head_width)
        self._out = Dense("out", rng, head_width, width, bias=False)
        self._log_scale = tf.Variable(math.log(4.0), name="log_scale", dtype=tf.float32)

    def __call__(self, x: tf.Tensor, segments: Segments, recurrence: bool) -> tf.Tensor:
        """[S, L, width] -> [S, L, width], without the bias."""
        scale = tf.minimum(tf.exp(self._log_scale), _MAX_ATTENTION_SCALE)
        query = scale * _unit_length(self._query(x))
        own = self._key_value(x)
        key, value = own
        if recurrence:
            # The same numbers twice, but for the gradient.
            memory = self._key_value(tf.stop_gradient(x)) if segments.learns else own
            key, value = (
                tf.concat([Segments.previous(before), now], 1)
                for before, now in zip(memory, own, strict=True)
            )
        weights = tf.exp(tf.matmul(query, key, transpose_b=True)) * segments.seen
        total = tf.reduce_sum(weights, -1, keepdims=True)
        return self._out(tf.matmul(weights, value) / total)

    def _key_value(self, x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return _unit_length(self._key(x)), self._value(x)


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
