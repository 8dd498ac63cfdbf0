"""The benchmark harness: turns, failures, differences; the built-in programs."""

from __future__ import annotations

import importlib
import re
import sys

import numpy as np
import pytest

from grappler_go import native
from grappler_go.bench import harness, models, overhead, process, simulator_speed, worker


def _save(path, **arrays):
    np.savez(path, **arrays)
    return str(path)


@pytest.fixture
def npz(tmp_path):
    numbers = iter(range(100))
    return lambda **arrays: _save(tmp_path / f"{next(numbers)}.npz", **arrays)


class FakeWorker:
    """Answers at once; steps take what the test says."""

    asked: list[tuple[str, str]]
    requests: list[dict]
    reports: list[dict]
    step_ms: dict[str, float]
    fails: dict[tuple[str, int], str]

    def __init__(self, mode, log_path, machine=""):
        self.mode = mode
        self._times = 0

    def ask(self, request, timeout_s):
        FakeWorker.asked.append((request["do"], self.mode))
        FakeWorker.requests.append(request)
        if request["do"] == "tune":
            if ("tune", 0) in FakeWorker.fails:
                raise harness.WorkerError(FakeWorker.fails["tune", 0])
            return {"verdict": "plan", "plan": "no convolutions", "tuning_s": 9.0, "budget_s": 60.0}
        if request["do"] == "start" and (self.mode, 0) in FakeWorker.fails:
            raise harness.WorkerError(FakeWorker.fails[self.mode, 0])
        if request["do"] == "start":
            np.savez(request["outputs"], a=np.ones(3) if self.mode != "ours" else np.ones(3) * 1.5)
            return {"first_ms": 7.0, "start_mb": 1.0}
        if request["do"] == "finish":
            return {"peak_mb": 3.0, "step_peak_mb": 2.0, "reports": FakeWorker.reports}
        self._times += 1
        if (self.mode, self._times) in FakeWorker.fails:
            raise harness.WorkerError(FakeWorker.fails[self.mode, self._times])
        return {"ms": [FakeWorker.step_ms[self.mode]] * request["steps"]}

    def close(self):
        FakeWorker.asked.append(("close", self.mode))


@pytest.fixture
def fake(monkeypatch):
    FakeWorker.asked = []
    FakeWorker.requests = []
    FakeWorker.reports = [
        {"applied": True, "policy": "tuned: no convolutions", "outcome": "applied", "loops": 0}
    ]
    FakeWorker.step_ms = {"default": 10.0, "jit": 20.0, "auto": 10.0, "ours": 5.0, "tuned": 4.0}
    FakeWorker.fails = {}
    monkeypatch.setattr(harness, "WorkerProcess", FakeWorker)
    return FakeWorker


def test_modes_take_turns_in_an_order_that_is_reversed_every_other_round(fake):
    harness.compare("x", modes=("default", "ours"), rounds=3)
    turns = [mode for what, mode in fake.asked if what == "time"]
    warm_up, rounds = turns[:2], turns[2:]
    assert warm_up == ["default", "ours"]
    assert rounds == ["default", "ours", "ours", "default", "default", "ours"]


def test_a_speedup_is_the_ratio_to_the_default(fake):
    results = harness.compare("x", rounds=4)
    assert results["jit"].speedup == pytest.approx(0.5)
    assert results["ours"].speedup == pytest.approx(2.0)
    assert results["ours"].median_ms == pytest.approx(5.0)
    assert results["ours"].peak_mb == 3.0


def test_a_turn_holds_as_many_steps_as_fit_its_length(fake):
    results = harness.compare("x", modes=("default",), rounds=2, round_seconds=0.1)
    assert results["default"].steps == 10


def test_the_difference_is_taken_from_the_outputs_of_the_first_steps(fake):
    assert harness.compare("x", rounds=2)["ours"].difference == pytest.approx(0.5)


def test_a_mode_that_fails_midway_has_an_error_and_the_others_go_on(fake):
    fake.fails = {("jit", 3): "no answer within 300 s"}
    results = harness.compare("x", rounds=4)
    assert results["jit"].error == "no answer within 300 s"
    assert results["ours"].speedup == pytest.approx(2.0)
    assert {mode for what, mode in fake.asked if what == "close"} == set(harness.UNTUNED)


