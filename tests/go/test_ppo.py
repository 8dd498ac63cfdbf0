"""PPO's numbers, worked out by hand."""

import math

import go_graphs
import numpy as np
import pytest
from grappler_go_training.go import imitate, ppo, rollouts, run_folder, sampling

# isort: split
import tensorflow as tf


@pytest.fixture(autouse=True, scope="module")
def _untraced():
    with go_graphs.traced_nothing():
        yield


def test_advantages_are_normalised_over_the_samples_of_a_graph():
    # Mean -2; deviations 1, -1; the value drops out.
    found = ppo.advantages_of(np.float32([-1, -3]), value=7.0, floor=0.01)
    np.testing.assert_allclose(found, [1, -1], rtol=1e-6)


def test_small_differences_are_not_blown_up():
    found = ppo.advantages_of(np.float32([-1.0, -1.002]), value=0.0, floor=0.1)
    np.testing.assert_allclose(found, [0.01, -0.01], rtol=1e-3)


def test_a_single_sample_is_compared_with_the_value():
    np.testing.assert_allclose(ppo.advantages_of(np.float32([-1.5]), -2.0, 0.01), [0.5])


def test_explained_variance():
    assert ppo.explained_variance([1, 2, 3], [1, 2, 3]) == 1
    assert ppo.explained_variance([2, 2, 2], [1, 2, 3]) == 0
    # Residuals 0, 0, 1 have variance 2/9; returns 2/3.
    assert ppo.explained_variance([1, 2, 2], [1, 2, 3]) == pytest.approx(1 - (2 / 9) / (2 / 3))
    assert math.isnan(ppo.explained_variance([1, 2], [5, 5]))


def test_policy_loss_by_hand():
    # Two samples of three ops, the last of which does not matter.
    ratio = np.array([[1.5, 0.9, 8.0], [0.5, 1.1, 0.1]])
    old = np.full((2, 3), -1.0)
    advantages = np.array([2.0, -1.0])
    loss, approx_kl, clipfrac = ppo.policy_loss(
        tf.constant(old + np.log(ratio), tf.float32),
        tf.constant(old, tf.float32),
        tf.constant(advantages, tf.float32),
        tf.constant([1.0, 1.0, 0.0]),
        clip_coef=0.2,
    )
    # A = 2: ratio 1.5 counts as 1.2, 0.9 as it is. A = -1: 0.5 counts as 0.8 (clipped is
    # the worse), 1.1 as it is.
    expected = -(2 * 1.2 + 2 * 0.9 - 1 * 0.8 - 1 * 1.1) / 4
    assert float(loss) == pytest.approx(expected, rel=1e-5)
    assert float(clipfrac) == pytest.approx(2 / 4)
    kl = np.mean((ratio[:, :2] - 1) - np.log(ratio[:, :2]))
    assert float(approx_kl) == pytest.approx(kl, rel=1e-5)


def test_policy_loss_of_a_task_that_does_not_matter_is_nothing():
    big = tf.constant([[90.0]])
    loss, approx_kl, clipfrac = ppo.policy_loss(
        big, -big, tf.constant([1.0]), tf.constant([0.0]), 0.2
    )
    assert [float(loss), float(approx_kl), float(clipfrac)] == [0, 0, 0]


def test_huber():
    np.testing.assert_allclose(ppo.huber(tf.constant([0.5, -2.0])), [0.125, 1.5])


@pytest.fixture(scope="module")
def case():
    return go_graphs.case(go_graphs.two_gpus())


def learner_of(case, **changed):
    config = go_graphs.config(**changed)
    network = run_folder.new_network(config)
    learner = ppo.Learner(network, [case], config)
    return config, network, learner, rollouts.LocalRollouts(network, [case], config)


def test_log_probs_of_a_rollout_are_what_the_learner_computes(case):
    _, network, learner, local = learner_of(case)
    previous, actions, log_probs, value = local.draw(rollouts.Request(0, 3, 2))
    heads = network(learner._inputs[0], previous)
    for k in range(4):
        one = tf.nest.map_structure(lambda task, k=k: task[k], actions)
        expected, _ = sampling.log_probs_and_entropy(heads, one)
        for mine, theirs in zip(log_probs, expected, strict=True):
            np.testing.assert_allclose(mine[k], theirs, atol=1e-5)
    assert value == pytest.approx(float(heads.value), abs=1e-5)


def test_what_is_imitated_from_is_what_is_drawn_from(case):
    *_, local = learner_of(case)
    for iterations in (1, 2):
        request = rollouts.Request(0, 9, iterations)
        previous, *_ = local.draw(request)
        for mine, theirs in zip(local.before(request), previous, strict=True):
            np.testing.assert_array_equal(mine, theirs)
            assert (mine >= 0).all() == (iterations > 1)


def test_an_update_makes_good_actions_likelier(case):
    config, network, learner, local = learner_of(
        case, learning_rate=1e-3, ent_coef=0.0, vf_coef=0.0, update_epochs=2
    )
    previous, actions, log_probs, value = local.draw(rollouts.Request(0, 5, 1))
    rewards = np.float32([-1, -2, -2, -2])
    rollout = ppo.Rollout(0, previous, actions, log_probs, rewards, value)
    losses = learner.ppo([rollout], {}, config.learning_rate, np.random.default_rng(0))
    heads = network(learner._inputs[0], previous)
    after, _ = ppo.log_probs_of_samples(heads, actions)
    advantages = ppo.advantages_of(rewards, value, config.advantage_floor)
    # Several samples may have drawn the same for an op: in the mean they gain.
    gains = [
        float(advantages @ (np.asarray(now) - then) @ case.matters[task] / case.matters[task].sum())
        for task, now, then in zip(sampling.TASKS, after, log_probs, strict=True)
        if task in case.tasks
    ]
    assert sum(gains) > 0
    assert losses.approx_kl > 0
    assert losses.grad_norm > 0


def test_imitation_learns_the_teachers_placement(case):
    config, _, learner, local = learner_of(case)
    best = imitate.teacher_actions(case, config.network)
    previous = local.before(rollouts.Request(0, 0, 1))
    first, _ = learner.imitate([(0, previous, best)], 1e-2)
    for _ in range(20):
        last, _ = learner.imitate([(0, previous, best)], 3e-2)
    assert last < 0.7 * first


def test_a_loss_that_is_no_number_changes_nothing(case):
    _, network, learner, local = learner_of(case)
    previous, actions, log_probs, value = local.draw(rollouts.Request(0, 5, 1))
    rewards = np.float32([np.nan, -2, -2, -2])
    rollout = ppo.Rollout(0, previous, actions, log_probs, rewards, value)
    before = run_folder.network_arrays(network)
    with pytest.raises(ppo.Diverged, match="not a finite number"):
        learner.ppo([rollout], {}, 1e-3, np.random.default_rng(0))
    for name, array in run_folder.network_arrays(network).items():
        np.testing.assert_array_equal(array, before[name])


def test_adam_by_hand():
    variable = tf.Variable([1.0, 1.0])
    adam = ppo.Adam([variable])
    norm = adam.apply([tf.constant([3.0, 4.0])], learning_rate=0.1, max_grad_norm=1.0)
    assert norm == pytest.approx(5.0)
    # The gradient is scaled to [0.6, 0.8]; the first step is the learning rate in each
    # direction, but for epsilon, which is added to sqrt(0.001) times the gradient.
    steps = [0.1 * np.sqrt(0.001) * g / (np.sqrt(0.001) * g + 1e-5) for g in (0.6, 0.8)]
    np.testing.assert_allclose(variable, 1 - np.array(steps), rtol=1e-5)
