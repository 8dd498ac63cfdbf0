"""One decision after another: what each search is asked for, and what is kept of it."""

import dataclasses

import go_graphs
import numpy as np
import pytest
from grappler_go_training import baselines
from grappler_go_training.go.asked import Asker
from grappler_go_training.go.environment import restricted
from grappler_go_training.go.sequential import sequential, with_devices

import grappler_go


@pytest.fixture(scope="module")
def case():
    return go_graphs.case(target=go_graphs.two_gpus())


def test_devices_come_first_and_groups_for_them(case):
    asked = []

    def search(one, plans):
        asked.append((one, plans))
        problem = one.problem
        if one.options["device"]:
            return problem.placed(np.arange(problem.num_units) % 2, "in turns")
        return problem.plan("fake")

    plan, step_us, out_of_memory = sequential(case, 20, search)
    (first, first_plans), (second, second_plans) = asked
    assert first_plans + second_plans + 2 == 20  # two orders are simulated
    assert first.tasks == ["device"]
    assert second.tasks == ["fusion"]
    assert first.graph is case.graph
    in_turns = case.problem.placed(np.arange(case.problem.num_units) % 2, "in turns")
    assert plan.device.tolist() == in_turns.device.tolist()
    names = [device["name"] for device in case.target.machine.devices]
    moved = np.flatnonzero(in_turns.device >= 0).tolist()
    assert [second.graph.devices[k] for k in moved] == [names[in_turns.device[k]] for k in moved]
    assert moved
    assert len(set(in_turns.device.tolist())) > 1
    simulated = grappler_go.simulate(case.graph, plan, case.target.machine)
    assert step_us <= 1e3 * simulated.step_ms * (1 + 1e-9)
    assert out_of_memory == simulated.out_of_memory


def test_what_is_not_decided_is_not_searched_for(case):
    asked = []

    def search(one, plans):
        asked.append(one.tasks)
        return one.problem.plan("fake")

    sequential(restricted(case, ("device", "schedule")), 10, search)
    assert asked == [["device"]]


def test_a_graph_that_nothing_was_moved_in_is_as_it_was(case):
    plan = case.problem.plan("nothing")
    plan.device = None
    assert with_devices(case, plan) is case


def test_it_is_a_method_of_evaluation(case):
    budget = baselines.Budget(plans=12)
    answer = Asker(None, case).answer("sequential_search", budget, seed=0)
    answer.plan.validate(case.graph)
    assert answer.plan.policy == "baseline:sequential_search"
    assert 0 < answer.step_us <= case.teacher.default_us * (1 + 1e-9)
    again = Asker(None, case).answer("sequential_search", budget, seed=0)
    assert dataclasses.replace(again, plan=None, seconds=0) == dataclasses.replace(
        answer, plan=None, seconds=0
    )
