"""Lists between the loops of a forward and a backward pass, made easier for XLA.

What a loop's backward pass needs of an iteration, the forward loop pushes onto a list, from
which the backward loop pops it (tensorflow/python/ops/while_v2.py). Some of it is the same in
all iterations, and is handed to the backward loop once instead:

- the length of a list of which the loop reads elements (TensorListGetItem), and the shape of
  these: XLA has to know them for the gradient, which is a list as long;
- values of variables, and what else the loop is given and does not change: TensorFlow pushes
  a reference, XLA would copy it in each iteration.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

LOOPS = frozenset(("While", "StatelessWhile"))
_PREFIX = "grappler_go_kept"
# The dimensions of a tensor, by its name in the function; None: not known.
ShapeOf = Callable[[str], Sequence[int] | None]


def without_constant_lists(ctx: Any, fdef: Any, shape_of: ShapeOf) -> Any:
    """The function with loops that push nothing which is the same in all iterations.

    Args:
      ctx: TensorFlow's eager context, in which new bodies are registered.
      fdef: the FunctionDef; it is not changed.
      shape_of: of a tensor of the function.

    Returns:
      The same FunctionDef where there is nothing to do.
    """
    if not any(node.op == "EmptyTensorList" for node in fdef.node_def):
        return fdef
    rewriter = _Rewriter(ctx, fdef, shape_of)
    return rewriter.run()


class _Function:
    """A FunctionDef that may be edited, by the names of its nodes and arguments."""

    def __init__(self, fdef: Any) -> None:
        self.fdef = type(fdef)()
        self.fdef.CopyFrom(fdef)
        self.nodes = {node.name: node for node in self.fdef.node_def}
        self.argument = {arg.name: i for i, arg in enumerate(fdef.signature.input_arg)}
        self.edited = False

    def source(self, tensor: str) -> tuple[str, str]:
        """The node or argument that a tensor comes from, behind Identity, and the tensor."""
        while True:
            name = tensor.split(":")[0]
            node = self.nodes.get(name)
            if node is None or node.op != "Identity":
                return name, tensor
            tensor = node.input[0]

    def op(self, tensor: str) -> Any:
        """The node behind Identity; None: an argument."""
        return self.nodes.get(self.source(tensor)[0])

    def number(self, tensor: str) -> int | None:
        """Which argument a tensor is; None: none."""
        return self.argument.get(self.source(tensor)[0])

    def result(self, number: int) -> str:
        """The tensor that is handed out."""
        return str(self.fdef.ret[self.fdef.signature.output_arg[number].name])

    def hands_on(self, number: int) -> bool:
        """An argument as it came, as the body of a loop does what it does not change."""
        return self.number(self.result(number)) == number

    def uses(self, tensor: str) -> int:
        inputs = sum(name == tensor for node in self.fdef.node_def for name in node.input)
        return inputs + sum(name == tensor for name in self.fdef.ret.values())

    def add_argument(self, name: str, dtype: int, returned: bool) -> None:
        signature = self.fdef.signature
        argument = signature.input_arg.add()
        argument.name, argument.type = name, dtype
        if returned:
            result = signature.output_arg.add()
            result.name, result.type = f"{name}_result", dtype
            self.fdef.ret[result.name] = name
        self.edited = True

    def replace(self, old: str, new: str) -> None:
        """Has everybody who reads one tensor read another."""
        for node in self.fdef.node_def:
            for slot, name in enumerate(node.input):
                if name == old:
                    node.input[slot] = new
        for key, name in list(self.fdef.ret.items()):
            if name == old:
                self.fdef.ret[key] = new
        self.edited = True

    def remove(self, name: str) -> None:
        """A node that nobody reads; who waited for it no longer does."""
        kept = [node for node in self.fdef.node_def if node.name != name]
        for node in kept:
            inputs = [one for one in node.input if one != f"^{name}"]
            if len(inputs) < len(node.input):
                del node.input[:]
                node.input.extend(inputs)
        copies = [type(node).FromString(node.SerializeToString()) for node in kept]
        del self.fdef.node_def[:]
        self.fdef.node_def.extend(copies)
        self.nodes = {node.name: node for node in self.fdef.node_def}
        self.edited = True


class _Pop(NamedTuple):
    """A TensorListPopBack of a backward loop, and where what it pops was pushed.

    Attributes:
      node: the name of the op.
      dtype: of what is popped.
      forward: the name of the forward loop.
      kept: the number of its variable that is the list.
      push: the name of the TensorListPushBack.
      pushed: what is pushed, a tensor of the forward loop's body.
    """

    node: str
    dtype: int
    forward: str
    kept: int
    push: str
    pushed: str


class _Rewriter:
    def __init__(self, ctx: Any, fdef: Any, shape_of: ShapeOf) -> None:
        self._ctx = ctx
        self._outer = _Function(fdef)
        self._shape_of = shape_of
        self._functions: dict[tuple[str, str], _Function] = {}  # by loop, "cond" or "body"
        self._number = 0

    def run(self) -> Any:
        loops = [node.name for node in self._outer.fdef.node_def if node.op in LOOPS]
        for backward in loops:
            for pop in self._pops(backward):
                self._hand_over(backward, pop)
        for (loop, attr), function in self._functions.items():
            if function.edited:
                function.fdef.signature.name += f"_{_PREFIX}"
                self._ctx.add_function_def(function.fdef)
                self._outer.nodes[loop].attr[attr].func.name = function.fdef.signature.name
        return self._outer.fdef

    def _function(self, loop: str, attr: str) -> _Function:
        if (loop, attr) not in self._functions:
            name = self._outer.nodes[loop].attr[attr].func.name
            self._functions[loop, attr] = _Function(self._ctx.get_function_def(name))
        return self._functions[loop, attr]

    def _pops(self, backward: str) -> list[_Pop]:
        """Those of lists that nobody else reads."""
        body = self._function(backward, "body")
        pops = []
        for node in body.fdef.node_def:
            if node.op != "TensorListPopBack":
                continue
            number = body.number(node.input[0])
            if number is None or body.uses(node.input[0]) != 1:
                continue
            given = self._outer.nodes[backward].input[number]
            forward = self._outer.nodes.get(given.split(":")[0])
            if forward is None or forward.op not in LOOPS or self._outer.uses(given) != 1:
                continue
            kept = int(given.rsplit(":", 1)[1])
            inner = self._function(forward.name, "body")
            push = inner.op(inner.result(kept))
            if push is None or push.op != "TensorListPushBack":
                continue
            if inner.number(push.input[0]) != kept or inner.uses(push.input[0]) != 1:
                continue
            dtype = node.attr["element_dtype"].type
            pops.append(_Pop(node.name, dtype, forward.name, kept, push.name, push.input[1]))
        return pops

    def _hand_over(self, backward: str, pop: _Pop) -> None:
        """Replaces what is popped, where that is the same each time."""
        body, inner = self._function(backward, "body"), self._function(pop.forward, "body")
        constant = self._constant(pop, inner)
        if constant is None:
            value = self._given(pop, inner)
            if value is None:
                return
            name = f"{_PREFIX}_{self._number}"
            body.add_argument(name, pop.dtype, returned=True)
            self._function(backward, "cond").add_argument(name, pop.dtype, returned=False)
            self._add_input(backward, value, pop.dtype)
        else:
            name = self._add_constant(body, constant, pop.dtype)
        self._number += 1
        body.replace(f"{pop.node}:tensor:0", name)
        body.replace(f"{pop.node}:output_handle:0", body.nodes[pop.node].input[0])
        body.remove(pop.node)
        inner.replace(f"{pop.push}:output_handle:0", inner.nodes[pop.push].input[0])
        inner.remove(pop.push)

    def _constant(self, pop: _Pop, inner: _Function) -> int | list[int] | None:
        """The length of a list, or the shape of its elements."""
        asked = inner.op(pop.pushed)
        if asked is None or asked.op not in ("TensorListLength", "TensorListElementShape"):
            return None
        of = inner.number(asked.input[0])
        if of is None or not inner.hands_on(of):
            return None
        maker = self._outer.op(self._outer.nodes[pop.forward].input[of])
        if maker is None or maker.op != "TensorListFromTensor":
            return None
        shape = self._shape_of(maker.input[0])
        if not shape:
            return None
        return shape[0] if asked.op == "TensorListLength" else list(shape[1:])

    def _given(self, pop: _Pop, inner: _Function) -> str | None:
        """What the forward loop is given and does not change, as a tensor of the function."""
        forward = self._outer.nodes[pop.forward]
        read = inner.op(pop.pushed)
        if read is None:
            of = inner.number(pop.pushed)
            if of is None or not inner.hands_on(of):
                return None
            return str(forward.input[of])
        if read.op != "ReadVariableOp":
            return None
        of = inner.number(read.input[0])
        if of is None or not inner.hands_on(of):
            return None
        node = self._outer.fdef.node_def.add()
        node.name, node.op = f"{_PREFIX}_{self._number}", "ReadVariableOp"
        node.attr["dtype"].type = pop.dtype
        # When the forward loop reads it: after the same ops, and before those that wait for it.
        node.input.append(forward.input[of])
        node.input.extend(name for name in forward.input if name.startswith("^"))
        for waiting in self._outer.fdef.node_def:
            if f"^{forward.name}" in waiting.input:
                waiting.input.append(f"^{node.name}")
        self._outer.nodes[node.name] = node
        return f"{node.name}:value:0"

    def _add_input(self, loop: str, tensor: str, dtype: int) -> None:
        node = self._outer.nodes[loop]
        inputs = list(node.input)
        place = sum(not name.startswith("^") for name in inputs)
        del node.input[:]
        node.input.extend([*inputs[:place], tensor, *inputs[place:]])
        node.attr["T"].list.type.append(dtype)
        if node.attr["output_shapes"].list.shape:
            node.attr["output_shapes"].list.shape.add().unknown_rank = True

    def _add_constant(self, body: _Function, value: int | list[int], dtype: int) -> str:
        from tensorflow.python.framework import dtypes, tensor_util

        node = body.fdef.node_def.add()
        node.name, node.op = f"{_PREFIX}_{self._number}", "Const"
        node.attr["dtype"].type = dtype
        proto = tensor_util.make_tensor_proto(value, dtypes.as_dtype(dtype))
        node.attr["value"].tensor.CopyFrom(proto)
        body.nodes[node.name] = node
        return f"{node.name}:output:0"
