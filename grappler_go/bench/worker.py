"""One process of a benchmark: builds a program in one mode and times steps when told.

    python -m grappler_go.bench.worker FD_IN FD_OUT

Reads a JSON request a line from one pipe and answers each with a JSON line on the
other; standard output and error stay the program's own. Requests:

  {"do": "start", "program": ..., "mode": ..., "options": {...}, "settings": {...},
   "compare_steps": 5, "outputs": "<file>.npz"}
      builds it with those models.Options and runs the first steps, and those that the
      guard times -> first_ms, trial_ms, start_mb; outputs are stored as
      "<step>.<number>", gradients as "gradient.<number>"
  {"do": "tune", "program": ..., "options": {...}, "settings": {...}, "budget_s": 120,
   "plans": <folder>}
      instead of the others: grappler_go.tune; the folder gets what was found, and where it
      has that already nothing is tuned -> verdict, plan, tuning_s, budget_s
  {"do": "time", "steps": 10}     -> ms: a list
  {"do": "finish"}                -> peak_mb, step_peak_mb, reports
"""

import ctypes
import math
import os
import sys
import time
from typing import Any

from grappler_go.bench import process

UNTUNED = ("default", "jit", "auto", "ours")
# Ours with the plan that grappler_go.tune found for the program.
TUNED = "tuned"
# Where a gain comes from: TensorFlow alone with freed memory kept, and ours without that.
KEPT, GIVEN_BACK = "kept", "given_back"
MODES = (*UNTUNED, TUNED, KEPT, GIVEN_BACK)
_OURS = ("ours", TUNED, KEPT, GIVEN_BACK)
# What auto-clustering needs in the environment, before TensorFlow is imported.
_AUTO_FLAGS = "--tf_xla_auto_jit=2 --tf_xla_cpu_global_jit"


def environment(mode: str, machine: str = "") -> dict[str, str]:
    """The environment that a worker of a mode is started in.

    Args:
      mode: one of MODES.
      machine: a file of op times for our pass; empty: what it finds by itself.
    """
    values = {key: v for key, v in os.environ.items() if not key.startswith("GRAPPLER_GO")}
    # A benchmark says what is on; a library path or switch from outside would blur it.
    values.pop("TF_PLUGGABLE_DEVICE_LIBRARY_PATH", None)
    values["GRAPPLER_GO_PLANS"] = "0"  # nor what somebody tuned
    values.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if machine:
        values["GRAPPLER_GO_MACHINE"] = os.path.abspath(machine)
    if mode == "auto":
        values["TF_XLA_FLAGS"] = f"{values.get('TF_XLA_FLAGS', '')} {_AUTO_FLAGS}".strip()
    return values


def memory_mb(field: str) -> float:
    """VmRSS (now) or VmHWM (the peak) of this process, in MB."""
    with open("/proc/self/status", encoding="ascii") as status:
        for line in status:
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024 / 1e6
    return 0.0


def give_back_memory() -> None:
    """Has the C library return what it holds for later to the kernel: a peak is told
    from what was there before only if that was in use."""
    ctypes.CDLL(None).malloc_trim(0)


def reset_peak() -> None:
    """Has the kernel count the peak (VmHWM) anew from here."""
    try:
        with open("/proc/self/clear_refs", "w", encoding="ascii") as clear:
            clear.write("5")
    except OSError:
        pass  # a kernel that does not let us: the peak then includes compilation


def _changes(mode: str) -> dict[str, Any]:
    """Of the settings, what a mode changes."""
    if mode == KEPT:
        return {"policy": lambda _: None}  # looks at every graph, and leaves it alone
    return {"keep_memory": False} if mode == GIVEN_BACK else {}


