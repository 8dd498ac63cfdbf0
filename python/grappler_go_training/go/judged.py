"""A policy as evaluation asks it: a run's network, or one that was exported.

policy = judged.load("grappler_go/policies/go-1.0")
scores = policy.scores(case)
"""

import os
import pathlib
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from grappler_go import native
from grappler_go_training.go import run_folder, sampling
from grappler_go_training.go.environment import Case
from grappler_go_training.go.network import Actions, GoNetwork
from grappler_go_training.go.rollouts import LocalRollouts, Request
from grappler_go_training.go.train_config import TrainConfig


class JudgedPolicy(Protocol):
    """What evaluation needs of a policy."""

    # With its version, or which checkpoint it is.
    name: str
    # Baselines that its training asked; empty where that is not known.
    baselines: tuple[str, ...]

    @property
    def draws(self) -> bool:
        """Whether it can be sampled."""

    def scores(self, case: Case) -> Mapping[str, np.ndarray]:
        """By task, what an exported policy answers (sampling.to_logits)."""

    def draw(self, case: Case, seed: int) -> list[Mapping[str, np.ndarray]]:
        """Some draws, each as scores that say nothing else.

        Raises:
          ValueError: it cannot be sampled.
        """

    def trainable(self) -> tuple[GoNetwork, TrainConfig]:
        """A network of its own to train further, and how it was trained.

        Raises:
          ValueError: it is no network that this program can train.
        """


class NetworkPolicy:
    """A network in this process; what was traced for a case is kept until the next one."""

    def __init__(self, network: GoNetwork, config: TrainConfig, name: str) -> None:
        self.name = name
        self.baselines = config.baselines
        self._network, self._config = network, config
        self._case: Case | None = None
        self._rollouts: LocalRollouts | None = None

    @property
    def draws(self) -> bool:
        return True

    def scores(self, case: Case) -> Mapping[str, np.ndarray]:
        return self._of(case).scores(0)

    def draw(self, case: Case, seed: int) -> list[Mapping[str, np.ndarray]]:
        network = self._config.network
        _, actions, _, _ = self._of(case).draw(Request(0, seed, network.iterations))
        num_devices = len(case.target.machine.devices)
        return [
            sampling.actions_to_logits(Actions(*one), num_devices, network)
            for one in zip(*actions, strict=True)
        ]

    def trainable(self) -> tuple[GoNetwork, TrainConfig]:
        network = run_folder.new_network(self._config)
        network.take_over(self._network)
        return network, self._config

    def _of(self, case: Case) -> LocalRollouts:
        if self._rollouts is None or self._case is not case:
            if self._rollouts is not None:
                self._rollouts.close()
            self._rollouts = LocalRollouts(self._network, [case], self._config)
            self._case = case
        return self._rollouts


class ExportedPolicy:
    """A policy's folder, asked through the core, as the pass asks it.

    Args:
      folder: as enable(policy=...) takes it.

    Raises:
      ValueError: the core does not load it.
    """

    baselines: tuple[str, ...] = ()

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._folder = folder
        self._policy = native.core().load_policy(os.fspath(folder))
        self.name = self._policy.name

    @property
    def draws(self) -> bool:
        return False

    def scores(self, case: Case) -> Mapping[str, np.ndarray]:
        target = case.target
        answer: Any = self._policy.decide(case.graph, target.machine, free_state=target.free_state)
        return {task: answer[task] for task in sampling.TASKS if task in answer}

    def draw(self, case: Case, seed: int) -> list[Mapping[str, np.ndarray]]:
        raise ValueError("an exported policy answers with scores and cannot be sampled")

    def trainable(self) -> tuple[GoNetwork, TrainConfig]:
        network, config, _ = run_folder.load_network(self._folder)
        return network, config


def load(path: str | os.PathLike[str]) -> JudgedPolicy:
    """The policy of an exported folder or of that name among those that ship, of a run's
    folder or of a checkpoint.

    Raises:
      OSError, ValueError: there is none, or it is damaged.
    """
    folder = native.policy_folder(path)
    if (folder / run_folder.SCHEMA).exists():
        return ExportedPolicy(folder)
    network, config, file = run_folder.load_network(path)
    return NetworkPolicy(network, config, f"{pathlib.Path(path).name} ({file.stem})")
