"""The graphs that policies are trained and judged on.

    from grappler_go_training import workloads

    graph = workloads.get("gnmt-4").graph()        # as the pass is shown it
    for name in workloads.names(split="train"):
        ...
    more = workloads.synthetic(seed=1, num_ops=500)

See docs/workloads.md for families, sizes and the split, and

    python -m grappler_go_training.workloads --help

to capture many at once. TensorFlow is imported by the first call.
"""

from typing import TYPE_CHECKING, Any

from grappler_go_training.workloads.registry import PAPER, SPLIT_OF, get, names
from grappler_go_training.workloads.workload import SPLITS, Workload, cache_folder

if TYPE_CHECKING:
    from grappler_go_training.workloads.generator import synthetic

__all__ = [
    "PAPER",
    "SPLITS",
    "SPLIT_OF",
    "Workload",
    "cache_folder",
    "get",
    "names",
    "synthetic",
]


def __getattr__(name: str) -> Any:
    if name != "synthetic":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from grappler_go_training.workloads.generator import synthetic

    return synthetic
