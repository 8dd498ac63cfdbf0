"""Many plans of one program, measured one after the other."""

import functools
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from grappler_go.bench.process import WorkerError
from grappler_go.captured import CapturedGraph
from grappler_go_training.measure.measurement import Cache, Measurement
from grappler_go_training.measure.session import Session, check_kind

if TYPE_CHECKING:
    from grappler_go import Plan

# A program that twice in a row does not even start will not the third time.
_MOST_FAILED_STARTS = 2


def capture_graph(
    program: str, kind: str = "one_process", *, start_timeout_s: float = 300.0
) -> CapturedGraph:
    """The graph that plans for measure_plans() are made for. Arguments as there.

    Raises:
      ValueError: as Session.
      WorkerError: the program did not run.
    """
    with Session(program, kind, start_timeout_s=start_timeout_s) as session:
        return session.graph


def measure_plans(
    program: str,
    plans: "Sequence[Plan | None]",
    *,
    kind: str = "one_process",
    timeout_s: float = 300.0,
    start_timeout_s: float = 300.0,
    cache: str | os.PathLike[str] | None = None,
    memory_limit: int = 0,
    on_measured: Callable[[int, Measurement], None] = lambda *_: None,
) -> list[Measurement]:
    """Runs a program under each plan: median of 5 readings after 5 steps, in turns with
    the program without a plan.

    One process (or cluster) runs all of them. A plan under which it dies, hangs or runs
    out of memory gets an error; the others go on in a new one.

    Args:
      program: one of grappler_go_training.workloads, or what
        grappler_go.bench.models.build() takes ("mlp-train", "module:function").
      plans: for the graph of capture_graph(program, kind); None: as it stands.
      kind: "one_process" with all of this process's cores, for fusion and memory; or
        "cluster", two single-core workers on loopback, for placements. Their devices
        are session.DEVICES[kind].
      timeout_s: how long one plan may take.
      start_timeout_s: how long TensorFlow, the program and its first step may take.
      cache: a folder that keeps what was measured, so that the same plan of the same
        program is not run again on this machine. Failures are tried again.
      memory_limit: bytes of address space that a process may take above what TensorFlow
        takes itself; 0: no limit.
      on_measured: called with the plan's number and its measurement as soon as it is
        there (and kept).

    Returns:
      A measurement for each plan, in their order. Look at its error first.

    Raises:
      ValueError: an unknown kind, or too few cores for a cluster.
      OSError: the cache cannot be written.
    """
    check_kind(kind)
    kept = Cache(cache)
    found = _Plans(
        functools.partial(
            Session,
            program,
            kind,
            timeout_s=timeout_s,
            start_timeout_s=start_timeout_s,
            memory_limit=memory_limit,
        )
    )
    measured = []
    try:
        for number, plan in enumerate(plans):
            key = kept.key(program, plan, kind=kind)
            one = kept.get(key)
            if one is None:
                one = found.measure(plan)
                kept.put(key, one)
            measured.append(one)
            on_measured(number, one)
    finally:
        found.close()
    return measured


class _Plans:
    """A session that is started when it is needed, and anew after a failure."""

    def __init__(self, start: Callable[[], Session]) -> None:
        self._start = start
        self._session: Session | None = None
        self._failed_starts = 0
        self._start_error = ""

    def measure(self, plan: "Plan | None") -> Measurement:
        if self._failed_starts >= _MOST_FAILED_STARTS:
            return Measurement(error=self._start_error)
        try:
            if self._session is None:
                self._session = self._start()
                self._failed_starts = 0
        except WorkerError as error:
            # What a program raises when it is made, it will raise again.
            self._failed_starts += _MOST_FAILED_STARTS if error.alive else 1
            self._start_error = f"the program did not start: {error}"
            return Measurement(error=self._start_error)
        try:
            return self._session.measure(plan)
        except WorkerError as error:
            if not error.alive:
                self.close()
            return Measurement(error=str(error))

    def close(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None
