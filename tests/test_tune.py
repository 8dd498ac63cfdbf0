"""grappler_go.tune: who wins, what is put back, what is refused."""

import helpers
import numpy as np
import pytest
import tensorflow as tf

import grappler_go
from grappler_go import plan_cache
from grappler_go.tuning import api, candidates, judge, race, state, target

pytestmark = pytest.mark.usefixtures("pass_off")


# ---------------------------------------------------------------- what may be tuned


def check_refused(fn, *args, match):
    with pytest.raises(target.CannotTuneError, match=match):
        grappler_go.tune(fn, *args, budget_s=1, plan_cache=False)


def test_what_writes_files_is_refused_before_it_runs(tmp_path):
    file = tmp_path / "written"

    @tf.function
    def step(x):
        tf.io.write_file(str(file), tf.strings.as_string(x))
        return x

    check_refused(step, tf.constant(1.0), match="WriteFile")
    assert not file.exists()


def test_what_calls_python_or_prints_is_refused():
    calls = []
    check_refused(
        lambda x: tf.py_function(lambda t: calls.append(1) or t, [x], tf.float32),
        tf.constant(1.0),
        match="EagerPyFunc",
    )
    assert not calls

    def inner(x):
        tf.print("hello")
        return x

    nested = tf.function(inner)
    check_refused(tf.function(lambda x: nested(x) + 1), tf.constant(1.0), match="PrintV2")


def test_what_takes_from_an_iterator_is_refused():
    iterator = iter(tf.data.Dataset.range(3))
    check_refused(tf.function(lambda: next(iterator)), match="IteratorGetNext")
    assert int(next(iterator)) == 0


def test_what_xla_compiles_whole_is_refused():
    check_refused(tf.function(tf.tanh, jit_compile=True), tf.constant(1.0), match="jit_compile")


def test_what_is_no_function_is_refused():
    check_refused(3, match="expected a function")


def test_random_ops_are_told_of():
    @tf.function
    def step(x):
        return x + tf.random.uniform([4])

    made = target.target_of(step, (tf.ones(4),))
    assert "RandomUniform" in made.notes[0]
    generator = tf.random.Generator.from_seed(1)
    made = target.target_of(tf.function(lambda: generator.uniform([4])), ())
    assert not made.notes


def test_a_budget_makes_sense():
    with pytest.raises(ValueError, match="budget_s"):
        grappler_go.tune(tf.tanh, tf.constant(1.0), budget_s=0)


def test_nothing_can_be_tuned_while_the_pass_is_killed(monkeypatch):
    monkeypatch.setenv("GRAPPLER_GO", "0")
    with pytest.raises(RuntimeError, match="GRAPPLER_GO=0"):
        grappler_go.tune(tf.tanh, tf.constant(1.0))


# ---------------------------------------------------------------- whole runs


class Network(tf.Module):
    """Two layers, momentum, a generator of random numbers, a counter."""

    def __init__(self):
        rng = np.random.default_rng(5)
        self.w = tf.Variable(rng.normal(size=(64, 64)).astype(np.float32) / 8)
        self.v = tf.Variable(rng.normal(size=(64, 64)).astype(np.float32) / 8)
        self.generator = tf.random.Generator.from_seed(3)
        self.count = tf.Variable(0, dtype=tf.int64)
        self.optimizer = tf.keras.optimizers.Adam(0.01)

    @tf.function
    def train(self, x):
        self.count.assign_add(1)
        with tf.GradientTape() as tape:
            h = tf.tanh(x @ self.w) * 0.5 + tf.sigmoid(x @ self.v) * 0.25
            h = h + 0.01 * self.generator.normal(tf.shape(h))
            loss = tf.reduce_mean(tf.square(h - x)) + tf.reduce_sum(tf.square(self.w)) * 1e-4
        variables = [self.w, self.v]
        self.optimizer.apply(tape.gradient(loss, variables), variables)
        return loss


X = tf.constant(np.random.default_rng(6).normal(size=(32, 64)).astype(np.float32))


def values(variables):
    return [variable.numpy().copy() for variable in variables]


def test_a_training_step_is_as_if_it_had_never_run():
    network = Network()
    network.train.get_concrete_function(X)
    variables = [*network.variables, *network.optimizer.variables]
    before = values(variables)
    tuned = grappler_go.tune(network.train, X, budget_s=8, plan_cache=False)
    for was, now in zip(before, values(variables), strict=True):
        np.testing.assert_array_equal(was, np.asarray(now))
    assert tuned.table[0].state == "default"
    assert len(tuned.table) > 1, tuned
    assert tuned.verdict in ("plan", "default", "undecided")
    assert not grappler_go.is_enabled()


def test_the_default_is_without_updates_by_kernels():
    network = Network()
    grappler_go.tune(network.train, X, budget_s=8, plan_cache=False)
    idle = [r for r in grappler_go.reports() if "decides_nothing" in r.policy]
    assert idle
    assert not any(report.updates for report in idle)
    assert any(report.updates for report in helpers.applied_reports())