@pytest.mark.parametrize(("first", "modes"), [("default", ("ours",)), ("tune", ("tuned", "ours"))])
def test_where_there_is_no_such_program_nobody_else_is_asked(fake, first, modes):
    fake.fails = {(first, 0): "UnknownProgramError: no program 'x'"}
    results = harness.compare("x", modes=modes, rounds=2)
    assert {result.no_program for result in results.values()} == {"no program 'x'"}
    assert [what for what, _ in fake.asked] == ["tune" if first == "tune" else "start", "close"]


def test_another_failure_is_of_its_mode_only(fake):
    fake.fails = {("default", 0): "RuntimeError: oops"}
    results = harness.compare("x", modes=("ours",), rounds=2)
    assert results["default"].error == "RuntimeError: oops"
    assert not results["default"].no_program
    assert not results["ours"].error


def test_a_program_is_tuned_before_anything_else_runs_and_measured_with_what_was_found(fake):
    told = []
    results = harness.compare(
        "x", modes=("ours", "tuned"), rounds=2, tune_s=60, settings={"a": 1}, progress=told.append
    )
    assert fake.asked[:3] == [("tune", "tuned"), ("close", "tuned"), ("start", "default")]
    tuned = results["tuned"]
    assert (tuned.verdict, tuned.plan, tuned.tuning_s) == ("plan", "no convolutions", 9.0)
    assert tuned.speedup == pytest.approx(2.5)
    tune, *others = [request for request in fake.requests if request["do"] in ("tune", "start")]
    assert tune["budget_s"] == 60
    settings = {request["mode"]: request["settings"] for request in others}
    assert settings["ours"] == {"a": 1}
    assert settings["tuned"] == {"a": 1, "plan_cache": tune["plans"]}
    assert len(told) == harness.num_parts(("ours", "tuned"), 2)


def test_nothing_is_tuned_unless_it_is_asked_for(fake):
    assert "tuned" not in harness.compare("x", rounds=1)
    assert "tune" not in [what for what, _ in fake.asked]


def test_where_tuning_fails_the_others_go_on(fake):
    fake.fails = {("tune", 0): "CannotTuneError: it prints"}
    results = harness.compare("x", modes=("ours", "tuned"), rounds=2)
    assert results["tuned"].error == "CannotTuneError: it prints"
    assert results["ours"].speedup == pytest.approx(2.0)


def test_a_plan_that_the_measured_process_did_not_use_is_a_failure(fake):
    fake.reports = [{"applied": True, "policy": "default", "outcome": "applied", "loops": 0}]
    results = harness.compare("x", modes=("ours", "tuned"), rounds=2)
    assert results["tuned"].error == "what tuning found was not used: applied"
    assert not results["ours"].error


def test_the_default_is_always_measured(fake):
    assert list(harness.compare("x", modes=("ours",), rounds=1)) == ["default", "ours"]


def test_an_unknown_mode_is_refused(fake):
    with pytest.raises(ValueError, match="no mode 'fast'; there are default, jit"):
        harness.compare("x", modes=("fast",))


def test_a_difference_is_relative_to_the_largest_value_of_an_output(npz):
    a = npz(big=np.array([1000.0, 1.0]), small=np.array([1e-3]))
    b = npz(big=np.array([1000.0, 1.1]), small=np.array([1e-3]))
    assert harness.largest_difference(a, b) == pytest.approx(1e-4)


@pytest.mark.parametrize(
    "other",
    [
        {"y": np.ones(2)},
        {"x": np.ones(3)},
        {"x": np.array([1.0, np.nan])},
    ],
    ids=["another output", "another shape", "a NaN"],
)
def test_what_cannot_be_compared_differs_without_bound(npz, other):
    assert harness.largest_difference(npz(x=np.ones(2)), npz(**other)) == float("inf")


def test_a_nan_on_both_sides_is_no_difference(npz):
    x = np.array([1.0, np.nan])
    assert harness.largest_difference(npz(x=x), npz(x=x)) == 0.0


