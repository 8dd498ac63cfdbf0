"""Checkpoints: one file each, from which a stopped run goes on exactly where it was.

A file is a NumPy archive: the arrays of the run (network, optimizer, what it remembers of
cases) and, as JSON, everything else (step, state of the random number generator, config).
It is written beside its final name and then renamed: a reader sees all of it or nothing.
"""

import io
import json
import os
import pathlib
import re
import tempfile
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

_FORMAT = "grappler-go-checkpoint"
_VERSION = "1.0"
_META = "meta"
_NAME = re.compile(r"step-(\d{8})\.npz")


def file_of(folder: str | os.PathLike[str], step: int) -> pathlib.Path:
    """Where the checkpoint after so many steps is."""
    return pathlib.Path(folder) / f"step-{step:08d}.npz"


def latest(folder: str | os.PathLike[str]) -> pathlib.Path | None:
    """The checkpoint of the most steps; None where there is none."""
    path = pathlib.Path(folder)
    found = sorted(file for file in path.glob("step-*.npz") if _NAME.fullmatch(file.name))
    return found[-1] if found else None


def save(
    folder: str | os.PathLike[str],
    step: int,
    arrays: Mapping[str, np.ndarray],
    meta: Mapping[str, Any],
    keep: int,
) -> pathlib.Path:
    """Writes a checkpoint, then deletes all but the last `keep`.

    Args:
      folder: made if missing.
      step: how many steps were done.
      arrays: by name.
      meta: plain values.
      keep: at least 1.

    Raises:
      OSError: it cannot be written; what was there is still there.
    """
    path = file_of(folder, step)
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"format": _FORMAT, "version": _VERSION, "step": step, **meta})
    packed: dict[str, Any] = {**arrays, _META: np.frombuffer(text.encode(), np.uint8)}
    descriptor, part = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
    try:
        with os.fdopen(descriptor, "wb") as file:
            np.savez_compressed(file, **packed)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(part, 0o644)
        os.replace(part, path)
    except BaseException:
        pathlib.Path(part).unlink(missing_ok=True)
        raise
    there = sorted(one for one in path.parent.glob("step-*.npz") if _NAME.fullmatch(one.name))
    for older in there[:-keep]:
        older.unlink(missing_ok=True)
    return path


def load(path: str | os.PathLike[str]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """(arrays, meta) of a checkpoint.

    Raises:
      OSError: it cannot be read.
      ValueError: it is damaged, no checkpoint, or of another major version.
    """
    packed = io.BytesIO(pathlib.Path(path).read_bytes())
    try:
        with np.load(packed, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        meta = json.loads(bytes(arrays.pop(_META)))
        if meta["format"] != _FORMAT:
            raise ValueError(f"its format is {meta['format']!r}")
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{os.fspath(path)} is no checkpoint, or damaged ({error}); remove it, and the run "
            "goes on from the one before"
        ) from error
    major = str(meta["version"]).split(".")[0]
    if major != _VERSION.split(".")[0]:
        raise ValueError(
            f"{os.fspath(path)} has version {meta['version']}; this program reads {_VERSION}"
        )
    return arrays, meta
