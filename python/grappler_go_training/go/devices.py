"""Devices as embeddings, so that one policy serves any number and mix of them.

Nothing here depends on the order of devices, with one exception: devices that are alike
could not be told apart, and then every op would like all of them equally. Each gets a
"slot", its rank by speed among those of its type, where the first of equals comes first.
Which of two equal devices takes which part of a graph does not matter; devices that differ
keep their logits in whatever order they are listed.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from grappler_go_training.go import inputs as go_inputs
from grappler_go_training.go import layers

_OCTAVES = 4
# Columns of waves().
NUM_WAVES = 1 + 2 * _OCTAVES
# log2 of microseconds, operations and bytes, brought to about 1.
LOG_SCALE = 1.0 / 8.0
_PAIR_COLUMNS = 6
_PAIR_WIDTH = 16


def waves(x: tf.Tensor) -> tf.Tensor:
    """[n] numbers from 0 to 1 -> [n, NUM_WAVES]: themselves, and cosines and sines of
    doubling frequency. Scalar products of two such rows are large where the numbers are
    near: how ops from one stretch of the graph find one of several equal devices."""
    angles = x[:, tf.newaxis] * (math.pi * 2.0 ** np.arange(_OCTAVES, dtype=np.float32))
    return tf.concat([x[:, tf.newaxis], tf.cos(angles), tf.sin(angles)], 1)


def slots(device_features: tf.Tensor, is_alike: tf.Tensor, total: tf.Tensor) -> tf.Tensor:
    """[D, K] -> [D, NUM_WAVES + 1 + K + 1]: what tells a device from others of its type.

    The rank among them, the fastest first and of equals the first first, as waves, and
    log2 of how many these are; how far its features are from their mean, and how far what
    all ops would take. Neither is scaled down: a tenth of a factor two is worth knowing
    among devices that are nearly equal.

    Args:
      device_features: of the schema.
      is_alike: [D, D] 1 where two are of one type.
      total: [D] log2 of the microseconds of all ops.
    """
    number = tf.range(tf.shape(total)[0])
    faster = total[tf.newaxis] < total[:, tf.newaxis] - 1e-4
    equal = tf.abs(total[tf.newaxis] - total[:, tf.newaxis]) <= 1e-4
    first = equal & (number[tf.newaxis] < number[:, tf.newaxis])
    before = tf.reduce_sum(is_alike * tf.cast(faster | first, tf.float32), 1) + 0.5
    count = tf.reduce_sum(is_alike, 1)
    own = tf.concat([device_features, total[:, tf.newaxis]], 1)
    mean = tf.matmul(is_alike, own) / count[:, tf.newaxis]
    return tf.concat(
        [
            waves(before / count),
            tf.math.log(count)[:, tf.newaxis] / math.log(2.0),
            own - mean,
        ],
        1,
    )


class DeviceEncoder(tf.Module):
    """Embeddings of devices from their features, slots, links and how fast they run the
    ops of this graph. The paper has a fixed number of equal devices and no embeddings.

    Args:
      names: of the columns of device_features.
      num_links: columns of link_features.
    """

    def __init__(
        self,
        name: str,
        rng: np.random.Generator,
        width: int,
        names: Sequence[str],
        num_links: int,
    ) -> None:
        super().__init__(name=name)
        num_features = len(names)
        self._types = [k for k, column in enumerate(names) if column.startswith("is_")]
        columns = 2 * num_features + NUM_WAVES + 4
        self._own = layers.Dense("own", rng, columns, width, math.sqrt(2.0))
        self._message = layers.Dense("message", rng, width + 2 * num_links, width)
        self._combine = layers.Dense("combine", rng, 2 * width, width, math.sqrt(2.0))
        self._out = layers.Dense("out", rng, width, width)

    def _alike(self, features: tf.Tensor) -> tf.Tensor:
        kind = tf.gather(features, self._types, axis=1)
        return tf.cast(tf.reduce_all(tf.equal(kind[:, tf.newaxis], kind), -1), tf.float32)

    def __call__(self, inputs: go_inputs.GraphInputs) -> tf.Tensor:
        """[D, width]."""
        # What bounds a step on this device: its mean op, and all of its ops.
        micros = tf.exp(inputs.op_device_micros * math.log(2.0)) - 1.0
        total = tf.math.log1p(tf.reduce_sum(micros, 0)) / math.log(2.0)
        speed = tf.stack([total, total - tf.reduce_min(total)], 1) * LOG_SCALE
        features = inputs.device_features
        own = tf.concat(
            [features * LOG_SCALE, slots(features, self._alike(features), total), speed], 1
        )
        own = tf.nn.relu(self._own(own))
        links = inputs.link_features * LOG_SCALE
        both = tf.concat([links, tf.transpose(links, [1, 0, 2])], 2)
        count = tf.shape(own)[0]
        others = tf.broadcast_to(own[tf.newaxis], [count, count, own.shape[-1]])
        messages = tf.nn.relu(self._message(tf.concat([others, both], 2)))
        both_sides = tf.concat([own, tf.reduce_mean(messages, 1)], 1)
        return self._out(tf.nn.relu(self._combine(both_sides)))


class Placed(NamedTuple):
    """Where the previous pass put everything.

    Attributes:
      load: [D, 4] of each device: its share of the work and of the most loaded one's;
        bytes written there, and those over its memory, logarithms.
      on: [N, D] 1 where an op is.
      pull: [N, D, 2] the share of an op's inputs that is on each device, and of its
        consumers.
    """

    load: tf.Tensor
    on: tf.Tensor
    pull: tf.Tensor


def placed(
    inputs: go_inputs.GraphInputs, device: tf.Tensor, log2_bytes: tf.Tensor, memory: tf.Tensor
) -> Placed:
    """What the last pass's devices mean for the next one's.

    Args:
      inputs: of the graph.
      device: int32 [N], -1: undecided.
      log2_bytes: [N] log2(1 + bytes written) of ops.
      memory: [D] log2(1 + bytes) of devices; 0: no limit.
    """
    count = tf.shape(inputs.device_features)[0]
    on = tf.one_hot(device, count)
    micros = tf.exp(inputs.op_device_micros * math.log(2.0)) - 1.0
    work = tf.reduce_sum(on * micros, 0)
    written = tf.linalg.matvec(on, tf.exp(log2_bytes * math.log(2.0)) - 1.0, transpose_a=True)
    written = tf.math.log1p(written) / math.log(2.0)
    load = tf.stack(
        [
            tf.math.divide_no_nan(work, tf.reduce_sum(work)),
            tf.math.divide_no_nan(work, tf.reduce_max(work, keepdims=True)),
            written * LOG_SCALE,
            tf.where(memory > 0, written - memory, -10.0) * LOG_SCALE,
        ],
        1,
    )
    num_ops = tf.shape(device)[0]
    pull = []
    for own, other in (
        (inputs.edge_dst, inputs.edge_src),
        (inputs.edge_src, inputs.edge_dst),
    ):
        there = tf.math.unsorted_segment_sum(tf.gather(on, other), own, num_ops)
        pull.append(tf.math.divide_no_nan(there, tf.reduce_sum(there, 1, keepdims=True)))
    return Placed(load, on, tf.stack(pull, 2))


class DeviceHead(tf.Module):
    """Logits of devices: a scalar product of op and device, and a small network over what
    concerns the pair: the op's time there, and where it and its neighbours were."""

    def __init__(self, name: str, rng: np.random.Generator, width: int) -> None:
        super().__init__(name=name)
        self._query = layers.Dense("query", rng, width, width)
        self._key = layers.Dense("key", rng, width, width)
        self._op = layers.Dense("op", rng, width, _PAIR_WIDTH)
        self._device = layers.Dense("device", rng, width, _PAIR_WIDTH)
        self._pair = layers.Dense("pair", rng, _PAIR_COLUMNS, _PAIR_WIDTH, math.sqrt(2.0))
        self._out = layers.Dense("out", rng, _PAIR_WIDTH, 1)
        self._width = width

    def __call__(
        self, x: tf.Tensor, devices: tf.Tensor, inputs: go_inputs.GraphInputs, last: Placed
    ) -> tf.Tensor:
        """[N, D], masked: -1e9 where an op may not be; the mean over each unit.

        Args:
          x: [N, width].
          devices: [D, width].
          inputs: of the graph.
          last: of the previous pass.
        """
        logits = tf.matmul(self._query(x), self._key(devices), transpose_b=True)
        logits /= math.sqrt(self._width)
        micros = inputs.op_device_micros
        relative = micros - tf.reduce_min(micros, 1, keepdims=True)
        work_share = tf.broadcast_to(last.load[:, 1], tf.shape(micros))
        pair = tf.stack(
            [
                micros * LOG_SCALE,
                relative * LOG_SCALE,
                last.on,
                *tf.unstack(last.pull, 2, 2),
                work_share,
            ],
            2,
        )
        hidden = self._op(x)[:, tf.newaxis] + self._device(devices) + self._pair(pair)
        logits += tf.squeeze(self._out(tf.nn.relu(hidden)), 2)
        return tf.where(inputs.allowed > 0, unit_mean(logits, inputs.unit), -1e9)


def unit_mean(x: tf.Tensor, unit: tf.Tensor) -> tf.Tensor:
    """[N, ...] each op's value replaced by the mean of its unit's."""
    num_ops = tf.shape(unit)[0]
    ones = tf.ones_like(unit, x.dtype)
    count = tf.math.unsorted_segment_sum(ones, unit, num_ops)
    total = tf.math.unsorted_segment_sum(x, unit, num_ops)
    return tf.gather(tf.math.divide_no_nan(total, count[:, tf.newaxis]), unit)
