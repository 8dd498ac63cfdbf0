"""What all baselines have in common: their plans are ones that may be applied, their table,
their errors, and what they know of a graph."""

from __future__ import annotations

import dataclasses
import sys

import numpy as np
import pytest
from baseline_graphs import CPU, OPTIONAL, cpus, make, op_graph
from grappler_go_training import baselines
from grappler_go_training.baselines import costs, list_schedule

import grappler_go

_PLACERS = [name for name, one in baselines.BASELINES.items() if one.decides == "device"]


@pytest.mark.parametrize("name", baselines.BASELINES)
def test_every_plan_is_valid_named_and_repeatable(name, training):
    machine = cpus(3)
    plan = make(name, training, machine, seed=7)
    plan.validate(training)
    assert plan.policy == f"baseline:{name}"
    assert plan.machine == machine.name
    assert make(name, training, machine, seed=7).to_json() == plan.to_json()
    rewritten = training.graphdef if plan.empty else _apply(plan, training)
    assert rewritten


@pytest.mark.parametrize("name", baselines.BASELINES)
def test_nothing_to_decide_is_an_empty_plan(name, branches):
    empty = grappler_go.OpGraph(b"")
    plan = make(name, empty, cpus(2))
    plan.validate(empty)
    assert plan.empty
    if baselines.BASELINES[name].decides == "device":
        assert make(name, branches, cpus(1)).empty


@pytest.mark.parametrize("name", baselines.BASELINES)
def test_unknown_shapes_count_as_nothing(name):
    import tensorflow as tf

    signature = [tf.TensorSpec((None, None), tf.float32)]
    step = tf.function(lambda x: tf.reduce_sum(tf.matmul(tf.tanh(x), x)), signature)
    graph = op_graph(step, tf.ones((8, 8)))
    assert grappler_go.simulate(graph, None, cpus(2)).unknown_outputs > 0
    make(name, graph, cpus(2)).validate(graph)


def test_rows_say_what_a_table_needs(branches):
    seen = []
    rows = baselines.run_baselines(
        branches,
        cpus(2, memory_bytes=1000),
        ["tensorflow_default", "heft", "sqrt_n"],
        progress=lambda name, done, total: seen.append((name, done, total)),
    )
    assert [row.name for row in rows] == ["tensorflow_default", "heft", "sqrt_n"]
    assert all(row.out_of_memory and row.plan is not None and not row.error for row in rows)
    assert list(rows[0].peak_bytes) == [f"{CPU}0", f"{CPU}1"]
    assert seen == [("tensorflow_default", 0, 3), ("heft", 1, 3), ("sqrt_n", 2, 3), ("", 3, 3)]
    values = rows[0].to_dict()
    assert "plan" not in values
    assert set(values) == {f.name for f in dataclasses.fields(rows[0])} - {"plan"}


def test_what_makes_no_sense_is_refused(branches):
    with pytest.raises(ValueError, match=r"no baseline 'best'; there are tensorflow_default"):
        baselines.make_plan("best", branches, cpus(2))
    with pytest.raises(ValueError, match="no baseline 'best'"):
        baselines.run_baselines(branches, cpus(2), ["heft", "best"])
    for wrong in ({"plans": -1}, {"seconds": -0.5}, {"seconds": float("nan")}):
        with pytest.raises(ValueError, match="budget"):
            baselines.Budget(**wrong)


def test_a_missing_package_says_how_to_install_it(branches, monkeypatch):
    monkeypatch.setitem(sys.modules, "pymetis", None)
    with pytest.raises(baselines.MissingPackage, match=r"pip install grappler-go\[baselines\]"):
        baselines.make_plan("metis", branches, cpus(2))
    rows = baselines.run_baselines(branches, cpus(2), ["metis", "heft"])
    assert "pip install" in rows[0].error
    assert rows[0].step_ms is None
    assert rows[1].step_ms > 0


def test_units_are_what_the_core_lets_move(training):
    """Each op that may move, does so with its unit, and the core accepts it; of the
    others it accepts none."""
    problem = baselines.Problem(training, cpus(2))
    assert 0 < problem.pinned.sum() < problem.num_units
    for unit in range(problem.num_units):
        plan = grappler_go.Plan(training)
        plan.devices = [f"{CPU}1"]
        plan.device = np.where(problem.unit_of == unit, 0, -1)
        if problem.pinned[unit]:
            with pytest.raises(ValueError, match="may not be moved"):
                plan.validate(training)
        else:
            plan.validate(training)


def test_colocated_ops_share_a_device():
    import tensorflow as tf

    def step(x):
        a = tf.matmul(x, x, name="first")
        for k in range(6):
            with tf.compat.v1.colocate_with(a.op):
                a = tf.matmul(a, x, name=f"next{k}")
        return a

    with tf.Graph().as_default() as built:
        x = tf.compat.v1.placeholder(tf.float32, (256, 256))
        tf.identity(step(x), name="result")
    graph = grappler_go.OpGraph(built.as_graph_def().SerializeToString(), ["result"])
    groups = graph.colocation_group
    assert (groups >= 0).sum() >= 6
    for name in _PLACERS:
        if name in OPTIONAL and name not in _installed():
            continue
        plan = make(name, graph, cpus(2))
        plan.validate(graph)
        if plan.device is not None:
            assert len(set(plan.device[groups >= 0])) == 1


def _installed():
    import importlib.util

    return [n for n, package in OPTIONAL.items() if importlib.util.find_spec(package)]


def test_tensors_that_cannot_be_sent_keep_their_readers():
    import tensorflow as tf

    with tf.Graph().as_default() as built:
        words = tf.compat.v1.placeholder(tf.string, (4,), name="words")
        tf.identity(tf.identity(words, name="copy"), name="result")
        tf.identity(tf.compat.v1.placeholder(tf.float32, (4,), name="numbers"), name="other")
    graph = grappler_go.OpGraph(built.as_graph_def().SerializeToString(), ["result"])
    problem = baselines.Problem(graph, cpus(2))
    unit = {name: int(problem.unit_of[graph.find(name)]) for name in graph.names}
    assert unit["words"] == unit["copy"] == unit["result"]
    assert problem.pinned[unit["copy"]]
    assert unit["numbers"] != unit["other"]
    assert not problem.pinned[unit["other"]]


def test_times_are_the_simulators(training):
    machine = cpus(2, cores=4)
    micros = costs.op_micros(training, machine)
    step = grappler_go.simulate(training, None, cpus(1, cores=4), inter_op_threads=1)
    assert micros[:, 0].sum() == pytest.approx(step.step_ms * 1e3)
    np.testing.assert_array_equal(micros[:, 0], micros[:, 1])


def test_ranks_are_longest_paths(branches):
    problem = baselines.Problem(branches, cpus(2))
    ranks = list_schedule.upward_ranks(problem)
    t = problem.tensors
    transfer = 10.0 + t.bytes[t.edge_tensor] / 10e3  # 10 GB/s
    for op in range(branches.num_ops):
        out = t.edge_src == op
        below = (ranks[t.edge_dst[out]] + transfer[out]).max(initial=0.0)
        assert ranks[op] == pytest.approx(problem.micros[op].mean() + below)


def _apply(plan, graph):
    from grappler_go import _core

    rewritten = _core.apply_plan(plan, graph)
    _core.verify_rewrite(graph, rewritten, plan.devices)
    return rewritten
