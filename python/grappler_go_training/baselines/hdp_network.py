"""The two networks of HDP, the hierarchical device placer (see hdp.py): a grouper of ops
and a placer of groups, with their joint REINFORCE update."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import tensorflow as tf

_Ints = npt.NDArray[np.int64]
_Floats = npt.NDArray[np.float32]


@dataclasses.dataclass(frozen=True)
class Settings:
    """Sizes and rates, each as in Mirhoseini et al. (ICLR 2018) unless said otherwise.

    Attributes:
      groups: that ops are divided into, at most.
      samples: placements of each grouping, four there.
      type_width: of an op type's embedding.
      grouper_width: of the grouper's hidden layer.
      placer_width: of the placer's LSTMs; each direction of the encoder has half of it.
      device_width: of a device's embedding; not said there.
      tanh_constant, temperature: logits are tanh_constant * tanh(logits / temperature).
      noise: added to logits while exploring, uniform in 0 .. noise.
      learning_rate: Adam's; theirs was 0.1.
      max_gradient: the norm to which gradients are clipped.
      baseline_decay: of the moving average of rewards; from HDP's own code.
      explore: updates with noise, and those that learn from placements out of memory.
    """

    groups: int = 256
    samples: int = 4
    type_width: int = 20
    grouper_width: int = 64
    placer_width: int = 256
    device_width: int = 32
    tanh_constant: float = 5.0
    temperature: float = 10.0
    noise: float = 0.1
    learning_rate: float = 0.001
    max_gradient: float = 1.0
    baseline_decay: float = 0.9
    explore: int = 500


class _Lstm(tf.Module):
    """An LSTM over a sequence, or one step of it."""

    def __init__(self, new_weight: "_Weights", inputs: int, width: int) -> None:
        super().__init__()
        self.width = width
        self.kernel = new_weight(inputs + width, 4 * width)
        # Forget gates begin open.
        self.bias = tf.Variable(tf.repeat([0.0, 1.0, 0.0, 0.0], width))

    def step(self, x: tf.Tensor, c: tf.Tensor, h: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """x: [batch, inputs]; c, h: [batch, width]; returns the next c and h."""
        gates = tf.matmul(tf.concat([x, h], 1), self.kernel) + self.bias
        i, f, o, g = tf.split(gates, 4, axis=1)
        c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(g)
        return c, tf.sigmoid(o) * tf.tanh(c)

    def run(self, xs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """xs: [length, inputs]; returns the states c and h, [length, width] each."""
        start = tf.zeros((1, self.width))
        cs, hs = tf.scan(
            lambda state, x: self.step(x[tf.newaxis], *state), xs, initializer=(start, start)
        )
        return cs[:, 0], hs[:, 0]


class _Weights:
    """Makes weights, uniform in +-sqrt(6 / (rows + columns)), as its seed says."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)

    def __call__(self, rows: int, columns: int) -> tf.Variable:
        limit = np.sqrt(6.0 / (rows + columns))
        values = self._random.uniform(-limit, limit, (rows, columns))
        return tf.Variable(values.astype(np.float32))


