"""One step of a graph under a plan, simulated: its time, who does what when, and
the memory of each device. Nothing runs, and the machine need not exist.

    graph = grappler_go.capture(step, x)[0]
    plan = grappler_go.decide(graph).plan
    before = grappler_go.simulate(graph)
    after = grappler_go.simulate(graph, plan, timeline=True)
    print(before.step_ms, after.step_ms, after.peak_bytes)
    after.timeline.to_chrome_trace("step.trace.json")  # open in ui.perfetto.dev

Times of ops are rooflines of the machine's rates unless they are given. They are
good for comparing plans; how far they are from measured steps depends on how well
the machine's file describes it.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from grappler_go import native
from grappler_go.captured import CapturedGraph
from grappler_go.settings import DevicesLike, parse_devices
from grappler_go.timeline import Timeline

if TYPE_CHECKING:
    from grappler_go._core import Machine, OpGraph, Plan


@dataclasses.dataclass(frozen=True)
class DeviceUse:
    """What one device did in a simulated step.

    Attributes:
      name: as TensorFlow spells it.
      busy_ms: milliseconds with at least one op running.
      core_ms: cores in use, over time; at most busy_ms times the cores.
      tasks: ops and groups that took time.
      resident_bytes: constants, arguments and variables, there throughout.
      peak_bytes: the most that was there at once, resident_bytes included.
      peak_at_ms: when that was reached first.
      memory_bytes: what the device has; 0: no limit.
      out_of_memory: peak_bytes is more than memory_bytes.
    """

    name: str
    busy_ms: float
    core_ms: float
    tasks: int
    resident_bytes: int
    peak_bytes: int
    peak_at_ms: float
    memory_bytes: int
    out_of_memory: bool


@dataclasses.dataclass(frozen=True)
class Simulation:
    """A simulated step.

    Attributes:
      step_ms: milliseconds from the first op's start to the last one's end.
      out_of_memory: some device's memory is too small; the step is simulated all
        the same.
      devices: of each device of the machine, in its order.
      transfers: tensors and messages sent between devices.
      transfer_bytes: their bytes.
      transfer_ms: the links' busy times together.
      unknown_outputs: tensors of unknown size, which count as nothing.
      loops_unrolled: while loops that ran as often as they do.
      loops_run_once: loops whose number of iterations is not known.
      ops_in_branches: ops of conditionals' branches. All of them are simulated, while a
        step runs one branch: the step is too long by the other's.
      ops_elsewhere: ops that the graph places on no device of this machine; they
        ran on its first.
      timeline: when everything ran; None unless asked for.
    """

    step_ms: float
    out_of_memory: bool
    devices: tuple[DeviceUse, ...]
    transfers: int
    transfer_bytes: int
    transfer_ms: float
    unknown_outputs: int
    loops_unrolled: int
    loops_run_once: int
    ops_in_branches: int
    ops_elsewhere: int
    timeline: Timeline | None = None

    @property
    def busy_ms(self) -> dict[str, float]:
        """Milliseconds in which a device ran something, by its name."""
        return {device.name: device.busy_ms for device in self.devices}

    @property
    def peak_bytes(self) -> dict[str, int]:
        """The most memory in use at once, by the device's name."""
        return {device.name: device.peak_bytes for device in self.devices}

    def to_dict(self) -> dict[str, Any]:
        """Plain values, without the timeline."""
        values = dataclasses.asdict(dataclasses.replace(self, timeline=None))
        del values["timeline"]
        return values


def simulate(
    graph: "CapturedGraph | OpGraph",
    plan: "Plan | None" = None,
    machine: DevicesLike = None,
    *,
    timeline: bool = False,
    op_micros: npt.ArrayLike | None = None,
    fused_micros: npt.ArrayLike | None = None,
    priority: npt.ArrayLike | None = None,
    **options: Any,
) -> Simulation:
    """Simulates one step.

    Args:
      graph: from capture() or load_captured(), or its op_graph().
      plan: what is decided for it; None: the graph as it stands.
      machine: a Machine, its JSON file, one that ships ("p100x4", see
        machine_names()), "all", or names such as ["CPU:0", "CPU:1"]. None: the
        devices that the graph and the plan name, with default rates.
      timeline: also say when everything ran.
      op_micros, fused_micros: [num_ops] microseconds of each op alone and as a part
        of a compiled group, on whatever device; both or none. An element-wise op
        is taken to have been timed where it writes over its input; where it cannot,
        40 microseconds are added for each megabyte. None: rooflines.
      priority: [num_ops], which of the ops that are ready runs first; the highest.
        None: first come, first served.
      **options:
        links: "one_at_a_time" (default), or "equal_shares": a link carries all of
          its transfers at once.
        inter_op_threads: ops that a CPU runs side by side; 0 (default): its cores.
        share_memory_bandwidth: ops running side by side slow each other down by
          what they move (default True).
        max_runs: loops are unrolled up to so many runs of ops (default 4,000,000).

    Raises:
      ValueError: a plan of another graph or machine; an array of another size or
        with numbers that make no sense; a machine that is none.
      TypeError: an option that does not exist.
      OSError: the machine's file cannot be read.
    """
    scores = _scores(op_micros, fused_micros, priority)
    op_graph, plans = _graph_and_plans(graph, [plan])
    return _simulate(op_graph, plans, machine, scores, options, 1, timeline)[0]


