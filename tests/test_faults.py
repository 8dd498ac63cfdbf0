"""Whatever a policy, a plan or the surroundings do, the user's program runs on
with the same results."""

import pathlib
import shutil
import threading
import time

import helpers
import models
import numpy as np
import pytest
import tensorflow as tf
from helpers import FORCED, executed, fuse

import grappler_go

pytestmark = pytest.mark.usefixtures("pass_off")


def fuse_all(name, op):
    """Into one group what a group can hold in these tests' graphs."""
    compilable = ("AddV2", "Mul", "Tanh", "Relu", "MatMul", "_FusedMatMul", "Sum", "BiasAdd")
    return 0 if op in compilable else None


def make_function():
    """A traced-on-first-call function of a dozen ops, its input and its result."""
    w = tf.Variable(np.random.default_rng(3).normal(size=(8, 8)).astype(np.float32))

    @tf.function
    def function(x):
        for _ in range(3):
            x = tf.tanh(tf.nn.relu(tf.matmul(x, w)) * 0.5 + 0.1)
        return tf.reduce_sum(x, axis=1)

    x = tf.constant(np.random.default_rng(4).normal(size=(4, 8)).astype(np.float32))
    return function, x, function(x).numpy()


def check_left_alone(policy, *phrases, **settings):
    """The function runs unchanged under the policy, and a report says one of the
    phrases."""
    function, x, expected = make_function()
    with grappler_go.scope(policy, **{**FORCED, **settings}):
        got, nodes = executed(function, x)
    np.testing.assert_array_equal(got, expected)
    assert not helpers.applied_reports()
    assert helpers.count(nodes, "_XlaRun") == 0
    said = helpers.outcomes()
    assert any(phrase.lower() in said.lower() for phrase in phrases), said


def test_the_functions_used_here_are_changed_by_a_good_policy():
    function, x, expected = make_function()
    with grappler_go.scope(fuse(fuse_all), **FORCED):
        got, nodes = executed(function, x)
    assert helpers.applied_reports(), helpers.outcomes()
    assert helpers.count(nodes, "_XlaRun") == 1
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


# ---------------------------------------------------------------- bad policies


def test_a_policy_that_raises():
    def policy(_):
        raise ValueError("no idea what to do with this")

    check_left_alone(policy, "no idea what to do with this")


def test_a_policy_that_hangs_is_given_up_after_the_budget():
    release = threading.Event()

    def policy(_):
        release.wait(60)

    began = time.monotonic()
    try:
        check_left_alone(policy, "budget", "deadline", budget_ms=200)
        assert time.monotonic() - began < 20
    finally:
        release.set()


@pytest.mark.parametrize(
    ("name", "array", "phrase"),
    [
        ("fusion", lambda n, d: np.full(n, np.nan, np.float32), "nan"),
        ("fusion", lambda n, d: np.ones(n + 1, np.float32), "fusion"),
        ("fusion", lambda n, d: np.ones((n, 2), np.float32), "fusion"),
        ("device", lambda n, d: np.ones((n, d + 3), np.float32), "device"),
        ("device", lambda n, d: np.full((n, d), np.inf, np.float32), "device"),
        ("recompute", lambda n, d: np.ones(max(n - 1, 1), np.float32), "recompute"),
    ],
)
def test_logits_that_are_not_what_they_should_be(name, array, phrase):
    def policy(inp):
        return {name: array(len(inp.op_type), len(inp.device_features))}

    check_left_alone(policy, phrase)


@pytest.mark.parametrize(
    ("answer", "phrase"),
    [
        (42, "returned int"),
        ("fuse it all", "returned str"),
        ([1, 2], "returned list"),
        ({"fussion": np.ones(3)}, "fussion"),
    ],
)
def test_an_answer_of_another_kind(answer, phrase):
    check_left_alone(lambda _: answer, phrase)


def test_a_plan_with_a_device_that_does_not_exist():
    # TensorFlow ends the process when it meets one.
    policy = helpers.move("/job:localhost/replica:0/task:0/device:CPU:7", ("MatMul",))
    check_left_alone(policy, "CPU:7")


def test_a_plan_whose_order_is_a_cycle():
    def fill(plan, graph):
        first = graph.ops.index("MatMul")
        last = max(i for i, op in enumerate(graph.ops) if op == "MatMul")
        plan.order = [(last, first)]

    check_left_alone(helpers.planned(fill), "cycle")


def test_a_group_that_would_close_a_cycle():
    # a -> b -> c with a and c in one group and b outside.
    def group(name, op):
        return 0 if op in ("MatMul", "Tanh") else None

    function, x, expected = make_function()
    with grappler_go.scope(fuse(group), **FORCED):
        got = function(x)
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


def test_a_plan_for_another_graph():
    @tf.function
    def other(x):
        return tf.matmul(tf.tanh(x), x)

    graph = grappler_go.capture(other, tf.ones((3, 3)))[0].op_graph()
    plan = grappler_go.Plan(graph)
    plan.fusion_group = np.array(
        [0 if op in ("MatMul", "Tanh") else -1 for op in graph.ops], np.int32
    )
    check_left_alone(lambda _: plan, "another graph")


