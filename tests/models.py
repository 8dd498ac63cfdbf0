"""Small models of many kinds, seeded, for comparing outputs with the pass on and off.

    model = models.mlp()            # one of models.ALL
    tf.function(model.infer)(*model.inputs)
    tf.function(model.train)(*model.inputs)

Each maker builds a new model with the same numbers. `infer` and `train` are plain
Python functions over the model's variables; `train` makes one step and returns a
loss. Nothing in them draws random numbers at run time.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf


@dataclasses.dataclass
class Model:
    """A model with what it is run on.

    Attributes:
      infer: (*inputs) -> tensor.
      train: (*inputs) -> scalar loss; updates the variables.
      inputs: tensors for both.
      variables: what train changes.
    """

    infer: Callable[..., Any]
    train: Callable[..., Any]
    inputs: tuple[Any, ...]
    variables: list[Any]


class _Seeded:
    """Hands out the same weights and inputs every time."""

    def __init__(self) -> None:
        self._random = np.random.default_rng(7)
        self.variables: list[Any] = []

    def weight(self, *shape: int, scale: float | None = None) -> Any:
        if scale is None:
            scale = 1.0 / np.sqrt(max(1, int(np.prod(shape[:-1]))))
        value = self._random.normal(size=shape).astype(np.float32) * np.float32(scale)
        variable = tf.Variable(value)
        self.variables.append(variable)
        return variable

    def value(self, number: float) -> Any:
        variable = tf.Variable(np.float32(number))
        self.variables.append(variable)
        return variable

    def normal(self, *shape: int) -> Any:
        return tf.constant(self._random.normal(size=shape).astype(np.float32))

    def integers(self, high: int, *shape: int) -> Any:
        return tf.constant(self._random.integers(0, high, shape).astype(np.int32))


def _trained(
    seeded: _Seeded, infer: Callable[..., Any], loss: Callable[..., Any], inputs: tuple[Any, ...]
) -> Model:
    """A model whose train step is plain gradient descent with momentum."""
    momenta = [tf.Variable(tf.zeros_like(v)) for v in seeded.variables]
    variables = list(seeded.variables)

    def train(*args: Any) -> Any:
        with tf.GradientTape() as tape:
            value = loss(*args)
        for variable, momentum, gradient in zip(
            variables, momenta, tape.gradient(value, variables), strict=True
        ):
            momentum.assign(0.9 * momentum + gradient)
            variable.assign_sub(0.01 * momentum)
        return value

    return Model(infer, train, inputs, variables)


def mlp(layers: int = 4, width: int = 32, batch: int = 16) -> Model:
    """Dense layers with ReLU and a softmax loss."""
    s = _Seeded()
    weights = [(s.weight(width, width), s.weight(width, scale=0.1)) for _ in range(layers)]
    x, y = s.normal(batch, width), s.integers(width, batch)

    def infer(x: Any, unused_target: Any) -> Any:
        for kernel, bias in weights:
            x = tf.nn.relu(x @ kernel + bias)
        return x

    def loss(x: Any, y: Any) -> Any:
        logits = infer(x, y)
        return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits))

    return _trained(s, infer, loss, (x, y))


def cnn() -> Model:
    """Convolutions, folded batch normalisation, depthwise convolution, pooling."""
    s = _Seeded()
    k1, k2 = s.weight(3, 3, 3, 8), s.weight(3, 3, 8, 1)
    k3, b3 = s.weight(1, 1, 8, 16), s.weight(16, scale=0.1)
    scale, offset = s.value(1.0), s.value(0.0)
    head = s.weight(16, 10)
    x, y = s.normal(4, 16, 16, 3), s.integers(10, 4)

    def infer(x: Any, unused_target: Any) -> Any:
        x = tf.nn.conv2d(x, k1, 1, "SAME")
        gain, shift = tf.fill([8], scale), tf.fill([8], offset)
        x, _, _ = tf.compat.v1.nn.fused_batch_norm(x, gain, shift, is_training=True)
        x = tf.nn.relu(x)
        x = tf.nn.relu6(tf.nn.depthwise_conv2d(x, k2, [1, 1, 1, 1], "SAME"))
        x = tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(x, k3, 2, "SAME"), b3))
        x = tf.nn.max_pool2d(x, 2, 2, "VALID")
        return tf.reduce_mean(x, [1, 2]) @ head

    def loss(x: Any, y: Any) -> Any:
        logits = infer(x, y)
        return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits))

    return _trained(s, infer, loss, (x, y))


def transformer() -> Model:
    """Two blocks of self-attention and feed-forward over an embedding."""
    s = _Seeded()
    vocabulary, width, heads = 40, 16, 2
    table = s.weight(vocabulary, width, scale=1.0)
    blocks = [
        {
            "qkv": s.weight(width, 3 * width),
            "out": s.weight(width, width),
            "up": s.weight(width, 4 * width),
            "down": s.weight(4 * width, width),
        }
        for _ in range(2)
    ]
    tokens, targets = s.integers(vocabulary, 4, 12), s.integers(vocabulary, 4, 12)

    def norm(x: Any) -> Any:
        mean, variance = tf.nn.moments(x, [-1], keepdims=True)
        return (x - mean) * tf.math.rsqrt(variance + 1e-5)

    def split(x: Any) -> Any:
        return tf.transpose(tf.reshape(x, [4, 12, heads, width // heads]), [0, 2, 1, 3])

    def infer(tokens: Any, unused_target: Any) -> Any:
        x = tf.gather(table, tokens)
        for block in blocks:
            q, k, v = tf.split(norm(x) @ block["qkv"], 3, axis=-1)
            scores = tf.matmul(split(q), split(k), transpose_b=True) / np.sqrt(width / heads)
            mixed = tf.transpose(tf.nn.softmax(scores) @ split(v), [0, 2, 1, 3])
            x += tf.reshape(mixed, [4, 12, width]) @ block["out"]
            x += tf.nn.gelu(norm(x) @ block["up"]) @ block["down"]
        return tf.matmul(x, table, transpose_b=True)

    def loss(tokens: Any, targets: Any) -> Any:
        logits = infer(tokens, targets)
        return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits))

    return _trained(s, infer, loss, (tokens, targets))


def lstm() -> Model:
    """An LSTM cell in a while loop, with TensorArrays."""
    s = _Seeded()
    width, steps = 16, 8
    kernel, bias = s.weight(2 * width, 4 * width), s.weight(4 * width, scale=0.1)
    x, y = s.normal(4, steps, width), s.normal(4, width)

    def infer(x: Any, unused_target: Any) -> Any:
        h = c = tf.zeros([4, width])
        for t in tf.range(steps):
            gates = tf.concat([x[:, t], h], 1) @ kernel + bias
            i, f, g, o = tf.split(gates, 4, axis=1)
            c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(g)
            h = tf.sigmoid(o) * tf.tanh(c)
        return h

    def loss(x: Any, y: Any) -> Any:
        return tf.reduce_mean(tf.square(infer(x, y) - y))

    return _trained(s, infer, loss, (x, y))


def unet() -> Model:
    """Down by strided convolution, up by transposed, with a skip connection."""
    s = _Seeded()
    down, up = s.weight(3, 3, 2, 8), s.weight(3, 3, 4, 8)
    last = s.weight(1, 1, 6, 2)
    x, y = s.normal(2, 16, 16, 2), s.normal(2, 16, 16, 2)

    def infer(x: Any, unused_target: Any) -> Any:
        low = tf.nn.leaky_relu(tf.nn.conv2d(x, down, 2, "SAME"))
        high = tf.nn.elu(tf.nn.conv2d_transpose(low, up, [2, 16, 16, 4], 2, "SAME"))
        return tf.nn.conv2d(tf.concat([x, high], -1), last, 1, "SAME")

    def loss(x: Any, y: Any) -> Any:
        return tf.reduce_mean(tf.abs(infer(x, y) - y))

    return _trained(s, infer, loss, (x, y))


def vae() -> Model:
    """A variational autoencoder; its noise is an input."""
    s = _Seeded()
    encoder, decoder = s.weight(32, 16), s.weight(8, 32)
    x, noise = s.normal(16, 32), s.normal(16, 8)

    def latent(x: Any) -> Any:
        return tf.split(tf.nn.softplus(x @ encoder) - 0.5, 2, axis=1)

    def infer(x: Any, noise: Any) -> Any:
        mean, log_variance = latent(x)
        return tf.sigmoid((mean + tf.exp(0.5 * log_variance) * noise) @ decoder)

    def loss(x: Any, noise: Any) -> Any:
        mean, log_variance = latent(x)
        divergence = 1 + log_variance - tf.square(mean) - tf.exp(log_variance)
        rebuilt = tf.reduce_sum(tf.square(infer(x, noise) - x), 1)
        return tf.reduce_mean(rebuilt - 0.5 * tf.reduce_sum(divergence, 1))

    return _trained(s, infer, loss, (x, noise))


def gnn() -> Model:
    """Message passing over an edge list with gather and segment sums."""
    s = _Seeded()
    nodes, edges, width = 30, 90, 16
    message, update = s.weight(2 * width, width), s.weight(2 * width, width)
    x = s.normal(nodes, width)
    src, dst = s.integers(nodes, edges), s.integers(nodes, edges)

    def infer(x: Any, src: Any, dst: Any) -> Any:
        for _ in range(2):
            pairs = tf.concat([tf.gather(x, src), tf.gather(x, dst)], 1)
            sums = tf.math.unsorted_segment_sum(tf.nn.relu(pairs @ message), dst, nodes)
            x = tf.tanh(tf.concat([x, sums], 1) @ update)
        return x

    def loss(x: Any, src: Any, dst: Any) -> Any:
        return tf.reduce_mean(tf.square(infer(x, src, dst)))

    return _trained(s, infer, loss, (x, src, dst))


def dlrm() -> Model:
    """Embedding tables, dot-product interactions, a sigmoid: sparse gradients."""
    s = _Seeded()
    tables = [s.weight(50, 8, scale=0.3) for _ in range(3)]
    bottom, top = s.weight(4, 8), s.weight(14, 1)
    dense, sparse = s.normal(16, 4), s.integers(50, 16, 3)
    labels = tf.cast(s.integers(2, 16, 1), tf.float32)

    def infer(dense: Any, sparse: Any, unused_target: Any) -> Any:
        first = tf.nn.relu(dense @ bottom)
        found = [tf.nn.embedding_lookup(t, sparse[:, i]) for i, t in enumerate(tables)]
        vectors = tf.stack([first, *found], 1)
        dots = tf.matmul(vectors, vectors, transpose_b=True)
        pairs = tf.stack([dots[:, i, j] for i in range(4) for j in range(i)], 1)
        return tf.concat([first, pairs], 1) @ top

    def loss(dense: Any, sparse: Any, labels: Any) -> Any:
        logits = infer(dense, sparse, labels)
        return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels, logits))

    return _trained(s, infer, loss, (dense, sparse, labels))


def black_scholes() -> Model:
    """European call prices; training fits volatility and rate to quotes."""
    s = _Seeded()
    volatility, rate = s.value(0.2), s.value(0.03)
    spot = tf.exp(0.1 * s.normal(500)) * 100.0
    strike = tf.exp(0.1 * s.normal(500)) * 100.0
    years = tf.abs(s.normal(500)) + 0.1

    def cumulative(x: Any) -> Any:
        return 0.5 * (1.0 + tf.math.erf(x / np.sqrt(2.0)))

    def infer(spot: Any, strike: Any, years: Any) -> Any:
        spread = volatility * tf.sqrt(years)
        d1 = (tf.math.log(spot / strike) + (rate + 0.5 * volatility**2) * years) / spread
        discount = strike * tf.exp(-rate * years)
        return spot * cumulative(d1) - discount * cumulative(d1 - spread)

    def loss(spot: Any, strike: Any, years: Any) -> Any:
        quotes = tf.nn.relu(spot - strike) + 5.0
        return 1e-4 * tf.reduce_mean(tf.square(infer(spot, strike, years) - quotes))

    return _trained(s, infer, loss, (spot, strike, years))


def k_means() -> Model:
    """One step of Lloyd's algorithm."""
    s = _Seeded()
    centers = s.weight(5, 8, scale=1.0)
    points = s.normal(200, 8)

    def distances(points: Any) -> Any:
        return tf.reduce_sum(tf.square(points[:, None] - centers[None]), -1)

    def infer(points: Any) -> Any:
        return tf.argmin(distances(points), 1)

    def train(points: Any) -> Any:
        squared = distances(points)
        nearest = tf.argmin(squared, 1)
        counts = tf.math.unsorted_segment_sum(tf.ones_like(nearest, tf.float32), nearest, 5)
        sums = tf.math.unsorted_segment_sum(points, nearest, 5)
        centers.assign(sums / tf.maximum(counts, 1.0)[:, None])
        return tf.reduce_mean(tf.reduce_min(squared, 1))

    return Model(infer, train, (points,), list(s.variables))


