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
those whose iterations take so long that starting ops does not matter; and all of a function
for which grappler_go.tune() found that it is faster so.
"""

import collections
import dataclasses
import re
import threading
from collections.abc import Sequence
from typing import Any

from grappler_go import loop_keys, loop_lists, native
from grappler_go import plan_cache as cache_lib
from grappler_go.loop_costs import Arguments, Left
from grappler_go.loop_lists import LOOPS
from grappler_go.loop_regions import SUFFIX, Editor, Region, is_handle

_PLAIN_CALLS = frozenset(("PartitionedCall", "StatefulPartitionedCall"))
# Reading a function again after each loop takes as long as it has ops.
_MOST_OPS, _MOST_REGIONS = 5000, 16
# Of an iteration's predicted time. Rooflines are rough: less would not be seen.
_LEAST_GAIN = 0.3
_CPU = "/job:localhost/replica:0/task:0/device:CPU:0"
# What an HLO module says first: entry_computation_layout={(f32[2]{0})->f32[3]{0}}.
_LAYOUT = re.compile(r"entry_computation_layout=\{\(.*\)->(.*)\}")
_SHAPE = re.compile(r"[a-z]\w*\[([\d,]*)\]")


@dataclasses.dataclass(frozen=True)
class Compiled:
    """A function with loops that XLA runs.

    Attributes:
      name: of the function that stands in for the one that was asked for.
      loops: how many are compiled.
      key: of the function that was asked for, in the plan cache.
      compile_s: predicted seconds to compile them.
      is_tuned: just these were measured, and are faster.
    """

    name: bytes
    loops: int
    key: str
    compile_s: float
    is_tuned: bool


@dataclasses.dataclass
class Settings:
    """What compiled loops have to keep to.

    Attributes:
      compile_budget_s: predicted seconds that their compilation may take.
      max_shapes: one function's loops are compiled for as many sets of shapes.
      plan_folders: where the plan cache is.
      devices: names of those that are configured: part of a key there.
    """

    compile_budget_s: float = 20.0
    max_shapes: int = 4
    plan_folders: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()


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
      None: it has no loop that gains, or can be compiled, or tuning found it faster without.

    Raises:
      tf.errors.OpError, ValueError: TensorFlow does not let the function be read.
    """
    name = function.decode()
    # XLA is asked on this machine, and workers' devices may be others.
    if ctx.get_server_def() is not None:
        return None
    fdef = ctx.get_function_def(name)
    key = loop_keys.key_of(ctx, fdef, inputs)
    measured = cache_lib.find_loops(settings.plan_folders, key, settings.devices)
    if measured is not None and measured.verdict == cache_lib.NO_LOOPS:
        return None
    kind = (re.sub(r"\d+", "", name), _kinds(fdef))
    shapes = tuple(tuple(t.shape) for t in inputs if not is_handle(t))
    with _lock:
        known = _shapes_of[kind]
        if shapes not in known and len(known) >= settings.max_shapes:
            return None
    handles = [t if is_handle(t) else None for t in inputs]
    search = _Search(ctx, settings)
    result, loops = search.run(fdef, Arguments(None, handles))
    if loops == 0:
        return None
    with _lock:
        known.add(shapes)
    result.signature.name = name + SUFFIX
    ctx.add_function_def(result)
    # Another budget may have left some of those that were measured.
    is_tuned = measured is not None and measured.measured.get("loops") == loops
    return Compiled(result.signature.name.encode(), loops, key, search.seconds, is_tuned)


def has_loops(ctx: Any, name: str) -> bool:
    """Whether a function that TensorFlow's eager context has, or one that it calls, has loops
    that are not XLA's already.

    Raises:
      tf.errors.NotFoundError: the context has no such function.
    """
    fdef = ctx.get_function_def(name)
    if _is_xlas(fdef):
        return False
    for node in fdef.node_def:
        if node.op in LOOPS:
            return True
        if _is_call(node) and has_loops(ctx, node.attr["f"].func.name):
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


