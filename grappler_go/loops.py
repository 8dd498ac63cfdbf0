"""Loops of a function that XLA runs as a whole.

TensorFlow starts every op of every iteration of a while loop; where ops are small, as in
the steps of a recurrent layer, that takes longer than what they compute. The pass cannot
help: it sees a loop after TensorFlow has taken it apart into Switch and Merge, which XLA
does not know, and Grappler lets a plugin add no functions. So this is done before: when a
function is called for the first time, each of its loops (While, StatelessWhile) is moved
into a function of its own, which is called with the mark that jit_compile=True sets.
TensorLists do not cross the border of what XLA compiles: what makes them, and what reads
them, comes along, and so does what lies between the loops of a forward pass and those of its
backward pass, which hand lists on.

XLA is asked to translate the loop before anything is replaced. Left alone are loops whose
shapes are not all known, that draw random numbers, write variables, print or check, and
those whose iterations take so long that starting ops does not matter.
"""

import collections
import dataclasses
import re
import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from grappler_go import devices, loop_lists, native

if TYPE_CHECKING:
    from grappler_go._core import OpGraph

_LOOPS = frozenset(("While", "StatelessWhile"))
# Have functions in their attributes, and no state but that of these.
_CALLS = _LOOPS | {"If", "StatelessIf", "Case", "StatelessCase", "PartitionedCall"}
# Stateful, and change nothing.
_READS = frozenset(("ReadVariableOp", "VariableShape"))
_PLAIN_CALLS = frozenset(("PartitionedCall", "StatefulPartitionedCall"))
# XLA's kernels for CPUs are far from oneDNN's at these (docs/how-it-works.md).
_SLOW = re.compile("Conv|Pool|Cholesky|Svd|Eig|Qr|FFT")
_RANDOM = re.compile("Random|Multinomial|Dropout|Shuffle")
# Constants up to so many bytes are copied, not handed over: XLA computes with their values.
_SMALL_CONSTANT = 4096
_MOST_ELEMENTS = 65
# Reading a function again after each loop takes as long as it has ops.
_MOST_OPS, _MOST_REGIONS = 5000, 16
# Of an iteration's predicted time. Rooflines are rough: less would not be seen.
_LEAST_GAIN = 0.3
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
_CPU = "/job:localhost/replica:0/task:0/device:CPU:0"
_SUFFIX = "_grappler_go_loops"
_RESOURCE, _VARIANT = 20, 21  # types.proto
# What an HLO module says first: entry_computation_layout={(f32[2]{0})->f32[3]{0}}.
_LAYOUT = re.compile(r"entry_computation_layout=\{\(.*\)->(.*)\}")
_SHAPE = re.compile(r"[a-z]\w*\[([\d,]*)\]")


class _Left(Exception):
    """A loop is left alone; the message says why."""


@dataclasses.dataclass(frozen=True)
class Compiled:
    """A function with loops that XLA runs.

    Attributes:
      name: of the function that stands in for the one that was asked for.
      loops: how many are compiled.
    """

    name: bytes
    loops: int


@dataclasses.dataclass
class Settings:
    """What compiled loops have to keep to.

    Attributes:
      compile_budget_s: predicted seconds that their compilation may take.
      max_shapes: one function's loops are compiled for as many sets of shapes.
    """

    compile_budget_s: float = 20.0
    max_shapes: int = 4


_lock = threading.Lock()
# Of inputs, by the function's name without its number, and what it is made of.
_shapes_of: dict[tuple[str, int], set[tuple[Any, ...]]] = collections.defaultdict(set)


def compile_in(
    ctx: Any, function: bytes, inputs: Sequence[Any], settings: Settings
) -> Compiled | None:
    """Registers a copy of a function in which the loops that gain are run by XLA.

    Args:
      ctx: TensorFlow's eager context.
      function: the name of a function that it has.
      inputs: what it is called with: tensors and handles of variables.

    Returns:
      None: it has no loop that gains, or can be compiled.

    Raises:
      tf.errors.OpError, ValueError: TensorFlow does not let the function be read.
    """
    name = function.decode()
    # XLA is asked on this machine, and workers' devices may be others.
    if ctx.get_server_def() is not None or not _has_loops(ctx, name):
        return None
    fdef = ctx.get_function_def(name)
    key = (re.sub(r"\d+", "", name), _kinds(fdef))
    shapes = tuple(tuple(t.shape) for t in inputs if not _is_handle(t))
    with _lock:
        known = _shapes_of[key]
        if shapes not in known and len(known) >= settings.max_shapes:
            return None
    handles = [t if _is_handle(t) else None for t in inputs]
    search = _Search(ctx, settings)
    result, loops = search.run(fdef, _Arguments(None, handles))
    if loops == 0:
        return None
    with _lock:
        known.add(shapes)
    result.signature.name = name + _SUFFIX
    ctx.add_function_def(result)
    return Compiled(result.signature.name.encode(), loops)


