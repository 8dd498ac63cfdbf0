"""Times a machine: every op case, memory, launches, transfers; kept in a folder."""

import contextlib
import dataclasses
import functools
import itertools
import json
import os
import pathlib
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from grappler_go.bench import process
from grappler_go_training.calibrate import measure, op_cases

# Sizes of the tensors that are sent from worker to worker.
_HOPS: Sequence[int] = (1, 1 << 14, 1 << 18, 1 << 21)
# Lines of "hop", as they were called, lack what the ends' processors do.
_HOP = "transfer"
_TIMEOUT_S = 300.0
# After so many cases one is timed that was timed before (worker.WATCHED).
_WATCH_EVERY = 30
# What lies between two of these, one of which took so many times the quickest of all, is
# timed once more in the end.
_UNSTEADY = 1.15
# Their figures come from one fit and belong together.
_FITTED = ("memory", "launch")

Progress = Callable[[int, int, str], None]


@dataclasses.dataclass(frozen=True)
class Timings:
    """What was timed on one machine.

    Attributes:
      about: cpu, cores, tensorflow, memory_bytes.
      samples: one for each op case that could be timed.
      failed: label of each that could not, and why.
      memory: fields of memory.MemoryCosts.
      launch: fields of launch.LaunchCosts.
      hops: (elements, microseconds, microseconds of each end's processors) of each tensor
        sent between two workers; empty without workers.
      watched: microseconds of one case, timed at the start, at intervals and at the end.
    """

    about: Mapping[str, Any]
    samples: Sequence[measure.Sample]
    failed: Mapping[str, str]
    memory: Mapping[str, float]
    launch: Mapping[str, float]
    hops: Sequence[tuple[int, float, float]]
    watched: Sequence[float] = ()

    @property
    def unsteadiness(self) -> float:
        """How many times its quickest the watched case took at worst. Well above 1:
        something else ran meanwhile, and what was timed then is too long."""
        quickest = min(self.watched, default=0.0)
        return max(self.watched) / quickest if quickest > 0 else 1.0


def time_machine(
    folder: str | os.PathLike[str],
    *,
    workers: int = 0,
    only: str = "",
    on_progress: Progress = lambda *_: None,
) -> Timings:
    """Times this machine, or one core of it and what lies between two.

    What the folder holds already is not timed again: a stopped run goes on where it was.
    What was timed while something else ran is timed once more in the end; the quicker
    timing counts.

    Args:
      folder: gets a file of JSON lines; made if missing.
      workers: 0, all cores of this process as one device; 2, two workers of a core each.
      only: times op types whose name contains this.
      on_progress: called with (done, in all, what is next).

    Raises:
      OSError: the folder cannot be written.
      ValueError: another number of workers, or too few cores for them.
      process.WorkerError: TensorFlow cannot be started.
    """
    cores = _cores(workers)
    path = pathlib.Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    store = _Store(path / (f"{workers}-workers.jsonl" if workers else "timings.jsonl"))
    cases = [case.label for case in op_cases.all_cases() if only in case.op]
    work = [("about", "", {"do": "about"})]
    for number, label in enumerate(cases):
        if number % _WATCH_EVERY == 0:
            work.append(("watch", str(number), {"do": "watch"}))
        work.append(("case", label, {"do": "case", "label": label}))
    work += [("memory", "", {"do": "memory"}), ("launch", "", {"do": "launch"})]
    work.append(("watch", "end", {"do": "watch"}))
    hops = [(_HOP, str(n), {"do": "hop", "elements": n}) for n in _HOPS] if workers else []
    todo = len(work) + len(hops)
    with contextlib.ExitStack() as stack:
        worker = _Restarting(stack, cores[:1] if workers else cores)
        for number, (kind, key, request) in enumerate(work):
            on_progress(number, todo, key or kind)
            store.fill(kind, key, functools.partial(worker.ask, request))
        disturbed = [] if store.has("again", "") else _disturbed(work, store)
        todo += len(disturbed)
        for number, (kind, key, request) in enumerate(disturbed):
            on_progress(len(work) + number, todo, f"{key or kind} again")
            store.renew(kind, key, functools.partial(worker.ask, request))
        store.fill("again", "", lambda: {"count": len(disturbed)})
    if any(not store.has(kind, key) for kind, key, _ in hops):
        with _cluster(cores) as (cluster, pids):
            for number, (kind, key, hop) in enumerate(hops):
                on_progress(todo - len(hops) + number, todo, f"transfer of {key} elements")
                store.fill(
                    kind, key, functools.partial(cluster.ask, hop | {"pids": pids}, _TIMEOUT_S)
                )
    on_progress(todo, todo, "")
    return store.timings(cases, workers)


