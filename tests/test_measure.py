"""Plans run for real: readings, failures, the cache, the cluster; the simulator's error."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import signal
import sys
import time

import helpers
import numpy as np
import pytest
from grappler_go_training import measure
from grappler_go_training.measure import (
    agreement,
    candidates,
    fidelity,
    judge,
    measurement,
    op_times,
    run,
    session,
    worker,
)
from grappler_go_training.measure.measurement import Cache
from grappler_go_training.measure.store import Store

import grappler_go
from grappler_go.bench import models
from grappler_go.cli import main as cli

_PROGRAMS = """
import os, pathlib, signal, time
import numpy as np
import tensorflow as tf

weights = [tf.Variable(tf.ones((32, 32)) / 32) for _ in range(3)]

def step(x):
    with tf.GradientTape() as tape:
        y = x
        for weight in weights:
            y = tf.nn.relu(tf.matmul(y, weight) + 1.0) * 0.5
        loss = tf.reduce_mean(tf.square(y))
    for weight, gradient in zip(weights, tape.gradient(loss, weights)):
        weight.assign_sub(0.01 * gradient)
    return loss

def tiny():
    return step, (tf.ones((8, 32)),)

def misbehave():
    # Does what the file says, and tells how many numbers the step shall take.
    told = pathlib.Path("now").read_text()
    if told == "raise":
        raise ValueError("not today")
    if told == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if told == "hang":
        time.sleep(1000)
    return np.int64(2**32 if told == "allocate" else 8)

def unruly():
    def step(x):
        count = tf.numpy_function(misbehave, [], tf.int64)
        return tf.reduce_sum(tf.tanh(tf.fill([count], x)))
    return step, (tf.constant(1.0),)

def broken():
    with open("started", "a") as file:
        file.write("x")
    raise ValueError("no such data")
