"""grappler_go.tune on functions with loops: which form wins, and that enable() keeps to it."""

import json
import math
import pathlib

import helpers
import pytest
import tensorflow as tf

import grappler_go
from grappler_go import guard, loop_keys, plan_cache
from grappler_go.tuning import judge, race

pytestmark = pytest.mark.usefixtures("pass_off", "own_functions")

X = tf.ones((8, 16))


@pytest.fixture
def own_functions(monkeypatch):
    """What the guard knows of functions is forgotten: other tests' guards decide on their own."""
    monkeypatch.setattr(guard, "_by_generation", {})


def chain(x):
    """Element-wise ops enough for the pass to look at."""
    for _ in range(8):
        x = tf.tanh(x * 0.9 + 0.1) - tf.sigmoid(x)
    return x


def recurrence(x):
    """A loop of small ops, and what can be planned behind it."""
    weight = tf.fill((16, 16), 0.1)
    _, x = tf.while_loop(
        lambda i, _: i < 20, lambda i, h: (i + 1, tf.tanh(h @ weight) * 0.9 + 0.1), (0, x)
    )
    return chain(x)


def only_a_loop(x):
    for _ in tf.range(20):
        x = tf.tanh(x) * 0.9 + 0.1
    return x


def winner_is(monkeypatch, wanted):
    """Whatever the clock says: the first whose name begins so is the fastest; "": none is."""
    monkeypatch.setattr(race, "_HOPELESS", math.inf)

    def ratio(runner):
        return 2.0 if wanted and runner.name.startswith(wanted) else 0.5

    monkeypatch.setattr(race.Runner, "ratio", property(ratio))
    verdict = judge.Verdict(1.5, 1.4, 1.6, 9, bool(wanted), False)
    monkeypatch.setattr(race.judge, "judge", lambda *_, **__: verdict)


def tuned_for(monkeypatch, folder, wanted, fn=recurrence):
    """Tuned, and from here on steps are timed as ever."""
    with monkeypatch.context() as patched:
        winner_is(patched, wanted)
        tuned = grappler_go.tune(fn, X, budget_s=600, plan_cache=folder)
    grappler_go.clear_reports()
    return tuned


def own_report():
    """Of the largest graph."""
    return max(grappler_go.reports(), key=lambda report: report.num_nodes)


def verdicts(paths):
    return sorted(plan_cache.read(path).verdict for path in paths)


def report_of_another_process(folder, fn):
    """Its outcome, plan, number of compiled loops, and whether the guard times it; functions
    have other numbers there."""
    source = (
        "import json, test_tune_loops as t, grappler_go, tensorflow as tf\n"
        "from grappler_go import guard\n"
        "for _ in range(3): tf.function(t.chain)(tf.ones(3))\n"
        "grappler_go.enable()\n"
        "grappler_go.clear_reports()\n"
        f"tf.function(t.{fn.__name__})(t.X)\n"
        "r = t.own_report()\n"
        "print(json.dumps([r.outcome, r.policy, r.loops, guard.is_undecided()]))"
    )
    said = helpers.run_python(source, env={"GRAPPLER_GO_PLANS": str(folder)}).stdout
    return json.loads(said.splitlines()[-1])


def test_both_forms_are_tried(tmp_path, monkeypatch):
    tuned = tuned_for(monkeypatch, tmp_path, "loops compiled; ")
    assert {row.loops for row in tuned.table} == {0, 1}
    assert tuned.table[0].loops == 0
    assert any(row.loops and row.groups for row in tuned.table)
    assert any(row.groups and not row.loops for row in tuned.table)
    assert {row.state for row in tuned.table} == {"default", "best", "slower"}


def test_each_form_runs_as_its_row_says(monkeypatch):
    winner_is(monkeypatch, "")
    tuned = grappler_go.tune(recurrence, X, budget_s=600, plan_cache=False)
    reports = grappler_go.reports()
    # A loop that TensorFlow runs is many nodes, one of XLA's is one.
    small = min(report.num_nodes for report in reports)
    nodes = {report.policy: report.num_nodes for report in reports if report.groups}
    for row in tuned.table:
        if row.groups:
            assert (nodes[f"plan:tuned: {row.name}"] == small) == bool(row.loops)
    idle = [r.num_nodes == small for r in reports if "decides_nothing" in r.policy]
    assert sorted(idle) == [False, True]  # the default, and loops alone
    # Nobody else takes turns.
    assert not any("guard:" in note for report in reports for note in report.notes)


