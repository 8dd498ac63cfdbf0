"""A search that goes on from a plan, and what plans of outcomes say."""

import dataclasses

import go_graphs
import numpy as np
import pytest
from grappler_go_training import baselines
from grappler_go_training.go import environment, searched

import grappler_go


@pytest.fixture(scope="module")
def case():
    return go_graphs.case(go_graphs.two_gpus(), seed=3, num_ops=200)


def alternating(case):
    """Every other op on the second GPU."""
    kinds = [device["type"] for device in case.target.machine.devices]
    gpus = np.flatnonzero(np.array(kinds) == "GPU")
    device = gpus[np.arange(case.graph.num_ops) % 2]
    logits = {"device": 3.0 * np.eye(len(kinds), dtype=np.float32)[device]}
    return environment.outcome_of(case, logits, by_cut=False)


def simulated_us(case, plan):
    return 1e3 * grappler_go.simulate(case.graph, plan, case.target.machine).step_ms


def test_the_plan_of_an_outcome_takes_what_the_outcome_says(case):
    found = alternating(case)
    assert found.plan.priority is not None, "by critical path, here"
    assert simulated_us(case, found.plan) == pytest.approx(found.step_us)
    found.plan.priority = None
    assert simulated_us(case, found.plan) > found.step_us, "the order matters"


def test_no_program_is_told_an_order():
    cpu = go_graphs.case(go_graphs.one_cpu())
    ones = np.ones(cpu.graph.num_ops, np.float32)
    found = environment.outcome_of(cpu, {"fusion": ones, "schedule": ones})
    assert found.plan.priority is None


def test_a_search_makes_a_plan_better_and_says_by_how_much(case):
    before = alternating(case)
    after = searched.refined(case, before, 40, seed=0)
    assert after.step_us < before.step_us
    assert simulated_us(case, after.plan) == pytest.approx(after.step_us)
    expected = environment.reward_of(after.step_us, after.out_of_memory, case.teacher)
    assert after.reward == expected > before.reward


def test_it_begins_with_that_plan(case):
    best = searched.refined(case, alternating(case), 300, seed=0)
    # Doing nothing, the cut near it, and the plan itself: nothing else is tried.
    scores = searched.scores_of(case, best.plan)
    again = searched.search(case, scores, baselines.Budget(3), seed=1)
    assert simulated_us(case, again) <= 1.05 * best.step_us
    blind = searched.search(case, {}, baselines.Budget(3), seed=1)
    assert simulated_us(case, blind) > 1.05 * best.step_us


def test_what_is_not_better_is_not_taken(case):
    best = searched.refined(case, alternating(case), 300, seed=0)
    perfect = dataclasses.replace(best, step_us=0.5 * best.step_us)
    assert searched.refined(case, perfect, 20, seed=0) is perfect
    assert searched.refined(case, best, 0, seed=0) is best