class _Store:
    """Answers by kind and key, in a file that grows."""

    def __init__(self, path: pathlib.Path) -> None:
        self._path = path
        self._answers: dict[tuple[str, str], dict[str, Any]] = {}
        if path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                # The last line of a run that was killed may be half a line.
                with contextlib.suppress(ValueError, KeyError):
                    row = json.loads(line)
                    self._answers[row["kind"], row["key"]] = row["answer"]

    def has(self, kind: str, key: str) -> bool:
        return (kind, key) in self._answers

    def fill(self, kind: str, key: str, ask: Callable[[], dict[str, Any]]) -> None:
        """Asks unless it is there. What fails for one case is noted and left out."""
        if self.has(kind, key):
            return
        try:
            answer = ask()
        except process.WorkerError as error:
            if kind != "case":
                raise
            answer = {"error": str(error)}
        self._keep(kind, key, answer)

    def renew(self, kind: str, key: str, ask: Callable[[], dict[str, Any]]) -> None:
        """Asks once more and keeps the quicker of both timings, as what runs beside it can
        only lengthen them; and what was there, where it fails now."""
        before = self._answers[kind, key]
        try:
            answer = ask()
        except process.WorkerError:
            return
        if "error" in before:
            self._keep(kind, key, answer)
        elif kind in _FITTED:
            self._keep(kind, key, min(before, answer, key=lambda one: sum(one.values())))
        else:
            self._keep(kind, key, {name: min(answer[name], before[name]) for name in before})

    def micros_watched(self) -> dict[str, float]:
        watched = {key: a for (kind, key), a in self._answers.items() if kind == "watch"}
        return {key: answer["micros"] for key, answer in watched.items()}

    def _keep(self, kind: str, key: str, answer: dict[str, Any]) -> None:
        self._answers[kind, key] = answer
        with self._path.open("a", encoding="utf-8") as out:
            if self._in_a_line():
                out.write("\n")
            out.write(json.dumps({"kind": kind, "key": key, "answer": answer}) + "\n")

    def _in_a_line(self) -> bool:
        text = self._path.read_bytes() if self._path.exists() else b""
        return bool(text) and not text.endswith(b"\n")

    def timings(self, labels: Sequence[str], workers: int) -> Timings:
        answers = {label: self._answers["case", label] for label in labels}
        return Timings(
            about=self._answers["about", ""],
            samples=[
                measure.Sample(label, label.split()[0], a["tf_micros"], a["xla_micros"])
                for label, a in answers.items()
                if "error" not in a
            ],
            failed={label: a["error"] for label, a in answers.items() if "error" in a},
            memory=self._answers["memory", ""],
            launch=self._answers["launch", ""],
            hops=[self._hop(n) for n in _HOPS if workers],
            watched=list(self.micros_watched().values()),
        )

    def _hop(self, elements: int) -> tuple[int, float, float]:
        answer = self._answers[_HOP, str(elements)]
        return elements, answer["micros"], answer["cpu_micros"]


def _disturbed(
    work: Sequence[tuple[str, str, dict[str, Any]]], store: _Store
) -> list[tuple[str, str, dict[str, Any]]]:
    """What was timed while something else ran, in the order of `work`."""
    micros = store.micros_watched()
    limit = _UNSTEADY * min(micros.values())
    places = [place for place, (kind, _, _) in enumerate(work) if kind == "watch"]
    again: set[int] = set()
    for first, last in itertools.pairwise(places):
        if max(micros[work[first][1]], micros[work[last][1]]) > limit:
            again.update(range(first, last + 1))
    return [work[place] for place in sorted(again)]


class _Restarting:
    """A worker that is started when it is first asked, and again when it died."""

    def __init__(self, stack: contextlib.ExitStack, cores: Sequence[int]) -> None:
        self._stack, self._cores = stack, cores
        self._folder = stack.enter_context(_log_folder())
        self._worker: process.Process | None = None

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        if self._worker is None:
            self._worker = _worker(self._folder, self._cores)
            self._stack.callback(self._worker.close, patience_s=0.0)
        try:
            return self._worker.ask(request, _TIMEOUT_S)
        except process.WorkerError as error:
            if not error.alive:
                self._worker.close(patience_s=0.0)
                self._worker = None
            raise


@contextlib.contextmanager
def _cluster(cores: Sequence[int]) -> Iterator[tuple[process.Process, list[int]]]:
    """A worker that is connected to two single-core servers, and the servers' processes."""
    from grappler_go_training.measure import session

    with _log_folder() as folder, contextlib.ExitStack() as undo:
        cluster = session.Cluster(folder, cores, 0, _TIMEOUT_S)
        undo.callback(cluster.close)
        worker = _worker(folder, None)
        undo.callback(worker.close, patience_s=0.0)
        worker.ask({"do": "connect", "addresses": cluster.addresses}, _TIMEOUT_S)
        yield worker, cluster.pids


def _worker(folder: str, cores: Sequence[int] | None) -> process.Process:
    command = ("-m", "grappler_go_training.calibrate.worker")
    return process.Process(command, os.path.join(folder, "worker.log"), os.environ, cores)


def _log_folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="grappler-go-calibrate-")


def _cores(workers: int) -> list[int]:
    available = sorted(os.sched_getaffinity(0))
    if workers not in (0, 2):
        raise ValueError(f"workers is {workers}; expected 0 (this process) or 2")
    if workers > len(available):
        raise ValueError(f"{workers} workers need as many cores; there are {len(available)}")
    return available[:workers] if workers else available
