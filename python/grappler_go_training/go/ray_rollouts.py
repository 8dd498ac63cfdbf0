"""Rollouts over Ray workers, on this machine or many.

    pip install 'grappler-go[ray]'
    grappler-go train RUN --set ray_workers=8                      # processes of this machine
    RAY_ADDRESS=head:6379 grappler-go train RUN --set ray_workers=64   # a cluster that runs

Each worker has all cases and a network of its own, whose variables come with each request:
workers keep nothing that matters. One that dies is started again by Ray, and what it was
doing is done anew; as requests carry their seeds, the rollouts are the same.
"""

import json
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

import grappler_go
from grappler_go_training.go import run_folder, teacher, train_config
from grappler_go_training.go.environment import Case, make_case
from grappler_go_training.go.machines import Target
from grappler_go_training.go.network import GoNetwork
from grappler_go_training.go.ppo import Rollout
from grappler_go_training.go.rollouts import LocalRollouts, Request
from grappler_go_training.go.train_config import TrainConfig

if TYPE_CHECKING:
    from grappler_go.captured import CapturedGraph

# How often one rollout is tried again when its worker dies. A graph that takes all memory
# would kill worker after worker.
_RETRIES = 3


class PackedCase(NamedTuple):
    """A case as it travels: everything else is worked out again."""

    name: str
    family: str
    captured: "CapturedGraph"
    machine: str
    free_state: bool
    kind: str
    teacher: str


def pack(case: Case) -> PackedCase:
    """Of a case, what unpack() needs."""
    return PackedCase(
        name=case.name,
        family=case.family,
        captured=case.captured,
        machine=case.target.machine.to_json(),
        free_state=case.target.free_state,
        kind=case.target.kind,
        teacher=json.dumps(teacher.to_line(case.teacher)),
    )


def unpack(packed: PackedCase) -> Case:
    """The case that was packed; no baseline is asked again."""
    target = Target(grappler_go.Machine.from_json(packed.machine), packed.free_state, packed.kind)
    known = teacher.from_line(json.loads(packed.teacher))
    return make_case(
        packed.name, packed.family, packed.captured, target, lambda problem, where: known
    )


class Worker:
    """What runs in a worker's process.

    Args:
      packed: all cases.
      config: TrainConfig.to_dict().
    """

    def __init__(self, packed: Sequence[PackedCase], config: Mapping[str, Any]) -> None:
        settings = train_config.from_dict(config)
        self._network = run_folder.new_network(settings)
        self._rollouts = LocalRollouts(self._network, [unpack(one) for one in packed], settings)

    def collect(self, request: Request, arrays: Mapping[str, np.ndarray]) -> Rollout:
        """One rollout by the network of these arrays (run_folder.network_arrays)."""
        run_folder.restore_network(self._network, arrays, "what the learner sent")
        return self._rollouts.collect([request])[0]

    def process(self) -> int:
        """Its process's number."""
        return os.getpid()


class RayRollouts:
    """Rollouts by config.ray_workers workers of the Ray cluster that RAY_ADDRESS names;
    without it, of one that is started on this machine and ended by close().

    Args:
      network, cases, config: as LocalRollouts.

    Raises:
      ImportError: Ray is not installed; says how to.
      ConnectionError: RAY_ADDRESS names no cluster.
    """

    def __init__(self, network: GoNetwork, cases: Sequence[Case], config: TrainConfig) -> None:
        self._ray = _import_ray()
        self._network = network
        self._started = not self._ray.is_initialized()
        if self._started:
            own = {} if os.environ.get("RAY_ADDRESS") else {"num_cpus": config.ray_workers}
            self._ray.init(**own, include_dashboard=False, log_to_driver=False)
        remote = self._ray.remote(num_cpus=1, max_restarts=-1, max_task_retries=_RETRIES)(Worker)
        # Kept: a worker that is started anew reads it again.
        self._packed = self._ray.put([pack(case) for case in cases])
        values = config.to_dict() | {"threads": max(1, config.threads)}
        self._workers = [remote.remote(self._packed, values) for _ in range(config.ray_workers)]

    def collect(self, requests: Sequence[Request]) -> list[Rollout]:
        """As LocalRollouts.collect; whoever is free takes the next request.

        Raises:
          RuntimeError: a rollout's worker died again and again.
        """
        weights = self._ray.put(run_folder.network_arrays(self._network))
        pool = self._ray.util.ActorPool(self._workers)
        try:
            return list(pool.map(lambda worker, one: worker.collect.remote(one, weights), requests))
        except self._ray.exceptions.RayActorError as error:
            raise RuntimeError(
                f"a rollout was tried {1 + _RETRIES} times and its worker died each time: is "
                "there enough memory for the largest graph?"
            ) from error

    def processes(self) -> list[int]:
        """Of the workers, in their order."""
        return self._ray.get([worker.process.remote() for worker in self._workers])

    def close(self) -> None:
        """Ends the workers, and the cluster if it was started here."""
        for worker in self._workers:
            self._ray.kill(worker)
        if self._started:
            self._ray.shutdown()


def _import_ray() -> Any:
    try:
        import ray
        import ray.util
    except ImportError as error:
        raise ImportError(
            "ray_workers needs Ray, which is not installed: pip install 'grappler-go[ray]'"
        ) from error
    return ray
