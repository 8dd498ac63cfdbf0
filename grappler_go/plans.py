"""Plans as files and as text.

A plan (`grappler_go.Plan`) is every decision for one graph on one machine. It
is applied by op number, so it survives TensorFlow's renumbering of names, and
its JSON file carries names for the reader.

    graph = grappler_go.capture(step, x)[0].op_graph()
    plan = grappler_go.Plan(graph)                 # decides nothing
    groups = np.full(graph.num_ops, -1, np.int32)
    groups[graph.find("model/dense/MatMul")] = 0
    plan.fusion_group = groups
    plan.validate(graph)
    grappler_go.save_plan(plan, "step.plan.json", graph)
    grappler_go.enable(policy="step.plan.json")
"""

import collections
import json
import os
import pathlib
from typing import TYPE_CHECKING

import numpy as np

from grappler_go import native

if TYPE_CHECKING:
    from grappler_go._core import OpGraph, Plan


def load_plan(path: str | os.PathLike[str]) -> "Plan":
    """Reads a plan that save_plan wrote, or that someone edited.

    Raises:
      OSError: the file cannot be read.
      ValueError: it is not a plan, or is of another major version of the format.
    The message names the file.
    """
    file = pathlib.Path(path)
    if (file / "saved_model.pb").is_file():
        raise IsADirectoryError(
            f"{path} is a SavedModel, not a plan's file. What grappler-go optimize decided is in "
            "the model itself, on its nodes; grappler-go explain IN --save_plan=FILE, with IN and "
            "flags as for optimize, writes the same plan into a file"
        )
    if file.is_dir():
        raise IsADirectoryError(f"{path} is a folder, not a plan's file")
    if not file.exists():
        raise FileNotFoundError(f"no such file: {path}")
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        hint = "; of a graph, grappler-go explain makes a plan" if file.suffix == ".pb" else ""
        raise ValueError(f"{path} is not a plan: it is not text{hint}") from None
    try:
        return native.core().Plan.from_json(text)
    except ValueError as error:
        raise ValueError(f"{path}: {_without_parser(text, error)}") from None


def _without_parser(text: str, error: ValueError) -> str:
    """What is wrong with a plan's text, in our words where it is not even JSON."""
    try:
        json.loads(text)
    except json.JSONDecodeError as found:
        return f"not a plan: not JSON: {found}"
    return str(error)


def save_plan(plan: "Plan", path: str | os.PathLike[str], graph: "OpGraph | None" = None) -> None:
    """Writes a plan as JSON, for review, version control, and enable(policy=path).

    Args:
      plan: what to write.
      path: the file; replaced whole or not at all.
      graph: gives the names that appear beside op numbers; None leaves them out.

    Raises:
      OSError: the file cannot be written.
    """
    target = pathlib.Path(path)
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        draft.write_text(plan.to_json(graph), encoding="utf-8")
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)


def plan_summary(plan: "Plan", graph: "OpGraph | None" = None) -> str:
    """What a plan decides, in a few lines of text.

    Args:
      plan: the plan.
      graph: the graph it is for; with it, every group tells its kinds of op.

    Raises:
      ValueError: the plan is for another graph.
    """
    if graph is not None:
        plan.validate(graph)
    lines = [f"plan for graph {plan.fingerprint} by {plan.policy or 'hand'}"]
    if plan.empty:
        return lines[0] + "\n  decides nothing"
    if plan.free_state:
        lines.append("  for simulations only: variables may move (free_state)")
    if plan.micros_before > 0:
        lines.append(
            f"  predicted step: {plan.micros_before / 1e3:.3g} -> {plan.micros_after / 1e3:.3g} ms"
        )
    if plan.peak_bytes_before > 0:
        lines.append(
            f"  predicted peak: {plan.peak_bytes_before / 1e6:.3g} -> "
            f"{plan.peak_bytes_after / 1e6:.3g} MB"
        )
    lines += _device_lines(plan) + _group_lines(plan, graph)
    if plan.num_recomputed:
        lines.append(f"  recomputed for the backward pass: {plan.num_recomputed} ops")
    if plan.turn_bytes:
        lines.append(
            "  ops with large tensors run in turn where more than "
            f"{plan.turn_bytes / 1e6:.3g} MB could be alive at once"
        )
    if plan.order:
        lines.append(f"  order kept: {len(plan.order)} control edges")
    return "\n".join(lines)


