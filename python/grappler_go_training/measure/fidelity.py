"""The simulator's error: many plans of many programs, run and simulated.

Nothing of the simulator may be fitted to these programs: the figure would say nothing.
"""

import dataclasses
import functools
import json
import os
import pathlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import grappler_go
from grappler_go.bench.process import WorkerError
from grappler_go.captured import CapturedGraph
from grappler_go_training.measure import judge
from grappler_go_training.measure.agreement import Agreement, Row, agreement
from grappler_go_training.measure.candidates import Candidate, machine_of_kind, make_candidates
from grappler_go_training.measure.measurement import Cache, Measurement
from grappler_go_training.measure.run import capture_graph, measure_plans
from grappler_go_training.measure.session import KINDS

if TYPE_CHECKING:
    from grappler_go import Machine

# Training and inference; convolutions, attention, recurrence, embeddings, element-wise.
PROGRAMS = (
    *("transformer-train", "transformer-infer", "chargpt-train", "mlp-train"),
    *("wavenet-train", "wavenet-infer", "lstm-train", "lstm-infer"),
    *("dlrm-train", "black-scholes", "mobilenetv2-infer", "resnet50-infer"),
)


@dataclasses.dataclass(frozen=True)
class Progress:
    """How far a run is.

    Attributes:
      text: what is being done.
      done, total: plans of all programs.
    """

    text: str
    done: int
    total: int


