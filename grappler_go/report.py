"""What happened to each graph that the pass saw."""

import dataclasses
import re
import threading
from collections.abc import Iterable, Mapping
from typing import Any

from grappler_go import native


@dataclasses.dataclass(frozen=True)
class Report:
    """One graph, what was decided for it, or why it was left alone.

    Attributes:
      id: counts up in the process.
      fingerprint: of the graph; independent of node order and random names.
      function: the tf.function that it was made of, "step, backward" for its gradient;
        empty where nobody saw the call: the guard does (enable(guard=...)).
      fetches: a few names of the graph's outputs, to recognise it by.
      num_nodes: nodes before the pass.
      graph_bytes: size of the GraphDef.
      applied: whether the graph was changed.
      outcome: "applied", or the reason why the graph was left alone.
      policy: name of the policy that was asked; empty when none was.
      updates: variables whose optimizer's update, spelled out in the graph, is done by
        TensorFlow's own kernel.
      loops: while loops, each run by XLA as a whole.
      moved: ops that were given another device.
      groups: groups of ops compiled together.
      grouped_ops: ops in those groups.
      recomputed: ops whose outputs are computed again for the backward pass.
      ordered: control edges added to keep an order.
      nodes_after: nodes after the pass.
      micros_before: predicted microseconds of one step without the plan.
      micros_after: and with it. 0 when nothing was predicted.
      peak_bytes_before: predicted peak memory in bytes without the plan.
      peak_bytes_after: and with it. 0 when nothing was predicted.
      left_out: reason -> number of ops for which nothing was decided.
      timing_ms: milliseconds of each phase: parse, updates, rows, features, policy, plan,
        rewrite, verify.
      notes: what else is worth knowing, such as a record folder that cannot be
        written.
    """

    id: int = 0
    fingerprint: str = ""
    function: str = ""
    fetches: tuple[str, ...] = ()
    num_nodes: int = 0
    graph_bytes: int = 0
    applied: bool = False
    outcome: str = ""
    policy: str = ""
    updates: int = 0
    loops: int = 0
    moved: int = 0
    groups: int = 0
    grouped_ops: int = 0
    recomputed: int = 0
    ordered: int = 0
    nodes_after: int = 0
    micros_before: float = 0.0
    micros_after: float = 0.0
    peak_bytes_before: int = 0
    peak_bytes_after: int = 0
    left_out: Mapping[str, int] = dataclasses.field(default_factory=dict)
    timing_ms: Mapping[str, float] = dataclasses.field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Report":
        """A report from what the native core returns; unknown keys are ignored."""
        known = {f.name for f in dataclasses.fields(cls)}
        kept = {key: value for key, value in values.items() if key in known}
        for key in ("fetches", "notes"):
            kept[key] = tuple(kept.get(key, ()))
        return cls(**kept)

    @property
    def total_ms(self) -> float:
        """Milliseconds that the pass spent on this graph."""
        return sum(self.timing_ms.values())

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for json.dumps."""
        values = dataclasses.asdict(self)
        values["fetches"], values["notes"] = list(self.fetches), list(self.notes)
        return values

    def __str__(self) -> str:
        name = self.function or (self.fetches[0] if self.fetches else "no outputs")
        head = f"graph {self.id} ({name}, {self.num_nodes:,} nodes): "
        if not self.applied:
            text = f"left alone: {self.outcome}"
        else:
            text = f"applied: {self._decisions()}{self._gain()}, in {self.total_ms:.3g} ms"
        return head + "; ".join([text, *self.notes])

    def _decisions(self) -> str:
        parts = []
        if self.updates:
            parts.append(f"{_count(self.updates, 'variable update')} by one kernel each")
        if self.loops:
            parts.append(f"{_count(self.loops, 'loop')} run by XLA")
        if self.groups:
            parts.append(f"{self.grouped_ops:,} ops in {_count(self.groups, 'group')}")
        if self.moved:
            parts.append(f"{_count(self.moved, 'op')} moved")
        if self.recomputed:
            parts.append(f"{_count(self.recomputed, 'op')} recomputed")
        if self.ordered:
            parts.append(f"{_count(self.ordered, 'order edge')}")
        return ", ".join(parts) or "nothing changed"

    def _gain(self) -> str:
        text = ""
        # What loops gain is not predicted, and where nothing else changed there is nothing.
        if 0 < self.micros_after != self.micros_before > 0:
            text += (
                f", predicted {self.micros_before / 1e3:.3g} -> "
                f"{self.micros_after / 1e3:.3g} ms a step"
            )
        if self.peak_bytes_before > 0 and self.peak_bytes_after > 0:
            text += (
                f", peak {self.peak_bytes_before / 1e6:.3g} -> {self.peak_bytes_after / 1e6:.3g} MB"
            )
        return text


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


# By id of a report, the name that TensorFlow has for its function. As many as the core
# keeps reports (cc/plugin/report.h).
_functions: dict[int, str] = {}
_functions_lock = threading.Lock()
_MOST_FUNCTIONS = 1000
# What TensorFlow makes of a function's name: __inference_step_42, and for its gradient
# __inference___backward_step_17_42.
_KIND = re.compile(r"__(inference|forward|backward)_(.+)_\d+$")


def add_function(ids: Iterable[int], name: str) -> None:
    """Says which function graphs are of.

    Args:
      ids: of their reports.
      name: TensorFlow's.
    """
    with _functions_lock:
        _functions.update(dict.fromkeys(ids, name))
        for oldest in list(_functions)[:-_MOST_FUNCTIONS]:
            del _functions[oldest]


def _name_of(number: int) -> str:
    """The function as its author calls it."""
    name, kinds = _functions.get(number, ""), []
    while found := _KIND.match(name):
        kind, name = found.groups()
        if kind != "inference":
            kinds.append(kind)
    return ", ".join([name, *kinds]) if name else ""


def reports() -> list[Report]:
    """The last 1000 graphs that the pass saw in this process, oldest first.

    A graph smaller than the pass looks at appears too, with that as its outcome.

    Example:
      for report in grappler_go.reports():
          print(report)
    """
    if native.killed_by_environment():
        return []
    found = native.core().reports()
    return [Report.from_dict({**values, "function": _name_of(values["id"])}) for values in found]


def last_report() -> Report | None:
    """The latest report, or None when the pass has not seen a graph."""
    found = reports()
    return found[-1] if found else None


def clear_reports() -> None:
    """Forgets all reports of this process."""
    if not native.killed_by_environment():
        native.core().clear_reports()
        with _functions_lock:
            _functions.clear()