def _has_loops(ctx: Any, name: str) -> bool:
    """In itself, or in what it calls."""
    fdef = ctx.get_function_def(name)
    if _is_xlas(fdef):
        return False
    for node in fdef.node_def:
        if node.op in _LOOPS:
            return True
        if _is_call(node) and _has_loops(ctx, node.attr["f"].func.name):
            return True
    return False


def _is_call(node: Any) -> bool:
    """Of a function that is not XLA's already."""
    return node.op in _PLAIN_CALLS and not _is_xlas(node)


def _is_xlas(marked: Any) -> bool:
    """A function, or a call, that jit_compile=True has been said of."""
    # To look up what is not there would put it there.
    return "_XlaMustCompile" in marked.attr and bool(marked.attr["_XlaMustCompile"].b)


def _kinds(fdef: Any) -> int:
    return hash(frozenset(collections.Counter(node.op for node in fdef.node_def).items()))


@dataclasses.dataclass
class _Region:
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


@dataclasses.dataclass(frozen=True)
class _Arguments:
    """What is known of a function's arguments, one by one.

    Attributes:
      shapes: tf.TensorShape; None: what the function itself says.
      handles: of variables; None where an argument is none, or not known here.
    """

    shapes: Sequence[Any] | None
    handles: Sequence[Any]


class _Search:
    """Moves one region after the other out of functions.

    Attributes:
      left: why others stay, by function and the names of their ops.
    """

    def __init__(self, ctx: Any, settings: Settings) -> None:
        self._ctx = ctx
        self._settings = settings
        self._seconds = 0.0
        self._number = 0
        self.left: dict[tuple[str, frozenset[str]], str] = {}

    def run(self, fdef: Any, arguments: _Arguments) -> tuple[Any, int]:
        """The function without them, and the number of loops that went."""
        name = fdef.signature.name
        loops = 0
        if len(fdef.node_def) > _MOST_OPS:
            return fdef, 0
        before = _Editor(self._ctx, fdef, arguments, self._number)
        fdef = loop_lists.without_constant_lists(self._ctx, fdef, before.dims)
        while True:
            # Anew each time: what a loop hands out has a shape that the next one needs.
            editor = _Editor(self._ctx, fdef, arguments, self._number)
            for ops in editor.regions():
                key = (name, frozenset(op.name for op in ops))
                if key in self.left or self._number >= _MOST_REGIONS:
                    continue
                try:
                    region = editor.region(ops)
                    self._check(editor, region)
                except _Left as why:
                    self.left[key] = str(why)
                    continue
                fdef = editor.without(region)
                self._number += 1
                loops += sum(op.type in _LOOPS for op in ops)
                break
            else:
                return self._within_calls(fdef, editor, loops)

    def _within_calls(self, fdef: Any, editor: "_Editor", loops: int) -> tuple[Any, int]:
        """Functions that it calls, each for itself: arguments differ from call to call."""
        for k, node in enumerate(fdef.node_def):
            if not _is_call(node) or not _has_loops(self._ctx, node.attr["f"].func.name):
                continue
            callee = self._ctx.get_function_def(node.attr["f"].func.name)
            found, inside = self.run(callee, editor.arguments_of(node.name))
            if inside == 0:
                continue
            found.signature.name = f"{callee.signature.name}{_SUFFIX}_{self._number}"
            self._number += 1
            self._ctx.add_function_def(found)
            changed = type(fdef)()
            changed.CopyFrom(fdef)
            changed.node_def[k].attr["f"].func.name = found.signature.name
            fdef = changed
            loops += inside
        return fdef, loops

    def _check(self, editor: "_Editor", region: _Region) -> None:
        """
        Raises:
          _Left: it does not gain, or XLA cannot translate it.
        """
        num_ops = len(region.ops)
        alone = compiled = 0.0
        for op in region.ops:
            if op.type in _LOOPS:
                iteration = editor.iteration(op)
                num_ops += iteration.num_ops
                alone += iteration.alone
                compiled += iteration.compiled
        if compiled > (1 - _LEAST_GAIN) * alone:
            raise _Left("starting its ops is little of what it takes")
        seconds = float(native.core().compile_seconds_of(num_ops))
        if self._seconds + seconds > self._settings.compile_budget_s:
            raise _Left("there is no time to compile it")
        self._ctx.add_function_def(region.function)
        try:
            region.shapes = self._translated(editor, region)
        except _Left:
            self._ctx.remove_function(region.function.signature.name)
            raise
        self._seconds += seconds

    def _translated(self, editor: "_Editor", region: _Region) -> list[Any]:
        """The shapes of the results."""
        import tensorflow as tf

        handles = [editor.handle(t) for t in region.arguments if _is_handle(t)]
        if any(handle is None for handle in handles):
            raise _Left("it reads a variable that is not the function's argument")
        dense = [t for t in region.arguments if not _is_handle(t)]
        try:
            text = self._ctx.get_compiler_ir(
                device_name=_CPU,
                platform_name=None,
                function_name=region.function.signature.name,
                flat_args=[tf.TensorSpec(editor.shape(t), t.dtype) for t in dense],
                captured_inputs=handles,
                stage="hlo",
            )
        except Exception as why:  # whatever XLA has against it
            raise _Left(f"XLA cannot translate it: {str(why).splitlines()[0]}") from None
        if b"<=" in text:  # f32[<=8]
            raise _Left("shapes depend on values")
        layout = _LAYOUT.search(text.decode().split("\n", 1)[0])
        found = _SHAPE.findall(layout.group(1)) if layout else []
        if len(found) != len(region.results):
            raise _Left("XLA gives it other results")
        return [tf.TensorShape([int(d) for d in dims.split(",") if d]) for dims in found]


