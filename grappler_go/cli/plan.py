"""Shows a plan, what differs between two, or the plans that were tuned.

A plan is every decision for one graph, as a file that can be read, edited,
committed and handed on. Make one with: grappler-go explain --save_plan=FILE.
With --graph (a recorded .pb) ops appear by name and groups with their kinds of op.

`plan cache` is about what grappler-go tune found: `list` (a line for each graph),
`show FINGERPRINT` and `clear [FINGERPRINT]`, of which the first digits are enough.
--cache names another folder than GRAPPLER_GO_PLANS or ~/.cache/grappler-go/plans.

Examples:
  grappler-go plan cache list
  grappler-go plan cache clear 3f0a --cache=/shared/plans
  grappler-go plan show step.plan.json
  grappler-go plan show step.plan.json --graph=graphs/3f0a.pb
  grappler-go plan diff before.json after.json      # exit status 1 when they differ
"""

import pathlib
from typing import TYPE_CHECKING

from absl import flags

import grappler_go
from grappler_go.cli import common, plan_cache

if TYPE_CHECKING:
    from grappler_go._core import OpGraph, Plan

USAGE = "show FILE | diff FILE FILE | cache list | cache show ID | cache clear [ID]"
FLAGS = common.new_flags()
common.define_json(FLAGS)
flags.DEFINE_string("graph", None, "The graph that the plan is for (.pb).", flag_values=FLAGS)
flags.DEFINE_list(
    "cache", None, "cache: folders of tuned plans, instead of the usual.", flag_values=FLAGS
)


def run(args: list[str]) -> int:
    """Prints it."""
    common.import_tensorflow()
    if args[:1] == ["cache"]:
        return plan_cache.run(args[1:], FLAGS.cache, FLAGS.json)
    if len(args) == 2 and args[0] == "show":
        return _show(args[1])
    if len(args) == 3 and args[0] == "diff":
        return _diff(args[1], args[2])
    raise common.UsageError("expected: show FILE, diff FILE FILE, or cache list, show, clear")


def _graph() -> "OpGraph | None":
    if FLAGS.graph is None:
        return None
    return grappler_go.CapturedGraph.load(pathlib.Path(FLAGS.graph)).op_graph()


def _show(path: str) -> int:
    plan, graph = grappler_go.load_plan(path), _graph()
    if FLAGS.json:
        common.print_json(facts(plan))
    else:
        common.OUT.print(grappler_go.plan_summary(plan, graph), markup=False)
    return 0


def _diff(first: str, second: str) -> int:
    a, b = grappler_go.load_plan(first), grappler_go.load_plan(second)
    lines = grappler_go.diff_plans(a, b, _graph())
    if FLAGS.json:
        common.print_json({"a": facts(a), "b": facts(b), "differences": lines})
    elif lines:
        for line in lines:
            common.OUT.print(line, markup=False)
    else:
        common.OUT.print("the plans decide the same")
    return 1 if lines else 0


def facts(plan: "Plan") -> dict[str, object]:
    """A plan's numbers, without its arrays."""
    return {
        "fingerprint": plan.fingerprint,
        "policy": plan.policy,
        "machine": plan.machine,
        "devices": list(plan.devices),
        "groups": plan.num_groups,
        "moved": plan.num_moved,
        "recomputed": plan.num_recomputed,
        "ordered": len(plan.order),
        "micros_before": plan.micros_before,
        "micros_after": plan.micros_after,
        "peak_bytes_before": plan.peak_bytes_before,
        "peak_bytes_after": plan.peak_bytes_after,
    }
