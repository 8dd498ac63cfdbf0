"""Measured plans on disk, which every later process uses without a search.

cc/plugin/plan_cache.h describes the files and is what reads them for the pass; here
they are written, listed and removed. A folder may belong to a team: one who may not
write into it reads it, and what he measures goes into the first folder he may write
into.
"""

import contextlib
import dataclasses
import datetime
import hashlib
import json
import os
import pathlib
import tempfile
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from grappler_go import native

if TYPE_CHECKING:
    from grappler_go._core import Machine, OpGraph, Plan

PlanCacheLike: TypeAlias = "str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | bool | None"

FORMAT = "grappler-go-tuned"
VERSION = "1.1"  # cc/plugin/plan_cache.h reads 1.x
# Verdicts on the loops of a function (loops.py): XLA runs them, or TensorFlow.
LOOPS, NO_LOOPS = "loops", "no loops"


def folders_of(value: PlanCacheLike) -> list[str]:
    """The folders behind what a user may give, first come first served.

    Args:
      value: None or True: those of GRAPPLER_GO_PLANS, or the user's cache
        (`~/.cache/grappler-go/plans`). False: none. A folder, or several.

    Raises:
      TypeError: none of these.
    """
    if value is None or value is True:
        return list(native.core().default_plan_folders())
    if value is False:
        return []
    if isinstance(value, str | os.PathLike):
        value = [value]
    if not isinstance(value, list | tuple) or not all(
        isinstance(folder, str | os.PathLike) for folder in value
    ):
        raise TypeError(f"plan_cache={value!r}: expected a folder, a list of folders, or False")
    return [os.path.abspath(os.path.expanduser(os.fspath(folder))) for folder in value]


