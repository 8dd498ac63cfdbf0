"""Plans with free state: variables may still be placed, for simulations only."""

from __future__ import annotations

import helpers
import numpy as np
import pytest
from grappler_go_training import baselines

import grappler_go

_OPTIONAL = {"metis": "pymetis", "kahip": "kahip", "mtkahypar": "mtkahypar"}
_BUDGET = baselines.Budget(plans=24)


@pytest.fixture(scope="module")
def training():
    """A training step with momentum: 6 layers of 512 x 512, each in a scope of its own."""
    import tensorflow as tf

    weights = [tf.Variable(tf.random.stateless_normal((512, 512), (1, k))) for k in range(6)]
    slots = [tf.Variable(tf.zeros_like(weight)) for weight in weights]

    def step(x):
        with tf.GradientTape() as tape:
            for k, weight in enumerate(weights):
                with tf.name_scope(f"layer_{k}"):
                    x = tf.nn.relu(x @ weight)
            loss = tf.reduce_mean(x)
        gradients = tape.gradient(loss, weights)
        for weight, slot, gradient in zip(weights, slots, gradients, strict=True):
            tf.raw_ops.ResourceApplyMomentum(
                var=weight.handle, accum=slot.handle, lr=0.1, grad=gradient, momentum=0.9
            )
        return loss

    return grappler_go.capture(step, tf.ones((256, 512)))[0].op_graph()


@pytest.fixture(scope="module")
def machine():
    return grappler_go.load_machine("p100x2")


def _make(name, graph, machine, **options):
    if name in _OPTIONAL:
        pytest.importorskip(_OPTIONAL[name])
    return baselines.make_plan(name, graph, machine, _BUDGET, free_state=True, **options)


def _variables(graph):
    """Handles of variables, by number."""
    return sorted(set(graph.variable[graph.variable >= 0].tolist()))


def _devices(graph, plan):
    """[num_ops] names; the graph's own where the plan says nothing."""
    if plan.device is None:
        return list(graph.devices)
    return [
        plan.devices[device] if device >= 0 else name
        for device, name in zip(plan.device, graph.devices, strict=True)
    ]


@pytest.mark.parametrize(
    "name", [name for name, one in baselines.BASELINES.items() if one.decides == "device"]
)
def test_every_placement_takes_the_variables_to_the_accelerators(name, training, machine):
    plan = _make(name, training, machine)
    assert plan.free_state
    plan.validate(training)
    devices = _devices(training, plan)
    for op, variable in enumerate(training.variable):
        if variable >= 0:
            assert devices[op] == devices[variable]
    assert all("GPU" in devices[variable] for variable in _variables(training))
    step = grappler_go.simulate(training, plan, machine)
    gpus, cpu = step.devices[:2], step.devices[2]
    weights = sum(training.resident_bytes[variable] for variable in _variables(training))
    assert sum(gpu.resident_bytes for gpu in gpus) >= weights
    assert cpu.resident_bytes < weights
    assert cpu.busy_ms < 0.01 * step.step_ms


def test_without_free_state_the_same_step_stays_on_the_host(training, machine):
    plan = baselines.make_plan("heft", training, machine)
    assert not plan.free_state
    assert plan.num_moved == 0


@pytest.mark.parametrize("name", baselines.BASELINES)
def test_whatever_a_baseline_decides_its_free_plan_can_be_simulated(name, training, machine):
    plan = _make(name, training, machine)
    assert plan.free_state
    assert grappler_go.simulate(training, plan, machine).step_ms > 0


def test_tensorflow_would_place_all_of_it_on_the_first_gpu(training, machine):
    plan = _make("tensorflow_default", training, machine)
    step = grappler_go.simulate(training, plan, machine)
    assert step.devices[0].busy_ms > 0.5 * step.step_ms
    assert step.devices[1].tasks == 0
    fed = [op for op, kind in enumerate(training.ops) if kind == "_Arg"]
    fed = [op for op in fed if training.dtype(op, 0) == 1]  # the others are handles
    assert fed
    assert set(plan.device[fed]) == {-1}


@pytest.mark.parametrize("name", ["human_expert", "metis"])
def test_a_cut_between_layers_sends_activations_and_no_weights(name, training, machine):
    plan = _make(name, training, machine)
    step = grappler_go.simulate(training, plan, machine, timeline=True)
    assert step.devices[0].busy_ms > 0
    assert step.devices[1].busy_ms > 0
    largest = step.timeline.transfers["bytes"].max()
    # METIS balances work and memory first: one weight's gradient may cross.
    assert largest == 512 * 256 * 4 if name == "human_expert" else largest <= 512 * 512 * 4
    if name == "human_expert":
        # What is fed, one layer's output and its gradient.
        assert step.transfer_bytes < 3.2 * 512 * 256 * 4


def test_a_model_larger_than_one_device_fits_two(training, machine):
    needed = max(
        device.peak_bytes
        for device in grappler_go.simulate(
            training, _make("tensorflow_default", training, machine), machine
        ).devices
    )
    devices = [device | {"memory_bytes": int(0.8 * needed)} for device in machine.devices]
    small = grappler_go.Machine("small", devices=devices, links=machine.links)

    def outcome(name):
        plan = _make(name, training, small)
        return grappler_go.simulate(training, plan, small).out_of_memory

    assert outcome("tensorflow_default")
    assert not outcome("human_expert")


def test_policies_place_variables_when_asked_to(training, machine):
    from grappler_go import native

    logits = np.tile(np.array([0, 1, 0], np.float32), (training.num_ops, 1))
    options = {"free_state": True, "fusion": False, "memory": False}
    plan, why = native.core().build_plan(training, machine, {"device": logits}, options)
    assert plan.free_state
    assert {plan.device[variable] for variable in _variables(training)} == {1}
    assert "an argument or a result" in why["left_out"]
    options["free_state"] = False
    assert native.core().build_plan(training, machine, {"device": logits}, options)[0].empty


def test_the_file_of_a_free_plan_says_so(training, machine, tmp_path):
    plan = _make("human_expert", training, machine)
    grappler_go.save_plan(plan, tmp_path / "plan.json", training)
    loaded = grappler_go.load_plan(tmp_path / "plan.json")
    assert loaded.free_state
    assert loaded.to_json(training) == plan.to_json(training)
    assert "for simulations only" in grappler_go.plan_summary(loaded, training)
    refused = loaded.copy()
    refused.free_state = False
    with pytest.raises(ValueError, match="may not be moved"):
        refused.validate(training)


def test_the_pass_refuses_a_free_plan():
    import tensorflow as tf

    def fill(plan, graph):
        plan.free_state = True
        plan.devices = ["CPU:0"]
        plan.device = np.array([0 if op == "Tanh" else -1 for op in graph.ops], np.int32)

    @tf.function
    def step(x):
        return tf.reduce_sum(tf.tanh(tf.matmul(x, x)))

    x = tf.ones((8, 8))
    wanted = step(x).numpy()
    grappler_go.clear_reports()
    with grappler_go.scope(policy=helpers.planned(fill), **helpers.FORCED):
        assert tf.function(step.python_function)(x).numpy() == wanted
    assert "plan is for simulations only" in helpers.outcomes()
    assert not helpers.applied_reports()