class _Editor:
    """Cuts regions out of one function.

    Args:
      number: makes names unique among those of earlier cuts.
    """

    def __init__(self, ctx: Any, fdef: Any, arguments: _Arguments, number: int) -> None:
        from tensorflow.python.framework import function_def_to_graph

        self._ctx = ctx
        self._fdef = fdef
        self._number = number
        names = [arg.name for arg in fdef.signature.input_arg]
        self._handles = dict(zip(names, arguments.handles, strict=True))
        self._shapes, _ = _op_graph(fdef, arguments)
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
        return self._handles.get(tensor.op.name) if _is_handle(tensor) else None

    def arguments_of(self, name: str) -> _Arguments:
        """Of what an op calls."""
        inputs = self._graph.get_operation_by_name(name).inputs
        return _Arguments([self.shape(t) for t in inputs], [self.handle(t) for t in inputs])

    def iteration(self, loop: Any) -> "_Iteration":
        """Of one of the loops."""
        return _Iteration(self._ctx, loop, self.arguments_of(loop.name))

    def region(self, ops: set[Any]) -> _Region:
        """
        Raises:
          _Left: it cannot be a function that XLA compiles.
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
        given = sorted(arguments.values(), key=lambda t: (_is_handle(t), t.name))
        if any(t.dtype.name == "variant" for t in [*given, *results.values()]):
            raise _Left("a list crosses its border")
        if not all(_is_handle(t) or self.shape(t).is_fully_defined() for t in given):
            raise _Left("its shapes are not all known")
        if len({op.device for op in ops}) > 1:
            raise _Left("it is on several devices")
        function = function_pb2.FunctionDef()
        inside: dict[str, str] = {}
        for i, tensor in enumerate(given):
            argument = function.signature.input_arg.add()
            argument.name, argument.type = f"a{i}", tensor.dtype.as_datatype_enum
            inside[self._name_in_function[tensor.name]] = argument.name
        for i, (name, value) in enumerate(constants.items()):
            node = function.node_def.add()
            node.name, node.op = f"{_SUFFIX.strip('_')}_constant_{i}", "Const"
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
        if any(_is_handle(tensor) for tensor in given):
            function.signature.is_stateful = True
        return _Region(ops, function, given, list(results.values()))

    def without(self, region: _Region) -> Any:
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

    def _call(self, region: _Region) -> Any:
        from tensorflow.core.framework import node_def_pb2

        call = node_def_pb2.NodeDef()
        call.name = f"{_SUFFIX.strip('_')}_{self._number}"
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


def _is_handle(tensor: Any) -> bool:
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
        if loop.type not in _LOOPS or any(loop in region for region in regions):
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
      _Left: an op that XLA would not run as TensorFlow does.
    """
    if op.type == "Placeholder":
        raise _Left("it is given a list")
    if op.device and "CPU" not in op.device.upper():
        raise _Left("it is on another device")
    _check_type(op.type, op.op_def.is_stateful)
    _check_list(op.node_def)
    if op.type == "EmptyTensorList":
        most = _small_constant(op.inputs[1])
        if most is None or most < 0:
            raise _Left("a list may grow without limit")
    for name in _functions_of(op.node_def):
        _check_function(ctx, name)


