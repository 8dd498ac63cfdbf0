"""The programs of `grappler-go bench gains`, by name.

Models of keras.applications and the built-in programs (bench.models) are named there.
The others are built here by functions without arguments, which bench.models.build calls
as "module:function". Most take an architecture of grappler_go_training.workloads at a size
at which a step takes 5 to 500 ms on two cores; that package is imported when such a program
is built. Weights are initialised and inputs drawn alike in every process.

Programs are for measuring. Whoever fits a policy does so on other programs:
Program.held_out says of which families no training sees a graph.
"""

import dataclasses
import importlib
from collections.abc import Callable
from typing import Any

Made = tuple[Callable[..., Any], tuple[Any, ...]]

_SEED = 7


@dataclasses.dataclass(frozen=True)
class Program:
    """One program.

    Attributes:
      name: as it is shown; ends in -train where weights are updated.
      spec: for bench.models.build.
      family: of architectures, as in SPLIT_OF of grappler_go_training.workloads.
      batch, image_size: of a model of keras.applications; 0 for its own.
      held_out: False: policies are trained on workloads of its family.
    """

    name: str
    spec: str
    family: str
    batch: int = 0
    image_size: int = 0
    held_out: bool = True


def _here(name: str, family: str, held_out: bool = True) -> Program:
    return Program(name, f"{__name__}:{name.replace('-', '_')}", family, held_out=held_out)


def _built_in(name: str, family: str, image_size: int = 0) -> Program:
    return Program(name, name, family, image_size=image_size)


PROGRAMS: tuple[Program, ...] = (
    _built_in("resnet50-infer", "resnet"),
    _built_in("inceptionv3-infer", "inception-v3"),
    _built_in("densenet121-infer", "densenet"),
    _built_in("convnexttiny-infer", "convnext", image_size=128),
    _built_in("mobilenetv2-infer", "mobilenet"),
    _built_in("efficientnetb0-infer", "efficientnet"),
    _built_in("nasnetmobile-infer", "nasnet"),
    _built_in("resnet50-train", "resnet", image_size=64),
    _built_in("mobilenetv2-train", "mobilenet", image_size=96),
    _built_in("mobilenetv3small-train", "mobilenet", image_size=96),
    _built_in("transformer-train", "transformer"),
    _built_in("transformer-infer", "transformer"),
    _built_in("chargpt-train", "gpt"),
    _built_in("chargpt-dropout-train", "gpt"),
    _here("transformer-xl-train", "transformer-xl", held_out=False),
    _here("t5-train", "t5"),
    _here("t5-infer", "t5"),
    _here("rnnlm-train", "rnnlm"),
    _built_in("lstm-train", "lstm"),
    _built_in("lstm-infer", "lstm"),
    _here("lstm-loop-train", "lstm"),
    _here("lstm-loop-infer", "lstm"),
    _built_in("wavenet-train", "wavenet"),
    _built_in("wavenet-infer", "wavenet"),
    _built_in("dlrm-train", "dlrm"),
    _here("dlrm-sparse-train", "dlrm"),
    _here("dlrm-infer", "dlrm"),
    _here("two-tower-train", "two-tower", held_out=False),
    _here("two-tower-infer", "two-tower", held_out=False),
    _here("gcn-train", "gnn", held_out=False),
    _here("gat-infer", "gnn", held_out=False),
    _here("vae-train", "vae", held_out=False),
    _here("vae-infer", "vae", held_out=False),
    _here("diffusion-train", "diffusion", held_out=False),
    _here("diffusion-infer", "diffusion", held_out=False),
    _here("gan-train", "gan"),
    _built_in("mlp-train", "mlp"),
    _built_in("black-scholes", "black-scholes"),
    _here("monte-carlo", "black-scholes"),
    _here("k-means", "clustering"),
    _here("heat", "pde", held_out=False),
    _here("wave-equation", "pde", held_out=False),
    _here("kalman", "filter", held_out=False),
)
BY_NAME = {program.name: program for program in PROGRAMS}


def _workload(module: str, function: str, **settings: Any) -> Made:
    """Calls a builder of the training package.

    Raises:
      ImportError: it is not installed.
    """
    builders = importlib.import_module(f"grappler_go_training.workloads.{module}")
    made: Made = getattr(builders, function)(**settings)
    return made


def transformer_xl_train() -> Made:
    sizes = {"depth": 3, "width": 128, "heads": 4, "inner": 512, "length": 64, "batch": 8}
    return _workload("transformer_xl", "segment_step", **sizes, vocabulary=204)


