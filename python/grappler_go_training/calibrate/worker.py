"""The process in which ops are timed, on the cores that it is given.

    python -m grappler_go_training.calibrate.worker FD_IN FD_OUT

Requests (see grappler_go.bench.process):

  {"do": "case", "label": ...}                       -> tf_micros, xla_micros
  {"do": "watch"}                                    -> micros, of the case WATCHED
  {"do": "memory"}                                   -> the fields of memory.MemoryCosts
  {"do": "launch"}                                   -> the fields of launch.LaunchCosts
  {"do": "connect", "addresses": ["localhost:1"]}    a cluster, before all else
  {"do": "hop", "elements": ..., "pids": [...]}      -> the fields of transfer.Hop
  {"do": "about"}                                    -> cpu, cores, tensorflow, memory_bytes
"""

import dataclasses
import os
import sys
from typing import Any

from grappler_go import native
from grappler_go.bench import process


def _case(request: dict[str, Any]) -> dict[str, Any]:
    from grappler_go_training.calibrate import measure, op_cases

    case = next(c for c in op_cases.all_cases() if c.label == request["label"])
    sample = measure.measure_case(case)
    return {"tf_micros": sample.tf_micros, "xla_micros": sample.xla_micros}


# A product on all cores: one busy process beside it nearly doubles what it takes.
WATCHED = "MatMul 512x128 128x512"


def _watch(request: dict[str, Any]) -> dict[str, Any]:
    del request
    from grappler_go_training.calibrate import measure, op_cases

    case = next(c for c in op_cases.all_cases() if c.label == WATCHED)
    return {"micros": measure.measure_case(case, jit_too=False).tf_micros}


def _memory(request: dict[str, Any]) -> dict[str, Any]:
    del request
    from grappler_go_training.calibrate import memory

    return dataclasses.asdict(memory.measure_memory())


def _launch(request: dict[str, Any]) -> dict[str, Any]:
    del request
    import grappler_go
    from grappler_go_training.calibrate import launch

    try:
        return dataclasses.asdict(launch.measure_launch())
    finally:
        grappler_go.disable()


def _connect(request: dict[str, Any]) -> dict[str, Any]:
    import tensorflow as tf

    spec = tf.train.ClusterSpec({"worker": request["addresses"]})
    tf.config.experimental_connect_to_cluster(spec)
    return {}


def _hop(request: dict[str, Any]) -> dict[str, Any]:
    from grappler_go_training.calibrate import transfer

    return dataclasses.asdict(transfer.measure_hop(request["elements"], request["pids"]))


def _about(request: dict[str, Any]) -> dict[str, Any]:
    del request
    import tensorflow as tf

    from grappler_go import devices

    return {
        "cpu": native.core().cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "tensorflow": tf.__version__,
        "memory_bytes": devices.physical_memory_bytes(),
    }


if __name__ == "__main__":
    # As in the steps whose time is predicted: the pass keeps what they free.
    native.core().keep_freed_memory(True)
    _HANDLERS: dict[str, process.Handler] = {
        "case": _case,
        "watch": _watch,
        "memory": _memory,
        "launch": _launch,
        "connect": _connect,
        "hop": _hop,
        "about": _about,
    }
    process.serve(_HANDLERS, int(sys.argv[-2]), int(sys.argv[-1]))
