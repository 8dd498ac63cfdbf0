"""What an iteration of a loop takes under TensorFlow and XLA, from its function's shapes."""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from grappler_go import devices, native
from grappler_go.loop_lists import LOOPS

if TYPE_CHECKING:
    from grappler_go._core import OpGraph

# Microseconds that XLA takes to start one of its kernels, in a loop of its own.
_KERNEL_MICROS = 0.5
# And TensorFlow's executor, to start an op (kDispatchMicros in cc/cost/machine.h).
_DISPATCH_MICROS = 1.0
# XLA copies what is set in a list and what is taken from it, where TensorFlow counts
# references: microseconds per byte.
_COPY_MICROS = 1e-4
# Input, or output, of these that is an element.
_COPIED = {"TensorListPushBack": 1, "TensorListSetItem": 2}
_TAKEN = {"TensorListPopBack": 1, "TensorListGetItem": 0}
# Ops that TensorFlow makes of each variable of a loop: Merge, Switch, NextIteration.
_OPS_OF_VARIABLE = 3
_RESOURCE, _VARIANT = 20, 21  # types.proto


class Left(Exception):
    """A loop is left alone; the message says why."""


@dataclasses.dataclass(frozen=True)
class Arguments:
    """What is known of a function's arguments, one by one.

    Attributes:
      shapes: tf.TensorShape; None: what the function itself says.
      handles: of variables; None where an argument is none, or not known here.
    """

    shapes: Sequence[Any] | None
    handles: Sequence[Any]


def op_graph(fdef: Any, arguments: Arguments) -> tuple["OpGraph", dict[str, str]]:
    """A function in the core's form; by the names of its tensors, those in the graph."""
    from tensorflow.python.framework import function_def_to_graph
    from tensorflow.python.ops import resource_variable_ops

    graph_def, names = function_def_to_graph.function_def_to_graph_def(
        fdef, input_shapes=arguments.shapes
    )
    of_arguments = graph_def.node[: len(arguments.handles)]
    for i, (node, handle) in enumerate(zip(of_arguments, arguments.handles, strict=True)):
        if arguments.shapes is not None:  # before what the function itself says
            node.attr["shape"].shape.CopyFrom(arguments.shapes[i].as_proto())
        # No dimensions in a Placeholder's "shape" once meant that it is not known.
        if "shape" in node.attr and not node.attr["shape"].shape.unknown_rank:
            node.attr["_output_shapes"].list.shape.add().CopyFrom(node.attr["shape"].shape)
        if handle is None:
            continue
        known = resource_variable_ops.get_eager_safe_handle_data(handle)
        if known is None or not known.is_set:
            continue
        node.op = "_Arg"
        node.attr["T"].type = node.attr["dtype"].type
        for of in known.shape_and_type:
            node.attr["_handle_shapes"].list.shape.add().CopyFrom(of.shape)
            node.attr["_handle_dtypes"].list.type.append(of.dtype)
    for node in graph_def.node:
        if node.op in LOOPS:
            node.attr["_output_shapes"].CopyFrom(node.attr["output_shapes"])
    return native.core().OpGraph(graph_def.SerializeToString(), [], []), names


def _is_open(graph: "OpGraph", op: int, port: int) -> bool:
    """A tensor, no handle and no list, whose shape is not all known."""
    if graph.dtype(op, port) in (_RESOURCE, _VARIANT):
        return False
    shape = graph.shape(op, port)
    return shape is None or None in shape


def _check_shapes(graph: "OpGraph") -> None:
    """
    Raises:
      Left: an op gives a shape that depends on values. (Of elements of lists, and of what
        comes from another loop, XLA knows more than we do.)
    """
    unknown = {
        i
        for i in range(graph.num_ops)
        if any(_is_open(graph, i, port) for port in range(graph.num_outputs(i)))
    }
    for i in unknown:
        inputs = graph.in_src[graph.in_ptr[i] : graph.in_ptr[i + 1]]
        known_to_xla = graph.ops[i].startswith("TensorList") or graph.ops[i] == "Placeholder"
        if not known_to_xla and not unknown.intersection(inputs.tolist()):
            raise Left(f"the shape of its {graph.ops[i]} is not known")


def _check_results(
    graph: "OpGraph", names: dict[str, str], fdef: Any, shapes: Sequence[Any]
) -> None:
    """
    Raises:
      Left: a variable of the loop changes its shape.
    """
    for result, before in zip(fdef.signature.output_arg, shapes, strict=True):
        name, port = names[fdef.ret[result.name]].rsplit(":", 1)
        op = graph.find(name)
        if _is_open(graph, op, int(port)) or result.type in (_RESOURCE, _VARIANT):
            continue
        if before.is_fully_defined() and graph.shape(op, int(port)) != before.as_list():
            raise Left("the shape of a variable changes")


def _bytes_of_elements(graph: "OpGraph") -> int:
    """That are set in lists and taken from them."""
    tensors = []
    for i, op in enumerate(graph.ops):
        if op in _TAKEN:
            tensors.append((i, _TAKEN[op]))
        elif op in _COPIED:
            edge = graph.in_ptr[i] + _COPIED[op]
            tensors.append((graph.in_src[edge], graph.in_port[edge]))
    return sum(max(graph.output_bytes(op, port), 0) for op, port in tensors)


class Iteration:
    """What one iteration of a loop takes, by rooflines and what the machine was timed at.

    Raises:
      Left: its shapes are not all known.

    Attributes:
      alone, compiled: microseconds by TensorFlow's executor, and in XLA's loop.
      num_ops: of its condition and its body.
    """

    def __init__(self, ctx: Any, loop: Any, arguments: Arguments) -> None:
        self.alone = _DISPATCH_MICROS * _OPS_OF_VARIABLE * len(arguments.handles)
        self.compiled = 0.0
        self.num_ops = 0
        machine = native.core().with_local_rates(devices.machine_of(["CPU:0"]))
        for attr in ("cond", "body"):
            fdef = ctx.get_function_def(loop.get_attr(attr).name)
            graph, names = op_graph(fdef, arguments)
            _check_shapes(graph)
            if attr == "body":
                _check_results(graph, names, fdef, arguments.shapes or ())
            alone, compiled = native.core().op_micros(graph, machine)
            self.alone += float(alone.sum())
            self.compiled += float((compiled + _KERNEL_MICROS * (compiled > 0)).sum())
            self.compiled += _COPY_MICROS * _bytes_of_elements(graph)
            self.num_ops += len(fdef.node_def)
