"""The graphs that a policy is trained on: workloads of the training families, random
ones, and what a user has recorded."""

import dataclasses
import functools
import os
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from grappler_go.captured import CapturedGraph
from grappler_go_training import workloads
from grappler_go_training.go.train_config import TrainConfig
from grappler_go_training.workloads import batch
from grappler_go_training.workloads.workload import read

if TYPE_CHECKING:
    from grappler_go import OpGraph

# Of the split, the side that may be trained on.
SPLIT = "train"


@dataclasses.dataclass(frozen=True)
class Source:
    """One graph, not loaded yet.

    Attributes:
      name: of the workload, or "synthetic-3", or the recorded file's.
      family: graphs of one architecture; of recorded graphs, their folder.
      load: captures or reads it; may take minutes the first time.
    """

    name: str
    family: str
    load: Callable[[], CapturedGraph]


@dataclasses.dataclass(frozen=True)
class Loaded:
    """A graph that can be planned for."""

    name: str
    family: str
    captured: CapturedGraph
    graph: "OpGraph"


def sources(config: TrainConfig) -> list[Source]:
    """All that a config names, in an order that stays.

    Raises:
      ValueError: no such workload, one that must not be trained on, or a folder without a
        recorded graph.
      OSError: no such folder.
    """
    found = [_workload(name) for name in _workload_names(config.workloads)]
    for folder in config.recorded:
        found += recorded(folder)
    found += [_synthetic(number, config) for number in range(config.synthetic)]
    if not found:
        raise ValueError(
            "nothing to train on: name workloads, folders of recorded graphs (recorded), or a "
            "number of synthetic graphs"
        )
    return found


def load(
    found: Sequence[Source], config: TrainConfig, skipped: Callable[[str, str], None]
) -> Iterator[Loaded]:
    """Their graphs, those within min_ops and max_ops.

    Args:
      skipped: called with (name, why) for each that is left out: one that cannot be read,
        captured or parsed, or is of another size.
    """
    for source in found:
        try:
            captured = source.load()
            graph = captured.op_graph()
        except (OSError, ValueError, RuntimeError) as error:
            text = str(error).strip().splitlines() or [type(error).__name__]
            skipped(source.name, text[0])
            continue
        if not config.min_ops <= graph.num_ops <= config.max_ops:
            skipped(
                source.name,
                f"{graph.num_ops} ops, not {config.min_ops} to {config.max_ops} (min_ops, max_ops)",
            )
            continue
        yield Loaded(source.name, source.family, captured, graph)


def recorded(folder: str | os.PathLike[str]) -> list[Source]:
    """What `grappler-go record` put into a folder, by file name.

    Raises:
      OSError: there is no such folder.
      ValueError: there is no recorded graph in it.
    """
    path = pathlib.Path(folder)
    if not path.is_dir():
        raise FileNotFoundError(f"no folder {str(folder)!r} of recorded graphs")
    files = sorted(path.glob("*.pb"))
    if not files:
        raise ValueError(
            f"{folder} has no recorded graph (.pb) in it: grappler-go record {folder} SCRIPT"
        )
    return [Source(str(file), path.name, functools.partial(_parsed, file)) for file in files]


def _parsed(file: pathlib.Path) -> CapturedGraph:
    try:
        return CapturedGraph.load(file)
    except (TypeError, AttributeError) as error:  # JSON of another form
        raise ValueError(f"{file.with_suffix('.json')} is malformed") from error


def _workload_names(wanted: Sequence[str]) -> list[str]:
    names: dict[str, None] = {}
    for name in wanted:
        if name == SPLIT:
            names.update(dict.fromkeys(workloads.names(split=SPLIT)))
        elif name in workloads.SPLIT_OF:
            names.update(dict.fromkeys(workloads.names(family=name)))
        else:
            names[name] = None
    for name in names:
        split = workloads.get(name).split
        if split != SPLIT:
            raise ValueError(
                f"{name} is of the {split} families, which are never trained on: policies are "
                "judged by them"
            )
    return list(names)


def _workload(name: str) -> Source:
    workload = workloads.get(name)
    return Source(name, workload.family, lambda: captured_apart(workload))


def captured_apart(workload: workloads.Workload) -> CapturedGraph:
    """A workload's graph, captured by a process of its own where the cache does not have it:
    workloads are Keras 3's, and this process has Keras 2.

    Raises:
      RuntimeError: it could not be captured or kept.
    """
    found = read(workload.cache_file())
    if found is None:
        (row,) = batch.capture_all([workload.name])
        found = read(workload.cache_file())
        if row["error"] or found is None:
            raise RuntimeError(row["error"] or f"{workload.cache_file()} could not be written")
    return found


def _synthetic(number: int, config: TrainConfig) -> Source:
    """Sizes are drawn evenly on a logarithmic scale."""
    seed = config.seed * 1_000_003 + number
    low, high = np.log([max(config.min_ops, 20), max(config.max_ops, 20)])
    num_ops = int(np.exp(np.random.default_rng(seed).uniform(low, high)))
    return Source(
        f"synthetic-{number}", "synthetic", lambda: workloads.synthetic(seed, max(num_ops, 10))
    )