"""

_MB = 2**20


@pytest.fixture
def programs(tmp_path, monkeypatch):
    (tmp_path / "measured_programs.py").write_text(_PROGRAMS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _gone(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            return stat.read().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def _await_gone(pids):
    deadline = time.monotonic() + 20
    while not all(map(_gone, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return all(map(_gone, pids))


# ---- one process


def test_plans_are_measured_and_measured_once(programs, monkeypatch):
    name = "measured_programs:tiny"
    graph = measure.capture_graph(name).op_graph()
    machine = candidates.machine_of_kind("one_process")
    fusion = candidates.make_candidates(graph, machine, "one_process", 8)
    fusion = next(one.plan for one in fusion if one.plan.num_groups)
    plans = [None, fusion]
    measured = measure.measure_plans(name, plans, cache="kept")
    assert [one.error for one in measured] == [None, None]
    for one in measured:
        assert len(one.readings_ms) == len(one.reference_readings_ms) == 5
        assert one.median_ms == np.median(one.readings_ms) > 0
        assert one.ratio > 0
        assert one.first_step_ms > 0
        (peak,), (resident,) = one.peak_bytes.values(), one.resident_bytes.values()
        assert peak > resident >= 3 * 32 * 32 * 4
    # Compilation is in the first step only.
    assert measured[1].first_step_ms > 5 * measured[1].median_ms
    # Another prediction, the same decisions: nothing is started.
    monkeypatch.setattr(run, "Session", lambda *_, **__: pytest.fail("measured again"))
    again = fusion.copy()
    again.micros_after, again.policy = 5.0, "somebody else"
    assert measure.measure_plans(name, [None, again], cache="kept") == measured


@pytest.mark.slow
def test_a_plan_under_which_the_worker_fails_leaves_the_others_theirs(programs):
    now = programs / "now"
    now.write_text("go on")
    faults = ["go on", "raise", "go on", "kill", "go on", "hang", "go on", "allocate", "go on"]
    seen = []

    def before_the_next(number, one):
        seen.append(number)
        now.write_text([*faults, ""][number + 1])

    measured = measure.measure_plans(
        "measured_programs:unruly",
        [None] * len(faults),
        timeout_s=15,
        memory_limit=2048 * _MB,
        on_measured=before_the_next,
    )
    assert seen == list(range(len(faults)))
    errors = {fault: one.error for fault, one in zip(faults, measured, strict=True) if one.error}
    assert set(errors) == {"raise", "kill", "hang", "allocate"}, measured
    assert "not today" in errors["raise"]
    assert "signal 9" in errors["kill"]
    assert "no answer within 15 s" in errors["hang"]
    assert "OOM" in errors["allocate"] or "memory" in errors["allocate"], errors


def test_programs_of_bench_gains_have_their_names():
    step, args = worker.make("k-means")
    assert callable(step)
    assert args
    with pytest.raises(models.UnknownProgramError, match="k-mean-s"):
        worker.make("k-mean-s")


def test_a_program_that_cannot_be_made_is_tried_once(programs):
    measured = measure.measure_plans("measured_programs:broken", [None, None, None])
    (error,) = {one.error for one in measured}
    told = "the program did not start: ValueError: no such data"
    assert re.fullmatch(rf"{told} \(measured_programs\.py, line \d+\)", error), error
    assert (programs / "started").read_text() == "x"


def test_a_step_is_profiled_op_by_op(programs):
    with measure.Session("measured_programs:tiny") as one:
        micros = one.op_micros()
        graph = one.graph.op_graph()
        found = op_times.by_type(graph, micros, candidates.machine_of_kind("one_process"))
    kinds = {each.op: each for each in found}
    products = [op for op in graph.ops if "MatMul" in op]
    assert sum(each.ops for op, each in kinds.items() if "MatMul" in op) == len(products)
    assert all(0 < each.measured_us < 1e6 for each in found if "MatMul" in each.op)
    assert all(each.simulated_us > 0 for each in found if "MatMul" in each.op)


def test_a_plan_for_another_graph_is_refused_and_the_session_goes_on(programs):
    with measure.Session("measured_programs:tiny") as running:
        plan = grappler_go.Plan(running.graph.op_graph())
        text = json.loads(plan.to_json())
        text["fingerprint"] = "0" * len(plan.fingerprint)
        other = type(plan).from_json(json.dumps(text))
        other.fusion_group = np.zeros(other.num_ops, np.int32)
        with pytest.raises(measure.WorkerError, match="the plan is for graph 0000") as raised:
            running.measure(other)
        assert raised.value.alive
        plan.recompute = np.ones(plan.num_ops, np.uint8)
        with pytest.raises(measure.WorkerError, match="the plan was not applied"):
            running.measure(plan)
        assert running.measure(None).median_ms > 0
        pids = running.pids
    assert _await_gone(pids)


_KILLED_PARENT = """
import os, pathlib, signal, time
from grappler_go_training import measure
now = pathlib.Path("now")
now.write_text("go on")
running = measure.Session("measured_programs:unruly")
print(*running.pids, flush=True)
# In the middle of a step, where nobody looks whether the pipe is closed.
now.write_text("hang")
running._worker.send({"do": "step", "plan": ""})
time.sleep(1)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_busy_worker_does_not_outlive_a_parent_that_was_killed(programs):
    done = helpers.run_python(_KILLED_PARENT, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    pids = [int(pid) for pid in done.stdout.split()]
    assert pids
    try:
        assert _await_gone(pids)
    finally:
        for pid in pids:
            if not _gone(pid):
                os.kill(pid, signal.SIGKILL)


# ---- the cluster


def test_a_placement_runs_on_two_workers_which_end_with_the_session(programs):
    with measure.Session("measured_programs:tiny", "cluster") as running:
        pids = running.pids
        assert len(pids) == 3
        cores = [os.sched_getaffinity(pid) for pid in pids[1:]]
        assert all(len(one) == 1 for one in cores)
        assert cores[0] != cores[1]
        graph = running.graph.op_graph()
        # Nothing that takes time is left on the process that drives the cluster.
        elsewhere = {
            op
            for op, device in zip(graph.ops, graph.devices, strict=True)
            if device != session.DEVICES["cluster"][0]
        }
        assert elsewhere <= {"Const", "Identity", "NoOp", "_Arg", "_Retval"}
        machine = candidates.machine_of_kind("cluster")
        # NoOps move, too: no kernel but the one for any device is theirs.
        plans = candidates.make_candidates(graph, machine, "cluster", 8, seed=3)
        moved = max(plans, key=lambda one: one.plan.num_moved).plan
        here, there = running.measure(None), running.measure(moved)
    assert _await_gone(pids)
    first, second = session.DEVICES["cluster"]
    assert here.peak_bytes[second] == 0
    assert there.peak_bytes[second] > 0
    assert there.peak_bytes[first] > 0
    assert min(here.median_ms, there.median_ms) > 0


def test_an_inference_on_the_cluster_is_not_optimised_away(monkeypatch):
    import tensorflow as tf

    monkeypatch.setattr(worker, "FIRST_WORKER", "/device:CPU:0")
    x = tf.ones((4, 4))
    step = worker._on_cluster(lambda x: tf.tanh(tf.matmul(x, x)), (x + 1.0,))
    graph = grappler_go.capture(step, trace=False)[0].op_graph()
    assert {"MatMul", "Tanh"} <= set(graph.ops)


def test_a_cluster_needs_a_core_for_each_worker(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    with pytest.raises(ValueError, match="needs 2 cores; this process may use 1"):
        measure.measure_plans("mlp-train", [None], kind="cluster")
    with pytest.raises(ValueError, match="no kind 'gpu'; there are one_process, cluster"):
        measure.measure_plans("mlp-train", [None], kind="gpu")


# ---- what is kept

_GOOD = measure.Measurement(None, 2.0, (1.0, 2.0, 4.0), (2.0, 2.0, 2.0), 9.0, {"a": 5}, {"a": 3})


def _small_graph():
    import tensorflow as tf

    weights = [tf.Variable(tf.ones((64, 64))) for _ in range(6)]

    @tf.function
    def step(x):
        with tf.GradientTape() as tape:
            for weight in weights:
                x = tf.tanh(tf.matmul(x, weight)) * 2.0 + 1.0
            loss = tf.reduce_sum(x)
        for weight, gradient in zip(weights, tape.gradient(loss, weights), strict=True):
            weight.assign_sub(0.01 * gradient)
        return loss

    return grappler_go.capture(step, tf.ones((64, 64)))[0]


@pytest.fixture(scope="module")
def small_graph():
    return _small_graph()


def test_the_cache_keeps_measurements_and_no_failures(tmp_path, small_graph):
    kept = Cache(tmp_path)
    plan = grappler_go.Plan(small_graph.op_graph())
    key = kept.key("p", plan, kind="cluster")
    assert key == kept.key("p", None, kind="cluster")
    plan.recompute = np.ones(plan.num_ops, np.uint8)
    others = {kept.key("p", plan, kind="cluster"), kept.key("p", None, kind="one_process")}
    assert len({key, kept.key("q", None, kind="cluster")} | others) == 4
    kept.put(key, measure.Measurement(error="died"))
    assert kept.get(key) is None
    kept.put(key, _GOOD)
    assert Cache(tmp_path).get(key) == _GOOD
    (tmp_path / f"{key}.json").write_text('{"median_ms": 1')
    assert kept.get(key) is None


def test_a_ratio_is_taken_turn_by_turn():
    assert _GOOD.ratio == 1.0
    assert _GOOD.reference_ms == 2.0
    assert measure.Measurement(error="died").ratio == 0.0


# ---- plans to compare with


@pytest.mark.parametrize("kind", measure.KINDS)
def test_candidates_are_valid_all_different_and_repeatable(small_graph, kind):
    graph = small_graph.op_graph()
    machine = candidates.machine_of_kind(kind)
    if kind == "cluster":  # as if it had been captured there
        first = session.DEVICES["cluster"][0]
        home = session.DEVICES["one_process"][0]
        graphdef = small_graph.graphdef
        import tensorflow as tf

        moved = tf.compat.v1.GraphDef.FromString(graphdef)
        for node in moved.node:
            node.device = node.device.replace(home, first)
        small = dataclasses.replace(small_graph, graphdef=moved.SerializeToString())
        graph = small.op_graph()
    made = candidates.make_candidates(graph, machine, kind, 12)
    assert len(made) == 12
    assert len({json.dumps(measurement._decisions(one.plan)) for one in made}) == 12
    for one in made:
        one.plan.validate(graph)
        kinds = {
            "fusion": one.plan.num_groups,
            "recompute": one.plan.num_recomputed,
            "device": one.plan.num_moved,
        }
        assert {name for name, count in kinds.items() if count} == {one.decides} - {"nothing"}
    wanted = {"device"} if kind == "cluster" else {"fusion", "recompute"}
    assert {one.decides for one in made} == wanted | {"nothing"}
    again = candidates.make_candidates(graph, machine, kind, 12)
    assert [one.name for one in again] == [one.name for one in made]
    if kind == "cluster":
        # The second judge tells placements apart.
        told = [judge.grappler_ms(small, one.plan, machine) for one in made]
        assert min(told) > 0
        assert len(set(told)) > 3


def test_the_second_judge_knows_gpus_and_variables_that_move(small_graph):
    machine = grappler_go.load_machine("p100x2")
    graph = small_graph.op_graph()
    devices = [dict(device) for device in machine.devices]
    devices[1] |= {"gflops": devices[1]["gflops"] / 50, "gbytes_per_s": 5}
    slow = grappler_go.Machine("a slow GPU", devices=devices, links=machine.links)

    def told(device, machine):
        plan = grappler_go.Plan(graph)
        plan.free_state = True
        plan.devices = [one["name"] for one in machine.devices]
        plan.device = np.full(graph.num_ops, device, np.int32)
        return judge.grappler_ms(small_graph, plan, machine)

    assert told(1, machine) == told(0, machine)
    assert told(1, slow) > 2 * told(0, slow)
    assert told(0, slow) == told(0, machine)
    little = [{**device, "memory_bytes": 1} for device in machine.devices]
    full = grappler_go.Machine("no memory", devices=little, links=machine.links)
    assert told(0, full) == told(0, machine), "of time alone"


def test_a_worker_of_a_cluster_has_a_cores_share_of_the_machine():
    server = grappler_go.load_machine("cpu-server")
    cpu = server.devices[0]
    made = candidates.machine_of_kind("cluster", server)
    assert [device["name"] for device in made.devices] == list(session.DEVICES["cluster"])
    assert made.devices[1]["gflops"] == pytest.approx(cpu["gflops"] / cpu["cores"])
    assert made.devices[1]["cores"] == 1
    assert made.devices[1]["achieved"] == cpu["achieved"]
    assert len(made.links) == 2
    assert candidates.machine_of_kind("cluster", made) is made
    assert candidates.machine_of_kind("one_process", server) is server


# ---- the comparison


def _row(plan, ms, simulated_ms, **more):
    return agreement.Row(
        "p", "cluster", plan, "device", plan, ms=ms, reference_ms=10.0, ratio=ms / 10.0,
        simulated_ms=simulated_ms, simulated_reference_ms=5.0,
        **{"peak_bytes": 100, "resident_bytes": 60, "simulated_peak_bytes": 80,
           "simulated_resident_bytes": 60, **more},
    )  # fmt: skip


def test_agreement_by_hand():
    rows = [
        _row("a", 10.0, 5.0, judge_ms=3.0),
        _row("b", 10.2, 7.0, judge_ms=2.0),  # within 5 % of a: their order does not count
        _row("c", 20.0, 6.0, judge_ms=1.0),
        _row("d", 40.0, 20.0, judge_ms=4.0),
        dataclasses.replace(_row("e", 0.0, 1.0), error="died"),
    ]
    found = agreement.agreement(rows)
    assert (found.plans, found.failed, found.pairs) == (4, 1, 5)
    assert found.pairs_right == pytest.approx(4 / 5)  # c before b is wrong
    assert found.judge_right == pytest.approx(3 / 5)  # d after the others, c before a, b
    assert found.judge_agrees == pytest.approx(4 / 5)
    # Ranks 0, 0, 1, 2 against 0, 2, 1, 3.
    assert found.spearman == pytest.approx(0.6324, abs=1e-3)
    assert found.time_error == pytest.approx(0.5)
    assert found.ratio_error == pytest.approx((0.0 + (1.4 / 1.02 - 1)) / 2)
    assert found.memory_error == pytest.approx(0.2)
    assert found.above_resident_error == pytest.approx(0.5)
    assert set(found.missed) == {"spearman", "time_error", "memory_error", "judge_agrees"}
    assert found.missed["time_error"] == found.time_error


def test_nothing_measured_has_no_figures():
    found = agreement.agreement([dataclasses.replace(_row("a", 0.0, 1.0), error="died")])
    assert (found.plans, found.failed, found.spearman, found.time_error) == (0, 1, None, None)
    assert found.missed == {}


@pytest.fixture
def no_processes(monkeypatch, small_graph):
    """measure_plans() answers at once; the third plan fails."""
    asked = []

    def measure_plans(program, plans, *, on_measured, **_):
        for number, _ in enumerate(plans):
            asked.append((program, number))
            good = dataclasses.replace(_GOOD, median_ms=1.0 + number)
            on_measured(number, measure.Measurement(error="died") if number == 2 else good)

    monkeypatch.setattr(fidelity, "capture_graph", lambda *_, **__: small_graph)
    monkeypatch.setattr(fidelity, "measure_plans", measure_plans)
    return asked


def test_fidelity_goes_on_where_it_was_stopped(tmp_path, no_processes):
    out = tmp_path / "folder" / "rows.jsonl"
    compared = fidelity.Fidelity(["p"], ["one_process"], plans=5, out=out)
    rows = compared.run()
    assert len(rows) == len(no_processes) == 5
    assert [row.error for row in rows].count("died") == 1
    assert Store(out).rows() == rows
    # Stopped in the middle of a line: that plan and the failed one are run again.
    whole = out.read_text().splitlines(keepends=True)
    out.write_text("".join(whole[:4]) + whole[4][:20])
    no_processes.clear()
    again = compared.run()
    assert len(no_processes) == 2
    assert [row.plan for row in again] == [row.plan for row in rows]
    assert len(Store(out).rows()) == 5
    # Other costs: simulated again, not measured again.
    no_processes.clear()
    slow = grappler_go.load_machine("cpu-laptop")
    other = dataclasses.replace(compared, machine=slow).run()
    assert [row.ms for row in other] == [row.ms for row in again]
    assert all(a.simulated_ms != b.simulated_ms for a, b in zip(other, again, strict=True))


def test_what_was_measured_is_simulated_again_without_running(tmp_path, no_processes):
    out = tmp_path / "rows.jsonl"
    rows = fidelity.Fidelity(["p", "q"], ["one_process"], plans=5, out=out).run()
    no_processes.clear()
    same, left = fidelity.simulate_again(out)
    assert (same, left, no_processes) == (rows, 0, [])
    slow = grappler_go.load_machine("cpu-laptop")
    other, left = fidelity.simulate_again(out, slow)
    assert (left, no_processes) == (0, [])
    assert Store(out).rows() == other
    for before, after in zip(rows, other, strict=True):
        assert (after.key, after.ms, after.error) == (before.key, before.ms, before.error)
        assert after.simulated_ms != before.simulated_ms
        assert after.simulated_reference_ms != before.simulated_reference_ms
    # A row without its plan is still a row.
    next((tmp_path / "rows.plans").glob(f"{rows[1].key}.json")).unlink()
    again, left = fidelity.simulate_again(out)
    assert left == 1
    assert [row.simulated_ms for row in again if row.key == rows[1].key] == [other[1].simulated_ms]
    assert again[0].simulated_ms == rows[0].simulated_ms


def test_measured_plans_stay_when_others_would_be_made_now(tmp_path, no_processes):
    out = tmp_path / "rows.jsonl"
    compared = fidelity.Fidelity(["p"], ["one_process"], plans=5, out=out)
    rows = compared.run()
    no_processes.clear()
    again = dataclasses.replace(compared, plans=8, seed=1).run()
    assert {row.key for row in rows} < {row.key for row in again}
    assert len(again) == 8
    assert len(no_processes) == 4  # three more, and the one that had failed


def test_a_file_that_is_none_of_ours_is_refused(tmp_path):
    (tmp_path / "x.jsonl").write_text('{"a": 1}\n')
    with pytest.raises(ValueError, match=r"x\.jsonl, line 1: not a row"):
        Store(tmp_path / "x.jsonl").rows()


def test_the_command_prints_stores_and_draws(tmp_path, no_processes, capsys):
    chart, rows = tmp_path / "f.png", tmp_path / "f.jsonl"
    flags = [f"--chart={chart}", f"--out={rows}", "--plans=4", "--kinds=one_process"]
    # 1: a plan could not be measured.
    assert cli.main(["bench", "fidelity", "mlp-train", "--nojson", *flags]) == 1
    shown = capsys.readouterr().out
    assert "mlp-train" in shown
    assert "failed: died" in shown
    assert chart.stat().st_size > 1000
    # The one that failed is tried again, alone, and goes well this time.
    assert cli.main(["bench", "fidelity", "mlp-train", "--json", *flags]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["fidelity"][0]["plans"] == 4
    assert told["failed"] == []
    before = [row.ms for row in Store(rows).rows()]
    flags = [f"--out={rows}", "--machine=cpu-laptop", "--json"]
    assert cli.main(["bench", "fidelity", "--simulate_again", *flags]) == 0
    assert json.loads(capsys.readouterr().out)["fidelity"][0]["plans"] == 4
    assert [row.ms for row in Store(rows).rows()] == before
    assert cli.main(["bench", "fidelity", "mlp-train", "--simulate_again", *flags]) == 2
    assert "no programs" in capsys.readouterr().err


def test_without_the_training_package_the_command_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "grappler_go_training.measure.fidelity", None)
    assert cli.main(["bench", "fidelity"]) == 2
    assert "pip install 'grappler-go[" in capsys.readouterr().err
