"""The command line: help, flags, exit codes, and each command on something small."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys

import pytest

from grappler_go.bench import harness
from grappler_go.bench.harness import Result
from grappler_go.cli import bench_table, common, demo
from grappler_go.cli import run as run_command
from grappler_go.cli.main import COMMANDS, command_module, main

_ROOT = pathlib.Path(__file__).resolve().parent.parent


def _cli(*arguments, environment=None, cwd=None):
    """grappler-go in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "grappler_go", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(_ROOT), **(environment or {})},
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture(autouse=True)
def _flags_as_before():
    """Commands keep parsed flags in their module; each test starts afresh."""
    yield
    for name in COMMANDS:
        command_module(name).FLAGS.unparse_flags()
        for flag in command_module(name).FLAGS:
            command_module(name).FLAGS[flag].unparse()


@pytest.fixture
def recorded(tmp_path):
    """A recorded graph: two matmuls, small ops around them."""
    import tensorflow as tf

    import grappler_go

    weights = tf.Variable(tf.random.stateless_normal((64, 64), (1, 2)))

    def step(x):
        h = tf.nn.gelu(tf.matmul(x, weights))
        return tf.reduce_sum(tf.nn.softmax(tf.matmul(h, weights) * 0.5 + x))

    path = tmp_path / "step.pb"
    grappler_go.capture(step, tf.ones((32, 64)))[0].save(path)
    return path


def test_without_arguments_every_command_is_listed(capsys):
    assert main([]) == 0
    out = capsys.readouterr().out
    for name in COMMANDS:
        assert f"  {name} " in out


@pytest.mark.parametrize("name", list(COMMANDS))
def test_help_tells_usage_and_examples(name, capsys):
    assert main([name, "--help"]) == 0
    out = capsys.readouterr().out
    assert f"usage: grappler-go {name}" in out
    assert "examples" in out
    assert f"grappler-go {name}" in out.split("examples")[1]
    for flag in command_module(name).FLAGS:
        assert flag in out


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_has_json(name):
    assert "json" in command_module(name).FLAGS


def test_the_overview_does_not_claim_that_the_default_policy_is_learned(capsys):
    assert main([]) == 0
    assert "learned" not in capsys.readouterr().out.split("commands")[0]


def test_help_of_a_script_is_the_scripts_own(tmp_path):
    script = tmp_path / "s.py"
    script.write_text("import sys; print(sys.argv[1:])")
    done = _cli("run", script, "--help", environment={"GRAPPLER_GO": "0"})
    assert done.stdout.strip() == "['--help']"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["bech"], "did you mean bench?"),
        (["bench", "--nope"], "Unknown command line flag 'nope'"),
        (["bench"], "which program?"),
        (["bench", "x", "--modes=fast"], "no mode 'fast'"),
        (["bench", "x", "--rounds=0"], "rounds"),
        (["plan", "print", "x"], "show FILE"),
        (["optimize", "in"], "needs IN and OUT"),
        (["explain"], "needs one graph"),
        (["record", "folder"], "needs a folder and a script"),
    ],
)
def test_arguments_that_make_no_sense_end_with_2_and_say_why(arguments, message, capsys):
    assert main(arguments) == 2
    assert message in capsys.readouterr().err


def test_a_missing_file_ends_with_1_and_one_line(tmp_path, capsys):
    assert main(["plan", "show", str(tmp_path / "none.json")]) == 1
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("folder/x", b"", "folder is a folder, not a plan's file"),
        ("model/saved_model.pb", b"", "explain IN --save_plan=FILE"),
        ("step.pb", b"\n\xcf\x01", "step.pb is not a plan: it is not text; of a graph"),
        ("my.py", b"import os\n", "my.py: not a plan: not JSON: Expecting value: line 1 column 1"),
        ("other.json", b"{}", "other.json: plan: "),
        ("none.json", None, "no such file: "),
    ],
)
def test_what_is_no_plan_is_named_and_said_to_be_none(tmp_path, capsys, name, content, message):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    if content is not None:
        path.write_bytes(content)
    target = path.parent if path.parent != tmp_path else path
    for arguments in (["plan", "show", str(target)], ["plan", "diff", str(target), str(target)]):
        assert main(arguments) == 1
        error = capsys.readouterr().err
        assert message in error
        assert str(target) in error
        assert "Errno" not in error
        assert "json.exception" not in error
        assert len(error.strip().splitlines()) == 1


