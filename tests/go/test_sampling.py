"""Draws from the GO policy: their probabilities, and what plans they make."""

import numpy as np
import pytest
import random_networks
import tensorflow as tf
from grappler_go_training.go import inputs, network, sampling

import grappler_go
from grappler_go import _core


def _placed_graph():
    """A graph, a machine of two devices, and inputs with free state."""

    def step(x):
        for _ in range(4):
            x = tf.tanh(tf.matmul(x, x))
        return x

    graph = grappler_go.capture(tf.function(step), tf.ones((64, 64)))[0].op_graph()
    machine = grappler_go.load_machine("p100x2")
    return graph, machine, inputs.graph_inputs(graph, machine, free_state=True)


def _sampler(policy, given, **settings):
    # A seed of Python numbers would be traced anew each time.
    @tf.function(autograph=False, input_signature=[tf.TensorSpec([2], tf.int32)])
    def draw(seed):
        return sampling.sample(policy, given, seed, **settings)

    return draw


def _softmax(logits):
    odds = np.exp(logits - logits.max(-1, keepdims=True))
    return odds / odds.sum(-1, keepdims=True)


def test_log_probs_and_entropies_are_those_of_the_softmax():
    policy = random_networks.small_network()
    given = random_networks.random_inputs(12)
    given.allowed[4] = [1, 0, 1]
    given.allowed[5] = [1, 0, 0]
    actions = random_networks.random_actions(12, 3, policy.config)
    actions.device[[4, 5]] = [2, 0]
    heads = policy(given, network.initial_actions(12, 3, policy.config))
    log_probs, entropies = sampling.log_probs_and_entropy(heads, actions)
    for task in sampling.TASKS:
        odds = _softmax(getattr(heads, task).numpy().astype(np.float64))
        chosen = odds[np.arange(12), getattr(actions, task)]
        np.testing.assert_allclose(getattr(log_probs, task), np.log(chosen), atol=1e-5)
        entropy = -np.sum(odds * np.log(np.maximum(odds, 1e-300)), 1)
        np.testing.assert_allclose(getattr(entropies, task), entropy, atol=1e-5)
    assert entropies.device[5] == 0