def test_variables_made_by_the_first_trace_are_put_back_too():
    network = Network()
    grappler_go.tune(network.train, X, budget_s=3, plan_cache=False)
    assert int(network.count) == 0
    assert int(network.optimizer.iterations) == 0
    momenta = [v for v in network.optimizer.variables if v.shape.rank == 2]
    assert momenta
    assert all(not np.any(np.asarray(m)) for m in momenta)


def test_one_that_raises_in_the_middle_raises_and_is_put_back():
    count = tf.Variable(0)
    weights = tf.Variable(tf.ones([8, 8]))

    @tf.function
    def step(x):
        with tf.control_dependencies([count.assign_add(1)]):
            check = tf.debugging.assert_less(count, 7)
        with tf.control_dependencies([check]):
            weights.assign(tf.tanh(weights) * 0.5)
            return tf.reduce_sum(tf.sin(x) * weights)

    with pytest.raises(tf.errors.InvalidArgumentError):
        grappler_go.tune(step, tf.ones([8, 8]), budget_s=600, plan_cache=False)
    assert int(count) == 0
    np.testing.assert_array_equal(weights.numpy(), np.ones([8, 8]))
    assert not grappler_go.is_enabled()


def chain(x):
    """Element-wise ops enough for the pass to look at."""
    for _ in range(8):
        x = tf.tanh(x * 0.9 + 0.1) - tf.sigmoid(x)
    return x


def test_a_budget_too_short_for_one_compilation_writes_nothing(tmp_path):
    tuned = grappler_go.tune(chain, tf.ones([64, 64]), budget_s=1e-3, plan_cache=tmp_path)
    assert tuned.verdict == "undecided"
    assert tuned.best == "TensorFlow's default"
    assert any("too short" in note for note in tuned.notes)
    assert {row.state for row in tuned.table[1:]} == {"skipped"}
    assert not list(tmp_path.iterdir())


def test_a_program_whose_shapes_change_at_each_call():
    length = tf.Variable(1)

    @tf.function
    def step(x):
        length.assign_add(1)
        return tf.reduce_sum(chain(x[: length % 50]))

    tuned = grappler_go.tune(step, tf.ones([64, 8]), budget_s=3, plan_cache=False)
    assert tuned.verdict in ("default", "undecided", "plan")
    # What has no known shape is not compiled, so there is no compilation for each.
    assert all(row.ops <= 8 for row in tuned.table)
    assert int(length) == 1


def believe(monkeypatch, faster):
    """Whatever the clock says: the judge finds that. (Rounds are counted, so a long budget
    is not used up; on a busy machine it is needed.) Nor does the clock end a plan early."""
    monkeypatch.setattr(race, "_HOPELESS", float("inf"))
    monkeypatch.setattr(
        race.judge, "judge", lambda *_, **__: judge.Verdict(1.5, 1.4, 1.6, 9, faster, False)
    )


def test_a_winner_is_used_by_later_processes_without_a_search(tmp_path, monkeypatch):
    believe(monkeypatch, faster=True)
    x = tf.ones([64, 64])
    tuned = grappler_go.tune(chain, x, budget_s=600, plan_cache=tmp_path)
    assert tuned.verdict == "plan", tuned
    assert tuned.plans
    assert len(tuned.cached) == 1
    entry = plan_cache.read(tuned.cached[0])
    assert entry.verdict == "plan"
    assert entry.measured["candidate"] == tuned.best
    assert entry.used_here()
    grappler_go.clear_reports()
    # Here, and in another process.
    with grappler_go.scope(plan_cache=tmp_path):
        _, nodes = helpers.executed(tf.function(chain), x)
    assert helpers.count(nodes, "_XlaRun") == helpers.applied_reports()[0].groups
    assert helpers.applied_reports()[0].policy == f"tuned: {tuned.best}"
    said = helpers.run_python(
        "import test_tune, grappler_go, tensorflow as tf\n"
        "grappler_go.enable()\n"
        "tf.function(test_tune.chain)(tf.ones([64, 64]))\n"
        "print(grappler_go.last_report())",
        env={"GRAPPLER_GO_PLANS": str(tmp_path)},
    ).stdout
    assert "applied" in said
    assert "plan measured at" in said


def test_where_the_default_is_best_later_processes_leave_it_alone(tmp_path, monkeypatch):
    believe(monkeypatch, faster=False)
    x = tf.ones([64, 64])
    tuned = grappler_go.tune(chain, x, budget_s=600, plan_cache=tmp_path)
    assert tuned.verdict == "default"
    assert plan_cache.read(tuned.cached[0]).verdict == "default"
    grappler_go.clear_reports()
    with grappler_go.scope(plan_cache=tmp_path, min_gain=0.0):
        tf.function(chain)(x)
    assert "TensorFlow's default is best" in helpers.outcomes()


