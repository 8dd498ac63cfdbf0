"""A policy written in Python: what it is given, what it may answer, and what
happens when it does something else."""

import gc
import math
import sys
import threading
import time
import weakref

import helpers
import numpy as np
import pytest
import tensorflow as tf

from grappler_go import native, settings

core = native.core()

CPU = "/job:localhost/replica:0/task:0/device:CPU:0"
SETTINGS = {"min_gain": 0.0, "min_ops": 1, "min_group_ops": 1, "enabled": True}


@pytest.fixture(scope="module")
def graphdef():
    def body(x):
        for _ in range(2):
            x = tf.nn.relu(tf.matmul(x, tf.ones((4, 4)))) + 0.5
        return tf.reduce_sum(x, name="total")

    function = tf.function(body).get_concrete_function(tf.TensorSpec((3, 4)))
    return function.graph.as_graph_def().SerializeToString()


@pytest.fixture
def graph(graphdef):
    return core.OpGraph(graphdef, ["total"])


@pytest.fixture
def machine():
    return core.Machine("one", devices=[{"name": CPU, "type": "CPU"}])


def decide(policy, graph, machine, **kwargs):
    return core.PythonPolicy(policy, "test").decide(graph, machine, **kwargs)


def optimize(policy, graphdef, **settings):
    policy = core.PythonPolicy(policy, "test")
    return core.optimize(graphdef, ["total"], [], {**SETTINGS, "policy": policy, **settings})


# ---------------------------------------------------------------- what it is given


def test_the_arrays_are_the_features_of_the_graph(graph, machine):
    seen = {}

    def policy(inp):
        for name in expected:
            seen[name] = getattr(inp, name)
        seen["rest"] = (inp.graph.fingerprint, inp.machine.name, inp.graphdef)

    expected = core.compute_features(graph, machine)
    decide(policy, graph, machine)
    assert seen.pop("rest") == (graph.fingerprint, "one", graph.graphdef)
    for name, array in expected.items():
        np.testing.assert_array_equal(seen[name], array)
        assert seen[name].shape == array.shape
        assert seen[name].dtype == array.dtype


def test_the_arrays_are_not_copied_and_cannot_be_written(graph, machine):
    def policy(inp):
        for name in core.compute_features(graph, machine):
            array = getattr(inp, name)
            assert np.shares_memory(array, getattr(inp, name)), name
            assert not array.flags.owndata
            with pytest.raises(ValueError, match="read-only"):
                array.flat[0] = 1
            with pytest.raises(ValueError, match="WRITEABLE"):
                array.flags.writeable = True

    decide(policy, graph, machine)


def test_what_a_policy_keeps_stays_valid(graphdef):
    kept = []

    def policy(inp):
        kept.append((inp, inp.op_features, inp.graph, inp.graph.in_src, inp.op_features.copy()))

    for _ in range(3):
        optimize(policy, graphdef)
    gc.collect()
    [core.OpGraph(graphdef) for _ in range(20)]  # reuses memory that was given back
    for inp, features, graph, sources, expected in kept:
        np.testing.assert_array_equal(features, expected)
        np.testing.assert_array_equal(inp.op_features, expected)
        assert graph.find("total") >= 0
        np.testing.assert_array_equal(sources, core.OpGraph(graphdef).in_src)
        assert inp.graphdef == graphdef


def test_the_deadline_is_what_is_left_of_the_budget(graph, graphdef, machine):
    left = []
    optimize(lambda inp: left.append(inp.deadline_s), graphdef, budget_ms=5000)
    decide(lambda inp: left.append(inp.deadline_s), graph, machine, timeout_s=2)
    assert 0 < left[0] <= 5
    assert 0 < left[1] <= 2


def test_the_pass_calls_it_on_another_thread(graphdef):
    threads = []
    optimize(lambda _: threads.append(threading.get_ident()), graphdef)
    assert threads != []
    assert threads[0] != threading.get_ident()


def test_other_threads_run_while_the_pass_waits_for_it(graphdef):
    turn = threading.Event()
    helper = threading.Thread(target=turn.set)

    def policy(_):
        helper.start()
        assert turn.wait(10)  # needs the GIL in the helper's thread

    result = optimize(policy, graphdef, budget_ms=20000)
    assert "raised" not in result["report"]["outcome"]
    assert turn.is_set()


# ---------------------------------------------------------------- what it may answer


@pytest.mark.parametrize(
    "convert",
    [
        lambda a: a,
        lambda a: a.astype(np.float64),
        lambda a: a.astype(np.int64),
        lambda a: a.tolist(),
        lambda a: tf.constant(a),
        lambda a: np.repeat(a, 2)[::2],  # not contiguous
    ],
    ids=["float32", "float64", "int64", "list", "tensor", "strided"],
)
def test_logits_of_any_kind_of_number(graph, machine, convert):
    values = np.arange(graph.num_ops, dtype=np.float32)
    answer = decide(lambda _: {"fusion": convert(values), "recompute": None}, graph, machine)
    assert list(answer) == ["fusion"]
    assert answer["fusion"].dtype == np.float32
    np.testing.assert_array_equal(answer["fusion"], values)


