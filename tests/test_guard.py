"""enable(guard=True): the first steps are timed, and nothing of the program is lost."""

import itertools
from concurrent import futures

import helpers
import numpy as np
import pytest
import tensorflow as tf
from helpers import FORCED, executed, fuse
from tensorflow.core.protobuf import config_pb2, rewriter_config_pb2
from tensorflow.python.eager import context, execute

import grappler_go
from grappler_go import guard
from grappler_go import report as report_lib

pytestmark = pytest.mark.usefixtures("pass_off")

_MOST_STEPS = guard.MOST_STEPS


def compilable(name, op):
    return 0 if op in ("Tanh", "Mul", "AddV2", "Sub", "Sigmoid") else None


POLICY = fuse(compilable)


class Clock:
    """Steps take as long as is said here, whatever they do."""

    def __init__(self, monkeypatch, planned_s, original_s):
        self.now, self.turns = 0.0, []
        self._is_end = False
        seconds = {True: planned_s, False: original_s}
        whose_turn = guard._Trial.next_is_planned

        def next_is_planned(trial):
            self.turns.append(whose_turn(trial))
            return self.turns[-1]

        def perf_counter():
            if self._is_end:
                self.now += seconds[self.turns[-1]]
            self._is_end = not self._is_end
            return self.now

        monkeypatch.setattr(guard._Trial, "next_is_planned", next_is_planned)
        monkeypatch.setattr(guard.time, "perf_counter", perf_counter)


def make_step():
    """A function of a dozen ops that counts how often it ran, and its counter."""
    count = tf.Variable(0)

    @tf.function
    def step(x):
        count.assign_add(1)
        for _ in range(5):
            x = tf.tanh(x * 0.9 + 0.1) - tf.sigmoid(x)
        return x

    return step, count


X = tf.ones([8, 8])


def enable(**more):
    grappler_go.enable(POLICY, **FORCED, guard=True, **more)


