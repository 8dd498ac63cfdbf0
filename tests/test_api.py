"""The package that users import."""

import dataclasses
import json
import pathlib
import subprocess
import sys

import helpers
import numpy as np
import pytest
import tensorflow as tf
from helpers import FORCED, Asked, X, executed, fuse, tanh_chain

import grappler_go

pytestmark = pytest.mark.usefixtures("pass_off")

SWITCH = "use_plugin_optimizers"


def elementwise(name, op):
    return 0 if op in ("Tanh", "Mul", "MatMul") else None


# ------------------------------------------------------------------ importing


def test_importing_the_package_does_not_import_tensorflow():
    source = (
        "import sys, grappler_go\n"
        "assert 'tensorflow' not in sys.modules\n"
        "assert grappler_go.__version__ and dir(grappler_go)\n"
        "grappler_go.disable()\n"
        "assert not grappler_go.is_enabled()\n"
        "assert 'tensorflow' not in sys.modules\n"
    )
    helpers.run_python(source)


def test_every_public_name_is_there_and_documented():
    for name in grappler_go.__all__:
        value = getattr(grappler_go, name)
        if callable(value):
            assert value.__doc__, name
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = grappler_go.no_such_name


# ------------------------------------------------------------------ switching


def test_enable_and_disable_reach_functions_that_are_traced_already():
    function = tanh_chain()
    function(X)
    grappler_go.enable(fuse(elementwise), **FORCED)
    assert grappler_go.is_enabled()
    _, nodes = executed(function, X)
    assert helpers.count(nodes, "_XlaRun") == 1, helpers.outcomes()
    grappler_go.disable()
    assert not grappler_go.is_enabled()
    grappler_go.clear_reports()
    function(X)
    tanh_chain()(X)
    assert grappler_go.reports() == []


def test_changed_settings_reach_functions_that_are_traced_already():
    function, first, second = tanh_chain(), Asked(), Asked()
    grappler_go.enable(first, **FORCED)
    function(X)
    assert first.times == 1
    grappler_go.enable(second, **FORCED)
    function(X)
    assert (first.times, second.times) == (1, 1)
    grappler_go.enable(second, **FORCED)  # the same: nothing to do again
    function(X)
    assert (first.times, second.times) == (1, 1)


def test_refresh_asks_a_policy_again():
    groups = {"wanted": None}

    def policy(policy_input):
        return fuse(lambda name, op: groups["wanted"] if op == "Tanh" else None)(policy_input)

    function = tanh_chain()
    grappler_go.enable(policy, **FORCED)
    _, nodes = executed(function, X)
    assert helpers.count(nodes, "_XlaRun") == 0
    groups["wanted"] = 0
    grappler_go.refresh()
    executed(function, X)
    assert len(grappler_go.reports()) == 2


def test_a_scope_puts_back_what_was_before():
    before = tf.config.optimizer.get_experimental_options()
    outer, inner = Asked(), Asked()
    function = tanh_chain()
    with grappler_go.scope(outer, **FORCED):
        function(X)
        with grappler_go.scope(inner, **FORCED):
            function(X)
        grappler_go.clear_reports()
        tanh_chain(11)(X)
    assert (outer.times, inner.times) == (2, 1)
    assert not grappler_go.is_enabled()
    assert tf.config.optimizer.get_experimental_options() == before
    with pytest.raises(ZeroDivisionError), grappler_go.scope(inner, **FORCED):
        _ = 1 / 0
    assert not grappler_go.is_enabled()


def test_options_of_the_user_are_kept():
    set_options = tf.config.optimizer.set_experimental_options
    set_options({"remapping": False, "min_graph_nodes": 40})
    try:
        grappler_go.enable(Asked(), **FORCED)
        options = tf.config.optimizer.get_experimental_options()
        assert options["remapping"] is False
        assert options["min_graph_nodes"] == 40
        grappler_go.disable()
        options = tf.config.optimizer.get_experimental_options()
        assert options["remapping"] is False
        assert options["min_graph_nodes"] == 40
    finally:
        set_options({"remapping": None, "min_graph_nodes": None})


