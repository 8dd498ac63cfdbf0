"""Whether a function's ops keep something from step to step that is not in a resource.

TensorFlow makes the kernels of a function anew for each set of options that it is called
with. Variables, tables and iterators that are handed to it are the same for both; what
a kernel keeps to itself, such as the generator of RandomUniform, is not. That matters where the
program seeds it.
"""

from typing import Any

# Stateful by their definitions and without a resource among their inputs; what they keep,
# if anything, is not in the kernel, or ends with the step.
_KEEP_NOTHING = frozenset(
    (
        *("_Arg", "_Retval", "VarHandleOp", "Empty"),
        *("CheckNumerics", "CheckNumericsV2", "Assert", "Print", "PrintV2"),
        *("StatefulPartitionedCall", "If", "While", "Case"),
        *("PyFunc", "EagerPyFunc", "StatelessRandomGetAlg"),
        *("TensorArrayV3", "StackV2", "Timestamp"),
    )
)

# Of RandomUniform, Multinomial ...: both 0 where the program gives none.
_SEEDS = ("seed", "seed2")

_by_op: dict[str, bool] = {}


def is_kept_by(ctx: Any, function: bytes) -> bool:
    """Of a function and those that it calls.

    Args:
      ctx: TensorFlow's eager context.
      function: its name.

    Raises:
      tf.errors.NotFoundError: the context has no such function, or one that it calls.
    """
    todo, seen = [function.decode()], set()
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        for node in ctx.get_function_def(name).node_def:
            if ctx.has_function(node.op):
                todo.append(node.op)
            elif _keeps(node):
                return True
            for value in node.attr.values():
                called = [value.func] if value.HasField("func") else value.list.func
                todo.extend(one.name for one in called)
    return False


def _keeps(node: Any) -> bool:
    if not _op_keeps(node.op):
        return False
    # A generator without seeds starts anywhere: nobody can tell one from another.
    seeds = [node.attr[name].i for name in _SEEDS if name in node.attr]
    return len(seeds) < len(_SEEDS) or any(seeds)


def _op_keeps(op: str) -> bool:
    if op not in _by_op:
        from tensorflow.core.framework import types_pb2
        from tensorflow.python.framework import op_def_registry

        definition = op_def_registry.get(op)
        _by_op[op] = definition is None or (
            definition.is_stateful
            and op not in _KEEP_NOTHING
            and all(argument.type != types_pb2.DT_RESOURCE for argument in definition.input_arg)
        )
    return _by_op[op]
