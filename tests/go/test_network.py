"""The GO network: what its outputs depend on, and what not."""

import os
import subprocess
import sys

import numpy as np
import pytest
import random_networks
import tensorflow as tf
from grappler_go_training.go import config, inputs, network

SEGMENT = 8


def _heads(policy, given, actions=None):
    """numpy Heads."""
    if actions is None:
        count = given.allowed.shape
        actions = network.initial_actions(count[0], count[1], policy.config)
    return network.Heads(*(t.numpy() for t in policy(given, actions)))


def _with_other_features(given, op):
    """The same with another value in one column of one op that says nothing of costs."""
    features = given.op_features.copy()
    features[op, random_networks.column("is_random")] += 2.0
    return given._replace(op_features=features)


def _changed(policy, given, op):
    """[N] bool: ops whose logits of fusion depend on the features of `op`."""
    before = _heads(policy, given).fusion
    after = _heads(policy, _with_other_features(given, op)).fusion
    return np.abs(after - before).max(1) > 1e-6


def test_devices_in_another_order_get_the_same_logits():
    policy = random_networks.small_network()
    given = random_networks.random_inputs(20, num_devices=4, num_edges=30)
    actions = random_networks.random_actions(20, 4, policy.config)
    order = np.array([2, 0, 3, 1])
    permuted = given._replace(
        device_features=given.device_features[order],
        link_features=given.link_features[order][:, order],
        op_device_micros=given.op_device_micros[:, order],
        allowed=given.allowed[:, order],
    )
    renamed = actions._replace(device=np.argsort(order)[actions.device].astype(np.int32))
    first, second = _heads(policy, given, actions), _heads(policy, permuted, renamed)
    np.testing.assert_allclose(second.device, first.device[:, order], rtol=1e-4, atol=1e-5)
    for name in ("fusion", "schedule", "recompute", "value"):
        np.testing.assert_allclose(
            getattr(second, name), getattr(first, name), rtol=1e-4, atol=1e-5
        )
    assert np.ptp(first.device, axis=1).min() > 1e-3, "devices that differ get other logits"


def test_equal_devices_can_be_told_apart():
    given = random_networks.random_inputs(12, num_devices=3)
    features = given.device_features.copy()
    features[1] = features[0]
    micros = given.op_device_micros.copy()
    micros[:, 1] = micros[:, 0]
    links = np.zeros_like(given.link_features)
    given = given._replace(device_features=features, op_device_micros=micros, link_features=links)
    logits = _heads(random_networks.small_network(), given).device
    assert np.abs(logits[:, 0] - logits[:, 1]).max() > 1e-3


def test_devices_of_one_type_that_are_nearly_equal_can_be_told_apart():
    given = random_networks.random_inputs(12, num_devices=3)
    features = np.tile(given.device_features[:1], (3, 1))
    names = random_networks.SCHEMA["device_features"]
    for name, values in (("is_cpu", [0, 0, 1]), ("is_gpu", [1, 1, 0])):
        features[:, names.index(name)] = values
    # A tenth slower.
    features[1, names.index("log2_gflops")] -= 0.15
    micros = np.tile(given.op_device_micros[:, :1], (1, 3))
    micros[:, 1] += 0.15
    links = np.zeros_like(given.link_features)
    given = given._replace(device_features=features, op_device_micros=micros, link_features=links)
    devices = random_networks.small_network().encode(given).devices.numpy()
    apart = np.linalg.norm(devices[0] - devices[1]) / np.linalg.norm(devices[0])
    assert apart > 0.05


def test_where_devices_stand_changes_their_logits():
    policy = random_networks.small_network()
    given = random_networks.random_inputs(12, num_edges=20)
    one = random_networks.random_actions(12, 3, policy.config)
    other = one._replace(device=(one.device + 1) % 3)
    assert np.abs(_heads(policy, given, one).device - _heads(policy, given, other).device).max() > (
        1e-3
    )


@pytest.mark.parametrize("task", ["fusion", "schedule", "recompute"])
def test_actions_of_the_last_pass_are_seen(task):
    policy = random_networks.small_network()
    given = random_networks.random_inputs(12)
    one = random_networks.random_actions(12, 3, policy.config)
    values = getattr(one, task).copy()
    values[5] = (values[5] + 1) % 2
    before, after = (_heads(policy, given, a) for a in (one, one._replace(**{task: values})))
    assert np.abs(before.fusion[5] - after.fusion[5]).max() > 1e-5


def test_links_are_seen():
    policy = random_networks.small_network()
    given = random_networks.random_inputs(12)
    slower = given._replace(link_features=given.link_features * 2.0)
    assert np.abs(_heads(policy, given).device - _heads(policy, slower).device).max() > 1e-4


