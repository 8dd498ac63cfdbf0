"""The arguments of enable(): what each may be, and what is said of what it may not."""

import json

import helpers
import numpy as np
import pytest
from helpers import FORCED, Asked, X, executed, tanh_chain

import grappler_go
from grappler_go import advanced, devices, native, settings

pytestmark = pytest.mark.usefixtures("pass_off")


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, 0), (123, 123), ("4GB", 4 * 10**9), ("1.5 GiB", 3 * 2**29), ("512mb", 512 * 10**6)],
)
def test_memory_limits(value, expected):
    assert settings.parse_memory_limit(value) == {"memory_limit": expected, "memory_fraction": 0}


@pytest.mark.parametrize("value", [0.6, "0.6", ".6"])
def test_a_memory_limit_may_be_a_share_of_the_peak_without(value):
    assert settings.parse_memory_limit(value) == {"memory_limit": 0, "memory_fraction": 0.6}


@pytest.mark.parametrize("value", [0, -1, 1.5, 0.0, "4 apples", "GB", "-1GB", "0", True, [1]])
def test_memory_limits_that_make_no_sense(value):
    with pytest.raises(ValueError, match="memory_limit"):
        settings.parse_memory_limit(value)


@pytest.mark.parametrize(
    ("kwargs", "error", "match"),
    [
        ({"decisions": ("device", "speed")}, ValueError, "speed"),
        ({"budget_ms": 0}, ValueError, "budget_ms"),
        ({"min_gain": 1.0}, ValueError, "min_gain"),
        ({"min_gain": -0.1}, ValueError, "min_gain"),
        ({"policy": 3}, TypeError, "policy"),
        ({"policy": "/no/such/policy"}, ValueError, "/no/such/policy': there is no such file"),
        ({"policy": "no_such_module:f"}, ValueError, "ModuleNotFoundError"),
        ({"policy": "python:f"}, ValueError, "not module:function"),
        ({"devices": "CPU:0,CPU:99"}, ValueError, "CPU:99"),
        ({"devices": "p100x4"}, ValueError, "TensorFlow has no device .*GPU:0; it has .*CPU:0"),
        ({"devices": ["CPU:99"]}, ValueError, "CPU:99"),
        ({"devices": ["a toaster"]}, ValueError, "toaster"),
        ({"devices": ["CPU:0", "/device:CPU:0"]}, ValueError, "twice"),
        ({"devices": "/no/such/machine.json"}, OSError, "machine.json"),
        ({"advanced": {"min_opps": 3}}, TypeError, "min_opps"),
        ({"advanced": {"min_ops": 2.5}}, TypeError, "expected int, 0 or more"),
        ({"advanced": {"min_ops": True}}, TypeError, "expected int, 0 or more"),
        ({"advanced": {"min_group_ops": 0}}, ValueError, "expected int, 1 or more"),
        ({"advanced": {"min_ops": 2**40}}, ValueError, "min_ops"),
        ({"advanced": {"group_launch_micros": -1.0}}, ValueError, "expected float, 0 or more"),
        ({"advanced": {"group_launch_micros": float("nan")}}, ValueError, "expected float"),
        ({"advanced": {"fuse_unknown_shapes": 1}}, TypeError, "expected True or False"),
        ({"record": "/dev/null/folder"}, OSError, "null"),
        ({"min_gain": "x"}, TypeError, "min_gain='x': expected a share"),
        ({"min_gain": True}, TypeError, "min_gain=True: expected a share"),
        ({"budget_ms": "2000"}, TypeError, "budget_ms='2000': expected milliseconds"),
        ({"budget_ms": float("nan")}, ValueError, "budget_ms=nan: expected milliseconds"),
        ({"compile_budget_s": [20]}, TypeError, "compile_budget_s=.*: expected seconds"),
        ({"decisions": 3}, TypeError, "decisions=3: expected some of device, fusion, memory"),
        ({"devices": 3}, TypeError, "devices=3: expected"),
        ({"devices": [3]}, TypeError, "devices=.3.: expected"),
        ({"advanced": 3}, TypeError, "advanced=3: expected a dict"),
        ({"record": 3}, TypeError, "record=3: expected a folder"),
        ({"guard": "yes"}, TypeError, "guard='yes': expected True or False"),
    ],
)
def test_wrong_arguments_are_told_and_change_nothing(kwargs, error, match):
    with pytest.raises(error, match=match):
        grappler_go.enable(**{"policy": Asked(), **kwargs})
    assert not grappler_go.is_enabled()


