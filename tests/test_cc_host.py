"""A C++ program without Python loads the plugin and runs a graph with each policy.

tests/cc_host/host.cc is that program; this file builds it against the wheel,
makes a SavedModel policy for it, and reads what it prints.
"""

import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
from collections.abc import Callable
from typing import Any

import nlohmann_json
import pytest
import tensorflow as tf

import grappler_go
from grappler_go import _core

ROOT = pathlib.Path(__file__).resolve().parent.parent
LIBRARY = pathlib.Path(grappler_go.__file__).resolve().parent / "libgrappler_go.so"
WHEEL = pathlib.Path(tf.sysconfig.get_lib())

pytestmark = pytest.mark.slow


# As in build_defs/native.mk.
_LINKER = ("-fuse-ld=gold",) if shutil.which("ld.gold") else ()


def _compile(source: str, out: pathlib.Path, *flags: str) -> pathlib.Path:
    subprocess.run(
        [
            "g++", "-std=c++17", "-O0", "-Wall", *_LINKER, f"-I{ROOT}",
            "-isystem", str(WHEEL / "include"),
            "-isystem", str(pathlib.Path(nlohmann_json.__file__).parent / "include"),
            str(ROOT / "tests/cc_host" / source), "-o", str(out), *flags,
            f"-L{WHEEL}", "-l:libtensorflow_cc.so.2", "-l:libtensorflow_framework.so.2",
            f"-Wl,-rpath,{WHEEL}",
        ],
        check=True,
    )  # fmt: skip
    return out


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    out = tmp_path_factory.mktemp("host") / "host"
    return _compile("host.cc", out, str(LIBRARY), f"-Wl,-rpath,{LIBRARY.parent}")


def run(
    host: pathlib.Path,
    *args: str,
    env: dict[str, str] | None = None,
    plugins: tuple[pathlib.Path, ...] = (LIBRARY,),
    expect: int = 0,
) -> dict[str, Any]:
    """Runs the host with nothing of Python in its environment."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "GRAPPLER_GO"))}
    done = subprocess.run(
        [str(host), *(f"--plugin={p}" for p in plugins), *args],
        env={**clean, "TF_CPP_MIN_LOG_LEVEL": "2", **(env or {})},
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == expect, done.stdout + done.stderr
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    result["stderr"] = done.stderr
    return result


class FuseAll(tf.Module):
    """Everything into clusters, which are said to be a hundred times faster."""

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.int32, "op_type"),
            tf.TensorSpec([None, None], tf.float32, "op_features"),
            tf.TensorSpec([None, None], tf.float32, "device_features"),
        ]
    )
    def decide(
        self, op_type: tf.Tensor, op_features: tf.Tensor, device_features: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        one = tf.ones_like(op_features[:, 0]) + self.offset(op_type)
        return {
            "fusion": one,
            "op_micros": 1000.0 * one,
            "fused_micros": 10.0 * one,
            "device": one[:, None] + 0.0 * device_features[:, 0][None, :],
        }

    def offset(self, op_type: tf.Tensor) -> tf.Tensor:
        return 0.0 * tf.cast(op_type, tf.float32)


class WithVariable(FuseAll):
    """The same with a variable, which the exporter saves in a checkpoint."""

    def __init__(self) -> None:
        super().__init__()
        self.table = tf.Variable(tf.zeros([len(_core.op_vocabulary())]))

    def offset(self, op_type: tf.Tensor) -> tf.Tensor:
        return tf.gather(self.table, op_type)


class Wrong(FuseAll):
    """Answers with one op too few."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int32, "op_type")])
    def decide(self, op_type: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"fusion": tf.cast(op_type, tf.float32)[1:]}


class NotANumber(FuseAll):
    """Answers with NaN."""

    def offset(self, op_type: tf.Tensor) -> tf.Tensor:
        return tf.cast(op_type, tf.float32) / 0.0 * 0.0


class ReadsFiles(FuseAll):
    """Looks at a file, which is none of a policy's business."""

    def offset(self, op_type: tf.Tensor) -> tf.Tensor:
        return tf.cast(tf.strings.length(tf.io.read_file("/etc/hostname")), tf.float32)


def export(module: FuseAll, folder: pathlib.Path) -> pathlib.Path:
    tf.saved_model.save(module, str(folder), signatures=module.decide)
    shutil.rmtree(folder / "assets", ignore_errors=True)
    describe(folder, module.decide.get_concrete_function())
    return folder


