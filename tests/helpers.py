"""What several tests need: forced decisions, what TensorFlow executed, processes.

A forced decision is a Python policy that answers with a plan, so that a test of
what is executed does not depend on what a trained policy thinks.
"""

import os
import pathlib
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.eager import context

import grappler_go

ROOT = pathlib.Path(__file__).resolve().parent.parent

# Settings under which a forced plan is applied however small the graph.
FORCED = {"min_gain": 0.0, "advanced": {"min_ops": 1, "min_group_ops": 1}}


def tanh_chain(n=10):
    """A function that is not traced yet, of n matrix products."""

    @tf.function
    def function(x):
        for _ in range(n):
            x = tf.tanh(tf.matmul(x, x) * 0.1)
        return tf.reduce_sum(x)

    return function


X = tf.constant(np.random.default_rng(0).normal(size=(6, 6)).astype(np.float32))


class Asked:
    """A policy that decides nothing and counts how often it was asked."""

    def __init__(self):
        self.times = 0

    def __call__(self, policy_input):
        self.times += 1


def planned(fill: Callable[[Any, Any], None]) -> Callable[[Any], Any]:
    """A policy that makes an empty plan for each graph and lets `fill(plan, graph)`
    decide. Graphs for which it decides nothing are left alone."""

    def policy(policy_input: Any) -> Any:
        plan = grappler_go.Plan(policy_input.graph)
        fill(plan, policy_input.graph)
        return None if plan.empty else plan

    return policy


def fuse(group_of: Callable[[str, str], int | None]) -> Callable[[Any], Any]:
    """A policy that puts each op into group `group_of(name, op)`; None: in none."""

    def fill(plan: Any, graph: Any) -> None:
        groups = [group_of(n, o) for n, o in zip(graph.names, graph.ops, strict=True)]
        plan.fusion_group = np.array([-1 if g is None else g for g in groups], np.int32)

    return planned(fill)


def move(device: str, ops: tuple[str, ...]) -> Callable[[Any], Any]:
    """A policy that puts ops of the given types on one device."""

    def fill(plan: Any, graph: Any) -> None:
        plan.devices = [device]
        plan.device = np.array([0 if op in ops else -1 for op in graph.ops], np.int32)

    return planned(fill)


def executed(function: Callable[..., Any], *args: Any) -> tuple[Any, list[Any]]:
    """Calls a function and returns its result with the nodes that TensorFlow's
    executors were given, all devices together. Ops have the names that they have
    without oneDNN.

    Only functions that TensorFlow optimises in this call are seen: change a
    setting of the pass, or trace anew, before it.
    """
    context.enable_run_metadata()
    context.export_run_metadata()  # of earlier calls, which is forgotten by this
    try:
        result = function(*args)
        metadata = context.export_run_metadata()
    finally:
        context.disable_run_metadata()
    graphs = [g for f in metadata.function_graphs for g in f.partition_graphs]
    nodes = [node for graph in graphs for node in graph.node]
    for node in nodes:
        node.op = _without_onednn(node.op)
    return result, nodes


def _without_onednn(op: str) -> str:
    """TensorFlow has oneDNN's kernels for some ops by names of their own, on machines
    where it thinks them faster: _MklMatMul, _MklNativeFusedMatMul."""
    name = op.removeprefix("_Mkl").removeprefix("Native")
    if name == op or name.startswith("FusedBatchNorm"):
        return name
    return "_" + name if name.startswith("Fused") else name


def count(nodes: list[Any], op: str) -> int:
    """How many of the nodes are of one type."""
    return sum(node.op == op for node in nodes)


def applied_reports() -> list[Any]:
    """Reports of graphs that were changed."""
    return [report for report in grappler_go.reports() if report.applied]


def outcomes() -> str:
    """Every graph's outcome, one a line, for assertions on what they say."""
    return "\n".join(report.outcome for report in grappler_go.reports())


def environment(**changes: str) -> dict[str, str]:
    """This process's environment without settings of the pass, and with changes."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("GRAPPLER_GO")}
    search = os.pathsep.join([str(ROOT), str(ROOT / "tests"), kept.get("PYTHONPATH", "")])
    fixed = {"PYTHONPATH": search, "TF_CPP_MIN_LOG_LEVEL": "3"}
    # What somebody timed or tuned on this machine is not for tests to depend on.
    mine = {"GRAPPLER_GO_MACHINE": "0", "GRAPPLER_GO_PLANS": "0"}
    return {**kept, **fixed, **mine, **changes}


def run_python(
    source: str,
    *args: str,
    env: Mapping[str, str] | None = None,
    timeout: float = 300,
    check: bool = True,
) -> "subprocess.CompletedProcess[str]":
    """Runs Python source in a process of its own; with `check`, it must succeed."""
    done = subprocess.run(
        [sys.executable, "-c", source, *args],
        env=environment(**(env or {})),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    if check:
        assert done.returncode == 0, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done
