"""Which ops of a graph a roofline knows nothing of.

for row in grappler_go.uncosted_ops(graph, "p100x4"):
    print(row.op, row.ops, row.why, f"{row.share:.1%}")
"""

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from grappler_go import native
from grappler_go.captured import CapturedGraph
from grappler_go.settings import DevicesLike
from grappler_go.simulation import machine_for

if TYPE_CHECKING:
    from grappler_go._core import OpGraph

NO_FORMULA = "no formula"
NO_SHAPE = "shape unknown"


@dataclasses.dataclass(frozen=True)
class UncostedOps:
    """The ops of one type whose work is not known.

    Attributes:
      op: the type.
      ops: how many there are in the graph.
      why: "no formula", or "shape unknown": a size is only known when the step runs.
      share: of the predicted time of all ops, from 0 to 1. Such an op counts as its
        dispatch alone, so its real share is larger.
    """

    op: str
    ops: int
    why: str
    share: float


def uncosted_ops(
    graph: "CapturedGraph | OpGraph", machine: DevicesLike = None
) -> list[UncostedOps]:
    """Lists the ops whose work a graph's shapes do not tell, the largest share first.

    Args:
      graph: from capture() or load_captured(), or its op_graph().
      machine: as simulate(); times are rooflines on its first device.

    Raises:
      OSError, ValueError: as simulate().
    """
    op_graph = graph.op_graph() if isinstance(graph, CapturedGraph) else graph
    micros = native.core().roofline_micros(op_graph, machine_for(machine, op_graph, []))
    total = float(micros.sum())
    rows: dict[tuple[str, str], list[float]] = {}
    has_formula = op_graph.has_formula
    for i in np.flatnonzero(op_graph.cost_known == 0).tolist():
        why = NO_SHAPE if has_formula[i] else NO_FORMULA
        row = rows.setdefault((op_graph.ops[i], why), [0, 0.0])
        row[0] += 1
        row[1] += float(micros[i])
    found = [
        UncostedOps(op, int(count), why, spent / total if total else 0.0)
        for (op, why), (count, spent) in rows.items()
    ]
    return sorted(found, key=lambda row: (-row.share, row.op))
