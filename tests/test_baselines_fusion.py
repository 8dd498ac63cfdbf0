"""Baselines that decide what is fused."""

from __future__ import annotations

import numpy as np
from baseline_graphs import cpus, is_acyclic, make, op_graph
from grappler_go_training import baselines
from grappler_go_training.baselines import contraction

import grappler_go


def test_priority_fusion_saves_time_and_keeps_only_what_pays(training):
    machine = cpus(1)
    before = grappler_go.simulate(training, None, machine).step_ms
    plan = make("priority_fusion", training, machine)
    assert plan.num_groups > 0
    assert grappler_go.simulate(training, plan, machine).step_ms < before
    # Without any one of its groups the step takes longer.
    for group in range(plan.num_groups):
        less = plan.copy()
        less.fusion_group = np.where(plan.fusion_group == group, -1, plan.fusion_group)
        assert (
            grappler_go.simulate(training, less, machine).step_ms
            > grappler_go.simulate(training, plan, machine).step_ms
        )


def test_the_merge_that_saves_most_comes_first():
    """Sin -> Mul -> Tanh -> Mul -> Sum with a way around from Sin, which XLA cannot
    compile, to the second Mul: Sin can be in a group with the first Mul or that with the
    second, and only the latter saves a large tensor."""
    import tensorflow as tf

    def step(x, y):
        small = tf.sin(y)
        around = tf.reshape(tf.py_function(lambda v: v, [small], tf.float32), [])
        return tf.reduce_sum(tf.tanh(small * x) * around)

    graph = op_graph(step, tf.ones((1024, 1024)), tf.ones(()))
    large = [i for i, op in enumerate(graph.ops) if op in ("Mul", "Tanh", "Sum")]
    groups = make("priority_fusion", graph, cpus(1)).fusion_group
    assert set(groups[large]) == {0}
    assert groups[graph.ops.index("Sin")] == -1
    # In topological order the small one comes first.
    groups = make("topological_fusion", graph, cpus(1)).fusion_group
    assert len(set(groups[large])) == 2


def test_no_group_writes_a_variable_before_it_reads_it():
    import tensorflow as tf

    v = tf.Variable(tf.zeros((64, 64)))

    def step(x):
        v.assign_add(tf.sin(x))
        return tf.tanh(v.read_value()) + 1.0

    graph = op_graph(step, tf.ones((64, 64)))
    problem = baselines.Problem(graph, cpus(1))
    writes = np.flatnonzero(problem.has_flag("writes_variable"))
    reads = np.flatnonzero(problem.has_flag("reads_variable") & (np.arange(graph.num_ops) > 0))
    after = [r for r in reads if r > writes[0] and r not in writes]
    assert len(writes) == len(after) == 1
    plan = make("topological_fusion", graph, cpus(1))
    assert plan.fusion_group[writes[0]] >= 0
    assert plan.fusion_group[writes[0]] != plan.fusion_group[after[0]]


def test_merging_keeps_the_graph_acyclic(training):
    problem = baselines.Problem(training, cpus(1))
    merged = contraction.Contraction(problem)
    t = problem.tensors
    random = np.random.default_rng(0)
    joined = 0
    for k in random.permutation(len(t.edge_src)):
        a, b = merged.find(int(t.edge_src[k])), merged.find(int(t.edge_dst[k]))
        if a != b and random.random() < 0.7:
            joined += merged.merge(a, b) >= 0
    node = np.array([merged.find(op) for op in range(training.num_ops)])
    assert joined > training.num_ops / 3
    assert is_acyclic(node[t.edge_src], node[t.edge_dst])


def test_auto_clustering_takes_more_than_topological_fusion(training):
    everything = make("auto_clustering", training, cpus(1))
    steps = make("topological_fusion", training, cpus(1))
    assert (everything.fusion_group >= 0).sum() > (steps.fusion_group >= 0).sum() > 0
    assert everything.num_groups < steps.num_groups
    assert make("no_fusion", training, cpus(1)).empty
