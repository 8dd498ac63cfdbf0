"""Baselines that decide in which order ops run, and which run twice to save memory."""

from __future__ import annotations

from baseline_graphs import cpus, make, op_graph
from grappler_go_training import baselines
from grappler_go_training.baselines import list_schedule

import grappler_go


def test_the_critical_path_comes_first():
    """A long chain that becomes ready behind many short ops: first come, first served
    leaves it for last, and everyone waits for it."""
    import tensorflow as tf

    def step(x, y):
        short = [tf.reduce_sum(tf.matmul(x, x + float(k))) for k in range(8)]
        with tf.device("CPU:0"):
            a = tf.matmul(y, y)
        for _ in range(6):
            a = tf.matmul(a, y)
        return tf.add_n(short) + tf.reduce_sum(a)

    graph = op_graph(step, tf.ones((256, 256)), tf.ones((256, 256)))
    # The chain alternates between two devices, so that its wait leaves one of them idle.
    chain = [i for i, op in enumerate(graph.ops) if op == "MatMul" and _is_in_chain(graph, i)]
    problem = baselines.Problem(graph, cpus(2))
    plan = make("critical_path", graph, cpus(1))
    position = _order_of(graph, plan, cpus(1))
    ranks = list_schedule.upward_ranks(problem, transfers=False)
    first = max(chain, key=lambda i: ranks[i])
    others = [i for i, op in enumerate(graph.ops) if op == "MatMul" and i not in chain]
    assert all(position[first] < position[i] for i in others)
    lifo = make("lifo", graph, cpus(1))
    assert lifo.order != plan.order
    assert make("fifo", graph, cpus(1)).empty


def _is_in_chain(graph, op):
    inputs = graph.in_src[graph.in_ptr[op] : graph.in_ptr[op + 1]]
    return "AddV2" not in {graph.ops[i] for i in inputs}


def _order_of(graph, plan, machine):
    tasks = grappler_go.simulate(graph, plan, machine, timeline=True).timeline.tasks
    return dict(zip(tasks["op"].tolist(), tasks["start"].tolist(), strict=True))


def test_sqrt_n_recomputation_lowers_the_peak(activations):
    machine = cpus(1)
    before = grappler_go.simulate(activations, None, machine)
    after = grappler_go.simulate(activations, make("sqrt_n", activations, machine), machine)
    [peak_before], [peak_after] = before.peak_bytes.values(), after.peak_bytes.values()
    assert peak_after < 0.75 * peak_before
    # It runs part of the forward pass again, and no more than that.
    assert before.step_ms < after.step_ms < 1.5 * before.step_ms


def test_budgeted_recomputation_meets_the_limit_and_does_no_more(activations):
    [peak] = grappler_go.simulate(activations, None, cpus(1)).peak_bytes.values()
    assert make("budgeted", activations, cpus(1, memory_bytes=2 * peak)).empty
    loose, tight = (cpus(1, memory_bytes=int(share * peak)) for share in (0.9, 0.65))
    plans = [make("budgeted", activations, machine) for machine in (loose, tight)]
    steps = [
        grappler_go.simulate(activations, plan, machine)
        for plan, machine in zip(plans, (loose, tight), strict=True)
    ]
    assert not any(step.out_of_memory for step in steps)
    assert plans[0].num_recomputed > 0
    assert steps[0].step_ms <= steps[1].step_ms