def test_a_function_that_was_optimised_before_is_optimised_anew(tmp_path, monkeypatch):
    """The same settings, and yet another plan."""
    believe(monkeypatch, faster=True)
    x = tf.ones([64, 64])
    function = tf.function(chain)
    grappler_go.enable(plan_cache=tmp_path, min_gain=0.99)
    function(x)
    grappler_go.tune(function, x, budget_s=600, plan_cache=tmp_path)
    assert grappler_go.is_enabled()
    grappler_go.clear_reports()
    function(x)
    assert helpers.applied_reports(), helpers.outcomes()


def test_a_cache_that_cannot_be_written_is_said(tmp_path, monkeypatch):
    believe(monkeypatch, faster=True)
    file = tmp_path / "a_file"
    file.write_text("")
    tuned = grappler_go.tune(chain, tf.ones([64, 64]), budget_s=600, plan_cache=file / "plans")
    assert tuned.verdict == "plan"
    assert not tuned.cached
    assert any("no plan cache can be written" in note for note in tuned.notes)


def test_methods_of_modules_concrete_functions_and_plain_functions():
    class Module(tf.Module):
        @tf.function
        def __call__(self, x):
            return chain(x)

    x = tf.ones([16, 16])
    concrete = tf.function(chain).get_concrete_function(x)
    for fn in (Module().__call__, concrete, chain):
        tuned = grappler_go.tune(fn, x, budget_s=2, plan_cache=False)
        assert tuned.table[0].rounds >= 0
        assert tuned.graphs >= 1


def keras_model(jit_compile=False):
    layer = tf.keras.layers
    model = tf.keras.Sequential(
        [tf.keras.Input((16,), batch_size=8), layer.Dense(16, "gelu"), layer.Dense(4)]
    )
    model.compile("adam", "mse", jit_compile=jit_compile)
    return model


def test_a_keras_model_is_tuned_as_fit_runs_it(tmp_path, monkeypatch):
    believe(monkeypatch, faster=False)
    model = keras_model()
    x, y = tf.ones([8, 16]), tf.ones([8, 4])
    before = values(model.variables)
    dataset = tf.data.Dataset.from_tensors((x, y)).repeat(4)
    tuned = grappler_go.tune(model, dataset, budget_s=600, plan_cache=tmp_path)
    assert tuned.cached
    for was, now in zip(before, values(model.variables), strict=False):
        np.testing.assert_array_equal(was, now)
    assert int(model.optimizer.iterations) == 0
    grappler_go.clear_reports()
    with grappler_go.scope(plan_cache=tmp_path):
        model.fit(dataset, verbose=0, shuffle=False)
    assert "TensorFlow's default is best" in helpers.outcomes()


def test_a_keras_model_that_xla_compiles_is_refused():
    check_refused(keras_model(True), tf.ones([8, 16]), tf.ones([8, 4]), match="jit_compile=False")


def test_predict_of_a_keras_model():
    tuned = grappler_go.tune(keras_model(), tf.ones([8, 16]), budget_s=2, plan_cache=False)
    assert "predict" in tuned.name


# ---------------------------------------------------------------- parts


def test_every_candidate_fits_its_graph_and_is_made_once():
    network = Network()
    graphs = grappler_go.capture(network.train, X)
    graph = graphs[0].op_graph()
    seen = set()
    for one in candidates.candidates(graphs):
        plan = one.plans[graph.fingerprint]
        plan.validate(graph)
        assert plan.policy == f"tuned: {one.name}"
        seen.add(None if plan.fusion_group is None else plan.fusion_group.tobytes())
        if one.name == "updates by kernels, nothing else":
            assert plan.empty
            continue
        assert one.num_groups >= 1
        assert one.compile_s > 0
    assert None in seen
    assert len(seen) == len(list(candidates.candidates(graphs))) >= 2


def test_products_stay_outside_where_the_candidate_says_so():
    network = Network()
    graphs = grappler_go.capture(network.train, X)
    graph = graphs[0].op_graph()
    (one,) = [c for c in candidates.candidates(graphs) if "products" in c.name]
    groups = one.plans[graph.fingerprint].fusion_group
    assert all(g < 0 for op, g in zip(graph.ops, groups, strict=True) if "MatMul" in op)
    assert (groups >= 0).any()


def test_variables_are_copied_not_shared():
    variable = tf.Variable(tf.ones([1000]))
    kept = state.Variables()
    for _ in range(3):
        tf.function(lambda: variable.assign_sub(tf.ones([1000])), jit_compile=True)()
        variable.assign_add(tf.ones([1000]) * 5)
        kept.restore()
        np.testing.assert_array_equal(variable.numpy(), np.ones([1000]))
    assert kept.num_bytes >= 4000


def test_what_was_found_is_plain_values():
    row = api.Row("default", 0, 0, 1.0, 2.0, 1.0, 3, "default", "")
    tuned = api.Tuned("f", "plan", "all", 1.5, 1.4, 1.6, (row,), 1, 10.0, 2.0)
    assert tuned.to_dict()["table"][0]["step_ms"] == 2.0
    assert "1.50x" in str(tuned)