_PROGRAM = """
import os, signal, time
import tensorflow as tf

def step(x):
    return tf.reduce_sum(x * 2.0)

def dies():
    if "auto_jit" in os.environ.get("TF_XLA_FLAGS", ""):
        os.kill(os.getpid(), signal.SIGSEGV)
    return step, (tf.ones((4,)),)

def hangs():
    if "auto_jit" in os.environ.get("TF_XLA_FLAGS", ""):
        time.sleep(1000)
    return step, (tf.ones((4,)),)

def raises():
    if "auto_jit" in os.environ.get("TF_XLA_FLAGS", ""):
        raise ValueError("no such batch")
    return step, (tf.ones((4,)),)
"""


class PatientWorker(harness.WorkerProcess):
    """The default is waited for however short the deadline of the others is."""

    def __init__(self, mode, log_path, machine=""):
        super().__init__(mode, log_path, machine)
        self._mode = mode

    def ask(self, request, timeout_s):
        return super().ask(request, 100 if self._mode == "default" else timeout_s)


_CHAIN = """
import tensorflow as tf

def chain(x):
    for _ in range(12):
        x = tf.tanh(x * 1.1 + 0.1)
    return tf.reduce_sum(x)

def program():
    return chain, (tf.ones((300, 300)),)
"""


def test_what_a_real_worker_tuned_is_used_and_not_tuned_again(tmp_path, monkeypatch):
    (tmp_path / "chain_program.py").write_text(_CHAIN)
    monkeypatch.chdir(tmp_path)
    found = []
    for budget_s in (90.0, 45.0):
        results = harness.compare(
            "chain_program:program",
            modes=("tuned",),
            rounds=2,
            round_seconds=0.01,
            tune_s=budget_s,
            tuned_plans="plans",
        )
        found.append(results["tuned"])
    first, second = found
    assert not first.error
    assert not second.error
    assert first.verdict in ("plan", "default")  # as this machine has it
    assert 0 < first.tuning_s <= first.budget_s == 90.0
    assert first.difference < 1e-4
    assert len(list((tmp_path / "plans").glob("*.json"))) == 1
    assert (second.verdict, second.plan) == (first.verdict, first.plan)
    assert second.budget_s == 90.0
    assert second.tuning_s == pytest.approx(first.tuning_s, rel=0.1)


_KEPT = """
from grappler_go import native
import tensorflow as tf

def step(x):
    y = tf.reduce_sum(tf.exp(-x * x) * tf.nn.gelu(x) / (1.0 + tf.abs(x)))
    return y, tf.py_function(native.core().keeps_freed_memory, [], tf.bool)

def program():
    return step, (tf.ones((1000, 1000)),)
"""


def test_where_a_gain_comes_from_is_told_apart(tmp_path, monkeypatch):
    (tmp_path / "kept_program.py").write_text(_KEPT)
    monkeypatch.chdir(tmp_path)
    results = harness.compare(
        "kept_program:program",
        modes=("kept", "given_back", "ours"),
        rounds=1,
        round_seconds=0.01,
        # Of so small a program the guard would take back what noise says.
        settings={"min_gain": 0.0, "guard": False},
    )
    assert {mode: result.error for mode, result in results.items() if result.error} == {}
    applied = {m: any(r["applied"] for r in result.reports) for m, result in results.items()}
    assert applied == {"default": False, "kept": False, "given_back": True, "ours": True}
    # The program returns whether memory is kept: by default it is not.
    kept = {mode: result.difference > 0.5 for mode, result in results.items()}
    assert kept == {"default": False, "kept": True, "given_back": False, "ours": True}


@pytest.mark.parametrize(
    ("function", "error"),
    [
        ("dies", "the process died (signal 11)"),
        ("hangs", "no answer within 5 s"),
        ("raises", "ValueError: no such batch"),
    ],
)
def test_a_real_worker_that_fails_leaves_the_others_their_numbers(
    tmp_path, monkeypatch, function, error
):
    (tmp_path / "user_program.py").write_text(_PROGRAM)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(harness, "WorkerProcess", PatientWorker)
    results = harness.compare(
        f"user_program:{function}",
        modes=("default", "auto"),
        rounds=2,
        round_seconds=0.01,
        # What hangs, always does; the others may take TensorFlow's time to start.
        timeout_s=5 if function == "hangs" else 100,
    )
    assert results["auto"].error.startswith(error)
    assert not results["default"].error
    assert results["default"].steps > 0
    assert results["default"].peak_mb >= results["default"].start_mb > 50


