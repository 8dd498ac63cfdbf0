"""Programs to measure, by name.

A program is a step function with its arguments. Weights and inputs are the same
in every process, so that the outputs of two modes can be compared. Every model
of keras.applications is there too, as `<name in small letters>-infer` and
`-train`: resnet50-train, nasnetmobile-infer.
"""

import dataclasses
import difflib
import importlib
import importlib.util
import os
import pathlib
import sys
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

SEED = 7


@dataclasses.dataclass(frozen=True)
class Options:
    """What may be asked of a built-in program.

    Attributes:
      batch: batch size; 0 for its own.
      image_size: height and width of the images of a model of
        keras.applications; 0 for its own.
      gradients: a training step also returns its gradients.
      nudge: unless 0, each weight of a Keras model is changed in its last digit,
        each number in another way. How far outputs move by that is how far they
        may move by another order of summation.
    """

    batch: int = 0
    image_size: int = 0
    gradients: bool = False
    nudge: int = 0


DEFAULTS = Options()


@dataclasses.dataclass(frozen=True)
class Program:
    """What one worker runs.

    Attributes:
      step: a Python function or a tf.function.
      args: its arguments, the same at every step.
      gives_gradients: the step returns a pair: its outputs, its gradients.
    """

    step: Callable[..., Any]
    args: tuple[Any, ...] = ()
    gives_gradients: bool = False


Maker = Callable[[Options], Program]
_MAKERS: dict[str, tuple[Maker, str]] = {}


class UnknownProgramError(ValueError):
    """There is no program of that name; the message names the nearest and says where to
    find the others."""


def model(name: str, about: str) -> Callable[[Maker], Maker]:
    """Registers a maker: called with options, returns a Program."""

    def register(maker: Maker) -> Maker:
        _MAKERS[name] = (maker, about)
        return maker

    return register


def names() -> dict[str, str]:
    """Name -> what it is, those of keras.applications left out."""
    return {name: about for name, (_, about) in sorted(_MAKERS.items())}


# Before the name of a workload.
_WORKLOAD = "workload:"


def check(spec: str) -> None:
    """Looks whether there is such a program, without making it: of module:function, only
    whether there is the module, which is not run.

    Args:
      spec: as for build().

    Raises:
      UnknownProgramError: as build().
    """
    if spec.startswith(_WORKLOAD):
        _workload(spec)
    elif ":" in spec:
        _search_current_folder()
        module_name, _, _ = spec.partition(":")
        if module_name in sys.modules:
            return
        try:
            found = importlib.util.find_spec(module_name) if module_name else None
        except (ImportError, ValueError) as error:
            raise UnknownProgramError(f"{spec}: {error}") from error
        if found is None:
            raise UnknownProgramError(f"{spec}: No module named {module_name!r}")
    elif spec not in _MAKERS:
        _application(spec)


def build(spec: str, options: Options = DEFAULTS) -> Program:
    """Makes a program.

    Args:
      spec: a built-in name, or "module:function" for one of yours: called without
        arguments, it returns a step (a tf.function or a Python function, which is
        traced), or a pair of a step and its arguments. The module is looked for
        in the current folder first. Or "workload:name" for one that policies are
        trained or evaluated on (grappler_go_training.workloads).
      options: of a built-in program.

    Raises:
      UnknownProgramError: no such name, module or function.
    """
    import tensorflow as tf

    tf.keras.utils.set_random_seed(SEED)
    if spec.startswith(_WORKLOAD):
        return _program(spec, _workload(spec).make())
    if ":" in spec:
        return _from_user(spec)
    if spec in _MAKERS:
        return _MAKERS[spec][0](options)
    return _from_applications(spec, options)


def _from_user(spec: str) -> Program:
    check(spec)
    module_name, _, function_name = spec.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise UnknownProgramError(f"{spec}: {error}") from error
    try:
        maker = getattr(module, function_name)
    except AttributeError as error:
        functions = [name for name, value in vars(module).items() if callable(value)]
        hint = _nearest(function_name, functions)
        raise UnknownProgramError(f"{spec}: {error}{hint}") from error
    return _program(spec, maker())


def _workload(spec: str) -> Any:
    """The workload of that name.

    Raises:
      UnknownProgramError: there is none, or the package is not installed.
    """
    try:
        workloads = importlib.import_module("grappler_go_training.workloads")
    except ImportError as error:
        raise UnknownProgramError(f"{spec}: {error}") from error
    try:
        return workloads.get(spec.removeprefix(_WORKLOAD))
    except ValueError as error:
        raise UnknownProgramError(f"{spec}: {error}") from error


