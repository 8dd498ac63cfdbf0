"""Measured plans on disk: whatever is in the folder, the program runs."""

import errno
import json
import os
import pathlib
import signal

import numpy as np
import pytest
import tensorflow as tf
from helpers import fuse

import grappler_go
from grappler_go import plan_cache
from grappler_go.bench import everything
from grappler_go.cli import main

pytestmark = pytest.mark.usefixtures("pass_off")

X = tf.constant(np.random.default_rng(4).normal(size=(16, 16)).astype(np.float32))


def step(x):
    for _ in range(6):
        x = tf.tanh(x * 0.9 + 0.1) - tf.sigmoid(x)
    return x


def compilable(name, op):
    return 0 if op in ("Tanh", "Mul", "AddV2", "Sub", "Sigmoid") else None


@pytest.fixture
def graph():
    return grappler_go.capture(step, X)[0]


@pytest.fixture
def plan(graph):
    return grappler_go.decide(graph, fuse(compilable), min_gain=0.0).plan


@pytest.fixture
def stored(graph, plan, tmp_path):
    """The path of an entry with that plan."""
    measured = {"default_ms": 2.0, "plan_ms": 1.0, "candidate": "by hand", "function": "step"}
    return pathlib.Path(plan_cache.store([str(tmp_path)], graph.op_graph(), None, plan, measured))


def run_with(folder, **settings):
    """Runs the step with that cache and the default policy; the report of its graph."""
    expected = tf.function(step)(X).numpy()
    grappler_go.clear_reports()
    with grappler_go.scope(plan_cache=folder, **settings):
        got = tf.function(step)(X).numpy()
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-6)
    return max(grappler_go.reports(), key=lambda report: report.num_nodes)


def test_a_stored_plan_is_applied(stored):
    report = run_with(stored.parent)
    assert report.applied
    assert report.groups == 1
    assert any("1 ms" in note and str(stored) in note for note in report.notes)


def test_a_stored_default_leaves_the_graph_alone_and_says_so(graph, tmp_path):
    plan_cache.store([str(tmp_path)], graph.op_graph(), None, None, {"default_ms": 2.0})
    report = run_with(tmp_path, min_gain=0.0)
    assert not report.applied
    assert "TensorFlow's default is best" in report.outcome


def test_an_empty_and_a_missing_folder_say_nothing(tmp_path):
    assert not run_with(tmp_path).notes
    assert not run_with(tmp_path / "missing").notes


