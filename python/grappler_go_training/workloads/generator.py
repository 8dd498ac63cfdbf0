"""Random graphs of real ops: more, and stranger, than people write.

Three shapes: "layered", each op reads some of the layer before; "series-parallel",
branches that part and join; "recurrent", one cell applied step after step. Every graph is
built by TensorFlow, so that types and shapes fit and it could be run; with `training` it
has its gradients and updates. Grappler does not see it: a generated graph has what
Grappler would have folded or merged, too.
"""

import random
from collections.abc import Callable

import tensorflow as tf

import grappler_go

KINDS = ("layered", "series-parallel", "recurrent")
_DEVICE = "/job:localhost/replica:0/task:0/device:CPU:0"
_ELEMENTWISE_ONE = ("Relu", "Tanh", "Sigmoid", "Softplus", "Square", "Neg", "Abs", "Elu")
# What their argument is called.
_OF_FEATURES = ("Relu", "Softplus", "Elu")
_ELEMENTWISE_TWO = ("AddV2", "Mul", "Sub", "Maximum")


def synthetic(
    seed: int,
    num_ops: int,
    *,
    kind: str | None = None,
    training: bool | None = None,
    width: int | None = None,
    batch: int | None = None,
) -> grappler_go.CapturedGraph:
    """A random graph; the same for the same arguments and TensorFlow.

    Args:
      seed: any integer.
      num_ops: of the graph, about: it ends with the block, or the gradients, that reach
        it.
      kind: one of KINDS; None: drawn.
      training: with gradients and weights updated; None: drawn.
      width: of the matrices [batch, width] that flow through it; None: drawn from 32
        to 1024.
      batch: None: drawn from 8 to 256.

    Returns:
      A graph on CPU:0 whose only result is the node "fetch".

    Raises:
      ValueError: num_ops is below 10, width is odd, or there is no such kind.
    """
    if num_ops < 10:
        raise ValueError(f"num_ops={num_ops}: expected at least 10")
    if kind is not None and kind not in KINDS:
        raise ValueError(f"kind={kind!r}: expected one of {', '.join(KINDS)}")
    if width is not None and (width < 2 or width % 2):
        raise ValueError(f"width={width}: expected an even number")
    # All is drawn, so that what is given does not change what is drawn after it.
    draw = random.Random(f"synthetic {seed} {num_ops}")
    drawn_kind, drawn_training = draw.choice(KINDS), draw.random() < 0.5
    drawn_width, drawn_batch = 2 ** draw.randint(5, 10), 2 ** draw.randint(3, 8)
    training = drawn_training if training is None else training
    build = _Builder(draw, width or drawn_width, batch or drawn_batch)
    graph = tf.Graph()
    with graph.as_default():
        target = _forward_ops(num_ops) if training else max(num_ops - 10, 4)
        output = _SHAPES[kind or drawn_kind](build, graph, target)
        with tf.name_scope("head"):
            loss = tf.reduce_mean(tf.square(build.dense(output)))
        updates = build.updates(loss) if training else []
        with tf.control_dependencies(updates):
            tf.raw_ops.Identity(input=loss, name="fetch")
    # Gradients leave ops behind that nothing reads.
    graphdef = tf.compat.v1.graph_util.extract_sub_graph(graph.as_graph_def(), ["fetch"])
    for node in graphdef.node:
        node.device = _DEVICE
    serialized = graphdef.SerializeToString(deterministic=True)
    return grappler_go.CapturedGraph(serialized, ("fetch",), ("fetch",))


