"""The process in which a program runs under plans.

    python -m grappler_go_training.measure.worker FD_IN FD_OUT

Requests (see grappler_go.bench.process):

  {"do": "start", "program": ..., "addresses": [...], "memory_limit": bytes, "graph": path}
      makes the program, on the first worker of a cluster if addresses of one are given;
      stores the graph that the pass sees -> memory
  {"do": "measure", "plan": path, "warm_up": 5, "readings": 5}
      -> first_step_ms, readings_ms, reference_readings_ms
  {"do": "step", "plan": path}    one step under the plan -> memory
  {"do": "op_times", "steps": 10}    profiled without a plan -> micros by the names of ops
"""

import importlib
import math
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

from grappler_go.bench import process
from grappler_go_training.measure import memory

# A reading lasts about that long, so that a step of a millisecond is not one reading.
_READING_MS = 30.0
_MOST_STEPS = 50
FIRST_WORKER = "/job:worker/replica:0/task:0/device:CPU:0"
# A plan is applied however small the graph and the gain: it is measured, not chosen.
_SETTINGS: dict[str, Any] = {
    "min_gain": 0.0,
    "budget_ms": 600_000,
    "advanced": {"min_ops": 1, "min_group_ops": 1},
}


class Program:
    """A program and the plan that it runs under."""

    def __init__(self) -> None:
        self._run: Callable[[], Any] = lambda: None
        self._fingerprint = ""
        self._devices: str | None = None
        self._policies: dict[str, Callable[[Any], Any]] = {}

    def start(self, request: dict[str, Any]) -> dict[str, Any]:
        """Makes the program and runs its first step."""
        import tensorflow as tf

        import grappler_go

        memory.limit(request["memory_limit"])
        addresses = request["addresses"]
        if addresses:
            cluster = tf.train.ClusterSpec({"worker": addresses})
            tf.config.experimental_connect_to_cluster(cluster)
            self._devices = "all"
            with tf.device(FIRST_WORKER):
                made = make(request["program"])
            self._run = _on_cluster(*made)
        else:
            self._run = _in_process(*make(request["program"]))
        graphs = grappler_go.capture(self._run, trace=False)
        if not graphs:
            raise ValueError("no graph reached the pass: is it compiled by jit_compile=True?")
        graphs[0].save(request["graph"])
        self._fingerprint = graphs[0].op_graph().fingerprint
        return self.step({"plan": ""})

    def measure(self, request: dict[str, Any]) -> dict[str, Any]:
        """Readings with the plan and without it, in turns."""
        plan = request["plan"]
        for _ in range(2):
            self._switch("")
            self._timed(1)
        self._switch(plan)
        first_ms = self._timed(1)
        self._check_applied(plan)
        warm = [self._timed(1) for _ in range(max(1, request["warm_up"] - 1))]
        steps = math.ceil(_READING_MS / max(statistics.median(warm), 1e-3))
        steps = max(1, min(_MOST_STEPS, steps))
        read: dict[str, list[float]] = {plan: [], "": []}
        for number in range(request["readings"]):
            for which in (plan, "") if number % 2 == 0 else ("", plan):
                self._switch(which)
                if steps > 1:
                    self._timed(1)  # what the other one left in the caches
                read[which].append(self._timed(steps))
        # Without a plan both are the same list: the first half of it, then the other.
        both = read[plan] if plan else read[""][0::2]
        return {
            "first_step_ms": first_ms,
            "readings_ms": both,
            "reference_readings_ms": read[""] if plan else read[""][1::2],
        }

    def step(self, request: dict[str, Any]) -> dict[str, Any]:
        """One step, and the memory that it took."""
        self._switch(request["plan"])
        self._run()
        memory.reset_peak()
        self._run()
        return memory.read()

    def op_times(self, request: dict[str, Any]) -> dict[str, Any]:
        """What the ops of a step without a plan take."""
        from grappler_go_training.measure import op_times

        self._switch("")
        for _ in range(3):
            self._run()
        return {"micros": op_times.profile(self._run, request["steps"])}

    def _timed(self, steps: int) -> float:
        """Mean milliseconds of a step."""
        began = time.perf_counter()
        for _ in range(steps):
            self._run()
        return (time.perf_counter() - began) * 1e3 / steps

    def _switch(self, plan: str) -> None:
        """From the next step on, runs under the plan of that file; "": the graph as it was
        captured, in which updates of variables are TensorFlow's kernels. Going back to a
        plan takes microseconds: TensorFlow keeps what it made of it."""
        import grappler_go

        if not plan:
            grappler_go.enable(
                _decide_nothing, devices=self._devices, keep_memory=False, **_SETTINGS
            )
            return
        if plan not in self._policies:
            loaded = grappler_go.load_plan(plan)
            if loaded.fingerprint != self._fingerprint:
                raise ValueError(
                    f"the plan is for graph {loaded.fingerprint}; "
                    f"this program's is {self._fingerprint}"
                )

            def decide(graph: Any) -> Any:
                return loaded if graph.graph.fingerprint == loaded.fingerprint else None

            self._policies = {plan: decide}
            grappler_go.clear_reports()
        grappler_go.enable(self._policies[plan], devices=self._devices, **_SETTINGS)

    def _check_applied(self, plan: str) -> None:
        import grappler_go

        if not plan:
            return
        reports = grappler_go.reports()
        if not any(report.applied for report in reports):
            seen = sorted(reports, key=lambda report: -report.num_nodes)
            why = seen[0].outcome if seen else "the pass saw no graph"
            raise ValueError(f"the plan was not applied: {why}")


