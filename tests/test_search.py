"""The search over plans, in Python (cc/plan/search_plan.h)."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from grappler_go_training import baselines

import grappler_go
from grappler_go import native

GPUS = "p100x2"


def search(graph, logits=None, **settings):
    """(plan, trace) on two GPUs for which nothing is placed yet."""
    settings = {"max_plans": 40} | settings
    machine = grappler_go.load_machine(GPUS)
    return native.core().search_plan(graph, machine, logits or {}, {"free_state": True}, settings)


def test_devices_groups_and_priorities_are_decided_together(training):
    plan, trace = search(training)
    assert trace["plans"] <= 40
    assert plan.micros_after < plan.micros_before
    assert plan.num_groups > 0
    assert plan.priority is not None
    plan.validate(training)
    machine = grappler_go.load_machine(GPUS)
    step = grappler_go.simulate(training, plan, machine)
    assert step.step_ms == pytest.approx(plan.micros_after / 1000, rel=1e-5)
    loaded = grappler_go.Plan.from_json(plan.to_json(training))
    assert grappler_go.simulate(training, loaded, machine).step_ms == pytest.approx(step.step_ms)


def test_before_is_where_tensorflows_placer_puts_a_program(training):
    plan, trace = search(training)
    machine = grappler_go.load_machine(GPUS)
    default = baselines.make_plan("tensorflow_default", training, machine, free_state=True)
    step = grappler_go.simulate(training, default, machine)
    assert plan.micros_before == pytest.approx(1000 * step.step_ms, rel=1e-5)
    assert trace["best"][0]["micros"] == plan.micros_before


def test_a_seed_gives_a_plan_whatever_the_threads(training):
    one = search(training, seed=5, threads=1)[0].to_json()
    assert search(training, seed=5, threads=3)[0].to_json() == one


def test_the_trace_says_when_each_better_plan_was_found(training):
    best = search(training)[1]["best"]
    assert [one["plans"] for one in best] == sorted(one["plans"] for one in best)
    assert all(a["micros"] > b["micros"] for a, b in itertools.pairwise(best))
    assert best[0]["maker"] == "do nothing"


def test_a_policys_scores_are_where_it_begins(training):
    count = training.num_ops
    scores = np.zeros((count, 3), np.float32)
    scores[:, 1] = 5.0
    plan, trace = search(training, {"device": scores}, max_plans=2, samples=0)
    assert trace["plans"] == 2
    assert set(plan.device[plan.device >= 0]) <= {0, 1}


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"plans": 3}, TypeError),
        ({"max_plans": -1}, ValueError),
        ({"temperature": "hot"}, TypeError),
    ],
)
def test_settings_that_make_no_sense_are_refused(training, settings, error):
    with pytest.raises(error):
        search(training, **settings)


def test_a_priority_is_one_number_an_op_and_for_simulations_only(training):
    plan = grappler_go.Plan(training)
    plan.priority = np.arange(training.num_ops)
    with pytest.raises(ValueError, match="priorities are for simulations"):
        plan.validate(training)
    plan.free_state = True
    plan.validate(training)
    with pytest.raises(ValueError, match="one number"):
        plan.priority = [1.0]
    plan.priority = None
    assert plan.priority is None