def test_workers_do_not_inherit_switches_of_ours(monkeypatch):
    monkeypatch.setenv("GRAPPLER_GO", "1")
    monkeypatch.setenv("TF_PLUGGABLE_DEVICE_LIBRARY_PATH", "x.so")
    for mode in harness.MODES:
        environment = worker.environment(mode)
        ours = {name: text for name, text in environment.items() if name.startswith("GRAPPLER_GO")}
        assert ours == {"GRAPPLER_GO_PLANS": "0"}  # nor what somebody tuned
        assert "TF_PLUGGABLE_DEVICE_LIBRARY_PATH" not in environment
        assert ("auto_jit" in environment.get("TF_XLA_FLAGS", "")) == (mode == "auto")


def test_an_unknown_program_is_told_what_there_is():
    with pytest.raises(models.UnknownProgramError, match=r"transformer-train.*resnet50"):
        models.build("transfomer-train")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("chargpt-trian", r"did you mean chargpt-train\? .*--list"),
        ("resnet5-train", r"did you mean resnet50-train\?"),
        ("resnet50", "resnet50"),
        ("no_such_module:f", "No module named 'no_such_module'"),
        ("no_such.module:f", "No module named 'no_such'"),
        (":f", "No module named ''"),
        ("workload:unet-smal-train", "the nearest is 'unet-small-train'"),
    ],
)
def test_a_program_is_looked_for_without_making_it(spec, message):
    with pytest.raises(models.UnknownProgramError, match=message) as raised:
        models.check(spec)
    assert len(str(raised.value)) < 250
    with pytest.raises(models.UnknownProgramError, match=message):
        models.build(spec)


def test_a_module_is_not_run_to_see_whether_it_is_there(tmp_path, monkeypatch):
    (tmp_path / "runs_long.py").write_text("raise SystemExit('it was run')")
    monkeypatch.chdir(tmp_path)
    models.check("runs_long:f")
    models.check("chargpt-train")
    models.check("resnet50-train")


def test_what_policies_are_trained_on_can_be_measured():
    models.check("workload:gcn-infer")
    program = models.build("workload:gcn-infer")
    assert np.all(np.isfinite(program.step(*program.args)))


def test_a_user_function_may_return_a_step_or_a_step_with_arguments(tmp_path, monkeypatch):
    (tmp_path / "two_programs.py").write_text(
        "def f(x=1): return x\n"
        "def alone(): return f\n"
        "def pair(): return f, (5,)\n"
        "def wrong(): return 3\n"
    )
    monkeypatch.chdir(tmp_path)
    assert models.build("two_programs:alone").args == ()
    assert models.build("two_programs:pair").args == (5,)
    with pytest.raises(models.UnknownProgramError, match="returned int; expected a step"):
        models.build("two_programs:wrong")
    with pytest.raises(models.UnknownProgramError, match="has no attribute 'missing'"):
        models.build("two_programs:missing")
    with pytest.raises(models.UnknownProgramError, match="'pari'; did you mean pair?"):
        models.build("two_programs:pari")


