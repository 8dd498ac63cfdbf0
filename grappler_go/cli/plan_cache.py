"""`grappler-go plan cache`: the plans that were tuned."""

import json
import os

from grappler_go import native
from grappler_go import plan_cache as cache_lib
from grappler_go.cli import common

_WITHOUT_PLAN = {
    "default": "TensorFlow's default is best",
    cache_lib.LOOPS: "XLA runs the function's loops as a whole",
    cache_lib.NO_LOOPS: "the function's loops stay with TensorFlow",
}


def run(args: list[str], given: list[str] | None, as_json: bool) -> int:
    """Lists, shows or removes entries; 1 when there is none to show or one could not be
    removed."""
    folders = cache_lib.folders_of(given)
    if args == ["list"] or not args:
        return _list(folders, as_json)
    if len(args) == 2 and args[0] == "show":
        return _show(folders, args[1], as_json)
    if args[0] == "clear" and len(args) <= 2:
        return _clear(folders, args[1] if len(args) == 2 else "", as_json)
    raise common.UsageError("expected: cache list, cache show ID, or cache clear [ID]")


def _list(folders: list[str], as_json: bool) -> int:
    found = cache_lib.entries(folders)
    if as_json:
        common.print_json([{**entry.to_dict(), "plan": None} for entry in found])
        return 0
    if not found:
        where = ", ".join(folders) or "no folder: GRAPPLER_GO_PLANS is 0"
        common.OUT.print(f"nothing was tuned yet ({where})", markup=False)
        return 0
    numbers = ("default ms", "plan ms")
    table = common.new_table("tuned", "graph", "verdict", *numbers, "what", "of", right=numbers)
    for entry in found:
        if entry.error:
            table.add_row(os.path.basename(entry.path)[:8], "unusable", "", "", entry.error, "")
            continue
        measured = entry.measured
        elsewhere = "" if entry.used_here() else f" (not here: {_elsewhere(entry)})"
        table.add_row(
            str(entry.key.get("graph") or entry.key.get("function", ""))[:8],
            entry.verdict,
            f"{measured.get('default_ms', 0):.3g}",
            f"{measured.get('plan_ms', 0):.3g}",
            f"{measured.get('candidate', '')}{elsewhere}",
            f"{measured.get('function', '')}, {entry.made}",
        )
    common.OUT.print(table)
    return 0


def _elsewhere(entry: cache_lib.Entry) -> str:
    """What of the key is another than this process's."""
    here = {
        "cpu": native.core().cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "tensorflow": native.tensorflow().__version__,
    }
    return ", ".join(
        f"{name} {entry.key.get(name)}" for name in here if entry.key.get(name) != here[name]
    )


def _show(folders: list[str], graph: str, as_json: bool) -> int:
    found = [
        entry
        for entry in cache_lib.entries(folders)
        if os.path.basename(entry.path).startswith(graph)
    ]
    if as_json:
        common.print_json([entry.to_dict() for entry in found])
        return 0 if found else 1
    if not found:
        common.complain(f"no entry of a graph {graph} in {', '.join(folders) or 'no folder'}")
        return 1
    import grappler_go

    for entry in found:
        common.OUT.print(entry.path, markup=False)
        if entry.error:
            common.OUT.print(f"  {entry.error}", markup=False)
            continue
        common.OUT.print(f"  key: {json.dumps(dict(entry.key))}", markup=False)
        common.OUT.print(f"  measured: {json.dumps(dict(entry.measured))}", markup=False)
        if entry.plan is None:
            common.OUT.print(f"  {_WITHOUT_PLAN.get(entry.verdict, entry.verdict)}")
            continue
        plan = grappler_go.Plan.from_json(json.dumps(entry.plan))
        common.OUT.print(grappler_go.plan_summary(plan), markup=False)
    return 0


def _clear(folders: list[str], graph: str, as_json: bool) -> int:
    removed, failed = cache_lib.clear(folders, graph)
    if as_json:
        common.print_json({"removed": removed, "failed": failed})
    else:
        common.OUT.print(f"removed {removed}")
        for line in failed:
            common.complain(line)
    return 1 if failed else 0