@dataclasses.dataclass
class Fidelity:
    """A comparison to be run.

    Attributes:
      programs: see measure_plans().
      kinds: of KINDS.
      plans: of each program; split evenly between the kinds.
      machine: whose costs the simulator takes; see machine_of_kind().
      out: a .jsonl file that gets a row for each plan as soon as it is measured; plans
        that are in it are not run again. None: nothing is stored.
      timeout_s, memory_limit: as measure_plans().
      seed: of the random plans.
    """

    programs: Sequence[str] = PROGRAMS
    kinds: Sequence[str] = KINDS
    plans: int = 30
    machine: "Machine | None" = None
    out: str | os.PathLike[str] | None = None
    timeout_s: float = 300.0
    memory_limit: int = 0
    seed: int = 0

    def run(self, on_progress: Callable[[Progress], None] = lambda _: None) -> list[Row]:
        """Runs and simulates everything. A program that fails has rows that say why.

        Raises:
          ValueError: an unknown kind, or `out` is not a file of rows.
          OSError: `out` cannot be read or written.
        """
        stored = read_rows(self.out) if self.out is not None else []
        known = {(row.program, row.kind, row.key): row for row in stored}
        rows: list[Row] = []
        total = len(self.programs) * len(self.kinds) * self._each
        for program in self.programs:
            for kind in self.kinds:
                on_progress(Progress(f"{program}, {kind}", len(rows), total))
                told = functools.partial(self._tell, on_progress, len(rows), total)
                rows += self._run_one(program, kind, known, told)
        on_progress(Progress("", total, total))
        return rows

    @property
    def _each(self) -> int:
        return -(-self.plans // len(self.kinds))

    @staticmethod
    def _tell(
        on_progress: Callable[[Progress], None], before: int, total: int, text: str, done: int
    ) -> None:
        on_progress(Progress(text, before + done, total))

    def _run_one(
        self,
        program: str,
        kind: str,
        known: dict[tuple[str, str, str], Row],
        told: Callable[[str, int], None],
    ) -> list[Row]:
        try:
            graph = capture_graph(program, kind, start_timeout_s=self.timeout_s)
        except (WorkerError, ValueError) as error:
            return [Row(program, kind, "none", "nothing", key="", error=str(error))]
        machine = machine_of_kind(kind, self.machine)
        candidates = make_candidates(graph.op_graph(), machine, kind, self._each, self.seed)
        cache = Cache(None)
        keys = [cache.key(program, one.plan, kind=kind) for one in candidates]
        simulated = _simulate(graph, candidates, machine, kind)
        rows: dict[int, Row] = {}
        left = []
        for number, key in enumerate(keys):
            before = known.get((program, kind, key))
            if before is None or before.error is not None:
                left.append(number)
                continue
            # Costs may have changed since; what was measured has not.
            rows[number] = dataclasses.replace(before, **simulated[number])

        def keep(place: int, measurement: Measurement) -> None:
            number = left[place]
            one = candidates[number]
            row = Row(
                program, kind, one.name, one.decides, keys[number],
                **_measured(measurement), **simulated[number],
            )  # fmt: skip
            rows[number] = row
            if self.out is not None:
                _append(self.out, row)
            told(f"{program}, {kind}: {one.name}", len(rows))

        measure_plans(
            program,
            [candidates[number].plan for number in left],
            kind=kind,
            timeout_s=self.timeout_s,
            start_timeout_s=self.timeout_s,
            memory_limit=self.memory_limit,
            on_measured=keep,
        )
        return [rows[number] for number in sorted(rows)]


def _simulate(
    graph: CapturedGraph, candidates: Sequence[Candidate], machine: "Machine", kind: str
) -> list[dict[str, Any]]:
    """The simulated fields of each candidate's row; the first decides nothing."""
    steps = grappler_go.simulate_plans(graph, [one.plan for one in candidates], machine)
    told = []
    for one, step in zip(candidates, steps, strict=True):
        judged = None
        if kind == "cluster":
            try:
                judged = judge.grappler_ms(graph, one.plan, machine)
            except RuntimeError:
                judged = None
        told.append(
            {
                "simulated_ms": step.step_ms,
                "simulated_reference_ms": steps[0].step_ms,
                "simulated_peak_bytes": sum(step.peak_bytes.values()),
                "simulated_resident_bytes": sum(d.resident_bytes for d in step.devices),
                "judge_ms": judged,
                "machine": machine.name,
            }
        )
    return told


def _measured(one: Measurement) -> dict[str, Any]:
    if one.error is not None:
        return {"error": one.error}
    reference = one.reference_readings_ms
    return {
        "ms": one.median_ms,
        "reference_ms": one.reference_ms,
        "ratio": one.ratio,
        "spread": (max(reference) - min(reference)) / one.reference_ms,
        "first_ms": one.first_step_ms,
        "peak_bytes": one.total_peak_bytes,
        "resident_bytes": sum(one.resident_bytes.values()),
    }


def summarize(rows: Sequence[Row]) -> list[Agreement]:
    """One agreement for each program and kind, in the order in which they come."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.program, row.kind), []).append(row)
    return [agreement(group) for group in groups.values()]


def read_rows(path: str | os.PathLike[str]) -> list[Row]:
    """The rows of a file that Fidelity.run() wrote, none if there is none. Of a plan that
    is there twice, the later one.

    Raises:
      OSError: it cannot be read.
      ValueError: a line is not a row; one that was cut off at the end is left out.
    """
    file = pathlib.Path(path)
    if not file.exists():
        return []
    rows: dict[tuple[str, str, str], Row] = {}
    text = file.read_text(encoding="utf-8")
    for number, line in enumerate(text.splitlines(keepends=True), 1):
        if not line.endswith("\n"):
            break
        try:
            row = Row(**json.loads(line))
        except (ValueError, TypeError) as error:
            raise ValueError(f"{path}, line {number}: not a row ({error})") from error
        rows[row.program, row.kind, row.key] = row
    return list(rows.values())


def _append(path: str | os.PathLike[str], row: Row) -> None:
    file = pathlib.Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    before = file.read_bytes() if file.exists() else b""
    with file.open("ab") as lines:
        if before and not before.endswith(b"\n"):
            # A run that was stopped while writing.
            lines.truncate(before.rfind(b"\n") + 1)
        lines.write((json.dumps(row.to_dict()) + "\n").encode())