def _decide_nothing(graph: Any) -> None:
    del graph


def make(name: str) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """A program by name: one of grappler_go_training.workloads, what
    grappler_go.bench.models.build() takes, or one of `grappler-go bench gains`.

    Raises:
      UnknownProgramError: there is none of that name.
    """
    from grappler_go.bench import gains_programs, models

    try:
        workloads: Any = importlib.import_module("grappler_go_training.workloads")
    except ModuleNotFoundError:
        workloads = None  # an installation without them has the programs of bench
    if workloads is not None and ":" not in name and name in workloads.names():
        step, args = workloads.get(name).make()
        return step, tuple(args)
    try:
        program = models.build(name)
    except models.UnknownProgramError:
        known = gains_programs.BY_NAME.get(name)
        if known is None:
            raise
        program = models.build(known.spec, models.Options(known.batch, known.image_size))
    return program.step, program.args


def _as_function(step: Callable[..., Any]) -> Callable[..., Any]:
    import tensorflow as tf

    if isinstance(step, tf.types.experimental.PolymorphicFunction):
        return step
    return tf.function(step)


def _in_process(step: Callable[..., Any], args: tuple[Any, ...]) -> Callable[[], Any]:
    """Runs a step until its outputs are there."""
    function = _as_function(step)
    return lambda: function(*args)


def _on_cluster(step: Callable[..., Any], args: tuple[Any, ...]) -> Callable[[], Any]:
    """Runs a step on the first worker, as far as no plan says otherwise. A call returns
    before the workers have finished; fetching a number that waits for the whole step
    tells when, and costs the same however large the step's outputs are."""
    import tensorflow as tf

    @tf.function
    def whole_step() -> Any:
        # Tracing leaves the devices of outer scopes out, unless they are functions.
        with tf.compat.v1.device(lambda _: FIRST_WORKER):
            outputs = [t for t in tf.nest.flatten(step(*args)) if isinstance(t, tf.Tensor)]
            # Grappler drops what only a control edge asks for, unless it has effects: a
            # number of each output keeps all that the output takes.
            some = [tf.reshape(t, [-1])[:1] for t in outputs if t.dtype.is_numeric]
            with tf.control_dependencies(outputs):
                done = [tf.reduce_sum(tf.cast(t, tf.float32)) for t in some]
                return tf.add_n([tf.constant(1.0), *done], name="done")

    # Called within tf.device(), the function would be optimised by the worker, which has
    # no pass; called outside, it is optimised here and sent in parts.
    traced = whole_step.get_concrete_function()
    return lambda: traced().numpy()


if __name__ == "__main__":
    program = Program()
    process.serve(
        {
            "start": program.start,
            "measure": program.measure,
            "step": program.step,
            "op_times": program.op_times,
        },
        int(sys.argv[1]),
        int(sys.argv[2]),
    )
