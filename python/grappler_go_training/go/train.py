"""Trains a policy: imitation of the best baselines, then PPO. Stops at any moment and
goes on from its last checkpoint as if it had not.

    config = train_config.from_dict({"workloads": ["bert-tiny-train"], "steps": 50})
    result = train(config, "runs/first")
    print(result.mean_ratio)
"""

import contextlib
import dataclasses
import math
import os
import pathlib
import time
from collections.abc import Callable, Sequence

import numpy as np

from grappler_go_training.go import checkpoint, imitate, machines, run_folder, sources, train_config
from grappler_go_training.go.curves import Curves
from grappler_go_training.go.environment import (
    INVALID_REWARD,
    Case,
    Outcome,
    make_case,
    outcome_of,
)
from grappler_go_training.go.network import Actions, GoNetwork
from grappler_go_training.go.ppo import Best, Diverged, Learner, Rollout, explained_variance
from grappler_go_training.go.rollouts import LocalRollouts, Request, Rollouts
from grappler_go_training.go.run_folder import RunFolder
from grappler_go_training.go.teacher import TeacherCache
from grappler_go_training.go.train_config import TrainConfig

# (what is being done, done, in all, figures worth showing)
OnProgress = Callable[[str, int, int, dict[str, float]], None]
_OPTIMIZER, _BEST = "optimizer/", "best/"


@dataclasses.dataclass(frozen=True)
class Result:
    """What a run came to.

    Attributes:
      steps: done, imitation included.
      finished: all that the config asks for; False: it was stopped.
      checkpoint: the last one.
      ratios: by case, the greedy plan's step over the best baseline's; infinite where it
        does not fit. Empty where the run was stopped.
      best: by case, the best plan that was seen, the greedy and the baseline's included.
        Empty where the run was stopped.
      skipped: (name, why) of graphs that were left out.
    """

    steps: int
    finished: bool
    checkpoint: pathlib.Path
    ratios: dict[str, float]
    best: dict[str, Outcome]
    skipped: list[tuple[str, str]]

    @property
    def mean_ratio(self) -> float:
        """Geometric mean of the ratios; NaN where there are none."""
        if not self.ratios:
            return math.nan
        return float(np.exp(np.mean(np.log(list(self.ratios.values())))))


