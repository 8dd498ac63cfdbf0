"""Loops that XLA runs as a whole: the same results, and which ones are left alone."""

import numpy as np
import pytest
import tensorflow as tf
from helpers import executed

import grappler_go
from grappler_go import guard, loop_lists, loop_regions, loops

pytestmark = pytest.mark.usefixtures("pass_off", "own_functions")


@pytest.fixture
def own_functions(monkeypatch):
    """What the guard knows of functions is forgotten: other tests' guards decide on their own."""
    monkeypatch.setattr(guard, "_by_generation", {})


MATRIX = tf.constant(np.random.default_rng(0).normal(size=(8, 8)) / 4, tf.float32)
SERIES = tf.constant(np.random.default_rng(1).normal(size=(20, 8)), tf.float32)


def counted(x):
    for _ in tf.range(20):
        x = tf.tanh(x @ MATRIX) * 0.9 + 0.1
    return x


def until_small(x):
    steps = 0
    while tf.reduce_max(tf.abs(x)) > 1e-2:
        x, steps = x * 0.7, steps + 1
    return x, steps


def with_arrays(x):
    found = tf.TensorArray(tf.float32, size=20)
    for i in tf.range(20):
        x = tf.tanh(x + SERIES[i])
        found = found.write(i, x)
    return found.stack(), x


def branching(x):
    for _ in tf.range(20):
        x = x * 0.9 - 0.2 if tf.reduce_sum(x) > 0 else x + 1.0
    return x


def nested(x):
    for i in tf.range(5):
        for j in tf.range(4):
            x = tf.tanh(x + tf.cast(i * j, tf.float32) / 20)
        x = x * 0.9
    return x


def one_after_the_other(x):
    rows, _ = with_arrays(x)
    total = tf.zeros_like(x)
    for row in rows:
        total = tf.sigmoid(total + row)
    return total


def never(x):
    for _ in tf.range(tf.cast(tf.reduce_sum(x * 0), tf.int32)):
        x = tf.tanh(x) + 1.0
    return x


def called(x):
    inner = tf.function(counted)
    return inner(x) + inner(x * 0.5), tf.function(recursed)(x)


def recursed(x):
    return tf.function(until_small)(x)


def recurrent():
    layer = tf.keras.layers
    tf.keras.utils.set_random_seed(0)
    x = tf.keras.Input((20, 8), batch_size=4)
    y = layer.GRU(4)(layer.LSTM(8, return_sequences=True)(x))
    network = tf.keras.Model(x, y)
    return (lambda x: network(x, training=False)), tf.random.stateless_normal((4, 20, 8), (1, 2))


ROW = tf.ones((1, 8))
PROGRAMS = {
    "counted": lambda: (counted, ROW),
    "until small": lambda: (until_small, ROW),
    "with arrays": lambda: (with_arrays, tf.ones(8)),
    "branching": lambda: (branching, ROW),
    "nested": lambda: (nested, ROW),
    "one after the other": lambda: (one_after_the_other, tf.ones(8)),
    "never": lambda: (never, ROW),
    "called": lambda: (called, ROW),
    "recurrent": recurrent,
}


def outputs(fn, *args):
    return [np.asarray(t) for t in tf.nest.flatten(fn(*args))]


def ops_of(step):
    return {node.op for node in executed(step, ROW)[1]}


def loops_run():
    return sum(r.loops for r in grappler_go.reports())


