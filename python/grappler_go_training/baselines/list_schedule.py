"""A list schedule under construction: which op is where, from when to when.

Shared by the list schedulers (baechi.py, heft.py). Coarser than the simulator: every
device runs one op at a time. As there, a link carries one transfer at a time, in the
order in which ops are placed here, and a tensor is sent to a device once: with links
that carry everything at once it looks free to send a recurrent network's weights for
each of its steps.
"""

import numpy as np
import numpy.typing as npt

from grappler_go_training.baselines.problem import Problem


class Schedule:
    """Ops placed one by one, each after its producers. The first op of a unit decides
    for the whole unit, and takes the unit's memory.

    Attributes:
      device_of_unit: -1: not decided yet.
      free_at: by device, when its last op ends, microseconds.
      device_of, end: by op, of those placed; device_of is -1 for the others.
      follows_reader: by op, a constant, a variable or a read of one, if they may be
        anywhere. It is not to be scheduled: it is placed with the first op that reads it,
        or else all variables, which are there from the start, would be on one device.
    """

    def __init__(self, problem: Problem) -> None:
        self._unit_of = problem.unit_of.tolist()
        self._micros = problem.micros.tolist()
        self._unit_bytes = problem.unit_bytes.tolist()
        self._allowed = [np.flatnonzero(row).tolist() for row in problem.allowed]
        latency, per_byte = problem.links
        self._latency, self._per_byte = latency.tolist(), per_byte.tolist()
        tensors = problem.tensors
        self._in_ptr = tensors.in_ptr.tolist()
        self._in_src = tensors.edge_src.tolist()
        self._in_bytes = tensors.bytes[tensors.edge_tensor].tolist()
        self.num_devices = problem.num_devices
        self.free_at = [0.0] * problem.num_devices
        self.device_of = [-1] * problem.graph.num_ops
        self.end = [0.0] * problem.graph.num_ops
        self.room = (problem.memory_bytes - problem.passing_bytes).tolist()
        self._in_tensor = tensors.edge_tensor.tolist()
        # [tensor, device] when what was sent arrives; [src][dst] when a link is free.
        self._arrival: dict[tuple[int, int], float] = {}
        self._link_free = [[0.0] * problem.num_devices for _ in range(problem.num_devices)]
        self.follows_reader: list[bool] = _follow_readers(problem).tolist()
        self._home_of_unit = problem.unit_home.tolist()
        # A pinned unit is where it is before anything is scheduled.
        self.device_of_unit = np.where(problem.pinned, problem.unit_home, -1).tolist()
        self._brings = self._units_brought(problem)
        for unit in np.flatnonzero(problem.pinned).tolist():
            self.room[self.device_of_unit[unit]] -= self._unit_bytes[unit]

    def _units_brought(self, problem: Problem) -> dict[int, set[int]]:
        """By unit, the units that follow its ops as their readers."""
        tensors = problem.tensors
        follows = np.array(self.follows_reader, bool)
        edges = follows[tensors.edge_src] & ~follows[tensors.edge_dst]
        brings: dict[int, set[int]] = {}
        for src, dst in zip(
            problem.unit_of[tensors.edge_src[edges]].tolist(),
            problem.unit_of[tensors.edge_dst[edges]].tolist(),
            strict=True,
        ):
            if src != dst:
                brings.setdefault(dst, set()).add(src)
        return brings

    def _needed(self, unit: int) -> float:
        """Bytes of a unit and of the variables that it would bring with it."""
        brought = self._brings.get(unit, ())
        return self._unit_bytes[unit] + sum(
            self._unit_bytes[other] for other in brought if self.device_of_unit[other] < 0
        )

    def choices(self, op: int) -> list[int]:
        """Devices that an op may be placed on now: its unit's, or else those with memory
        for the unit and for the variables that it reads first, or else, where none has,
        the one with the most left."""
        unit = self._unit_of[op]
        decided = self.device_of_unit[unit]
        if decided >= 0:
            return [decided]
        allowed = self._allowed[unit]
        needed = self._needed(unit)
        roomy = [d for d in allowed if self.room[d] >= needed]
        return roomy or [max(allowed, key=lambda d: (self.room[d], -d))]

    def data_ready(self, op: int, device: int) -> float:
        """When everything that an op reads has reached a device. All of its producers,
        save those that follow it, have to be placed."""
        return self._receive(op, device, None)

    def _receive(self, op: int, device: int, sent: dict[tuple[int, int], float] | None) -> float:
        """When everything is there; sent: arrivals by (tensor, device) are noted there,
        and the links are taken."""
        latest = 0.0
        busy: dict[int, float] = {}
        new: dict[int, float] = {}
        for k in range(self._in_ptr[op], self._in_ptr[op + 1]):
            producer = self._in_src[k]
            source = self.device_of[producer]
            if source < 0:  # follows its reader, or its unit
                source = self.device_of_unit[self._unit_of[producer]]
            at = self.end[producer]
            if source not in (-1, device):
                tensor = self._in_tensor[k]
                known = self._arrival.get((tensor, device), new.get(tensor))
                if known is None:
                    at = max(at, busy.get(source, self._link_free[source][device]))
                    at += self._latency[source][device]
                    at += self._in_bytes[k] * self._per_byte[source][device]
                    busy[source] = new[tensor] = at
                    if sent is not None:
                        sent[tensor, device] = at
                        self._link_free[source][device] = at
                else:
                    at = known
            if at > latest:
                latest = at
        return latest

    def micros(self, op: int, device: int) -> float:
        return self._micros[op][device]

    def unit_of(self, op: int) -> int:
        return self._unit_of[op]

    def place(self, op: int, device: int) -> None:
        """Runs an op on a device, as soon as its data is there and the device is free.
        One that takes no time takes no turn."""
        for k in range(self._in_ptr[op], self._in_ptr[op + 1]):
            producer = self._in_src[k]
            if self.device_of[producer] < 0:
                unit = self._unit_of[producer]
                at = self.device_of_unit[unit]
                if at < 0:
                    at = device if device in self._allowed[unit] else self._home_of_unit[unit]
                self.place(producer, at)
        start = self._receive(op, device, self._arrival)
        micros = self._micros[op][device]
        if micros > 0:
            start = max(start, self.free_at[device])
            self.free_at[device] = start + micros
        self.device_of[op] = device
        self.end[op] = start + micros
        unit = self._unit_of[op]
        if self.device_of_unit[unit] < 0:
            self.device_of_unit[unit] = device
            self.room[device] -= self._unit_bytes[unit]

    def finished(self) -> list[int]:
        """The device of each unit; what nothing reads stays where it is."""
        pairs = zip(self.device_of_unit, self._home_of_unit, strict=True)
        return [home if device < 0 else device for device, home in pairs]

    def transfer_micros(self, nbytes: float, src: int, dst: int) -> float:
        return self._latency[src][dst] + nbytes * self._per_byte[src][dst]


