"""The command line: help, flags, exit codes, and each command on something small."""

from __future__ import annotations

import json
import pathlib
import sys

import pytest
from cli_helpers import run_cli

from grappler_go.bench import harness
from grappler_go.bench.harness import Result
from grappler_go.cli import bench_table, common, demo
from grappler_go.cli.main import COMMANDS, command_module, main

pytestmark = pytest.mark.usefixtures("flags_as_before")


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
    done = run_cli("run", script, "--help", environment={"GRAPPLER_GO": "0"})
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
    done = run_cli("bench", "black-scholes", "--batch=1000", "--rounds=2", "--round_seconds=0.01",
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
    done = run_cli("bench", f"fails:{function}", "--modes=default,ours", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stdout.count(message) == 1, done.stdout
    assert done.stdout.count(message.split(": ")[-1]) == 1


def test_bench_of_a_function_that_is_not_there_says_so_and_has_no_table(tmp_path):
    (tmp_path / "fails.py").write_text(_FAILS)
    done = run_cli("bench", "fails:rases", "--modes=default,ours", cwd=tmp_path)
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
    done = run_cli("bench", "black-scholes", "--batch=1000", "--rounds=2", "--round_seconds=0.01",
                "--modes=default,ours", f"--save={stored}", f"--chart={drawn}",
                draws=True)  # fmt: skip
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
    done = run_cli("doctor", "--json")
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
    done = run_cli(
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
