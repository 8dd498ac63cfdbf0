"""The simulator's error: many plans of many programs, run and simulated.

Nothing of the simulator may be fitted to these programs: the figure would say nothing.
"""

import dataclasses
import functools
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import grappler_go
from grappler_go.bench import environment
from grappler_go.bench.process import WorkerError
from grappler_go.captured import CapturedGraph
from grappler_go_training.measure import judge
from grappler_go_training.measure.agreement import Row
from grappler_go_training.measure.candidates import Candidate, machine_of_kind, make_candidates
from grappler_go_training.measure.measurement import Cache, Measurement
from grappler_go_training.measure.run import capture_graph, measure_plans
from grappler_go_training.measure.session import KINDS
from grappler_go_training.measure.store import Store

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
      out: a .jsonl file that gets a row for each plan as soon as it is measured, and
        plans and graphs beside it (see store.py). Plans that are there are not run again,
        nor replaced when the baselines make others by now. None: nothing is stored.
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
        store = Store(self.out) if self.out is not None else None
        known = store.rows() if store is not None else []
        rows: list[Row] = []
        total = len(self.programs) * len(self.kinds) * self._each
        for program in self.programs:
            for kind in self.kinds:
                on_progress(Progress(f"{program}, {kind}", len(rows), total))
                told = functools.partial(self._tell, on_progress, len(rows), total)
                before = [row for row in known if (row.program, row.kind) == (program, kind)]
                rows += self._run_one(program, kind, store, before, told)
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
        store: Store | None,
        before: Sequence[Row],
        told: Callable[[str, int], None],
    ) -> list[Row]:
        try:
            graph = capture_graph(program, kind, start_timeout_s=self.timeout_s)
        except (WorkerError, ValueError) as error:
            return [Row(program, kind, "none", "nothing", key="", error=str(error))]
        machine = machine_of_kind(kind, self.machine)
        cache = Cache(None)
        known = {row.key: row for row in before}
        plans: dict[str, Candidate] = {}
        if store is not None:
            plans = _kept(store, before, graph.op_graph().fingerprint)
        for one in make_candidates(graph.op_graph(), machine, kind, self._each, self.seed):
            if len(plans) < self._each:
                plans.setdefault(cache.key(program, one.plan, kind=kind), one)
        keys, candidates = list(plans), list(plans.values())
        if store is not None:
            for key, one in plans.items():
                store.keep_plan(key, one.plan, graph)
        simulated = _simulate(graph, candidates, machine, kind)
        rows: dict[int, Row] = {}
        left = []
        for number, key in enumerate(keys):
            one_before = known.get(key)
            if one_before is None or one_before.error is not None:
                left.append(number)
                continue
            # Costs may have changed since; what was measured has not.
            rows[number] = dataclasses.replace(one_before, **simulated[number])
        where = "{cores} cores of {cpu}, TensorFlow {tensorflow}".format(**environment.describe())

        def keep(place: int, measurement: Measurement) -> None:
            number = left[place]
            one = candidates[number]
            row = Row(
                program, kind, one.name, one.decides, keys[number], where=where,
                **_measured(measurement), **simulated[number],
            )  # fmt: skip
            rows[number] = row
            if store is not None:
                store.keep(row)
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


def simulate_again(
    out: str | os.PathLike[str],
    machine: "Machine | None" = None,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> tuple[list[Row], int]:
    """What the simulator and the machine's costs say now of plans that were measured
    before. Nothing is run, and no process started.

    Args:
      out: the file of Fidelity.run(); its rows are replaced. The folder beside it must
        hold the plans.
      machine: see machine_of_kind().

    Returns:
      All rows of the file, and how many of them had no plan beside them and are as they
      were.

    Raises:
      OSError, ValueError: the file, a plan or a graph cannot be read.
    """
    store = Store(out)
    rows = {row.key: row for row in store.rows()}
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows.values():
        groups.setdefault((row.program, row.kind), []).append(row)
    done = left = 0
    for (program, kind), group in groups.items():
        on_progress(Progress(f"{program}, {kind}", done, len(rows)))
        plans = _kept(store, group)
        done, left = done + len(group), left + len(group) - len(plans)
        if not plans:
            continue
        graph = store.graph(next(iter(plans.values())).plan.fingerprint)
        if graph is None:
            left += len(plans)
            continue
        simulated = _simulate(graph, list(plans.values()), machine_of_kind(kind, machine), kind)
        for key, fields in zip(plans, simulated, strict=True):
            rows[key] = dataclasses.replace(rows[key], **fields)
    store.replace(list(rows.values()))
    on_progress(Progress("", len(rows), len(rows)))
    return list(rows.values()), left


def _kept(store: Store, rows: Sequence[Row], fingerprint: str = "") -> dict[str, Candidate]:
    """The plans of rows by their keys, as far as they were kept: those for the graph of
    this fingerprint, or without one for the graph of the first."""
    found: dict[str, Candidate] = {}
    for row in rows:
        plan = store.plan(row.key)
        if plan is None:
            continue
        fingerprint = fingerprint or plan.fingerprint
        if plan.fingerprint == fingerprint:
            found[row.key] = Candidate(row.plan, row.decides, plan)
    return found


def _simulate(
    graph: CapturedGraph, candidates: Sequence[Candidate], machine: "Machine", kind: str
) -> list[dict[str, Any]]:
    """The simulated fields of each candidate's row."""
    nothing = grappler_go.simulate(graph, None, machine)
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
                "simulated_reference_ms": nothing.step_ms,
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