class _Search:
    """Moves one region after the other out of functions.

    Attributes:
      left: why others stay, by function and the names of their ops.
      seconds: predicted, to compile those that went.
    """

    def __init__(self, ctx: Any, settings: Settings) -> None:
        self._ctx = ctx
        self._settings = settings
        self.seconds = 0.0
        self._number = 0
        self.left: dict[tuple[str, frozenset[str]], str] = {}

    def run(self, fdef: Any, arguments: Arguments) -> tuple[Any, int]:
        """The function without them, and the number of loops that went."""
        name = fdef.signature.name
        loops = 0
        if len(fdef.node_def) > _MOST_OPS:
            return fdef, 0
        editor = Editor(self._ctx, fdef, arguments, self._number)
        edited = loop_lists.without_constant_lists(self._ctx, fdef, editor.dims)
        while True:
            if edited is not fdef:
                # Anew each time: what a loop hands out has a shape that the next one needs.
                fdef = edited
                editor = Editor(self._ctx, fdef, arguments, self._number)
            for ops in editor.regions():
                key = (name, frozenset(op.name for op in ops))
                if key in self.left or self._number >= _MOST_REGIONS:
                    continue
                try:
                    region = editor.region(ops)
                    self._check(editor, region)
                except Left as why:
                    self.left[key] = str(why)
                    continue
                edited = editor.without(region)
                self._number += 1
                loops += sum(op.type in LOOPS for op in ops)
                break
            else:
                return self._within_calls(fdef, editor, loops)

    def _within_calls(self, fdef: Any, editor: "Editor", loops: int) -> tuple[Any, int]:
        """Functions that it calls, each for itself: arguments differ from call to call."""
        for k, node in enumerate(fdef.node_def):
            if not _is_call(node) or not has_loops(self._ctx, node.attr["f"].func.name):
                continue
            callee = self._ctx.get_function_def(node.attr["f"].func.name)
            found, inside = self.run(callee, editor.arguments_of(node.name))
            if inside == 0:
                continue
            found.signature.name = f"{callee.signature.name}{SUFFIX}_{self._number}"
            self._number += 1
            self._ctx.add_function_def(found)
            changed = type(fdef)()
            changed.CopyFrom(fdef)
            changed.node_def[k].attr["f"].func.name = found.signature.name
            fdef = changed
            loops += inside
        return fdef, loops

    def _check(self, editor: "Editor", region: Region) -> None:
        """
        Raises:
          Left: it does not gain, or XLA cannot translate it.
        """
        num_ops = len(region.ops)
        alone = compiled = 0.0
        for op in region.ops:
            if op.type in LOOPS:
                iteration = editor.iteration(op)
                num_ops += iteration.num_ops
                alone += iteration.alone
                compiled += iteration.compiled
        if compiled > (1 - _LEAST_GAIN) * alone:
            raise Left("starting its ops is little of what it takes")
        seconds = float(native.core().compile_seconds_of(num_ops))
        if self.seconds + seconds > self._settings.compile_budget_s:
            raise Left("there is no time to compile it")
        self._ctx.add_function_def(region.function)
        try:
            region.shapes = self._translated(editor, region)
        except Left:
            self._ctx.remove_function(region.function.signature.name)
            raise
        self.seconds += seconds

    def _translated(self, editor: "Editor", region: Region) -> list[Any]:
        """The shapes of the results."""
        import tensorflow as tf

        handles = [editor.handle(t) for t in region.arguments if is_handle(t)]
        if any(handle is None for handle in handles):
            raise Left("it reads a variable that is not the function's argument")
        dense = [t for t in region.arguments if not is_handle(t)]
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
            raise Left(f"XLA cannot translate it: {str(why).splitlines()[0]}") from None
        if b"<=" in text:  # f32[<=8]
            raise Left("shapes depend on values")
        layout = _LAYOUT.search(text.decode().split("\n", 1)[0])
        found = _SHAPE.findall(layout.group(1)) if layout else []
        if len(found) != len(region.results):
            raise Left("XLA gives it other results")
        return [tf.TensorShape([int(d) for d in dims.split(",") if d]) for dims in found]
