"""Every setting of a training run, in one place."""

import dataclasses
import difflib
import json
import os
import pathlib
import typing
from collections.abc import Mapping, Sequence
from typing import Any

from grappler_go_training.go.config import NetworkConfig

# Configs by name.
_SHIPPED = pathlib.Path(__file__).parent / "configs"
# What machines.sample() knows.
MACHINE_KINDS = ("cpu", "workers", "gpus", "mixed")
# The baselines that a policy has to beat.
BASELINES = (
    *("tensorflow_default", "one_device", "human_expert", "metis", "m_etf", "heft"),
    *("simulated_annealing", "joint_search", "priority_fusion", "auto_clustering", "budgeted"),
)


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """How a policy is trained. Names of PPO's settings are cleanrl's.

    Attributes:
      seed: of everything random. The same seed, config and machine give the same run.

      workloads: names of workloads (grappler_go_training.workloads), families, or "train"
        for all of that side of the split. Others than those of "train" are refused.
      recorded: folders that `grappler-go record` filled.
      synthetic: random graphs beside them, of min_ops to max_ops ops.
      min_ops, max_ops: graphs with fewer or more ops are left out.

      machines: kinds of machines to plan for: "cpu" (this process, where fusion and
        recomputation matter), "workers" (2 to 8 single-core workers), "gpus" (1 to 8 P100
        or V100 with free state), "mixed" (GPUs of unequal rates); "local" (this process's
        CPU, as `grappler-go calibrate` timed it); or names and files of machines as
        grappler_go.load_machine() takes them, GPUs with free state.
      machines_per_graph: machines drawn for each graph, once. Each pair of a graph and a
        machine is a case, whose best baseline is worked out before training and kept.
      baselines: the plans that a policy has to beat; names of baselines.BASELINES. Which of
        them apply depends on the machine.
      baseline_plans: what those that search may simulate.

      imitation_steps: updates before PPO that imitate the best baseline's plan.
      imitation_learning_rate: Adam's, meanwhile.

      steps: PPO updates after that.
      graphs_per_step: cases whose rollouts make one batch.
      samples: plans drawn and simulated for each of them: the paper's K.
      update_epochs: passes over a batch.
      num_minibatches: into which the cases of a batch are split.
      learning_rate: Adam's. Small, lest what was imitated is forgotten.
      anneal_lr: let it fall linearly to nothing over the steps.
      clip_coef: how far the ratio of an op's new to its old probability may be from 1.
      ent_coef: weight of the entropy.
      vf_coef: weight of the value's squared error.
      best_coef: weight of imitating, beside PPO, the best plan seen for a case so far where
        it is better than the batch's mean. 0: plain PPO.
      max_grad_norm: gradients are scaled down to this norm.
      target_kl: no further epoch once approx_kl is above this; None: never.
      advantage_floor: the least standard deviation of rewards that advantages are divided
        by, so that noise is not blown up where all samples are as good.
      temperature: logits are divided by this when sampling.

      threads: for simulations; 0: one for each core.
      ray_workers: 0: rollouts in this process; else by as many Ray workers (the extra
        [ray]).
      checkpoint_minutes: between checkpoints. One is also written at the end and when the
        run is interrupted.
      keep_checkpoints: of the latest; older ones are deleted.

      network: the network's own settings.
    """

    seed: int = 0

    workloads: tuple[str, ...] = ()
    recorded: tuple[str, ...] = ()
    synthetic: int = 0
    min_ops: int = 20
    max_ops: int = 20_000

    machines: tuple[str, ...] = MACHINE_KINDS
    machines_per_graph: int = 2
    baselines: tuple[str, ...] = BASELINES
    baseline_plans: int = 100

    imitation_steps: int = 100
    imitation_learning_rate: float = 1e-3

    steps: int = 1000
    graphs_per_step: int = 4
    samples: int = 16
    update_epochs: int = 2
    num_minibatches: int = 2
    learning_rate: float = 1e-4
    anneal_lr: bool = False
    clip_coef: float = 0.2
    ent_coef: float = 1e-3
    vf_coef: float = 0.5
    best_coef: float = 0.0
    max_grad_norm: float = 0.5
    target_kl: float | None = None
    advantage_floor: float = 1e-3
    temperature: float = 1.0

    threads: int = 0
    ray_workers: int = 0
    checkpoint_minutes: float = 5.0
    keep_checkpoints: int = 2

    network: NetworkConfig = dataclasses.field(default_factory=NetworkConfig)

    def __post_init__(self) -> None:
        least = {
            **dict.fromkeys(("min_ops", "machines_per_graph", "graphs_per_step", "samples"), 1),
            **dict.fromkeys(("update_epochs", "num_minibatches", "keep_checkpoints"), 1),
            **dict.fromkeys(("synthetic", "steps", "imitation_steps", "threads", "ray_workers"), 0),
        }
        for name, smallest in least.items():
            if getattr(self, name) < smallest:
                raise ValueError(f"{name}={getattr(self, name)}: expected at least {smallest}")
        positive = ("learning_rate", "imitation_learning_rate", "clip_coef", "max_grad_norm")
        for name in (*positive, "temperature", "advantage_floor", "checkpoint_minutes"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}={getattr(self, name)}: expected more than 0")
        if self.max_ops < self.min_ops:
            raise ValueError(f"max_ops={self.max_ops} is below min_ops={self.min_ops}")

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as from_dict() takes them."""
        values = dataclasses.asdict(self)
        return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}


def from_dict(values: Mapping[str, Any], base: TrainConfig | None = None) -> TrainConfig:
    """A config from plain values, those of `base` where it names none.

    Args:
      values: fields by name; "network" may be a dict of fields of NetworkConfig, or a
        field of it is named "network.width".

    Raises:
      ValueError: there is no such field (the message has the nearest), or a value of it
        is of another type or makes no sense.
    """
    base = base or TrainConfig()
    own = {k: v for k, v in values.items() if k != "network" and not k.startswith("network.")}
    network = dict(values.get("network") or {})
    network |= {k.removeprefix("network."): v for k, v in values.items() if "network." in k}
    return dataclasses.replace(
        base,
        **_fields(TrainConfig, own, ""),
        network=dataclasses.replace(base.network, **_fields(NetworkConfig, network, "network.")),
    )


def read(path: str | os.PathLike[str], base: TrainConfig | None = None) -> TrainConfig:
    """A config from a JSON file, or one that ships with this package, such as "go-1.0".

    Raises:
      OSError: it cannot be read.
      ValueError: as from_dict(), with the file's name.
    """
    shipped = _SHIPPED / f"{os.fspath(path)}.json"
    file = shipped if shipped.exists() else pathlib.Path(path)
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(values, dict):
            raise ValueError("expected an object with the fields of TrainConfig")
        return from_dict(values, base)
    except ValueError as error:
        raise ValueError(f"{os.fspath(path)}: {error}") from error


def parse_assignments(texts: Sequence[str]) -> dict[str, Any]:
    """ "steps=100", "network.width=64", "machines=cpu,gpus" as from_dict() takes them.

    Raises:
      ValueError: a text without "=", or as from_dict().
    """
    found: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise ValueError(f"{text!r}: expected FIELD=VALUE")
        kind = _kind_of(name)
        if kind is tuple:
            found[name] = [part for part in value.split(",") if part]
            continue
        try:
            found[name] = json.loads(value.lower() if kind is bool else value)
        except ValueError:
            found[name] = value
    return found


def _kind_of(name: str) -> type:
    prefix, _, rest = name.rpartition(".")
    owner = NetworkConfig if prefix == "network" else TrainConfig
    hints = _checked_hints(owner, rest if prefix == "network" else name, name)
    return typing.get_origin(hints) or hints


def _checked_hints(owner: type, name: str, full: str) -> Any:
    hints = typing.get_type_hints(owner)
    if name not in hints:
        near = difflib.get_close_matches(name, list(hints), n=1, cutoff=0.0)[0]
        whole = full.removesuffix(name) + near
        raise ValueError(f"no field {full!r}; the nearest is {whole!r}")
    return hints[name]


def _fields(owner: type, values: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {
        name: _as(_checked_hints(owner, name, prefix + name), value, prefix + name)
        for name, value in values.items()
    }


def _as(hint: Any, value: Any, name: str) -> Any:
    if typing.get_origin(hint) is tuple:
        if isinstance(value, str) or not all(isinstance(part, str) for part in value):
            raise ValueError(f"{name}={value!r}: expected a list of names")
        return tuple(value)
    kinds = typing.get_args(hint) or (hint,)
    if float in kinds and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        expected = " or ".join("null" if k is type(None) else k.__name__ for k in kinds)
        raise ValueError(f"{name}={value!r}: expected {expected}")
    return value
