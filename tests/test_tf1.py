"""Programs that are sessions and graphs, as in TensorFlow 1."""

import helpers
import numpy as np
import pytest
import tensorflow as tf
from helpers import FORCED, fuse

import grappler_go

pytestmark = pytest.mark.usefixtures("pass_off")

tf1 = tf.compat.v1


def build():
    """A graph with a training step over reference-free variables."""
    graph = tf.Graph()
    with graph.as_default():
        x = tf1.placeholder(tf.float32, [None, 8], name="x")
        with tf1.variable_scope("model", use_resource=True):
            w = tf1.get_variable("w", initializer=np.eye(8, dtype=np.float32))
        y = x
        for _ in range(3):
            y = tf.tanh(tf.matmul(y, w) * 0.5 + 0.1)
        loss = tf.reduce_mean(tf.square(y - 1.0))
        train = tf1.train.GradientDescentOptimizer(0.1).minimize(loss)
        init = tf1.global_variables_initializer()
    return graph, x, loss, train, init


def run(config=None):
    """Four losses of training, and the nodes that were executed."""
    graph, x, loss, train, init = build()
    data = np.random.default_rng(0).normal(size=(5, 8)).astype(np.float32)
    options = tf1.RunOptions(output_partition_graphs=True)
    metadata = tf1.RunMetadata()
    with tf1.Session(graph=graph, config=config) as session:
        session.run(init)
        losses = []
        for _ in range(4):
            value, _ = session.run([loss, train], {x: data}, options=options, run_metadata=metadata)
            losses.append(value)
    return losses, [node for g in metadata.partition_graphs for node in g.node]


def elementwise(name, op):
    return 0 if op in ("Tanh", "Mul", "AddV2", "MatMul") and "gradients" not in name else None


def test_a_session_runs_the_plan():
    expected, before = run()
    assert helpers.count(before, "_XlaRun") == 0
    with grappler_go.scope(fuse(elementwise), **FORCED):
        losses, nodes = run()
    assert helpers.count(nodes, "_XlaRun") == 1, helpers.outcomes()
    np.testing.assert_allclose(losses, expected, rtol=1e-4)


def test_a_session_whose_config_says_no_is_left_alone():
    config = tf1.ConfigProto()
    rewrite = config.graph_options.rewrite_options
    rewrite.use_plugin_optimizers = type(rewrite).OFF
    with grappler_go.scope(fuse(elementwise), **FORCED):
        grappler_go.clear_reports()
        _, nodes = run(config)
    assert helpers.count(nodes, "_XlaRun") == 0
    assert grappler_go.reports() == []


def test_reference_variables_are_left_as_they_are():
    def losses():
        graph = tf.Graph()
        with graph.as_default():
            v = tf1.Variable(np.ones(4, np.float32), use_resource=False)
            with tf1.control_dependencies([v.assign_add(tf.tanh(v) * 0.5)]):
                result = tf.reduce_sum(tf.identity(v) * 2.0 + 1.0)
            init = tf1.global_variables_initializer()
        with tf1.Session(graph=graph) as session:
            session.run(init)
            return [float(session.run(result)) for _ in range(3)]

    expected = losses()
    with grappler_go.scope(fuse(elementwise), **FORCED):
        np.testing.assert_allclose(losses(), expected, rtol=1e-5)


def test_while_loops_of_tensorflow_1():
    def total():
        graph = tf.Graph()
        with graph.as_default():
            start = (tf.constant(0), tf.ones((3, 3)))
            _, x = tf.while_loop(
                lambda i, _: i < 4, lambda i, x: (i + 1, tf.tanh(x @ x * 0.3) + 0.1), start
            )
            result = tf.reduce_sum(x * 2.0)
        with tf1.Session(graph=graph) as session:
            return float(session.run(result))

    expected = total()
    with grappler_go.scope(fuse(elementwise), **FORCED):
        assert total() == pytest.approx(expected, rel=1e-5)