TENSORFLOWS_SWITCH = """
import tensorflow as tf
import grappler_go
def chain(n):
    @tf.function
    def f(x):
        for _ in range(n): x = tf.tanh(tf.matmul(x, x) * 0.1)
        return x
    return f
x, f = tf.ones((6, 6)), chain(20)
grappler_go.load()
grappler_go.load()
f(x)
assert grappler_go.reports() == [], grappler_go.reports()
assert not grappler_go.is_enabled()
switch = tf.config.optimizer.set_experimental_options
switch({"use_plugin_optimizers": True})
assert grappler_go.is_enabled()
f(x)
assert len(grappler_go.reports()) == 1
assert grappler_go.last_report().policy
switch({"use_plugin_optimizers": False})
chain(21)(x)
assert len(grappler_go.reports()) == 1
"""


def test_tensorflows_own_switch_works_after_load():
    helpers.run_python(TENSORFLOWS_SWITCH)


def test_loading_keeps_the_devices_that_the_program_chose():
    source = """
import tensorflow as tf
import grappler_go
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 3)
grappler_go.enable(lambda _: None)
assert len(tf.config.list_logical_devices("CPU")) == 3
assert len(grappler_go.local_machine().devices) == 3
"""
    helpers.run_python(source)


def test_another_plugin_for_the_cpu_is_named(tmp_path):
    source = tmp_path / "other.cc"
    source.write_text(
        '#include "tensorflow/c/experimental/grappler/grappler.h"\n'
        'extern "C" void TF_InitGraph(TP_OptimizerRegistrationParams* p, TF_Status* s) {\n'
        "  p->struct_size = TP_OPTIMIZER_REGISTRATION_PARAMS_STRUCT_SIZE;\n"
        "  p->optimizer_configs->struct_size = TP_OPTIMIZER_CONFIGS_STRUCT_SIZE;\n"
        "  p->optimizer->struct_size = TP_OPTIMIZER_STRUCT_SIZE;\n"
        '  p->device_type = "CPU";\n'
        "  p->optimizer->optimize_func = [](void*, const TF_Buffer*, const TF_GrapplerItem*,\n"
        '      TF_Buffer*, TF_Status* status) { TF_SetStatus(status, TF_ABORTED, ""); };\n'
        '  TF_SetStatus(s, TF_OK, "");\n}\n'
    )
    library = tmp_path / "libsomebody_else.so"
    wheel = pathlib.Path(tf.sysconfig.get_lib())
    libraries = ["-l:libtensorflow_cc.so.2", "-l:libtensorflow_framework.so.2"]
    flags = ["-std=c++17", "-shared", "-fPIC", f"-I{tf.sysconfig.get_include()}", f"-L{wheel}"]
    subprocess.run(
        ["g++", *flags, str(source), "-o", str(library), *libraries],
        check=True,
    )
    script = """
import sys
import tensorflow as tf
from tensorflow.python.framework import load_library
load_library.load_pluggable_device_library(sys.argv[1])
import grappler_go
try:
    grappler_go.enable(lambda _: None)
except RuntimeError as error:
    assert "libsomebody_else.so" in str(error), error
else:
    sys.exit("the other plugin went unnoticed")
print(float(tf.function(lambda x: tf.reduce_sum(x))(tf.ones(3))))
"""
    assert helpers.run_python(script, str(library)).stdout.strip().endswith("3.0")


def test_the_plugin_that_the_environment_loaded_is_used():
    library = pathlib.Path(grappler_go.__file__).parent / "libgrappler_go.so"
    source = """
import tensorflow as tf
import grappler_go, helpers
grappler_go.enable(lambda _: None, **helpers.FORCED)
@tf.function
def f(x):
    for _ in range(20): x = tf.tanh(x @ x)
    return x
f(tf.ones((4, 4)))
assert len(grappler_go.reports()) == 1
"""
    helpers.run_python(source, env={"TF_PLUGGABLE_DEVICE_LIBRARY_PATH": str(library)})
    helpers.run_python(
        source, env={"TF_PLUGGABLE_DEVICE_LIBRARY_PATH": str(library), "GRAPPLER_GO": "1"}
    )


# -------------------------------------------------------------------- reports


def test_reports_tell_what_happened_and_why():
    with grappler_go.scope(fuse(elementwise), **FORCED):
        tanh_chain()(X)
    report = grappler_go.last_report()
    assert report is not None
    assert report.applied
    assert report.groups == 1
    assert report.grouped_ops >= 20
    assert report.num_nodes > 20
    text = str(report)
    assert "1 group" in text
    assert "\n" not in text
    assert json.loads(json.dumps(report.to_dict()))["groups"] == 1
    grappler_go.clear_reports()
    assert grappler_go.last_report() is None
    with grappler_go.scope(Asked(), min_gain=0.5):
        tanh_chain()(X)
    report = grappler_go.last_report()
    assert not report.applied
    assert report.outcome
    assert report.outcome in str(report)


