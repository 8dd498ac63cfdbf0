"""The processes in which the plans of one program are measured."""

import contextlib
import os
import socket
import tempfile
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from grappler_go import plans as plan_files
from grappler_go.bench.process import Process, WorkerError
from grappler_go.captured import CapturedGraph
from grappler_go_training.measure import memory
from grappler_go_training.measure.measurement import Measurement

if TYPE_CHECKING:
    from grappler_go import Plan

KINDS = ("one_process", "cluster")
WORKERS = 2
_READINGS, _WARM_UP = 5, 5
_PROFILED = 10  # steps
# A port that was free may be taken before TensorFlow has it.
_PORT_ATTEMPTS = 3
DEVICES = {
    "one_process": ("/job:localhost/replica:0/task:0/device:CPU:0",),
    "cluster": tuple(f"/job:worker/replica:0/task:{i}/device:CPU:0" for i in range(WORKERS)),
}


class Cluster:
    """TensorFlow servers on loopback, each on a core and with a thread of its own.

    Attributes:
      addresses: "localhost:port", by task.

    Raises:
      WorkerError: one did not start.
    """

    def __init__(self, folder: str, cores: Sequence[int], memory_limit: int, timeout_s: float):
        self.addresses = [f"localhost:{port}" for port in _free_ports(len(cores))]
        self._servers: list[Process] = []
        try:
            for task, core in enumerate(cores):
                arguments = (str(task), ",".join(self.addresses), str(memory_limit))
                module = "grappler_go_training.measure.server"
                log = os.path.join(folder, f"server{task}.log")
                self._servers.append(
                    Process(("-m", module, *arguments), log, memory.environment(), [core])
                )
            self.ask("ready", timeout_s)
        except BaseException:
            self.close()
            raise

    def ask(self, what: str, timeout_s: float) -> list[dict[str, Any]]:
        """Every server's answer, by task.

        Raises:
          WorkerError: naming the one that gave none.
        """
        for server in self._servers:
            server.send({"do": what})
        answers = []
        for task, server in enumerate(self._servers):
            try:
                answers.append(server.receive(timeout_s))
            except WorkerError as error:
                raise WorkerError(f"worker {task} of the cluster: {error}") from error
        return answers

    @property
    def pids(self) -> list[int]:
        return [server.pid for server in self._servers]

    def close(self) -> None:
        """Ends all of them."""
        for server in self._servers:
            server.close(patience_s=0.0)


