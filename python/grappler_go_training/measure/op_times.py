"""Where a step's time goes, by type of op: as TensorFlow's profiler sees it, and as the
simulator takes it to be. What the simulator has wrong is found here, not in plans.

    for one in op_times.compare("mlp-train", machine):
        print(one.op, one.ops, one.measured_us, one.simulated_us)
"""

import dataclasses
import pathlib
import tempfile
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from grappler_go import native
from grappler_go_training.measure.candidates import machine_of_kind
from grappler_go_training.measure.session import Session

if TYPE_CHECKING:
    from grappler_go import Machine, OpGraph


@dataclasses.dataclass(frozen=True)
class OpTime:
    """All ops of one type in one step.

    Attributes:
      op, op_class: the type, and what it is for the simulator.
      ops: how many took part in the step.
      measured_us: microseconds in their kernels. Dispatch, which lies between kernels,
        is not in it; what profiling itself takes, about half a microsecond an op, is.
      simulated_us: the same as the simulator has it, dispatch included.
    """

    op: str
    op_class: str
    ops: int
    measured_us: float
    simulated_us: float


def compare(
    program: str, machine: "Machine | None" = None, *, timeout_s: float = 300.0
) -> list[OpTime]:
    """Profiles a step of a program without a plan, in a process of its own.

    Args:
      program: as measure_plans().
      machine: see machine_of_kind().
      timeout_s: how long starting may take, and profiling.

    Returns:
      The types by how far off the simulator is, the farthest first.

    Raises:
      WorkerError: the program did not run.
    """
    with Session(program, timeout_s=timeout_s, start_timeout_s=timeout_s) as session:
        graph = session.graph.op_graph()
        return by_type(graph, session.op_micros(), machine_of_kind("one_process", machine))


def by_type(graph: "OpGraph", measured: Mapping[str, float], machine: "Machine") -> list[OpTime]:
    """
    Args:
      graph: what ran.
      measured: microseconds by the names of ops; those without any did not run.
      machine: whose costs the simulator takes.
    """
    simulated, _ = native.core().op_micros(graph, machine)
    classes, types = graph.op_classes, graph.ops
    sums: dict[str, OpTime] = {}
    for i, name in enumerate(graph.names):
        if name not in measured:
            continue
        known = sums.get(types[i], OpTime(types[i], classes[i], 0, 0.0, 0.0))
        sums[types[i]] = dataclasses.replace(
            known,
            ops=known.ops + 1,
            measured_us=known.measured_us + measured[name],
            simulated_us=known.simulated_us + float(simulated[i]),
        )
    return sorted(sums.values(), key=lambda one: -abs(one.simulated_us - one.measured_us))


def profile(run: Callable[[], Any], steps: int) -> dict[str, float]:
    """Mean microseconds a step of each op's kernel, by the op's name.

    Args:
      run: a step; warm.
      steps: how many to take.
    """
    import tensorflow as tf

    options = tf.profiler.experimental.ProfilerOptions(
        host_tracer_level=2, python_tracer_level=0, device_tracer_level=0
    )
    with tempfile.TemporaryDirectory(prefix="grappler-go-profile-") as folder:
        tf.profiler.experimental.start(folder, options)
        try:
            for _ in range(steps):
                run()
        finally:
            tf.profiler.experimental.stop()
        return _sum_of_events(pathlib.Path(folder), steps)


def _sum_of_events(folder: pathlib.Path, steps: int) -> dict[str, float]:
    # Not public; where TensorFlow's own tools read profiles.
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    micros: dict[str, float] = {}
    for path in folder.rglob("*.xplane.pb"):
        space = xplane_pb2.XSpace.FromString(path.read_bytes())
        for plane in space.planes:
            # Kernels are traced as NAME:TYPE (OpKernel::TraceString).
            names = {
                key: value.name.partition("#")[0].rpartition(":")[0]
                for key, value in plane.event_metadata.items()
            }
            for line in plane.lines:
                for event in line.events:
                    name = names.get(event.metadata_id, "")
                    if name:
                        spent = event.duration_ps * 1e-6 / steps
                        micros[name] = micros.get(name, 0.0) + spent
    return micros