def test_all_kinds_of_logits_come_through(graph, machine):
    names = ("device", "fusion", "schedule", "recompute", "op_micros", "fused_micros")
    shapes = dict.fromkeys(names, (graph.num_ops,))
    shapes["device"] = (graph.num_ops, 1)
    arrays = {name: np.full(shape, i + 1.0) for i, (name, shape) in enumerate(shapes.items())}
    answer = decide(lambda _: arrays, graph, machine)
    assert list(answer) == list(names)
    for name in names:
        np.testing.assert_array_equal(answer[name], arrays[name])


def test_nothing_may_be_the_answer(graph, graphdef, machine):
    assert decide(lambda _: None, graph, machine) == {}
    assert decide(lambda _: {}, graph, machine) == {}
    result = optimize(lambda _: None, graphdef)
    assert not result["applied"]
    assert result["report"]["outcome"]


def test_a_plan_may_be_the_answer(graph, machine):
    plan = core.Plan(graph)
    plan.fusion_group = np.array([0 if op == "Relu" else -1 for op in graph.ops])
    answer = decide(lambda _: plan, graph, machine)
    assert isinstance(answer, core.Plan)
    np.testing.assert_array_equal(answer.fusion_group, plan.fusion_group)


def test_an_object_with_a_call_method_is_a_policy(graph, machine):
    class Policy:
        def __call__(self, inp):
            return {"fusion": np.zeros(len(inp.op_type))}

    assert "fusion" in decide(Policy(), graph, machine)
    with pytest.raises(TypeError, match="callable"):
        core.PythonPolicy(3, "three")


# ---------------------------------------------------------------- what it may not


def raise_error(_):
    raise KeyError("lost")


def raise_exit(_):
    sys.exit("enough")


class BadError(Exception):
    def __str__(self):
        raise RuntimeError("not even this")


def raise_unprintable(_):
    raise BadError


@pytest.mark.parametrize(
    ("policy", "match"),
    [
        (raise_error, r"KeyError: 'lost' \(test_python_policy.py, line \d+, in raise_error\)"),
        (raise_exit, "SystemExit: enough"),
        (raise_unprintable, "raised .+"),
        (lambda: None, "TypeError"),
        (lambda _: 42, "returned int"),
        (lambda _: [1, 2], "returned list"),
        (lambda inp: {"fusion": np.full(len(inp.op_type), np.nan)}, "fusion"),
        (lambda inp: {"fusion": np.full(len(inp.op_type), -np.inf)}, "fusion"),
        (lambda inp: {"fusion": np.ones(len(inp.op_type) + 1)}, "fusion.*shape"),
        (lambda inp: {"device": np.ones((len(inp.op_type), 3))}, "device.*shape"),
        (lambda inp: {"fusion": "all of it"}, "fusion.*real"),
        (lambda inp: {"fusion": object()}, "fusion.*real"),
        (lambda inp: {"fuse": np.ones(len(inp.op_type))}, '"fuse".*fusion'),
        (lambda inp: {3: np.ones(len(inp.op_type))}, "key"),
    ],
)
def test_what_goes_wrong_is_told_and_never_escapes(graph, graphdef, machine, policy, match):
    with pytest.raises(ValueError, match=match):
        decide(policy, graph, machine)
    result = optimize(policy, graphdef)
    assert not result["applied"]
    assert result["report"]["outcome"] != "applied"


def test_a_failure_is_in_the_report(graphdef):
    assert "KeyError: 'lost'" in optimize(raise_error, graphdef)["report"]["outcome"]
    assert "returned int" in optimize(lambda _: 42, graphdef)["report"]["outcome"]


def test_a_plan_for_another_graph_is_refused(graphdef):
    other = core.OpGraph(b"\x0a\x09\x0a\x01a\x12\x04NoOp")

    def policy(_):
        plan = core.Plan(other)
        plan.fusion_group = np.zeros(1, np.int32)
        return plan

    result = optimize(policy, graphdef)
    assert not result["applied"]
    assert "another graph" in result["report"]["outcome"]


def test_a_device_that_does_not_exist_is_refused(graphdef):
    def policy(inp):
        plan = core.Plan(inp.graph)
        plan.devices = [CPU[:-1] + "9"]
        plan.device = np.array([0 if op == "Relu" else -1 for op in inp.graph.ops])
        return plan

    result = optimize(policy, graphdef)
    assert not result["applied"]
    assert "CPU:9" in result["report"]["outcome"]


def test_a_policy_that_hangs_is_left_behind(graphdef):
    done = threading.Event()
    finished = []

    def policy(inp):
        done.wait(30)
        finished.append(inp.op_features.sum())  # what it was given is still there

    began = time.monotonic()
    result = optimize(policy, graphdef, budget_ms=100)
    took = time.monotonic() - began
    assert not result["applied"]
    assert "deadline" in result["report"]["outcome"]
    assert took < 5
    done.set()
    for _ in range(500):
        if finished:
            break
        time.sleep(0.01)
    assert math.isfinite(finished[0])


