"""Rollouts: K plans of a case drawn from the policy, and what they are worth.

    rollouts = LocalRollouts(network, cases, config)
    for rollout in rollouts.collect([Request(case=0, seed=7, iterations=2)]):
        print(rollout.rewards)

The same requests and weights give the same rollouts, however many threads or workers
there are, and whichever of them does what (ray_rollouts.py).
"""

import json
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import tensorflow as tf

from grappler_go import native
from grappler_go_training.go import sampling
from grappler_go_training.go.environment import Case, Environment
from grappler_go_training.go.inputs import GraphInputs, inputs_spec
from grappler_go_training.go.network import Actions, Encoded, GoNetwork, actions_spec
from grappler_go_training.go.ppo import Rollout, log_probs_of_samples
from grappler_go_training.go.train_config import TrainConfig

# What fits a part of a seed.
_MASK = 0x7FFFFFFF


class Request(NamedTuple):
    """One rollout to make.

    Attributes:
      case: its number.
      seed: of all that is drawn.
      iterations: passes of the network, the last of which is sampled K times.
    """

    case: int
    seed: int
    iterations: int


class Rollouts(Protocol):
    """Something that makes rollouts with the network as it is when it is asked."""

    def collect(self, requests: Sequence[Request]) -> list[Rollout]:
        """One for each request, in their order."""

    def close(self) -> None:
        """Ends threads and workers."""


class LocalRollouts:
    """Rollouts in this process: the network by TensorFlow, plans on threads beside it.

    Args:
      network: read whenever collect() is called.
      cases: that requests number.
      config: samples, temperature and threads are used.

    Attributes:
      environment: in which the plans are tried.
    """

    def __init__(self, network: GoNetwork, cases: Sequence[Case], config: TrainConfig) -> None:
        self._network = network
        self._cases = cases
        self._config = config
        self.environment = Environment(config.network, config.threads)
        self._inputs = [GraphInputs(*map(tf.constant, case.inputs)) for case in cases]
        self._spec = inputs_spec(json.loads(native.core().schema_json()))
        self._traced: dict[tuple[str, int], tf.types.experimental.PolymorphicFunction] = {}
        self._scorer = tf.function(
            lambda inputs: sampling.to_logits(sampling.decode(network, inputs)[1], config.network),
            input_signature=[self._spec],
        )

    def collect(self, requests: Sequence[Request]) -> list[Rollout]:
        drawn = []
        for request in requests:
            previous, actions, log_probs, value = self.draw(request)
            each = [Actions(*row) for row in zip(*actions, strict=True)]
            # The next case's network runs while these plans are simulated.
            running = self.environment.start(self._cases[request.case], each)
            drawn.append((request.case, previous, actions, log_probs, running, value))
        return [
            Rollout(
                case=case,
                previous=previous,
                actions=actions,
                log_probs=log_probs,
                rewards=np.array([one.result().reward for one in running], np.float32),
                value=value,
            )
            for case, previous, actions, log_probs, running, value in drawn
        ]

    def close(self) -> None:
        """Ends the threads."""
        self.environment.close()

    def draw(self, request: Request) -> tuple[Actions, Actions, sampling.LogProbs, float]:
        """(previous [num_ops], actions [K, num_ops], their log-probabilities, value), as of
        Rollout."""
        previous, actions, log_probs, value = self._run(self._sample, request)
        return previous, actions, log_probs, float(value)

    def before(self, request: Request) -> Actions:
        """[num_ops] by task: what draw() calls previous."""
        found: Actions = self._run(self._previous, request)
        return found

    def scores(self, case: int) -> dict[str, np.ndarray]:
        """By task, what an exported policy answers (sampling.to_logits)."""
        found = self._scorer(self._inputs[case])
        return {task: scores.numpy() for task, scores in found.items()}

    def _run(self, what: Callable[..., Any], request: Request) -> Any:
        """Traced once for each number of passes, for graphs of any size."""
        key = what.__name__, request.iterations
        if key not in self._traced:
            self._traced[key] = tf.function(
                lambda inputs, seed: what(inputs, seed, request.iterations),
                input_signature=[self._spec, tf.TensorSpec([2], tf.int32)],
            )
        seed = np.array([request.seed & _MASK, request.seed >> 31 & _MASK], np.int32)
        found = self._traced[key](self._inputs[request.case], seed)
        return tf.nest.map_structure(lambda t: t.numpy(), found)

    def _sample(
        self, inputs: GraphInputs, seed: tf.Tensor, iterations: int
    ) -> tuple[Actions, Actions, sampling.LogProbs, tf.Tensor]:
        encoded = self._network.encode(inputs)
        previous = self._passes(inputs, encoded, seed, iterations - 1)
        heads = self._network.decode(encoded, inputs, previous)
        seeds = tf.random.experimental.stateless_split(seed, self._config.samples)
        actions = tf.map_fn(
            lambda one: sampling.draw(heads, inputs.unit, one, self._config.temperature),
            seeds,
            fn_output_signature=actions_spec(),
        )
        log_probs, _ = log_probs_of_samples(heads, actions)
        return previous, actions, log_probs, heads.value

    def _previous(self, inputs: GraphInputs, seed: tf.Tensor, iterations: int) -> Actions:
        if iterations == 1:
            return sampling.first_actions(self._network, inputs)
        return self._passes(inputs, self._network.encode(inputs), seed, iterations - 1)

    def _passes(
        self, inputs: GraphInputs, encoded: Encoded, seed: tf.Tensor, count: int
    ) -> Actions:
        actions = sampling.first_actions(self._network, inputs)
        for number in range(count):
            heads = self._network.decode(encoded, inputs, actions)
            own = tf.random.experimental.stateless_fold_in(seed, number)
            actions = sampling.draw(heads, inputs.unit, own, self._config.temperature)
        return actions