def test_a_report_says_gain_and_time():
    report = grappler_go.Report.from_dict(
        {
            "id": 3,
            "fetches": ["loss"],
            "num_nodes": 1243,
            "applied": True,
            "outcome": "applied",
            "groups": 2,
            "grouped_ops": 310,
            "moved": 1,
            "recomputed": 4,
            "ordered": 1,
            "micros_before": 41800.0,
            "micros_after": 26800.0,
            "peak_bytes_before": 2_000_000,
            "peak_bytes_after": 1_000_000,
            "timing_ms": {"parse": 1.0, "policy": 2.0},
            "of a newer version": 1,
        }
    )
    assert str(report) == (
        "graph 3 (loss, 1,243 nodes): applied: 310 ops in 2 groups, 1 op moved, "
        "4 ops recomputed, 1 order edge, predicted 41.8 -> 26.8 ms a step, "
        "peak 2 -> 1 MB, in 3 ms"
    )
    assert "left alone: too small" in str(
        dataclasses.replace(report, applied=False, outcome="too small")
    )


# ---------------------------------------------------------------------- plans


def test_a_plan_is_saved_read_edited_and_used(tmp_path):
    function = tanh_chain()
    graph = grappler_go.capture(function, X)[0].op_graph()
    plan = grappler_go.Plan(graph)
    assert "decides nothing" in grappler_go.plan_summary(plan, graph)
    plan.fusion_group = np.array(
        [0 if op in ("Tanh", "Mul", "MatMul") else -1 for op in graph.ops], np.int32
    )
    file = tmp_path / "step.json"
    grappler_go.save_plan(plan, file, graph)
    assert list(tmp_path.iterdir()) == [file]
    assert "MatMul" in file.read_text()
    loaded = grappler_go.load_plan(file)
    loaded.validate(graph)
    assert grappler_go.diff_plans(plan, loaded, graph) == []
    assert "group 0:" in grappler_go.plan_summary(loaded, graph)
    assert "10 MatMul" in grappler_go.plan_summary(loaded, graph)
    for policy in (loaded, [loaded], str(file), file):
        with grappler_go.scope(policy, **FORCED):
            _, nodes = executed(tanh_chain(), X)
        assert helpers.count(nodes, "_XlaRun") == 1, (policy, helpers.outcomes())


def test_plans_are_compared_by_what_they_decide():
    graph = grappler_go.capture(tanh_chain(3), X)[0].op_graph()
    matmuls = [i for i, op in enumerate(graph.ops) if op == "MatMul"]
    a, b = grappler_go.Plan(graph), grappler_go.Plan(graph)
    a.fusion_group = np.array(
        [matmuls.index(i) if i in matmuls else -1 for i in range(graph.num_ops)], np.int32
    )
    renumbered = {0: 2, 1: 1, 2: 0, -1: -1}
    b.fusion_group = np.array([renumbered[g] for g in a.fusion_group], np.int32)
    assert grappler_go.diff_plans(a, b, graph) == []
    b.order = [(matmuls[0], matmuls[2])]
    recompute = np.zeros(graph.num_ops, np.uint8)
    recompute[matmuls[1]] = 1
    b.recompute = recompute
    lines = grappler_go.diff_plans(a, b, graph)
    assert lines == [
        f"{graph.names[matmuls[1]]}: recompute no -> yes",
        f"order added: {graph.names[matmuls[0]]} before {graph.names[matmuls[2]]}",
    ]
    other = grappler_go.Plan(grappler_go.capture(tanh_chain(4), X)[0].op_graph())
    with pytest.raises(ValueError, match="different graphs"):
        grappler_go.diff_plans(a, other)


def test_files_that_are_not_plans_are_refused(tmp_path):
    file = tmp_path / "plan.json"
    file.write_text("{}")
    with pytest.raises(ValueError, match="plan"):
        grappler_go.load_plan(file)
    file.write_text("not even json")
    with pytest.raises(ValueError, match="plan"):
        grappler_go.load_plan(file)
    with pytest.raises(FileNotFoundError):
        grappler_go.load_plan(tmp_path / "none.json")


# -------------------------------------------------------------------- capture