def kalman() -> Model:
    """An unrolled Kalman filter; training fits its noise by likelihood."""
    s = _Seeded()
    log_process, log_measure = s.value(-2.0), s.value(-1.0)
    seen = s.normal(12, 2)
    motion = tf.constant([[1.0, 0.0, 1.0, 0.0], [0.0, 1.0, 0.0, 1.0], [0, 0, 1, 0], [0, 0, 0, 1]])
    view = tf.constant([[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]])

    def run(seen: Any) -> Any:
        state, cover = tf.zeros([4, 1]), tf.eye(4)
        likelihood = tf.constant(0.0)
        for t in range(12):
            state = motion @ state
            cover = motion @ cover @ tf.transpose(motion) + tf.exp(log_process) * tf.eye(4)
            surprise = seen[t][:, None] - view @ state
            spread = view @ cover @ tf.transpose(view) + tf.exp(log_measure) * tf.eye(2)
            inverse = tf.linalg.inv(spread)
            gain = cover @ tf.transpose(view) @ inverse
            state += gain @ surprise
            cover = (tf.eye(4) - gain @ view) @ cover
            likelihood += tf.reduce_sum(surprise * (inverse @ surprise))
            likelihood += tf.math.log(spread[0, 0] * spread[1, 1] - spread[0, 1] * spread[1, 0])
        return state, likelihood

    def infer(seen: Any) -> Any:
        return run(seen)[0]

    def loss(seen: Any) -> Any:
        return run(seen)[1] / 12.0

    return _trained(s, infer, loss, (seen,))


def pde() -> Model:
    """Heat equation by a stencil of slices; training fits the conductivity."""
    s = _Seeded()
    conductivity = s.value(0.1)
    start, goal = s.normal(24, 24), s.normal(24, 24)

    def infer(field: Any, unused_target: Any) -> Any:
        for _ in range(6):
            around = (
                tf.roll(field, 1, 0)
                + tf.roll(field, -1, 0)
                + tf.pad(field[:, 1:], [[0, 0], [0, 1]])
                + tf.pad(field[:, :-1], [[0, 0], [1, 0]])
            )
            field += conductivity * (around - 4.0 * field)
        return field

    def loss(field: Any, goal: Any) -> Any:
        return tf.reduce_mean(tf.square(infer(field, goal) - goal))

    return _trained(s, infer, loss, (start, goal))


ALL: dict[str, Callable[[], Model]] = {
    maker.__name__: maker
    for maker in (
        mlp,
        cnn,
        transformer,
        lstm,
        unet,
        vae,
        gnn,
        dlrm,
        black_scholes,
        k_means,
        kalman,
        pde,
    )
}
