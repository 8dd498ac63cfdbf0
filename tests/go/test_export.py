"""Policy folders of GO networks."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import random_networks
import tensorflow as tf
from grappler_go_training.go import export, inputs, run_folder, sampling

import grappler_go
from grappler_go import _core, native

SCORER = native.default_policy_path() / export.COSTS


@pytest.fixture(scope="module")
def policy():
    return random_networks.small_network()


@pytest.fixture(scope="module")
def folder(policy, tmp_path_factory):
    out = tmp_path_factory.mktemp("export") / "policy"
    export.export_policy(policy, {"what": "a test"}, str(out), "go-test")
    return out


@pytest.fixture(scope="module")
def graph():
    def step(x):
        for _ in range(8):
            x = tf.tanh(tf.matmul(x, x))
        return x

    return grappler_go.capture(tf.function(step), tf.ones((64, 64)))[0].op_graph()


@pytest.mark.parametrize("name", ["cpu-laptop", "p100x2", "v100x8"])
@pytest.mark.parametrize("free_state", [False, True])
def test_the_core_gets_what_the_network_says(policy, folder, graph, name, free_state):
    machine = grappler_go.load_machine(name)
    given = inputs.graph_inputs(graph, machine, free_state)
    _, heads = sampling.decode(policy, inputs.GraphInputs(*map(tf.constant, given)))
    loaded = _core.load_policy(str(folder))
    assert loaded.name == "go-test"
    said = loaded.decide(graph, machine, free_state=free_state)
    for task, expected in sampling.to_logits(heads, policy.config).items():
        np.testing.assert_allclose(said[task], expected, rtol=1e-3, atol=1e-4, err_msg=task)
    assert set(said) == {*sampling.TASKS, "op_micros", "fused_micros"}


def test_what_ships_can_be_trained_further_and_says_the_same(graph):
    network, config, file = run_folder.load_network("go-1.0")
    machine = grappler_go.load_machine("p100x4")
    given = inputs.graph_inputs(graph, machine, free_state=True)
    _, heads = sampling.decode(network, inputs.GraphInputs(*map(tf.constant, given)))
    said = _core.load_policy(str(file.parent)).decide(graph, machine, free_state=True)
    for task, expected in sampling.to_logits(heads, config.network).items():
        np.testing.assert_allclose(said[task], expected, rtol=1e-3, atol=1e-3, err_msg=task)


def test_costs_are_the_scorers(folder, graph):
    machine = grappler_go.load_machine("cpu-laptop")
    said, scored = (_core.load_policy(str(f)).decide(graph, machine) for f in (folder, SCORER))
    for name in ("op_micros", "fused_micros"):
        np.testing.assert_allclose(said[name], scored[name], rtol=1e-3)


@pytest.fixture(scope="module")
def exported_with_costs(policy, tmp_path_factory):
    folder = tmp_path_factory.mktemp("export") / "with_costs"
    export.export_policy(policy, {}, str(folder), "go-test", with_costs=True)
    return folder


@pytest.fixture
def with_costs(exported_with_costs, tmp_path):
    """A copy, to be damaged."""
    return shutil.copytree(exported_with_costs, tmp_path / "policy")


def test_with_costs_the_network_decides_where_there_is_a_choice(folder, with_costs, graph):
    loaded = _core.load_policy(str(with_costs))
    network, scorer = (_core.load_policy(str(f)) for f in (folder, SCORER))
    assert loaded.name == "go-test"

    def assert_said(machine, free_state, expected):
        said = loaded.decide(graph, machine, free_state=free_state)
        sources = {"network": network, "scorer": scorer}
        sources = {k: p.decide(graph, machine, free_state=free_state) for k, p in sources.items()}
        assert set(said) == set(expected)
        for task, source in expected.items():
            np.testing.assert_allclose(said[task], sources[source][task], rtol=1e-3, atol=1e-4)

    costs = dict.fromkeys(("fusion", "recompute", "op_micros", "fused_micros"), "scorer")
    placed = dict.fromkeys(("device", "schedule"), "network")
    several = grappler_go.load_machine("p100x2")
    assert_said(grappler_go.load_machine("cpu-laptop"), False, costs)
    assert_said(several, False, {**costs, **placed})
    simulated = {**dict.fromkeys(costs, "network"), **placed}
    assert_said(several, True, simulated)
    # The cores of one process, whatever they are called.
    task = "/job:localhost/replica:0/task:0/device:CPU"
    cpus = [{**several.devices[0], "name": f"{task}:{k}", "type": "CPU"} for k in range(2)]
    links = [link for link in several.links if {link["src"], link["dst"]} == {0, 1}]
    same = grappler_go.Machine("one host", devices=cpus, links=links)
    assert_said(same, False, costs)
    apart = [cpus[0], {**cpus[1], "name": "/job:worker/replica:0/task:1/device:CPU:0"}]
    workers = grappler_go.Machine("two", devices=apart, links=links)
    assert_said(workers, False, {**costs, **placed})
    # Nobody has said what it costs to move anything.
    unknown = grappler_go.Machine("guessed", devices=several.devices)
    assert_said(unknown, False, costs)


def test_the_network_is_loaded_when_it_is_asked(with_costs, graph):
    loaded = _core.load_policy(str(with_costs))
    one = grappler_go.load_machine("cpu-laptop")
    (with_costs / "variables" / "variables.index").write_bytes(b"damaged")
    assert "fusion" in loaded.decide(graph, one)
    for _ in range(2):
        with pytest.raises(ValueError, match=r"variables\.index does not match"):
            loaded.decide(graph, grappler_go.load_machine("p100x2"))
    assert "fusion" in loaded.decide(graph, one)
    with pytest.raises(ValueError, match=r"variables\.index does not match"):
        _core.load_policy(str(with_costs))


@pytest.mark.parametrize("file", ["saved_model.pb", "schema.json"])
def test_damaged_costs_are_refused(with_costs, file):
    (with_costs / export.COSTS / file).write_bytes(b"{")
    with pytest.raises(ValueError, match=file):
        _core.load_policy(str(with_costs))


def test_the_folder_describes_itself(folder):
    schema = json.loads((folder / "schema.json").read_text())
    assert schema["schema"] == "1.3"
    assert "edge_features" not in schema["inputs"]
    assert "link_features" in schema["inputs"]
    assert json.loads((folder / "card.json").read_text()) == {"name": "go-test", "what": "a test"}


def test_a_folder_that_is_too_large_is_an_error(tmp_path, policy, monkeypatch):
    monkeypatch.setattr(export, "MAX_BYTES", 1000)
    with pytest.raises(ValueError, match="make width or ffn_width smaller"):
        export.export_policy(policy, {}, str(tmp_path / "policy"))


def test_an_untrained_policy_by_command(tmp_path):
    command = [sys.executable, "-m", "grappler_go_training.go", f"--out={tmp_path / 'policy'}"]
    sizes = ["--set=width=16", "--set=ffn_width=16", "--set=sage_layers=1"]
    done = subprocess.run(
        [*command, *sizes], capture_output=True, text=True, env=os.environ, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "parameters" in done.stdout
    assert _core.load_policy(str(tmp_path / "policy")).name == "go-untrained"
    wrong = subprocess.run(
        [*command, "--set=widht=16"], capture_output=True, text=True, env=os.environ, check=False
    )
    assert wrong.returncode == 2
    assert "no field 'widht'" in wrong.stdout