def _program(spec: str, made: Any) -> Program:
    if isinstance(made, tuple):
        step, args = made
        return Program(step, tuple(args))
    if not callable(made):
        raise UnknownProgramError(
            f"{spec} returned {type(made).__name__}; expected a step function"
        )
    return Program(made)


def _search_current_folder() -> None:
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())


def _nearest(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]}?" if near else ""


_KINDS = ("infer", "train")


def _application(spec: str) -> tuple[Callable[..., Any], str]:
    """The maker of a model of keras.applications, and "infer" or "train".

    Raises:
      UnknownProgramError: there is none of that name, nor was it a built-in program's.
    """
    named = applications()
    base, _, kind = spec.rpartition("-")
    if base in named and kind in _KINDS:
        return named[base], kind
    path = pathlib.Path(spec)
    if path.exists():
        raise UnknownProgramError(f"{spec} is a file or folder, not a program: {_WHAT}")
    if os.sep in spec or path.suffix:
        raise UnknownProgramError(f"no such file or folder: {spec}")
    hint = _nearest(spec, [*_MAKERS, *(f"{name}-{kind}" for name in named for kind in _KINDS)])
    raise UnknownProgramError(f"no program {spec!r}{hint or '.'} A program is {_WHAT}")


_WHAT = (
    "a built-in one (grappler-go bench --list), a model of keras.applications such as "
    "resnet50-train, or module:function"
)


def _from_applications(spec: str, options: Options) -> Program:
    import tensorflow as tf

    maker, kind = _application(spec)
    batch = options.batch or (4 if kind == "infer" else 8)
    shape = (options.image_size, options.image_size, 3) if options.image_size else None
    network = maker(weights=None, classifier_activation=None, input_shape=shape)
    # Some take images of any size; 224 is what most were trained with.
    size = network.input_shape[1] or 224
    images = tf.random.stateless_normal((batch, size, size, 3), seed=(SEED, 1))
    if kind == "infer":
        return _inference(network, images, options)
    labels = tf.random.stateless_uniform((batch,), (SEED, 2), 0, 1000, tf.int32)
    return _training(network, images, labels, options)


def applications() -> dict[str, Callable[..., Any]]:
    """The models of keras.applications: name in small letters -> maker."""
    import tensorflow as tf

    return {
        name.lower(): getattr(tf.keras.applications, name)
        for name in dir(tf.keras.applications)
        if name[0].isupper() and callable(getattr(tf.keras.applications, name))
    }


def _nudge(network: Any, way: int) -> None:
    import tensorflow as tf

    for number, weight in enumerate(network.trainable_variables):
        signs = tf.random.stateless_uniform(weight.shape, (way, number), -1, 1)
        weight.assign(weight * (1 + np.finfo(np.float32).eps * tf.sign(signs)))


def _inference(network: Any, inputs: Any, options: Options) -> Program:
    if options.nudge:
        _nudge(network, options.nudge)
    return Program(lambda x: network(x, training=False), (inputs,))


