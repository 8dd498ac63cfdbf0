"""A graph and a machine as a placement problem: units of ops that move together, where
each may go, and what that costs."""

import functools
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

import grappler_go
from grappler_go import devices as device_names
from grappler_go_training.baselines import costs

if TYPE_CHECKING:
    from grappler_go import Machine, OpGraph, Plan

_Ints = npt.NDArray[np.int64]
_Floats = npt.NDArray[np.float64]
_Bools = npt.NDArray[np.bool_]

# As in cc/plan/eligibility.cc (WhyNotMoved): ops that no plan may move.
_NEVER_MOVED = (
    "preserved",
    "source",
    "sink",
    "control_flow",
    "in_loop",
    "unknown_op",
    "has_subgraph",
    "reads_variable",
    "writes_variable",
    "ref_typed",
    "stateful",
)
# As in cc/plan/decide_device.cc: string, resource and variant tensors, and those of
# unknown dtype, are not sent between devices (tensorflow/core/framework/types.proto).
_STAYS_WITH_PRODUCER = (0, 7, 20, 21)


class Problem:
    """One graph on one machine. What is costly to work out is worked out once.

    Ops that the graph puts on no device of the machine stand on its first device, as
    in the simulator. An op may go to every device of the type it stands on.

    Args:
      graph: any, an empty one included. Tensors of unknown size count as nothing.
      machine: its devices. With too little memory there are plans all the same.
    """

    def __init__(self, graph: "OpGraph", machine: "Machine") -> None:
        self.graph = graph
        self.machine = machine
        self.num_devices = len(machine.devices)

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
    def home(self) -> _Ints:
        """[num_ops] the device where an op stands before anything is decided."""
        numbers = {name: self._find_device(name) for name in set(self.graph.devices)}
        home = np.array([numbers[name] for name in self.graph.devices], np.int64)
        return np.maximum(home, 0)

    def _find_device(self, name: str) -> int:
        """-1: the machine has none of that name."""
        if not name:
            return -1
        known = [device["name"] for device in self.machine.devices]
        if name in known:
            return known.index(name)
        full = device_names.full_device_name(name)
        for number, other in enumerate(known):
            if device_names.full_device_name(other) == full:
                return number
        # A short form that fits one device only.
        short = name.removeprefix("/").removeprefix("device:")
        ending = [i for i, other in enumerate(known) if other.endswith("device:" + short)]
        return ending[0] if len(ending) == 1 else -1

    # ---- units: what must share a device is decided as one.

    @functools.cached_property
    def unit_of(self) -> _Ints:
        """[num_ops] the unit of each op, numbered by their first ops: colocation groups,
        joined where a tensor between them cannot be sent."""
        count = self.graph.num_ops
        if count == 0:
            return np.zeros(0, np.int64)
        t = self.tensors
        bound = np.isin(t.dtype % 100, _STAYS_WITH_PRODUCER) & (t.dtype >= 0)
        stays = bound[t.edge_tensor]
        group = self.graph.colocation_group.astype(np.int64)
        grouped = np.flatnonzero(group >= 0)
        # Each op of a group hangs on the group's first.
        first = np.full(int(group.max(initial=-1)) + 1, count, np.int64)
        np.minimum.at(first, group[grouped], grouped)
        rows = np.concatenate([t.edge_src[stays], grouped])
        columns = np.concatenate([t.edge_dst[stays], first[group[grouped]]])
        ones = np.ones(len(rows), np.int8)
        joined = coo_matrix((ones, (rows, columns)), shape=(count, count))
        label = connected_components(joined, directed=False)[1]
        _, first_op, inverse = np.unique(label, return_index=True, return_inverse=True)
        rank = np.empty(len(first_op), np.int64)
        rank[np.argsort(first_op)] = np.arange(len(first_op))
        return rank[inverse.reshape(-1)]

    @functools.cached_property
    def num_units(self) -> int:
        return int(self.unit_of.max(initial=-1)) + 1

    @functools.cached_property
    def first_op(self) -> _Ints:
        """[num_units] the first op of each unit; ascending."""
        return np.unique(self.unit_of, return_index=True)[1]

    @functools.cached_property
    def unit_home(self) -> _Ints:
        """[num_units] where a unit's first op stands."""
        return self.home[self.first_op]

    @functools.cached_property
    def pinned(self) -> _Bools:
        """[num_units] stays: some op of it may not be moved, or its ops stand on several
        devices already."""
        stays = self.has_flag(*_NEVER_MOVED) | (self.home != self.unit_home[self.unit_of])
        return costs.sum_by(self.unit_of, stays, self.num_units) > 0

    @functools.cached_property
    def allowed(self) -> _Bools:
        """[num_units, num_devices] where each unit may be."""
        kinds = np.array([device["type"] for device in self.machine.devices])
        same_type = kinds[self.unit_home][:, None] == kinds[None, :]
        at_home = np.arange(self.num_devices)[None, :] == self.unit_home[:, None]
        return np.where(self.pinned[:, None], at_home, same_type)

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
    def unit_bytes(self) -> _Floats:
        """[num_units] the share of each unit in the step's peak memory.

        The outputs of a unit's ops, views aside, scaled so that together they are the
        peak of the step on one device: not all of them are alive at once.
        """
        t = self.tensors
        kept = np.array([name != "shape" for name in self.graph.op_classes], bool)
        per_op = costs.sum_by(t.src, t.bytes, self.graph.num_ops)
        total = float((per_op * kept).sum())
        if total == 0:
            return np.zeros(self.num_units)
        unlimited = grappler_go.Machine("one device", devices=[self.machine.devices[0]])
        peak = sum(grappler_go.simulate(self.graph, None, unlimited).peak_bytes.values())
        weights = per_op * kept * (peak / total)
        return costs.sum_by(self.unit_of, weights, self.num_units)

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
        """A plan that decides nothing yet, made by a baseline of that name."""
        plan = grappler_go.Plan(self.graph)
        plan.machine = self.machine.name
        plan.policy = f"baseline:{name}"
        return plan

    def placed(self, device_of_unit: npt.ArrayLike, name: str) -> "Plan":
        """The plan that puts each unit on a device, [num_units]. Pinned units stay where
        they are, whatever is asked for them."""
        plan = self.plan(name)
        wanted = np.asarray(device_of_unit, np.int64)
        moved = (wanted != self.unit_home) & ~self.pinned
        if moved.any():
            plan.devices = [device["name"] for device in self.machine.devices]
            plan.device = np.where(moved, wanted, -1)[self.unit_of].astype(np.int32)
        return plan
