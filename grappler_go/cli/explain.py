"""Says what is decided for a graph, and for each kind of op why not.

Also lists the ops whose cost is not known, with their share of the predicted time.

The graph may be a recorded GraphDef (.pb) or a folder of them, a SavedModel, a
built-in program (see grappler-go bench --list), or module:function, which
returns a step, or a step and its arguments. Nothing is applied.

Examples:
  grappler-go explain transformer-train
  grappler-go explain graphs/3f0a.pb --op=model/dense/MatMul
  grappler-go explain saved_model/ --signature=serving_default --policy=my_policy
  grappler-go explain train:make_step --save_plan=step.plan.json
"""

import collections
import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
from absl import flags

import grappler_go
from grappler_go.cli import common

if TYPE_CHECKING:
    from grappler_go._core import OpGraph, Plan
    from grappler_go.captured import CapturedGraph
    from grappler_go.costs import UncostedOps

USAGE = "[flags] GRAPH"
FLAGS = common.new_flags()
common.define_settings(FLAGS)
common.define_json(FLAGS)
flags.DEFINE_string("signature", "serving_default", "Of a SavedModel.", flag_values=FLAGS)
flags.DEFINE_list("op", [], "Say what is decided for these ops, by name.", flag_values=FLAGS)
flags.DEFINE_integer("rows", 25, "Longest table; 0 for all rows.", lower_bound=0, flag_values=FLAGS)
flags.DEFINE_bool("all", False, "Every graph, not only the largest.", flag_values=FLAGS)
flags.DEFINE_string("save_plan", None, "Write the largest graph's plan here.", flag_values=FLAGS)


def run(args: list[str]) -> int:
    """Prints it."""
    if len(args) != 1:
        raise common.UsageError("explain needs one graph")
    common.import_tensorflow()
    graphs = common.graphs_of(args[0], FLAGS.signature)
    told: list[dict[str, Any]] = []
    for captured in graphs if FLAGS.all else graphs[:1]:
        explanation = Explanation(captured)
        if FLAGS.save_plan and not told:
            grappler_go.save_plan(explanation.plan, FLAGS.save_plan, explanation.graph)
        told.append(explanation.to_dict())
        if not FLAGS.json:
            explanation.show()
    if FLAGS.json:
        common.print_json(told)
    elif len(graphs) > 1 and not FLAGS.all:
        common.ERR.print(f"{len(graphs) - 1} smaller graphs are not shown; --all shows them")
    return 0


