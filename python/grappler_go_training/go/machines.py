"""Machines to train for: the kinds that users have, none of them exactly."""

import dataclasses
import functools
import json
import math
import pathlib
from typing import TYPE_CHECKING, Any

import numpy as np

import grappler_go
from grappler_go import devices
from grappler_go_training.calibrate import machine as calibrated
from grappler_go_training.calibrate import session
from grappler_go_training.scorer import fitted

if TYPE_CHECKING:
    from grappler_go import Machine, OpGraph

# How far rates of an unequal machine's devices are from their data sheets, as factors.
_SLOWEST = 0.3
# What tight memory is, as a share of what the step needs on one device.
_TIGHT = (0.3, 0.8)
_WORKERS = (2, 4, 8)
_GPUS = (1, 2, 4, 8)
# Between processes of one host, and across a network of 10 Gbit/s.
_WORKER_LINKS = (
    {"gbytes_per_s": 2.0, "latency_us": 60.0, "cpu_us": 100.0, "cpu_us_per_mb": 350.0},
    {"gbytes_per_s": 1.0, "latency_us": 90.0, "cpu_us": 160.0, "cpu_us_per_mb": 690.0},
)
# Timings that the shipped policy was fitted to (scorer/samples_b.jsonl, and of _SUMMED what
# XLA takes where that file does not say), and what memory
# and groups took on the machine that they are of (docs/how-it-works.md).
_SAMPLES = pathlib.Path(__file__).parent.parent / "scorer" / "samples_b.jsonl"
_SUMMED = _SAMPLES.with_name("samples_e.jsonl")
_MEMORY = {"new": 33.0, "cold_read": 18.0}
_LAUNCH = {
    "group_launch_micros": 22.0,
    "group_tensor_micros": 5.0,
    "group_output_micros_per_mb": 120.0,
}
_GIB = 1 << 30


@dataclasses.dataclass(frozen=True)
class Target:
    """A machine as what graphs are planned for.

    Attributes:
      machine: its devices and links.
      free_state: as Plan.free_state: variables may still be placed.
      kind: "cpu", "workers", "gpus", "mixed", or the name under which it was asked for.
    """

    machine: "Machine"
    free_state: bool
    kind: str


def sample(kind: str, needed_bytes: int, rng: np.random.Generator) -> Target:
    """A machine of a kind, drawn.

    Args:
      kind: "cpu", "workers", "gpus" or "mixed"; or what is not changed: "local", this
        process's CPU as `grappler-go calibrate` timed it, or a machine as load_machine()
        takes it. GPUs have free state.
      needed_bytes: peak memory of the step on one device. Half of the drawn machines have
        enough on each device, half of them less, and together still enough.

    Raises:
      OSError, ValueError: as load_machine().
    """
    if kind == "cpu":
        return Target(_cpu(rng, needed_bytes), False, kind)
    if kind == "workers":
        return Target(_workers(rng, needed_bytes), False, kind)
    if kind in ("gpus", "mixed"):
        return Target(_gpus(rng, needed_bytes, unequal=kind == "mixed"), True, kind)
    if kind == "local":
        return Target(devices.machine_of(["CPU:0"]), False, kind)
    machine = grappler_go.load_machine(kind)
    has_gpu = any(device["type"] != "CPU" for device in machine.devices)
    return Target(machine, has_gpu, kind)


def needed_bytes(graph: "OpGraph") -> int:
    """Peak memory of a step on one device."""
    device = {"name": "/job:localhost/replica:0/task:0/device:CPU:0", "type": "CPU"}
    rates = {"gflops": 100.0, "gbytes_per_s": 20.0, "memory_bytes": 0, "cores": 1}
    unlimited = grappler_go.Machine("one device", devices=[device | rates])
    return sum(grappler_go.simulate(graph, None, unlimited).peak_bytes.values())


@functools.cache
def timed_cpu() -> "Machine":
    """A CPU with the times that the shipped policy was fitted to, the same wherever this
    runs."""
    timed = [sample for _, sample in fitted.timed_cases(str(_SAMPLES))]
    summed = {case.label: sample for case, sample in fitted.timed_cases(str(_SUMMED))}
    timings = session.Timings(
        about={"cpu": "", "cores": 2, "tensorflow": "", "memory_bytes": 0},
        samples=tuple(
            dataclasses.replace(sample, xla_micros=summed[sample.label].xla_micros)
            if math.isnan(sample.xla_micros) and sample.label in summed
            else sample
            for sample in timed
        ),
        failed={},
        memory=_MEMORY,
        launch=_LAUNCH,
        hops=(),
    )
    return calibrated.machine_of(timings)


def _cpu(rng: np.random.Generator, needed_bytes: int) -> "Machine":
    device = dict(timed_cpu().devices[0])
    device["cores"] = int(rng.choice([1, 2, 4, 8]))
    device["memory_bytes"] = _memory(rng, needed_bytes, 1)
    return _made(f"cpu of {device['cores']} cores", [_faster(device, rng)], [])


def _workers(rng: np.random.Generator, needed_bytes: int) -> "Machine":
    count = int(rng.choice(_WORKERS))
    worker = _faster({**timed_cpu().devices[0], "cores": 1}, rng)
    worker["memory_bytes"] = _memory(rng, needed_bytes, count)
    link = _WORKER_LINKS[int(rng.integers(len(_WORKER_LINKS)))]
    machines = [
        {**worker, "name": f"/job:worker/replica:0/task:{task}/device:CPU:0"}
        for task in range(count)
    ]
    return _made(f"{count} workers", machines, _all_links(count, link))


def _gpus(rng: np.random.Generator, needed_bytes: int, unequal: bool) -> "Machine":
    base = "p100" if rng.random() < 0.5 else "v100"
    count = int(rng.choice(_GPUS[1:] if unequal else _GPUS))
    loaded = json.loads(grappler_go.load_machine(f"{base}x{count}").to_json())
    memory = _memory(rng, needed_bytes, count)
    for device in loaded["devices"]:
        if device["type"] == "CPU":
            continue
        if memory:
            device["memory_bytes"] = memory
        if unequal:
            factor = float(rng.uniform(_SLOWEST, 1.0))
            device["gflops"] *= factor
            device["gbytes_per_s"] *= factor
    loaded["name"] = f"{count} x {base}" + (" unequal" if unequal else "")
    return grappler_go.Machine.from_json(json.dumps(loaded))


def _memory(rng: np.random.Generator, needed_bytes: int, count: int) -> int:
    """Bytes of each of so many devices; 0: no limit."""
    if rng.random() < 0.5:
        return 0
    share = float(rng.uniform(*_TIGHT))
    # Twice an equal part: what a placement of average skill fits into.
    return int(needed_bytes * (share if count == 1 else max(share, min(1.0, 2.0 / count))))


def _faster(device: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
    """The device at another clock: all that was timed on it takes a factor less."""
    factor = float(rng.uniform(0.7, 1.5))
    changed = json.loads(json.dumps(device))
    changed["gflops"] *= factor
    calibration = changed.get("calibration")
    for table in ("ops", "classes") if calibration else ():
        for timed in calibration[table].values():
            for part in ("executor", "group"):
                timed[part] = [term / factor for term in timed[part]]
    return changed


def _all_links(count: int, link: dict[str, Any]) -> list[dict[str, Any]]:
    pairs = [(a, b) for a in range(count) for b in range(count) if a != b]
    return [{"src": a, "dst": b, **link} for a, b in pairs]


def _made(name: str, machines: list[dict[str, Any]], links: list[dict[str, Any]]) -> "Machine":
    return grappler_go.Machine(name, devices=machines, links=links)
