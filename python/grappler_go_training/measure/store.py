"""What a comparison has measured, kept so that it can be simulated again.

Measuring takes an hour of a quiet machine, simulating a second. Beside the file of rows
stands a folder with the plan of each row and the graph that it is for: when the
simulator, a cost or a machine file has changed, fidelity.simulate_again() says what the
same plans are predicted to take now. Without the folder the rows can still be read.

    fidelity.jsonl                  a row a plan, see agreement.Row
    fidelity.plans/KEY.json         that plan, by Row.key
    fidelity.plans/FINGERPRINT.pb   the graph, by Plan.fingerprint; names beside it, .json
"""

import json
import os
import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from grappler_go import plans as plan_files
from grappler_go.captured import CapturedGraph
from grappler_go_training.measure.agreement import Row

if TYPE_CHECKING:
    from grappler_go import Plan


class Store:
    """A file of rows and the folder of their plans.

    Args:
      path: the file, ending in .jsonl; made with its folders when something is kept.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = pathlib.Path(path)
        self._folder = self._path.with_suffix(".plans")

    def rows(self) -> list[Row]:
        """All rows, none if there is no file. Of a plan that is there twice, the later
        one.

        Raises:
          OSError: the file cannot be read.
          ValueError: a line is not a row; one that was cut off at the end is left out.
        """
        if not self._path.exists():
            return []
        rows: dict[tuple[str, str, str], Row] = {}
        text = self._path.read_text(encoding="utf-8")
        for number, line in enumerate(text.splitlines(keepends=True), 1):
            if not line.endswith("\n"):
                break
            try:
                row = Row(**json.loads(line))
            except (ValueError, TypeError) as error:
                raise ValueError(f"{self._path}, line {number}: not a row ({error})") from error
            rows[row.program, row.kind, row.key] = row
        return list(rows.values())

    def keep(self, row: Row) -> None:
        """Appends a row.

        Raises:
          OSError: it cannot be written.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        before = self._path.read_bytes() if self._path.exists() else b""
        with self._path.open("ab") as lines:
            if before and not before.endswith(b"\n"):
                # A run that was stopped while writing.
                lines.truncate(before.rfind(b"\n") + 1)
            lines.write(_line(row))

    def replace(self, rows: Sequence[Row]) -> None:
        """Has the file hold these rows and no others; whole or not at all.

        Raises:
          OSError: it cannot be written.
        """
        draft = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        draft.write_bytes(b"".join(_line(row) for row in rows))
        draft.replace(self._path)

    def keep_plan(self, key: str, plan: "Plan", graph: CapturedGraph) -> None:
        """Keeps a plan, and its graph if that is not there yet.

        Raises:
          OSError: it cannot be written.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        graph_path = self._folder / f"{plan.fingerprint}.pb"
        if not graph_path.exists():
            graph.save(graph_path)
        plan_files.save_plan(plan, self._folder / f"{key}.json")

    def plan(self, key: str) -> "Plan | None":
        """None: it was not kept.

        Raises:
          OSError, ValueError: it cannot be read, or is not a plan.
        """
        path = self._folder / f"{key}.json"
        return plan_files.load_plan(path) if path.exists() else None

    def graph(self, fingerprint: str) -> CapturedGraph | None:
        """None: it was not kept.

        Raises:
          OSError, ValueError: as CapturedGraph.load().
        """
        path = self._folder / f"{fingerprint}.pb"
        return CapturedGraph.load(path) if path.exists() else None


def _line(row: Row) -> bytes:
    return (json.dumps(row.to_dict()) + "\n").encode()
