"""Decisions for a graph that is at hand as bytes; nothing is switched on."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from grappler_go import native, settings
from grappler_go.captured import CapturedGraph
from grappler_go.report import Report
from grappler_go.settings import DECISIONS, DevicesLike, PolicyLike

if TYPE_CHECKING:
    from grappler_go._core import Plan


@dataclasses.dataclass(frozen=True)
class Decided:
    """What the pass would do to a graph.

    Attributes:
      report: as reports() would have it.
      plan: what was decided, whether it would be applied or not.
      left_out: reason -> number of ops for which nothing was decided.
      why: for each op, by number, the reason why it was left out; "" where
        something was decided. Empty for a policy that answers with a plan.
      summary: one line.
      graphdef: the rewritten GraphDef; None when the graph would be left alone.
    """

    report: Report
    plan: "Plan"
    left_out: Mapping[str, int]
    why: Sequence[str]
    summary: str
    graphdef: bytes | None


def decide(
    graph: CapturedGraph,
    policy: PolicyLike = "default",
    devices: DevicesLike = None,
    decisions: Sequence[str] = DECISIONS,
    memory_limit: int | float | str | None = None,
    budget_ms: int | None = None,
    min_gain: float | None = None,
    advanced: Mapping[str, Any] | None = None,
    compile_budget_s: float | None = None,
) -> Decided:
    """Sends one graph through the pass, as TensorFlow would, and returns all of it.

    Args:
      graph: from capture(), load_captured(), or made from a GraphDef.
      policy, decisions, memory_limit, budget_ms, min_gain, advanced,
        compile_budget_s: as for enable(). The plan cache is not looked at.
      devices: as for enable(); a Machine, or its file, may have devices that do
        not exist here.

    Raises:
      ValueError, TypeError, OSError: an argument, as for enable().
      RuntimeError: TensorFlow or the native library is not usable.

    A graph or a policy that is no good is not an error: the report says so.

    Example:
      graph = grappler_go.capture(step, x)[0]
      decided = grappler_go.decide(graph)
      grappler_go.save_plan(decided.plan, "step.plan.json", graph.op_graph())
    """
    config = settings.native_config(
        policy=policy,
        devices=devices,
        decisions=decisions,
        memory_limit=memory_limit,
        budget_ms=budget_ms,
        min_gain=min_gain,
        record=None,
        advanced=advanced,
        compile_budget_s=compile_budget_s,
        plan_cache=False,
        devices_must_exist=False,
    )
    result = native.core().optimize(
        graph.graphdef, list(graph.fetches), list(graph.preserve), config
    )
    why = result["why"]
    return Decided(
        report=Report.from_dict(result["report"]),
        plan=result["plan"],
        left_out=why["left_out"],
        why=why["per_op"],
        summary=why["summary"],
        graphdef=result["graphdef"] if result["applied"] else None,
    )