def _training(network: Any, inputs: Any, labels: Any, options: Options) -> Program:
    """One step of Adam on cross entropy; returns the loss and the gradients' norm."""
    import tensorflow as tf

    if options.nudge:
        _nudge(network, options.nudge)
    optimizer = tf.keras.optimizers.Adam(1e-3)
    optimizer.build(network.trainable_variables)
    loss_of = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def step(x: Any, y: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = loss_of(y, network(x, training=True))
        gradients = tape.gradient(loss, network.trainable_variables)
        optimizer.apply(gradients, network.trainable_variables)
        outputs = loss, tf.linalg.global_norm(gradients)
        return (outputs, gradients) if options.gradients else outputs

    return Program(step, (inputs, labels), options.gradients)


def _tokens(vocabulary: int, *shape: int, salt: int = 1) -> Any:
    import tensorflow as tf

    return tf.random.stateless_uniform(shape, (SEED, salt), 0, vocabulary, tf.int32)


# The two Transformers differ in how much of their time is multiplying matrices,
# which nobody's fusion makes faster.
_VOCABULARY = 1000


def _transformer(batch: int, layers: int = 4, length: int = 128, width: int = 64) -> Any:
    import tensorflow as tf

    layer = tf.keras.layers
    tokens = tf.keras.Input((length,), batch_size=batch, dtype="int32")
    x = layer.Embedding(_VOCABULARY, width)(tokens)
    for _ in range(layers):
        h = layer.MultiHeadAttention(4, width // 4)(x, x)
        x = layer.LayerNormalization()(x + h)
        h = layer.Dense(4 * width, activation="gelu")(x)
        x = layer.LayerNormalization()(x + layer.Dense(width)(h))
    return tf.keras.Model(tokens, layer.Dense(_VOCABULARY)(x))


def _character_gpt(batch: int, dropout: float = 0.0) -> Any:
    """GPT as nanoGPT's README trains it on a CPU: 4 layers, 4 heads, width 128, 64
    characters of an alphabet of 65."""
    import tensorflow as tf

    layer = tf.keras.layers
    layers, heads, width, length, alphabet = 4, 4, 128, 64, 65
    tokens = tf.keras.Input((length,), batch_size=batch, dtype="int32")
    x = layer.Embedding(alphabet, width)(tokens)
    x = layer.Dropout(dropout)(x + layer.Embedding(length, width)(tf.range(length)))
    for _ in range(layers):
        n = layer.LayerNormalization()(x)
        h = layer.MultiHeadAttention(heads, width // heads)(n, n, use_causal_mask=True)
        x = x + layer.Dropout(dropout)(h)
        n = layer.LayerNormalization()(x)
        h = layer.Dense(width)(layer.Dense(4 * width, activation="gelu")(n))
        x = x + layer.Dropout(dropout)(h)
    return tf.keras.Model(tokens, layer.Dense(alphabet)(layer.LayerNormalization()(x)))


@model("transformer-train", "Transformer of 4 layers, width 64, 128 tokens, one training step")
def _transformer_train(options: Options) -> Program:
    batch = options.batch or 8
    tokens, labels = _tokens(_VOCABULARY, batch, 128), _tokens(_VOCABULARY, batch, 128, salt=2)
    return _training(_transformer(batch), tokens, labels, options)


@model("transformer-infer", "Transformer of 4 layers, width 64, 128 tokens, inference")
def _transformer_infer(options: Options) -> Program:
    batch = options.batch or 8
    return _inference(_transformer(batch), _tokens(_VOCABULARY, batch, 128), options)


@model("chargpt-train", "GPT of 4 layers, width 128, 64 characters, one training step")
def _character_gpt_train(options: Options) -> Program:
    batch = options.batch or 12
    return _training(
        _character_gpt(batch), _tokens(65, batch, 64), _tokens(65, batch, 64, salt=2), options
    )


@model("chargpt-dropout-train", "the same with dropout")
def _character_gpt_dropout_train(options: Options) -> Program:
    batch = options.batch or 12
    network = _character_gpt(batch, dropout=0.1)
    return _training(network, _tokens(65, batch, 64), _tokens(65, batch, 64, salt=2), options)


def _wavenet(batch: int, length: int = 512, channels: int = 64, blocks: int = 10) -> Any:
    import tensorflow as tf

    layer = tf.keras.layers
    audio = tf.keras.Input((length, 1), batch_size=batch)
    x = layer.Conv1D(channels, 2, padding="causal")(audio)
    skips = []
    for block in range(blocks):
        dilation = 2 ** (block % 8)
        gate = layer.Conv1D(
            channels, 2, padding="causal", dilation_rate=dilation, activation="sigmoid"
        )(x)
        value = layer.Conv1D(
            channels, 2, padding="causal", dilation_rate=dilation, activation="tanh"
        )(x)
        h = layer.Conv1D(channels, 1)(gate * value)
        skips.append(h)
        x = x + h
    x = layer.Conv1D(channels, 1, activation="relu")(layer.Activation("relu")(layer.add(skips)))
    return tf.keras.Model(audio, layer.Conv1D(256, 1)(x))


def _audio(batch: int, length: int = 512) -> Any:
    import tensorflow as tf

    return tf.random.stateless_normal((batch, length, 1), seed=(SEED, 1))


@model("wavenet-train", "dilated causal convolutions with gates, one training step")
def _wavenet_train(options: Options) -> Program:
    batch = options.batch or 4
    return _training(_wavenet(batch), _audio(batch), _tokens(256, batch, 512, salt=2), options)


@model("wavenet-infer", "dilated causal convolutions with gates, inference")
def _wavenet_infer(options: Options) -> Program:
    batch = options.batch or 4
    return _inference(_wavenet(batch), _audio(batch), options)


def lstm_step(
    steps: int,
    *,
    width: int = 256,
    layers: int = 2,
    train: bool = True,
    options: Options = DEFAULTS,
) -> Program:
    """An LSTM unrolled in Python, so that its graph grows with the number of steps."""
    import tensorflow as tf

    def normal(*shape: int, salt: int) -> Any:
        return tf.random.stateless_normal(shape, seed=(SEED, salt))

    batch = options.batch or 8
    kernels = [
        tf.Variable(normal(2 * width, 4 * width, salt=i) / (2 * width) ** 0.5)
        for i in range(layers)
    ]
    biases = [tf.Variable(tf.zeros((4 * width,))) for _ in range(layers)]
    variables = kernels + biases

    def forward(x: Any) -> Any:
        state = [(tf.zeros((batch, width)), tf.zeros((batch, width))) for _ in range(layers)]
        for t in range(steps):
            h = x[:, t]
            for i in range(layers):
                cell, hidden = state[i]
                z = tf.matmul(tf.concat([h, hidden], 1), kernels[i]) + biases[i]
                gate_in, gate_forget, value, gate_out = tf.split(z, 4, 1)
                cell = cell * tf.sigmoid(gate_forget + 1.0) + tf.sigmoid(gate_in) * tf.tanh(value)
                h = tf.tanh(cell) * tf.sigmoid(gate_out)
                state[i] = (cell, h)
        return h

    def step(x: Any, y: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(forward(x) - y))
        gradients = tape.gradient(loss, variables)
        for variable, gradient in zip(variables, gradients, strict=True):
            variable.assign_sub(0.01 * gradient)
        return (loss, gradients) if options.gradients else loss

    inputs = normal(batch, steps, width, salt=100)
    if not train:
        return Program(forward, (inputs,))
    return Program(step, (inputs, normal(batch, width, salt=101)), options.gradients)


@model("lstm-train", "LSTM of 2 x 256, unrolled 32 times, one training step")
def _lstm_train(options: Options) -> Program:
    return lstm_step(32, options=options)


@model("lstm-infer", "LSTM of 2 x 256, unrolled 32 times, inference")
def _lstm_infer(options: Options) -> Program:
    return lstm_step(32, train=False, options=options)


@model("black-scholes", "prices of a million options")
def _black_scholes(options: Options) -> Program:
    import tensorflow as tf

    def between(low: float, high: float, salt: int) -> Any:
        return tf.random.stateless_uniform((options.batch or 1_000_000,), (SEED, salt), low, high)

    def cumulative(x: Any) -> Any:
        return 0.5 * (1.0 + tf.math.erf(x / 2.0**0.5))

    def price(spot: Any, strike: Any, years: Any, volatility: Any) -> Any:
        deviation = volatility * tf.sqrt(years)
        d1 = (tf.math.log(spot / strike) + (0.02 + 0.5 * volatility**2) * years) / deviation
        discounted = strike * tf.exp(-0.02 * years)
        call = spot * cumulative(d1) - discounted * cumulative(d1 - deviation)
        return call, call - spot + discounted

    return Program(
        price, (between(50, 150, 1), between(50, 150, 2), between(0.1, 2, 3), between(0.1, 0.5, 4))
    )


@model("mlp-train", "16 dense layers of 512, one training step")
def _mlp_train(options: Options) -> Program:
    import tensorflow as tf

    layer = tf.keras.layers
    batch = options.batch or 64
    x = inputs = tf.keras.Input((512,), batch_size=batch)
    for _ in range(16):
        x = layer.Dense(512, activation="gelu")(x)
    network = tf.keras.Model(inputs, layer.Dense(10)(x))
    images = tf.random.stateless_normal((batch, 512), seed=(SEED, 1))
    return _training(network, images, _tokens(10, batch, salt=2), options)


@model("dlrm-train", "embeddings and a small network, one training step")
def _dlrm_train(options: Options) -> Program:
    import tensorflow as tf

    layer = tf.keras.layers
    batch, tables, rows, width = options.batch or 256, 12, 5000, 32
    tokens = tf.keras.Input((tables,), batch_size=batch, dtype="int32")
    columns = [layer.Embedding(rows, width)(tokens[:, i]) for i in range(tables)]
    x = layer.Concatenate()(columns)
    for units in (256, 128):
        x = layer.Dense(units, activation="relu")(x)
    network = tf.keras.Model(tokens, layer.Dense(2)(x))
    return _training(network, _tokens(rows, batch, tables), _tokens(2, batch, salt=2), options)
