"""HDP: it learns, repeats itself, keeps to its budget, and takes large graphs."""

from __future__ import annotations

import os
import sys

import helpers
import numpy as np
import pytest
from grappler_go_training import baselines
from grappler_go_training.baselines import hdp, hdp_network

import grappler_go

_SMALL = hdp_network.Settings(groups=8, placer_width=32)
# Where what is found does not matter: each group is traced apart.
_TINY = hdp_network.Settings(groups=3, placer_width=16)


@pytest.fixture(scope="module")
def machine():
    return grappler_go.load_machine("p100x2")


@pytest.fixture(scope="module")
def branches():
    """Two chains of large products that meet in a sum: one for each of two devices."""
    import tensorflow as tf

    def step(x):
        a = b = x
        for _ in range(4):
            a = tf.tanh(tf.matmul(a, a))
            b = tf.sin(tf.matmul(b, b))
        return tf.reduce_sum(a) + tf.reduce_sum(b)

    return grappler_go.capture(step, tf.ones((4096, 4096)))[0].op_graph()


@pytest.fixture(scope="module")
def problem(branches, machine):
    return baselines.Problem(branches, machine, free_state=True)


def _step_ms(problem, plan):
    return grappler_go.simulate(problem.graph, plan, problem.machine).step_ms


def test_it_finds_better_than_its_random_start(problem):
    found = []
    plan = hdp.hdp(
        problem,
        baselines.Budget(plans=200),
        0,
        settings=_SMALL,
        progress=lambda plans, energy: found.append((plans, energy)),
    )
    assert [plans for plans, _ in found] == list(range(4, 204, 4))
    energies = [energy for _, energy in found]
    assert energies == sorted(energies, reverse=True)
    assert energies[-1] < energies[0]
    one = baselines.make_plan("one_device", problem.graph, problem.machine, free_state=True)
    assert _step_ms(problem, plan) < 0.75 * _step_ms(problem, one)
    assert _step_ms(problem, plan) == pytest.approx(energies[-1])


def test_it_learns_what_is_rewarded(problem):
    """Here for units on the second device: random placements have half of them there."""
    settings = hdp_network.Settings(groups=8, placer_width=32, learning_rate=0.01)
    search = hdp._Search(problem, 0, settings)
    average, shares = None, []
    for step in range(60):
        sampled = search.sample(step)
        placed = sampled.devices[:, sampled.group_of]
        rewards = placed.mean(1).tolist()
        shares.append(np.mean(rewards))
        average = search.learn(sampled, rewards, average, step)
    assert np.mean(shares[:5]) < 0.7
    assert np.mean(shares[-5:]) > 0.9


def test_the_same_seed_says_the_same(problem):
    def plan(seed):
        return hdp.hdp(problem, baselines.Budget(plans=12), seed, settings=_TINY).to_json()

    three = plan(3)
    assert three == plan(3)
    assert three != plan(4)


def test_it_simulates_as_many_plans_as_it_may(problem, monkeypatch):
    judged = []
    simulate = baselines.Judge.simulate
    monkeypatch.setattr(
        baselines.Judge,
        "simulate",
        lambda self, plans: judged.append(simulate(self, plans)) or judged[-1],
    )
    for plans in (0, 1, 6):
        judged.clear()
        plan = hdp.hdp(problem, baselines.Budget(plans=plans), 0, settings=_TINY)
        assert sum(len(simulations) for simulations in judged) == plans
        plan.validate(problem.graph)
    assert hdp.hdp(problem, baselines.Budget(seconds=0.0), 0, settings=_TINY).free_state


def test_out_of_memory_is_the_worst_reward(problem):
    devices = [device | {"memory_bytes": 1} for device in problem.machine.devices]
    tiny = grappler_go.Machine("tiny", devices=devices, links=problem.machine.links)
    short = grappler_go.simulate(problem.graph, problem.plan("any"), tiny)
    fits = grappler_go.simulate(problem.graph, problem.plan("any"), problem.machine)
    assert hdp._reward(short) == -10.0
    assert hdp._reward(fits) == pytest.approx(-np.sqrt(fits.step_ms / 1000))