def test_a_plan_that_touches_what_may_not_be_touched():
    check_left_alone(fuse(lambda name, op: 0), "may not", "_Arg", "_Retval")


def test_a_random_op_is_never_cloned():
    @tf.function
    def function(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.reduce_sum(tf.tanh(x) * tf.random.uniform(tf.shape(x)))
        return tape.gradient(y, x)

    def fill(plan, graph):
        plan.recompute = np.array([op == "RandomUniform" for op in graph.ops], np.uint8)

    x = tf.ones((4, 4))
    with grappler_go.scope(helpers.planned(fill), **FORCED):
        _, nodes = executed(function, x)
    assert helpers.count(nodes, "RandomUniform") == 1
    assert not helpers.applied_reports()


# -------------------------------------------------------------- many programs


def test_two_threads_tracing_at_once():
    def work(seed, results):
        function, x, expected = make_function()
        results[seed] = bool(np.allclose(function(x + 0.0), expected, rtol=1e-4, atol=1e-5))

    results = {}
    with grappler_go.scope(fuse(fuse_all), **FORCED):
        threads = [threading.Thread(target=work, args=(i, results)) for i in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
    assert results == dict.fromkeys(range(6), True)


def test_functions_inside_a_dataset():
    w = tf.constant(np.eye(4, dtype=np.float32) * 2)

    def numbers():
        data = tf.data.Dataset.range(6).map(
            lambda i: tf.reduce_sum(tf.tanh(tf.matmul(w, w) * tf.cast(i, tf.float32)) + 1.0)
        )
        return [float(n) for n in data.filter(lambda n: n > 0.5).batch(2).unbatch()]

    expected = numbers()
    with grappler_go.scope(fuse(fuse_all), **FORCED):
        np.testing.assert_allclose(numbers(), expected, rtol=1e-5)


def control_flow(x):
    total = tf.zeros([])
    for i in tf.range(5):
        x = tf.cond(i % 2 == 0, lambda: tf.tanh(x) * 1.5, lambda: x + 0.25)  # noqa: B023
        total += tf.reduce_sum(x)
    return tf.nn.relu(tf.tanh(total) * 2.0 + 1.0) * total


def nested(x):
    inner = tf.function(lambda v: tf.tanh(v) @ v + 1.0)
    return tf.reduce_sum(inner(inner(x)) * 2.0)


def ragged(x):
    rows = tf.RaggedTensor.from_row_lengths(tf.reshape(x, [-1]), [3, 0, 5, 8])
    return tf.reduce_sum(tf.tanh(rows) * 2.0 + 1.0, axis=1)


def strings(x):
    text = tf.strings.as_string(tf.cast(x * 10.0, tf.int32))
    numbers = tf.strings.to_number(tf.strings.join([text, "5"], separator="."))
    return tf.reduce_sum(tf.tanh(numbers) + 1.0), tf.strings.reduce_join(text)


def higher_order(x):
    mapped = tf.map_fn(lambda row: tf.tanh(row) * 2.0 + 1.0, x)
    return tf.scan(lambda a, b: a * 0.5 + b, mapped), tf.vectorized_map(tf.tanh, x)


def dynamic_shapes(x):
    kept = tf.boolean_mask(x, x > 0.0)
    return tf.reduce_sum(tf.tanh(kept) * 2.0 + 1.0), tf.unique(tf.cast(kept, tf.int32)).y


def compile_all(inp):
    """Logits for compiling everything: what may not be is left out by the pass. (A
    plan that names one such op is refused as a whole.)"""
    ones = np.ones(len(inp.op_type), np.float32)
    return {"fusion": ones, "op_micros": 1000 * ones, "fused_micros": ones}


ALLOWED = {**FORCED, "advanced": {**FORCED["advanced"], "fuse_unknown_shapes": True}}


@pytest.mark.parametrize(
    "program",
    [control_flow, nested, ragged, strings, higher_order, dynamic_shapes],
    ids=lambda f: f.__name__,
)
@pytest.mark.parametrize("policy", [fuse(fuse_all), compile_all], ids=["plan", "logits"])
def test_programs_of_all_kinds_compute_the_same(program, policy):
    x = tf.constant(np.random.default_rng(5).normal(size=(4, 4)).astype(np.float32))
    expected = tf.nest.flatten(tf.function(program)(x))
    with grappler_go.scope(policy, **ALLOWED):
        got = tf.nest.flatten(tf.function(program)(x))
    if policy is compile_all:
        assert helpers.applied_reports(), helpers.outcomes()
    for want, have in zip(expected, got, strict=True):
        if want.dtype == tf.string:
            assert want.numpy() == have.numpy()
        else:
            np.testing.assert_allclose(have, want, rtol=1e-4, atol=1e-5)


def test_stateful_random_numbers_are_the_same_with_and_without():
    def draw():
        tf.random.set_seed(11)
        generator = tf.random.Generator.from_seed(5)

        @tf.function
        def function(x):
            noise = tf.random.normal(tf.shape(x)) + generator.normal([4, 4])
            return tf.tanh(x * 0.5 + noise) + 1.0

        return np.stack([function(tf.ones((4, 4))) for _ in range(3)])

    expected = draw()
    with grappler_go.scope(fuse(fuse_all), **FORCED):
        got = draw()
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)


def test_functions_that_return_nothing_or_do_nothing():
    state = tf.Variable(0.0)

    @tf.function
    def returns_nothing():
        state.assign_add(tf.tanh(1.0) * 2.0)

    @tf.function
    def does_nothing(x):
        return x

    with grappler_go.scope(fuse(fuse_all), **FORCED):
        assert returns_nothing() is None
        assert float(does_nothing(tf.constant(3.0))) == 3.0
    assert float(state) == pytest.approx(2 * np.tanh(1.0), rel=1e-5)


def test_side_effects_happen_in_order():
    log = tf.Variable(tf.zeros([0]), shape=[None])

    @tf.function
    def function(x):
        for value in (1.0, 2.0, 3.0):
            log.assign(tf.concat([log, [tf.tanh(x) * 0.0 + value]], 0))
        tf.debugging.assert_equal(tf.shape(log)[0] % 3, 0)

    with grappler_go.scope(fuse(fuse_all), **FORCED):
        function(tf.constant(1.0))
        function(tf.constant(1.0))
    np.testing.assert_allclose(log, [1, 2, 3, 1, 2, 3])


def test_an_error_of_the_program_is_still_raised():
    @tf.function
    def function(x):
        tf.debugging.assert_less(x, 1.0)
        return tf.tanh(x) * 2.0 + 1.0

    with grappler_go.scope(fuse(fuse_all), **FORCED), pytest.raises(tf.errors.InvalidArgumentError):
        function(tf.constant(3.0))


@pytest.mark.parametrize("name", models.ALL)
def test_a_model_computes_the_same(name):
    """Inference, three training steps and the variables after them."""

    def run():
        model = models.ALL[name]()
        infer, train = tf.function(model.infer), tf.function(model.train)
        result = infer(*model.inputs).numpy()
        losses = [float(train(*model.inputs)) for _ in range(3)]
        return result, losses, [v.numpy() for v in model.variables]

    def everything_allowed(name, op):
        return (
            0 if op in ("AddV2", "Mul", "Sub", "Tanh", "Exp", "MatMul", "Neg", "Square") else None
        )

    expected = run()
    with grappler_go.scope(fuse(everything_allowed), **FORCED):
        got = run()
    for want, have in zip(tf.nest.flatten(expected), tf.nest.flatten(got), strict=True):
        scale = max(float(np.max(np.abs(want))), 1e-3)
        np.testing.assert_allclose(have, want, rtol=1e-4, atol=1e-4 * scale)


# ----------------------------------------------------------------- surroundings


def test_a_record_folder_that_cannot_be_written(tmp_path):
    folder = tmp_path / "graphs"
    function, x, expected = make_function()
    with grappler_go.scope(fuse(fuse_all), record=folder, **FORCED):
        # Root may write anywhere: a file in the folder's place stops anyone.
        shutil.rmtree(folder)
        folder.write_text("not a folder")
        got = function(x)
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)
    assert helpers.applied_reports(), helpers.outcomes()
    assert folder.read_text() == "not a folder"


