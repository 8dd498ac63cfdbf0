"""Which ops of a function go with a loop, and the function in which they are one call.

A region is a loop or several, with what makes and reads the TensorLists that they share, and
with all that lies between them, so that it can be one call.
"""

import collections
import dataclasses
import re
from collections.abc import Iterable, Iterator
from typing import Any

from grappler_go.loop_costs import Arguments, Iteration, Left, op_graph
from grappler_go.loop_lists import LOOPS

# Have functions in their attributes, and no state but that of these.
_CALLS = LOOPS | {"If", "StatelessIf", "Case", "StatelessCase", "PartitionedCall"}
# Stateful, and change nothing.
_READS = frozenset(("ReadVariableOp", "VariableShape"))
# XLA's kernels for CPUs are far from oneDNN's at these (docs/how-it-works.md).
_SLOW = re.compile("Conv|Pool|Cholesky|Svd|Eig|Qr|FFT")
_RANDOM = re.compile("Random|Multinomial|Dropout|Shuffle")
# Constants up to so many bytes are copied, not handed over: XLA computes with their values.
_SMALL_CONSTANT = 4096
_MOST_ELEMENTS = 65
# Of the names of functions and nodes that are made here.
SUFFIX = "_grappler_go_loops"


@dataclasses.dataclass
class Region:
    """Ops of a function that become a function of their own.

    Attributes:
      ops: of the function as a graph.
      function: the FunctionDef.
      arguments, results: tensors that it is given and hands out.
      shapes: of the results, as XLA has them.
    """

    ops: set[Any]
    function: Any
    arguments: list[Any]
    results: list[Any]
    shapes: list[Any] = dataclasses.field(default_factory=list)