def test_steps_out_of_memory_teach_nothing_after_exploring(problem):
    settings = hdp_network.Settings(groups=4, placer_width=16, explore=1)
    search = hdp._Search(problem, 0, settings)
    sampled = search.sample(0)
    before = [weight.numpy() for weight in search._network.trainable_variables]
    assert search.learn(sampled, [-10.0] * 4, -0.5, step=1) == -0.5
    for weight, value in zip(search._network.trainable_variables, before, strict=True):
        np.testing.assert_array_equal(weight, value)
    average = search.learn(sampled, [-10.0, -0.3, -0.4, -10.0], -0.5, step=1)
    assert average == pytest.approx(0.9 * -0.5 + 0.1 * -0.35)


def test_the_gradient_is_that_of_advantage_times_log_probability(problem):
    """More reward for a sample makes just that sample more likely."""
    import tensorflow as tf

    settings = hdp_network.Settings(groups=4, placer_width=16, learning_rate=1e-3, noise=0.0)
    search = hdp._Search(problem, 0, settings)
    network = search._network
    sampled = search.sample(0)

    def log_probability():
        zero = tf.constant(0), tf.constant(0.0)
        groups = -tf.nn.sparse_softmax_cross_entropy_with_logits(
            sampled.group_of, network._group_logits(*zero)
        )
        _, logits = network._decode(
            tf.constant(sampled.embedding), tf.constant(sampled.devices[:1], tf.int32), 1, *zero
        )
        places = -tf.nn.sparse_softmax_cross_entropy_with_logits(sampled.devices[:1], logits)
        return float(tf.reduce_sum(groups) + tf.reduce_sum(places))

    for sign in (1.0, -1.0):
        before = log_probability()
        network.update(sampled.group_of, sampled.embedding, sampled.devices[:1], [sign], 0, 0.0)
        assert sign * (log_probability() - before) > 0


def test_a_group_is_told_by_its_types_shapes_and_readers(problem):
    search = hdp._Search(problem, 0, _SMALL)
    all_in_two = (np.arange(len(problem.movable)) >= 3).astype(np.int64)
    embedding = search._embedding(all_in_two)
    types, shapes = search._num_types, 16
    counts = np.bincount(search._types[:3], minlength=types)
    np.testing.assert_allclose(embedding[0, :types], counts / (counts.max() + 1))
    assert (embedding[0, types : types + shapes] > 0).any()
    reads = embedding[:, types + shapes :]
    assert reads.shape == (8, 8)
    assert reads[0, 1] > 0
    assert not reads[1, 0]
    assert not embedding[2:].any()


def test_neighbours_are_numbered_and_cut_at_six():
    src = np.array([0, 0, 0, 0, 0, 0, 0, 1])
    dst = np.array([1, 2, 3, 4, 5, 6, 7, 7])
    values = hdp._neighbours(src, dst, 8)
    np.testing.assert_allclose(values[0, :6], -1)
    np.testing.assert_allclose(values[0, 6:], np.array([1, 2, 3, 4, 5, 6]) / 8)
    np.testing.assert_allclose(values[7, :3], np.array([0, 1 / 8 * 8, -8]) / 8)


@pytest.mark.slow
def test_80000_ops_and_256_groups_fit_in_a_few_gigabytes():
    done = helpers.run_python(
        """
import resource
import numpy as np
import tensorflow as tf
from grappler_go_training.baselines import hdp_network

def peak_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

before = peak_mb()
random = np.random.default_rng(0)
ops, settings = 80_000, hdp_network.Settings()
types = random.integers(0, 50, ops)
features = random.random((ops, 36)).astype(np.float32)
network = hdp_network.Network(types, features, 50, 256, 322, 8, 0, settings)
groups = network.sample_groups(0, 0.1)
embedding = random.random((256, 322)).astype(np.float32)
devices = network.sample_devices(embedding, 0, 0.1)
assert devices.shape == (4, 256) and set(devices.ravel()) == set(range(8))
assert np.isfinite(network.update(groups, embedding, devices, [0.1, -0.1, 0.2, 0.0], 0, 0.1))
print(peak_mb() - before)
""",
        env={"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert float(done.stdout.split()[-1]) < 3000
