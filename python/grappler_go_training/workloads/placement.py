"""A graph captured on a machine without GPUs, as one with a GPU would have it."""

import functools
from typing import Any

import grappler_go


def on_gpu(
    graph: grappler_go.CapturedGraph, device: str = "/job:localhost/replica:0/task:0/device:GPU:0"
) -> grappler_go.CapturedGraph:
    """The graph with each op that has a GPU kernel on one GPU, TensorFlow's own placement
    on a machine with GPUs: the one that the paper calls TF default, and from which a
    policy moves ops to other GPUs of a simulated machine such as "p100x4".

    Only the devices differ. On a GPU, Grappler's layout optimizer would also have turned
    convolutions to NCHW, and fused fewer of them. An op is taken to have a kernel if
    TensorFlow has one for any dtype.

    Args:
      graph: as captured, all on CPU:0.
      device: where they go.
    """
    from tensorflow.core.framework import graph_pb2

    proto = graph_pb2.GraphDef.FromString(graph.graphdef)
    with_kernel = _gpu_ops()
    for node in proto.node:
        if node.op in with_kernel:
            node.device = device
    serialized = proto.SerializeToString(deterministic=True)
    return grappler_go.CapturedGraph(serialized, graph.fetches, graph.preserve)


@functools.cache
def _gpu_ops() -> frozenset[str]:
    """Op types with a GPU kernel, or one for every device (reads of variables, arguments).
    The ordinary wheel has them all, GPU or not."""
    # Not public; it is how TensorFlow lists its kernels (also in its C API).
    from tensorflow.python.framework import kernels

    listed: Any = kernels.get_all_registered_kernels()
    return frozenset(k.op for k in listed.kernel if k.device_type in ("GPU", "DEFAULT"))
