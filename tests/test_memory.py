"""Memory limits, end to end: what TensorFlow's allocator holds in a process of its own."""

import json

import pytest

from grappler_go.bench import memory, memory_programs
from grappler_go.cli import bench_memory, common


@pytest.fixture(scope="module")
def compared():
    return memory.compare("deep-mlp", limits=(0.6, 0.01), rounds=1, steps=1)


def test_the_measured_peak_falls_and_the_outputs_stay(compared):
    assert not compared.error
    mode = compared.mode("limit 0.6")
    assert not mode.error
    assert mode.recomputed > 0
    assert mode.fits, mode
    assert mode.difference < 1e-4


def test_the_prediction_is_near_what_is_measured(compared):
    mode = compared.mode("limit 0.6")
    # Below the limit by what predictions are known to be off.
    assert mode.predicted_bytes <= 0.85 * mode.limit_bytes
    assert "20 % or more below the limit" in mode.summary
    assert mode.peak_bytes < 1.3 * mode.predicted_bytes


def test_a_limit_out_of_reach_says_what_the_least_is(compared):
    mode = compared.mode("limit 0.01")
    assert not mode.fits
    assert mode.peak_share < 0.7
    assert "out of reach: the least is" in mode.summary


def test_recompute_grad_by_hand_trains_the_same(compared):
    mode = compared.mode(memory.BY_HAND)
    assert mode.peak_share < 1
    assert mode.difference < 1e-4


def test_comparisons_survive_json(compared, tmp_path):
    path = tmp_path / "memory.jsonl"
    bench_memory._append(str(path), compared)
    assert bench_memory._read(str(path)) == {"deep-mlp": compared}


def test_a_file_of_something_else_is_refused(tmp_path):
    path = tmp_path / "memory.jsonl"
    path.write_text(json.dumps({"program": "x"}))
    with pytest.raises(common.UsageError, match="line 1"):
        bench_memory._read(str(path))


@pytest.mark.parametrize("text", ["60%", "0", "1.5", ""])
def test_limits_are_shares(text):
    with pytest.raises(common.UsageError, match="--limits"):
        bench_memory._share(text)


def test_there_are_ten_programs_and_each_is_described():
    names = memory_programs.names()
    assert len(set(names)) == len(names) >= 10
    assert all(memory_programs.about(name) for name in names)