def _follow_readers(problem: Problem) -> npt.NDArray[np.bool_]:
    """[num_ops] as Schedule.follows_reader."""
    t = problem.tensors
    inputs = np.diff(t.in_ptr)
    source = (inputs == 0) & (problem.micros.max(1) == 0)
    variable = problem.graph.variable
    is_handle = np.zeros(problem.graph.num_ops, bool)
    is_handle[variable[variable >= 0]] = True
    follows = source & (problem.has_flag("constant") | is_handle)
    # Reads of such variables, whose only input is the handle.
    reads = problem.has_flag("reads_variable") & ~problem.has_flag("writes_variable")
    for op in np.flatnonzero(reads & (inputs == 1)).tolist():
        follows[op] = follows[t.edge_src[t.in_ptr[op]]]
    read = np.zeros(problem.graph.num_ops, bool)
    read[t.edge_src] = True
    result: npt.NDArray[np.bool_] = follows & read & ~problem.pinned[problem.unit_of]
    return result


def mean_transfer_micros(problem: Problem) -> npt.NDArray[np.float64]:
    """[num_edges] of a tensor between two different devices, averaged over all pairs; 0
    for a machine of one device."""
    latency, per_byte = problem.links
    pairs = problem.num_devices * (problem.num_devices - 1)
    if pairs == 0:
        return np.zeros(len(problem.tensors.edge_src))
    nbytes = problem.tensors.bytes[problem.tensors.edge_tensor]
    return (latency.sum() + nbytes * per_byte.sum()) / pairs


def upward_ranks(problem: Problem, transfers: bool = True) -> npt.NDArray[np.float64]:
    """[num_ops] microseconds from the start of each op to the end of the step along the
    longest path: HEFT's upward rank, or, without transfers, the bottom level.

    An op takes its mean over the devices, a transfer its mean over the links.
    """
    mean = problem.mean_micros
    rank = mean.tolist()
    own = mean.tolist()
    edge_micros = mean_transfer_micros(problem)
    if not transfers:
        edge_micros = np.zeros_like(edge_micros)
    edges = zip(
        problem.tensors.edge_src[::-1].tolist(),
        problem.tensors.edge_dst[::-1].tolist(),
        edge_micros[::-1].tolist(),
        strict=True,
    )
    # Edges come by ascending reader, so backwards every reader is complete when its
    # inputs are visited.
    for src, dst, micros in edges:
        below = micros + rank[dst] + own[src]
        if below > rank[src]:
            rank[src] = below
    return np.array(rank, np.float64)
