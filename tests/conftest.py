"""Fixtures for all tests."""

import os
import pathlib

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# What somebody timed on this machine is not for tests to depend on.
os.environ["GRAPPLER_GO_MACHINE"] = "0"
os.environ["GRAPPLER_GO_PLANS"] = "0"
# Processes that tests start, about a hundred, import TensorFlow, it Keras, and Keras
# matplotlib where it is, though they draw nothing.
os.environ["PYTHONPATH"] = os.pathsep.join(
    filter(
        None,
        [
            str(pathlib.Path(__file__).resolve().parent / "stand_ins"),
            os.environ.get("PYTHONPATH"),
        ],
    )
)

import pytest

# Those need Keras 2 as tf.keras and these Keras 3, which no process can have both:
# pytest tests/go runs them.
collect_ignore = ["go"]


@pytest.fixture
def pass_off():
    """The test starts with the pass registered and off, and leaves it off."""
    import grappler_go
    from grappler_go import control

    grappler_go.disable()
    with control.restored():
        grappler_go.clear_reports()
        yield
    grappler_go.disable()


@pytest.fixture
def flags_as_before():
    """Commands keep parsed flags in their module; each test starts afresh."""
    from grappler_go.cli.main import COMMANDS, command_module

    yield
    for name in COMMANDS:
        values = command_module(name).FLAGS
        values.unparse_flags()
        for flag in values:
            values[flag].unparse()


# Graphs that several tests of baselines share.


@pytest.fixture(scope="session")
def branches():
    """Two chains of products of matrices that meet in a sum."""
    import baseline_graphs
    import tensorflow as tf

    def step(x):
        a = b = x
        with tf.name_scope("left"):
            for _ in range(4):
                a = tf.tanh(tf.matmul(a, a))
        with tf.name_scope("right"):
            for _ in range(4):
                b = tf.sin(tf.matmul(b, b))
        return tf.reduce_sum(a) + tf.reduce_sum(b)

    return baseline_graphs.op_graph(step, tf.ones((512, 512)))


@pytest.fixture(scope="session")
def training():
    """A training step with variables and a backward pass."""
    import baseline_graphs
    import models

    model = models.mlp(layers=6, width=512, batch=256)
    return baseline_graphs.op_graph(model.train, *model.inputs)


@pytest.fixture(scope="session")
def activations():
    """A training step whose memory is what the forward pass keeps for the backward."""
    import baseline_graphs
    import tensorflow as tf

    weights = tf.Variable(tf.random.stateless_normal((32, 32), (1, 2)))

    def step(x):
        with tf.GradientTape() as tape:
            for _ in range(16):
                x = tf.sin(tf.matmul(x, weights))
            loss = tf.reduce_sum(x)
        weights.assign_sub(0.1 * tape.gradient(loss, weights))
        return loss

    return baseline_graphs.op_graph(step, tf.ones((4096, 32)))
