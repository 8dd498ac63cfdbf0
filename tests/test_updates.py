"""Optimizers' updates by TensorFlow's kernels: the same training, step by step."""

import helpers
import numpy as np
import pytest
import tensorflow as tf

import grappler_go
from grappler_go import guard
from grappler_go.tuning import judge

pytestmark = pytest.mark.usefixtures("pass_off")

STEPS = 6
SLOWER = judge.Verdict(speedup=0.5, low=0.4, high=0.6, rounds=6, faster=False, slower=True)
Adam, SGD = tf.keras.optimizers.Adam, tf.keras.optimizers.SGD
OPTIMIZERS = {
    "adam": (lambda: Adam(0.01), "ResourceApplyAdam"),
    "adam, large epsilon": (lambda: Adam(0.01, epsilon=0.1), "ResourceApplyAdam"),
    "adamw": (lambda: tf.keras.optimizers.AdamW(0.01, weight_decay=0.1), "ResourceApplyAdam"),
    "clipped": (lambda: Adam(0.01, global_clipnorm=0.1), "ResourceApplyAdam"),
    "averaged": (lambda: Adam(0.01, use_ema=True), "ResourceApplyAdam"),
    "sgd": (lambda: SGD(0.1), "ResourceApplyGradientDescent"),
    "momentum": (lambda: SGD(0.1, momentum=0.9), "ResourceApplyKerasMomentum"),
    "nesterov": (lambda: SGD(0.1, momentum=0.9, nesterov=True), "ResourceApplyKerasMomentum"),
}


class Training:
    """A small network and a step that trains it."""

    def __init__(self, optimizer, dtype="float32"):
        rng = np.random.default_rng(0)

        def normal(*shape):
            return rng.normal(size=shape).astype(dtype)

        self.weights = [tf.Variable(normal(16, 32) / 4), tf.Variable(normal(32, 4) / 4)]
        self.weights.append(tf.Variable(np.zeros(4, dtype)))
        self.x, self.y = tf.constant(normal(64, 16)), tf.constant(normal(64, 4))
        self.optimizer = optimizer
        optimizer.build(self.weights)
        self.step = tf.function(self._step)

    def _step(self):
        first, second, bias = self.weights
        before = tf.reduce_sum(first)
        with tf.GradientTape() as tape:
            hidden = tf.nn.tanh(self.x @ first)
            loss = tf.reduce_mean((hidden @ second + bias - self.y) ** 2)
        gradients = tape.gradient(loss, self.weights)
        self.optimizer.apply(gradients, self.weights)
        return loss, before, tf.reduce_sum(first)

    def run(self):
        """The outputs of all steps, and the variables after the last."""
        told = [[t.numpy() for t in self.step()] for _ in range(STEPS)]
        variables = [*self.weights, *(v.value for v in self.optimizer.variables)]
        return np.array(told), [v.numpy() for v in variables]


def left_alone(graph):
    """A policy that wants nothing."""
    return {"fusion": np.zeros(graph.graph.num_ops, np.float32)}


def both(make, **settings):
    grappler_go.disable()
    expected = make().run()
    grappler_go.enable(policy=left_alone, guard=False, **settings)
    training = make()
    found = training.run()
    (report,) = [r for r in grappler_go.reports() if r.num_nodes > 30]
    return expected, found, report, training


def kernels(training):
    """The kernels that the step's graph has after the pass, by a second run of the pass."""
    (graph,) = grappler_go.capture(training.step)
    return [line for line in graph.op_graph().ops if line.startswith("ResourceApply")]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_training_goes_as_it_went(name):
    make, kernel = OPTIMIZERS[name]
    (outputs, variables), (outputs2, variables2), report, training = both(lambda: Training(make()))
    assert report.applied
    assert report.updates == 3
    assert "3 variable updates by one kernel each" in str(report)
    np.testing.assert_allclose(outputs2, outputs, rtol=2e-6, atol=1e-7)
    for mine, theirs in zip(variables2, variables, strict=True):
        # Adam's v has 1 - 0.999 as a float gives it, see update_rules.h.
        largest = np.abs(theirs).max()
        np.testing.assert_allclose(mine, theirs, rtol=3e-5, atol=2e-6 * largest)
    assert kernels(training) == [kernel] * 3


def test_in_doubles_too():
    tf.keras.config.set_floatx("float64")
    try:
        (outputs, _), (outputs2, _), report, _ = both(lambda: Training(Adam(0.01), "float64"))
    finally:
        tf.keras.config.set_floatx("float32")
    assert report.updates == 3
    np.testing.assert_allclose(outputs2, outputs, rtol=1e-12)


