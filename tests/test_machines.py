"""Machines: those that ship, files, one path for whatever names one; ops whose cost is
not known. The format itself is tested in C++ (cc/cost/machine_test.cc)."""

from __future__ import annotations

import json
import pathlib
import re

import numpy as np
import pytest

import grappler_go
from grappler_go import native, settings
from grappler_go.cli.main import command_module, main

_SHIPPED = [
    "cpu-laptop",
    "cpu-server",
    *(f"{gpu}x{count}" for gpu in ("p100", "v100") for count in (1, 2, 4, 8)),
]
_FOLDER = pathlib.Path(grappler_go.__file__).parent / "machines"


def of_type(machine, device_type):
    return [device for device in machine.devices if device["type"] == device_type]


def link_rates(machine):
    return {(link["src"], link["dst"]): link["gbytes_per_s"] for link in machine.links}


@pytest.fixture(scope="module")
def captured():
    """A step of which an op is Python and another returns what the values tell."""
    import tensorflow as tf

    def step(x):
        y = tf.numpy_function(lambda a: a, [tf.tanh(x)], tf.float32)
        y = tf.ensure_shape(y, (8, 8))
        return tf.reduce_sum(tf.matmul(y, y)), tf.where(y > 0)

    return grappler_go.capture(step, tf.ones((8, 8)))[0]


@pytest.fixture(autouse=True)
def _flags_as_before():
    """Commands keep parsed flags in their module; each test starts afresh."""
    yield
    _forget_flags()


def _forget_flags():
    for name in ("simulate", "explain", "machines"):
        values = command_module(name).FLAGS
        values.unparse_flags()
        for flag in values:
            values[flag].unparse()


def grappler_go_prints(capsys, *arguments):
    """Runs a command that must succeed; what it printed."""
    _forget_flags()
    assert main([*map(str, arguments)]) == 0
    return capsys.readouterr().out


def test_ten_machines_ship():
    assert grappler_go.machine_names() == _SHIPPED


@pytest.mark.parametrize("name", _SHIPPED)
def test_shipped_files_are_complete(name):
    machine = grappler_go.load_machine(name)
    pairs = len(machine.devices) * (len(machine.devices) - 1)
    assert len(link_rates(machine)) == pairs
    for device in machine.devices:
        assert device["memory_bytes"] > 0
        assert device["dispatch_us"] > 0
        assert device["achieved"]["matmul"] != device["achieved"]["depthwise_conv"]
    assert json.loads(machine.to_json())["sources"] == machine.sources


@pytest.mark.parametrize("name", _SHIPPED)
def test_every_number_that_ships_has_a_source(name):
    raw = json.loads((_FOLDER / f"{name}.json").read_text())
    needed = {
        f"{device['type']} {field}"
        for device in raw["devices"]
        for field in ("gflops", "gbytes_per_s", "memory_bytes", "dispatch_us", "achieved")
    }
    for kind in ("default_link", "links"):
        if raw.get(kind):
            needed |= {f"{kind} gbytes_per_s", f"{kind} latency_us"}
    assert needed <= set(raw["sources"])


@pytest.mark.parametrize("count", [1, 2, 4, 8])
def test_gpu_machines_have_the_rates_of_the_data_sheets(count):
    for name, gflops, gbytes_per_s in (("p100", 9300, 732), ("v100", 15700, 900)):
        gpus = of_type(grappler_go.load_machine(f"{name}x{count}"), "GPU")
        assert len(gpus) == count
        assert {gpu["gflops"] for gpu in gpus} == {gflops}
        assert {gpu["gbytes_per_s"] for gpu in gpus} == {gbytes_per_s}
        assert {gpu["memory_bytes"] for gpu in gpus} == {16 * 2**30}


def test_a_v100_has_six_nvlinks_and_a_p100_none():
    """24 GB/s each; the rest goes over PCIe."""
    for i in range(8):
        rates = [
            rate
            for (src, dst), rate in link_rates(grappler_go.load_machine("v100x8")).items()
            if src == i and dst < 8 and rate > 12
        ]
        assert sum(rates) == 6 * 24
        assert set(rates) == {24, 48}
    assert set(link_rates(grappler_go.load_machine("p100x8")).values()) == {12}


