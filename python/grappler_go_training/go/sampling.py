"""From logits to actions: draws, the best ones, and the dicts that _core.build_plan takes."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from grappler_go_training.go import config as go_config
from grappler_go_training.go import inputs as go_inputs
from grappler_go_training.go import network as go_network

TASKS = ("device", "fusion", "schedule", "recompute")

# How sure a device that was drawn is, in nats, where it is weighed against transfers and
# balance (cc/plan/policy_cut.h): enough for the cut to begin there, too little to scatter ops.
DRAWN_NATS = 3.0


class LogProbs(NamedTuple):
    """Natural logarithms (or entropies), float32 [N] for each task. For devices each op of
    a unit has its unit's: what is drawn once. Sums over draws want drawn()."""

    device: tf.Tensor
    fusion: tf.Tensor
    schedule: tf.Tensor
    recompute: tf.Tensor


class Sampled(NamedTuple):
    """A draw.

    Attributes:
      actions: of the last pass.
      previous: of the pass before it; initial_actions() after a single pass.
      log_probs: of `actions` under network(inputs, previous), at temperature 1.
    """

    actions: go_network.Actions
    previous: go_network.Actions
    log_probs: LogProbs


def sample(
    network: go_network.GoNetwork,
    inputs: go_inputs.GraphInputs,
    seed: Any,
    temperature: float = 1.0,
    iterations: int | None = None,
) -> Sampled:
    """Draws actions in several passes, each of which sees all actions of the last.

    Each op's action has the probabilities that its logits say. Draws of different ops are
    not independent, for among thousands of ops independent ones never make a good
    placement: ops of one stretch of the topological order share the noise (Gumbel's, whose
    maximum is a draw), so where their logits agree they decide alike. The length of
    stretches is drawn for each pass, from one op to all of them. Units draw once, with
    their first op's noise.

    Args:
      network: the policy.
      inputs: one graph.
      seed: int32 [2]; the same seed gives the same draw.
      temperature: divides the logits; above 0.
      iterations: passes; None: those of the network's config.
    """
    passes = network.config.iterations if iterations is None else iterations
    if passes < 1:
        raise ValueError(f"iterations is {passes}, expected 1 or more")
    seed = tf.convert_to_tensor(seed, tf.int32)
    encoded = network.encode(inputs)
    actions = first_actions(network, inputs)
    for number in range(passes):
        previous = actions
        heads = network.decode(encoded, inputs, previous)
        actions = draw(heads, inputs.unit, _fold_in(seed, number), temperature)
    return Sampled(actions, previous, log_probs_and_entropy(heads, actions)[0])


def decode(
    network: go_network.GoNetwork, inputs: go_inputs.GraphInputs
) -> tuple[go_network.Actions, go_network.Heads]:
    """The most likely action of each op, in each of config.iterations passes, and the logits
    of the last pass."""
    encoded = network.encode(inputs)
    actions = first_actions(network, inputs)
    for _pass in range(network.config.iterations):
        heads = network.decode(encoded, inputs, actions)
        best = (tf.argmax(getattr(heads, task), 1, tf.int32) for task in TASKS)
        actions = go_network.Actions(*best)
    return actions, heads


def log_probs_and_entropy(
    heads: go_network.Heads, actions: go_network.Actions
) -> tuple[LogProbs, LogProbs]:
    """(log-probabilities of `actions`, entropies of the distributions), by op. Of actions
    [N, K], K draws from one pass, log-probabilities are [N, K], too."""
    log_probs, entropies = [], []
    for task in TASKS:
        all_logs = tf.nn.log_softmax(getattr(heads, task))
        chosen = tf.gather(all_logs, getattr(actions, task), axis=1, batch_dims=1)
        log_probs.append(chosen)
        # What is masked has the probability 0 and adds 0 times a large number.
        entropies.append(-tf.reduce_sum(tf.exp(all_logs) * all_logs, 1))
    return LogProbs(*log_probs), LogProbs(*entropies)


def drawn(inputs: go_inputs.GraphInputs) -> tf.Tensor:
    """float32 [N]: 1 for an op whose device is a draw of its own, that is the first of a
    unit with a choice."""
    first = tf.equal(inputs.unit, tf.range(tf.shape(inputs.unit)[0]))
    choice = tf.reduce_sum(inputs.allowed, 1) > 1
    return tf.cast(first & choice, tf.float32)