class Editor:
    """Cuts regions out of one function.

    Args:
      number: makes names unique among those of earlier cuts.
    """

    def __init__(self, ctx: Any, fdef: Any, arguments: Arguments, number: int) -> None:
        from tensorflow.python.framework import function_def_to_graph

        self._ctx = ctx
        self._fdef = fdef
        self._number = number
        names = [arg.name for arg in fdef.signature.input_arg]
        self._handles = dict(zip(names, arguments.handles, strict=True))
        self._shapes, _ = op_graph(fdef, arguments)
        self._graph = function_def_to_graph.function_def_to_graph(fdef)
        _, self._flat = function_def_to_graph.function_def_to_graph_def(fdef)
        self._name_in_function = {flat: name for name, flat in self._flat.items()}

    def regions(self) -> list[set[Any]]:
        """Those of the loops, in the order of the graph."""
        return _regions(self._graph)

    def shape(self, tensor: Any) -> Any:
        """A tf.TensorShape: what is known of it."""
        import tensorflow as tf

        op = self._shapes.find(tensor.op.name)
        return tf.TensorShape(None if op < 0 else self._shapes.shape(op, tensor.value_index))

    def dims(self, name: str) -> list[int] | None:
        """Of a tensor by its name in the function; None: not all are known."""
        shape = self.shape(self._graph.get_tensor_by_name(self._flat[name]))
        return shape.as_list() if shape.is_fully_defined() else None

    def handle(self, tensor: Any) -> Any:
        """The variable's, if it is an argument of the function."""
        return self._handles.get(tensor.op.name) if is_handle(tensor) else None

    def arguments_of(self, name: str) -> Arguments:
        """Of what an op calls."""
        inputs = self._graph.get_operation_by_name(name).inputs
        return Arguments([self.shape(t) for t in inputs], [self.handle(t) for t in inputs])

    def iteration(self, loop: Any) -> "Iteration":
        """Of one of the loops."""
        return Iteration(self._ctx, loop, self.arguments_of(loop.name))

    def region(self, ops: set[Any]) -> Region:
        """
        Raises:
          Left: it cannot be a function that XLA compiles.
        """
        from tensorflow.core.framework import function_pb2
        from tensorflow.python.framework import tensor_util

        nodes = {node.name: node for node in self._fdef.node_def}
        arguments: dict[str, Any] = {}
        constants: dict[str, Any] = {}
        results: dict[str, Any] = {}
        returned = set(self._fdef.ret.values())
        for op in _in_order(ops):
            _check_op(self._ctx, op)
            for tensor in op.inputs:
                if tensor.op in ops:
                    continue
                if tensor.name in arguments or tensor.name in constants:
                    continue
                value = _small_constant(tensor)
                if value is None:
                    arguments[tensor.name] = tensor
                else:
                    constants[tensor.name] = value
            for tensor in op.outputs:
                outside = [user for user in tensor.consumers() if user not in ops]
                if outside or self._name_in_function[tensor.name] in returned:
                    results[tensor.name] = tensor
        # Handles come last: that is where XLA expects them.
        given = sorted(arguments.values(), key=lambda t: (is_handle(t), t.name))
        if any(t.dtype.name == "variant" for t in [*given, *results.values()]):
            raise Left("a list crosses its border")
        if not all(is_handle(t) or self.shape(t).is_fully_defined() for t in given):
            raise Left("its shapes are not all known")
        if len({op.device for op in ops}) > 1:
            raise Left("it is on several devices")
        function = function_pb2.FunctionDef()
        inside: dict[str, str] = {}
        for i, tensor in enumerate(given):
            argument = function.signature.input_arg.add()
            argument.name, argument.type = f"a{i}", tensor.dtype.as_datatype_enum
            inside[self._name_in_function[tensor.name]] = argument.name
        for i, (name, value) in enumerate(constants.items()):
            node = function.node_def.add()
            node.name, node.op = f"{SUFFIX.strip('_')}_constant_{i}", "Const"
            node.attr["dtype"].type = self._graph.get_tensor_by_name(name).dtype.as_datatype_enum
            node.attr["value"].tensor.CopyFrom(tensor_util.make_tensor_proto(value))
            inside[self._name_in_function[name]] = f"{node.name}:output:0"
        for op in _in_order(ops):
            node = function.node_def.add()
            node.CopyFrom(nodes[op.name])
            kept = [inside.get(name, name) for name in node.input if not name.startswith("^")]
            waits = {i.name for i in op.control_inputs if i in ops}
            del node.input[:]
            node.input.extend([*kept, *("^" + name for name in sorted(waits))])
            node.device = ""
        for i, tensor in enumerate(results.values()):
            result = function.signature.output_arg.add()
            result.name, result.type = f"r{i}", tensor.dtype.as_datatype_enum
            function.ret[result.name] = self._name_in_function[tensor.name]
        function.signature.name = f"{self._fdef.signature.name}_loop_{self._number}"
        if any(is_handle(tensor) for tensor in given):
            function.signature.is_stateful = True
        return Region(ops, function, given, list(results.values()))

    def without(self, region: Region) -> Any:
        """The function with a call in the place of the region, a FunctionDef of the same
        name."""
        from tensorflow.core.framework import function_pb2

        result = function_pb2.FunctionDef()
        result.CopyFrom(self._fdef)
        del result.node_def[:]
        call = self._call(region)
        renamed = {
            self._name_in_function[tensor.name]: f"{call.name}:output:{k}"
            for k, tensor in enumerate(region.results)
        }
        gone = {op.name for op in region.ops}
        for node in [*(n for n in self._fdef.node_def if n.name not in gone), call]:
            copy = result.node_def.add()
            copy.CopyFrom(node)
            del copy.input[:]
            controls: dict[str, None] = {}
            for name in node.input:
                if name.startswith("^"):
                    controls["^" + (call.name if name[1:] in gone else name[1:])] = None
                else:
                    copy.input.append(renamed.get(name, name))
            copy.input.extend(controls)
        for key, tensor in list(result.ret.items()):
            result.ret[key] = renamed.get(tensor, tensor)
        for key, name in list(result.control_ret.items()):
            result.control_ret[key] = call.name if name in gone else name
        return result

    def _call(self, region: Region) -> Any:
        from tensorflow.core.framework import node_def_pb2

        call = node_def_pb2.NodeDef()
        call.name = f"{SUFFIX.strip('_')}_{self._number}"
        call.device = next(iter(region.ops)).device
        stateful = region.function.signature.is_stateful
        call.op = "StatefulPartitionedCall" if stateful else "PartitionedCall"
        call.input.extend(self._name_in_function[t.name] for t in region.arguments)
        waits = {i.name for op in region.ops for i in op.control_inputs if i not in region.ops}
        call.input.extend("^" + waited for waited in sorted(waits))
        call.attr["f"].func.name = region.function.signature.name
        for key, tensors in (("Tin", region.arguments), ("Tout", region.results)):
            call.attr[key].list.type.extend(t.dtype.as_datatype_enum for t in tensors)
        for key in ("config", "config_proto", "executor_type"):
            call.attr[key].s = b""
        call.attr["_XlaMustCompile"].b = True
        call.attr["_output_shapes"].list.shape.extend(s.as_proto() for s in region.shapes)
        return call