def test_edges_carry_features_both_ways():
    policy = random_networks.small_network(attention=False, superposition=False)
    given = random_networks.random_inputs(12)
    ends = {"edge_src": np.array([2], np.int32), "edge_dst": np.array([9], np.int32)}
    given = given._replace(edge_features=np.ones((1, 1), np.float32), **ends)
    assert np.flatnonzero(_changed(policy, given, 2)).tolist() == [2, 9]
    assert np.flatnonzero(_changed(policy, given, 9)).tolist() == [2, 9]


def test_each_sage_layer_reaches_one_edge_further():
    chain = np.arange(11, dtype=np.int32)
    given = random_networks.random_inputs(12)._replace(
        edge_src=chain, edge_dst=chain + 1, edge_features=np.ones((11, 1), np.float32)
    )
    for layers in (1, 2):
        policy = random_networks.small_network(
            attention=False, superposition=False, sage_layers=layers, width=64
        )
        seen = np.flatnonzero(_changed(policy, given, 5))
        assert (seen.min(), seen.max()) == (5 - layers, 5 + layers)


def test_a_segment_sees_itself_and_the_one_before():
    # One attention in all: that of fusion.
    given = random_networks.random_inputs(4 * SEGMENT)
    one = {"trunk_layers": 1, "superposition": False}
    changed = _changed(random_networks.small_network(**one), given, SEGMENT + 3)
    # The trunk's layer and the task's own: two segments on.
    assert not changed[:SEGMENT].any()
    assert changed[SEGMENT : 2 * SEGMENT].all()
    assert changed[2 * SEGMENT : 3 * SEGMENT].all()


def test_without_recurrence_a_segment_sees_itself_alone():
    given = random_networks.random_inputs(3 * SEGMENT)
    changed = _changed(random_networks.small_network(recurrence=False), given, SEGMENT + 3)
    assert changed.nonzero()[0].tolist() == list(range(SEGMENT, 2 * SEGMENT))


def test_without_attention_an_op_is_alone():
    given = random_networks.random_inputs(3 * SEGMENT)
    changed = _changed(random_networks.small_network(attention=False), given, SEGMENT + 3)
    assert changed.nonzero()[0].tolist() == [SEGMENT + 3]


def test_no_gradient_flows_into_the_segment_before():
    policy = random_networks.small_network()
    given = random_networks.random_inputs(2 * SEGMENT)
    features = tf.constant(given.op_features)
    given = given._replace(op_features=features)
    with tf.GradientTape() as tape:
        tape.watch(features)
        heads = policy(given, network.initial_actions(2 * SEGMENT, 3, policy.config))
        loss = tf.reduce_sum(heads.schedule[SEGMENT:] ** 2)
    gradient = np.abs(tape.gradient(loss, features).numpy()).max(1)
    assert gradient[:SEGMENT].max() == 0
    assert gradient[SEGMENT:].min() > 0


def test_weights_learn_from_what_they_make_of_the_segment_before():
    # Keys and values of memory are the layer's own work: only its input is held.
    given = random_networks.random_inputs(SEGMENT + 1)
    largest = {}
    for recurrence in (True, False):
        policy = random_networks.small_network(
            trunk_layers=1, superposition=False, recurrence=recurrence
        )
        variables = policy.trainable_variables
        with tf.GradientTape() as tape:
            heads = policy(given, network.initial_actions(SEGMENT + 1, 3, policy.config))
            # Of the second segment's only op, which has no other in its segment.
            loss = tf.reduce_sum(heads.fusion[SEGMENT:] ** 2)
        # What makes keys: where there is one key alone, it does not matter.
        largest[recurrence] = max(
            np.abs(gradient.numpy()).max()
            for variable, gradient in zip(variables, tape.gradient(loss, variables), strict=True)
            # The head of devices has keys, too, which fusion does not depend on.
            if variable.name.startswith("key/weights") and gradient is not None
        )
    assert largest[True] > 100 * largest[False]


def test_superposition_multiplies_features():
    given = random_networks.random_inputs(12)
    with_it = random_networks.small_network()
    without = random_networks.small_network(superposition=False)
    assert without.num_parameters() < with_it.num_parameters()
    before = _heads(with_it, given).fusion
    encoded = with_it.encode(given)
    actions = network.initial_actions(12, 3, with_it.config)
    ones = encoded._replace(multiplier=tf.ones_like(encoded.multiplier))
    after = with_it.decode(ones, given, actions).fusion.numpy()
    assert np.abs(before - after).max() > 1e-4
    none = encoded._replace(multiplier=None)
    np.testing.assert_allclose(
        with_it.decode(none, given, actions).fusion.numpy(), after, rtol=1e-5, atol=1e-6
    )


