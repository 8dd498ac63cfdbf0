"""Proximal policy optimization (Schulman et al. 2017) of GO, for episodes of one step.

An episode is one decision for a graph on a machine, so there is no discount and no
generalised advantage: the return is the reward. What is particular to GO:

- Thousands of ops decide at once and share one reward. The ratio and its clipping are per
  op (of a whole graph the product of ratios would overflow, or always be clipped); losses
  are means over the ops that matter, so that graphs of any size weigh the same.
- The K samples of a rollout share all passes of the network but the last draw. They are
  as good as a second value: their mean is taken off the advantages, their standard
  deviation divides them. And one evaluation of the network serves all of them.
- Which pass is the last one is drawn from 1 to T for each rollout, so that every pass
  learns, the first of them from nothing decided.

Names are those of cleanrl's ppo.py: b_ for a batch, mb_ for a minibatch.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from grappler_go import native
from grappler_go_training.go import sampling
from grappler_go_training.go.environment import Case
from grappler_go_training.go.inputs import GraphInputs, inputs_spec
from grappler_go_training.go.network import Actions, GoNetwork, Heads, actions_spec
from grappler_go_training.go.optimizer import Adam
from grappler_go_training.go.train_config import TrainConfig

_Floats = npt.NDArray[np.float32]


class Diverged(RuntimeError):
    """A loss or a gradient is not a finite number; nothing was applied."""


class Rollout(NamedTuple):
    """K plans of one case, drawn from the same last pass.

    Attributes:
      case: its number.
      previous: [num_ops] by task, the actions which that pass saw.
      actions: [K, num_ops] by task.
      log_probs: [K, num_ops] by task, of these actions when they were drawn.
      rewards: [K].
      value: what the network expected.
    """

    case: int
    previous: Actions
    actions: Actions
    log_probs: sampling.LogProbs
    rewards: _Floats
    value: float


class Best(NamedTuple):
    """Actions to imitate.

    Attributes:
      actions: [num_ops] by task.
      decides: [num_ops] by task, 0 or 1: whether there is anything to imitate.
    """

    actions: Actions
    decides: sampling.LogProbs


@dataclasses.dataclass(frozen=True)
class Losses:
    """What someone who debugs PPO wants to see; means over a step's minibatches.

    Attributes:
      policy_loss, value_loss, entropy: parts of the loss. Entropy is per op, summed over
        tasks.
      best_loss: cross-entropy to the best plan seen, per op.
      approx_kl: mean of (ratio - 1) - log(ratio), from where the batch was drawn to now
        (http://joschu.net/blog/kl-approx.html).
      clipfrac: share of the ratios that are clipped.
      grad_norm: before it is clipped.
    """

    policy_loss: float
    value_loss: float
    entropy: float
    best_loss: float
    approx_kl: float
    clipfrac: float
    grad_norm: float


def advantages_of(rewards: _Floats, value: float, floor: float) -> _Floats:
    """[K] what each sample was worth more than expected, from the rewards of one rollout.

    With several samples their mean is the better expectation (the value is the same for
    all of them and drops out), and they are scaled to a standard deviation of 1, of which
    `floor` is the least that is taken for real.
    """
    advantages = rewards - np.float32(value)
    if len(advantages) > 1:
        advantages = advantages - advantages.mean()
        advantages = advantages / max(float(advantages.std()), floor)
    return advantages.astype(np.float32)


def explained_variance(values: npt.ArrayLike, returns: npt.ArrayLike) -> float:
    """1: values foresee returns exactly; 0: no better than their mean; NaN: returns do
    not vary."""
    values, returns = np.asarray(values, np.float64), np.asarray(returns, np.float64)
    variance = returns.var()
    return float("nan") if variance == 0 else float(1 - (returns - values).var() / variance)


def policy_loss(
    new_log_probs: tf.Tensor,
    old_log_probs: tf.Tensor,
    advantages: tf.Tensor,
    matters: tf.Tensor,
    clip_coef: float,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """(loss, approx_kl, clipfrac) of one task: means over samples and the ops that matter.

    Args:
      new_log_probs, old_log_probs: [K, num_ops].
      advantages: [K].
      matters: [num_ops] 0 or 1; where it is 0 throughout, all results are 0.
    """
    log_ratio = (new_log_probs - old_log_probs) * matters
    ratio = tf.exp(log_ratio)
    clipped = tf.clip_by_value(ratio, 1 - clip_coef, 1 + clip_coef)
    pg_loss1 = -advantages[:, tf.newaxis] * ratio
    pg_loss2 = -advantages[:, tf.newaxis] * clipped

    def mean(values: tf.Tensor) -> tf.Tensor:
        return tf.reduce_mean(masked_mean(values, matters))

    loss = mean(tf.maximum(pg_loss1, pg_loss2))
    approx_kl = mean((ratio - 1) - log_ratio)
    clipfrac = mean(tf.cast(tf.abs(ratio - 1) > clip_coef, tf.float32))
    return loss, approx_kl, clipfrac


def masked_mean(values: tf.Tensor, matters: tf.Tensor) -> tf.Tensor:
    """[...] the mean over the last dimension, [..., num_ops], where `matters` is 1; 0 where
    it is nowhere."""
    return tf.reduce_sum(values * matters, -1) / tf.maximum(tf.reduce_sum(matters), 1.0)


class Learner:
    """A network and its optimizer.

    Args:
      network: its variables are trained in place.
      cases: whose numbers rollouts name.
      config: PPO's settings.
    """

    def __init__(self, network: GoNetwork, cases: Sequence[Case], config: TrainConfig) -> None:
        self.network = network
        self.optimizer = Adam(network.trainable_variables)
        self._config = config
        self._inputs = [GraphInputs(*map(tf.constant, case.inputs)) for case in cases]
        self._matters = [mask_of(case.matters) for case in cases]
        # For graphs of any size and any number of samples: nothing is traced again.
        inputs = inputs_spec(json.loads(native.core().schema_json()))
        per_op, per_sample = _by_task([None], tf.float32), _by_task([None, None], tf.float32)
        best = Best(actions_spec(), per_op)
        self._ppo_part = tf.function(
            self._ppo_gradients,
            input_signature=[
                inputs,
                actions_spec(),
                Actions(*_by_task([None, None], tf.int32)),
                per_sample,
                tf.TensorSpec([None], tf.float32),
                tf.TensorSpec([], tf.float32),
                per_op,
                best,
            ],
        )
        self._imitation_part = tf.function(
            self._imitation_gradients, input_signature=[inputs, actions_spec(), best, per_op]
        )

    def ppo(
        self,
        batch: Sequence[Rollout],
        best: Mapping[int, Best],
        learning_rate: float,
        rng: np.random.Generator,
    ) -> Losses:
        """Update_epochs passes over a batch in shuffled minibatches.

        Args:
          best: by case, what to imitate beside (TrainConfig.best_coef); may lack any.

        Raises:
          Diverged: the network is as the minibatch before left it.
        """
        config = self._config
        b_advantages = [
            advantages_of(rollout.rewards, rollout.value, config.advantage_floor)
            for rollout in batch
        ]
        seen: list[npt.NDArray[np.float64]] = []
        for _ in range(config.update_epochs):
            b_inds = rng.permutation(len(batch))
            epoch_kl = []
            for mb_inds in np.array_split(b_inds, min(config.num_minibatches, len(batch))):
                grads, stats = self._mean_gradients(
                    [
                        self._ppo_part(
                            self._inputs[batch[i].case],
                            batch[i].previous,
                            batch[i].actions,
                            batch[i].log_probs,
                            b_advantages[i],
                            np.float32(batch[i].rewards.mean()),
                            self._matters[batch[i].case],
                            self._best_of(batch[i], best),
                        )
                        for i in mb_inds
                    ]
                )
                norm = self._apply(grads, learning_rate)
                seen.append(np.append(stats, norm))
                epoch_kl.append(stats[4])
            if config.target_kl is not None and np.mean(epoch_kl) > config.target_kl:
                break
        return Losses(*np.mean(seen, axis=0).tolist())

    def imitate(
        self, examples: Sequence[tuple[int, Actions, Best]], learning_rate: float
    ) -> tuple[float, float]:
        """One step towards the actions of (case, what the last pass sees, what to imitate).

        Returns:
          (cross-entropy per op, norm of the gradient).

        Raises:
          Diverged: nothing was applied.
        """
        grads, stats = self._mean_gradients(
            [
                self._imitation_part(self._inputs[case], previous, best, self._matters[case])
                for case, previous, best in examples
            ]
        )
        return float(stats[0]), self._apply(grads, learning_rate)

    def _apply(self, grads: list[tf.Tensor], learning_rate: float) -> float:
        norm = self.optimizer.apply(grads, learning_rate, self._config.max_grad_norm)
        if not np.isfinite(norm):
            raise Diverged(f"the norm of the gradient is {norm}")
        return norm

    def _best_of(self, rollout: Rollout, best: Mapping[int, Best]) -> Best:
        found = best.get(rollout.case)
        if found is not None:
            return found
        nothing = np.zeros_like(rollout.log_probs.device[0])
        some = Actions(*(task[0] for task in rollout.actions))
        return Best(some, sampling.LogProbs(*[nothing] * len(sampling.TASKS)))

    def _ppo_gradients(
        self,
        inputs: GraphInputs,
        previous: Actions,
        actions: Actions,
        old_log_probs: sampling.LogProbs,
        advantages: tf.Tensor,
        mean_return: tf.Tensor,
        matters: sampling.LogProbs,
        best: Best,
    ) -> tuple[list[tf.Tensor], tf.Tensor]:
        """Gradients of one rollout's loss, and [6] the first fields of Losses."""
        config = self._config
        with tf.GradientTape() as tape:
            heads = self.network(inputs, previous)
            new_log_probs, entropies = log_probs_of_samples(heads, actions)
            per_task = [
                policy_loss(new, old, advantages, task_matters, config.clip_coef)
                for new, old, task_matters in zip(
                    new_log_probs, old_log_probs, matters, strict=True
                )
            ]
            pg_loss, approx_kl, clipfrac = (
                tf.add_n(values) for values in zip(*per_task, strict=True)
            )
            entropy = tf.add_n(list(map(masked_mean, entropies, matters)))
            # Huber's, as a plan out of memory is ten away from all others.
            v_loss = tf.reduce_mean(huber(heads.value - mean_return))
            best_loss = cross_entropy(heads, best, matters)
            loss = pg_loss - config.ent_coef * entropy + config.vf_coef * v_loss
            loss += config.best_coef * best_loss
        gradients = tape.gradient(
            loss, self.network.trainable_variables, unconnected_gradients="zero"
        )
        share = 1 / tf.cast(tf.maximum(1, num_deciding(matters)), tf.float32)
        stats = [pg_loss, v_loss, entropy, best_loss, approx_kl * share, clipfrac * share]
        return dense(gradients), tf.stack(stats)

    def _imitation_gradients(
        self, inputs: GraphInputs, previous: Actions, best: Best, matters: sampling.LogProbs
    ) -> tuple[list[tf.Tensor], tf.Tensor]:
        """Gradients of the cross-entropy, and [1] it."""
        with tf.GradientTape() as tape:
            loss = cross_entropy(self.network(inputs, previous), best, matters)
        gradients = tape.gradient(
            loss, self.network.trainable_variables, unconnected_gradients="zero"
        )
        return dense(gradients), tf.reshape(loss, [1])

    def _mean_gradients(
        self, parts: Sequence[tuple[list[tf.Tensor], tf.Tensor]]
    ) -> tuple[list[tf.Tensor], npt.NDArray[np.float64]]:
        stats = np.mean([part[1].numpy() for part in parts], axis=0)
        if not np.isfinite(stats).all():
            raise Diverged(f"a loss is not a finite number: {stats.tolist()}")
        together = zip(*(part[0] for part in parts), strict=True)
        gradients = [tf.add_n(list(same)) / len(parts) for same in together]
        return gradients, stats.astype(np.float64)


def mask_of(by_task: Mapping[str, _Floats]) -> sampling.LogProbs:
    """Arrays by the name of a task as arrays by its field."""
    return sampling.LogProbs(**{task: tf.constant(by_task[task]) for task in sampling.TASKS})


def _by_task(shape: list[int | None], dtype: tf.DType) -> sampling.LogProbs:
    return sampling.LogProbs(*[tf.TensorSpec(shape, dtype)] * len(sampling.TASKS))


def num_deciding(matters: sampling.LogProbs) -> tf.Tensor:
    """How many tasks have an op that matters."""
    return tf.add_n([tf.cast(tf.reduce_any(mask > 0), tf.int32) for mask in matters])


def log_probs_of_samples(
    heads: Heads, actions: Actions
) -> tuple[sampling.LogProbs, sampling.LogProbs]:
    """[K, num_ops] by task, and entropies [num_ops] by task, which K does not change."""
    by_op = tf.nest.map_structure(tf.transpose, actions)
    log_probs, entropies = sampling.log_probs_and_entropy(heads, by_op)
    return tf.nest.map_structure(tf.transpose, log_probs), entropies


def cross_entropy(heads: Heads, best: Best, matters: sampling.LogProbs) -> tf.Tensor:
    """[] to the actions of `best`: by task the mean over ops that matter and of which it
    decides, then the sum over tasks."""
    log_probs, _ = sampling.log_probs_and_entropy(heads, best.actions)
    return -tf.add_n(
        [
            masked_mean(task, task_matters * decides)
            for task, task_matters, decides in zip(log_probs, matters, best.decides, strict=True)
        ]
    )


def huber(difference: tf.Tensor) -> tf.Tensor:
    """Half the square up to 1, from there linear."""
    size = tf.abs(difference)
    return tf.where(size <= 1, 0.5 * size * size, size - 0.5)


def dense(gradients: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """Gradients of embeddings come as slices."""
    return [tf.convert_to_tensor(gradient) for gradient in gradients]
