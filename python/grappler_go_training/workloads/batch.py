"""Many workloads captured, each in a process of its own: memory is given back, and a
failure, or a crash, ends one only."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import grappler_go
from grappler_go_training.workloads import registry


def describe(name: str) -> dict[str, Any]:
    """A row about a workload's graph, which is captured if it is not there.

    Returns:
      name; ops, backward_ops, edges; bytes (of the GraphDef); seconds that it took to
      capture, None if it was there; unknown_outputs (tensors of unknown size);
      uncosted_ops and uncosted_share (of the predicted time, on one P100; see
      grappler_go.uncosted_ops); error "".
    """
    workload = registry.get(name)
    there = workload.cache_file().is_file()
    started = time.monotonic()
    captured = workload.graph()
    seconds = None if there else time.monotonic() - started
    graph = captured.op_graph()
    backward = (graph.flags & graph.flag_names()["backward"]) != 0
    uncosted = grappler_go.uncosted_ops(graph, "p100x1")
    return {
        "name": name,
        "ops": graph.num_ops,
        "backward_ops": int(np.count_nonzero(backward)),
        "edges": graph.num_edges,
        "bytes": len(captured.graphdef),
        "seconds": seconds,
        "unknown_outputs": grappler_go.simulate(graph).unknown_outputs,
        "uncosted_ops": sum(row.ops for row in uncosted),
        "uncosted_share": sum(row.share for row in uncosted),
        "error": "",
    }


def capture_all(
    names: Sequence[str],
    timeout: float = 1800.0,
    on_start: Callable[[str], None] = lambda name: None,
    on_done: Callable[[dict[str, Any]], None] = lambda row: None,
) -> list[dict[str, Any]]:
    """describe() of each, one process after the other.

    Args:
      names: of workloads. What is in the cache is not captured again.
      timeout: seconds for one.
      on_start, on_done: called before and after each.

    Returns:
      A row each; where it failed, one with "name" and an "error" only.
    """
    rows = []
    for name in names:
        on_start(name)
        rows.append(_in_process(name, timeout))
        on_done(rows[-1])
    return rows


def _in_process(name: str, timeout: float) -> dict[str, Any]:
    search = os.pathsep.join(path for path in sys.path if path)
    # Workloads are Keras 3's, whatever the caller needs (grappler_go_training.go: Keras 2).
    kept = {k: v for k, v in os.environ.items() if k != "TF_USE_LEGACY_KERAS"}
    try:
        done = subprocess.run(
            [sys.executable, "-m", __name__, name],
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            env={**kept, "PYTHONPATH": search},
        )
    except subprocess.TimeoutExpired:
        return {"name": name, "error": f"took more than {timeout:g} seconds; see --timeout"}
    if done.returncode == 0:
        row: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return row
    said = [line for line in done.stderr.splitlines() if line.strip()]
    return {"name": name, "error": f"exit status {done.returncode}: {said[-1] if said else ''}"}


if __name__ == "__main__":
    print(json.dumps(describe(sys.argv[1])))