# ---------------------------------------------------------------- life and death


def test_the_callable_is_given_back_with_its_policy(graph, machine):
    class Function:
        def __call__(self, inp):
            return None

    function = Function()
    alive = weakref.ref(function)
    policy = core.PythonPolicy(function, "weak")
    before = core.current_config()
    core.set_config({"policy": policy})
    del function, policy
    gc.collect()
    assert alive() is not None
    core.current_config()["policy"].decide(graph, machine)
    core.set_config(before)
    gc.collect()
    assert alive() is None


def test_module_and_function_name_a_policy(graph, machine, tmp_path, monkeypatch):
    (tmp_path / "mine_for_test.py").write_text(
        "class Holder:\n"
        "    @staticmethod\n"
        "    def policy(inp):\n"
        "        return {'fusion': [1.0] * len(inp.op_type)}\n"
        "number = 3\n"
        "def little(inp):\n"
        "    return {'fusion': [float(hasattr(inp, 'graph'))] * len(inp.op_type)}\n"
        "little.reads = ['op_type']\n"
    )
    (tmp_path / "broken_for_test.py").write_text("import no_such_module_anywhere\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    for spec in ("mine_for_test:Holder.policy", "python:mine_for_test:Holder.policy"):
        policy = core.load_policy(spec)
        assert policy.name == "python:mine_for_test:Holder.policy"
        assert set(policy.decide(graph, machine)["fusion"]) == {1.0}
        assert settings.parse_policy(spec).name == policy.name
    assert set(core.load_policy("mine_for_test:little").decide(graph, machine)["fusion"]) == {0.0}
    for spec, match in (
        ("python:mine_for_test:nothing", "nothing"),
        ("python:mine_for_test:number", "not callable"),
        ("python:no_such_module_anywhere:f", "ModuleNotFoundError"),
        ("python:broken_for_test:f", "ModuleNotFoundError.*broken_for_test.py, line 1"),
    ):
        with pytest.raises(ValueError, match=match):
            core.load_policy(spec)


EXIT = """
import sys, threading, time
from grappler_go import native
core = native.core()
node = b"\\x0a\\x01a\\x12\\x04NoOp"
graphdef = b"\\x0a" + bytes([len(node)]) + node
running = threading.Event()

def policy(inp):
    running.set()
    {body}

settings = {{"enabled": True, "min_ops": 1, "budget_ms": 200,
             "policy": core.PythonPolicy(policy, "p")}}
core.set_config(settings)
result = core.optimize(graphdef, [], [])
assert running.is_set()
assert not result["applied"]
print("end of program")
"""


@pytest.mark.parametrize(
    "body",
    [
        "pass",
        "time.sleep(600)",
        "[time.sleep(0.001) for _ in iter(int, 1)]",
        "[None for _ in iter(int, 1)]",
    ],
    ids=["returns", "sleeps", "wakes often", "computes"],
)
def test_a_program_ends_cleanly_whatever_its_policy_is_doing(body):
    done = helpers.run_python(EXIT.format(body=body), timeout=120, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "end of program"), done.stderr


def test_the_environment_may_name_a_python_policy(tmp_path):
    # The plugin is loaded while TensorFlow is being imported, long before _core.
    (tmp_path / "from_environment.py").write_text(
        "import sys\n"
        "def policy(inp):\n"
        "    print('asked about', inp.graph.num_ops, 'ops')\n"
        "    return {'fusion': [0.0] * len(inp.op_type)}\n"
    )
    program = (
        "import sys\n"
        "import tensorflow as tf\n"
        "assert 'grappler_go' not in sys.modules\n"
        "@tf.function\n"
        "def f(x):\n"
        "    for i in range(20):\n"
        "        x = tf.tanh(x) + float(i)\n"
        "    return x\n"
        "f(tf.ones((3, 3)))\n"
    )
    done = helpers.run_python(
        program,
        env={
            "GRAPPLER_GO": "1",
            "GRAPPLER_GO_POLICY": "python:from_environment:policy",
            "GRAPPLER_GO_PYTHONPATH": str(tmp_path),
            "TF_PLUGGABLE_DEVICE_LIBRARY_PATH": str(native.library_path()),
        },
    )
    assert "asked about" in done.stdout, done.stderr


def test_a_policy_that_names_the_arrays_it_reads_gets_no_others(graph, machine):
    def policy(inp):
        assert inp.op_type.shape == (graph.num_ops,)
        for name in ("op_features", "graph", "graphdef"):
            with pytest.raises(AttributeError, match=f"{name} is not among"):
                getattr(inp, name)
        return {}

    policy.reads = ["op_type"]
    assert core.PythonPolicy(policy, "test").decide(graph, machine) == {}
    policy.reads = ["horoscope"]
    with pytest.raises(ValueError, match="horoscope"):
        core.PythonPolicy(policy, "test")
