"""Whatever a policy answers, the plan that is built of it can run."""

import numpy as np
import pytest
from grappler_go_training import workloads
from grappler_go_training.go import machines, teacher

from grappler_go import native


@pytest.mark.parametrize("kind", ["cpu", "workers", "gpus"])
def test_plans_of_random_logits_can_be_simulated(kind):
    recomputed = ordered = grouped = moved = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        graph = workloads.synthetic(
            seed, 400, kind="layered", training=True, width=256, batch=64
        ).op_graph()
        target = machines.sample(kind, machines.needed_bytes(graph), rng)
        count, devices = graph.num_ops, len(target.machine.devices)
        logits = {
            "device": rng.normal(size=(count, devices)),
            # Of some graphs most ops, of others few.
            "fusion": np.maximum(rng.normal(size=count) + rng.normal(), 0.0),
            "schedule": rng.normal(size=count),
            "recompute": rng.normal(size=count),
        }
        logits = {name: values.astype(np.float32) for name, values in logits.items()}
        options = teacher.plan_options(target, graph)
        plan, _ = native.core().build_plan(graph, target.machine, logits, options)
        order = {"schedule": logits["schedule"]}
        native.core().simulate(graph, target.machine, [plan], order, threads=1)
        recomputed += plan.recompute is not None
        ordered += len(plan.order) > 0
        grouped += plan.fusion_group is not None
        moved += plan.device is not None
    assert grouped > 10
    if kind == "cpu":
        assert recomputed > 0
        assert ordered > 0
    else:
        assert moved > 10