def test_smaller_machines_are_parts_of_larger_ones():
    large = link_rates(grappler_go.load_machine("v100x8"))
    for count in (2, 4):
        small = link_rates(grappler_go.load_machine(f"v100x{count}"))
        between_gpus = {pair: rate for pair, rate in small.items() if max(pair) < count}
        assert between_gpus
        assert between_gpus.items() <= large.items()


def test_links_work_both_ways():
    for name in grappler_go.machine_names():
        rates = link_rates(grappler_go.load_machine(name))
        assert all(rates[dst, src] == rate for (src, dst), rate in rates.items())


def test_a_file_is_read_as_it_was_written(tmp_path):
    machine = grappler_go.load_machine("v100x2")
    file = tmp_path / "mine.json"
    file.write_text(machine.to_json())
    again = grappler_go.load_machine(file)
    assert again.devices == machine.devices
    assert again.to_json() == machine.to_json()


def test_devices_as_dicts_give_the_same_machine():
    machine = grappler_go.load_machine("p100x2")
    again = grappler_go.Machine(
        machine.name, devices=machine.devices, links=machine.links, sources=machine.sources
    )
    assert again.to_json() == machine.to_json()


def test_fractions_are_checked():
    def machine(achieved):
        device = {"name": "/device:CPU:0", "type": "CPU", "achieved": achieved}
        return grappler_go.Machine("one", devices=[device])

    fractions = machine({"conv": {"gflops": 0.25}}).devices[0]["achieved"]
    assert fractions["conv"] == {"gflops": 0.25, "gbytes_per_s": 1.0}
    assert fractions["matmul"] == {"gflops": 1.0, "gbytes_per_s": 1.0}
    with pytest.raises(ValueError, match=r"devices\[0\]\.achieved\.conv\.gflops"):
        machine({"conv": {"gflops": 1.5}})
    with pytest.raises(TypeError, match="convolution"):
        machine({"convolution": {"gflops": 0.5}})
    with pytest.raises(TypeError, match="flops"):
        machine({"conv": {"flops": 0.5}})
    with pytest.raises(TypeError, match="conv"):
        machine({"conv": 0.5})
    with pytest.raises(TypeError, match="achieved"):
        machine(0.5)


def test_a_name_that_nothing_has_tells_those_that_ship():
    with pytest.raises(FileNotFoundError, match=r"no machine 'p100x3'.*p100x4"):
        grappler_go.load_machine("p100x3")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": "2.0"}, "machine.version"),
        ({"default_link": None}, "links has none from 0"),
        ({"default_link": {"gbytes_per_s": 0, "latency_us": 1}}, "default_link.gbytes_per_s"),
        ({"speed": 3}, 'unknown field "speed"'),
    ],
)
def test_a_bad_file_is_named_with_its_field(tmp_path, change, message):
    values = json.loads((_FOLDER / "p100x2.json").read_text()) | change
    file = tmp_path / "bad.json"
    file.write_text(json.dumps({key: value for key, value in values.items() if value}))
    with pytest.raises(ValueError, match=f"bad.json.*{re.escape(message)}"):
        grappler_go.load_machine(file)


def test_whatever_names_a_machine_goes_one_way(tmp_path):
    file = tmp_path / "mine.json"
    file.write_text(grappler_go.load_machine("p100x2").to_json())
    for given in ("p100x2", str(file), file, grappler_go.load_machine("p100x2")):
        machine = settings.parse_devices(given, must_exist=False)
        assert machine is not None
        assert len(machine.devices) == 3
    one = settings.parse_devices("CPU:0", must_exist=False)
    assert one is not None
    assert [device["name"] for device in one.devices] == [
        "/job:localhost/replica:0/task:0/device:CPU:0"
    ]


def test_ops_can_only_be_placed_on_devices_that_exist():
    with pytest.raises(ValueError, match="no device .*GPU:0"):
        settings.parse_devices("p100x2")


