"""Rollouts: K plans of a case drawn from the policy, and what they are worth.

    rollouts = LocalRollouts(network, cases, config)
    for rollout in rollouts.collect([Request(case=0, seed=7, iterations=2)]):
        print(rollout.rewards)

The same requests and weights give the same rollouts, however many threads or workers
there are, and whichever of them does what (ray_rollouts.py).
"""

import json
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
import tensorflow as tf

from grappler_go import native
from grappler_go_training.go import sampling
from grappler_go_training.go.environment import Case, Environment
from grappler_go_training.go.inputs import GraphInputs, inputs_spec
from grappler_go_training.go.network import Actions, GoNetwork, actions_spec
from grappler_go_training.go.ppo import Rollout, log_probs_of_samples
from grappler_go_training.go.train_config import TrainConfig


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
        self._samplers: dict[int, tf.types.experimental.PolymorphicFunction] = {}
        self._decoder = tf.function(
            lambda inputs: sampling.greedy(network, inputs), input_signature=[self._spec]
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
        seed = np.array([request.seed & 0x7FFFFFFF, request.seed >> 31 & 0x7FFFFFFF], np.int32)
        found = self._sampler(request.iterations)(self._inputs[request.case], seed)
        previous, actions, log_probs, value = tf.nest.map_structure(lambda t: t.numpy(), found)
        return previous, actions, log_probs, float(value)

    def greedy(self, case: int) -> Actions:
        """[num_ops] by task: the policy's first choice."""
        found = self._decoder(self._inputs[case])
        return tf.nest.map_structure(lambda t: t.numpy(), found)

    def _sampler(self, iterations: int) -> tf.types.experimental.PolymorphicFunction:
        """Traced once for each number of passes, for graphs of any size."""
        if iterations not in self._samplers:
            self._samplers[iterations] = tf.function(
                lambda inputs, seed: self._sample(inputs, seed, iterations),
                input_signature=[self._spec, tf.TensorSpec([2], tf.int32)],
            )
        return self._samplers[iterations]

    def _sample(
        self, inputs: GraphInputs, seed: tf.Tensor, iterations: int
    ) -> tuple[Actions, Actions, sampling.LogProbs, tf.Tensor]:
        network, temperature = self._network, self._config.temperature
        seeds = tf.random.experimental.stateless_split(seed, iterations - 1 + self._config.samples)
        encoded = network.encode(inputs)
        previous = sampling.first_actions(network, inputs)
        for number in range(iterations - 1):
            heads = network.decode(encoded, inputs, previous)
            previous = sampling.draw(heads, inputs.unit, seeds[number], temperature)
        heads = network.decode(encoded, inputs, previous)
        actions = tf.map_fn(
            lambda one: sampling.draw(heads, inputs.unit, one, temperature),
            seeds[iterations - 1 :],
            fn_output_signature=actions_spec(),
        )
        log_probs, _ = log_probs_of_samples(heads, actions)
        return previous, actions, log_probs, heads.value
