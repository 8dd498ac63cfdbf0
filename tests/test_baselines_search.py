"""Baselines that look for a placement with the simulator as judge."""

from __future__ import annotations

import numpy as np
import pytest
from baseline_graphs import CPU, cpus, make
from grappler_go_training import baselines

import grappler_go


@pytest.mark.parametrize("name", ["simulated_annealing", "genetic"])
@pytest.mark.parametrize("plans", [0, 1, 2, 17])
def test_searches_keep_their_budget_and_never_end_worse(name, plans, training, monkeypatch):
    machine = cpus(2)
    simulated = []
    real = grappler_go.simulate_plans

    def counted(graph, several, *arguments, **options):
        results = real(graph, several, *arguments, **options)
        simulated.extend(one.step_ms for one in results)
        return results

    monkeypatch.setattr(grappler_go, "simulate_plans", counted)
    plan = make(name, training, machine, baselines.Budget(plans=plans), seed=3)
    assert len(simulated) <= plans
    if plans == 17:
        assert len(simulated) == plans
    step_ms = grappler_go.simulate(training, plan, machine).step_ms
    assert step_ms <= grappler_go.simulate(training, None, machine).step_ms
    # What is returned is the best that was looked at.
    assert step_ms <= min(simulated, default=step_ms)


@pytest.mark.parametrize("name", ["search", "joint_search"])
@pytest.mark.parametrize("plans", [1, 2, 60])
def test_the_packages_search_is_never_worse_than_nothing(name, plans, training):
    machine = cpus(2)
    plan = make(name, training, machine, baselines.Budget(plans=plans), seed=1)
    assert plan.policy == f"baseline:{name}"
    alone = grappler_go.simulate(training, None, machine).step_ms
    step_ms = grappler_go.simulate(training, plan, machine).step_ms
    assert step_ms <= alone * 1.000001
    assert step_ms == pytest.approx(plan.micros_after / 1000, rel=1e-5)
    if plans == 60:
        assert step_ms < 0.8 * alone


def test_annealing_is_better_than_a_random_walk(training):
    machine = cpus(2)
    budget = baselines.Budget(plans=300)
    steps = [
        grappler_go.simulate(
            training, make("simulated_annealing", training, machine, budget, seed), machine
        ).step_ms
        for seed in range(3)
    ]
    alone = grappler_go.simulate(training, None, machine).step_ms
    assert np.median(steps) < 0.72 * alone


def test_a_budget_in_seconds_ends_a_search(training):
    budget = baselines.Budget(plans=10**9, seconds=0.2)
    for name in ("simulated_annealing", "genetic", "search", "joint_search"):
        [row] = baselines.run_baselines(training, cpus(2), [name], budget)
        assert row.seconds < 2


def test_out_of_memory_leads_searches_to_plans_that_fit(activations):
    free = cpus(2)
    peak = grappler_go.simulate(activations, None, free).peak_bytes[f"{CPU}0"]
    tight = cpus(2, memory_bytes=int(peak * 0.75))
    assert grappler_go.simulate(activations, None, tight).out_of_memory
    for name in ("simulated_annealing", "genetic", "search"):
        plan = make(name, activations, tight)
        assert not grappler_go.simulate(activations, plan, tight).out_of_memory


@pytest.mark.parametrize("name", ["simulated_annealing", "genetic"])
def test_a_search_in_groups_starts_with_the_experts_placement(name, training, monkeypatch):
    """Groups too coarse for it would be a start that is worse than what is known."""
    from grappler_go_training.baselines import anneal

    monkeypatch.setattr(anneal, "MAX_GROUPS", 6)
    machine = cpus(2)
    expert = grappler_go.simulate(training, make("human_expert", training, machine), machine)
    found = make(name, training, machine, baselines.Budget(plans=20))
    step_ms = grappler_go.simulate(training, found, machine).step_ms
    assert step_ms <= expert.step_ms * 1.000001


def test_groups_do_not_mix_what_their_start_keeps_apart(training, monkeypatch):
    from grappler_go_training.baselines import anneal

    monkeypatch.setattr(anneal, "MAX_GROUPS", 6)
    problem = baselines.Problem(training, cpus(2))
    expert = baselines.BASELINES["human_expert"].make(problem, baselines.Budget(), 0)
    groups = anneal.Groups(problem, expert)
    again = groups.plan(groups.from_plan(expert), "again")
    np.testing.assert_array_equal(again.device, expert.device)
