"""What ops, tensors and links cost, as arrays, for algorithms that work without the
simulator. Times come from the simulator itself, so that both judge by one model."""

import dataclasses
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

import grappler_go

if TYPE_CHECKING:
    from grappler_go import Machine, OpGraph, Simulation

# As in cc/cost/machine.h: what a link is where the machine names none at all.
_DEFAULT_LINK = {"gbytes_per_s": 1.0, "latency_us": 50.0, "cpu_us": 0.0, "cpu_us_per_mb": 0.0}


def sum_by(
    index: npt.NDArray[np.int64], values: npt.NDArray[Any], size: int
) -> npt.NDArray[np.float64]:
    """[size] the sum of the values of each index."""
    return np.bincount(index, weights=values, minlength=size).astype(np.float64)


def op_micros(graph: "OpGraph", machine: "Machine") -> npt.NDArray[np.float64]:
    """[num_ops, num_devices] microseconds of each op alone on each device, in a whole
    step: an op in a loop counts as often as it runs."""
    micros = np.zeros((graph.num_ops, len(machine.devices)))
    known: dict[str, npt.NDArray[np.float64]] = {}
    for number, device in enumerate(machine.devices):
        rates = json.dumps({k: v for k, v in device.items() if k != "name"}, sort_keys=True)
        if rates not in known:
            known[rates] = _micros_on(graph, device)
        micros[:, number] = known[rates]
    return micros


def _micros_on(graph: "OpGraph", device: dict[str, Any]) -> npt.NDArray[np.float64]:
    alone = grappler_go.Machine("one device", devices=[device])
    step = grappler_go.simulate(graph, None, alone, timeline=True, inter_op_threads=1)
    assert step.timeline is not None
    tasks = step.timeline.tasks
    return sum_by(tasks["op"], tasks["end"] - tasks["start"], graph.num_ops)


@dataclasses.dataclass(frozen=True)
class Tensors:
    """What is handed from op to op, edge by edge; loop back-edges left out.

    Attributes:
      edge_src, edge_dst: [num_edges] ops; edge_src < edge_dst.
      edge_tensor: [num_edges] which tensor an edge reads. All edges of one tensor to
        one device are one transfer. The control edges of an op are a tensor of no
        bytes.
      src: [num_tensors] the op that makes it.
      bytes: [num_tensors]; 0 where the size is not known.
      dtype: [num_tensors] tensorflow DataTypes; 0: not known; -1: control edges.
      in_ptr: [num_ops + 1]; edges into op i are in_ptr[i] .. in_ptr[i + 1].
    """

    edge_src: npt.NDArray[np.int64]
    edge_dst: npt.NDArray[np.int64]
    edge_tensor: npt.NDArray[np.int64]
    src: npt.NDArray[np.int64]
    bytes: npt.NDArray[np.float64]
    dtype: npt.NDArray[np.int64]
    in_ptr: npt.NDArray[np.int64]


def tensors_of(graph: "OpGraph") -> Tensors:
    """The edges of a graph, with what they carry."""
    src = graph.in_src.astype(np.int64)
    port = graph.in_port.astype(np.int64)
    dst = np.repeat(np.arange(graph.num_ops), np.diff(graph.in_ptr))
    forward = src < dst
    src, port, dst = src[forward], port[forward], dst[forward]
    width = int(port.max(initial=0)) + 2
    keys, edge_tensor = np.unique(src * width + port + 1, return_inverse=True)
    tensor_src, tensor_port = np.divmod(keys, width)
    nbytes = np.zeros(len(keys))
    dtype = np.full(len(keys), -1, np.int64)
    for k, (op, out) in enumerate(
        zip(tensor_src.tolist(), (tensor_port - 1).tolist(), strict=True)
    ):
        if out >= 0:
            nbytes[k] = max(0, graph.output_bytes(op, out))
            dtype[k] = graph.dtype(op, out)
    return Tensors(
        edge_src=src,
        edge_dst=dst,
        edge_tensor=edge_tensor.reshape(-1).astype(np.int64),
        src=tensor_src,
        bytes=nbytes,
        dtype=dtype,
        in_ptr=np.searchsorted(dst, np.arange(graph.num_ops + 1)),
    )