@pytest.mark.parametrize("damage", ["cut", "empty", "other", "version", "verdict", "plan"])
def test_a_corrupt_entry_is_passed_over_and_said(stored, damage):
    text = stored.read_text()
    values = json.loads(text)
    values["version"] = "9.0" if damage == "version" else values["version"]
    values["verdict"] = "maybe" if damage == "verdict" else values["verdict"]
    if damage == "plan":
        values["plan"]["ops"][0]["op"] = 10**9
    damaged = {"cut": text[: len(text) // 2], "empty": "", "other": "[]"}
    stored.write_text(damaged.get(damage, json.dumps(values)))
    report = run_with(stored.parent)
    assert not report.applied
    assert any(str(stored) in note and "not used" in note for note in report.notes), report
    assert plan_cache.read(stored).error or damage in ("verdict", "plan")


@pytest.mark.parametrize(("part", "other"), [("tensorflow", "2.99"), ("cpu", "x"), ("cores", 999)])
def test_an_entry_of_another_machine_is_not_used(stored, part, other):
    values = json.loads(stored.read_text())
    values["key"][part] = other
    stored.write_text(json.dumps(values))
    report = run_with(stored.parent)
    assert not report.applied
    assert any(f'"{part}"' in note for note in report.notes)
    assert not plan_cache.read(stored).used_here()


def test_other_devices_are_another_entry(stored, graph):
    core = grappler_go.native.core()
    here = core.plan_cache_key(graph.op_graph())
    machine = grappler_go.local_machine()
    there = core.plan_cache_key(graph.op_graph(), machine)
    assert here["file_name"] == stored.name != there["file_name"]
    assert there["key"]["devices"]


def test_the_first_folder_that_can_be_written_gets_it(graph, plan, tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    written = plan_cache.store(
        [str(file / "no"), "/proc/no", str(tmp_path / "yes")], graph.op_graph(), None, plan, {}
    )
    assert pathlib.Path(written).parent == tmp_path / "yes"
    # And read from there although the others come first.
    assert run_with([file / "no", "/proc/no", tmp_path / "yes"]).applied


def test_no_folder_that_can_be_written_is_an_error_that_names_each(graph, plan):
    with pytest.raises(OSError, match=r"/proc/a.*; /proc/b"):
        plan_cache.store(["/proc/a", "/proc/b"], graph.op_graph(), None, plan, {})


def test_a_full_disk_leaves_the_old_entry_and_no_litter(stored, graph, plan, monkeypatch):
    before = stored.read_text()

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(plan_cache.os, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        plan_cache.store([str(stored.parent)], graph.op_graph(), None, plan, {})
    assert stored.read_text() == before
    assert [file.name for file in stored.parent.iterdir()] == [stored.name]


def test_two_processes_that_write_at_once_never_leave_a_part(stored):
    text = stored.read_text()
    # A few bytes and many: a part of one would not be taken for the other.
    texts = [text, json.dumps({**json.loads(text), "more": "x" * 100_000})]

    def write_for_ever(text):
        while True:
            plan_cache._write(stored.parent, stored.name, text)

    writers = []
    for one in texts:
        child = os.fork()  # not to start TensorFlow again
        if child == 0:
            write_for_ever(one)
        writers.append(child)
    try:
        lengths = set()
        while lengths != {len(one) for one in texts}:
            assert not plan_cache.read(stored).error
            lengths.add(len(stored.read_text()))
        assert run_with(stored.parent).applied
    finally:
        for child in writers:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def test_fusion_that_is_not_wanted_and_memory_limits_come_first(stored):
    assert not run_with(stored.parent, decisions=("device", "memory")).applied
    assert not run_with(stored.parent, memory_limit="1KB").applied


def test_a_policy_of_ones_own_is_asked_unless_a_cache_is_named(stored, monkeypatch):
    monkeypatch.setenv("GRAPPLER_GO_PLANS", str(stored.parent))
    assert run_with(None).applied
    assert not run_with(None, policy=lambda _: None).applied
    assert run_with(stored.parent, policy=lambda _: None).applied
    assert not run_with(False).applied


def test_folders_are_what_a_user_may_give(monkeypatch, tmp_path):
    monkeypatch.setenv("GRAPPLER_GO_PLANS", "/a:/b")
    assert plan_cache.folders_of(None) == ["/a", "/b"]
    assert plan_cache.folders_of(tmp_path) == [str(tmp_path)]
    assert plan_cache.folders_of([tmp_path, "/c"]) == [str(tmp_path), "/c"]
    assert plan_cache.folders_of(False) == []
    with pytest.raises(TypeError, match="plan_cache=3"):
        plan_cache.folders_of(3)


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf")])
def test_a_compile_budget_makes_sense(seconds):
    with pytest.raises(ValueError, match="compile_budget_s"):
        grappler_go.enable(compile_budget_s=seconds)


def test_without_time_to_compile_the_report_says_so(graph):
    decided = grappler_go.decide(graph, everything.decide, min_gain=0.0, compile_budget_s=0)
    assert decided.graphdef is None
    assert "compile_budget_s" in decided.report.outcome
    again = grappler_go.decide(graph, everything.decide, min_gain=0.0)
    assert again.graphdef is not None


def test_the_command_lists_shows_and_clears(stored, capsys):
    folder = f"--cache={stored.parent}"
    (stored.parent / "ffff-0.json").write_text("no")
    assert main.main(["plan", "cache", "list", folder]) == 0
    said = capsys.readouterr().out
    assert stored.name[:8] in said
    assert "by hand" in said
    assert "unusable" in said
    assert main.main(["plan", "cache", "list", folder, "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 2
    assert main.main(["plan", "cache", "show", stored.name[:6], folder, "--nojson"]) == 0
    assert "group 0" in capsys.readouterr().out
    assert main.main(["plan", "cache", "show", "nothing", folder]) == 1
    assert main.main(["plan", "cache", "clear", stored.name[:6], folder]) == 0
    assert not stored.exists()
    assert (stored.parent / "ffff-0.json").exists()
    assert main.main(["plan", "cache", "clear", folder]) == 0
    assert not list(stored.parent.iterdir())
    assert main.main(["plan", "cache", "what", "is", "this"]) == 2
