"""evaluate --measured: whose placements are run, and what is kept of it. Nothing is run
here: what runs plans on workers has tests of its own (tests/test_measure*.py)."""

import json
import os

import go_graphs
import pytest
from grappler_go_training.go import measured
from grappler_go_training.measure.measurement import Measurement
from test_commands import forget_flags

from grappler_go.bench.process import WorkerError
from grappler_go.cli.main import main

_METHODS = ["one_device", "human_expert"]


@pytest.fixture
def measured_plans(monkeypatch):
    """The plans that were to be run, by program, each of which takes 12 ms instead of 10."""
    asked = {}

    def measure_plans(program, plans, **how):
        assert how["kind"] == "cluster"
        assert "TF_USE_LEGACY_KERAS" not in os.environ  # programs are Keras 3's
        asked.setdefault(program, []).extend(plans)
        if program == "dies":
            return [Measurement(error="worker 1 died") for _ in plans]
        readings = ((12.0, 12.1, 11.9), (10.0, 10.5, 9.9))
        return [Measurement(None, 12.0, *readings) for _ in plans]

    def capture_graph(program, kind, **_):
        assert kind == "cluster"
        if program == "broken":
            raise WorkerError("it raised", alive=True)
        return go_graphs.graph()

    monkeypatch.setattr(measured, "measure_plans", measure_plans)
    monkeypatch.setattr(measured, "capture_graph", capture_graph)
    return asked


def test_what_was_made_is_run(measured_plans):
    rows = list(measured.measure(None, ["mine"], _METHODS, seed=3))
    assert os.environ["TF_USE_LEGACY_KERAS"] == "1"
    assert [(row.program, row.method, row.seed) for row in rows] == [
        ("mine", method, 3) for method in _METHODS
    ]
    one_device, expert = measured_plans["mine"]
    assert one_device.empty
    assert set(expert.device.tolist()) == {-1, 1}
    assert expert.fusion_group is None
    for row in rows:
        assert (row.ms, row.default_ms, row.error) == (12.0, 10.0, "")
        assert row.ratio == pytest.approx(1.2)
        assert row.spread == pytest.approx(0.06)
        assert row.simulated_ms > 0
        assert row.simulated_default_ms > 0
        assert "workers" in row.machine or "cores" in row.machine


def test_what_is_there_is_not_run_again(measured_plans):
    first = list(measured.measure(None, ["mine"], _METHODS[:1]))
    assert len(measured_plans["mine"]) == 1
    again = list(measured.measure(None, ["mine"], _METHODS, done={row.key for row in first}))
    assert [row.method for row in again] == _METHODS[1:]
    assert not list(measured.measure(None, ["mine"], _METHODS[1:], done={r.key for r in again}))
    assert len(measured_plans["mine"]) == 2


def test_what_does_not_run_says_why(measured_plans):
    rows = list(measured.measure(None, ["broken", "dies"], _METHODS[:1]))
    assert [row.error for row in rows] == ["it raised", "worker 1 died"]
    assert [row.ratio for row in rows] == [None, None]
    assert rows[0].simulated_ms is None
    assert rows[1].simulated_ms > 0


@pytest.fixture
def shipped(monkeypatch):
    yield "go-1.0"
    forget_flags()


def test_the_command_keeps_rows(measured_plans, shipped, tmp_path, capsys):
    out = tmp_path / "rows.jsonl"
    flags = ["--measured", "--graphs=mine,dies", f"--methods={','.join(_METHODS)}", f"--out={out}"]
    assert main(["evaluate", shipped, *flags, "--json"]) == 1  # of "dies" there is nothing
    told = json.loads(capsys.readouterr().out)
    assert told["ratios"] == {method: pytest.approx(1.2) for method in _METHODS}
    assert [json.loads(line) for line in out.read_text().splitlines()] == told["rows"]
    forget_flags()
    assert main(["evaluate", shipped, *flags]) == 1
    shown = capsys.readouterr().out
    for text in ("1.20 (", "failed", "worker 1 died"):
        assert text in shown
    assert len(measured_plans["mine"]) == 2


@pytest.mark.parametrize("flags", [[], ["--graphs=mine", "--seeds=0,1"], ["--split=test"]])
def test_the_command_refuses_what_it_cannot_run(shipped, flags, capsys):
    assert main(["evaluate", shipped, "--measured", *flags]) == 2
    assert "--measured" in capsys.readouterr().err