class Worker:
    """The program in its mode; each method answers one kind of request."""

    def __init__(self) -> None:
        self._step: Any = None
        self._args: tuple[Any, ...] = ()
        self._peak_before = 0.0

    def start(self, request: dict[str, Any]) -> dict[str, Any]:
        """Builds the program, runs its first steps, stores their outputs."""
        import numpy as np
        import tensorflow as tf

        if request["mode"] in _OURS:
            import grappler_go

            grappler_go.enable(**{**request["settings"], **_changes(request["mode"])})
        program = self._build(request)
        start_mb = memory_mb("VmRSS")
        outputs: dict[str, Any] = {}
        first_ms = 0.0
        for number in range(request["compare_steps"]):
            began = time.perf_counter()
            result = self._step(*self._args)
            values, gradients = result if program.gives_gradients else (result, ())
            found = {f"{number}.{i}": _numpy(t) for i, t in enumerate(tf.nest.flatten(values))}
            if number == 0:
                first_ms = (time.perf_counter() - began) * 1e3
            found.update({f"gradient.{i}": _numpy(t) for i, t in enumerate(gradients)})
            outputs.update({name: value for name, value in found.items() if value is not None})
        np.savez(request["outputs"], **outputs)
        trial_ms = self._until_decided()
        self._peak_before = memory_mb("VmHWM")
        reset_peak()
        return {
            "first_ms": first_ms,
            "trial_ms": trial_ms,
            "start_mb": start_mb,
            "tensorflow": tf.__version__,
        }

    def _until_decided(self) -> list[float]:
        """Milliseconds of the further steps that our guard waits for and wants to time."""
        if "grappler_go.guard" not in sys.modules:
            return []
        from grappler_go import guard

        spent: list[float] = []
        most = guard.CALLS_BEFORE_TRIAL + guard.MOST_STEPS
        while len(spent) < most and (guard.is_undecided() or guard.is_waiting()):
            spent += self.time({"steps": 1})["ms"]
        return spent

    def _build(self, request: dict[str, Any]) -> Any:
        """Makes the program, its step a tf.function as the mode wants it."""
        import tensorflow as tf

        from grappler_go.bench import models

        program = models.build(request["program"], models.Options(**request.get("options", {})))
        self._args = program.args
        self._step = program.step
        if request["mode"] == "jit":
            self._step = tf.function(program.step, jit_compile=True)
        elif not isinstance(program.step, tf.types.experimental.PolymorphicFunction):
            self._step = tf.function(program.step)
        return program

    def tune(self, request: dict[str, Any]) -> dict[str, Any]:
        """Has a plan found and stored, unless the folder has one for this very graph."""
        import grappler_go

        self._build(request)
        given = {k: v for k, v in request["settings"].items() if k in ("policy", "devices")}
        found = self._tuned_before(request["plans"], given.get("devices"))
        if found is not None:
            measured = found.measured
            return {
                "verdict": "default" if found.verdict == "default" else "plan",
                "plan": measured.get("candidate", ""),
                "tuning_s": measured.get("seconds", 0.0),
                "budget_s": measured.get("budget_s", 0.0),
            }
        tuned = grappler_go.tune(
            self._step,
            *self._args,
            budget_s=request["budget_s"],
            plan_cache=request["plans"],
            **given,
        )
        return {
            "verdict": tuned.verdict,
            "plan": tuned.best,
            "tuning_s": tuned.seconds,
            "budget_s": request["budget_s"],
        }

    def _tuned_before(self, folder: str, devices: Any) -> Any:
        """What decides for this very graph, a plan_cache.Entry; None: it has to be tuned."""
        import grappler_go
        from grappler_go import plan_cache, settings
        from grappler_go.tuning.with_loops import WithLoops

        machine = settings.parse_devices(devices)
        names = settings.device_names(machine)
        for compiled in WithLoops(lambda: self._step(*self._args), math.inf).compiled:
            found = plan_cache.find_loops([folder], compiled.key, names)
            # Those of all functions are, or of none.
            if found is None or found.verdict == plan_cache.LOOPS:
                return found
        graphs = grappler_go.capture(self._step, *self._args)
        # All graphs of a program are stored together, and the largest comes first.
        return plan_cache.find([folder], graphs[0].op_graph(), machine) if graphs else None

    def time(self, request: dict[str, Any]) -> dict[str, Any]:
        """Milliseconds of each step, from the call to its outputs on the host."""
        import tensorflow as tf

        spent = []
        for _ in range(request["steps"]):
            began = time.perf_counter()
            for tensor in tf.nest.flatten(self._step(*self._args)):
                _numpy(tensor)
            spent.append((time.perf_counter() - began) * 1e3)
        return {"ms": spent}

    def finish(self, request: dict[str, Any]) -> dict[str, Any]:
        """Memory, and what our pass reported in this process."""
        del request
        step_peak = memory_mb("VmHWM")
        reports: list[dict[str, Any]] = []
        if "grappler_go.control" in sys.modules:
            import grappler_go

            reports = [report.to_dict() for report in grappler_go.reports()]
        peak = max(step_peak, self._peak_before)
        return {"peak_mb": peak, "step_peak_mb": step_peak, "reports": reports}


def _numpy(value: Any) -> Any:
    """A tensor's numbers, or None for what has none (None, a variant)."""
    import numpy as np
    import tensorflow as tf

    if isinstance(value, tf.RaggedTensor | tf.SparseTensor | tf.IndexedSlices):
        value = value.values
    if not isinstance(value, tf.Tensor) or value.dtype in (tf.variant, tf.resource, tf.string):
        return None
    array = value.numpy()
    return array if array.dtype.kind in "biufc" else array.astype(np.float32)  # bfloat16


if __name__ == "__main__":
    worker = Worker()
    process.serve(
        {
            "start": worker.start,
            "tune": worker.tune,
            "time": worker.time,
            "finish": worker.finish,
        },
        int(sys.argv[1]),
        int(sys.argv[2]),
    )