def describe(folder: pathlib.Path, function: Any, **changes: Any) -> None:
    (folder / "schema.json").unlink(missing_ok=True)
    schema = json.loads(_core.schema_json())
    schema["name"] = "test-1.0"
    schema["inputs"] = [s.name for s in function.structured_input_signature[0]]
    schema["outputs"] = sorted(function.structured_outputs)
    schema["files"] = {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }
    (folder / "schema.json").write_text(json.dumps({**schema, **changes}))


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return export(FuseAll(), tmp_path_factory.mktemp("policy"))


def check_applied(result: dict[str, Any], name: str) -> None:
    assert result["tensorflow"] == tf.__version__
    assert result["reports_without_plugin"] == 0
    assert result["largest_difference"] < 1e-4
    applied = [r for r in result["reports"] if r["applied"]]
    assert applied, result["reports"]
    assert applied[0]["policy"] == name
    assert applied[0]["groups"] >= 1
    # Silent unless asked.
    assert "grappler_go" not in result["stderr"]


def test_a_saved_model_policy_decides(host: pathlib.Path, policy: pathlib.Path) -> None:
    result = run(host, f"--policy={policy}", "--runs=2")
    check_applied(result, "test-1.0")
    first, second = (r for r in result["reports"] if r["applied"])
    assert "policy" in first["timing_ms"]
    assert "policy" not in second["timing_ms"], "the same graph paid for the policy twice"
    # The policy's own graphs did not come back to the pass.
    assert len(result["reports"]) == 2, result["reports"]


def test_a_graph_is_decided_once_and_computes_the_same_each_time(
    host: pathlib.Path, policy: pathlib.Path
) -> None:
    result = run(host, f"--policy={policy}", "--runs=2", "--iterations=5")
    check_applied(result, "test-1.0")
    assert result["iterations"] == 15, "one run without the plugin and two with it"
    assert result["largest_change"] == 0
    assert len(result["reports"]) == 2, "a graph was optimised again while it ran"


def test_a_saved_model_with_variables_decides(host: pathlib.Path, tmp_path: pathlib.Path) -> None:
    check_applied(run(host, f"--policy={export(WithVariable(), tmp_path)}"), "test-1.0")


