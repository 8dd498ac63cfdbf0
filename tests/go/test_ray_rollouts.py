"""Rollouts over Ray: the same as here, and a worker that is killed does not matter."""

import os
import signal

import go_graphs
import numpy as np
import pytest
from grappler_go_training.go import ray_rollouts, rollouts, run_folder

# Ray's own threads and sockets outlive what opened them.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def case():
    return go_graphs.case(go_graphs.two_gpus())


def test_a_case_travels(case):
    there = ray_rollouts.unpack(ray_rollouts.pack(case))
    assert there.graph.fingerprint == case.graph.fingerprint
    assert there.target.machine.to_json() == case.target.machine.to_json()
    assert there.teacher.plan.to_json() == case.teacher.plan.to_json()
    assert there.teacher.step_us == case.teacher.step_us


def test_a_killed_worker_is_survived(case):
    pytest.importorskip("ray")
    config = go_graphs.config(ray_workers=2, threads=1)
    network = run_folder.new_network(config)
    requests = [rollouts.Request(0, seed, 1 + seed % 2) for seed in range(6)]
    expected = rollouts.LocalRollouts(network, [case], config).collect(requests)
    workers = ray_rollouts.RayRollouts(network, [case], config)
    try:
        first = workers.processes()
        assert len(set(first)) == 2
        os.kill(first[0], signal.SIGKILL)
        found = workers.collect(requests)
        assert workers.processes()[1] == first[1]
    finally:
        workers.close()
    for mine, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(mine.rewards, theirs.rewards)
        np.testing.assert_array_equal(mine.actions.device, theirs.actions.device)
