"""Machines, graphs and plans for the tests of baselines."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from grappler_go_training import baselines

import grappler_go

CPU = "/job:localhost/replica:0/task:0/device:CPU:"
# Baselines that need a package, which may be missing.
OPTIONAL = {"metis": "pymetis", "kahip": "kahip", "mtkahypar": "mtkahypar"}
BUDGET = baselines.Budget(plans=150)


def cpus(
    count: int = 2, memory_bytes: int = 0, gbytes_per_s: float = 10.0, **rates: float
) -> grappler_go.Machine:
    """CPUs of one core with links of 10 microseconds."""
    device = {"type": "CPU", "gflops": 100.0, "gbytes_per_s": 20.0, "cores": 1}
    device |= {"memory_bytes": memory_bytes} | rates
    link = {"gbytes_per_s": gbytes_per_s, "latency_us": 10.0}
    return grappler_go.Machine(
        "test",
        devices=[{"name": f"{CPU}{i}", **device} for i in range(count)],
        links=[{"src": a, "dst": b, **link} for a in range(count) for b in range(count) if a != b],
    )


def op_graph(function: Callable[..., Any], *arguments: Any) -> grappler_go.OpGraph:
    """The graph that TensorFlow hands to the pass when it runs the function."""
    return grappler_go.capture(function, *arguments)[0].op_graph()


def make(
    name: str,
    graph: grappler_go.OpGraph,
    machine: grappler_go.Machine,
    budget: baselines.Budget = BUDGET,
    seed: int = 0,
) -> grappler_go.Plan:
    """A baseline's plan; the test is skipped where its package is missing."""
    if name in OPTIONAL:
        pytest.importorskip(OPTIONAL[name])
    if name == "hdp":  # a tenth of a second a plan, where others take a millisecond
        budget = dataclasses.replace(budget, plans=min(budget.plans, 12))
    return baselines.make_plan(name, graph, machine, budget, seed)


def is_acyclic(src: np.ndarray, dst: np.ndarray) -> bool:
    """Whether edges from src[k] to dst[k], those within a node aside, close no circle."""
    edges = {(a, b) for a, b in zip(src.tolist(), dst.tolist(), strict=True) if a != b}
    while edges:
        readers = {b for _, b in edges}
        left = {(a, b) for a, b in edges if a in readers}
        if len(left) == len(edges):
            return False
        edges = left
    return True
