"""`grappler-go doctor GRAPH...`: the ops whose cost nobody knows."""

import collections
import dataclasses
import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from grappler_go import costs
from grappler_go.cli import common
from grappler_go.settings import DevicesLike

if TYPE_CHECKING:
    from grappler_go.captured import CapturedGraph


@dataclasses.dataclass(frozen=True)
class Uncosted:
    """The ops of one type whose work is not known, over all graphs.

    Attributes:
      op: the type.
      why: costs.NO_FORMULA or costs.NO_SHAPE.
      ops: how many there are.
      graphs: in how many of the graphs.
      largest_share: of a graph's predicted time, from 0 to 1: the largest. They count as
        their dispatch alone, so the real one is larger.
      worst_graph: the graph with that share.
    """

    op: str
    why: str
    ops: int
    graphs: int
    largest_share: float
    worst_graph: str


def run(targets: Sequence[str], machine: DevicesLike, as_json: bool) -> int:
    """Prints what is not known of the graphs that the targets name.

    Raises:
      UsageError: see graphs_of_target().
    """
    graphs = {name: graph for target in targets for name, graph in graphs_of_target(target)}
    found = uncosted(graphs, machine)
    if as_json:
        common.print_json(
            {"graphs": len(graphs), "uncosted": [dataclasses.asdict(row) for row in found]}
        )
        return 0
    if not found:
        common.OUT.print(f"the work of every op is known, in {len(graphs)} graphs")
        return 0
    numbers = ("ops", "graphs", "largest share")
    table = common.new_table(
        f"ops whose work is not known, in {len(graphs)} graphs: they count as their dispatch",
        *("op", "why", *numbers, "in"),
        right=numbers,
    )
    for row in found:
        table.add_row(
            row.op, row.why, str(row.ops), str(row.graphs), f"{row.largest_share:.1%}",
            row.worst_graph,
        )  # fmt: skip
    common.OUT.print(table)
    return 0


def graphs_of_target(target: str) -> "list[tuple[str, CapturedGraph]]":
    """The graphs by names; a folder is searched through to its last subfolder.

    Raises:
      ValueError: as common.graphs_of().
    """
    from grappler_go.captured import CapturedGraph

    folder = pathlib.Path(target)
    if folder.is_dir() and not (folder / "saved_model.pb").is_file():
        files = sorted(folder.rglob("*.pb"))
        if files:
            names = [str(file.relative_to(folder)) for file in files]
            return list(zip(names, map(CapturedGraph.load, files), strict=True))
    graphs = common.graphs_of(target)
    return [(target if len(graphs) == 1 else f"{target} {n}", g) for n, g in enumerate(graphs)]


def uncosted(graphs: "dict[str, CapturedGraph]", machine: DevicesLike) -> list[Uncosted]:
    """Over all graphs, the largest share first."""
    rows: dict[tuple[str, str], list[tuple[float, int, str]]] = collections.defaultdict(list)
    for name, graph in graphs.items():
        for row in costs.uncosted_ops(graph, machine):
            rows[row.op, row.why].append((row.share, row.ops, name))
    found = []
    for (op, why), each in rows.items():
        share, _, worst = max(each)
        count = sum(ops for _, ops, _ in each)
        found.append(Uncosted(op, why, count, len(each), share, worst))
    return sorted(found, key=lambda row: (-row.largest_share, row.op))