def _device_lines(plan: "Plan") -> list[str]:
    if plan.device is None or not plan.num_moved:
        return []
    counts = collections.Counter(int(d) for d in plan.device if d >= 0)
    return [f"  on {plan.devices[device]}: {count} ops" for device, count in sorted(counts.items())]


def _group_lines(plan: "Plan", graph: "OpGraph | None") -> list[str]:
    if plan.fusion_group is None:
        return []
    lines = []
    groups = np.asarray(plan.fusion_group)
    for group in range(plan.num_groups):
        members = np.flatnonzero(groups == group)
        line = f"  group {group}: {len(members)} ops"
        if graph is not None:
            kinds = collections.Counter(graph.ops[i] for i in members)
            line += " (" + ", ".join(f"{n} {op}" for op, n in kinds.most_common(5))
            line += ", ..." if len(kinds) > 5 else ""
            line += ")"
        lines.append(line)
    return lines


def diff_plans(a: "Plan", b: "Plan", graph: "OpGraph | None" = None) -> list[str]:
    """What differs between two plans for the same graph, one line for each op.

    Groups are compared by their members, not by their numbers.

    Args:
      a: the first plan.
      b: the second.
      graph: gives the names of ops; None: they appear by number.

    Returns:
      Lines such as "model/dense/MatMul: device as it was -> CPU:1"; empty when
      the plans decide the same.

    Raises:
      ValueError: the plans are for different graphs.
    """
    if a.fingerprint != b.fingerprint:
        raise ValueError(f"the plans are for different graphs: {a.fingerprint}, {b.fingerprint}")
    names = graph.names if graph is not None else None
    described_a, described_b = _describe(a), _describe(b)
    lines = []
    for op in sorted({*described_a, *described_b}):
        before, after = described_a.get(op, {}), described_b.get(op, {})
        label = names[op] if names else f"op {op}"
        for kind, default in _DEFAULTS.items():
            old, new = before.get(kind, default), after.get(kind, default)
            if old != new:
                lines.append(f"{label}: {kind} {old} -> {new}")
    only_a, only_b = set(a.order) - set(b.order), set(b.order) - set(a.order)
    for sign, edges in (("removed", only_a), ("added", only_b)):
        for before_op, after_op in sorted(edges):
            first = names[before_op] if names else f"op {before_op}"
            second = names[after_op] if names else f"op {after_op}"
            lines.append(f"order {sign}: {first} before {second}")
    return lines


_DEFAULTS = {"device": "as it was", "group": "none", "recompute": "no"}


def _describe(plan: "Plan") -> dict[int, dict[str, str]]:
    """Op number -> what is decided for it, in words that compare across plans."""
    ops: dict[int, dict[str, str]] = collections.defaultdict(dict)
    if plan.device is not None:
        for op, device in enumerate(plan.device):
            if device >= 0:
                ops[op]["device"] = plan.devices[device]
    if plan.fusion_group is not None:
        for group in range(plan.num_groups):
            members = np.flatnonzero(np.asarray(plan.fusion_group) == group).tolist()
            for op in members:
                # A group is known by its first op and its size: those do not
                # change when groups are numbered differently.
                ops[op]["group"] = f"of {len(members)} from op {members[0]}"
    if plan.recompute is not None:
        for op in np.flatnonzero(plan.recompute).tolist():
            ops[op]["recompute"] = "yes"
    return ops
