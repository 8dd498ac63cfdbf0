"""Graphs as the pass sees them, of steps too heavy to run here.

Grappler, and the pass in it, is called when a function is called for the first time,
before anything of it runs. So the function is called, and it fails at its first read of
a variable: variables are made without a value, and without memory. The graph is the
same, since a function sees of a variable only its dtype and shape
(tests/test_workloads.py compares the types of all ops and their edges).
"""

import contextlib
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

# Not public, as there is no public variable without a value. Seen in TensorFlow 2.21.
from tensorflow.python.ops import gen_resource_variable_ops, handle_data_util
from tensorflow.python.ops.resource_variable_ops import BaseResourceVariable

import grappler_go

_numbers = itertools.count()


class _UnsetVariable(BaseResourceVariable):
    """A variable of a known shape that has no value and never had one.

    TensorFlow's own UninitializedVariable does not do: it is there, empty, and some
    ops run on what is read from it.
    """

    def __init__(self, shape: Any, dtype: Any, name: str | None, trainable: bool) -> None:
        # pylint: disable=super-init-not-called
        unique = f"{name or 'Variable'}_unset_{next(_numbers)}"
        with tf.init_scope():
            handle = gen_resource_variable_ops.var_handle_op(
                shape=shape, dtype=dtype, shared_name=unique, debug_name=name or "Variable"
            )
            handle._handle_data = handle_data_util.create_handle_data(shape, dtype)
        super().__init__(
            trainable=trainable,
            shape=shape,
            dtype=dtype,
            handle=handle,
            handle_name=name or "Variable",
            unique_id=unique,
            in_graph_mode=False,
        )


@contextlib.contextmanager
def unset_variables() -> Iterator[None]:
    """Variables that are made inside have a shape and a dtype, and no value.

    Initial values given as callables, as Keras does, are traced only; so nothing is
    computed and no memory taken. To read such a variable is a
    tf.errors.FailedPreconditionError.
    """

    def create(next_creator: Any, **kwargs: Any) -> Any:
        del next_creator
        value, dtype = kwargs.get("initial_value"), kwargs.get("dtype")
        if callable(value):
            with tf.Graph().as_default():
                value = tf.convert_to_tensor(value(), dtype)
        else:
            value = tf.convert_to_tensor(value, dtype)
        shape = tf.TensorShape(kwargs.get("shape") or value.shape)
        trainable = kwargs.get("trainable")
        return _UnsetVariable(
            shape, value.dtype, kwargs.get("name"), True if trainable is None else trainable
        )

    with tf.variable_creator_scope(create):
        yield


def capture_unexecuted(
    make: Callable[[], tuple[Callable[..., Any], tuple[Any, ...]]],
) -> grappler_go.CapturedGraph:
    """The largest graph that the pass is shown when a function is called.

    A function that reads variables stops there. One without variables runs once, and so
    does one whose variables are read while it is made: it is made again, with values.

    Args:
      make: returns a Python function and its arguments; makes its variables itself.

    Raises:
      RuntimeError: nothing reached the pass.
      What make raises, and what its function raises while it is traced.
    """
    try:
        with unset_variables():
            function, args = make()
    except tf.errors.FailedPreconditionError:
        function, args = make()
    failures: list[tf.errors.OpError] = []

    def call() -> None:
        # Variables may also be made while the function is traced.
        with unset_variables():
            traced = tf.function(function)
            try:
                traced(*args)
            except tf.errors.OpError as error:
                failures.append(error)

    graphs = grappler_go.capture(call, trace=False)
    if not graphs:
        why = failures[0] if failures else "is it all compiled, or folded to a constant?"
        raise RuntimeError(f"no graph reached the pass: {why}")
    return graphs[0]