@pytest.mark.parametrize("name", ["lstm-train", "black-scholes", "dlrm-train", "wavenet-infer"])
def test_a_built_in_program_computes_the_same_each_time_it_is_built(name):
    import tensorflow as tf

    def first_outputs():
        program = models.build(name, models.Options(batch=2))
        return [t.numpy() for t in tf.nest.flatten(tf.function(program.step)(*program.args))]

    for a, b in zip(first_outputs(), first_outputs(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
        assert np.isfinite(a).all()


def test_a_network_for_images_of_any_size_gets_some():
    program = models.build("mobilenetv3small-infer", models.Options(batch=1))
    (images,) = program.args
    assert images.shape == (1, 224, 224, 3)


def test_every_built_in_program_is_listed_with_what_it_is():
    assert {"transformer-train", "lstm-train"} <= set(models.names())
    assert all(models.names().values())


def test_overhead_is_measured_phase_by_phase_beside_tensorflows_own():
    measured = overhead.measure(600, {"policy": None}, repeats=1)
    assert 400 < measured.nodes < 900
    assert measured.outcome == "no policy"
    assert measured.everything_outcome == "applied"
    assert measured.result_mb > measured.graph_mb > 0
    assert all(measured.phases_ms[phase] > 0 for phase in overhead.PHASES)
    assert measured.tensorflow_ms > 0
    assert measured.several_ms is None, "no policy was asked for"
    assert measured.phases_ms["parse"] > 0
    assert measured.core_ms == pytest.approx(
        sum(ms for phase, ms in measured.phases_ms.items() if phase != "policy")
    )


def test_overhead_of_a_policy_where_there_are_several_devices(monkeypatch):
    answers = []
    load = native.core().load_policy

    class Asked:
        def __init__(self, name):
            self._policy = load(name)

        def decide(self, *args, **kwargs):
            answers.append(self._policy.decide(*args, **kwargs))
            return answers[-1]

    ask = overhead._where_there_are_several

    def asked(*args):
        with monkeypatch.context() as meanwhile:
            meanwhile.setattr(native.core(), "load_policy", Asked)
            return ask(*args)

    monkeypatch.setattr(overhead, "_where_there_are_several", asked)
    measured = overhead.measure(600, {"policy": "default"}, repeats=1)
    assert measured.phases_ms["policy"] > 0
    assert measured.several_ms > 0
    assert measured.several_mb >= 0
    # There the network is asked, which says where ops go: of the table of costs nobody learns that.
    assert answers
    assert all(answer["device"].shape[1] == 5 for answer in answers), "four GPUs and their host"


def test_the_simulator_is_timed_on_graphs_of_about_the_size_asked_for():
    found = simulator_speed.measure(600, ["cpu-laptop", "p100x2"], plans=3, repeats=1)
    assert [one.machine for one in found] == ["cpu-laptop", "p100x2"]
    for one in found:
        assert 400 < one.ops < 900
        assert one.step_ms > 0
        assert one.batch_per_s > 0
        assert one.plans_per_s > 0


_RESOURCES = """Graph execution error:

Detected at node Fill defined at (most recent call last):
  File "<frozen runpy>", line 196, in _run_module_as_main
<stack traces unavailable>
OOM when allocating tensor with shape[4294967296] and type float on CPU:0
\t [[{{node Fill}}]]
Hint: If you want to see a list of allocated tensors when OOM happens ..."""


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (_RESOURCES, "OOM when allocating tensor with shape[4294967296] and type float on CPU:0"),
        ("no such batch\nsecond line", "no such batch"),
        ("Graph execution error:", "Graph execution error:"),
        ("", ""),
    ],
)
def test_an_error_is_told_by_the_line_that_says_what_went_wrong(text, told):
    assert process._summary(RuntimeError(text)) == told


_OWN = """
import json
import tensorflow as tf

def direct():
    json.loads("{")

def traced():
    if tf.constant(True):
        direct()
    return 1

def wrapped():
    try:
        direct()
    except ValueError as error:
        raise RuntimeError("of another") from error
"""


@pytest.mark.parametrize(
    ("function", "line", "told"),
    [
        ("direct", 6, "Expecting property name"),
        ("traced", 6, "Expecting property name"),
        ("wrapped", 6, "of another"),
    ],
)
def test_an_error_is_told_with_the_users_own_line(tmp_path, monkeypatch, function, line, told):
    import tensorflow as tf

    (tmp_path / "own_code.py").write_text(_OWN)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "own_code", raising=False)
    called = getattr(importlib.import_module("own_code"), function)
    called = tf.function(called) if function == "traced" else called
    with pytest.raises(Exception, match=told) as raised:
        called()
    assert re.match(rf"\w+: {told}", process.told(raised.value))
    assert process.where(raised.value) == f" (own_code.py, line {line})"
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert process.where(raised.value) == f" ({tmp_path / 'own_code.py'}, line {line})"


def test_an_error_in_nobodys_code_has_no_line():
    with pytest.raises(models.UnknownProgramError) as raised:
        models.check("nothing-like-it")
    traceback = raised.value.__traceback__
    assert process.where(raised.value.with_traceback(traceback.tb_next)) == ""