def _forward_ops(num_ops: int) -> int:
    """How many ops of a training step are its forward pass: about 3 in 10, measured."""
    return max(3 * num_ops // 10 - 10, 4)


class _Builder:
    """Blocks: tensors [batch, width] in, one such tensor out."""

    def __init__(self, draw: random.Random, width: int, batch: int) -> None:
        self.draw, self.width, self.batch = draw, width, batch
        self.variables: list[tf.Tensor] = []
        self.reads: list[tf.Tensor] = []

    def source(self) -> tf.Tensor:
        return tf.raw_ops.Placeholder(dtype=tf.float32, shape=(self.batch, self.width))

    def weight(self, *shape: int) -> tf.Tensor:
        number = len(self.variables)
        handle = tf.raw_ops.VarHandleOp(dtype=tf.float32, shape=shape, shared_name=f"w{number}")
        value = tf.ensure_shape(tf.raw_ops.ReadVariableOp(resource=handle, dtype=tf.float32), shape)
        self.variables.append(handle)
        self.reads.append(value)
        return value

    def block(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        x = inputs[0]
        for other in inputs[1:]:
            x = getattr(tf.raw_ops, self.draw.choice(_ELEMENTWISE_TWO))(x=x, y=other)
        return self.draw.choice(self._blocks())(x)

    def _blocks(self) -> list[Callable[[tf.Tensor], tf.Tensor]]:
        return [self.dense, self.dense, self._chain, self._norm, self._gate, self._turn]

    def dense(self, x: tf.Tensor) -> tf.Tensor:
        kernel, bias = self.weight(self.width, self.width), self.weight(self.width)
        return tf.nn.relu(tf.nn.bias_add(tf.matmul(x, kernel), bias))

    def _chain(self, x: tf.Tensor) -> tf.Tensor:
        for _ in range(self.draw.randint(1, 5)):
            x = self._activation(x)
        return x

    def _activation(self, x: tf.Tensor) -> tf.Tensor:
        name = self.draw.choice(_ELEMENTWISE_ONE)
        argument = "features" if name in _OF_FEATURES else "x"
        return getattr(tf.raw_ops, name)(**{argument: x})

    def _norm(self, x: tf.Tensor) -> tf.Tensor:
        mean, variance = tf.nn.moments(x, [1], keepdims=True)
        return (x - mean) * tf.math.rsqrt(variance + 1e-6) * self.weight(self.width)

    def _gate(self, x: tf.Tensor) -> tf.Tensor:
        a, b = tf.split(tf.matmul(x, self.weight(self.width, 2 * self.width)), 2, 1)
        return tf.sigmoid(a) * tf.tanh(b)

    def _turn(self, x: tf.Tensor) -> tf.Tensor:
        pairs = tf.transpose(tf.reshape(x, (self.batch, 2, self.width // 2)), (0, 2, 1))
        return tf.nn.softmax(tf.reshape(pairs, (self.batch, self.width)))

    def updates(self, loss: tf.Tensor) -> list[tf.Operation]:
        """Gradients of all weights that the loss depends on, and plain descent."""
        if not self.reads:
            return []
        with tf.name_scope("optimizer"):
            pairs = zip(self.variables, tf.gradients(loss, self.reads), strict=True)
            return [
                tf.raw_ops.ResourceApplyGradientDescent(var=variable, alpha=0.1, delta=gradient)
                for variable, gradient in pairs
                if gradient is not None
            ]


def _size(graph: tf.Graph) -> int:
    return len(graph.get_operations())


def _layered(build: _Builder, graph: tf.Graph, num_ops: int) -> tf.Tensor:
    layer = [build.source() for _ in range(build.draw.randint(1, 4))]
    number = 0
    while _size(graph) < num_ops:
        with tf.name_scope(f"layer{number}"):
            blocks, unread = [], dict.fromkeys(range(len(layer)))
            for _ in range(build.draw.randint(1, 5)):
                count = build.draw.randint(1, min(len(layer), 3))
                read = build.draw.sample(range(len(layer)), count)
                blocks.append(build.block([layer[i] for i in read]))
                for i in read:
                    unread.pop(i, None)
            # What nobody has read yet is there for the next layer: no op is in vain.
            layer = blocks + [layer[i] for i in unread]
        number += 1
    return tf.add_n(layer)


def _series_parallel(build: _Builder, graph: tf.Graph, num_ops: int) -> tf.Tensor:
    def grow(x: tf.Tensor, depth: int) -> tf.Tensor:
        if depth == 0 or _size(graph) >= num_ops:
            return build.block([x])
        if build.draw.random() < 0.5:
            return grow(grow(x, depth - 1), depth - 1)
        return build.block([grow(x, depth - 1) for _ in range(build.draw.randint(2, 4))])

    x, number = build.source(), 0
    while _size(graph) < num_ops:
        with tf.name_scope(f"module{number}"):
            x = grow(x, build.draw.randint(1, 4))
        number += 1
    return x


def _recurrent(build: _Builder, graph: tf.Graph, num_ops: int) -> tf.Tensor:
    units, cells = build.width, build.draw.randint(1, 4)
    gates = build.draw.choice((1, 3, 4))
    weights = [build.weight(2 * units, gates * units) for _ in range(cells)]
    states = [tf.zeros((build.batch, units)) for _ in range(cells)]
    number = 0
    while _size(graph) < num_ops or number == 0:
        x = build.source()
        for cell, weight in enumerate(weights):
            with tf.name_scope(f"cell{cell}/step{number}"):
                parts = tf.split(tf.matmul(tf.concat([x, states[cell]], 1), weight), gates, 1)
                new = tf.tanh(parts[0])
                for gate in parts[1:]:
                    new = tf.sigmoid(gate) * new + (1.0 - tf.sigmoid(gate)) * states[cell]
                x = states[cell] = new
        number += 1
    return tf.add_n(states)


_SHAPES = {"layered": _layered, "series-parallel": _series_parallel, "recurrent": _recurrent}
