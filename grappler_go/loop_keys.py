"""What a function with loops is called in the plan cache, in every process.

The hook that compiles loops (guard.py) has to know what was measured before any graph reaches
the pass, so that the fingerprint of the graph is not at hand: the key is made of the
FunctionDefs, without what differs from process to process (names, and the options that were
set when a function was traced).
"""

import hashlib
from collections.abc import Sequence
from typing import Any

# Options of the process, and whatever begins with an underscore: notes of TensorFlow's to
# itself, numbers of functions among them.
_LEFT_OUT = frozenset(("config", "config_proto", "executor_type"))
_JIT = "_XlaMustCompile"


def key_of(ctx: Any, fdef: Any, inputs: Sequence[Any]) -> str:
    """32 hexadecimal digits.

    Args:
      ctx: TensorFlow's eager context, which has the functions that it calls.
      fdef: a FunctionDef.
      inputs: what it is called with: tensors and handles of variables.

    Raises:
      tf.errors.NotFoundError: the context has no function that it calls.
    """
    from tensorflow.python.ops import resource_variable_ops

    hashed = hashlib.sha256(_digest(ctx, fdef, {}))
    for tensor in inputs:
        described = (tensor.dtype.name, str(tensor.shape))
        # Of a tensor that is no handle there is none.
        of_handle = resource_variable_ops.get_eager_safe_handle_data(tensor)
        hashed.update(repr((described, str(of_handle))).encode())
    return hashed.hexdigest()[:32]


def _digest(ctx: Any, fdef: Any, known: dict[str, bytes]) -> bytes:
    """Of a function and those that it calls, whose digests are kept in `known`."""
    name = fdef.signature.name
    if name in known:
        return known[name]
    places = {arg.name: f"argument {i}" for i, arg in enumerate(fdef.signature.input_arg)}
    places.update((node.name, str(i)) for i, node in enumerate(fdef.node_def))
    hashed = hashlib.sha256(repr([arg.type for arg in fdef.signature.input_arg]).encode())

    def of_function(called: str) -> bytes:
        return _digest(ctx, ctx.get_function_def(called), known)

    for node in fdef.node_def:
        op = of_function(node.op) if ctx.has_function(node.op) else node.op
        sources = [_place(source, places) for source in node.input]
        hashed.update(repr((op, node.device, sources)).encode())
        for attr, value in sorted(node.attr.items()):
            if attr in _LEFT_OUT or (attr.startswith("_") and attr != _JIT):
                continue
            functions = [value.func] if value.HasField("func") else value.list.func
            digests = [of_function(function.name) for function in functions]
            plain = b"" if digests else value.SerializeToString(deterministic=True)
            hashed.update(repr((attr, digests, plain)).encode())
    results = [_place(fdef.ret[result.name], places) for result in fdef.signature.output_arg]
    hashed.update(
        repr((results, sorted(_place(n, places) for n in fdef.control_ret.values()))).encode()
    )
    known[name] = hashed.digest()
    return known[name]


def _place(source: str, places: dict[str, str]) -> str:
    """A node's input, "node:output:0" or "^node", with the node's number for its name."""
    name, _, output = source.removeprefix("^").partition(":")
    return f"{'^' * source.startswith('^')}{places[name]}:{output}"
