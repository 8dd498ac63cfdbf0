"""Sums over rows on matrices: the same results, where and only where it is compiled."""

import numpy as np
import pytest
import tensorflow as tf
from helpers import FORCED, executed, fuse

import grappler_go

pytestmark = pytest.mark.usefixtures("pass_off")

SHAPE = (4, 5, 6, 8)


class Training:
    """Steps of a convolutional network with normalizations."""

    def __init__(self):
        tf.keras.utils.set_random_seed(0)
        layer = tf.keras.layers
        x = y = tf.keras.Input(SHAPE[1:], batch_size=SHAPE[0])
        for activation in ("swish", "relu", "tanh"):
            y = layer.Conv2D(8, 3, padding="same")(y)
            y = layer.Activation(activation)(layer.BatchNormalization()(y))
        self.network = tf.keras.Model(x, layer.Dense(2)(layer.GlobalAveragePooling2D()(y)))
        self.optimizer = tf.keras.optimizers.SGD(0.1)
        self.optimizer.build(self.network.trainable_variables)
        self.x = tf.random.stateless_normal(SHAPE, (1, 2))
        self.step = tf.function(self._step)

    def _step(self):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((self.network(self.x, training=True) - 1.0) ** 2)
        variables = self.network.trainable_variables
        self.optimizer.apply(tape.gradient(loss, variables), variables)
        return loss

    def run(self):
        losses = [float(self.step()) for _ in range(4)]
        return losses, [v.numpy() for v in self.network.variables]


def all_but_convolutions(features):
    """A policy: what it says of each op counts, and groups cost nothing."""
    ops = features.graph.ops
    return {"fusion": np.array([-1.0 if "Conv" in op else 1.0 for op in ops], np.float32)}


FREE = {"group_launch_micros": 0.0, "group_tensor_micros": 0.0, "group_output_micros_per_mb": 0.0}


def test_training_is_tensorflows():
    losses, variables = Training().run()
    advanced = {**FORCED["advanced"], **FREE}
    grappler_go.enable(all_but_convolutions, min_gain=0.0, advanced=advanced, guard=False)
    found_losses, found = Training().run()
    report = max(grappler_go.reports(), key=lambda r: r.num_nodes)
    assert report.groups > 0
    np.testing.assert_allclose(found_losses, losses, rtol=1e-4)
    for a, b in zip(variables, found, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-3, atol=1e-5)


def sums(x):
    y = tf.tanh(x * 0.5) * x
    return tf.reduce_sum(y * x, [0, 1, 2]), tf.reduce_mean(y, [0, 1, 2], keepdims=True), y


X = tf.random.stateless_normal(SHAPE, (3, 4))


def ops_of(step):
    return [node.name for node in executed(step, X)[1]]


def test_where_nothing_is_compiled_the_graph_stays_as_it_was():
    grappler_go.enable(fuse(lambda name, op: None), **FORCED, guard=False)
    assert not [name for name in ops_of(tf.function(sums)) if "grappler_go_rows" in name]


def test_updates_alone_leave_the_rest_as_it_was():
    grappler_go.enable(lambda features: {"fusion": np.zeros(features.graph.num_ops, np.float32)})
    nodes = executed(Training().step)[1]
    assert max(r.updates for r in grappler_go.reports()) > 0
    assert not [node.name for node in nodes if "grappler_go_rows" in node.name]


@pytest.mark.parametrize("flatten", [True, False])
def test_compiled_it_is_on_matrices(flatten):
    expected = [t.numpy() for t in sums(X)]
    advanced = {**FORCED["advanced"], "flatten_rows": flatten}
    grappler_go.enable(fuse(lambda name, op: 0), **{**FORCED, "advanced": advanced}, guard=False)
    step = tf.function(sums)
    for a, b in zip(expected, step(X), strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-4, atol=1e-5)
    (graph,) = grappler_go.capture(step, X)
    assert any("grappler_go_rows" in name for name in graph.op_graph().names) == flatten


def test_not_under_a_memory_limit():
    grappler_go.enable(memory_limit=0.9)
    step = tf.function(sums)
    step(X)
    (graph,) = grappler_go.capture(step, X)
    assert not any("grappler_go_rows" in name for name in graph.op_graph().names)