def test_nothing_happens_when_the_environment_says_no():
    source = """
import sys
import tensorflow as tf
import grappler_go, helpers
grappler_go.load()
asked = []
grappler_go.enable(lambda _: asked.append(1), **helpers.FORCED)
tf.config.optimizer.set_experimental_options({"use_plugin_optimizers": True})
@tf.function
def f(x):
    for _ in range(8): x = tf.tanh(x @ x)
    return x
f(tf.ones((4, 4)))
assert not asked and not grappler_go.is_enabled() and grappler_go.reports() == []
with grappler_go.scope(lambda _: asked.append(1)):
    f(tf.ones((5, 5)))
grappler_go.refresh(); grappler_go.disable(); grappler_go.clear_reports()
assert not asked
try:
    grappler_go.capture(f, tf.ones((4, 4)))
except RuntimeError as error:
    assert "GRAPPLER_GO=0" in str(error)
else:
    sys.exit("capture() said nothing")
"""
    helpers.run_python(source, env={"GRAPPLER_GO": "0"})


def test_a_library_that_tensorflow_loaded_already_does_not_see_the_pass_either():
    library = pathlib.Path(grappler_go.__file__).parent / "libgrappler_go.so"
    source = """
import tensorflow as tf
import grappler_go, helpers
from grappler_go import native
@tf.function
def f(x):
    for _ in range(8): x = tf.tanh(x @ x)
    return x
_, nodes = helpers.executed(f, tf.ones((4, 4)))
assert helpers.count(nodes, "_XlaRun") == 0
assert native.core().reports() == []
"""
    env = {"GRAPPLER_GO": "0", "TF_PLUGGABLE_DEVICE_LIBRARY_PATH": str(library)}
    helpers.run_python(source, env=env)