def test_a_model_of_an_older_schema_gets_its_own_columns(
    host: pathlib.Path, policy: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    shutil.copytree(policy, tmp_path, dirs_exist_ok=True)
    schema = json.loads((tmp_path / "schema.json").read_text())
    schema["op_features"] = schema["op_features"][3:0:-1]
    schema["vocabulary"] = schema["vocabulary"][:5]
    (tmp_path / "schema.json").write_text(json.dumps(schema))
    check_applied(run(host, f"--policy={tmp_path}"), "test-1.0")


def test_a_saved_plan_decides(
    host: pathlib.Path, policy: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    plan = tmp_path / "plan.json"
    run(host, f"--policy={policy}", f"--save_plan={plan}")
    check_applied(run(host, f"--policy={plan}"), f"plan:{plan}")

    folder = tmp_path / "plans"
    folder.mkdir()
    fingerprint = json.loads(plan.read_text())["fingerprint"]
    shutil.copy(plan, folder / f"{fingerprint}.json")
    check_applied(run(host, f"--policy={folder}"), f"plans:{folder}")

    other = json.loads(plan.read_text())
    other["fingerprint"] = "0" * 32
    plan.write_text(json.dumps(other))
    result = run(host, f"--policy={plan}")
    assert [r["outcome"] for r in result["reports"]] == ["plan is for another graph"]


def test_a_meta_optimizer_that_runs_once_is_noticed(
    host: pathlib.Path, policy: pathlib.Path
) -> None:
    # The first graph waits for a second round that does not come; later ones do not.
    result = run(host, f"--policy={policy}", "--runs=3", "--meta_iterations=1")
    check_applied(result, "test-1.0")
    assert len(result["reports"]) == 2


def test_the_environment_alone_is_enough(host: pathlib.Path, policy: pathlib.Path) -> None:
    env = {"GRAPPLER_GO": "1", "GRAPPLER_GO_POLICY": str(policy)}
    check_applied(run(host, env=env), "test-1.0")


def test_zero_in_the_environment_always_wins(host: pathlib.Path, policy: pathlib.Path) -> None:
    result = run(host, f"--policy={policy}", env={"GRAPPLER_GO": "0"})
    assert result["reports"] == []
    assert result["largest_difference"] == 0


def test_one_line_a_graph_when_asked(host: pathlib.Path, policy: pathlib.Path) -> None:
    result = run(host, f"--policy={policy}", env={"GRAPPLER_GO_VERBOSE": "1"})
    assert re.search(r"^grappler_go: graph \w{8}, .*: applied", result["stderr"], re.M)


def test_a_bad_variable_is_one_line_and_no_harm(host: pathlib.Path) -> None:
    result = run(host, env={"GRAPPLER_GO": "1", "GRAPPLER_GO_BUDGET_MS": "soon"})
    assert result["largest_difference"] == 0
    assert "GRAPPLER_GO_BUDGET_MS='soon'" in result["reports"][0]["outcome"]
    assert result["stderr"].count("grappler_go") == 1


def test_a_policy_that_cannot_be_loaded_leaves_graphs_alone(host: pathlib.Path) -> None:
    env = {"GRAPPLER_GO": "1", "GRAPPLER_GO_POLICY": "/nowhere"}
    result = run(host, env=env, plugins=(LIBRARY,))
    assert result["largest_difference"] == 0
    assert "policy could not be loaded: policy '/nowhere'" in result["reports"][0]["outcome"]


def test_nan_is_refused(host: pathlib.Path, tmp_path: pathlib.Path) -> None:
    result = run(host, f"--policy={export(NotANumber(), tmp_path)}")
    (report,) = result["reports"]
    assert not report["applied"]
    assert report["outcome"].startswith("policy's answer cannot be used")
    assert result["largest_difference"] == 0


def _another_major_version(folder: pathlib.Path) -> None:
    schema = json.loads((folder / "schema.json").read_text())
    (folder / "schema.json").write_text(json.dumps({**schema, "schema": "2.0"}))


def _tamper(folder: pathlib.Path) -> None:
    with open(folder / "saved_model.pb", "ab") as file:
        file.write(b"\x00")


def _a_column_we_lack(folder: pathlib.Path) -> None:
    schema = json.loads((folder / "schema.json").read_text())
    schema["op_features"].append("horoscope")
    (folder / "schema.json").write_text(json.dumps(schema))


@pytest.mark.parametrize(
    ("module", "damage", "message"),
    [
        (ReadsFiles, None, "ReadFile"),
        (Wrong, None, r"fusion of shape \[3\], expected \[4\]"),
        (FuseAll, _another_major_version, "schema 2.0"),
        (FuseAll, _tamper, "saved_model.pb does not match its checksum"),
        (FuseAll, _a_column_we_lack, "'horoscope'"),
    ],
)
def test_a_bad_policy_is_refused_by_name(
    host: pathlib.Path,
    tmp_path: pathlib.Path,
    module: type[FuseAll],
    damage: Callable[[pathlib.Path], None] | None,
    message: str,
) -> None:
    folder = export(module(), tmp_path)
    if damage is not None:
        damage(folder)
    assert re.search(message, run(host, f"--policy={folder}", expect=3)["error"])


def test_another_plugin_for_the_cpu_is_named(host: pathlib.Path, tmp_path: pathlib.Path) -> None:
    other = _compile("other_plugin.cc", tmp_path / "libother.so", "-shared", "-fPIC")
    result = run(host, plugins=(other, LIBRARY), expect=3)
    assert str(other) in result["error"]
    assert "grappler_go" not in result["stderr"]
    # Where only the environment could tell, it is told.
    result = run(host, plugins=(other, LIBRARY), expect=3, env={"GRAPPLER_GO": "1"})
    assert str(other) in result["stderr"]


def test_being_loaded_twice_is_harmless(host: pathlib.Path, policy: pathlib.Path) -> None:
    check_applied(run(host, f"--policy={policy}", plugins=(LIBRARY, LIBRARY)), "test-1.0")


def test_a_second_copy_of_the_library_is_named(host: pathlib.Path, tmp_path: pathlib.Path) -> None:
    # The copy is TensorFlow's; the host is linked to ours, which then refuses.
    copy = pathlib.Path(shutil.copy(LIBRARY, tmp_path / "libcopy.so"))
    error = run(host, plugins=(copy, LIBRARY), expect=3)["error"]
    assert str(copy) in error
