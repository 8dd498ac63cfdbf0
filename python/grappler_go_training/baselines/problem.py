"""A graph and a machine as a placement problem: units of ops that move together, where
each may go, and what that costs."""

import functools
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

import grappler_go
from grappler_go import native
from grappler_go_training.baselines import costs

if TYPE_CHECKING:
    from grappler_go import Machine, OpGraph, Plan

_Ints = npt.NDArray[np.int64]
_Floats = npt.NDArray[np.float64]
_Bools = npt.NDArray[np.bool_]


class Problem:
    """One graph on one machine. What is costly to work out is worked out once.

    Ops that the graph puts on no device of the machine stand on its first device, as
    in the simulator. What must share a device and where it may be, the core says
    (cc/plan/placement.h): without free state, ops move between devices of one type and
    state stays.

    With free state the program is yet to be placed on the machine, as in GO's tables:
    variables move with the ops that read and write them, and what no plan has decided is
    where TensorFlow's placer would have put it. The devices to choose from are then the
    accelerators, where the machine has any: GO's actions are its GPUs, too. What has no
    kernel there, and what callers feed, stays on the host.

    Args:
      graph: any, an empty one included. Tensors of unknown size count as nothing.
      machine: its devices. With too little memory there are plans all the same.
      free_state: as Plan.free_state. Plans of such a problem can be simulated, not
        applied.
    """

    def __init__(self, graph: "OpGraph", machine: "Machine", free_state: bool = False) -> None:
        self.graph = graph
        self.machine = machine
        self.num_devices = len(machine.devices)
        self.free_state = free_state

    @functools.cached_property
    def micros(self) -> _Floats:
        """[num_ops, num_devices] microseconds, as costs.op_micros()."""
        return costs.op_micros(self.graph, self.machine)

    @functools.cached_property
    def tensors(self) -> costs.Tensors:
        return costs.tensors_of(self.graph)

    @functools.cached_property
    def links(self) -> tuple[_Floats, _Floats]:
        """As costs.link_costs()."""
        return costs.link_costs(self.machine)

    @functools.cached_property
    def backward(self) -> _Bools:
        """[num_ops] part of the backward pass or the weight update."""
        return self.has_flag("backward")

    def has_flag(self, *names: str) -> _Bools:
        """[num_ops] has any of these of OpGraph.flag_names()."""
        bits = self.graph.flag_names()
        return (self.graph.flags & sum(bits[name] for name in names)) != 0

    @functools.cached_property
    def _placement(self) -> dict[str, np.ndarray]:
        return native.core().placement_units(self.graph, self.machine, self.free_state)

    @functools.cached_property
    def targets(self) -> _Ints:
        """The devices among which placements choose, in the machine's order: all of them;
        with free state its accelerators, if it has any."""
        kinds = np.array([device["type"] for device in self.machine.devices])
        accelerators = np.flatnonzero(kinds != "CPU")
        return accelerators if self.free_state and len(accelerators) else np.arange(len(kinds))

    @functools.cached_property
    def stands(self) -> _Ints:
        """[num_ops] the device where the graph has an op, and a plan's -1 leaves it."""
        return self._placement["home"].astype(np.int64)

    @functools.cached_property
    def home(self) -> _Ints:
        """[num_ops] the device of an op before anything is decided: where it stands; with
        free state where TensorFlow's placer would put it, on the first accelerator that
        can have it (tensorflow/core/common_runtime/placer.cc)."""
        return self.unit_home[self.unit_of] if self.free_state else self.stands

    # ---- units: what must share a device is decided as one.

    @functools.cached_property
    def unit_of(self) -> _Ints:
        """[num_ops] the unit of each op, numbered by their first ops."""
        return self._placement["unit_of"].astype(np.int64)

    @functools.cached_property
    def num_units(self) -> int:
        return int(self.unit_of.max(initial=-1)) + 1

    @functools.cached_property
    def first_op(self) -> _Ints:
        """[num_units] the first op of each unit; ascending."""
        return np.unique(self.unit_of, return_index=True)[1]

    @functools.cached_property
    def unit_home(self) -> _Ints:
        """[num_units] home of a unit's first op."""
        stands = self.stands[self.first_op]
        if not self.free_state:
            return stands
        first = self.allowed.argmax(1)
        return np.where(self.allowed[np.arange(self.num_units), stands], stands, first)

    @functools.cached_property
    def pinned(self) -> _Bools:
        """[num_units] stays: some op of it may not be moved, or its ops stand on several
        devices already."""
        return self._placement["pinned"].astype(bool)

    @functools.cached_property
    def allowed(self) -> _Bools:
        """[num_units, num_devices] where each unit may be: of the targets, where any of
        them will do."""
        allowed: _Bools = self._placement["allowed"].astype(bool)
        wanted = np.zeros(self.num_devices, bool)
        wanted[self.targets] = True
        among = allowed & wanted
        return np.where(among.any(1, keepdims=True), among, allowed)

    @functools.cached_property
    def movable(self) -> _Ints:
        """Units that may be on more than one device."""
        return np.flatnonzero(self.allowed.sum(1) > 1)

    @functools.cached_property
    def unit_micros(self) -> _Floats:
        """[num_units, num_devices] microseconds of all ops of a unit."""
        columns = [costs.sum_by(self.unit_of, column, self.num_units) for column in self.micros.T]
        return np.stack(columns, axis=1)

    @functools.cached_property
    def mean_micros(self) -> _Floats:
        """[num_ops] microseconds on the mean one of the targets."""
        return self.micros[:, self.targets].mean(1)

    @functools.cached_property
    def unit_mean_micros(self) -> _Floats:
        """[num_units] the same for all ops of a unit."""
        return self.unit_micros[:, self.targets].mean(1)

    @functools.cached_property
    def unit_bytes(self) -> _Floats:
        """[num_units] the share of each unit in the step's peak memory.

        What is there throughout (variables, constants, arguments) with the unit it
        belongs to. The rest of the peak on one device is that of the ops whose outputs
        are alive when it is reached: what the forward pass keeps for the backward pass
        counts in full, what comes and goes does not.
        """
        return costs.sum_by(self.unit_of, self._memory[0], self.num_units)

    @functools.cached_property
    def passing_bytes(self) -> float:
        """What a device needs beside its units' unit_bytes, for what comes and goes: the
        most of it that is alive at once on one device."""
        return self._memory[1]

    @functools.cached_property
    def _memory(self) -> tuple[_Floats, float]:
        """([num_ops] as unit_bytes, passing_bytes)."""
        resident = self.graph.resident_bytes.astype(np.float64)
        unlimited = grappler_go.Machine("one device", devices=[self.machine.devices[0]])
        step = grappler_go.simulate(self.graph, None, unlimited, timeline=True)
        held, passing = costs.alive_bytes(self.graph, self.tensors, step)
        held *= resident == 0
        total = float(held.sum())
        if total > 0:
            peak = sum(step.peak_bytes.values())
            held *= max(0.0, peak - float(resident.sum())) / total
        return held + resident, passing

    @functools.cached_property
    def memory_bytes(self) -> _Floats:
        """[num_devices] what each device has; infinite where there is no limit."""
        sizes = [device["memory_bytes"] or np.inf for device in self.machine.devices]
        return np.array(sizes, np.float64)

    @functools.cached_property
    def unit_edges(self) -> tuple[_Ints, _Ints, _Floats]:
        """(src [num_edges], dst, bytes): between different units, each pair once and in
        its direction. A tensor that several ops of a unit read counts once."""
        t = self.tensors
        reader = self.unit_of[t.edge_dst]
        sent = np.unique(t.edge_tensor * max(self.num_units, 1) + reader)
        tensor, dst = np.divmod(sent, max(self.num_units, 1))
        src = self.unit_of[t.src[tensor]]
        across = src != dst
        pairs, inverse = np.unique(
            src[across] * max(self.num_units, 1) + dst[across], return_inverse=True
        )
        nbytes = costs.sum_by(inverse.reshape(-1), t.bytes[tensor[across]], len(pairs))
        pair_src, pair_dst = np.divmod(pairs, max(self.num_units, 1))
        return pair_src, pair_dst, nbytes

    # ---- answers

    def plan(self, name: str) -> "Plan":
        """A plan that decides nothing yet, made by a baseline of that name: everything is
        at its home."""
        plan = grappler_go.Plan(self.graph)
        plan.machine = self.machine.name
        plan.policy = f"baseline:{name}"
        plan.free_state = self.free_state
        self._move(plan, self.home)
        return plan

    def placed(self, device_of_unit: npt.ArrayLike, name: str) -> "Plan":
        """The plan that puts each unit on a device, [num_units]. Pinned units stay where
        they are, whatever is asked for them."""
        plan = self.plan(name)
        wanted = np.asarray(device_of_unit, np.int64)
        self._move(plan, np.where(self.pinned, self.unit_home, wanted)[self.unit_of])
        return plan

    def _move(self, plan: "Plan", device: _Ints) -> None:
        """device: [num_ops]."""
        moved = (device != self.stands) & ~self.pinned[self.unit_of]
        if moved.any():
            plan.devices = [device["name"] for device in self.machine.devices]
            plan.device = np.where(moved, device, -1).astype(np.int32)
        else:
            plan.device = None
