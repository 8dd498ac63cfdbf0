"""A C++ program without Python runs a policy written in Python: the plugin
starts an interpreter, without TensorFlow's Python package."""

import os
import pathlib
import sysconfig

import numpy as np
import pytest
import test_cc_host
from test_cc_host import run

pytestmark = pytest.mark.slow

host = test_cc_host.host  # the fixture

LIBPYTHON = pathlib.Path(
    sysconfig.get_config_var("LIBDIR") or "", sysconfig.get_config_var("INSTSONAME") or ""
)
NUMPY = pathlib.Path(np.__file__).resolve().parent.parent

POLICIES = """
import sys
import numpy as np

def everything(inp):
    assert "tensorflow" not in sys.modules
    assert not inp.op_features.flags.owndata
    one = np.ones(len(inp.op_type))
    return {"fusion": one, "op_micros": 1000 * one, "fused_micros": 10 * one}

def hand_made(inp):
    import grappler_go
    from grappler_go import _core
    assert isinstance(inp.graph, _core.OpGraph)
    assert "tensorflow" not in sys.modules
    plan = _core.Plan(inp.graph)
    plan.fusion_group = [
        0 if op in ("MatMul", "AddV2", "Tanh", "Mul") else -1 for op in inp.graph.ops
    ]
    return plan

def broken(inp):
    return undefined_name

def slow(inp):
    import time
    time.sleep(600)
"""


@pytest.fixture(autouse=True)
def needs_a_shared_libpython():
    if not LIBPYTHON.is_file() or ".so" not in LIBPYTHON.name:
        pytest.skip(f"this Python has no shared library to load ({LIBPYTHON})")


@pytest.fixture
def environment(tmp_path):
    """With it the plugin finds this Python, numpy and the policies."""
    (tmp_path / "host_policies.py").write_text(POLICIES)
    return {
        "GRAPPLER_GO_LIBPYTHON": str(LIBPYTHON),
        "GRAPPLER_GO_PYTHONPATH": os.pathsep.join([str(tmp_path), str(NUMPY)]),
    }


@pytest.mark.parametrize("function", ["everything", "hand_made"])
def test_a_python_policy_decides(host, environment, function):
    name = f"python:host_policies:{function}"
    result = run(host, f"--policy={name}", env=environment)
    reports = result["reports"]
    assert [r["policy"] for r in reports if r["applied"]] == [name], reports
    assert result["largest_difference"] < 1e-4


def test_the_environment_alone_is_enough(host, environment):
    settings = {"GRAPPLER_GO": "1", "GRAPPLER_GO_POLICY": "python:host_policies:everything"}
    result = run(host, env={**environment, **settings})
    assert any(report["applied"] for report in result["reports"]), result["reports"]


@pytest.mark.parametrize(
    ("function", "phrase"),
    [("broken", "NameError: name 'undefined_name'"), ("slow", "deadline")],
)
def test_a_policy_that_fails_leaves_the_graph_alone(host, environment, function, phrase):
    result = run(host, f"--policy=python:host_policies:{function}", "--budget_ms=3000",
                 env=environment)  # fmt: skip
    assert not any(report["applied"] for report in result["reports"])
    assert phrase in result["reports"][0]["outcome"]
    assert result["largest_difference"] == 0


@pytest.mark.parametrize(
    ("policy", "changes", "match"),
    [
        ("host_policies:missing", {}, "missing"),
        ("no_such_module:f", {}, "ModuleNotFoundError"),
        ("host_policies", {}, "module:function"),
        ("host_policies:slow", {"GRAPPLER_GO_LIBPYTHON": "/no/lib.so"}, "GRAPPLER_GO_LIBPYTHON"),
        ("host_policies:slow", {"PYTHONPATH": "a broken numpy"}, "ImportError: no numpy"),
    ],
)
def test_what_is_missing_is_said(host, environment, tmp_path, policy, changes, match):
    if "PYTHONPATH" in changes:
        # A numpy that is found first and cannot be imported.
        (tmp_path / "numpy.py").write_text("raise ImportError('no numpy')")
        changes = {"PYTHONPATH": str(tmp_path)}
    result = run(host, f"--policy=python:{policy}", env={**environment, **changes}, expect=3)
    assert match in result["error"]
