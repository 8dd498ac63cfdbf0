"""What a training run keeps in its folder, and how a network comes back from it.

config.json        TrainConfig
baselines.jsonl    the best baseline of each case (teacher.TeacherCache)
checkpoints/       step-00000123.npz, the last few
steps.jsonl        a line for each step: what the curves show
curves/            the same for TensorBoard
lock               held by the process that trains
"""

import fcntl
import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import IO, Any

import numpy as np
import tensorflow as tf

from grappler_go import native
from grappler_go_training.go import checkpoint, train_config
from grappler_go_training.go.network import GoNetwork
from grappler_go_training.go.train_config import TrainConfig

CONFIG, BASELINES, STEPS = "config.json", "baselines.jsonl", "steps.jsonl"
CHECKPOINTS, CURVES = "checkpoints", "curves"
LOCK = "lock"
# What tells the folder of an exported policy from that of a run.
SCHEMA = "schema.json"

# What may be different when a run goes on: how long and with what, not what is learned.
MAY_CHANGE = (
    *("steps", "threads", "ray_workers", "checkpoint_minutes", "keep_checkpoints"),
    "anneal_lr",
)
_NETWORK = "network/"


class RunFolder:
    """The folder of one run.

    Args:
      path: made by start().
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = pathlib.Path(path)
        self.checkpoints = self.path / CHECKPOINTS
        self._lock: IO[str] | None = None

    def start(self, config: TrainConfig) -> None:
        """Makes the folder, or finds that the run in it is of the same config.

        Raises:
          ValueError: it is of another, and the message names the fields; or another process
            trains in it.
          OSError: it cannot be written.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        self._take()
        file = self.path / CONFIG
        if file.exists() and checkpoint.latest(self.checkpoints) is not None:
            before, now = train_config.read(file).to_dict(), config.to_dict()
            other = [k for k in now if before[k] != now[k] and k not in MAY_CHANGE]
            if other:
                raise ValueError(
                    f"{self.path} holds a run with another {', '.join(other)}: name another "
                    f"folder, or leave {other[0]} as it was"
                )
        text = json.dumps(config.to_dict(), indent=2) + "\n"
        part = file.with_name(file.name + ".new")
        part.write_text(text, encoding="utf-8")
        part.replace(file)

    def _take(self) -> None:
        """The folder for this process alone, until close() or its end, however that comes:
        two that write checkpoints and steps would undo each other's."""
        lock = (self.path / LOCK).open("w", encoding="utf-8")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.close()
            raise ValueError(
                f"{self.path}: another process trains in this folder; stop it, or name another"
            ) from error
        except OSError:
            pass  # a file system without locks
        self._lock = lock

    def close(self) -> None:
        """Leaves the folder to others."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def append(self, row: Mapping[str, Any]) -> None:
        """One line of steps.jsonl."""
        with (self.path / STEPS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    def steps(self) -> list[dict[str, Any]]:
        """The lines of steps.jsonl."""
        file = self.path / STEPS
        if not file.exists():
            return []
        return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]

    def forget_after(self, step: int) -> None:
        """Drops the lines of steps that are going to be done again."""
        kept = [row for row in self.steps() if row["step"] <= step]
        text = "".join(json.dumps(row) + "\n" for row in kept)
        (self.path / STEPS).write_text(text, encoding="utf-8")


def new_network(config: TrainConfig) -> GoNetwork:
    """An untrained network for the core's schema; the same for the same seed."""
    return GoNetwork(config.network, json.loads(native.core().schema_json()))


def load_network(path: str | os.PathLike[str]) -> tuple[GoNetwork, TrainConfig, pathlib.Path]:
    """(network, config, file) of a run's folder, of one of its checkpoints, or of a policy
    that was exported or ships.

    Raises:
      OSError: there is no such thing.
      ValueError: it is damaged, or of another network than this program makes.
    """
    file = native.policy_folder(path)
    if (file / SCHEMA).exists():
        return _load_exported(file)
    if file.is_dir():
        found = checkpoint.latest(file / CHECKPOINTS) or checkpoint.latest(file)
        if found is None:
            raise FileNotFoundError(
                f"{file} holds no checkpoint: grappler-go train {file} makes some"
            )
        file = found
    arrays, meta = checkpoint.load(file)
    config = train_config.from_dict(meta["config"])
    network = new_network(config)
    restore(network.variables, arrays, _NETWORK, str(file))
    return network, config, file


def _load_exported(folder: pathlib.Path) -> tuple[GoNetwork, TrainConfig, pathlib.Path]:
    made_for = json.loads((folder / SCHEMA).read_text(encoding="utf-8"))
    about = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    if "config" not in about:
        raise ValueError(
            f"{folder}: no policy of the GO network: it can be used, but not trained further"
        )
    config = train_config.from_dict(about["config"])
    network, stored = new_network(config), GoNetwork(config.network, made_for)
    try:
        # export.py keeps it under this name.
        found = tf.train.Checkpoint(_network=stored).read(str(folder / "variables/variables"))
        found.expect_partial().assert_existing_objects_matched()
    except (AssertionError, ValueError) as error:
        raise ValueError(f"{folder}: of another network than this program makes") from error
    try:
        network.take_over(stored)
    except ValueError as error:
        raise ValueError(f"{folder}: {error}: it can be used, but not trained further") from error
    return network, config, folder / SCHEMA


def card(config: TrainConfig, file: pathlib.Path) -> dict[str, Any]:
    """What card.json of an exported policy says of how it was made.

    Args:
      config: of the run.
      file: the checkpoint.

    Raises:
      OSError, ValueError: as checkpoint.load().
    """
    _, meta = checkpoint.load(file)
    imitated = min(meta["step"], config.imitation_steps)
    return {
        "what": "GO: one network for device, fusion, schedule and recomputation",
        "algorithm": f"{imitated} steps of imitation, {meta['step'] - imitated} of PPO",
        "steps": meta["step"],
        "trained_on": meta["cases"],
        "config": config.to_dict(),
        "commands": ["grappler-go train RUN --config=config.json", "grappler-go export RUN DIR"],
    }


def arrays_of(variables: Sequence[tf.Variable], prefix: str) -> dict[str, np.ndarray]:
    """Variables by number, as a checkpoint holds them."""
    return {f"{prefix}{k:03d}": variable.numpy() for k, variable in enumerate(variables)}


def network_arrays(network: GoNetwork) -> dict[str, np.ndarray]:
    """All variables of a network."""
    return arrays_of(network.variables, _NETWORK)


def restore_network(network: GoNetwork, arrays: Mapping[str, np.ndarray], what: str) -> None:
    """The other way round. Raises: as restore()."""
    restore(network.variables, arrays, _NETWORK, what)


def restore(
    variables: Sequence[tf.Variable], arrays: Mapping[str, np.ndarray], prefix: str, what: str
) -> None:
    """Sets variables to what arrays_of() gave.

    Raises:
      ValueError: numbers or shapes differ; `what` is named.
    """
    own = [name for name in sorted(arrays) if name.startswith(prefix)]
    shapes = [tuple(variable.shape) for variable in variables]
    if [arrays[name].shape for name in own] != shapes:
        raise ValueError(
            f"{what} is of another network: {len(own)} arrays under {prefix!r} where this one has "
            f"{len(shapes)}, or other shapes"
        )
    for variable, name in zip(variables, own, strict=True):
        variable.assign(arrays[name])