def test_rooflines_follow_the_machine(captured):
    graph = captured.op_graph()
    product = graph.ops.index("MatMul")
    p100 = grappler_go.load_machine("p100x1")
    on_gpu, on_cpu = (
        native.core().roofline_micros(graph, p100, device)[product] for device in (0, 1)
    )
    # Three matrices of 8 x 8: the memory takes longer than 2 * 8 * 8 * 8 operations.
    assert on_gpu == pytest.approx(5 + 3 * 256 / (732e3 * 0.7))
    assert on_cpu == pytest.approx(1 + 3 * 256 / (76.8e3 * 0.8))
    with pytest.raises(ValueError, match="no device 2"):
        native.core().roofline_micros(graph, p100, 2)


def test_costs_that_are_not_known_are_listed(captured):
    graph = captured.op_graph()
    rows = {row.op: row for row in grappler_go.uncosted_ops(captured, "cpu-laptop")}
    assert rows["PyFunc"].why == "no formula"
    assert rows["Where"].why == "shape unknown"
    assert rows["PyFunc"].ops == 1
    micros = native.core().roofline_micros(graph, grappler_go.load_machine("cpu-laptop"))
    assert rows["PyFunc"].share == pytest.approx(1.0 / micros.sum())
    assert sum(row.ops for row in rows.values()) == np.sum(graph.cost_known == 0)
    assert "MatMul" not in rows


def test_a_graph_whose_costs_are_known_lists_nothing():
    import tensorflow as tf

    graph = grappler_go.capture(lambda x: tf.reduce_sum(tf.matmul(x, x)), tf.ones((8, 8)))[0]
    assert grappler_go.uncosted_ops(graph) == []


def test_simulate_takes_a_machine_by_name(captured, tmp_path, capsys):
    file = tmp_path / "step.pb"
    captured.save(file)
    told = json.loads(grappler_go_prints(capsys, "simulate", file, "--machine=p100x2", "--json"))
    devices = told["as it stands"]["devices"]
    assert [device["name"][-5:] for device in devices] == ["GPU:0", "GPU:1", "CPU:0"]
    shown = grappler_go_prints(capsys, "simulate", file, "--machine=CPU:0")
    assert "count as their dispatch only" in " ".join(shown.split())
    assert main(["simulate", str(file), "--machine=p100x3"]) == 1
    assert "no machine 'p100x3'" in capsys.readouterr().err


def test_explain_lists_costs_that_are_not_known(captured, tmp_path, capsys):
    file = tmp_path / "step.pb"
    captured.save(file)
    uncosted = json.loads(grappler_go_prints(capsys, "explain", file, "--json"))[0]["uncosted"]
    assert {row["op"]: row["why"] for row in uncosted}["PyFunc"] == "no formula"
    shown = grappler_go_prints(capsys, "explain", file)
    assert "costs that are not known" in shown
    assert re.search(r"PyFunc +1 +\d+\.\d% +no formula", shown)


def test_the_command_lists_machines(capsys):
    assert list(json.loads(grappler_go_prints(capsys, "machines", "--json"))) == _SHIPPED
    assert "8 GPU, 1 CPU" in grappler_go_prints(capsys, "machines")
    assert main(["machines", "a", "b"]) == 2


def test_the_command_shows_what_transfers_take_of_cpus(tmp_path, capsys):
    cpus = [{"name": f"/job:worker/replica:0/task:{task}/device:CPU:0"} for task in (0, 1)]
    links = [{"src": a, "dst": 1 - a, "cpu_us": 160, "cpu_us_per_mb": 690} for a in (0, 1)]
    file = tmp_path / "machine.json"
    file.write_text(grappler_go.Machine("two", devices=cpus, links=links).to_json())
    shown = grappler_go_prints(capsys, "machines", str(file))
    assert re.search(r"1 +50 +160 +690 +2 ", shown)


def test_the_command_shows_a_machine(tmp_path, capsys):
    shown = grappler_go_prints(capsys, "machines", "v100x4")
    assert "15,700" in shown
    assert "data sheet" in shown
    assert re.search(r"48 +5 +6 +GPU:0 to GPU:3", shown)
    assert "CPU us" not in shown
    file = tmp_path / "mine.json"
    file.write_text(grappler_go_prints(capsys, "machines", "p100x1", "--json"))
    assert grappler_go.load_machine(file).name == grappler_go.load_machine("p100x1").name