def test_a_file_that_cannot_be_read_is_named_without_its_number(tmp_path, capsys):
    plan = tmp_path / "plan.json"
    plan.write_text("{}")
    none = tmp_path / "none.pb"
    common.complain(common.one_line(FileNotFoundError(2, "No such file or directory", str(none))))
    assert capsys.readouterr().err == f"grappler-go: {none}: No such file or directory\n"


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("/nonexistent.pb", "no such file or folder: /nonexistent.pb"),
        ("graphs/3f0a", "no such file or folder: graphs/3f0a"),
        ("step.plan.json", "no such file or folder: step.plan.json"),
        ("chargpt-trian", "did you mean chargpt-train? "),
    ],
)
@pytest.mark.parametrize("command", ["explain", "bench", "tune"])
def test_a_program_that_is_not_there_is_told_in_a_line(capsys, command, target, message):
    assert main([command, target]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert len(error) < 250  # and not every name there is


def test_the_version_is_the_packages(capsys):
    import grappler_go

    assert main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == grappler_go.__version__


def test_library_prints_the_path_that_tensorflow_can_load(capsys):
    assert main(["library"]) == 0
    path = capsys.readouterr().out.strip()
    assert pathlib.Path(path).is_file()
    assert main(["library", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"library": path}


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
    done = _cli("run", "--policy=default", script, "exit", "--epochs=3")
    assert "argv ['exit', '--epochs=3'] __main__" in done.stdout
    assert "sum 6.0" in done.stdout
    assert done.returncode == 7


def test_run_shows_the_scripts_exception_as_python_would(script):
    done = _cli("run", script, "raise", environment={"GRAPPLER_GO": "0"})
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
    done = _cli(*command, script, environment=environment, cwd=tmp_path)
    assert f"level {level}" in done.stdout, done.stderr


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
        ({"GRAPPLER_GO_POLICY": f"{__name__}:_compile_everything"}, [],
         {"policy": f"{__name__}:_compile_everything", "plan_cache": None}),
        ({"GRAPPLER_GO_POLICY": f"{__name__}:_compile_everything", "GRAPPLER_GO_PLANS": "/p"}, [],
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
        done = _cli("run", "--json", script, environment=environment, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        outcomes += [report["outcome"] for report in json.loads(done.stdout)["reports"]]
    assert outcomes[0] == "applied"
    assert "is below" in outcomes[1]


def test_a_switch_that_is_neither_on_nor_off_is_refused_once(script):
    done = _cli("run", script, environment={"GRAPPLER_GO": "yes"})
    assert done.returncode == 1
    assert done.stderr.count("GRAPPLER_GO='yes' should be 0 or 1") == 1
    assert "sum" not in done.stdout
    findings = json.loads(_cli("doctor", "--json", environment={"GRAPPLER_GO": "yes"}).stdout)
    assert [f["what"] for f in findings if f["state"] == "bad"] == ["environment"]


def test_run_reports_what_happened_to_each_graph(script):
    done = _cli("run", "--reports", script)
    assert done.returncode == 0, done.stderr
    assert "left alone" in done.stderr


def test_run_prints_reports_as_json_and_nothing_of_the_script(script):
    script.write_text(_SCRIPT + "import os; os.system('echo of a process')\n")
    done = _cli("run", "--json", script)
    told = json.loads(done.stdout)
    assert "sum 6.0" in done.stderr
    assert "of a process" in done.stderr
    assert told["exit_status"] == done.returncode == 0
    assert [report["applied"] for report in told["reports"]] == [False]
    told = json.loads(_cli("run", "--json", script, "exit").stdout)
    assert told["exit_status"] == 7


def test_record_says_as_json_which_graphs_are_new(script, tmp_path):
    folder = tmp_path / "graphs"
    long = "tf.cumsum(tf.nn.softmax(" * 9 + "x" + "))" * 9
    script.write_text(_SCRIPT.replace("x + x", long))
    done = _cli("record", "--json", folder, script, "exit")
    told = json.loads(done.stdout)
    assert "sum" in done.stderr
    assert told["folder"] == str(folder)
    assert told["new"] == [path.name for path in folder.glob("*.pb")]
    assert told["graphs"] == len(told["new"]) == 1
    assert told["exit_status"] == done.returncode == 7
    again = json.loads(_cli("record", "--json", folder, script).stdout)
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
    done = _cli("record", folder, script)
    assert done.returncode == 0, done.stderr
    assert list(folder.glob("*.pb"))
    assert "new graphs" in done.stderr
    explained = _cli("explain", "--json", folder)
    assert explained.returncode == 0, explained.stderr
    types = {row["op"] for row in json.loads(explained.stdout)[0]["per_type"]}
    assert any("MatMul" in op for op in types)


def _compile_everything(policy_input):
    import numpy as np

    n = len(policy_input.op_type)
    return {
        "fusion": np.ones(n, np.float32),
        "op_micros": np.full(n, 100.0, np.float32),
        "fused_micros": np.full(n, 1.0, np.float32),
    }


_POLICY = f"{__name__}:_compile_everything"


def test_explain_says_why_not_for_each_type_of_op(recorded, capsys):
    assert main(["explain", str(recorded), f"--policy={_POLICY}", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)[0]
    assert told["report"]["num_nodes"] == sum(row["ops"] for row in told["per_type"])
    by_type = {row["op"]: row for row in told["per_type"]}
    assert by_type["_Retval"]["grouped"] == 0
    assert sum(row["grouped"] for row in told["per_type"]) > 4
    assert sum(group["ops"] for group in told["groups"]) == sum(
        row["grouped"] for row in told["per_type"]
    )


def test_explain_shows_tables_and_one_op(recorded, capsys):
    import grappler_go

    name = next(
        n for n in grappler_go.CapturedGraph.load(recorded).op_graph().names if "oftmax" in n
    )
    assert main(["explain", str(recorded), f"--policy={_POLICY}"]) == 0
    assert "by type of op" in capsys.readouterr().out
    assert main(["explain", str(recorded), f"--policy={_POLICY}", f"--op={name}"]) == 0
    assert f"name: {name}" in capsys.readouterr().out
    assert main(["explain", str(recorded), "--op=nobody"]) == 1
    assert "no op 'nobody'" in capsys.readouterr().err


def test_a_plan_that_explain_saved_is_shown_and_compared(recorded, tmp_path, capsys):
    plan = tmp_path / "plan.json"
    empty = tmp_path / "empty.json"
    main(["explain", str(recorded), f"--policy={_POLICY}", f"--save_plan={plan}"])
    main(["explain", str(recorded), f"--policy={_POLICY}", "--decisions=", f"--save_plan={empty}"])
    capsys.readouterr()
    assert main(["plan", "show", str(plan), f"--graph={recorded}"]) == 0
    assert "group 0:" in capsys.readouterr().out
    assert main(["plan", "diff", str(plan), str(plan)]) == 0
    assert "decide the same" in capsys.readouterr().out
    assert main(["plan", "diff", str(empty), str(plan), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["a"]["groups"] == 0
    assert told["b"]["groups"] >= 1
    assert told["differences"]


def test_optimize_writes_a_saved_model_and_says_what_it_did(tmp_path, capsys):
    import tensorflow as tf

    class Model(tf.Module):
        def __init__(self):
            self.w = tf.Variable(tf.random.stateless_normal((64, 64), (1, 2)))

        @tf.function(input_signature=[tf.TensorSpec((32, 64), tf.float32, name="x")])
        def __call__(self, x):
            for _ in range(4):
                x = tf.nn.gelu(tf.matmul(x, self.w)) + 0.1 * x
            return {"y": x}

    source, target = tmp_path / "in", tmp_path / "out"
    made = Model()
    tf.saved_model.save(made, str(source), signatures=made.__call__)
    arguments = ["optimize", str(source), str(target), "--decisions=fusion"]
    assert main([*arguments, f"--policy={_POLICY}"]) == 0
    assert (target / "saved_model.pb").is_file()
    out = capsys.readouterr().out
    assert "applied" in out
    assert "written" in out
    assert main([*arguments, f"--policy={_POLICY}"]) == 1
    assert "not empty" in capsys.readouterr().err


def test_bench_prints_every_mode_as_json():
    done = _cli("bench", "black-scholes", "--batch=1000", "--rounds=2", "--round_seconds=0.01",
                "--modes=default,ours", "--json")  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)["programs"]["black-scholes"]
    assert set(told) == {"default", "ours"}
    assert told["ours"]["median_ms"] > 0
    assert told["ours"]["difference"] < 1e-4
    assert told["ours"]["reports"]


_FAILS = """
import tensorflow as tf

def raises():
    raise RuntimeError("oops in user code")

def step(x):
    raise KeyError("while it was traced")

def traced():
    return step, (tf.ones((4,)),)
"""


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("raises", "failed: RuntimeError: oops in user code (fails.py, line 5)"),
        ("traced", "failed: KeyError: 'while it was traced' (fails.py, line 8)"),
    ],
)
def test_bench_says_once_where_the_users_own_code_failed(tmp_path, function, message):
    (tmp_path / "fails.py").write_text(_FAILS)
    done = _cli("bench", f"fails:{function}", "--modes=default,ours", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stdout.count(message) == 1, done.stdout
    assert done.stdout.count(message.split(": ")[-1]) == 1


def test_bench_of_a_function_that_is_not_there_says_so_and_has_no_table(tmp_path):
    (tmp_path / "fails.py").write_text(_FAILS)
    done = _cli("bench", "fails:rases", "--modes=default,ours", cwd=tmp_path)
    assert done.returncode == 1
    assert not done.stdout.strip()
    assert len(done.stderr.strip().splitlines()) == 1
    assert "has no attribute 'rases'; did you mean raises?" in done.stderr


def test_a_failure_of_a_users_own_code_is_told_with_its_line(tmp_path, monkeypatch, capsys):
    (tmp_path / "fails_too.py").write_text(_FAILS)
    monkeypatch.chdir(tmp_path)
    assert main(["explain", "fails_too:raises"]) == 1
    assert "oops in user code (fails_too.py, line 5)" in capsys.readouterr().err


def test_bench_stores_results_with_where_they_come_from_and_draws_them(tmp_path):
    stored, drawn = tmp_path / "new" / "r.json", tmp_path / "r.svg"
    done = _cli("bench", "black-scholes", "--batch=1000", "--rounds=2", "--round_seconds=0.01",
                "--modes=default,ours", f"--save={stored}", f"--chart={drawn}")  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(stored.read_text())
    assert told["programs"]["black-scholes"]["ours"]["median_ms"] > 0
    where = told["environment"]
    assert where["command"].startswith("grappler-go bench black-scholes")
    assert where["cores"] > 0
    assert where["tensorflow"].count(".") == 2
    assert "black-scholes" in drawn.read_text()


def test_a_chart_of_an_unknown_kind_is_refused_with_what_is_known(tmp_path):
    with pytest.raises(common.UsageError, match=r"--chart=.*r\.xyz: .*svg"):
        _hand_out(chart=str(tmp_path / "r.xyz"))


def test_a_chart_without_matplotlib_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(common.UsageError, match="pip install matplotlib"):
        _hand_out(chart=str(tmp_path / "r.png"))


def _hand_out(chart):
    values = common.new_flags()
    common.define_json(values)
    bench_table.define_files(values)
    values(["bench", f"--chart={chart}"])
    bench_table.hand_out({"p": _results()}, values)


def _results(**of_ours):
    ours = Result("ours", median_ms=9.0, speedup=1.3, difference=1e-6)
    for key, value in of_ours.items():
        setattr(ours, key, value)
    return {"default": Result("default", median_ms=10.0, speedup=1.0), "ours": ours}


@pytest.mark.parametrize(("second", "status"), [(1.0, 0), (0.9, 1)])
def test_demo_times_again_what_looks_slower_before_it_counts(monkeypatch, capsys, second, status):
    asked = []

    def measure(program, options):
        again = program in [name for name, _, _ in asked]
        asked.append((program, options["rounds"], tuple(options["modes"])))
        slow = program == demo.PROGRAMS[0]
        return _results(speedup=(second if again else 0.9) if slow else 1.3)

    monkeypatch.setattr(demo.bench, "measure", measure)
    assert main(["demo", "--rounds=5", "--json"]) == status
    assert asked[:2] == [
        (demo.PROGRAMS[0], 5, harness.UNTUNED),
        (demo.PROGRAMS[0], 10, ("default", "ours")),
    ]
    assert [name for name, _, _ in asked[2:]] == list(demo.PROGRAMS[1:])
    assert bool(json.loads(capsys.readouterr().out)["problems"]) is bool(status)


@pytest.mark.parametrize(
    ("of_ours", "problem"),
    [
        ({}, ""),
        ({"speedup": 0.96}, ""),
        ({"speedup": 0.94}, "slower than the default"),
        ({"difference": 2e-4}, "outputs differ by 2.0e-04"),
        ({"difference": float("nan")}, "outputs differ"),
        ({"error": "the process died"}, "ours failed: the process died"),
    ],
)
def test_demo_fails_for_other_outputs_and_slower_steps_only(of_ours, problem):
    problems = demo.problems_of(_results(**of_ours))
    assert bool(problems) == bool(problem)
    assert problem in "".join(problems)


def test_doctor_finds_nothing_bad_where_the_tests_run():
    done = _cli("doctor", "--json")
    findings = json.loads(done.stdout)
    assert not [finding for finding in findings if finding["state"] == "bad"], findings
    assert done.returncode == 0
    assert {"TensorFlow", "library", "a graph", "devices"} <= {f["what"] for f in findings}


def test_doctor_lists_ops_of_graphs_whose_cost_is_not_known(tmp_path, capsys):
    import tensorflow as tf

    import grappler_go

    @tf.function
    def known(x):
        return tf.nn.relu(x @ x) + 1.0

    @tf.function
    def unknown(x):
        text = tf.strings.as_string(tf.reduce_sum(x))
        return tf.strings.length(text), tf.nn.relu(x @ x)

    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    for number, function in enumerate((known, unknown, unknown)):
        (graph,) = grappler_go.capture(function, tf.ones((8, 8)))
        graph.save(deep / f"{number}.pb")
    assert main(["doctor", str(tmp_path), "--json", "--machine=cpu-laptop"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["graphs"] == 3
    rows = {row["op"]: row for row in told["uncosted"]}
    assert set(rows) == {"AsString", "StringLength"}
    assert (rows["AsString"]["ops"], rows["AsString"]["graphs"]) == (2, 2)
    assert rows["AsString"]["why"] == "no formula"
    assert 0 < rows["AsString"]["largest_share"] < 1
    assert rows["AsString"]["worst_graph"].startswith("a/b/")
    assert main(["doctor", str(deep / "0.pb"), "--nojson"]) == 0
    assert "the work of every op is known" in capsys.readouterr().out
    assert main(["doctor", str(deep / "1.pb"), "--nojson"]) == 0
    assert "StringLength" in capsys.readouterr().out


def test_doctor_says_what_is_switched_off_and_which_policy_is_not_there(tmp_path):
    done = _cli(
        "doctor",
        "--json",
        f"--policy={tmp_path}/none",
        environment={"TF_PLUGGABLE_DEVICE_LIBRARY_PATH": "", "GRAPPLER_GO": "0"},
    )
    findings = {finding["what"]: finding for finding in json.loads(done.stdout)}
    assert findings["environment"]["state"] == "note"
    assert findings["policy"]["state"] == "bad"
    assert done.returncode == 1


def test_doctor_lists_plugins_that_tensorflow_would_load(tmp_path, monkeypatch):
    from grappler_go.cli import doctor

    (tmp_path / "libother.so").write_bytes(b"")
    (tmp_path / "libgrappler_go.so").write_bytes(b"")
    monkeypatch.setenv("TF_PLUGGABLE_DEVICE_LIBRARY_PATH", str(tmp_path))
    texts = [finding.text for finding in doctor._other_plugins()]
    assert len([text for text in texts if "libother.so" in text]) == 1
    assert not [text for text in texts if "libgrappler_go" in text]


def test_json_has_null_where_there_is_no_number(capsys):
    common.print_json({"a": [float("inf"), float("nan"), 1.5]})
    assert json.loads(capsys.readouterr().out) == {"a": [None, None, 1.5]}


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ([], {"decisions": ("device", "fusion", "memory"), "policy": "default"}),
        (["--devices=CPU:0,CPU:1"], {"devices": ["CPU:0", "CPU:1"]}),
        (["--devices=all"], {"devices": "all"}),
        (["--policy=mine:decide"], {"policy": "mine:decide"}),
        (["--devices=p100x8.json"], {"devices": "p100x8.json"}),
        (["--memory_limit=4GB"], {"memory_limit": "4GB"}),
        (["--memory_limit=0.5"], {"memory_limit": "0.5"}),
        (["--min_gain=0.2", "--budget_ms=50"], {"min_gain": 0.2, "budget_ms": 50}),
    ],
)
def test_flags_become_arguments_of_enable(flags, expected):
    values = common.new_flags()
    common.define_settings(values)
    values(["x", *flags])
    found = common.settings_from(values)
    assert {key: found[key] for key in expected} == expected
