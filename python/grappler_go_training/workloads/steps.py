"""Training steps: a loss, its gradients, the weights updated.

Optimizers are the ops that TensorFlow 1 trained with, one a weight (ApplyAdam and so
on), except that Keras models may have Keras's, which is dozens of small ops a weight.
"""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

Loss = Callable[..., tf.Tensor]
_OPTIMIZERS = ("sgd", "momentum", "adam", "rmsprop")


def training_step(
    loss_of: Loss, weights: Sequence[tf.Variable], optimizer: str = "adam", clip: float = 0.0
) -> Callable[..., tf.Tensor]:
    """A step that returns its loss.

    Args:
      loss_of: the step's arguments -> a scalar.
      weights: to be trained.
      optimizer: "sgd", "momentum" (0.9), "adam", "rmsprop".
      clip: bound of the gradients' norm, all together; 0: none.

    Raises:
      ValueError: another optimizer.
    """
    apply = _apply_of(optimizer, weights)

    def step(*args: Any) -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = loss_of(*args)
        gradients = tape.gradient(loss, list(weights))
        if clip:
            gradients, _ = tf.clip_by_global_norm(gradients, clip)
        apply(gradients)
        return loss

    return step


def _apply_of(optimizer: str, weights: Sequence[tf.Variable]) -> Callable[[Any], None]:
    if optimizer not in _OPTIMIZERS:
        raise ValueError(f"no optimizer {optimizer!r}: known are {', '.join(_OPTIMIZERS)}")
    count = {"sgd": 0, "momentum": 1, "adam": 2, "rmsprop": 2}[optimizer]
    slots = [[_zeros_like(w, f"slot{k}") for k in range(count)] for w in weights]
    powers = [_scalar(0.9, "beta1_power"), _scalar(0.999, "beta2_power")]
    raw = tf.raw_ops

    def update(weight: tf.Variable, slot: list[tf.Variable], gradient: tf.Tensor) -> None:
        handles = [s.handle for s in slot]
        if optimizer == "sgd":
            raw.ResourceApplyGradientDescent(var=weight.handle, alpha=0.1, delta=gradient)
        elif optimizer == "momentum":
            raw.ResourceApplyMomentum(
                var=weight.handle, accum=handles[0], lr=0.1, grad=gradient, momentum=0.9
            )
        elif optimizer == "rmsprop":
            raw.ResourceApplyRMSProp(
                var=weight.handle,
                ms=handles[0],
                mom=handles[1],
                lr=0.01,
                rho=0.9,
                momentum=0.9,
                epsilon=1.0,
                grad=gradient,
            )
        else:
            raw.ResourceApplyAdam(
                var=weight.handle,
                m=handles[0],
                v=handles[1],
                beta1_power=powers[0],
                beta2_power=powers[1],
                lr=1e-3,
                beta1=0.9,
                beta2=0.999,
                epsilon=1e-8,
                grad=gradient,
            )

    def apply(gradients: Sequence[Any]) -> None:
        with tf.name_scope("optimizer"):
            for weight, slot, gradient in zip(weights, slots, gradients, strict=True):
                # Rows that were looked up come as slices; TensorFlow 1 updated only them
                # in plain descent, and summed duplicates first elsewhere.
                if isinstance(gradient, tf.IndexedSlices) and optimizer == "sgd":
                    raw.ResourceScatterSub(
                        resource=weight.handle,
                        indices=gradient.indices,
                        updates=0.1 * gradient.values,
                    )
                    continue
                update(weight, slot, tf.convert_to_tensor(gradient))
            if optimizer == "adam":
                powers[0].assign(powers[0] * 0.9)
                powers[1].assign(powers[1] * 0.999)

    return apply


def _zeros_like(weight: tf.Variable, name: str) -> tf.Variable:
    shape = weight.shape
    return tf.Variable(lambda: tf.zeros(shape), trainable=False, name=name)


def _scalar(value: float, name: str) -> tf.Variable:
    return tf.Variable(lambda: tf.constant(value), trainable=False, name=name)


def keras_step(
    network: Any,
    inputs: tuple[Any, ...],
    labels: Any = None,
    *,
    training: bool,
    loss_of: Loss | None = None,
    optimizer: str = "keras-adam",
) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """A step of a Keras model, or its inference: (function, arguments).

    Args:
      network: called with one argument of `inputs`, or with a list of them.
      inputs: of one step.
      labels: the step's last argument, where it trains.
      training: train it, else infer.
      loss_of: (labels, outputs) -> a scalar; None: cross entropy of logits.
      optimizer: "keras-adam", Keras's own, or one of training_step().
    """

    def outputs(values: tuple[Any, ...]) -> Any:
        return network(values[0] if len(values) == 1 else list(values), training=training)

    if not training:
        return lambda *values: outputs(values), inputs
    measure = loss_of or tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def loss(*values: Any) -> tf.Tensor:
        return measure(values[-1], outputs(values[:-1]))

    args = (*inputs, labels)
    if optimizer != "keras-adam":
        weights = [variable.value for variable in network.trainable_variables]
        return training_step(loss, weights, optimizer), args
    adam = tf.keras.optimizers.Adam(1e-3)
    adam.build(network.trainable_variables)

    def step(*values: Any) -> tf.Tensor:
        with tf.GradientTape() as tape:
            error = loss(*values)
        gradients = tape.gradient(error, network.trainable_variables)
        adam.apply(gradients, network.trainable_variables)
        return error

    return step, args