def to_logits(heads: go_network.Heads, config: go_config.NetworkConfig) -> dict[str, tf.Tensor]:
    """What _core.build_plan and a policy's SavedModel take of the network's answer.

    `device` [N, D] how likely draws are, in the nats of a draw; `fusion` [N] the expected
    level among those above 0, and 0 where leaving the op alone is most likely; `schedule`
    [N] the expected level; `recompute` [N] the logarithm of its odds.
    """
    del config
    levels = tf.range(1, heads.fusion.shape[1], dtype=tf.float32)
    expected = tf.linalg.matvec(tf.nn.softmax(heads.fusion[:, 1:]), levels)
    fuses = tf.argmax(heads.fusion, 1, tf.int32) > 0
    steps = tf.range(heads.schedule.shape[1], dtype=tf.float32)
    return {
        "device": DRAWN_NATS * tf.nn.softmax(heads.device),
        "fusion": tf.where(fuses, expected, 0.0),
        "schedule": tf.linalg.matvec(tf.nn.softmax(heads.schedule), steps),
        "recompute": heads.recompute[:, 1] - heads.recompute[:, 0],
    }


def actions_to_logits(
    actions: go_network.Actions, num_devices: int, config: go_config.NetworkConfig
) -> Mapping[str, np.ndarray]:
    """The dict for which _core.build_plan makes the plan of exactly these actions, or, with
    cut_by_policy, of these fusions and priorities and a cut that these devices are to guide.

    Raises:
      ValueError: an action out of its range.
    """
    limits = (num_devices, config.fusion_levels, config.schedule_levels, 2)
    arrays = {}
    for task, limit in zip(TASKS, limits, strict=True):
        values = np.asarray(getattr(actions, task))
        if values.size and not -1 <= values.min() <= values.max() < limit:
            raise ValueError(f"{task} has an action out of range, expected below {limit}")
        arrays[task] = values
    # A device of -1 has a row of zeros: a tie, which leaves an op where it is.
    one_hot = arrays["device"][:, np.newaxis] == np.arange(num_devices)
    return {
        "device": DRAWN_NATS * one_hot.astype(np.float32),
        "fusion": np.maximum(arrays["fusion"], 0).astype(np.float32),
        "schedule": np.maximum(arrays["schedule"], 0).astype(np.float32),
        "recompute": np.maximum(arrays["recompute"], 0).astype(np.float32),
    }


def first_actions(
    network: go_network.GoNetwork, inputs: go_inputs.GraphInputs
) -> go_network.Actions:
    """What the first pass sees: nothing is decided."""
    shape = tf.shape(inputs.allowed)
    return go_network.initial_actions(shape[0], shape[1], network.config)


def _fold_in(seed: tf.Tensor, number: int) -> tf.Tensor:
    return tf.random.experimental.stateless_fold_in(seed, number)


def draw(
    heads: go_network.Heads, unit: tf.Tensor, seed: tf.Tensor, temperature: float
) -> go_network.Actions:
    """One draw from a pass, as sample() describes it.

    Args:
      heads: what the network said.
      unit: GraphInputs.unit.
      seed: int32 [2].
      temperature: as sample().
    """
    actions = []
    for number, task in enumerate(TASKS):
        logits = getattr(heads, task)
        noise = _shared_noise(tf.shape(logits), _fold_in(seed, number))
        if task == "device":
            noise = tf.gather(noise, unit)
        actions.append(tf.argmax(logits / temperature + noise, 1, tf.int32))
    return go_network.Actions(*actions)


def _shared_noise(shape: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """[n, actions] of Gumbel noise, the same in all rows of a stretch. 1 / length of
    stretches is log-uniform from 1 to 1 / n."""
    seeds = tf.random.experimental.stateless_split(seed, 3)
    num_ops = tf.cast(shape[0], tf.float32)
    exponent = tf.random.stateless_uniform([], seeds[0])
    begins = tf.exp(-exponent * tf.math.log(tf.maximum(num_ops, 1.0)))
    starts = tf.random.stateless_uniform(shape[:1], seeds[1]) < begins
    stretch = tf.cumsum(tf.cast(starts, tf.int32))
    uniform = tf.random.stateless_uniform(
        tf.add(shape, [1, 0]), seeds[2], minval=np.finfo(np.float32).tiny, maxval=1.0
    )
    return tf.gather(-tf.math.log(-tf.math.log(uniform)), stretch)
