"""Checkpoints: all or nothing, and only the last few."""

import numpy as np
import pytest
from grappler_go_training.go import checkpoint

ARRAYS = {"network/000": np.arange(6, dtype=np.float32).reshape(2, 3), "best/00000": np.int8([1])}


def test_what_was_saved_is_loaded(tmp_path):
    path = checkpoint.save(tmp_path, 12, ARRAYS, {"random": {"state": 1 << 100}}, keep=2)
    arrays, meta = checkpoint.load(path)
    assert meta["step"] == 12
    assert meta["random"] == {"state": 1 << 100}
    assert set(arrays) == set(ARRAYS)
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(arrays[name], array)
        assert arrays[name].dtype == array.dtype


def test_only_the_last_ones_are_kept(tmp_path):
    for step in (9, 10, 100):
        checkpoint.save(tmp_path, step, ARRAYS, {}, keep=2)
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "step-00000010.npz",
        "step-00000100.npz",
    ]
    assert checkpoint.latest(tmp_path) == checkpoint.file_of(tmp_path, 100)


def test_no_folder_has_no_checkpoint(tmp_path):
    assert checkpoint.latest(tmp_path / "nowhere") is None


def test_a_failed_write_leaves_what_was_there(tmp_path, monkeypatch):
    path = checkpoint.save(tmp_path, 1, ARRAYS, {}, keep=1)

    def fail(file, **arrays):
        file.write(b"half")
        raise OSError("no space left")

    monkeypatch.setattr(np, "savez_compressed", fail)
    with pytest.raises(OSError, match="no space"):
        checkpoint.save(tmp_path, 2, ARRAYS, {}, keep=1)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("content", [b"", b"not an archive", None])
def test_a_damaged_file_is_refused_by_name(tmp_path, content):
    path = checkpoint.save(tmp_path, 1, ARRAYS, {}, keep=1)
    path.write_bytes(path.read_bytes()[:-40] if content is None else content)
    with pytest.raises(ValueError, match=r"step-00000001\.npz is no checkpoint, or damaged"):
        checkpoint.load(path)


def test_another_major_version_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "_VERSION", "2.0")
    path = checkpoint.save(tmp_path, 1, ARRAYS, {}, keep=1)
    monkeypatch.undo()
    with pytest.raises(ValueError, match=r"has version 2\.0"):
        checkpoint.load(path)