def test_numbers_may_be_numpys():
    given = {"min_gain": np.float32(0.5), "budget_ms": np.int64(50), "compile_budget_s": 3}
    with grappler_go.scope(Asked(), **given):
        config = native.core().current_config()
    assert (config["min_gain"], config["budget_ms"]) == (0.5, 50)


def test_advanced_settings_are_the_cores_and_have_its_defaults():
    # What has an argument of its own, or is no setting of a user's.
    others = {"enabled", "capture", "policy", "policy_spec", "machine", "devices_exist"}
    others |= {"device", "fusion", "memory", "memory_limit", "budget_ms", "min_gain", "record_dir"}
    others |= {"memory_fraction"}  # memory_limit="0.6"
    others |= {"compile_budget_s", "plan_folders"}
    others |= {"keep_memory"}
    others |= {"free_state", "first_is_home"}  # for simulations: the pass refuses such plans
    others |= {"on_trial"}  # of a call, and not of the process
    others |= {"cut_by_policy"}  # where there are several devices the pass searches
    answer = helpers.run_python(
        "import json\n"
        "from grappler_go import native\n"
        "print(json.dumps(native.core().current_config()))"
    )
    defaults = json.loads(answer.stdout)
    found = {name: option.default for name, option in advanced.OPTIONS.items()}
    assert found == {name: value for name, value in defaults.items() if name not in others}
    assert [type(found[name]) for name in found] == [type(defaults[name]) for name in found]
    with grappler_go.scope(
        advanced={name: option.default for name, option in advanced.OPTIONS.items()}
    ):
        pass


def test_decisions_that_are_not_wanted_are_not_made():
    def policy(policy_input):
        n = len(policy_input.op_type)
        return {"fusion": np.ones(n, np.float32)}

    with grappler_go.scope(policy, decisions=("memory",), **FORCED):
        _, nodes = executed(tanh_chain(), X)
    assert helpers.count(nodes, "_XlaRun") == 0


def test_devices_by_name_file_and_object(tmp_path):
    machine = grappler_go.local_machine()
    assert machine.devices[0]["name"] == "/job:localhost/replica:0/task:0/device:CPU:0"
    assert machine.devices[0]["memory_bytes"] > 0
    file = tmp_path / "machine.json"
    file.write_text(machine.to_json())
    seen = []

    def policy(policy_input):
        seen.append([d["name"] for d in policy_input.machine.devices])

    for given in ("all", ["CPU:0"], "CPU:0", machine, file, str(file)):
        with grappler_go.scope(policy, devices=given, **FORCED):
            tanh_chain()(X)
    assert seen == [["/job:localhost/replica:0/task:0/device:CPU:0"]] * 6
    two = settings.parse_devices("CPU:0, CPU:1", must_exist=False)
    assert [d["name"][-5:] for d in two.devices] == ["CPU:0", "CPU:1"]
    assert grappler_go.load_machine(file).to_json() == machine.to_json()


def test_device_names_are_completed():
    full = "/job:localhost/replica:0/task:0/device:CPU:1"
    assert devices.full_device_name("CPU:1") == full
    assert devices.full_device_name("/cpu:1") == full
    remote = "/job:worker/replica:0/task:3/device:CPU:0"
    assert devices.full_device_name(remote) == remote
    with pytest.raises(ValueError, match="no type"):
        devices.full_device_name("/job:worker")


def test_a_policy_that_ships_has_a_name(monkeypatch, tmp_path):
    core = native.core()
    assert core.load_policy("go-1.0").name == "go-1.0"
    assert core.load_policy("default").name == native.DEFAULT_POLICY
    assert native.policy_folder("default") == native.policy_folder(native.DEFAULT_POLICY)
    # What is in the current folder goes first.
    monkeypatch.chdir(tmp_path)
    (tmp_path / "go-1.0").mkdir()
    with pytest.raises(ValueError, match="holds neither a policy"):
        core.load_policy("go-1.0")
    with pytest.raises(ValueError, match="'default' or another that ships"):
        core.load_policy("go-99")