class Session:
    """A program that is kept warm to be measured under plans. Starting takes seconds.

    Args:
      program: see worker.make().
      kind: "one_process", or "cluster": of WORKERS single-core workers on loopback, the
        program on the first as far as a plan says nothing else.
      timeout_s: how long measuring one plan may take.
      start_timeout_s: how long TensorFlow, the program and its first step may take.
      memory_limit: bytes of address space that each process may take above what
        TensorFlow takes itself; 0: no limit.

    Attributes:
      graph: what the pass is shown of the program; what plans are made for.

    Raises:
      ValueError: an unknown kind, or too few cores for a cluster.
      WorkerError: it did not start; nothing is left behind.

    Example:
      with Session("mlp-train") as session:
          plan = baselines.make_plan("priority_fusion", session.graph.op_graph(), machine)
          print(session.measure(plan).ratio)
    """

    def __init__(
        self,
        program: str,
        kind: str = "one_process",
        *,
        timeout_s: float = 300.0,
        start_timeout_s: float = 300.0,
        memory_limit: int = 0,
    ) -> None:
        check_kind(kind)
        self._kind = kind
        self._timeout_s = start_timeout_s
        with contextlib.ExitStack() as undo:
            folder = tempfile.TemporaryDirectory(prefix="grappler-go-measure-")
            self._folder = undo.enter_context(folder)
            self._cluster = self._start_cluster(memory_limit)
            if self._cluster is not None:
                undo.callback(self._cluster.close)
            log = os.path.join(self._folder, "worker.log")
            command = ("-m", "grappler_go_training.measure.worker")
            self._worker = Process(command, log, memory.environment())
            undo.callback(self._worker.close, patience_s=0.0)
            graph_path = os.path.join(self._folder, "graph.pb")
            request = {
                "do": "start",
                "program": program,
                "addresses": self._cluster.addresses if self._cluster else [],
                "memory_limit": memory_limit,
                "graph": graph_path,
            }
            self._base = self._memory_of(request)["resident_bytes"]
            self.graph = CapturedGraph.load(graph_path)
            self._timeout_s = timeout_s
            # From here on, close() does it.
            self._undo = undo.pop_all()

    def _start_cluster(self, memory_limit: int) -> Cluster | None:
        if self._kind != "cluster":
            return None
        cores = sorted(os.sched_getaffinity(0))[:WORKERS]
        for attempt in range(1, _PORT_ATTEMPTS + 1):
            try:
                return Cluster(self._folder, cores, memory_limit, self._timeout_s)
            except WorkerError:
                if attempt == _PORT_ATTEMPTS:
                    raise
        return None

    @property
    def pids(self) -> list[int]:
        """The processes of the session."""
        return [self._worker.pid, *(self._cluster.pids if self._cluster else [])]

    def op_micros(self) -> dict[str, float]:
        """Microseconds of each op of a step without a plan, by its name; see op_times.

        Raises:
          WorkerError: as measure().
        """
        answer = self._worker.ask({"do": "op_times", "steps": _PROFILED}, self._timeout_s)
        return dict(answer["micros"])

    def measure(self, plan: "Plan | None") -> Measurement:
        """Runs the program under a plan, in turns with itself without it: median of 5
        readings after 5 steps.

        Args:
          plan: for self.graph; None or empty: the graph as it stands.

        Raises:
          WorkerError: it did not run to its end. Unless error.alive, the session is of
            no more use: close it.
        """
        path = ""
        if plan is not None and not plan.empty:
            # Under a name that the worker has not seen: it keeps the last plan it read.
            path = os.path.join(self._folder, f"{len(os.listdir(self._folder))}.plan.json")
            plan_files.save_plan(plan, path)
        request = {"do": "measure", "plan": path, "warm_up": _WARM_UP, "readings": _READINGS}
        timed = self._worker.ask(request, self._timeout_s)
        used = self._memory_of({"do": "step", "plan": path})
        # What other plans left behind in the process is no part of this one's step.
        peak = {
            device: self._base[device] + used["peak_bytes"][device] - resident
            for device, resident in used["resident_bytes"].items()
        }
        readings = tuple(timed["readings_ms"])
        return Measurement(
            median_ms=sorted(readings)[len(readings) // 2],
            readings_ms=readings,
            reference_readings_ms=tuple(timed["reference_readings_ms"]),
            first_step_ms=timed["first_step_ms"],
            peak_bytes=peak,
            resident_bytes=dict(self._base),
        )

    def _memory_of(self, request: Mapping[str, Any]) -> dict[str, dict[str, int]]:
        """{"peak_bytes": {device: bytes}, "resident_bytes": ...} of a request that runs
        a step."""
        if self._cluster is None:
            told = [self._worker.ask(request, self._timeout_s)]
        else:
            self._cluster.ask("reset_peak", self._timeout_s)
            self._worker.ask(request, self._timeout_s)
            told = self._cluster.ask("memory", self._timeout_s)
        devices = DEVICES[self._kind]
        return {
            key: {device: one[key] for device, one in zip(devices, told, strict=True)}
            for key in ("peak_bytes", "resident_bytes")
        }

    def close(self) -> None:
        """Ends its processes."""
        self._undo.close()

    def __enter__(self) -> "Session":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def check_kind(kind: str) -> None:
    """
    Raises:
      ValueError: no such kind, or one that this machine is too small for.
    """
    if kind not in KINDS:
        raise ValueError(f"no kind {kind!r}; there are {', '.join(KINDS)}")
    cores = len(os.sched_getaffinity(0))
    if kind == "cluster" and cores < WORKERS:
        raise ValueError(
            f"a cluster of {WORKERS} single-core workers needs {WORKERS} cores; "
            f"this process may use {cores}"
        )


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("localhost", 0))
        return [one.getsockname()[1] for one in sockets]
