"""A graph and a machine as the arrays that the network reads."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import tensorflow as tf

from grappler_go import native

if TYPE_CHECKING:
    from grappler_go import Machine, OpGraph


class GraphInputs(NamedTuple):
    """One graph on one machine: N ops in topological order, E data edges, D devices.
    numpy arrays or tensors; named as in the policy schema (cc/schema/features.h).

    Attributes:
      op_type: int32 [N], into the schema's vocabulary.
      op_features: float32 [N, F].
      edge_src, edge_dst: int32 [E], by consumer.
      edge_features: float32 [E, 1], log2(1 + bytes).
      device_features: float32 [D, K].
      link_features: float32 [D, D, L], from the first index to the second; 0 on the
        diagonal.
      op_device_micros: float32 [N, D], log2(1 + microseconds) of each op on each device.
      unit: int32 [N], the first op of the set of ops that must share a device with it.
      allowed: float32 [N, D], 1 where the op's unit may be. Each row has a 1.
    """

    op_type: Any
    op_features: Any
    edge_src: Any
    edge_dst: Any
    edge_features: Any
    device_features: Any
    link_features: Any
    op_device_micros: Any
    unit: Any
    allowed: Any


def graph_inputs(graph: "OpGraph", machine: "Machine", free_state: bool = False) -> GraphInputs:
    """What the network sees of a graph on a machine, as numpy arrays.

    Args:
      graph: any, an empty one included.
      machine: its devices.
      free_state: the program is yet to be placed (Plan.free_state): variables may move,
        and what may be on an accelerator is on one (baselines.problem.Problem.allowed).

    What is on none of the machine's devices counts as on its first, as in the simulator.
    """
    arrays = native.core().compute_features(graph, machine, free_state, first_is_home=True)
    return GraphInputs(**{name: arrays[name] for name in GraphInputs._fields})


def inputs_spec(schema: Mapping[str, Any]) -> GraphInputs:
    """The TensorSpecs of inputs of any size, for the signature of a tf.function.

    Args:
      schema: the policy schema, json of _core.schema_json().
    """
    names = ("op_features", "device_features", "link_features")
    columns = {name: len(schema[name]) for name in names}

    def spec(shape: list[int | None], dtype: tf.DType = tf.float32) -> tf.TensorSpec:
        return tf.TensorSpec(shape, dtype)

    return GraphInputs(
        op_type=spec([None], tf.int32),
        op_features=spec([None, columns["op_features"]]),
        edge_src=spec([None], tf.int32),
        edge_dst=spec([None], tf.int32),
        edge_features=spec([None, 1]),
        device_features=spec([None, columns["device_features"]]),
        link_features=spec([None, None, columns["link_features"]]),
        op_device_micros=spec([None, None]),
        unit=spec([None], tf.int32),
        allowed=spec([None, None]),
    )