class Network(tf.Module):
    """Grouper and placer.

    Args:
      types: [num_ops] the type of each op, below num_types.
      features: [num_ops, any] what else the grouper sees of an op.
      num_types, num_groups, group_features, num_devices: sizes.
      seed: of weights and samples; the same seed, the same results.
      settings: see there.
    """

    def __init__(
        self,
        types: _Ints,
        features: _Floats,
        num_types: int,
        num_groups: int,
        group_features: int,
        num_devices: int,
        seed: int,
        settings: Settings,
    ) -> None:
        super().__init__()
        self._settings = s = settings
        self._types = tf.constant(types, tf.int32)
        self._features = tf.constant(features, tf.float32)
        self._num_groups = num_groups
        self._seed = seed
        weight = _Weights(seed)
        self.type_embedding = weight(num_types, s.type_width)
        self.type_kernel = weight(s.type_width, s.grouper_width)
        self.feature_kernel = weight(features.shape[1], s.grouper_width)
        self.group_kernel = weight(s.grouper_width, num_groups)
        half = s.placer_width // 2
        sizes = (group_features, 2 * half)
        self.forward = [_Lstm(weight, inputs, half) for inputs in sizes]
        self.backward = [_Lstm(weight, inputs, half) for inputs in sizes]
        self.decoder = _Lstm(weight, s.device_width, 2 * half)
        # The last row stands for "no device yet".
        self.device_embedding = weight(num_devices + 1, s.device_width)
        self.memory_kernel = weight(2 * half, 2 * half)
        self.query_kernel = weight(2 * half, 2 * half)
        self.attention = weight(2 * half, 1)
        self.device_kernel = weight(4 * half, num_devices)
        self._weights = tuple(self.trainable_variables)
        self._moments = [
            (tf.Variable(tf.zeros_like(w), False), tf.Variable(tf.zeros_like(w), False))
            for w in self._weights
        ]

    def sample_groups(self, step: int, noise: float) -> _Ints:
        """[num_ops] the group of each op, drawn anew for every step."""
        return self._sample_groups(tf.constant(step), tf.constant(noise)).numpy().astype(np.int64)

    def sample_devices(self, groups: _Floats, step: int, noise: float) -> _Ints:
        """[samples, num_groups] devices, given [num_groups, group_features]."""
        drawn = self._sample_devices(tf.constant(groups), tf.constant(step), tf.constant(noise))
        return drawn.numpy().astype(np.int64)

    def update(
        self,
        group_of: _Ints,
        groups: _Floats,
        devices: _Ints,
        advantages: Sequence[float],
        step: int,
        noise: float,
    ) -> float:
        """One step of Adam up the gradient of the mean of advantage * log probability.

        Args:
          group_of, groups, devices: what was sampled, and [num_groups, group_features].
          advantages: of each row of devices.
          step, noise: as they were sampled with.

        Returns:
          The norm of the gradient before it was clipped.
        """
        norm = self._update(
            tf.constant(group_of, tf.int32),
            tf.constant(groups),
            tf.constant(devices, tf.int32),
            tf.constant(advantages, tf.float32),
            tf.constant(step),
            tf.constant(noise),
        )
        return float(norm)

    # ---- grouper

    def _group_logits(self, step: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
        # By type once, not by op: types are few.
        of_type = tf.matmul(self.type_embedding, self.type_kernel)
        hidden = tf.gather(of_type, self._types) + tf.matmul(self._features, self.feature_kernel)
        logits = tf.matmul(tf.nn.relu(hidden), self.group_kernel)
        return logits + noise * self._uniform(tf.shape(logits), step, 0)

    @tf.function
    def _sample_groups(self, step: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
        return self._draw(self._group_logits(step, noise), step, 1)

    # ---- placer

    def _encode(self, groups: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """(what is attended to [num_groups, width], the last states c and h [1, width])."""
        xs = groups
        for forward, backward in zip(self.forward, self.backward, strict=True):
            c_forward, h_forward = forward.run(xs)
            c_backward, h_backward = backward.run(xs[::-1])
            xs = tf.concat([h_forward, h_backward[::-1]], 1)
        c = tf.concat([c_forward[-1:], c_backward[-1:]], 1)
        h = tf.concat([h_forward[-1:], h_backward[-1:]], 1)
        return tf.matmul(xs, self.memory_kernel), c, h

    def _decode_step(
        self, memory: tf.Tensor, device: tf.Tensor, c: tf.Tensor, h: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """The logits of the next group's device, given the last one's; and c and h."""
        s = self._settings
        c, h = self.decoder.step(tf.gather(self.device_embedding, device), c, h)
        query = tf.matmul(h, self.query_kernel)[:, tf.newaxis]
        scores = tf.tensordot(tf.tanh(query + memory[tf.newaxis]), self.attention, 1)[..., 0]
        context = tf.matmul(tf.nn.softmax(scores), memory)
        logits = tf.matmul(tf.concat([h, context], 1), self.device_kernel)
        return s.tanh_constant * tf.tanh(logits / s.temperature), c, h

    def _decode(
        self,
        groups: tf.Tensor,
        chosen: tf.Tensor | None,
        count: tf.Tensor,
        step: tf.Tensor,
        noise: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """(devices [count, num_groups], logits [count, num_groups, num_devices]); devices
        are drawn, or those that were chosen before."""
        memory, c, h = self._encode(groups)
        width = tf.shape(c)[1]
        none = tf.fill([count], tf.shape(self.device_embedding)[0] - 1)
        length = self._num_groups
        drawn = tf.TensorArray(tf.int32, length)
        seen = tf.TensorArray(tf.float32, length)
        last, c, h = none, tf.broadcast_to(c, [count, width]), tf.broadcast_to(h, [count, width])
        for k in tf.range(length):
            logits, c, h = self._decode_step(memory, last, c, h)
            logits += noise * self._uniform(tf.shape(logits), step, 2 + 2 * k)
            last = self._draw(logits, step, 3 + 2 * k) if chosen is None else chosen[:, k]
            drawn = drawn.write(k, last)
            seen = seen.write(k, logits)
        return tf.transpose(drawn.stack()), tf.transpose(seen.stack(), [1, 0, 2])

    @tf.function
    def _sample_devices(self, groups: tf.Tensor, step: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
        return self._decode(groups, None, self._settings.samples, step, noise)[0]

    # ---- learning

    @tf.function(reduce_retracing=True)
    def _update(
        self,
        group_of: tf.Tensor,
        groups: tf.Tensor,
        devices: tf.Tensor,
        advantages: tf.Tensor,
        step: tf.Tensor,
        noise: tf.Tensor,
    ) -> tf.Tensor:
        with tf.GradientTape() as tape:
            group_log = -tf.reduce_sum(
                tf.nn.sparse_softmax_cross_entropy_with_logits(
                    group_of, self._group_logits(step, noise)
                )
            )
            _, logits = self._decode(groups, devices, tf.shape(devices)[0], step, noise)
            device_log = -tf.reduce_sum(
                tf.nn.sparse_softmax_cross_entropy_with_logits(devices, logits), 1
            )
            loss = -tf.reduce_mean(advantages * (device_log + group_log))
        gradients = tape.gradient(loss, self._weights)
        gradients = [tf.convert_to_tensor(gradient) for gradient in gradients]
        gradients, norm = tf.clip_by_global_norm(gradients, self._settings.max_gradient)
        self._adam(gradients, tf.cast(step, tf.float32) + 1.0)
        return norm

    def _adam(self, gradients: Sequence[tf.Tensor], time: tf.Tensor) -> None:
        first, second = 0.9, 0.999
        for w, (m, v), gradient in zip(self._weights, self._moments, gradients, strict=True):
            tf.raw_ops.ResourceApplyAdam(
                var=w.handle,
                m=m.handle,
                v=v.handle,
                beta1_power=first**time,
                beta2_power=second**time,
                lr=self._settings.learning_rate,
                beta1=first,
                beta2=second,
                epsilon=1e-8,
                grad=gradient,
            )

    # ---- random numbers: by seed, step and place

    def _uniform(self, shape: tf.Tensor, step: tf.Tensor, place: tf.Tensor) -> tf.Tensor:
        seed = tf.stack([tf.constant(self._seed), step * 4096 + place])
        return tf.random.stateless_uniform(shape, seed)

    def _draw(self, logits: tf.Tensor, step: tf.Tensor, place: tf.Tensor) -> tf.Tensor:
        """One class of each row, as its softmax says (Gumbel's trick)."""
        uniform = tf.maximum(self._uniform(tf.shape(logits), step, place), 1e-20)
        gumbel = -tf.math.log(-tf.math.log(uniform))
        return tf.argmax(logits + gumbel, -1, tf.int32)