@dataclasses.dataclass(frozen=True)
class Entry:
    """One file of a plan cache.

    Attributes:
      path: the file.
      key: graph, cpu, cores, devices, tensorflow; of a verdict on loops, function instead
        of graph.
      verdict: "plan" or "default"; "loops" or "no loops".
      measured: what was measured: default_ms, plan_ms, candidate, rounds, ...
      made: the day, as 2026-01-31.
      plan: as a plan's file has it; None but for "plan".
      error: why the file cannot be used; empty when it can, else all but path is.
    """

    path: str
    key: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    verdict: str = ""
    measured: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    made: str = ""
    plan: Mapping[str, Any] | None = None
    error: str = ""

    def used_here(self, graph: "OpGraph | None" = None) -> bool:
        """Whether this machine and TensorFlow would use it (for this graph)."""
        if self.error:
            return False
        tensorflow = native.tensorflow().__version__
        core = native.core()
        if (
            graph is not None
            and self.key.get("graph") != core.plan_cache_key(graph)["key"]["graph"]
        ):
            return False
        return (
            self.key.get("cpu") == core.cpu_model()
            and self.key.get("cores") == len(os.sched_getaffinity(0))
            and self.key.get("tensorflow") == tensorflow
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for json.dumps."""
        return dataclasses.asdict(self)


def read(path: str | os.PathLike[str]) -> Entry:
    """One file; never fails: see Entry.error."""
    try:
        values = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
        if not isinstance(values, dict) or values.get("format") != FORMAT:
            raise ValueError(f'"format" should be "{FORMAT}"')
        version = str(values.get("version"))
        if version.split(".")[0] != VERSION.split(".")[0]:
            raise ValueError(f"version {version} is not one this build reads")
        return Entry(
            str(path),
            dict(values["key"]),
            str(values["verdict"]),
            dict(values.get("measured", {})),
            str(values.get("made", "")),
            values.get("plan"),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        return Entry(str(path), error=f"{type(error).__name__}: {error}")


def entries(folders: Sequence[str]) -> list[Entry]:
    """All files of the folders, by folder and name; those that are corrupt, too."""
    return [read(file) for folder in folders for file in _files(folder)]


def find(
    folders: Sequence[str], graph: "OpGraph", machine: "Machine | None" = None
) -> Entry | None:
    """What the pass would use for a graph here; None where nothing is stored.

    Args:
      folders: where; the first that has it counts.
      graph: whose.
      machine: the devices that are configured; None for the graph's own.
    """
    name = native.core().plan_cache_key(graph, machine)["file_name"]
    found = (read(pathlib.Path(folder) / name) for folder in folders)
    return next((entry for entry in found if not entry.error), None)


def clear(folders: Sequence[str], fingerprint: str = "") -> tuple[int, list[str]]:
    """Removes the entries, of one graph or of all.

    Args:
      folders: where.
      fingerprint: of the graph, or its beginning; empty: every graph's.

    Returns:
      How many were removed, and a sentence for each that could not be.
    """
    removed, failed = 0, []
    for folder in folders:
        for file in _files(folder):
            if not file.name.startswith(fingerprint):
                continue
            try:
                file.unlink()
                removed += 1
            except OSError as error:
                failed.append(f"{file}: {error.strerror}")
    return removed, failed


def store(
    folders: Sequence[str],
    graph: "OpGraph",
    machine: "Machine | None",
    plan: "Plan | None",
    measured: Mapping[str, Any],
) -> str:
    """Writes what was measured for a graph; an older entry is replaced.

    The file appears whole or not at all: of two processes that write at once, one
    wins, and readers never see a part.

    Args:
      folders: the first that can be written into gets it; made if it is not there.
      graph: whose plan it is.
      machine: the devices that were configured; None for the graph's own.
      plan: the winner; None: TensorFlow's default is best.
      measured: plain values that go into the file; the pass reports default_ms and
        plan_ms.

    Returns:
      The path.

    Raises:
      OSError: no folder can be written into; the message says why for each.
    """
    named = native.core().plan_cache_key(graph, machine)
    verdict = "default" if plan is None else "plan"
    stored = None if plan is None else json.loads(plan.to_json(graph))
    return _store(folders, named["file_name"], named["key"], verdict, measured, stored)


def find_loops(folders: Sequence[str], function: str, devices: Sequence[str]) -> Entry | None:
    """The verdict on a function's loops here; None where there is none that can be used.

    Args:
      folders: where; the first that has it counts.
      function: loop_keys.key_of() it.
      devices: names of those that are configured.
    """
    if not folders:
        return None
    key = _loops_key(function, devices)
    found = (read(pathlib.Path(folder) / _loops_file(key)) for folder in folders)
    verdicts = (LOOPS, NO_LOOPS)
    return next((e for e in found if e.verdict in verdicts and dict(e.key) == key), None)


def store_loops(
    folders: Sequence[str],
    function: str,
    devices: Sequence[str],
    verdict: str,
    measured: Mapping[str, Any],
) -> str:
    """Writes a verdict on the loops of a function, as store() does for a graph.

    Args:
      folders: as for store().
      function, devices: as for find_loops().
      verdict: LOOPS or NO_LOOPS.
      measured: as for store(); and `loops`, the number of those that are compiled.

    Returns:
      The path.

    Raises:
      OSError: as store().
    """
    key = _loops_key(function, devices)
    return _store(folders, _loops_file(key), key, verdict, measured, None)


def _loops_key(function: str, devices: Sequence[str]) -> dict[str, Any]:
    return {
        "cores": len(os.sched_getaffinity(0)),
        "cpu": native.core().cpu_model(),
        "devices": sorted(devices),
        "function": function,
        "tensorflow": native.tensorflow().__version__,
    }


def _loops_file(key: Mapping[str, Any]) -> str:
    rest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
    return f"{key['function']}-{rest[:16]}.json"


def _store(
    folders: Sequence[str],
    name: str,
    key: Mapping[str, Any],
    verdict: str,
    measured: Mapping[str, Any],
    plan: Mapping[str, Any] | None,
) -> str:
    values = {
        "format": FORMAT,
        "version": VERSION,
        "key": key,
        "verdict": verdict,
        "measured": dict(measured),
        "made": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        "plan": plan,
    }
    text = json.dumps(values, indent=1) + "\n"
    failed = []
    for folder in folders:
        try:
            return _write(pathlib.Path(folder), name, text)
        except OSError as error:
            failed.append(f"{folder}: {error.strerror or error}")
    raise OSError("no plan cache can be written: " + ("; ".join(failed) or "none is configured"))


def _write(folder: pathlib.Path, name: str, text: str) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(prefix=f".{name}.", dir=folder)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(draft, 0o644)  # mkstemp's are for the owner alone
        os.replace(draft, folder / name)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(draft)
        raise
    return str(folder / name)


def _files(folder: str) -> list[pathlib.Path]:
    try:
        return sorted(
            file for file in pathlib.Path(folder).glob("*.json") if not file.name.startswith(".")
        )
    except OSError:
        return []
