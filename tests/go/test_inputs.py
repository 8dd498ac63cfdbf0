"""What the GO network is given of real graphs and machines."""

import numpy as np
import pytest
import random_networks
import tensorflow as tf
from grappler_go_training.baselines import problem
from grappler_go_training.go import inputs

import grappler_go


@pytest.fixture(scope="module")
def graph():
    weights = tf.Variable(tf.ones((32, 32)))

    @tf.function
    def step(x):
        for _ in range(3):
            x = tf.nn.relu(tf.matmul(x, weights))
        weights.assign_sub(tf.reduce_mean(x) * weights)
        return x

    return grappler_go.capture(step, tf.ones((8, 32)))[0].op_graph()


@pytest.mark.parametrize("name", ["p100x1", "v100x4"])
def test_allowed_is_what_baselines_choose_among(graph, name):
    machine = grappler_go.load_machine(name)
    given = inputs.graph_inputs(graph, machine, free_state=True)
    expected = problem.Problem(graph, machine, free_state=True)
    np.testing.assert_array_equal(given.allowed, expected.allowed[expected.unit_of])
    np.testing.assert_array_equal(given.unit, expected.first_op[expected.unit_of])


def test_state_stays_without_free_state(graph):
    machine = grappler_go.load_machine("p100x2")
    given = inputs.graph_inputs(graph, machine)
    assert (given.allowed.sum(1) >= 1).all()
    fixed = np.array([op in ("_Arg", "VarHandleOp", "_Retval") for op in graph.ops])
    assert fixed.any()
    assert (given.allowed[fixed].sum(1) == 1).all()


def test_arrays_fit_the_signature(graph):
    machine = grappler_go.load_machine("v100x4")
    given = inputs.graph_inputs(graph, machine)
    for name, spec in inputs.inputs_spec(random_networks.SCHEMA)._asdict().items():
        array = getattr(given, name)
        assert spec.shape.is_compatible_with(array.shape), name
        assert spec.dtype == array.dtype, name