def simulate_plans(
    graph: "CapturedGraph | OpGraph",
    plans: "Sequence[Plan | None]",
    machine: DevicesLike = None,
    *,
    threads: int = 0,
    op_micros: npt.ArrayLike | None = None,
    fused_micros: npt.ArrayLike | None = None,
    priority: npt.ArrayLike | None = None,
    **options: Any,
) -> list[Simulation]:
    """Simulates one step under each of many plans, on all cores.

    Args:
      graph, machine, op_micros, fused_micros, priority, **options: as simulate().
      plans: any number.
      threads: to use at most; 0: one for each core. The results are the same.

    Raises:
      As simulate().
    """
    scores = _scores(op_micros, fused_micros, priority)
    op_graph, native_plans = _graph_and_plans(graph, plans)
    if not native_plans:
        return []
    return _simulate(op_graph, native_plans, machine, scores, options, threads, False)


def _scores(
    op_micros: npt.ArrayLike | None,
    fused_micros: npt.ArrayLike | None,
    priority: npt.ArrayLike | None,
) -> dict[str, npt.ArrayLike]:
    given = {"op_micros": op_micros, "fused_micros": fused_micros, "schedule": priority}
    return {name: values for name, values in given.items() if values is not None}


def _graph_and_plans(
    graph: "CapturedGraph | OpGraph", plans: "Sequence[Plan | None]"
) -> "tuple[OpGraph, list[Plan]]":
    op_graph = graph.op_graph() if isinstance(graph, CapturedGraph) else graph
    empty = native.core().Plan(op_graph)
    return op_graph, [empty if plan is None else plan for plan in plans]


def _simulate(
    graph: "OpGraph",
    plans: "list[Plan]",
    machine_like: DevicesLike,
    scores: Mapping[str, npt.ArrayLike],
    options: Mapping[str, Any],
    threads: int,
    timeline: bool,
) -> list[Simulation]:
    machine = machine_for(machine_like, graph, plans)
    results = native.core().simulate(
        graph,
        machine,
        plans,
        logits=scores,
        options=dict(options),
        threads=threads,
        timeline=timeline,
    )
    return [_from_native(values, graph, machine) for values in results]


def machine_for(machine: DevicesLike, graph: "OpGraph", plans: "list[Plan]") -> "Machine":
    """The machine that a user names; for None, the devices that the graph and its
    plans name, with default rates.

    Raises:
      OSError, ValueError: as settings.parse_devices().
    """
    return parse_devices(machine, must_exist=False) or _machine_named_by(graph, plans)


def _machine_named_by(graph: "OpGraph", plans: "list[Plan]") -> "Machine":
    """The devices that a graph and its plans name, in the order in which they come."""
    from grappler_go import devices

    names = dict.fromkeys(name for name in graph.devices if name)
    names.update(dict.fromkeys(name for plan in plans for name in plan.devices))
    full = dict.fromkeys(devices.full_device_name(name) for name in names)
    return devices.machine_of(list(full) or ["CPU:0"])


def _from_native(values: dict[str, Any], graph: "OpGraph", machine: "Machine") -> Simulation:
    devices = tuple(
        DeviceUse(
            name=device["name"],
            busy_ms=use["busy_micros"] / 1e3,
            core_ms=use["core_micros"] / 1e3,
            tasks=use["tasks"],
            resident_bytes=use["resident_bytes"],
            peak_bytes=use["peak_bytes"],
            peak_at_ms=use["peak_at_micros"] / 1e3,
            memory_bytes=device["memory_bytes"],
            out_of_memory=use["out_of_memory"],
        )
        for use, device in zip(values["devices"], machine.devices, strict=True)
    )
    timeline = None
    if "tasks" in values:
        names = tuple(device.name for device in devices)
        timeline = Timeline(graph, names, values["tasks"], values["transfers"])
    return Simulation(
        step_ms=values["micros"] / 1e3,
        out_of_memory=values["out_of_memory"],
        devices=devices,
        transfers=values["num_transfers"],
        transfer_bytes=values["transfer_bytes"],
        transfer_ms=values["transfer_micros"] / 1e3,
        unknown_outputs=values["unknown_outputs"],
        loops_unrolled=values["loops_unrolled"],
        loops_run_once=values["loops_run_once"],
        ops_in_branches=values["ops_in_branches"],
        ops_elsewhere=values["ops_elsewhere"],
        timeline=timeline,
    )
