"""m-SCT: its linear program, what it is solved for in large graphs, and what the scheduler
makes of the answer."""

from __future__ import annotations

import numpy as np
import pytest
from baseline_graphs import cpus, is_acyclic, make, op_graph
from grappler_go_training import baselines
from grappler_go_training.baselines import baechi, coarsen, sct_lp

import grappler_go


def test_favourite_children_stay_together():
    """A fork of two children over a slow link: one follows its parent without a
    transfer, and m-SCT waits for it where m-ETF lets another op in."""
    import tensorflow as tf

    def step(x):
        a = tf.tanh(tf.matmul(x, x))
        left = tf.matmul(a, a)
        right = tf.matmul(a, x)
        return tf.reduce_sum(tf.matmul(left, left)), tf.reduce_sum(tf.matmul(right, right))

    graph = op_graph(step, tf.ones((256, 256)))
    machine = cpus(2, gbytes_per_s=1.0)
    problem = baselines.Problem(graph, machine)
    child = sct_lp.favourite_children(problem)
    assert len(set(child) - {-1}) == len([c for c in child if c >= 0])
    plan = make("m_sct", graph, machine)
    device = np.zeros(graph.num_ops, int) if plan.device is None else np.maximum(plan.device, 0)
    pairs = [
        (i, c) for i, c in enumerate(child) if c >= 0 and graph.ops[i] == graph.ops[c] == "MatMul"
    ]
    assert len(pairs) >= 2
    assert all(device[i] == device[c] for i, c in pairs)
    # The program has one child of the fork as favourite, not both nor none.
    fork = graph.ops.index("Tanh")
    assert graph.ops[child[fork]] == "MatMul"


def test_the_favourite_child_is_on_the_critical_path():
    """Of one long op and a chain of short ones with more transfers between them, the long
    one follows without a transfer."""
    import tensorflow as tf

    def step(x):
        a = tf.sin(x)
        chain = a
        for _ in range(4):
            chain = tf.tanh(chain)
        return tf.matmul(a, a), chain

    graph = op_graph(step, tf.ones((1024, 1024)))
    problem = baselines.Problem(graph, cpus(2))
    child = sct_lp.favourite_children(problem)
    assert graph.ops[child[graph.ops.index("Sin")]] == "MatMul"


@pytest.mark.parametrize("long_one", ["left", "right"])
def test_how_long_ops_take_decides_which_child_is_favourite(long_one):
    """Two children that are alike but for what comes after them. Whichever the program
    would choose without durations, it is wrong once."""
    import tensorflow as tf

    def step(x):
        fork = tf.sin(x)
        ends = []
        for name in ("left", "right"):
            with tf.name_scope(name):
                y = fork
                for _ in range(6 if name == long_one else 2):
                    # Not the same op as in the other branch, or the two would be one.
                    y = tf.matmul(y, y, transpose_b=name == "right")
                ends.append(tf.reduce_sum(y))
        return ends

    graph = op_graph(step, tf.ones((256, 256)))
    child = sct_lp.favourite_children(baselines.Problem(graph, cpus(2)))
    assert f"/{long_one}/" in "/" + graph.names[child[graph.ops.index("Sin")]]


def test_a_device_that_is_kept_pays_where_transfers_are_slow():
    import tensorflow as tf

    def step(x):
        return tf.reduce_sum(tf.matmul(x, x)) + tf.reduce_sum(tf.matmul(x, tf.sin(x)))

    graph = op_graph(step, tf.ones((512, 512)))
    machine = cpus(2, gbytes_per_s=1.0)
    # Op by op: placed as one, there would be nothing to keep a device for.
    problem = baselines.Problem(graph, machine)
    sct, etf = (
        grappler_go.simulate(
            graph, problem.placed(baechi._earliest_start_first(problem, kept), "any"), machine
        ).step_ms
        for kept in (sct_lp.favourite_children(problem), None)
    )
    assert sct < 0.9 * etf


def test_a_device_is_kept_for_the_favourite_child(branches):
    problem = baselines.Problem(branches, cpus(2))
    loop = baechi._EarliestStart(problem, [-1] * branches.num_ops)
    child, other = branches.ops.index("Tanh"), branches.ops.index("Sin")
    loop._kept[0] = (child, 1000.0)
    loop._everywhere_at[other] = 500.0
    assert loop._start(child, 0, 20.0) == 20.0
    assert loop._start(other, 0, 20.0) == 1000.0
    assert loop._start(other, 1, 20.0) == 20.0
    # One that could start anywhere is urgent.
    loop._everywhere_at[other] = 10.0
    assert loop._start(other, 0, 20.0) == 20.0


def test_the_linear_program_is_solved_for_clusters_of_large_graphs(training):
    problem = baselines.Problem(training, cpus(2))
    child = np.array(sct_lp.favourite_children(problem, max_nodes=20))
    parents = np.flatnonzero(child >= 0)
    assert len(parents) > 10
    edges = set(zip(problem.tensors.edge_src, problem.tensors.edge_dst, strict=True))
    assert all((i, child[i]) in edges for i in parents)
    assert len(set(child[parents])) == len(parents)


@pytest.mark.parametrize("max_nodes", [10, 20, 60])
def test_coarse_graphs_are_small_and_acyclic(training, max_nodes):
    problem = baselines.Problem(training, cpus(2))
    cluster = coarsen.coarsen_acyclic(problem, max_nodes)
    assert 1 < cluster.max() + 1 <= max_nodes
    t = problem.tensors
    assert is_acyclic(cluster[t.edge_src], cluster[t.edge_dst])


def test_groups_of_units_are_few_and_leave_out_what_stays(training):
    problem = baselines.Problem(training, cpus(2))
    group = coarsen.group_units(problem, 10)
    assert set(np.flatnonzero(group >= 0)) == set(problem.movable)
    assert set(group[problem.movable]) == set(range(group.max() + 1))
    assert group.max() < 10
    micros = np.bincount(group[problem.movable], problem.unit_micros[problem.movable, 0])
    assert micros.max() < 0.75 * micros.sum()