def is_handle(tensor: Any) -> bool:
    return bool(tensor.dtype.name == "resource")


def _small_constant(tensor: Any) -> Any:
    """The value of a tensor that is computed from constants alone; None: it is not, or is
    large."""
    from tensorflow.python.framework import tensor_util

    if tensor.op.type == "Const":
        if tensor.op.node_def.ByteSize() > _SMALL_CONSTANT:
            return None
    # Lengths, shapes and axes. What else is constant is folded by TensorFlow.
    elif not tensor.dtype.is_integer or tensor.shape.num_elements() not in range(_MOST_ELEMENTS):
        return None
    return tensor_util.try_evaluate_constant(tensor)


def _in_order(region: set[Any]) -> list[Any]:
    return sorted(region, key=lambda op: op.name)


# ---- which ops belong to a loop ----
def _neighbours(op: Any) -> Iterator[Any]:
    """Ops that it shares a list with."""
    for tensor in op.inputs:
        if tensor.dtype.name == "variant":
            yield tensor.op
    for tensor in op.outputs:
        if tensor.dtype.name == "variant":
            yield from tensor.consumers()


def _reached(start: Iterable[Any], next_of: Any) -> set[Any]:
    seen = set(start)
    todo = list(seen)
    while todo:
        for op in next_of(todo.pop()):
            if op not in seen:
                seen.add(op)
                todo.append(op)
    return seen


def _regions(graph: Any) -> list[set[Any]]:
    """Disjoint sets of ops, each of a loop or several: closed under the lists that they share,
    and with all that lies on a path from one of its ops to another, so that it can be one."""
    users: dict[Any, list[Any]] = collections.defaultdict(list)
    for op in graph.get_operations():
        for before in {*(t.op for t in op.inputs), *op.control_inputs}:
            users[before].append(op)

    def closed(ops: set[Any]) -> set[Any]:
        while True:
            ops = _reached(ops, _neighbours)
            after = _reached(ops, lambda op: users[op])
            before = _reached(ops, lambda op: [*(t.op for t in op.inputs), *op.control_inputs])
            larger = ops | (after & before)
            if larger == ops:
                return ops
            ops = larger

    regions: list[set[Any]] = []
    for loop in graph.get_operations():
        if loop.type not in LOOPS or any(loop in region for region in regions):
            continue
        region = closed({loop})
        for other in [r for r in regions if r & region]:
            regions.remove(other)
            region = closed(region | other)
        regions.append(region)
    return regions


# ---- what may be compiled ----
def _check_op(ctx: Any, op: Any) -> None:
    """
    Raises:
      Left: an op that XLA would not run as TensorFlow does.
    """
    if op.type == "Placeholder":
        raise Left("it is given a list")
    if op.device and "CPU" not in op.device.upper():
        raise Left("it is on another device")
    _check_type(op.type, op.op_def.is_stateful)
    _check_list(op.node_def)
    if op.type == "EmptyTensorList":
        most = _small_constant(op.inputs[1])
        if most is None or most < 0:
            raise Left("a list may grow without limit")
    for name in _functions_of(op.node_def):
        _check_function(ctx, name)


def _check_function(ctx: Any, name: str) -> None:
    from tensorflow.python.framework import op_def_registry

    for node in ctx.get_function_def(name).node_def:
        definition = op_def_registry.get(node.op)
        if definition is None:
            raise Left(f"it calls {node.op}")
        _check_type(node.op, definition.is_stateful)
        _check_list(node)
        for called in _functions_of(node):
            _check_function(ctx, called)


def _check_list(node: Any) -> None:
    """
    Raises:
      Left: a list of a length that XLA would not follow.
    """
    resizes = "resize_if_index_out_of_bounds"
    if node.op == "TensorListResize" or (resizes in node.attr and node.attr[resizes].b):
        raise Left("a list grows")


def _check_type(op_type: str, is_stateful: bool) -> None:
    if is_stateful and op_type not in _CALLS | _READS:
        raise Left(f"it has a {op_type}")
    if _RANDOM.search(op_type):
        raise Left(f"it draws random numbers ({op_type})")
    if _SLOW.search(op_type):
        raise Left(f"XLA is slow at {op_type}")


def _functions_of(node: Any) -> Iterator[str]:
    for value in node.attr.values():
        called = [value.func] if value.HasField("func") else value.list.func
        yield from (one.name for one in called)
