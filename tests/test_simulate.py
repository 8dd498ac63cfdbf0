"""Simulated steps: the arrays and results in Python, the trace, the picture, the
command line. When things happen is tested in C++ (cc/sim/*_test.cc)."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest

import grappler_go
from grappler_go.cli.main import command_module, main

_CPU = "/job:localhost/replica:0/task:0/device:CPU:"


@pytest.fixture(scope="module")
def captured():
    """A step with a backward pass."""
    import tensorflow as tf

    weights = tf.Variable(tf.random.stateless_normal((64, 64), (1, 2)))

    def step(x):
        with tf.GradientTape() as tape:
            h = x
            for _ in range(3):
                h = tf.tanh(tf.matmul(h, weights))
            loss = tf.reduce_sum(h)
        weights.assign_sub(0.1 * tape.gradient(loss, weights))
        return loss

    return grappler_go.capture(step, tf.ones((32, 64)))[0]


@pytest.fixture(scope="module")
def graph(captured):
    return captured.op_graph()


@pytest.fixture
def machine():
    """Two CPUs of four cores and a link that takes 10 microseconds."""
    device = {"type": "CPU", "gflops": 100.0, "gbytes_per_s": 20.0, "cores": 4}
    return grappler_go.Machine(
        "two",
        devices=[{"name": f"{_CPU}{i}", **device} for i in range(2)],
        links=[{"src": a, "dst": 1 - a, "gbytes_per_s": 10.0, "latency_us": 10.0} for a in (0, 1)],
    )


@pytest.fixture
def moved(graph):
    """A plan that puts every other product of matrices on the second CPU."""
    plan = grappler_go.Plan(graph)
    plan.devices = [f"{_CPU}1"]
    device = np.full(graph.num_ops, -1, np.int32)
    device[[i for i, op in enumerate(graph.ops) if op == "MatMul"][::2]] = 0
    plan.device = device
    return plan


def test_a_step_is_the_sum_of_its_ops_on_one_thread(graph, machine):
    micros = np.arange(graph.num_ops, dtype=np.float32)
    result = grappler_go.simulate(
        graph, None, machine, op_micros=micros, fused_micros=micros, inter_op_threads=1
    )
    # The first TanhGrad alone cannot write over an input: one is a constant, the other
    # is read by a product, too. Memory of its own is 33 microseconds a megabyte.
    expected = micros.sum() + 33e-6 * 32 * 64 * 4
    assert result.step_ms == pytest.approx(expected / 1e3)
    assert result.busy_ms == {f"{_CPU}0": pytest.approx(result.step_ms), f"{_CPU}1": 0.0}
    assert result.transfers == 0
    assert result.timeline is None
    assert not result.out_of_memory


def test_a_captured_graph_and_its_op_graph_are_the_same(captured, graph):
    assert grappler_go.simulate(captured) == grappler_go.simulate(graph)


def test_moved_ops_make_transfers(graph, machine, moved):
    before = grappler_go.simulate(graph, None, machine)
    after = grappler_go.simulate(graph, moved, machine, timeline=True)
    assert after.transfers > 0
    assert after.transfer_ms >= 0.010 * after.transfers
    assert after.busy_ms[f"{_CPU}1"] > 0
    assert after.peak_bytes[f"{_CPU}1"] > 0
    assert before.peak_bytes[f"{_CPU}1"] == 0
    timeline = after.timeline
    assert len(timeline.transfers["op"]) == after.transfers
    assert int(timeline.transfers["bytes"].sum()) == after.transfer_bytes
    assert timeline.tasks["end"].max() == pytest.approx(after.step_ms * 1e3)
    on_second = timeline.tasks["op"][timeline.tasks["device"] == 1]
    assert {graph.ops[i] for i in on_second} == {"MatMul"}


def test_too_little_memory_is_said(graph, machine):
    small = json.loads(machine.to_json())
    small["devices"][0]["memory_bytes"] = 1000
    result = grappler_go.simulate(graph, None, grappler_go.Machine.from_json(json.dumps(small)))
    assert result.out_of_memory
    assert [device.out_of_memory for device in result.devices] == [True, False]


def test_many_plans_are_as_each_alone(graph, machine, moved):
    plans = [None, moved, grappler_go.Plan(graph)]
    alone = [grappler_go.simulate(graph, plan, machine) for plan in plans]
    for threads in (0, 1, 5):
        assert grappler_go.simulate_plans(graph, plans, machine, threads=threads) == alone
    assert grappler_go.simulate_plans(graph, [], machine) == []


def test_without_a_machine_it_is_of_the_devices_named(graph, moved):
    result = grappler_go.simulate(graph, moved)
    assert [device.name for device in result.devices] == [f"{_CPU}0", f"{_CPU}1"]


def test_what_makes_no_sense_is_refused(graph, machine, moved):
    other = grappler_go.Plan.from_json(moved.to_json().replace(moved.fingerprint, "0" * 32))
    with pytest.raises(ValueError, match="another graph"):
        grappler_go.simulate(graph, other, machine)
    with pytest.raises(ValueError, match="which the machine does not have"):
        grappler_go.simulate(graph, moved, ["CPU:0"])
    with pytest.raises(ValueError, match="shape"):
        grappler_go.simulate(graph, None, machine, priority=[1.0, 2.0])
    bad = np.full(graph.num_ops, -1.0)
    with pytest.raises(ValueError, match="takes -1"):
        grappler_go.simulate(graph, None, machine, op_micros=bad, fused_micros=bad)
    with pytest.raises(ValueError, match="give both or none"):
        grappler_go.simulate(graph, None, machine, op_micros=np.ones(graph.num_ops))
    with pytest.raises(ValueError, match="known are one_at_a_time"):
        grappler_go.simulate(graph, None, machine, links="both")
    with pytest.raises(TypeError, match="unknown simulator option"):
        grappler_go.simulate(graph, None, machine, cores=3)


def test_the_trace_has_every_task_in_its_place(graph, machine, moved, tmp_path):
    result = grappler_go.simulate(graph, moved, machine, timeline=True)
    result.timeline.to_chrome_trace(tmp_path / "trace.json")
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    spans = [event for event in events if event["ph"] == "X"]
    tasks = sum(device.tasks for device in result.devices)
    assert len(spans) == tasks + result.transfers
    assert sum(event["cat"] == "transfer" for event in spans) == result.transfers
    assert {event["cat"] for event in spans} == {"forward", "backward", "transfer"}
    last = max(event["ts"] + event["dur"] for event in spans)
    assert last == pytest.approx(result.step_ms * 1e3)
    by_thread = {}
    for event in spans:
        by_thread.setdefault((event["pid"], event["tid"]), []).append(event)
    for row in by_thread.values():
        row.sort(key=lambda event: event["ts"])
        for before, after in itertools.pairwise(row):
            assert before["ts"] + before["dur"] <= after["ts"] + 1e-6
    named = {
        event["args"]["name"] for event in events if event["ph"] == "M" and "name" in event["args"]
    }
    assert {f"{_CPU}0", f"{_CPU}1", "links", "CPU:0 to CPU:1"} <= named


def test_groups_and_clones_are_told_apart(graph, machine):
    plan = grappler_go.Plan(graph)
    forward = [
        i
        for i, op in enumerate(graph.ops)
        if op in ("MatMul", "Tanh") and not graph.flags[i] & graph.flag_names()["backward"]
    ]
    group = np.full(graph.num_ops, -1, np.int32)
    group[forward[:2]] = 0
    plan.fusion_group = group
    recompute = np.zeros(graph.num_ops, np.uint8)
    recompute[forward[3]] = 1
    plan.recompute = recompute
    kinds = grappler_go.simulate(graph, plan, machine, timeline=True).timeline.kinds()
    assert kinds.count("group") == 1
    assert kinds.count("clone") == 1


def test_a_picture_is_drawn(graph, machine, moved, tmp_path):
    pytest.importorskip("matplotlib")
    timeline = grappler_go.simulate(graph, moved, machine, timeline=True).timeline
    timeline.draw(tmp_path / "step.png", "a title")
    assert (tmp_path / "step.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ValueError, match="nothing"):
        timeline.draw(tmp_path / "step.nothing")


@pytest.fixture
def run_command(capsys):
    """Runs grappler-go simulate here: (exit status, standard output, standard error)."""

    def run(*arguments):
        status = main(["simulate", *map(str, arguments)])
        said = capsys.readouterr()
        return status, said.out, said.err

    yield run
    values = command_module("simulate").FLAGS
    values.unparse_flags()
    for name in values:
        values[name].unparse()


def test_the_command_compares_and_writes(run_command, captured, graph, machine, moved, tmp_path):
    captured.save(tmp_path / "step.pb")
    grappler_go.save_plan(moved, tmp_path / "plan.json", graph)
    (tmp_path / "machine.json").write_text(machine.to_json())
    status, out, _ = run_command(
        tmp_path / "step.pb",
        f"--plan={tmp_path / 'plan.json'}",
        f"--machine={tmp_path / 'machine.json'}",
        f"--trace={tmp_path / 'trace.json'}",
        "--json",
    )
    assert status == 0
    told = json.loads(out)
    assert list(told) == ["without the plan", "with the plan"]
    assert told["with the plan"]["transfers"] > told["without the plan"]["transfers"] == 0
    assert json.loads((tmp_path / "trace.json").read_text())["traceEvents"]


def test_the_command_prints_tables(run_command, captured, tmp_path):
    captured.save(tmp_path / "step.pb")
    status, out, _ = run_command(tmp_path / "step.pb", "--machine=CPU:0,CPU:1")
    assert status == 0
    assert "as it stands" in out
    assert "CPU:1" in out


def test_the_command_says_what_is_wrong(run_command, captured, tmp_path):
    assert run_command()[0] == 2
    captured.save(tmp_path / "step.pb")
    status, _, err = run_command(tmp_path / "step.pb", f"--plan={tmp_path / 'none.json'}")
    assert status == 1
    assert "none.json" in err
