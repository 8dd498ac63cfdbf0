"""`grappler-go run` and `grappler-go record`: a script, its environment, its reports."""

from __future__ import annotations

import json

import pytest
from cli_helpers import run_cli

from grappler_go.cli import run as run_command
from grappler_go.cli.main import main

pytestmark = pytest.mark.usefixtures("flags_as_before")

_SCRIPT = """
import sys
import tensorflow as tf
import helper  # lies beside the script
print("argv", sys.argv[1:], __name__)
print("sum", float(tf.function(lambda x: tf.reduce_sum(x + x))(tf.ones((3,)))))
if "exit" in sys.argv:
    sys.exit(7)
if "raise" in sys.argv:
    raise KeyError("of the script")
"""


@pytest.fixture
def script(tmp_path):
    (tmp_path / "helper.py").write_text("")
    path = tmp_path / "train.py"
    path.write_text(_SCRIPT)
    return path


def test_run_gives_a_script_its_arguments_and_returns_its_exit_status(script):
    done = run_cli("run", "--policy=default", script, "exit", "--epochs=3")
    assert "argv ['exit', '--epochs=3'] __main__" in done.stdout
    assert "sum 6.0" in done.stdout
    assert done.returncode == 7


def test_run_shows_the_scripts_exception_as_python_would(script):
    done = run_cli("run", script, "raise", environment={"GRAPPLER_GO": "0"})
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "KeyError: 'of the script'" in done.stderr


@pytest.mark.parametrize("level", [None, "1"])
@pytest.mark.parametrize("command", [["run"], ["record", "graphs"]])
def test_a_script_sees_the_log_level_as_its_user_has_it(tmp_path, monkeypatch, command, level):
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL")
    script = tmp_path / "level.py"
    script.write_text("import os; print('level', os.environ.get('TF_CPP_MIN_LOG_LEVEL'))")
    environment = {} if level is None else {"TF_CPP_MIN_LOG_LEVEL": level}
    done = run_cli(*command, script, environment=environment, cwd=tmp_path)
    assert f"level {level}" in done.stdout, done.stderr


def _decides_nothing(_):
    return None


def _variables(monkeypatch, **values):
    monkeypatch.delenv("GRAPPLER_GO_PLANS", raising=False)
    for name, value in values.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize(
    ("values", "flags", "expected"),
    [
        ({"GRAPPLER_GO_MIN_GAIN": "0.9"}, [], {"min_gain": 0.9}),
        ({"GRAPPLER_GO_MIN_GAIN": "0.9"}, ["--min_gain=0.2"], {"min_gain": 0.2}),
        ({"GRAPPLER_GO_MIN_GAIN": "abc"}, ["--min_gain=0.2"], {"min_gain": 0.2}),
        ({"GRAPPLER_GO_MIN_GAIN": ""}, [], {"min_gain": None}),
        ({"GRAPPLER_GO_DECISIONS": "fusion, memory"}, [], {"decisions": ("fusion", "memory")}),
        ({"GRAPPLER_GO_DEVICES": "CPU:0"}, [], {"devices": "CPU:0"}),
        ({"GRAPPLER_GO_MEMORY_LIMIT": "0.6"}, [], {"memory_limit": "0.6"}),
        ({"GRAPPLER_GO_BUDGET_MS": "50"}, [], {"budget_ms": 50}),
        ({"GRAPPLER_GO_COMPILE_BUDGET_S": "3.5"}, [], {"compile_budget_s": 3.5}),
        ({"GRAPPLER_GO_RECORD": "graphs"}, [], {"record": "graphs"}),
        ({"GRAPPLER_GO_RECORD": "graphs"}, ["--record=mine"], {"record": "mine"}),
        ({"GRAPPLER_GO_KEEP_MEMORY": "0"}, [], {"keep_memory": False}),
        ({"GRAPPLER_GO_KEEP_MEMORY": "1"}, ["--nokeep_memory"], {"keep_memory": False}),
        ({"GRAPPLER_GO_POLICY": f"{__name__}:_decides_nothing"}, [],
         {"policy": f"{__name__}:_decides_nothing", "plan_cache": None}),
        ({"GRAPPLER_GO_POLICY": f"{__name__}:_decides_nothing", "GRAPPLER_GO_PLANS": "/p"}, [],
         {"plan_cache": True}),
        ({"GRAPPLER_GO_PLANS": "/p"}, ["--policy=mine:decide"], {"plan_cache": None}),
        ({"GRAPPLER_GO_PLANS": "/p"}, ["--plan_cache=/q"], {"plan_cache": ["/q"]}),
        # Off: what else is said does not matter.
        ({"GRAPPLER_GO": "0", "GRAPPLER_GO_MIN_GAIN": "abc"}, [], {"min_gain": None}),
    ],
)  # fmt: skip
def test_variables_are_what_run_takes_for_flags_not_given(monkeypatch, values, flags, expected):
    _variables(monkeypatch, **values)
    run_command.FLAGS(["run", *flags])
    settings = run_command._settings()
    assert {key: settings.get(key) for key in expected} == expected


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("MIN_GAIN", "abc", "'abc' should be a share of the step, from 0 to below 1"),
        ("MIN_GAIN", "1", "'1' should be a share of the step, from 0 to below 1"),
        ("DECISIONS", "speed", "'speed' should be some of device,fusion,memory"),
        ("MEMORY_LIMIT", "4 apples", "'4 apples' should be a number of bytes"),
        ("BUDGET_MS", "soon", "'soon' should be a positive number of milliseconds"),
        ("COMPILE_BUDGET_S", "-1", "'-1' should be a number of seconds, 0 or more"),
        ("KEEP_MEMORY", "no", "'no' should be 0 or 1"),
        ("POLICY", "nope", "'nope': "),
        ("DEVICES", "p100x4", "'p100x4': TensorFlow has no device"),
    ],
)
def test_a_variable_that_makes_no_sense_ends_run_as_the_library_says_it(
    script, monkeypatch, capsys, variable, value, message
):
    _variables(monkeypatch, **{f"GRAPPLER_GO_{variable}": value})
    assert main(["run", str(script)]) == 2
    captured = capsys.readouterr()
    assert f"GRAPPLER_GO_{variable}={message}" in captured.err
    assert "sum" not in captured.out