def test_a_plan_with_loops_compiled_is_used_later(tmp_path, monkeypatch):
    tuned = tuned_for(monkeypatch, tmp_path, "loops compiled; ")
    assert tuned.loops == 1
    assert tuned.plans
    assert verdicts(tuned.cached) == ["loops", "plan"]
    expected = tf.function(recurrence)(X)
    grappler_go.clear_reports()
    with grappler_go.scope(plan_cache=tmp_path):
        found, nodes = helpers.executed(tf.function(recurrence), X)
        assert not guard.is_undecided()  # it was measured
    assert helpers.count(nodes, "NextIteration") == 0
    assert own_report().policy == f"tuned: {tuned.best}"
    assert own_report().loops == 1
    tf.debugging.assert_near(found, expected, rtol=1e-4)
    assert report_of_another_process(tmp_path, recurrence) == [
        "applied",
        f"tuned: {tuned.best}",
        1,
        False,
    ]


def test_loops_alone_may_be_best(tmp_path, monkeypatch):
    tuned = tuned_for(monkeypatch, tmp_path, "loops compiled, nothing else")
    assert tuned.verdict == "plan"
    assert not tuned.plans
    assert verdicts(tuned.cached) == ["default", "loops"]
    assert report_of_another_process(tmp_path, recurrence) == ["applied", "plan cache", 1, False]


def test_a_function_that_is_little_but_a_loop(tmp_path, monkeypatch):
    tuned = tuned_for(monkeypatch, tmp_path, "loops compiled, nothing else", only_a_loop)
    assert tuned.loops == 1
    assert "loops" in verdicts(tuned.cached)
    with grappler_go.scope(plan_cache=tmp_path):
        tf.function(only_a_loop)(X)
        assert not guard.is_undecided()
    assert own_report().loops == 1


@pytest.mark.parametrize("wanted", ["all", ""], ids=["a plan", "the default"])
def test_loops_that_are_better_left_are_left(tmp_path, monkeypatch, wanted):
    tuned = tuned_for(monkeypatch, tmp_path, wanted)
    assert tuned.loops == 0
    assert tuned.verdict == ("plan" if wanted else "default")
    assert verdicts(tuned.cached) == sorted(["no loops", tuned.verdict])
    with grappler_go.scope(plan_cache=tmp_path):
        _, nodes = helpers.executed(tf.function(recurrence), X)
        assert not guard.is_undecided()
    assert helpers.count(nodes, "NextIteration") > 0
    outcome, policy, loops, undecided = report_of_another_process(tmp_path, recurrence)
    assert (outcome == "applied") == bool(wanted)
    assert policy == (f"tuned: {tuned.best}" if wanted else "plan cache")
    assert not loops
    assert not undecided


def test_what_is_on_meanwhile_keeps_to_it(tmp_path, monkeypatch):
    """A function whose loops were compiled before, at the same settings."""
    function = tf.function(recurrence)
    grappler_go.enable(plan_cache=tmp_path)
    function(X)
    assert own_report().loops == 1
    tuned_for(monkeypatch, tmp_path, "", function)
    assert grappler_go.is_enabled()
    function(X)
    assert own_report().loops == 0


def test_a_later_verdict_replaces_the_earlier(tmp_path, monkeypatch):
    tuned_for(monkeypatch, tmp_path, "")
    tuned_for(monkeypatch, tmp_path, "loops compiled; ")
    with grappler_go.scope(plan_cache=tmp_path):
        tf.function(recurrence)(X)
    assert own_report().loops == 1


@pytest.mark.parametrize("damage", ["cut", "version", "verdict", "cores"])
def test_an_entry_that_cannot_be_used_is_passed_over(tmp_path, monkeypatch, damage):
    tuned = tuned_for(monkeypatch, tmp_path, "")
    (path,) = (p for p in tuned.cached if plan_cache.read(p).verdict == "no loops")
    values = json.loads(pathlib.Path(path).read_text())
    values["version"] = "9.0" if damage == "version" else values["version"]
    values["verdict"] = "maybe" if damage == "verdict" else values["verdict"]
    values["key"]["cores"] += damage == "cores"
    text = json.dumps(values)
    pathlib.Path(path).write_text(text[:40] if damage == "cut" else text)
    with grappler_go.scope(plan_cache=tmp_path):
        tf.function(recurrence)(X)
        assert guard.is_undecided()
    assert own_report().loops == 1


