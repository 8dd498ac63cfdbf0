"""The process in which `bench memory` runs a program in every mode, in turns.

    python -m grappler_go.bench.memory_worker FD_IN FD_OUT

One process, so that all modes train the same variables; what a mode takes is told by
TensorFlow's own count of its allocator, begun anew for each. That counts only if the
allocator is the one that TensorFlow calls BFC (environment()).

Requests (see grappler_go.bench.process):

  {"do": "start", "program": ..., "batch": 0, "graph": path}
      builds it, stores the graph that the pass sees -> has_blocks
  {"do": "add", "mode": name, "by_hand": false, "settings": null or enable()'s, "steps": 3}
      runs the first steps from the variables' first values
      -> first_ms, peak_bytes, resident_bytes, outputs, report (of the pass, or null)
  {"do": "time", "mode": name, "steps": 2}  -> ms: a list
  {"do": "resident"}  -> VmHWM since the start, bytes
"""

import functools
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from grappler_go.bench import memory_programs, models, process
from grappler_go.bench import worker as worker_lib

_DEVICE = "CPU:0"


def environment() -> dict[str, str]:
    """The environment of a process that counts what its tensors take: tensors below
    256 KiB, too (seen with TensorFlow 2.21)."""
    return {**worker_lib.environment("ours"), "TF_CPU_ALLOCATOR_USE_BFC": "1"}


class MemoryWorker:
    """The program and its modes; each method answers one kind of request."""

    def __init__(self) -> None:
        self._steps: dict[bool, Callable[[], Any]] = {}  # by hand or not
        self._modes: dict[str, tuple[bool, dict[str, Any] | None]] = {}
        self._first_values: list[tuple[Any, Any]] = []

    def start(self, request: dict[str, Any]) -> dict[str, Any]:
        """Builds the program and its form with recomputation by hand, if it has one."""
        import tensorflow as tf

        import grappler_go

        name = request["program"]
        if memory_programs.has_blocks(name):
            programs = dict(zip((False, True), memory_programs.build_variants(name), strict=True))
        else:
            options = models.Options(batch=request.get("batch", 0))
            programs = {False: memory_programs.build(name, options)}
        variables: dict[int, Any] = {}
        for by_hand, program in programs.items():
            function = program.step
            if not isinstance(function, tf.types.experimental.PolymorphicFunction):
                function = tf.function(function)
            args = program.args
            self._steps[by_hand] = functools.partial(function, *args)
            traced = function.get_concrete_function(*args)
            variables.update((id(v), v) for v in traced.graph.variables)
        self._first_values = [(v, v.numpy()) for v in variables.values()]
        graphs = grappler_go.capture(self._steps[False], trace=False)
        if not graphs:
            raise ValueError("no graph reached the pass: is it compiled by jit_compile=True?")
        max(graphs, key=lambda graph: len(graph.graphdef)).save(request["graph"])
        return {"has_blocks": True in self._steps, "tensorflow": tf.__version__}

    def add(self, request: dict[str, Any]) -> dict[str, Any]:
        """A mode's first steps, and what they take."""
        import tensorflow as tf

        import grappler_go

        name = request["mode"]
        self._modes[name] = (request["by_hand"], request["settings"])
        for variable, value in self._first_values:
            variable.assign(value)
        grappler_go.clear_reports()
        run = self._switched(name)
        outputs = []
        first_ms = 0.0
        for number in range(request["steps"]):
            began = time.perf_counter()
            # The first step holds what Grappler and the kernels take once.
            if number == 1:
                tf.config.experimental.reset_memory_stats(_DEVICE)
            outputs += [float(t) for t in tf.nest.flatten(run()) if not t.shape.rank]
            if number == 0:
                first_ms = (time.perf_counter() - began) * 1e3
        memory = tf.config.experimental.get_memory_info(_DEVICE)
        reports = grappler_go.reports() if request["settings"] is not None else []
        largest = max(reports, key=lambda report: report.num_nodes, default=None)
        return {
            "first_ms": first_ms,
            "peak_bytes": memory["peak"],
            "resident_bytes": memory["current"],
            "outputs": outputs,
            "report": None if largest is None else largest.to_dict(),
        }

    def time(self, request: dict[str, Any]) -> dict[str, Any]:
        """Milliseconds of each step, from the call to its outputs on the host. One step
        before them is not timed: it finds another mode's data in the caches."""
        import tensorflow as tf

        run = self._switched(request["mode"])
        run()
        spent = []
        for _ in range(request["steps"]):
            began = time.perf_counter()
            for tensor in tf.nest.flatten(run()):
                tensor.numpy()
            spent.append((time.perf_counter() - began) * 1e3)
        return {"ms": spent}

    def resident(self, request: dict[str, Any]) -> dict[str, Any]:
        """The process's own peak: of use where it has run one mode only."""
        del request
        return {"peak_bytes": int(worker_lib.memory_mb("VmHWM") * 1e6)}

    def _switched(self, name: str) -> Callable[[], Any]:
        """The step, with the pass on or off as the mode has it."""
        import grappler_go

        by_hand, settings = self._modes[name]
        if settings is None:
            grappler_go.disable()
        else:
            grappler_go.enable(**settings)
        return self._steps[by_hand]


if __name__ == "__main__":
    os.environ.setdefault("TF_CPU_ALLOCATOR_USE_BFC", "1")
    worker = MemoryWorker()
    process.serve(
        {
            "start": worker.start,
            "add": worker.add,
            "time": worker.time,
            "resident": worker.resident,
        },
        int(sys.argv[1]),
        int(sys.argv[2]),
    )
