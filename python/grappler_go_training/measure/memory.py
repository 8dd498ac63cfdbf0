"""What a process's tensors take, from TensorFlow's own count.

The CPU's allocator counts only if it is the one that TensorFlow calls BFC, which oneDNN's
builds use for large tensors anyhow; TF_CPU_ALLOCATOR_USE_BFC=1 has it take the small
ones too (seen with TensorFlow 2.21: otherwise tensors below 256 KiB are not in the
count). Steps took 0 to 7 % longer with it than without.
"""

import os
import resource
from typing import Any

from grappler_go.bench import worker

_DEVICE = "CPU:0"


def environment() -> dict[str, str]:
    """The environment of a process that counts."""
    return {**worker.environment("ours"), "TF_CPU_ALLOCATOR_USE_BFC": "1"}


def limit(more_bytes: int) -> None:
    """Has allocations fail that take this process further than that above what it has
    now. Counted is address space, of which threads take more than they touch.

    Args:
      more_bytes: 0: no limit.
    """
    if more_bytes <= 0:
        return
    with open("/proc/self/statm", encoding="ascii") as statm:
        now = int(statm.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    wanted = now + more_bytes
    resource.setrlimit(resource.RLIMIT_AS, (wanted if hard < 0 else min(wanted, hard), hard))


def reset_peak(request: dict[str, Any] | None = None) -> dict[str, Any]:
    """The peak is counted anew from here."""
    del request
    import tensorflow as tf

    tf.config.experimental.reset_memory_stats(_DEVICE)
    return {}


def read(request: dict[str, Any] | None = None) -> dict[str, Any]:
    """{"peak_bytes": since reset_peak(), "resident_bytes": now}."""
    del request
    import tensorflow as tf

    info = tf.config.experimental.get_memory_info(_DEVICE)
    return {"peak_bytes": info["peak"], "resident_bytes": info["current"]}