def test_padding_has_no_influence():
    # One segment either way, of which 11 or 51 ops are padding.
    given = random_networks.random_inputs(13, num_edges=20)
    first = _heads(random_networks.small_network(segment=24), given)
    second = _heads(random_networks.small_network(segment=64), given)
    for one, other in zip(first, second, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_masked_devices_get_no_probability():
    given = random_networks.random_inputs(10)
    given.allowed[3] = [0, 1, 0]
    logits = _heads(random_networks.small_network(), given).device
    assert (logits[3] < -1e8).tolist() == [True, False, True]
    assert tf.nn.softmax(logits[3]).numpy().tolist() == [0, 1, 0]
    assert np.abs(np.delete(logits, 3, 0)).max() < 100


def test_ops_of_a_unit_have_the_mean_of_their_logits():
    policy = random_networks.small_network()
    given = random_networks.random_inputs(10)
    alone = _heads(policy, given).device
    given.unit[[2, 4, 7]] = 2
    together = _heads(policy, given).device
    for op in (2, 4, 7):
        np.testing.assert_allclose(together[op], alone[[2, 4, 7]].mean(0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(together[3], alone[3], rtol=1e-4, atol=1e-5)


def test_graphs_of_any_size_share_one_trace():
    policy = random_networks.small_network()
    traces = []

    @tf.function(
        input_signature=[inputs.inputs_spec(random_networks.SCHEMA), network.actions_spec()],
        autograph=False,
    )
    def run(given, actions):
        traces.append(given)
        return policy(given, actions)

    levels = policy.config.fusion_levels
    for num_ops in (0, 1, SEGMENT, SEGMENT + 1, 5 * SEGMENT):
        for num_devices in (1, 2, 16):
            given = random_networks.random_inputs(num_ops, num_devices, num_edges=num_ops)
            first = network.initial_actions(num_ops, num_devices, policy.config)
            heads = run(given, first)
            assert heads.device.shape == (num_ops, num_devices)
            assert heads.fusion.shape == (num_ops, levels)
            assert heads.schedule.shape == (num_ops, policy.config.schedule_levels)
            assert heads.recompute.shape == (num_ops, 2)
            assert heads.value.shape == ()
            assert all(np.isfinite(t.numpy()).all() for t in heads)
    assert len(traces) == 1


def test_every_weight_learns_something():
    policy = random_networks.small_network()
    given = random_networks.random_inputs(30, num_edges=50)
    with tf.GradientTape() as tape:
        heads = policy(given, random_networks.random_actions(30, 3, policy.config))
        loss = sum(tf.reduce_sum(tf.square(t)) for t in heads)
    variables = policy.trainable_variables
    for variable, gradient in zip(variables, tape.gradient(loss, variables), strict=True):
        if variable.name.startswith("undecided"):
            continue
        assert gradient is not None, variable.name


def test_configurations_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="iterations is 0"):
        config.NetworkConfig(iterations=0)
    with pytest.raises(ValueError, match="not divisible"):
        config.NetworkConfig(width=10, heads=4)
    with pytest.raises(ValueError, match="no field 'widht'"):
        config.parse(["widht=3"])
    with pytest.raises(ValueError, match="expected true or false"):
        config.parse(["attention=no"])
    assert config.parse(["width=32", "attention=false"]) == config.NetworkConfig(
        width=32, attention=False
    )


def test_a_network_of_an_older_schema_says_the_same_in_a_newer_one():
    schema = random_networks.SCHEMA
    older = {
        "op_features": [n for n in schema["op_features"] if n not in ("kind_apart", "class_call")],
        "vocabulary": [n for k, n in enumerate(schema["vocabulary"]) if k not in (3, 7)],
    }
    before = network.GoNetwork(
        config.NetworkConfig(width=16, ffn_width=16, segment=8, seed=3), {**schema, **older}
    )
    after = random_networks.small_network(sage_layers=3)
    after.take_over(before)
    given = random_networks.random_inputs(90, num_edges=120)
    kept = [schema["op_features"].index(name) for name in older["op_features"]]
    names = [schema["vocabulary"][number] for number in given.op_type]
    known = [older["vocabulary"].index(n) if n in older["vocabulary"] else 0 for n in names]
    assert 0 < known.count(0) < 20, "some types of ops are new"
    as_before = given._replace(
        op_features=given.op_features[:, kept], op_type=np.array(known, np.int32)
    )
    said = zip(_heads(before, as_before), _heads(after, given), strict=True)
    for expected, found in said:
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["op_features", "vocabulary", "device_features"])
def test_a_network_that_knows_what_is_no_longer_said_is_refused(name):
    schema = random_networks.SCHEMA
    before = network.GoNetwork(
        config.NetworkConfig(width=16, ffn_width=16, segment=8, sage_layers=1),
        {**schema, name: [*schema[name], "horoscope"]},
    )
    with pytest.raises(ValueError, match="horoscope|device_features of another"):
        random_networks.small_network().take_over(before)


def test_keras_3_in_the_process_is_an_error_that_says_what_to_do():
    environment = {k: v for k, v in os.environ.items() if k != "TF_USE_LEGACY_KERAS"}
    source = "import tensorflow as tf; tf.keras.Sequential(); import grappler_go_training.go"
    done = subprocess.run(
        [sys.executable, "-c", source], env=environment, capture_output=True, text=True, check=False
    )
    assert "set TF_USE_LEGACY_KERAS=1" in done.stderr
