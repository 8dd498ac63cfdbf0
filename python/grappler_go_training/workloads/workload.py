"""What a workload is, and where its graph is kept."""

import dataclasses
import functools
import hashlib
import importlib.metadata
import json
import os
import pathlib
import sys
import tempfile
import warnings
import zlib
from collections.abc import Callable
from typing import Any

import grappler_go

FOLDER_VARIABLE = "GRAPPLER_GO_WORKLOADS"
SPLITS = ("train", "validation", "test")

Made = tuple[Callable[..., Any], tuple[Any, ...]]


@dataclasses.dataclass(frozen=True)
class Workload:
    """A program whose graph policies are trained or judged on.

    Attributes:
      name: "rnnlm-2", "bert-small-train".
      family: workloads of one architecture, which are never on two sides of a split.
      training: a training step: forward, backward, weights updated. Else inference, or
        a computation without weights.
      num_devices: as many as in the paper's Table 2; 1 where it has none.
      split: "train", "validation" or "test"; the family's.
      make: builds it: (Python function, its arguments), with the same numbers each time.
        Its variables have values: the function may be traced and run, where the
        machine is large enough.
    """

    name: str
    family: str
    training: bool
    num_devices: int
    split: str
    make: Callable[[], Made] = dataclasses.field(repr=False)

    def graph(self, cache: bool = True) -> grappler_go.CapturedGraph:
        """Its graph as the pass is shown it, from the cache or captured now.

        The step is not executed (see tracing.py). What is in the cache belongs to one
        version of TensorFlow, of Keras and of the code that makes the workload. A file
        that is damaged is made again; where none can be written, a warning says so.

        Args:
          cache: False: capture it now, and keep nothing.

        Raises:
          RuntimeError: nothing reached the pass, or TensorFlow is not usable.
        """
        path = self.cache_file()
        if cache:
            found = read(path)
            if found is not None:
                return found
        from grappler_go_training.workloads import tracing

        graph = tracing.capture_unexecuted(self.make)
        if cache:
            try:
                write(path, graph)
            except OSError as error:
                warnings.warn(f"{self.name} is not kept: {error}", stacklevel=2)
        return graph

    def cache_file(self) -> pathlib.Path:
        """Where its graph is kept, whether it is there or not."""
        key = hashlib.sha256("\n".join([self.name, *_versions(), _code_of(self.make)]).encode())
        return cache_folder() / f"{self.name}-{key.hexdigest()[:16]}.graph"

    def to_dict(self) -> dict[str, Any]:
        """Plain values, without `make`."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        del values["make"]
        return values


def cache_folder() -> pathlib.Path:
    """GRAPPLER_GO_WORKLOADS, or ~/.cache/grappler-go/workloads."""
    given = os.environ.get(FOLDER_VARIABLE, "").strip()
    if given:
        return pathlib.Path(given).expanduser()
    return pathlib.Path.home() / ".cache" / "grappler-go" / "workloads"


@functools.cache
def _versions() -> tuple[str, ...]:
    return tuple(f"{name} {importlib.metadata.version(name)}" for name in ("tensorflow", "keras"))


def _code_of(make: Callable[[], Made]) -> str:
    """A digest of the files whose code may have a part in the graph."""
    function = make.func if isinstance(make, functools.partial) else make
    module = sys.modules[function.__module__].__file__
    here = pathlib.Path(__file__).parent
    files = {here / "steps.py", here / "tracing.py", here / "layers.py"}
    if module is not None:
        files.add(pathlib.Path(module))
    return _digest(tuple(sorted(files)))


@functools.cache
def _digest(files: tuple[pathlib.Path, ...]) -> str:
    whole = hashlib.sha256()
    for file in files:
        whole.update(file.read_bytes())
    if any(file.name == "programs.py" for file in files):  # grappler-go bench's own
        from grappler_go.bench import models

        whole.update(pathlib.Path(models.__file__).read_bytes())
    return whole.hexdigest()


# A file: one line of JSON (names, and the checksum of what follows), then the
# compressed GraphDef.


def write(path: pathlib.Path, graph: grappler_go.CapturedGraph) -> None:
    """Writes a graph, so that a reader sees all of it or nothing.

    Raises:
      OSError: the folder or the file cannot be written.
    """
    body = zlib.compress(graph.graphdef, level=1)
    head = {
        "fetches": list(graph.fetches),
        "preserve": list(graph.preserve),
        "sha256": hashlib.sha256(body).hexdigest(),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, part = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(json.dumps(head).encode() + b"\n" + body)
        os.replace(part, path)
    except BaseException:
        pathlib.Path(part).unlink(missing_ok=True)
        raise


def read(path: pathlib.Path) -> grappler_go.CapturedGraph | None:
    """What write() wrote; None where there is no such file or it is damaged."""
    try:
        line, _, body = path.read_bytes().partition(b"\n")
        head = json.loads(line)
        if hashlib.sha256(body).hexdigest() != head["sha256"]:
            return None
        names = tuple(head["fetches"]), tuple(head["preserve"])
        return grappler_go.CapturedGraph(zlib.decompress(body), *names)
    except (OSError, ValueError, KeyError, TypeError, zlib.error):
        return None