def test_it_can_be_switched_off():
    _, _, report, _ = both(lambda: Training(Adam(0.01)), advanced={"fuse_updates": False})
    assert report.updates == 0
    assert not report.applied


def test_nothing_is_changed_where_fusion_is_not_to_be_decided():
    _, _, report, _ = both(lambda: Training(Adam(0.01)), decisions=("memory",))
    assert report.updates == 0
    assert not report.applied


def test_a_rule_that_has_no_kernel_is_left_alone():
    (outputs, _), (outputs2, _), report, _ = both(
        lambda: Training(tf.keras.optimizers.Adagrad(0.1))
    )
    assert report.updates == 0
    assert not report.applied
    np.testing.assert_array_equal(outputs, outputs2)


def test_what_others_hold_of_a_variable_is_not_written_over():
    """An output that shares the variable's buffer keeps its value."""
    weight, rate = tf.Variable(np.ones((64, 64), np.float32)), tf.constant(0.5)
    ones = tf.ones((64, 64))

    @tf.function
    def step(x):
        before = weight.read_value()
        for _ in range(8):
            x = tf.nn.tanh(x @ before)
        weight.assign_sub((ones + 0 * x) * rate)
        return before

    grappler_go.enable(policy=left_alone, guard=False)
    outputs = [step(ones) for _ in range(3)]
    assert [float(r.updates) for r in grappler_go.reports()] == [1.0]
    assert [float(t[0, 0]) for t in outputs] == [1.0, 0.5, 0.0]
    assert float(weight[0, 0]) == -0.5


def test_two_updates_of_one_slot_in_a_step_are_left_alone():
    """A training loop that is written out twice."""

    def twice():
        training = Training(Adam(0.01))
        training.step = tf.function(lambda: (training._step(), training._step())[1])
        return training

    (outputs, _), (outputs2, _), report, _ = both(twice)
    assert report.updates == 0
    assert not report.applied
    np.testing.assert_array_equal(outputs, outputs2)


def test_the_careful_guard_does_not_time_a_kernel_of_tensorflow():
    grappler_go.enable()
    Training(Adam(0.01)).run()
    assert [r.applied for r in grappler_go.reports() if r.updates] == [True]
    assert not guard.is_undecided()


class Scaling(Training):
    """One whose step gains by compiling."""

    def __init__(self, optimizer):
        self.weight = tf.Variable(tf.ones([512, 512]))
        self.x = tf.constant(np.random.default_rng(0).normal(size=(512, 512)).astype(np.float32))
        self.optimizer = optimizer
        optimizer.build([self.weight])
        self.step = tf.function(self._step)

    def _step(self):
        with tf.GradientTape() as tape:
            y = self.x * self.weight
            for _ in range(3):
                y = tf.exp(-y * y) * 0.9 + y / (1.0 + tf.abs(y))
            loss = tf.reduce_mean(y)
        self.optimizer.apply(tape.gradient(loss, [self.weight]), [self.weight])
        return loss


def test_a_plan_that_is_taken_back_leaves_updates_by_kernels(monkeypatch):
    monkeypatch.setattr(guard.judge, "judge", lambda base, own: SLOWER)
    training, other = Scaling(Adam(0.01)), Scaling(Adam(0.01))
    steps = range(guard.MOST_STEPS + 2)
    expected = [float(other.step()) for _ in steps]
    grappler_go.enable(min_gain=0.0)
    found = [float(training.step())]
    result, nodes = helpers.executed(training.step)  # the first of those without the plan
    found += [float(result), *(float(training.step()) for _ in steps[2:])]
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    np.testing.assert_allclose(training.weight, other.weight, rtol=1e-4)
    (report,) = [r for r in grappler_go.reports() if r.updates]
    assert report.groups
    assert not report.applied
    assert report.notes[-1].endswith("updates of variables stay done by kernels")
    assert helpers.count(nodes, "ResourceApplyAdam") == 1
    assert helpers.count(nodes, "_XlaRun") == 0


def test_a_plan_that_is_refused_leaves_the_graph_alone_altogether():
    def planned(graph):
        plan = grappler_go.Plan(graph.graph)
        plan.recompute = np.ones(plan.num_ops, np.uint8)
        return plan

    grappler_go.enable(policy=planned, guard=False)
    Training(Adam(0.01)).run()
    (report,) = [r for r in grappler_go.reports() if r.num_nodes > 30]
    assert not report.applied
    assert report.outcome.startswith("plan does not fit the graph")


def test_a_plan_that_decides_nothing_is_applied_with_them():
    grappler_go.enable(policy=lambda graph: grappler_go.Plan(graph.graph), guard=False)
    Training(Adam(0.01)).run()
    (report,) = [r for r in grappler_go.reports() if r.num_nodes > 30]
    assert report.applied
    assert report.updates == 3