class Explanation:
    """One graph, what is decided for it and why."""

    def __init__(self, captured: "CapturedGraph") -> None:
        self.graph: OpGraph = captured.op_graph()
        decided = grappler_go.decide(captured, **common.settings_from(FLAGS))
        self.report = decided.report
        self.plan: Plan = decided.plan
        # Empty where it did not come to deciding: then the outcome says it all.
        self.why = list(decided.why)
        self.summary = decided.summary
        if self.plan.fingerprint != self.graph.fingerprint:
            self.plan = grappler_go.Plan(self.graph)

    def per_type(self) -> list[dict[str, Any]]:
        """For each type of op: how many, what was decided, why the rest was not."""
        rows: dict[str, dict[str, Any]] = {}
        grouped, moved, recomputed = self._decided()
        for i, op_type in enumerate(self.graph.ops):
            row = rows.setdefault(
                op_type,
                {
                    "op": op_type,
                    "class": self.graph.op_classes[i],
                    **dict.fromkeys(("ops", "grouped", "moved", "recomputed"), 0),
                    "left_out": collections.Counter(),
                },
            )
            row["ops"] += 1
            row["grouped"] += int(grouped[i])
            row["moved"] += int(moved[i])
            row["recomputed"] += int(recomputed[i])
            if i < len(self.why) and self.why[i]:
                row["left_out"][self.why[i]] += 1
        return sorted(rows.values(), key=lambda row: -row["ops"])

    def _decided(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        n, plan = self.graph.num_ops, self.plan
        nothing = np.zeros(n, bool)
        grouped = nothing if plan.fusion_group is None else np.asarray(plan.fusion_group) >= 0
        moved = nothing if plan.device is None else np.asarray(plan.device) >= 0
        recomputed = nothing if plan.recompute is None else np.asarray(plan.recompute) != 0
        return grouped, moved, recomputed

    def groups(self) -> list[dict[str, Any]]:
        """For each group: size, device, kinds of op, one name to find it by."""
        if self.plan.fusion_group is None:
            return []
        group_of = np.asarray(self.plan.fusion_group)
        rows = []
        for group in range(self.plan.num_groups):
            members = np.flatnonzero(group_of == group).tolist()
            kinds = collections.Counter(self.graph.ops[i] for i in members)
            rows.append(
                {
                    "group": group,
                    "ops": len(members),
                    "kinds": dict(kinds.most_common()),
                    "first": self.graph.names[members[0]] if members else "",
                }
            )
        return sorted(rows, key=lambda row: -row["ops"])

    def uncosted(self) -> "list[UncostedOps]":
        """The ops whose work no formula or no shape tells."""
        devices = common.devices_from(FLAGS.devices) if FLAGS.devices else None
        return grappler_go.uncosted_ops(self.graph, devices)

    def of_op(self, name: str) -> dict[str, Any]:
        """Everything about one op."""
        graph = self.graph
        i = graph.find(name)
        if i < 0:
            raise ValueError(f"the graph has no op {name!r}")
        grouped, moved, recomputed = self._decided()
        fusion, device = self.plan.fusion_group, self.plan.device
        flag_names = graph.flag_names()
        return {
            "name": name,
            "op": graph.ops[i],
            "class": graph.op_classes[i],
            "flags": [flag for flag, bit in flag_names.items() if int(graph.flags[i]) & bit],
            "shapes": [graph.shape(i, port) for port in range(graph.num_outputs(i))],
            "flops": float(graph.flops[i]),
            "device": graph.devices[i],
            "group": int(fusion[i]) if grouped[i] and fusion is not None else None,
            "moved_to": self.plan.devices[device[i]] if moved[i] and device is not None else None,
            "recomputed": bool(recomputed[i]),
            "left_out": self.why[i] if i < len(self.why) else "",
        }

    def to_dict(self) -> dict[str, Any]:
        """All of it, for --json."""
        return {
            "report": self.report.to_dict(),
            "summary": self.summary,
            "per_type": self.per_type(),
            "groups": self.groups(),
            "uncosted": [dataclasses.asdict(row) for row in self.uncosted()],
            "ops": [self.of_op(name) for name in FLAGS.op],
        }

    def show(self) -> None:
        """All of it, as tables."""
        out = common.OUT
        out.print(str(self.report), markup=False)
        if self.summary:
            out.print(self.summary, markup=False)
        limit = FLAGS.rows or None
        if FLAGS.op:
            for name in FLAGS.op:
                for key, value in self.of_op(name).items():
                    out.print(f"  {key}: {value}", markup=False)
                out.print()
            return
        out.print()
        numbers = ("ops", "grouped", "moved", "recomputed")
        table = common.new_table("by type of op", "op", *numbers, "why not", right=numbers)
        rows = self.per_type()
        for row in rows[:limit]:
            reasons = ", ".join(f"{why} ({n})" for why, n in row["left_out"].most_common())
            table.add_row(row["op"], *(str(row[key] or "") for key in numbers), reasons)
        out.print(table)
        if limit and len(rows) > limit:
            out.print(f"... and {len(rows) - limit} more types; --rows=0 shows all")
        groups = self.groups()
        if groups:
            out.print()
            table = common.new_table("groups", "group", "ops", "kinds", "first op", right=("ops",))
            for row in groups[:limit]:
                kinds = list(row["kinds"].items())
                text = ", ".join(f"{n} {kind}" for kind, n in kinds[:5])
                text += f", and {len(kinds) - 5} kinds more" if len(kinds) > 5 else ""
                table.add_row(str(row["group"]), str(row["ops"]), text, row["first"])
            out.print(table)
            if limit and len(groups) > limit:
                out.print(f"... and {len(groups) - limit} smaller groups; --rows=0 shows all")
        self._show_uncosted(limit)

    def _show_uncosted(self, limit: int | None) -> None:
        rows = self.uncosted()
        if not rows:
            return
        common.OUT.print()
        numbers = ("ops", "predicted time")
        table = common.new_table("costs that are not known", "op", *numbers, "why", right=numbers)
        for row in rows[:limit]:
            table.add_row(row.op, str(row.ops), f"{row.share:.1%}", row.why)
        common.OUT.print(table)
        if limit and len(rows) > limit:
            common.OUT.print(f"... and {len(rows) - limit} more types; --rows=0 shows all")