def test_run_leaves_a_graph_alone_whose_gain_is_below_the_variables(tmp_path):
    script = tmp_path / "chain.py"
    script.write_text(
        "import tensorflow as tf\n"
        "@tf.function\n"
        "def f(x):\n"
        "    for _ in range(10):\n"
        "        x = tf.tanh(x * 1.1 + 0.1)\n"
        "    return tf.reduce_sum(x)\n"
        "f(tf.ones((8, 8)))\n"
    )
    (tmp_path / "all_of_it.py").write_text(
        "import numpy as np\n"
        "def policy(graph):\n"
        "    n = len(graph.op_type)\n"
        "    alone, fused = np.full(n, 100, np.float32), np.ones(n, np.float32)\n"
        "    return {'fusion': fused, 'op_micros': alone, 'fused_micros': fused}\n"
    )
    outcomes = []
    for gain in ("0.1", "0.999"):
        environment = {"GRAPPLER_GO_POLICY": "all_of_it:policy", "GRAPPLER_GO_MIN_GAIN": gain}
        done = run_cli("run", "--json", script, environment=environment, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        outcomes += [report["outcome"] for report in json.loads(done.stdout)["reports"]]
    assert outcomes[0] == "applied"
    assert "is below" in outcomes[1]


def test_a_switch_that_is_neither_on_nor_off_is_refused_once(script):
    done = run_cli("run", script, environment={"GRAPPLER_GO": "yes"})
    assert done.returncode == 1
    assert done.stderr.count("GRAPPLER_GO='yes' should be 0 or 1") == 1
    assert "sum" not in done.stdout
    findings = json.loads(run_cli("doctor", "--json", environment={"GRAPPLER_GO": "yes"}).stdout)
    assert [f["what"] for f in findings if f["state"] == "bad"] == ["environment"]


def test_run_reports_what_happened_to_each_graph(script):
    done = run_cli("run", "--reports", script)
    assert done.returncode == 0, done.stderr
    assert "left alone" in done.stderr


def test_run_prints_reports_as_json_and_nothing_of_the_script(script):
    script.write_text(_SCRIPT + "import os; os.system('echo of a process')\n")
    done = run_cli("run", "--json", script)
    told = json.loads(done.stdout)
    assert "sum 6.0" in done.stderr
    assert "of a process" in done.stderr
    assert told["exit_status"] == done.returncode == 0
    assert [report["applied"] for report in told["reports"]] == [False]
    told = json.loads(run_cli("run", "--json", script, "exit").stdout)
    assert told["exit_status"] == 7


def test_record_says_as_json_which_graphs_are_new(script, tmp_path):
    folder = tmp_path / "graphs"
    long = "tf.cumsum(tf.nn.softmax(" * 9 + "x" + "))" * 9
    script.write_text(_SCRIPT.replace("x + x", long))
    done = run_cli("record", "--json", folder, script, "exit")
    told = json.loads(done.stdout)
    assert "sum" in done.stderr
    assert told["folder"] == str(folder)
    assert told["new"] == [path.name for path in folder.glob("*.pb")]
    assert told["graphs"] == len(told["new"]) == 1
    assert told["exit_status"] == done.returncode == 7
    again = json.loads(run_cli("record", "--json", folder, script).stdout)
    assert (again["new"], again["graphs"]) == ([], 1)


def test_record_stores_graphs_that_explain_can_read(script, tmp_path):
    script.write_text(
        "import tensorflow as tf\n"
        "@tf.function\n"
        "def f(x):\n"
        "    for _ in range(10):\n"
        "        x = tf.nn.softmax(tf.matmul(x, x) + 1.0)\n"
        "    return x\n"
        "f(tf.ones((8, 8)))\n"
    )
    folder = tmp_path / "graphs"
    done = run_cli("record", folder, script)
    assert done.returncode == 0, done.stderr
    assert list(folder.glob("*.pb"))
    assert "new graphs" in done.stderr
    explained = run_cli("explain", "--json", folder)
    assert explained.returncode == 0, explained.stderr
    types = {row["op"] for row in json.loads(explained.stdout)[0]["per_type"]}
    assert any("MatMul" in op for op in types)
