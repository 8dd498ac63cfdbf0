"""Adam (Kingma and Ba 2015) with gradients scaled to a norm, and with all of its state in
plain variables, which a checkpoint holds."""

from collections.abc import Sequence

import tensorflow as tf

# As cleanrl's PPO.
_BETA_1, _BETA_2, _EPSILON = 0.9, 0.999, 1e-5


class Adam(tf.Module):
    """Moves variables against their gradients.

    Args:
      variables: all that it will ever be asked to move.

    Attributes:
      state: [1 + 2 * number of variables] how often it was applied, then the first and the
        second moments of each.
    """

    def __init__(self, variables: Sequence[tf.Variable]) -> None:
        super().__init__("adam")
        self._variables = tuple(variables)
        self._count = tf.Variable(0.0, trainable=False, name="count")
        self._first = [_zeros_like(variable) for variable in self._variables]
        self._second = [_zeros_like(variable) for variable in self._variables]

    @property
    def state(self) -> list[tf.Variable]:
        return [self._count, *self._first, *self._second]

    def apply(
        self, gradients: Sequence[tf.Tensor], learning_rate: float, max_grad_norm: float
    ) -> float:
        """One step; returns the norm of the gradients before it was clipped. Where that is
        not a finite number, nothing moves."""
        rate = tf.constant(learning_rate, tf.float32)
        limit = tf.constant(max_grad_norm, tf.float32)
        return float(self._apply(list(gradients), rate, limit))

    @tf.function
    def _apply(
        self, gradients: list[tf.Tensor], learning_rate: tf.Tensor, limit: tf.Tensor
    ) -> tf.Tensor:
        norm = tf.linalg.global_norm(gradients)
        if tf.math.is_finite(norm):
            self._count.assign_add(1.0)
            scale = limit / tf.maximum(norm, limit)
            corrected = learning_rate * tf.sqrt(1 - tf.pow(_BETA_2, self._count))
            corrected /= 1 - tf.pow(_BETA_1, self._count)
            for variable, gradient, first, second in zip(
                self._variables, gradients, self._first, self._second, strict=True
            ):
                gradient *= scale
                first.assign(_BETA_1 * first + (1 - _BETA_1) * gradient)
                second.assign(_BETA_2 * second + (1 - _BETA_2) * tf.square(gradient))
                variable.assign_sub(corrected * first / (tf.sqrt(second) + _EPSILON))
        return norm


def _zeros_like(variable: tf.Variable) -> tf.Variable:
    return tf.Variable(tf.zeros_like(variable), trainable=False)
