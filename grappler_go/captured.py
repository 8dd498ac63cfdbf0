"""The graphs that TensorFlow hands to the pass, as bytes."""

import dataclasses
import json
import os
import pathlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from grappler_go import control, native

if TYPE_CHECKING:
    from grappler_go._core import OpGraph


@dataclasses.dataclass(frozen=True)
class CapturedGraph:
    """One graph as the pass saw it: placed, lowered, optimised by TensorFlow.

    Attributes:
      graphdef: a serialized GraphDef.
      fetches: names of the nodes that are the graph's results.
      preserve: names of all nodes that must survive.
    """

    graphdef: bytes
    fetches: tuple[str, ...] = ()
    preserve: tuple[str, ...] = ()

    def op_graph(self) -> "OpGraph":
        """The graph in the core's form: ops numbered, shapes inferred.

        Raises:
          ValueError: the bytes are not a graph.
        """
        return native.core().OpGraph(self.graphdef, list(self.fetches), list(self.preserve))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes path (the GraphDef, `.pb`) and beside it a `.json` with the names.

        Raises:
          OSError: a file cannot be written.
        """
        file = pathlib.Path(path)
        file.write_bytes(self.graphdef)
        names = {"fetches": list(self.fetches), "preserve": list(self.preserve)}
        file.with_suffix(".json").write_text(json.dumps(names), encoding="utf-8")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "CapturedGraph":
        """Reads what save() or enable(record=...) wrote; a GraphDef without its
        `.json` is read too, and then nothing is known to be fetched.

        Raises:
          OSError: the file cannot be read.
          ValueError: the `.json` is malformed.
        """
        file = pathlib.Path(path)
        graphdef = file.read_bytes()
        names: dict[str, Any] = {}
        if file.with_suffix(".json").is_file():
            names = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
        return cls(graphdef, tuple(names.get("fetches", ())), tuple(names.get("preserve", ())))


def load_captured(folder: str | os.PathLike[str]) -> list[CapturedGraph]:
    """All graphs in a folder that enable(record=folder) filled, by file name.

    Raises:
      OSError, ValueError: as CapturedGraph.load().
    """
    return [CapturedGraph.load(file) for file in sorted(pathlib.Path(folder).glob("*.pb"))]


def capture(fn: Callable[..., Any], *args: Any, trace: bool = True) -> list[CapturedGraph]:
    """Runs a function once and returns the graphs that the pass was shown.

    Nothing is decided or changed while it runs, and the pass is afterwards as it
    was before.

    Args:
      fn: a tf.function or concrete function; or a plain Python callable.
      *args: its arguments.
      trace: wrap a plain callable in tf.function. False: call it as it is, for
        one that calls functions of its own.

    Returns:
      The graphs, largest first: the function itself and any it calls that are
      not inlined. Empty when nothing reached the pass: functions with
      jit_compile=True never do.

    Raises:
      RuntimeError: GRAPPLER_GO=0 is in the environment, or as load().
      What fn raises.

    Example:
      graph = grappler_go.capture(step, x, y)[0].op_graph()
      print(graph.num_ops, graph.fingerprint)
    """
    if native.killed_by_environment():
        raise RuntimeError("GRAPPLER_GO=0 is in the environment: no graph reaches the pass")
    tf = native.tensorflow()
    callable_ = fn
    is_function = isinstance(
        fn,
        tf.types.experimental.PolymorphicFunction | tf.types.experimental.ConcreteFunction,
    )
    if trace and not is_function:
        callable_ = tf.function(fn)
    with control.restored():
        core = native.core()
        control.capture_only()
        core.take_captured()  # of an earlier user of the buffer
        callable_(*args)
        graphs = [
            CapturedGraph(bytes(seen["graphdef"]), tuple(seen["fetches"]), tuple(seen["preserve"]))
            for seen in core.take_captured()
        ]
    return sorted(graphs, key=lambda graph: len(graph.graphdef), reverse=True)