def test_a_cache_that_is_not_looked_at_says_nothing_on_loops(tmp_path, monkeypatch):
    tuned_for(monkeypatch, tmp_path, "")
    with grappler_go.scope(plan_cache=False):
        tf.function(recurrence)(X)
    assert own_report().loops == 1


def test_loops_that_do_not_fit_into_the_budget_are_not_begun(tmp_path):
    tuned = grappler_go.tune(recurrence, X, budget_s=1e-3, plan_cache=tmp_path)
    assert not any(row.loops for row in tuned.table)
    assert any("compiled loops were not tried" in note for note in tuned.notes)
    assert not any(report.loops for report in grappler_go.reports())


def test_other_loops_than_those_that_were_measured_are_timed(tmp_path, monkeypatch):
    tuned = tuned_for(monkeypatch, tmp_path, "loops compiled, nothing else", only_a_loop)
    (path,) = (p for p in tuned.cached if plan_cache.read(p).verdict == "loops")
    values = json.loads(pathlib.Path(path).read_text())
    values["measured"]["loops"] = 2  # with a larger budget
    pathlib.Path(path).write_text(json.dumps(values))
    with grappler_go.scope(plan_cache=tmp_path):
        tf.function(only_a_loop)(X)
        assert guard.is_undecided()


def test_a_function_without_loops_has_one_form(tmp_path, monkeypatch):
    tuned = tuned_for(monkeypatch, tmp_path, "", chain)
    assert not any(row.loops for row in tuned.table)
    assert verdicts(tuned.cached) == ["default"]


# ---------------------------------------------------------------- keys


def key(fn, *args):
    from tensorflow.python.eager import context

    concrete = tf.function(fn).get_concrete_function(*args)
    inputs = [*args, *concrete.captured_inputs]
    ctx = context.context()
    return loop_keys.key_of(ctx, ctx.get_function_def(concrete.function_def.signature.name), inputs)


def test_a_key_does_not_depend_on_names():
    @tf.custom_gradient
    def halved(x):
        return x * 0.5, lambda dy: dy

    def named(x):
        with tf.name_scope("in_a_scope"):
            return only_a_loop(x)

    def with_gradient(x):
        return halved(only_a_loop(x))

    assert key(named, X) == key(only_a_loop, X)
    # TensorFlow numbers them.
    assert key(with_gradient, X) == key(with_gradient, X)


def test_a_key_does_not_depend_on_numbers_or_settings():
    first = key(recurrence, X)
    tf.function(chain)(X)
    assert key(recurrence, X) == first
    nested = key(lambda x: tf.function(recurrence)(x) + 1.0, X)
    with grappler_go.scope():
        assert key(recurrence, X) == first
        assert key(lambda x: tf.function(recurrence)(x) + 1.0, X) == nested


def test_a_key_tells_apart_what_differs():
    narrow, wide = tf.Variable(tf.ones((16, 1))), tf.Variable(tf.ones((16, 2)))

    def scaled(by):
        def loop(x):
            for _ in tf.range(20):
                x = tf.tanh(x) * by
            return x

        return loop

    def read(variable):
        return lambda x: tf.reduce_sum(only_a_loop(x) @ variable)

    def swapped(x):
        y = only_a_loop(x)
        return x - y

    def unswapped(x):
        y = only_a_loop(x)
        return y - x

    keys = [
        key(only_a_loop, X),
        key(only_a_loop, X[:4]),
        key(scaled(0.5), X),
        key(scaled(0.25), X),  # inside the loop's body
        key(read(narrow), X),
        key(read(wide), X),
        key(swapped, X),
        key(unswapped, X),
        key(lambda x: tf.function(only_a_loop)(x) + 1.0, X),
        key(lambda x: tf.function(only_a_loop, jit_compile=True)(x) + 1.0, X),
    ]
    assert len(set(keys)) == len(keys)
