"""`grappler-go bench outputs`: outputs and gradients with the pass on and off."""

from __future__ import annotations

import json

import numpy as np
import pytest

from grappler_go.bench import outputs
from grappler_go.cli import bench_outputs, common


def _save(path, **arrays):
    np.savez(path, **arrays)
    return str(path)


def test_gradients_are_compared_as_one_vector(tmp_path):
    a = {"0.0": np.ones(3), "gradient.0": np.array([3.0, 0.0]), "gradient.1": np.array([4.0])}
    b = {**a, "gradient.0": np.array([3.0, 0.5])}
    files = _save(tmp_path / "a.npz", **a), _save(tmp_path / "b.npz", **b)
    assert outputs._distance(*files) == pytest.approx(0.1)  # 0.5 of a length of 5


@pytest.mark.parametrize("other", [{}, {"gradient.0": np.array([np.nan])}], ids=["none", "NaN"])
def test_gradients_that_cannot_be_compared_differ_without_bound(tmp_path, other):
    a = _save(tmp_path / "a.npz", **{"gradient.0": np.ones(1)})
    assert outputs._distance(a, _save(tmp_path / "b.npz", **other)) == float("inf")


@pytest.mark.parametrize(
    ("values", "equal"),
    [
        ({"difference": 9e-5}, True),
        ({"difference": 2e-4}, False),
        ({"difference": 2e-4, "sensitivity": 3e-5}, True),
        ({"gradient_difference": 2e-4, "sensitivity": 1.0}, False),
        ({"gradient_difference": 2e-2, "gradient_sensitivity": 3e-3}, True),
        ({"difference": float("inf"), "sensitivity": float("inf")}, False),
        ({"error": "ours: the process died"}, False),
    ],
)
def test_a_difference_counts_beyond_rounding_or_what_the_last_digit_does(values, equal):
    assert outputs.Comparison("p", **values).equal is equal


@pytest.mark.parametrize(
    ("moved_by", "equal", "runs"), [((1e-6, 1e-4), True, 2), ((1e-6,), False, 4)]
)
def test_other_nudges_are_tried_before_a_difference_counts(monkeypatch, moved_by, equal, runs):
    nudges = []

    def run(name, mode, log, request, timeout_s):
        way = request["options"].get("nudge", 0)
        moved = {"default": 0.0, "ours": 5e-4}.get(name)
        if moved is None:
            nudges.append(way)
            moved = moved_by[min(way, len(moved_by)) - 1]
        np.savez(request["outputs"], **{"0.0": np.array([1.0 + moved])})
        return []

    monkeypatch.setattr(outputs, "_run", run)
    assert outputs.compare("p", {}).equal is equal
    assert nudges == list(range(1, 1 + runs))


def test_a_sweep_that_was_stopped_goes_on_where_it_was(tmp_path, monkeypatch, capsys):
    ran = []

    def compare(program, **options):
        ran.append((program, options))
        return outputs.Comparison(program, groups=1, difference=1e-3 * (program == "worse"))

    monkeypatch.setattr(outputs, "compare", compare)
    out = str(tmp_path / "new" / "o.jsonl")
    assert bench_outputs.run(["a-infer"], {"batch": 2}, out, False) == 0
    capsys.readouterr()
    assert bench_outputs.run(["a-infer", "worse"], {"batch": 2}, out, True) == 1
    assert ran == [("a-infer", {"batch": 2}), ("worse", {"batch": 2})]
    told = json.loads(capsys.readouterr().out)
    assert [(one["program"], one["equal"]) for one in told] == [("a-infer", True), ("worse", False)]


def test_a_file_of_something_else_is_not_taken_for_results(tmp_path):
    other = tmp_path / "o.jsonl"
    other.write_text('{"program": "x", "colour": "red"}\n')
    with pytest.raises(common.UsageError, match=r"o\.jsonl, line 1: not a comparison"):
        bench_outputs.run(["x"], {}, str(other), True)


@pytest.mark.slow
@pytest.mark.parametrize("program", ["transformer-infer", "dlrm-train"])
def test_a_program_with_every_op_compiled_computes_the_same(program):
    settings = {"policy": outputs.EVERYTHING, "min_gain": 0.0, "budget_ms": 60_000}
    found = outputs.compare(program, settings, batch=2)
    assert found.equal, found
    assert found.grouped_ops > 50
    assert max(found.sensitivity, found.gradient_sensitivity) > 0  # a last digit was really changed
    if program.endswith("-train"):
        assert 0 < found.gradient_difference < 1e-5


def test_a_program_that_fails_says_in_which_run():
    found = outputs.compare("no_such_module:f", {})
    assert found.error.startswith("default: UnknownProgramError")
    assert not found.equal