def train(
    config: TrainConfig,
    folder: str | os.PathLike[str],
    *,
    cases: Sequence[Case] | None = None,
    start_from: GoNetwork | None = None,
    on_progress: OnProgress = lambda *_: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Result:
    """Trains in a folder, from where the folder's last checkpoint is.

    Args:
      config: what to do.
      folder: of this run alone; made if missing.
      cases: in place of those that the config's graphs and machines make.
      start_from: a network of the same config; its variables are the start. None: a new
        one.
      on_progress: called after each step and each case that was made ready.
      should_stop: asked after each step; a checkpoint is written before train() returns.

    Raises:
      ValueError: nothing to train on, another config than the folder's.
      OSError: the folder cannot be written.
      Diverged: a loss was not a number; the message names the last good checkpoint.
    """
    store = RunFolder(folder)
    skipped: list[tuple[str, str]] = []
    with contextlib.ExitStack() as at_end:
        at_end.callback(store.close)
        store.start(config)
        if cases is None:
            cases = make_cases(config, store.path, on_progress, lambda *why: skipped.append(why))
        trainer = Trainer(config, store, cases, start_from)
        at_end.callback(trainer.close)
        finished = trainer.run(on_progress, should_stop)
        outcomes = trainer.outcomes() if finished else {}
    return Result(
        steps=trainer.step,
        finished=finished,
        checkpoint=checkpoint.file_of(store.checkpoints, trainer.step),
        ratios={name: ratio for name, (ratio, _) in outcomes.items()},
        best={name: best for name, (_, best) in outcomes.items()},
        skipped=skipped,
    )


def make_cases(
    config: TrainConfig,
    folder: str | os.PathLike[str],
    on_progress: OnProgress,
    skipped: Callable[[str, str], None],
) -> list[Case]:
    """Each graph on machines_per_graph machines, with its best baseline.

    Machines are drawn by the seed and the graph's name: which other graphs there are does
    not matter.

    Raises:
      ValueError: no graph is left.
    """
    cache = TeacherCache(
        pathlib.Path(folder) / run_folder.BASELINES, config.baselines, config.baseline_plans
    )
    found = sources.sources(config)
    cases: list[Case] = []
    total = len(found) * config.machines_per_graph
    for loaded in sources.load(found, config, skipped):
        rng = np.random.default_rng([config.seed, *loaded.name.encode()])
        needed = machines.needed_bytes(loaded.graph)
        kinds = rng.permutation(len(config.machines))
        for number in range(config.machines_per_graph):
            kind = config.machines[kinds[number % len(kinds)]]
            case = _drawn_case(loaded, kind, needed, rng, number, cache)
            if not case.teacher.fits and kind in train_config.MACHINE_KINDS:
                # Where no baseline fits there is nothing to imitate, and most likely every
                # sample is as bad as the next: the same kind with all the memory it wants.
                case = _drawn_case(loaded, kind, 0, rng, number, cache)
            if case.tasks:
                cases.append(case)
            else:
                skipped(case.name, "nothing can be decided there")
            on_progress(f"baselines of {loaded.name}", len(cases), total, {})
    if not cases:
        raise ValueError("no graph is left to train on; `skipped` says why")
    return cases


def _drawn_case(
    loaded: sources.Loaded,
    kind: str,
    needed_bytes: int,
    rng: np.random.Generator,
    number: int,
    cache: TeacherCache,
) -> Case:
    target = machines.sample(kind, needed_bytes, rng)
    name = f"{loaded.name} on {target.machine.name} #{number}"
    return make_case(name, loaded.family, loaded.captured, target, cache.get)


class Trainer:
    """One run in memory.

    Args:
      config, store, cases, start_from: as train().

    Attributes:
      network: as trained so far.
      step: how many steps were done, imitation included.
    """

    def __init__(
        self,
        config: TrainConfig,
        store: RunFolder,
        cases: Sequence[Case],
        start_from: GoNetwork | None = None,
    ) -> None:
        self._config = config
        self._store = store
        self._cases = list(cases)
        self.network = start_from or run_folder.new_network(config)
        self._learner = Learner(self.network, cases, config)
        self._local = LocalRollouts(self.network, cases, config)
        self._rollouts = self._make_rollouts()
        self._teachers = [imitate.teacher_actions(case, config.network) for case in cases]
        self._families = sorted({case.family for case in cases})
        self._rng = np.random.default_rng(config.seed)
        # By case: the best plan known, to begin with the teacher's; with the devices that it
        # has, not those that were drawn.
        self._best: dict[int, tuple[float, Actions]] = {}
        self.step = 0
        found = checkpoint.latest(store.checkpoints)
        if found is not None:
            self._restore(found)
        self._try_teachers()
        store.forget_after(self.step)
        self._curves = Curves(store.path / run_folder.CURVES)

    def _try_teachers(self) -> None:
        """A plan of the teacher's actions need not be the teacher's plan: they do not say in
        which order groups grew, and a step's schedule only in levels."""
        for number, case in enumerate(self._cases):
            if number not in self._best:
                actions = self._teachers[number].actions
                (outcome,) = self._local.environment.try_actions(case, [actions], by_cut=False)
                self._best[number] = outcome.reward, actions

    def _make_rollouts(self) -> Rollouts:
        if not self._config.ray_workers:
            return self._local
        from grappler_go_training.go.ray_rollouts import RayRollouts

        return RayRollouts(self.network, self._cases, self._config)

    def close(self) -> None:
        """Ends threads and workers, and writes the curves out."""
        self._curves.close()
        self._rollouts.close()
        self._local.close()

    def run(self, on_progress: OnProgress, should_stop: Callable[[], bool]) -> bool:
        """All steps that are left; False: stopped before their end.

        Raises:
          Diverged: as train().
        """
        total = self._config.imitation_steps + self._config.steps
        saved = time.monotonic()
        while self.step < total:
            imitating = self.step < self._config.imitation_steps
            try:
                row = self._imitation_step() if imitating else self._ppo_step()
            except Diverged as error:
                last = checkpoint.latest(self._store.checkpoints)
                raise Diverged(
                    f"step {self.step + 1}: {error}. Stopped; "
                    + (f"the last good checkpoint is {last}" if last else "there is no checkpoint")
                    + ". A smaller learning_rate or max_grad_norm may help."
                ) from error
            self.step += 1
            self._log(row)
            on_progress("imitation" if imitating else "PPO", self.step, total, row)
            stopped = should_stop() and self.step < total
            due = time.monotonic() - saved >= 60 * self._config.checkpoint_minutes
            if stopped or due or self.step == total:
                self.save()
                saved = time.monotonic()
            if stopped:
                return False
        return True

    # ---- steps

    def _imitation_step(self) -> dict[str, float]:
        started = time.monotonic()
        examples = [
            (request.case, self._local.before(request), self._teachers[request.case])
            for request in self._requests()
        ]
        loss, norm = self._learner.imitate(examples, self._config.imitation_learning_rate)
        return {
            "imitation/cross_entropy": loss,
            "imitation/grad_norm": norm,
            "speed/steps_per_second": 1 / (time.monotonic() - started),
        }

    def _ppo_step(self) -> dict[str, float]:
        started = time.monotonic()
        batch = self._rollouts.collect(self._requests())
        rolled_out = time.monotonic()
        self._remember(batch)
        better: dict[int, Best] = {}
        for rollout in batch if self._config.best_coef else ():
            reward, actions = self._best[rollout.case]
            if reward > rollout.rewards.mean():
                better[rollout.case] = imitate.best_actions(actions)
        rate = self._learning_rate()
        losses = self._learner.ppo(batch, better, rate, self._rng)
        ended = time.monotonic()
        returns = np.array([rollout.rewards.mean() for rollout in batch])
        values = np.array([rollout.value for rollout in batch])
        fits = [r for rollout in batch for r in rollout.rewards if r > INVALID_REWARD]
        row = {f"losses/{k}": v for k, v in dataclasses.asdict(losses).items()}
        row |= {
            "charts/learning_rate": rate,
            "charts/reward": float(np.mean(fits)) if fits else math.nan,
            "charts/out_of_memory": 1 - len(fits) / sum(len(r.rewards) for r in batch),
            "losses/explained_variance": explained_variance(values, returns),
            "speed/steps_per_second": 1 / (ended - started),
            "speed/rollout_share": (rolled_out - started) / (ended - started),
        }
        for rollout in batch:
            row[f"reward/{self._cases[rollout.case].name}"] = float(rollout.rewards.mean())
            row[f"best/{self._cases[rollout.case].name}"] = self._best[rollout.case][0]
        return row

    def _requests(self) -> list[Request]:
        """Cases of families drawn evenly, no case twice."""
        wanted = min(self._config.graphs_per_step, len(self._cases))
        chosen: list[int] = []
        while len(chosen) < wanted:
            family = self._families[self._rng.integers(len(self._families))]
            left = [
                number
                for number, case in enumerate(self._cases)
                if case.family == family and number not in chosen
            ]
            if left:
                chosen.append(left[self._rng.integers(len(left))])
        return [
            Request(
                case=case,
                seed=int(self._rng.integers(1 << 62)),
                iterations=int(self._rng.integers(1, self._config.network.iterations + 1)),
            )
            for case in chosen
        ]

    def _learning_rate(self) -> float:
        rate = self._config.learning_rate
        if not self._config.anneal_lr:
            return rate
        done = self.step - self._config.imitation_steps
        return rate * (1 - done / self._config.steps)

    def _remember(self, batch: Sequence[Rollout]) -> None:
        for rollout in batch:
            k = int(rollout.rewards.argmax())
            reward = float(rollout.rewards[k])
            if reward > self._best[rollout.case][0]:
                drawn = Actions(*(task[k] for task in rollout.actions))
                self._best[rollout.case] = reward, self._as_planned(rollout.case, drawn)

    def _as_planned(self, number: int, drawn: Actions) -> Actions:
        """With the devices that a cut made of those that were drawn."""
        case = self._cases[number]
        (outcome,) = self._local.environment.try_actions(case, [drawn])
        planned = outcome.plan.device
        if planned is None:
            return drawn
        device = np.where(planned < 0, case.problem.stands, planned)
        return drawn._replace(device=imitate.in_order(case, device).astype(np.int32))

    def _log(self, row: dict[str, float]) -> None:
        finite = {name: value for name, value in row.items() if math.isfinite(value)}
        self._store.append({"step": self.step, **finite})
        self._curves.write(self.step, finite)

    # ---- what a checkpoint holds

    def save(self) -> pathlib.Path:
        """Writes a checkpoint of now.

        Raises:
          OSError: it cannot be written.
        """
        arrays = run_folder.network_arrays(self.network)
        arrays |= run_folder.arrays_of(self._learner.optimizer.state, _OPTIMIZER)
        for case, (_, actions) in self._best.items():
            # All levels and devices are below 128.
            arrays[f"{_BEST}{case:05d}"] = np.stack(actions).astype(np.int8)
        meta = {
            "config": self._config.to_dict(),
            "random": self._rng.bit_generator.state,
            "cases": [case.name for case in self._cases],
            "best": {str(case): reward for case, (reward, _) in self._best.items()},
        }
        return checkpoint.save(
            self._store.checkpoints, self.step, arrays, meta, self._config.keep_checkpoints
        )

    def _restore(self, path: pathlib.Path) -> None:
        arrays, meta = checkpoint.load(path)
        run_folder.restore_network(self.network, arrays, str(path))
        run_folder.restore(self._learner.optimizer.state, arrays, _OPTIMIZER, str(path))
        self._rng.bit_generator.state = meta["random"]
        self.step = meta["step"]
        numbers = {case.name: number for number, case in enumerate(self._cases)}
        for case, reward in meta["best"].items():
            number = numbers.get(meta["cases"][int(case)])
            if number is not None:
                actions = arrays[f"{_BEST}{int(case):05d}"].astype(np.int32)
                self._best[number] = reward, Actions(*actions)

    # ---- in the end

    def outcomes(self) -> dict[str, tuple[float, Outcome]]:
        """By case, the step of the policy's first choice over the best baseline's, and the
        best of that choice, what was drawn and the teacher's."""
        found = {}
        for number, case in enumerate(self._cases):
            first = outcome_of(case, self._local.scores(number))
            ratio = first.step_us / max(case.teacher.step_us, 1e-9)
            if first.out_of_memory:
                ratio = math.inf
            (best,) = self._local.environment.try_actions(
                case, [self._best[number][1]], by_cut=False
            )
            found[case.name] = ratio, max(first, best, key=lambda one: one.reward)
        return found