@pytest.mark.parametrize("name", PROGRAMS)
def test_results_are_tensorflows(name):
    fn, x = PROGRAMS[name]()
    expected = outputs(tf.function(fn), x)
    grappler_go.enable()
    step = tf.function(fn)
    found = outputs(step, x)
    again = outputs(step, x)  # by the guard: as TensorFlow alone runs it
    assert loops_run() >= 1
    for a, b, c in zip(expected, found, again, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(c, a)


def test_a_loop_is_one_op_and_the_report_says_so():
    grappler_go.enable()
    assert "NextIteration" not in ops_of(tf.function(counted))
    (report,) = [r for r in grappler_go.reports() if r.loops]
    assert report.applied
    assert "applied: 1 loop run by XLA" in str(report)


class Training:
    """Steps of a small network that reads a series."""

    def __init__(self, kind):
        tf.keras.utils.set_random_seed(0)
        layer = tf.keras.layers
        x = tf.keras.Input((12, 3), batch_size=4)
        hidden = getattr(layer, kind)(5, return_sequences=True)(x)
        self.network = tf.keras.Model(x, layer.Dense(1)(layer.LSTM(4)(hidden)))
        self.optimizer = tf.keras.optimizers.SGD(0.5)
        self.optimizer.build(self.network.trainable_variables)
        self.x = tf.random.stateless_normal((4, 12, 3), (1, 2))
        self.step = tf.function(self._step)

    def _step(self):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((self.network(self.x) - 1.0) ** 2)
        variables = self.network.trainable_variables
        self.optimizer.apply(tape.gradient(loss, variables), variables)
        return loss

    def run(self):
        losses = [float(self.step()) for _ in range(5)]
        return losses, [v.numpy() for v in self.network.trainable_variables]


@pytest.mark.parametrize("kind", ["SimpleRNN", "GRU", "LSTM"])
def test_training_is_tensorflows(kind):
    losses, variables = Training(kind).run()
    grappler_go.enable()
    found_losses, found = Training(kind).run()
    assert loops_run() == 4  # two forward, two backward
    np.testing.assert_allclose(found_losses, losses, rtol=1e-4)
    for a, b in zip(variables, found, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-3, atol=1e-5)


def test_variables_are_handed_to_the_backward_pass_once():
    grappler_go.enable()
    nodes = executed(Training("LSTM").step)[1]
    reads = [node.name for node in nodes if node.op == "ReadVariableOp"]
    assert [name for name in reads if name.startswith(loop_lists._PREFIX)]


def gradient_of(fn):
    def with_gradient(x):
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(x)
            y = tf.reduce_sum(fn(x)[0])
        return y, tape.gradient(y, x)

    return with_gradient


def weighted(x):
    total = tf.zeros_like(x)
    for i in tf.range(12):
        total = tf.tanh(total * WEIGHT + x * SERIES[i])
    return total, total


def second_order(x):
    with tf.GradientTape() as tape:
        tape.watch(x)
        _, first = gradient_of(weighted)(x)
    return (tape.gradient(first, x),)


WEIGHT = tf.Variable(tf.fill((8,), 0.7))


def written_between(x):
    """A variable that changes after the loop that reads it, before its backward pass."""
    with tf.GradientTape() as tape:
        tape.watch(x)
        y, _ = weighted(x)
        WEIGHT.assign(WEIGHT * 0.5)
        y = tf.reduce_sum(y * WEIGHT)
    gradient = tape.gradient(y, x)
    WEIGHT.assign(WEIGHT * 2.0)
    return y, gradient


@pytest.mark.parametrize(
    "fn",
    [gradient_of(weighted), gradient_of(with_arrays), second_order, written_between],
    ids=["weighted", "with arrays", "second order", "written between"],
)
def test_gradients_are_tensorflows(fn):
    x = tf.linspace(-1.0, 1.0, 8)
    expected = outputs(tf.function(fn), x)
    grappler_go.enable()
    for a, b in zip(expected, outputs(tf.function(fn), x), strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-4, atol=1e-6)


def random_numbers(x):
    for i in tf.range(20):
        x = tf.tanh(x) + tf.random.stateless_uniform((1, 8), (i, 1))
    return x


COUNT = tf.Variable(tf.zeros((1, 8)))


def writes(x):
    for _ in tf.range(20):
        COUNT.assign_add(tf.tanh(x))
    return COUNT + 0.0


def prints(x):
    for _ in tf.range(2):
        tf.print(x[0, 0], output_stream="file:///dev/null")
        x = tf.tanh(x)
    return x


def checks(x):
    for _ in tf.range(2):
        tf.debugging.assert_less(x, 3.0)
        x = tf.tanh(x)
    return x


def of_large_ops(x):
    large = tf.zeros((1024, 1024))
    for _ in tf.range(2):
        large = large @ large
    return x + large[0, 0]


def convolves(x):
    image = tf.ones((1, 4, 4, 2))
    for _ in tf.range(3):
        image = tf.nn.conv2d(image, tf.ones((1, 1, 2, 2)), 1, "SAME")
    return x + image[0, 0, 0, 0]


def grows(x):
    found = tf.TensorArray(tf.float32, size=0, dynamic_size=True)
    for i in tf.range(5):
        found = found.write(i, x)
    return found.stack()


def changes_shape(x):
    y = x
    for _ in tf.range(3):
        tf.autograph.experimental.set_loop_options(
            shape_invariants=[(y, tf.TensorShape([None, 8]))]
        )
        y = tf.concat([y, x], 0)
    return y


def counts_values(x):
    for _ in tf.range(5):
        x = x + tf.cast(tf.size(tf.where(x > 0)), tf.float32) * 0.1
    return x


def slices(x):
    for i in tf.range(5):
        x = x + tf.reduce_sum(SERIES[i : 2 * i + 1], 0)
    return x


def makes_shapes(x):
    total = tf.zeros_like(x)
    for i in tf.range(tf.reduce_sum(tf.cast(x, tf.int32))):
        total = total + tf.reduce_sum(tf.ones([i + 1]))
    return total


def gradient_of_unknown_length(x):
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = x
        while tf.reduce_sum(y) < 100.0:
            y = y * 1.5 + 0.1
    return tape.gradient(y, x)


def calls_python(x):
    for _ in tf.range(2):
        x = tf.reshape(tf.py_function(lambda v: v + 1, [x], tf.float32), (1, 8))
    return x


@pytest.mark.parametrize(
    "fn",
    [
        *(random_numbers, writes, prints, checks, of_large_ops, convolves, calls_python),
        *(grows, changes_shape, counts_values, slices, makes_shapes, gradient_of_unknown_length),
    ],
)
def test_left_alone_without_a_word(fn, capfd):
    expected = outputs(tf.function(fn), ROW)
    COUNT.assign(tf.zeros_like(COUNT))
    grappler_go.enable()
    capfd.readouterr()
    found = outputs(tf.function(fn), ROW)
    assert loops_run() == 0
    # What TensorFlow says of XLA's refusals.
    assert "OP_REQUIRES" not in capfd.readouterr().err
    for a, b in zip(expected, found, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-5)


def test_what_xla_compiles_anyway_is_left_alone():
    grappler_go.enable()
    jitted = tf.function(counted, jit_compile=True)
    expected = outputs(jitted, ROW)
    found = outputs(tf.function(lambda x: jitted(x) + 0.0), ROW)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert loops_run() == 0


def test_unknown_shapes_are_left_alone():
    grappler_go.enable()
    step = tf.function(counted, input_signature=[tf.TensorSpec((None, 8))])
    step(ROW)
    assert loops_run() == 0


@pytest.mark.parametrize(
    "settings",
    [
        {"advanced": {"compile_loops": False}},
        {"decisions": ("memory",)},
        {"memory_limit": "4GB"},
        {"compile_budget_s": 0},
        # Nobody would time it.
        {"guard": False},
    ],
)
def test_switched_off(settings):
    grappler_go.enable(**settings)
    tf.function(counted)(ROW)
    assert loops_run() == 0


def test_not_for_one_shape_after_the_other():
    grappler_go.enable(advanced={"max_shapes": 2})
    step = tf.function(counted, reduce_retracing=False)
    for rows in range(1, 6):
        step(tf.ones((rows, 8)))
    assert loops_run() == 2


def test_settings_that_change_compile_anew():
    step = tf.function(counted)
    grappler_go.enable()
    step(ROW)
    grappler_go.enable(min_gain=0.5)
    step(ROW)
    assert loops_run() == 2


def test_a_tape_outside_of_the_function():
    """Its forward function hands out the lists of the loop."""

    def with_gradient():
        step = tf.function(counted)
        with tf.GradientTape() as tape:
            tape.watch(ROW)
            y = step(ROW)
        return y, tape.gradient(y, ROW)

    expected = outputs(with_gradient)
    grappler_go.enable()
    for a, b in zip(expected, outputs(with_gradient), strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-5)


def test_on_another_device():
    with tf.device("CPU:0"):
        expected = outputs(tf.function(counted), ROW)
    grappler_go.enable()

    def placed(x):
        with tf.device("CPU:0"):
            return counted(x)

    np.testing.assert_allclose(outputs(tf.function(placed), ROW), expected, rtol=1e-5)
    assert loops_run() == 1


def test_variables_are_read_as_they_are_when_the_loop_begins():
    weight = tf.Variable(tf.ones((8,)))

    def training(x):
        total = tf.zeros((8,))
        for _ in tf.range(20):
            total = tf.tanh(total + weight * x)
        weight.assign(weight * 0.5)
        return total, weight + 0.0

    def three_steps():
        weight.assign(tf.ones((8,)))
        step = tf.function(training)
        return [t for _ in range(3) for t in outputs(step, tf.ones(8))]

    expected = three_steps()
    grappler_go.enable()
    np.testing.assert_allclose(three_steps(), expected, rtol=1e-5)
    assert loops_run() == 1


def test_the_guard_goes_back(monkeypatch):
    judged = guard.judge.judge
    monkeypatch.setattr(guard.judge, "judge", lambda base, own: judged(base, [10 * s for s in own]))
    expected = outputs(tf.function(counted), ROW)
    grappler_go.enable()
    step = tf.function(counted)
    for _ in range(guard.MOST_STEPS + 2):
        found = outputs(step, ROW)
    np.testing.assert_array_equal(found, expected)
    (report,) = [r for r in grappler_go.reports() if r.loops]
    assert report.outcome.endswith(guard.GONE_BACK)


def test_the_guard_lets_it_be(monkeypatch):
    judged = guard.judge.judge
    monkeypatch.setattr(guard.judge, "judge", lambda base, own: judged([10 * s for s in base], own))
    grappler_go.enable()
    step = tf.function(counted)
    for _ in range(guard.MOST_STEPS + 2):
        step(ROW)
    functions = guard._by_generation[guard.current().generation]
    assert list(functions.values())[-1].endswith(loop_regions.SUFFIX.encode())
    assert loops_run() == 1
    grappler_go.clear_reports()
    step(ROW)
    assert not grappler_go.reports()  # it is the same function that runs


def test_what_tensorflow_refuses_changes_nothing(monkeypatch):
    def refuse(*_):
        raise ValueError("not this one")

    monkeypatch.setattr(loops._Search, "run", refuse)
    expected = outputs(tf.function(counted), ROW)
    grappler_go.enable()
    np.testing.assert_array_equal(outputs(tf.function(counted), ROW), expected)
    assert loops_run() == 0