def _t5(training: bool) -> Made:
    sizes = {"depth": 2, "width": 128, "heads": 4, "length": 64, "batch": 4}
    return _workload("transformers", "t5", **sizes, training=training)


def t5_train() -> Made:
    return _t5(training=True)


def t5_infer() -> Made:
    return _t5(training=False)


def rnnlm_train() -> Made:
    sizes = {"depth": 2, "units": 256, "unroll": 20, "batch": 16, "vocabulary": 4000}
    return _workload("rnnlm", "language_model", **sizes)


def _lstm_loop(training: bool) -> Made:
    """Keras's own LSTM layer, whose steps are a while loop: reviews of 80 words are
    called good or bad, as in Keras's example on IMDB."""
    import tensorflow as tf

    layer = tf.keras.layers
    batch, length, words = 32, 80, 5000
    tokens = tf.keras.Input((length,), batch_size=batch, dtype="int32")
    x = layer.LSTM(64, return_sequences=True)(layer.Embedding(words, 64)(tokens))
    network = tf.keras.Model(tokens, layer.Dense(2)(layer.LSTM(64)(x)))
    inputs = tf.random.stateless_uniform((batch, length), (_SEED, 1), 0, words, tf.int32)
    labels = tf.random.stateless_uniform((batch,), (_SEED, 2), 0, 2, tf.int32)
    steps = importlib.import_module("grappler_go_training.workloads.steps")
    made: Made = steps.keras_step(network, (inputs,), labels, training=training)
    return made


def lstm_loop_train() -> Made:
    return _lstm_loop(training=True)


def lstm_loop_infer() -> Made:
    return _lstm_loop(training=False)


def dlrm_sparse_train() -> Made:
    sizes = {"tables": 26, "rows": 10_000, "width": 32, "batch": 512}
    return _workload("tables", "dlrm", **sizes, training=True)


def dlrm_infer() -> Made:
    sizes = {"tables": 26, "rows": 10_000, "width": 32, "batch": 1024}
    return _workload("tables", "dlrm", **sizes, training=False)


def two_tower_train() -> Made:
    return _workload("tables", "two_tower", rows=10_000, width=128, batch=256, training=True)


def two_tower_infer() -> Made:
    return _workload("tables", "two_tower", rows=50_000, width=128, batch=1024, training=False)


def gcn_train() -> Made:
    sizes = {"nodes": 5000, "edges": 25_000, "depth": 3, "width": 64}
    return _workload("tables", "graph_network", kind="gcn", **sizes, training=True)


def gat_infer() -> Made:
    sizes = {"nodes": 5000, "edges": 25_000, "depth": 3, "width": 64}
    return _workload("tables", "graph_network", kind="gat", **sizes, training=False)


def vae_train() -> Made:
    return _workload("generative", "vae", width=16, size=32, batch=64, training=True)


def vae_infer() -> Made:
    return _workload("generative", "vae", width=32, size=64, batch=32, training=False)


def diffusion_train() -> Made:
    return _workload("generative", "diffusion", width=32, size=32, batch=4, training=True)


def diffusion_infer() -> Made:
    return _workload("generative", "diffusion", width=32, size=32, batch=8, training=False)


def gan_train() -> Made:
    return _workload("generative", "gan", width=16, size=32, batch=32)


def monte_carlo() -> Made:
    """An Asian option by simulation: 20,000 paths of 64 steps, drawn anew each time
    (with a given seed, so that every mode prices the same paths)."""
    import tensorflow as tf

    paths, steps, years, volatility, rate = 20_000, 64, 1.0, 0.3, 0.02

    def price(spot: Any, strike: Any, seed: Any) -> Any:
        draws = tf.random.stateless_normal((paths, steps), seed)
        h = years / steps
        moves = (rate - 0.5 * volatility**2) * h + volatility * h**0.5 * draws
        level = spot * tf.exp(tf.cumsum(moves, axis=1))
        payoff = tf.maximum(tf.reduce_mean(level, axis=1) - strike, 0.0)
        value = tf.exp(-rate * years) * tf.reduce_mean(payoff)
        return value, tf.math.reduce_std(payoff) / paths**0.5

    return price, (tf.constant(100.0), tf.constant(105.0), tf.constant([_SEED, 1]))


def k_means() -> Made:
    return _workload("numerics", "k_means", points=20_000, clusters=32, steps=10)


def heat() -> Made:
    return _workload("numerics", "heat", size=256, steps=50)


def wave_equation() -> Made:
    return _workload("numerics", "wave_equation", size=384, steps=40)


def kalman() -> Made:
    return _workload("numerics", "kalman", states=8, steps=40, batch=64)