def alive_bytes(
    graph: "OpGraph", tensors: Tensors, step: "Simulation"
) -> tuple[npt.NDArray[np.float64], float]:
    """What a step holds in memory, of one simulated on one device with its timeline.

    Views and reads of variables have no bytes of their own; views keep what they look at
    alive. What is written over an input counts as well as that.

    Returns:
      [num_ops] bytes of each op's outputs that are alive at the step's peak; and the most
      bytes that are alive together, at any time, of all others.
    """
    assert step.timeline is not None
    begin, end = _begin_and_end(graph, tensors, step.timeline.tasks)
    views = np.array(graph.op_classes, dtype=object) == "shape"
    sinks = (graph.flags & graph.flag_names()["sink"]) != 0
    # By op, until when it holds what it reads: a view, as long as it is read itself.
    until = np.where(sinks, np.inf, end).tolist()
    last = [0.0] * len(tensors.src)
    is_view = views.tolist()
    edges = zip(
        tensors.edge_src[::-1].tolist(),
        tensors.edge_dst[::-1].tolist(),
        tensors.edge_tensor[::-1].tolist(),
        strict=True,
    )
    # Edges come by ascending reader, so backwards what reads a view is known before.
    for src, dst, tensor in edges:
        last[tensor] = max(last[tensor], until[dst])
        if is_view[src]:
            until[src] = max(until[src], until[dst])
    peak_at = step.devices[0].peak_at_ms * 1e3
    allocated = ~views & (np.array(graph.ops, dtype=object) != "ReadVariableOp")
    made, gone = begin[tensors.src], np.array(last)
    nbytes = tensors.bytes * allocated[tensors.src]
    alive = (made <= peak_at) & (gone > peak_at)
    return sum_by(tensors.src, nbytes * alive, graph.num_ops), _most_together(
        made[~alive], gone[~alive], nbytes[~alive]
    )


def _most_together(
    made: npt.NDArray[np.float64], gone: npt.NDArray[np.float64], nbytes: npt.NDArray[np.float64]
) -> float:
    """The most bytes at once; what goes at a time is gone before what is made then."""
    when = np.concatenate([gone, made])
    change = np.concatenate([-nbytes, nbytes])
    order = np.lexsort((change, when))
    return float(np.cumsum(change[order]).max(initial=0.0))


def _begin_and_end(
    graph: "OpGraph", tensors: Tensors, tasks: Mapping[str, npt.NDArray[Any]]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """([num_ops], [num_ops]) microseconds; ops that take no time are where what they read
    ends. Of an op in a loop the first begin and the last end."""
    begin = np.full(graph.num_ops, np.inf)
    end = np.zeros(graph.num_ops)
    np.minimum.at(begin, tasks["op"], tasks["start"])
    np.maximum.at(end, tasks["op"], tasks["end"])
    ptr, src = tensors.in_ptr.tolist(), tensors.edge_src.tolist()
    for op in np.flatnonzero(np.isinf(begin)).tolist():
        begin[op] = end[op] = max((end[src[k]] for k in range(ptr[op], ptr[op + 1])), default=0.0)
    return begin, end


def link_costs(
    machine: "Machine",
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """(latency [D, D] in microseconds, [D, D] microseconds a byte); 0 on the diagonal.

    A link that the machine does not name is as its slowest one, as in the simulator. With
    what a transfer takes of the CPUs at its ends: baselines know of links only.
    """
    count = len(machine.devices)
    is_cpu = np.array([device["type"] == "CPU" for device in machine.devices], int)
    cpus = is_cpu[:, np.newaxis] + is_cpu
    links = machine.links or [_DEFAULT_LINK]
    # 1 GB/s is 1000 bytes a microsecond.
    latency = np.full((count, count), max(link["latency_us"] for link in links))
    per_byte = np.full((count, count), max(1e-3 / link["gbytes_per_s"] for link in links))
    cpu_us = np.full((count, count), max(link["cpu_us"] for link in links))
    cpu_us_per_mb = np.full((count, count), max(link["cpu_us_per_mb"] for link in links))
    for link in machine.links:
        ends = link["src"], link["dst"]
        latency[ends] = link["latency_us"]
        per_byte[ends] = 1e-3 / link["gbytes_per_s"]
        cpu_us[ends] = link["cpu_us"]
        cpu_us_per_mb[ends] = link["cpu_us_per_mb"]
    latency += cpus * cpu_us
    per_byte += 1e-6 * cpus * cpu_us_per_mb
    np.fill_diagonal(latency, 0.0)
    np.fill_diagonal(per_byte, 0.0)
    return latency, per_byte