def _check_function(ctx: Any, name: str) -> None:
    from tensorflow.python.framework import op_def_registry

    for node in ctx.get_function_def(name).node_def:
        definition = op_def_registry.get(node.op)
        if definition is None:
            raise _Left(f"it calls {node.op}")
        _check_type(node.op, definition.is_stateful)
        _check_list(node)
        for called in _functions_of(node):
            _check_function(ctx, called)


def _check_list(node: Any) -> None:
    """
    Raises:
      _Left: a list of a length that XLA would not follow.
    """
    resizes = "resize_if_index_out_of_bounds"
    if node.op == "TensorListResize" or (resizes in node.attr and node.attr[resizes].b):
        raise _Left("a list grows")


def _check_type(op_type: str, is_stateful: bool) -> None:
    if is_stateful and op_type not in _CALLS | _READS:
        raise _Left(f"it has a {op_type}")
    if _RANDOM.search(op_type):
        raise _Left(f"it draws random numbers ({op_type})")
    if _SLOW.search(op_type):
        raise _Left(f"XLA is slow at {op_type}")


def _functions_of(node: Any) -> Iterator[str]:
    for value in node.attr.values():
        called = [value.func] if value.HasField("func") else value.list.func
        yield from (one.name for one in called)


# ---- what it gains ----
def _op_graph(fdef: Any, arguments: _Arguments) -> tuple["OpGraph", dict[str, str]]:
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
        if node.op in _LOOPS:
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
      _Left: an op gives a shape that depends on values. (Of elements of lists, and of what
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
            raise _Left(f"the shape of its {graph.ops[i]} is not known")


def _check_results(
    graph: "OpGraph", names: dict[str, str], fdef: Any, shapes: Sequence[Any]
) -> None:
    """
    Raises:
      _Left: a variable of the loop changes its shape.
    """
    for result, before in zip(fdef.signature.output_arg, shapes, strict=True):
        name, port = names[fdef.ret[result.name]].rsplit(":", 1)
        op = graph.find(name)
        if _is_open(graph, op, int(port)) or result.type in (_RESOURCE, _VARIANT):
            continue
        if before.is_fully_defined() and graph.shape(op, int(port)) != before.as_list():
            raise _Left("the shape of a variable changes")


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


class _Iteration:
    """What one iteration of a loop takes, by rooflines and what the machine was timed at.

    Raises:
      _Left: its shapes are not all known.

    Attributes:
      alone, compiled: microseconds by TensorFlow's executor, and in XLA's loop.
      num_ops: of its condition and its body.
    """

    def __init__(self, ctx: Any, loop: Any, arguments: _Arguments) -> None:
        self.alone = _DISPATCH_MICROS * _OPS_OF_VARIABLE * len(arguments.handles)
        self.compiled = 0.0
        self.num_ops = 0
        machine = native.core().with_local_rates(devices.machine_of(["CPU:0"]))
        for attr in ("cond", "body"):
            fdef = ctx.get_function_def(loop.get_attr(attr).name)
            graph, names = _op_graph(fdef, arguments)
            _check_shapes(graph)
            if attr == "body":
                _check_results(graph, names, fdef, arguments.shapes or ())
            alone, compiled = native.core().op_micros(graph, machine)
            self.alone += float(alone.sum())
            self.compiled += float((compiled + _KERNEL_MICROS * (compiled > 0)).sum())
            self.compiled += _COPY_MICROS * _bytes_of_elements(graph)
            self.num_ops += len(fdef.node_def)