def test_the_last_pass_can_be_computed_again():
    policy = random_networks.small_network(iterations=3)
    given = random_networks.random_inputs(20, num_edges=20)
    drawn = sampling.sample(policy, given, [3, 4], temperature=2.0)
    heads = policy(given, drawn.previous)
    again, _ = sampling.log_probs_and_entropy(heads, drawn.actions)
    for one, other in zip(again, drawn.log_probs, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    single = sampling.sample(policy, given, [3, 4], iterations=1)
    assert (single.previous.device.numpy() == -1).all()


def test_a_seed_is_a_draw():
    policy = random_networks.small_network()
    given = random_networks.random_inputs(50)
    draw = _sampler(policy, given)
    first, same, other = draw([1, 2]), draw([1, 2]), draw([1, 3])
    assert (first.actions.fusion.numpy() == same.actions.fusion.numpy()).all()
    assert (first.actions.fusion.numpy() != other.actions.fusion.numpy()).any()


def test_draws_have_the_probabilities_of_the_logits():
    policy = random_networks.small_network()
    given = random_networks.random_inputs(5)
    given.unit[3] = 1
    draw = _sampler(policy, given, iterations=1)
    heads = policy(given, network.initial_actions(5, 3, policy.config))
    count = 1500
    draws = [draw([0, seed]).actions for seed in range(count)]
    for task in sampling.TASKS:
        odds = _softmax(getattr(heads, task).numpy())
        values = np.stack([getattr(d, task).numpy() for d in draws])
        seen = np.stack([(values == k).mean(0) for k in range(odds.shape[1])], 1)
        np.testing.assert_array_less(
            np.abs(seen - odds), 5 * np.sqrt(odds * (1 - odds) / count) + 1e-3
        )


def test_units_draw_once_and_never_what_is_not_allowed():
    policy = random_networks.small_network()
    given = random_networks.random_inputs(40)
    given.unit[20:] = 7
    given.allowed[:, 1] = 0
    draw = _sampler(policy, given, temperature=10.0)
    devices = np.stack([draw([0, seed]).actions.device.numpy() for seed in range(40)])
    assert (devices[:, 20:] == devices[:, 7:8]).all()
    assert np.unique(devices).tolist() == [0, 2]
    assert (devices[:, 0] != devices[:, 19]).any()
    first = np.arange(40) == given.unit
    np.testing.assert_array_equal(sampling.drawn(given).numpy(), first)


def test_neighbours_decide_alike_more_often_than_by_chance():
    policy = random_networks.small_network()
    given = random_networks.random_inputs(60)
    # At this temperature logits say nothing: by chance, one in three is equal.
    draw = _sampler(policy, given, temperature=1e6, iterations=1)
    devices = np.stack([draw([0, seed]).actions.device.numpy() for seed in range(60)])
    assert (devices[:, 1:] == devices[:, :-1]).mean() > 0.6
    assert (devices[:, 1:] != devices[:, :-1]).any(0).all()


def test_greedy_takes_the_best_of_each_pass():
    policy = random_networks.small_network(iterations=2)
    given = random_networks.random_inputs(20, num_edges=20)
    actions = network.initial_actions(20, 3, policy.config)
    for _ in range(2):
        heads = policy(given, actions)
        actions = network.Actions(*(getattr(heads, t).numpy().argmax(1) for t in sampling.TASKS))
    best = sampling.decode(policy, given)[0]
    for one, other in zip(best, actions, strict=True):
        np.testing.assert_array_equal(one, other)


def test_plans_follow_actions():
    graph, machine, given = _placed_graph()
    policy = random_networks.small_network()
    drawn = sampling.sample(policy, inputs.GraphInputs(*map(tf.constant, given)), [5, 6])
    actions = network.Actions(*(t.numpy() for t in drawn.actions))
    logits = sampling.actions_to_logits(actions, len(machine.devices), policy.config)
    plan, _ = _core.build_plan(
        graph, machine, logits, {"free_state": True, "fusion": False, "memory": False}
    )
    home = _core.placement_units(graph, machine, True)["home"]
    moved = np.full(graph.num_ops, -1) if plan.device is None else plan.device
    placed = np.where(moved < 0, home, moved)
    products = np.array(graph.ops) == "MatMul"
    assert products.any()
    np.testing.assert_array_equal(placed[products], actions.device[products])
    np.testing.assert_array_equal(logits["fusion"], actions.fusion)
    undecided = network.initial_actions(graph.num_ops, 3, policy.config)
    left = sampling.actions_to_logits(undecided, 3, policy.config)
    assert not any(array.any() for array in left.values())


def test_actions_out_of_range_are_refused():
    policy = random_networks.small_network()
    actions = random_networks.random_actions(4, 2, policy.config)
    actions.device[1] = 2
    with pytest.raises(ValueError, match="device has an action out of range"):
        sampling.actions_to_logits(actions, 2, policy.config)


def test_logits_of_plans_keep_what_heads_prefer():
    policy = random_networks.small_network(fusion_levels=3, schedule_levels=2)
    heads = network.Heads(
        device=tf.constant([[1.0, 2.0], [0.0, -1e9]]),
        fusion=tf.constant([[5.0, 0.0, 0.0], [0.0, 0.0, 9.0]]),
        schedule=tf.constant([[0.0, 0.0], [0.0, 20.0]]),
        recompute=tf.constant([[1.0, 0.0], [0.0, 3.0]]),
        value=tf.constant(0.0),
    )
    logits = {k: v.numpy() for k, v in sampling.to_logits(heads, policy.config).items()}
    assert logits["fusion"][0] == 0
    assert logits["fusion"][1] == pytest.approx(2.0, abs=1e-3)
    assert logits["schedule"] == pytest.approx([0.5, 1.0])
    assert logits["recompute"].tolist() == [-1.0, 3.0]
