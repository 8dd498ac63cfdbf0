"""A second judge of placements: the cost model of TensorFlow's own Grappler.

It knows neither of our simulator nor of our costs: its virtual cluster schedules the
graph on devices that need not exist (tensorflow/core/grappler/clusters/virtual_cluster.cc,
virtual_scheduler.cc), with op_level_cost_estimator.cc for the ops. Placements only: it
knows nothing of what XLA makes of a group.
"""

from typing import TYPE_CHECKING, Any

from grappler_go import native

if TYPE_CHECKING:
    from tensorflow.core.framework import graph_pb2

    from grappler_go import Machine, Plan
    from grappler_go.captured import CapturedGraph

# What TensorFlow reports of a device; OpLevelCostEstimator multiplies them up. On a GPU it
# takes so many lanes for each core of this architecture (P100's; a V100 has as many).
_FLOPS_PER_CYCLE = 2
_GPU_ARCHITECTURE, _LANES = "6", 64
_ENOUGH_BYTES = 1 << 50


def grappler_ms(graph: "CapturedGraph", plan: "Plan | None", machine: "Machine") -> float:
    """Milliseconds of a step by Grappler's cost model.

    Args:
      graph: as captured.
      plan: a placement of it, with free state too; None: the graph as it stands.
      machine: CPUs or GPUs. What Grappler takes of a link it does not say.

    Raises:
      RuntimeError: Grappler does not take this graph; the message says why.
    """
    import tensorflow as tf
    from tensorflow.core.protobuf import device_properties_pb2, meta_graph_pb2
    from tensorflow.python.grappler import cluster as tf_cluster
    from tensorflow.python.grappler import item as tf_item

    op_graph = graph.op_graph()
    graphdef = graph.graphdef
    if plan is not None and not plan.empty and not plan.free_state:
        graphdef = native.core().apply_plan(plan, op_graph)
    devices = []
    for device in machine.devices:
        cores = max(1, device["cores"])
        is_gpu = device["type"] == "GPU"
        per_cycle = _FLOPS_PER_CYCLE * (_LANES if is_gpu else 1)
        properties = device_properties_pb2.DeviceProperties(
            type=device["type"],
            environment={"architecture": _GPU_ARCHITECTURE} if is_gpu else {},
            # MHz, so that frequency x cores x flops a cycle is the device's rate.
            frequency=max(1, round(device["gflops"] * 1e3 / cores / per_cycle)),
            num_cores=cores,
            bandwidth=round(device["gbytes_per_s"] * 1e6),  # KB/s
            # It refuses placements that by its own count do not fit, and is asked of time.
            memory_size=_ENOUGH_BYTES,
        )
        devices.append(
            device_properties_pb2.NamedDevice(properties=properties, name=device["name"])
        )
    meta_graph = meta_graph_pb2.MetaGraphDef()
    meta_graph.graph_def.ParseFromString(graphdef)
    if plan is not None and plan.free_state:
        _place(meta_graph.graph_def, plan, op_graph.names)
    for node in meta_graph.graph_def.node:
        if node.device not in {device["name"] for device in machine.devices}:
            node.device = machine.devices[0]["name"]
    fetches = meta_graph.collection_def["train_op"].node_list.value
    fetches.extend(dict.fromkeys([*graph.fetches, *graph.preserve]))
    try:
        item = tf_item.Item(meta_graph, ignore_colocation=True, ignore_user_placement=False)
        cluster: Any = tf_cluster.Cluster(devices=devices)
        _, seconds, _ = cluster.MeasureCosts(item)
    except (ValueError, RuntimeError, tf.errors.OpError) as error:
        raise RuntimeError(f"Grappler's cost model: {error}") from error
    return seconds * 1e3


def _place(graphdef: "graph_pb2.GraphDef", plan: "Plan", names: list[str]) -> None:
    """The pass refuses plans with free state, as no program can do what they say."""
    if plan.device is None:
        return
    wanted = {
        name: plan.devices[device]
        for name, device in zip(names, plan.device.tolist(), strict=True)
        if device >= 0
    }
    for node in graphdef.node:
        node.device = wanted.get(node.name, node.device)
