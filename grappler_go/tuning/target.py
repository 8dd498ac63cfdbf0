"""What tune() is given, as something that can be run again and again."""

import dataclasses
import inspect
from collections.abc import Callable, Sequence
from typing import Any

from grappler_go import native

# Stateful ops whose state is a variable, which is put back, or this step's own. All
# others that TensorFlow calls stateful reach outside: files, Python, queues, tables.
_VARIABLE_PREFIXES = ("Resource", "Assign", "TensorArray", "TensorList", "Stack")
_HARMLESS = frozenset(
    {
        "Assert",
        "Case",
        "CheckNumerics",
        "CheckNumericsV2",
        "DestroyResourceOp",
        "If",
        "PartitionedCall",
        "Placeholder",
        "ReadVariableOp",
        "RngReadAndSkip",
        "RngSkip",
        "StatefulPartitionedCall",
        "StatefulRandomBinomial",
        "StatefulStandardNormalV2",
        "StatefulTruncatedNormal",
        "StatefulUniform",
        "StatefulUniformFullInt",
        "StatefulUniformInt",
        "StatelessIf",
        "StatelessWhile",
        "VarHandleOp",
        "VarIsInitializedOp",
        "VariableShape",
        "While",
    }
)
# Stateful by a generator inside the kernel, which nobody can put back.
_RANDOM = frozenset(
    {
        "Multinomial",
        "ParameterizedTruncatedNormal",
        "RandomGamma",
        "RandomPoisson",
        "RandomPoissonV2",
        "RandomShuffle",
        "RandomStandardNormal",
        "RandomUniform",
        "RandomUniformInt",
        "TruncatedNormal",
    }
)


class CannotTuneError(ValueError):
    """The function cannot be run again and again; the message says why."""


@dataclasses.dataclass(frozen=True)
class Target:
    """A function with its arguments.

    Attributes:
      run: runs one step; returns when it is done.
      name: for people.
      notes: what tuning will leave changed, a sentence each.
    """

    run: Callable[[], Any]
    name: str
    notes: tuple[str, ...] = ()


def target_of(fn: Any, args: Sequence[Any]) -> Target:
    """Makes one, tracing the function (its variables are made by that) but not
    running it.

    Args:
      fn: a tf.function, a method of a tf.Module that is one, a concrete function, a
        plain Python function, which is traced, or a compiled Keras model.
      args: its arguments. Of a model: a batch of inputs for predict; inputs and
        targets, or a tf.data.Dataset of such pairs, for a training step.

    Raises:
      CannotTuneError: it is compiled whole by XLA, has effects outside TensorFlow's
        variables, or never reaches the pass.
      What tracing raises.
    """
    tf = native.tensorflow()
    if isinstance(fn, tf.keras.Model):
        return _model(fn, args)
    if isinstance(fn, tf.types.experimental.ConcreteFunction):
        return Target(lambda: fn(*args), _name(fn), _check(fn, _name(fn)))
    if not callable(fn):
        raise CannotTuneError(f"expected a function or a Keras model, not {type(fn).__name__}")
    if not isinstance(fn, tf.types.experimental.PolymorphicFunction):
        fn = tf.function(fn)
    return _traced(fn, args, _name(fn))


def _traced(function: Any, args: Sequence[Any], name: str) -> Target:
    notes = _check(function.get_concrete_function(*args), name)
    return Target(lambda: function(*args), name, notes)


def _model(model: Any, args: Sequence[Any]) -> Target:
    tf = native.tensorflow()
    if not 1 <= len(args) <= 2:
        raise CannotTuneError(
            "of a model: tune(model, x), tune(model, x, y) or tune(model, dataset)"
        )
    dataset = args[0]
    trains = len(args) == 2 or isinstance(dataset, tf.data.Dataset)
    if trains and not getattr(model, "compiled", False):
        raise CannotTuneError("the model is not compiled: call model.compile() first")
    if getattr(model, "run_eagerly", False):
        raise CannotTuneError("the model runs eagerly: no graph reaches the pass")
    if getattr(model, "jit_compile", False):
        raise CannotTuneError(
            "the model is compiled whole by XLA, which Keras' jit_compile='auto' does where it "
            "can, and no graph reaches the pass: compile it with jit_compile=False"
        )
    if not isinstance(dataset, tf.data.Dataset):
        dataset = tf.data.Dataset.from_tensors(tuple(args))
    iterator = iter(dataset.repeat())
    batch = next(iterator)
    # What Keras makes of these steps is out of reach; the steps themselves have the same
    # effects, and tracing them makes the optimizer's and the metrics' variables.
    step = model.train_step if trains else model.predict_step
    name = f"{model.name}, {'a training step' if trains else 'predict'}"
    notes = _check(tf.function(lambda data: step(data)).get_concrete_function(batch), name)
    if trains:
        model.make_train_function()
        return Target(lambda: model.train_function(iterator), name, notes)
    model.make_predict_function()
    data = iterator if _takes_iterator(model.predict_function) else [batch]
    return Target(lambda: model.predict_function(data), name, notes)


def _takes_iterator(function: Any) -> bool:
    """Keras has had both."""
    python = getattr(function, "python_function", function)
    return "iterator" in inspect.signature(python).parameters


def _check(concrete: Any, name: str) -> tuple[str, ...]:
    """Raises unless it can be run again and again; returns notes on what will not be as
    it was."""
    graph = concrete.graph.as_graph_def()
    if concrete.function_def.attr["_XlaMustCompile"].b:
        raise CannotTuneError(
            f"{name} has jit_compile=True: TensorFlow compiles it whole and never asks the pass"
        )
    ops = {node.op for node in graph.node}
    ops.update(node.op for function in graph.library.function for node in function.node_def)
    outside = sorted(
        filter(_reaches_outside, ops - {f.signature.name for f in graph.library.function})
    )
    if outside:
        raise CannotTuneError(
            f"{name} has effects that could not be undone ({', '.join(outside)}), and tuning runs "
            "it many times: tune the part without them"
        )
    drawn = ", ".join(sorted(ops & _RANDOM))
    if not drawn:
        return ()
    return (
        f"random numbers ({drawn}) go on from where tuning left them: what draws them keeps "
        "its state out of reach",
    )


def _reaches_outside(op: str) -> bool:
    from tensorflow.python.framework import op_def_registry

    if op in _HARMLESS or op in _RANDOM or op.startswith(_VARIABLE_PREFIXES):
        return False
    definition = op_def_registry.get(op)
    return definition is not None and definition.is_stateful


def _name(function: Any) -> str:
    for attribute in ("__name__", "name"):
        found = getattr(function, attribute, None)
        if isinstance(found, str):
            return found
    return type(function).__name__