def rewrites_of_next(step, x):
    """The options of graph rewrites that the next call asks TensorFlow for."""
    seen = []
    real = execute.execute

    def spy(*args, **kwargs):
        seen.append(context.context().function_call_options.config_proto_serialized)
        return real(*args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(execute, "execute", spy)
        step(x)
    (options,) = set(seen)
    return config_pb2.ConfigProto.FromString(options).graph_options.rewrite_options


def runs_planned(step):
    """Whether the next call asks TensorFlow for what the plugin made of the function."""
    rewrites = rewrites_of_next(step, X)
    return rewrites.use_plugin_optimizers != rewriter_config_pb2.RewriterConfig.OFF


def reports():
    return [report for report in grappler_go.reports() if report.num_nodes > 10]


def test_one_that_is_slower_is_undone_and_said(monkeypatch):
    Clock(monkeypatch, planned_s=2.0, original_s=1.0)
    step, count = make_step()
    expected = step(X).numpy()
    count.assign(0)
    enable()
    for number in range(_MOST_STEPS):
        np.testing.assert_allclose(step(X).numpy(), expected, rtol=1e-5)
        assert int(count) == number + 1  # each step once
    (report,) = reports()
    assert not report.applied
    assert report.outcome == "slower than the original, which is used from here on"
    assert "0.50x" in report.notes[-1]
    # And so it stays: the original's options are what TensorFlow is called with.
    assert not runs_planned(step)


def test_one_that_is_faster_stays_and_costs_nothing_more(monkeypatch):
    clock = Clock(monkeypatch, planned_s=1.0, original_s=2.0)
    step, _ = make_step()
    enable()
    for _ in range(_MOST_STEPS):
        step(X)
    timed = len(clock.turns)
    assert timed < _MOST_STEPS
    for _ in range(5):
        step(X)
    assert len(clock.turns) == timed
    (report,) = reports()
    assert report.applied
    assert report.outcome == "applied"
    assert "2.00x" in report.notes[-1]
    assert runs_planned(step)


def test_equal_stays_after_a_few_steps(monkeypatch):
    clock = Clock(monkeypatch, planned_s=1.0, original_s=1.0)
    step, _ = make_step()
    enable()
    for _ in range(2 * _MOST_STEPS):
        step(X)
    assert len(clock.turns) == _MOST_STEPS - 1  # the very first is not timed
    assert reports()[0].applied
    assert runs_planned(step)


def test_turns_are_fair():
    trial = guard._Trial(guard._Way(b"step"), guard._Way(b"step"), [], planned=[None])
    turns = [True]
    for _ in range(11):
        turns.append(trial.next_is_planned())
        (trial.planned if turns[-1] else trial.original).append(1.0)
    pairs = list(zip(turns[::2], turns[1::2], strict=True))
    assert all(first != second for first, second in pairs)
    assert [first for first, _ in pairs] == [True, False] * 3


def test_a_step_that_raises_during_the_trial(monkeypatch):
    Clock(monkeypatch, planned_s=2.0, original_s=1.0)
    limit = tf.Variable(100.0)

    @tf.function
    def step(x):
        with tf.control_dependencies([tf.debugging.assert_less(tf.reduce_sum(x), limit)]):
            for _ in range(5):
                x = tf.tanh(x * 0.9 + 0.1) - tf.sigmoid(x)
        return x

    enable()
    options = context.context().function_call_options
    for number in range(2 * _MOST_STEPS):
        limit.assign(1.0 if number % 3 == 1 else 100.0)
        if number % 3 == 1:
            with pytest.raises(tf.errors.InvalidArgumentError):
                step(X)
        else:
            step(X)
        assert context.context().function_call_options is options
    assert "slower than the original" in helpers.outcomes()


def test_shapes_are_judged_each_on_its_own(monkeypatch):
    Clock(monkeypatch, planned_s=2.0, original_s=1.0)
    step, _ = make_step()
    enable()
    for _ in range(_MOST_STEPS):
        step(tf.ones([8, 8]))
    step(tf.ones([4, 4]))
    assert [report.applied for report in reports()] == [False, True]


def test_a_function_that_changes_shape_at_every_call_runs():
    step, count = make_step()
    enable()
    for size in range(1, 4):
        assert step(tf.ones([size, 2])).shape == (size, 2)
    assert int(count) == 3


def test_functions_that_were_left_alone_are_not_timed(monkeypatch):
    clock = Clock(monkeypatch, planned_s=2.0, original_s=1.0)
    function = tf.function(tf.nn.relu)
    enable()
    for _ in range(5):
        function(X)
    assert not clock.turns


def test_memory_bought_with_time_is_not_undone():
    from grappler_go import native

    step, _ = make_step()
    core = native.core()
    found = core.reports

    def recomputed(*after):
        return [{**report, "recomputed": 3} for report in found(*after)]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(core, "reports", recomputed)
        # A policy of its own, and so no functions of other tests.
        grappler_go.enable(fuse(compilable), **FORCED, guard=True)
        step(X)
    functions = guard._by_generation[guard.current().generation]
    assert list(functions.values()) == list(functions)


def test_gradients_and_keras_go_on_as_ever(monkeypatch):
    Clock(monkeypatch, planned_s=2.0, original_s=1.0)
    layer = tf.keras.layers

    def losses():
        tf.keras.utils.set_random_seed(3)
        model = tf.keras.Sequential([tf.keras.Input((8,), batch_size=8), layer.Dense(8, "gelu")])
        model.compile("adam", "mse", jit_compile=False)
        data = tf.data.Dataset.from_tensors((X, X)).repeat(30)
        return model.fit(data, epochs=2, verbose=0, shuffle=False).history["loss"]

    expected = losses()
    enable()
    np.testing.assert_allclose(losses(), expected, rtol=1e-4)
    weight = tf.Variable(2.0)
    function = tf.function(lambda x: tf.reduce_sum(tf.tanh(x * weight) * 0.5 + 0.1))
    for _ in range(_MOST_STEPS):
        with tf.GradientTape() as tape:
            result = function(X)
        assert float(tape.gradient(result, weight)) == pytest.approx(
            32 / np.cosh(2.0) ** 2, rel=1e-4
        )


def test_disable_and_scope_put_tensorflows_own_back():
    ctx = context.context()
    enable()
    assert "call_function" in vars(ctx)
    with grappler_go.scope(POLICY):
        assert "call_function" not in vars(ctx)
    assert "call_function" in vars(ctx)
    grappler_go.enable(POLICY)
    assert "call_function" not in vars(ctx)
    enable()
    grappler_go.disable()
    assert "call_function" not in vars(ctx)
    assert ctx.call_function.__func__ is type(ctx).call_function


def test_what_was_judged_is_not_judged_again(monkeypatch):
    clock = Clock(monkeypatch, planned_s=2.0, original_s=1.0)
    step, _ = make_step()
    enable()
    for _ in range(_MOST_STEPS):
        step(X)
    timed = len(clock.turns)
    grappler_go.disable()
    step(X)
    enable()
    step(X)
    assert len(clock.turns) == timed
    assert not runs_planned(step)


def test_the_plan_is_executed_in_its_turns(monkeypatch):
    """Not only asked for: TensorFlow's executors get its nodes."""
    Clock(monkeypatch, planned_s=1.0, original_s=2.0)
    step, _ = make_step()
    enable()
    _, first = executed(step, X)
    _, second = executed(step, X)
    assert helpers.count(first, "_XlaRun") == 1
    assert helpers.count(second, "_XlaRun") == 0


def enable_as_users_do(**more):
    """The default policy, and nothing said of the guard; graphs as small as these count."""
    grappler_go.enable(**FORCED, **more)


def elementwise(x):
    for _ in range(3):
        x = tf.exp(-x * x) * 0.9 + x / (1.0 + tf.abs(x))
    return x


LARGE = tf.ones([512, 512])


def test_by_itself_it_guards_the_default_policy_alone():
    ctx = context.context()
    enable_as_users_do()
    assert "call_function" in vars(ctx)
    enable_as_users_do(guard=False)
    assert "call_function" not in vars(ctx)
    grappler_go.enable(POLICY, **FORCED)
    assert "call_function" not in vars(ctx)


@pytest.mark.parametrize(
    ("planned_s", "outcome"),
    [
        (2.0, "slower than the original, which is used from here on"),
        (1.0, "no faster than the original, which is used from here on"),
        (0.5, "applied"),
    ],
)
def test_by_itself_it_keeps_only_what_gains(monkeypatch, planned_s, outcome):
    Clock(monkeypatch, planned_s=planned_s, original_s=1.0)
    step = tf.function(elementwise)
    enable_as_users_do()
    for _ in range(2 * _MOST_STEPS):
        step(LARGE)
    assert reports()[-1].outcome == outcome
    assert not guard.is_undecided()


def test_it_is_undecided_while_it_times(monkeypatch):
    Clock(monkeypatch, planned_s=0.5, original_s=1.0)
    step = tf.function(elementwise)
    enable_as_users_do()
    assert not guard.is_undecided()
    step(LARGE)
    assert guard.is_undecided()


def draws(x):
    return elementwise(x) + tf.random.uniform([], seed=5)


def draws_in_a_loop(x):
    def body(number, sum_so_far):
        return number + 1, sum_so_far + tf.random.normal([], seed=5)

    return elementwise(x) + tf.while_loop(lambda number, _: number < 3, body, [0, 0.0])[1]


@pytest.mark.parametrize("function", [draws, draws_in_a_loop])
def test_by_itself_it_times_nothing_with_a_generator_of_its_own(monkeypatch, function):
    clock = Clock(monkeypatch, planned_s=2.0, original_s=1.0)
    step = tf.function(function, autograph=False)
    enable_as_users_do()
    drawn = [float(step(LARGE)[0, 0]) for _ in range(4)]
    assert reports()[-1].applied
    assert not clock.turns
    assert len(set(drawn)) == 4


def test_by_itself_it_times_what_draws_without_a_seed(monkeypatch):
    clock = Clock(monkeypatch, planned_s=0.5, original_s=1.0)
    monkeypatch.setattr(context.context(), "_seed", None)  # another test's
    step = tf.function(lambda x: elementwise(x) + tf.random.uniform([]))
    enable_as_users_do()
    drawn = [float(step(LARGE)[0, 0]) for _ in range(_MOST_STEPS + 2)]
    assert clock.turns
    assert len(set(drawn)) == len(drawn)


def test_by_itself_it_times_what_draws_from_a_variable(monkeypatch):
    clock = Clock(monkeypatch, planned_s=0.5, original_s=1.0)
    generator = tf.random.Generator.from_seed(1)
    step = tf.function(lambda x: elementwise(x) + generator.normal([]))
    enable_as_users_do()
    drawn = [float(step(LARGE)[0, 0]) for _ in range(4)]
    assert clock.turns
    assert len(set(drawn)) == 4


def test_by_itself_it_times_no_large_graph(monkeypatch):
    clock = Clock(monkeypatch, planned_s=2.0, original_s=1.0)
    monkeypatch.setattr(guard, "_MOST_NODES", 5)
    step = tf.function(elementwise)
    enable_as_users_do()
    step(LARGE)
    step(LARGE)
    assert reports()[-1].applied
    assert not clock.turns


def test_by_itself_it_times_no_plan_that_was_tuned(monkeypatch):
    from grappler_go import native

    clock = Clock(monkeypatch, planned_s=2.0, original_s=1.0)
    core = native.core()
    found = core.reports
    monkeypatch.setattr(
        core, "reports", lambda *after: [{**r, "policy": "tuned: all"} for r in found(*after)]
    )
    step = tf.function(elementwise)
    enable_as_users_do()
    step(LARGE)
    step(LARGE)
    assert not clock.turns


def test_a_function_that_cannot_be_looked_at_runs_and_is_not_timed(monkeypatch):
    def fails(ctx, name):
        raise tf.errors.NotFoundError(None, None, f"no {name}")

    clock = Clock(monkeypatch, planned_s=2.0, original_s=1.0)
    monkeypatch.setattr(guard.kernel_state, "is_kept_by", fails)
    step = tf.function(elementwise)
    expected = elementwise(LARGE)
    enable_as_users_do()
    for _ in range(3):
        np.testing.assert_allclose(step(LARGE), expected, rtol=1e-5)
    assert reports()[-1].applied
    assert not clock.turns


def test_reports_say_of_which_function_a_graph_is():
    weight = tf.Variable(2.0)

    @tf.function
    def my_step(x):
        return tf.reduce_sum(elementwise(x * weight))

    enable_as_users_do()
    grappler_go.clear_reports()
    with tf.GradientTape() as tape:
        result = my_step(LARGE)
    tape.gradient(result, weight)
    named = {report.function for report in reports()}
    assert named == {"my_step, forward", "my_step, backward"}
    grappler_go.clear_reports()
    my_step(LARGE)
    assert reports()[-1].function == "my_step"
    assert f"graph {reports()[-1].id} (my_step, " in str(reports()[-1])


def test_no_more_names_are_kept_than_reports(monkeypatch):
    monkeypatch.setattr(report_lib, "_functions", {})
    for number in range(1500):
        report_lib.add_function([number], f"__inference_step_{number}")
    assert sorted(report_lib._functions) == list(range(500, 1500))


def products(x):
    for _ in range(10):
        x = tf.tanh(tf.matmul(x, x) * 0.1)
    return x


SQUARE = tf.ones([256, 256]) / 256
_budgets_ms = itertools.count(5000)


def enable_hopefully(**more):
    """Compiling products is predicted to gain a twelfth, with hope a quarter. Settings that no
    other test has, and so none of its functions."""
    grappler_go.enable(**{**FORCED, "min_gain": 0.15, "budget_ms": next(_budgets_ms), **more})


def call_until_it_is_tried(step):
    """The nodes that TensorFlow executes in that call."""
    enable_hopefully()
    for _ in range(guard.CALLS_BEFORE_TRIAL):
        step(SQUARE)
    _, nodes = executed(step, SQUARE)
    return nodes


@pytest.mark.parametrize(
    ("planned_s", "outcome"),
    [
        (2.0, "slower than the original, which is used from here on"),
        (1.0, "no faster than the original, which is used from here on"),
        (0.5, "applied"),
    ],
)
def test_a_function_that_is_called_often_is_tried_with_a_plan(monkeypatch, planned_s, outcome):
    clock = Clock(monkeypatch, planned_s=planned_s, original_s=1.0)
    step = tf.function(products)
    expected = products(SQUARE)
    assert helpers.count(call_until_it_is_tried(step), "_XlaRun") == 1
    assert not clock.turns
    for _ in range(_MOST_STEPS + 1):
        np.testing.assert_allclose(step(SQUARE), expected, rtol=1e-5)
    assert not guard.is_waiting()
    assert not guard.is_undecided()
    waited, tried = reports()
    assert not waited.applied
    assert tried.outcome == outcome
    assert any(note.startswith("on trial: predicted gain") for note in tried.notes)
    options = context.context().function_call_options
    rewrites = rewrites_of_next(step, SQUARE)
    assert (rewrites.memory_optimizer_target_node_name_scope != "") == (outcome == "applied")
    assert context.context().function_call_options is options


def test_a_function_that_is_called_seldom_is_not_tried():
    step = tf.function(products)
    enable_hopefully()
    for _ in range(guard.CALLS_BEFORE_TRIAL):
        step(SQUARE)
    (report,) = reports()
    assert not report.applied
    assert guard.is_waiting()


def test_nothing_is_tried_of_which_no_plan_could_gain():
    step = tf.function(products)
    enable_hopefully(min_gain=0.9)
    for _ in range(guard.CALLS_BEFORE_TRIAL + 3):
        step(SQUARE)
    assert [report.applied for report in reports()] == [False, False]
    assert not guard.is_waiting()
    assert not guard.is_undecided()


def draws_products(x):
    return products(x) + tf.random.uniform([], seed=5)


@pytest.mark.parametrize(
    "settings", [{"guard": False}, {"guard": True}, {"policy": POLICY, "guard": True}]
)
def test_only_a_careful_guard_tries(settings):
    step = tf.function(products)
    enable_hopefully(**settings)
    step(SQUARE)
    assert not guard.is_waiting()


def test_nothing_is_tried_with_a_generator_of_its_own():
    step = tf.function(draws_products)
    enable_hopefully()
    step(SQUARE)
    assert not guard.is_waiting()


def test_nothing_large_is_tried(monkeypatch):
    monkeypatch.setattr(guard, "_MOST_NODES", 5)
    enable_hopefully()
    tf.function(products)(SQUARE)
    assert not guard.is_waiting()


def test_what_was_measured_to_be_best_left_is_not_tried(monkeypatch):
    from grappler_go import native

    core = native.core()
    found = core.reports
    monkeypatch.setattr(
        core, "reports", lambda *after: [{**r, "policy": "plan cache"} for r in found(*after)]
    )
    enable_hopefully()
    tf.function(products)(SQUARE)
    assert not guard.is_waiting()


def test_options_that_cannot_be_told_apart_try_nothing(monkeypatch):
    monkeypatch.setattr(guard, "_again", lambda options: None)
    enable_hopefully()
    tf.function(products)(SQUARE)
    assert not guard.is_waiting()


def test_threads_that_call_at_once_try_once():
    step = tf.function(products)
    enable_hopefully()
    step(SQUARE)
    with futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: step(SQUARE), range(4 * guard.CALLS_BEFORE_TRIAL)))
    assert len(reports()) == 2