def test_decide_says_what_would_happen_and_gives_the_plan(tmp_path):
    captured = grappler_go.capture(tanh_chain(), X)[0]
    decided = grappler_go.decide(captured, fuse(elementwise), **FORCED)
    assert decided.report.applied
    assert decided.plan.num_groups == 1
    assert decided.graphdef is not None
    assert not grappler_go.is_enabled()
    with grappler_go.scope(decided.plan, **FORCED):
        _, nodes = executed(tanh_chain(), X)
    assert helpers.count(nodes, "_XlaRun") == 1
    left = grappler_go.decide(captured, lambda _: None)
    assert left.graphdef is None
    assert left.report.outcome
    elsewhere = grappler_go.Machine(
        "far away",
        devices=[
            {"name": f"/job:worker/replica:0/task:0/device:GPU:{i}", "type": "GPU"}
            for i in range(8)
        ],
    )
    seen = []
    grappler_go.decide(captured, lambda inp: seen.append(len(inp.machine.devices)), elsewhere)
    assert seen == [8]
    with pytest.raises(ValueError, match="GPU:0"):
        grappler_go.enable(lambda _: None, devices=elsewhere)


def test_capture_returns_graphs_and_changes_nothing(tmp_path):
    function, asked = tanh_chain(), Asked()
    grappler_go.enable(asked, **FORCED)
    function(X)
    graphs = grappler_go.capture(function, X)
    assert asked.times == 1
    assert len(graphs) == 1
    graph = graphs[0].op_graph()
    assert graph.ops.count("MatMul") == 10
    assert graphs[0].fetches
    function(X)
    assert asked.times == 1  # what was optimised before is still in use
    graphs[0].save(tmp_path / "g.pb")
    assert grappler_go.load_captured(tmp_path) == graphs
    assert grappler_go.CapturedGraph.load(tmp_path / "g.pb") == graphs[0]


def test_capture_takes_plain_callables_and_callers_of_functions():
    plain = grappler_go.capture(lambda x: tf.reduce_sum(tf.tanh(x) @ x), X)
    assert plain[0].op_graph().ops.count("MatMul") == 1
    inner = tanh_chain(5)
    inner(X)
    called = grappler_go.capture(lambda: float(inner(X)), trace=False)
    assert called[0].op_graph().ops.count("MatMul") == 5


def test_capture_lets_errors_of_the_function_through():
    @tf.function
    def function(x):
        tf.debugging.assert_less(x, 0.0)
        return tf.tanh(x)

    with pytest.raises(tf.errors.InvalidArgumentError):
        grappler_go.capture(function, tf.constant(1.0))
    assert not grappler_go.is_enabled()


def test_recording_stores_every_graph(tmp_path):
    folder = tmp_path / "deep" / "graphs"
    with grappler_go.scope(None, record=folder, **FORCED):
        tanh_chain(5)(X)
        tanh_chain(6)(X)
    graphs = grappler_go.load_captured(folder)
    assert sorted(g.op_graph().ops.count("MatMul") for g in graphs) == [5, 6]
    assert all(graph.fetches for graph in graphs)


# -------------------------------------------------------------- whole programs


SCRIPT = """
import sys
import tensorflow as tf
import neighbour
@tf.function
def f(x):
    for _ in range(20): x = tf.tanh(x @ x)
    return x
f(tf.ones((4, 4)))
import grappler_go
assert __name__ == "__main__" and sys.argv[0].endswith("script.py"), sys.argv
print("args", sys.argv[1:], "reports", len(grappler_go.reports()), neighbour.NAME)
sys.exit(7)
"""


def test_a_script_runs_unchanged_with_the_pass_on(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "neighbour.py").write_text("NAME = 'next door'")
    source = (
        "import sys, grappler_go\n"
        "grappler_go.run_script(sys.argv[1], sys.argv[2:], policy=lambda _: None)\n"
    )
    script = str(tmp_path / "script.py")
    done = helpers.run_python(source, script, "--epochs", "3", check=False)
    assert done.returncode == 7, done.stderr
    assert "args ['--epochs', '3'] reports 1 next door" in done.stdout


def test_a_script_leaves_the_caller_as_it_was(tmp_path):
    script = tmp_path / "script.py"
    script.write_text("import sys; sys.argv.append('more'); sys.path.insert(0, 'x')")
    argv, path = list(sys.argv), list(sys.path)
    grappler_go.run_script(script, policy=Asked())
    assert (sys.argv, sys.path) == (argv, path)
    with pytest.raises(FileNotFoundError, match=r"none\.py"):
        grappler_go.run_script(tmp_path / "none.py")
