"""Training steps whose activations are most of their memory: what `grappler-go bench
memory` runs.

A network is a chain of blocks, so that the same program can be had with
tf.recompute_grad by hand around each of them (Options of build()), with the same weights.
Those of bench.models are taken at a batch at which their activations outweigh their
weights.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

from grappler_go.bench import models

# Calls a block with its inputs: directly, or with its insides computed again in the
# backward pass.
Caller = Callable[..., Any]


@dataclasses.dataclass(frozen=True)
class Network:
    """What is trained.

    Attributes:
      forward: (inputs, call) -> outputs; runs each block as call(block, *its inputs).
      variables: what is trained; they exist once forward has run.
      inputs, targets: of one batch.
      loss: (targets, outputs) -> a number.
    """

    forward: Callable[[Any, Caller], Any]
    variables: Callable[[], Sequence[Any]]
    inputs: Any
    targets: Any
    loss: Callable[[Any, Any], Any]


_NETWORKS: dict[str, tuple[Callable[[], Network], str]] = {}
# Of bench.models: the batch, the size of images.
_SIZES = {
    "transformer-train": models.Options(batch=16),
    "chargpt-train": models.Options(batch=48),
    "lstm-train": models.Options(batch=512),
    "wavenet-train": models.Options(batch=8),
    "mobilenetv2-train": models.Options(batch=32, image_size=96),
    "densenet121-train": models.Options(batch=16, image_size=96),
}


def names() -> list[str]:
    """What runs when no program is named."""
    return [*_NETWORKS, *_SIZES]


def about(name: str) -> str:
    """What a program of names() is."""
    return _NETWORKS[name][1] if name in _NETWORKS else models.names().get(name, name)


def has_blocks(name: str) -> bool:
    """Whether build() can put tf.recompute_grad around its blocks."""
    return name in _NETWORKS


def build(name: str, options: models.Options = models.DEFAULTS) -> models.Program:
    """One of names(), or what bench.models.build() takes.

    Raises:
      UnknownProgramError: there is none of that name.
    """
    if name not in _NETWORKS:
        size = _SIZES.get(name, models.DEFAULTS)
        return models.build(
            name,
            dataclasses.replace(
                options,
                batch=options.batch or size.batch,
                image_size=options.image_size or size.image_size,
            ),
        )
    return build_variants(name)[0]


def build_variants(name: str) -> tuple[models.Program, models.Program]:
    """The program, and with tf.recompute_grad around each block. Both train the same
    variables.

    Raises:
      KeyError: has_blocks() is False.
    """
    import tensorflow as tf

    tf.keras.utils.set_random_seed(models.SEED)
    network = _NETWORKS[name][0]()
    network.forward(network.inputs[:1], _directly)
    variables = network.variables()
    optimizer = tf.keras.optimizers.Adam(1e-3)
    optimizer.build(variables)

    def step(call: Caller, x: Any, y: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = network.loss(y, network.forward(x, call))
        optimizer.apply(tape.gradient(loss, variables), variables)
        return loss

    args = (network.inputs, network.targets)
    plain, by_hand = (functools.partial(step, call) for call in (_directly, _again))
    return models.Program(plain, args), models.Program(by_hand, args)


def _directly(block: Callable[..., Any], *inputs: Any) -> Any:
    return block(*inputs)


def _again(block: Callable[..., Any], *inputs: Any) -> Any:
    import tensorflow as tf

    return tf.recompute_grad(block)(*inputs)


def _network(name: str, about: str) -> Callable[[Callable[[], Network]], Callable[[], Network]]:
    def register(maker: Callable[[], Network]) -> Callable[[], Network]:
        _NETWORKS[name] = (maker, about)
        return maker

    return register


def _chain(blocks: Sequence[Any]) -> Callable[[Any, Caller], Any]:
    def forward(x: Any, call: Caller) -> Any:
        for block in blocks:
            x = call(block, x)
        return x

    return forward


def _variables_of(blocks: Sequence[Any]) -> Callable[[], Sequence[Any]]:
    return lambda: [v.value for block in blocks for v in block.trainable_variables]


def _classifier(blocks: Sequence[Any], inputs: Any, classes: int) -> Network:
    """A chain of blocks whose last one gives a score for each class."""
    import tensorflow as tf

    labels = tf.random.stateless_uniform(
        _shape_of_labels(inputs, blocks), (models.SEED, 2), 0, classes, tf.int32
    )

    def loss(y: Any, logits: Any) -> Any:
        return tf.reduce_mean(
            tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits)
        )

    return Network(_chain(blocks), _variables_of(blocks), inputs, labels, loss)


def _shape_of_labels(inputs: Any, blocks: Sequence[Any]) -> tuple[int, ...]:
    return (inputs.shape[0], *_chain(blocks)(inputs[:1], _directly).shape[1:-1])


def _normal(*shape: int, salt: int = 1) -> Any:
    import tensorflow as tf

    return tf.random.stateless_normal(shape, seed=(models.SEED, salt))


class _Block:
    """Layers one after the other, from what `call` makes of them."""

    def __init__(self, call: Callable[..., Any], *layers: Any) -> None:
        self._call = call
        self._layers = layers

    def __call__(self, *inputs: Any) -> Any:
        return self._call(*inputs)

    @property
    def trainable_variables(self) -> list[Any]:
        return [v for layer in self._layers for v in layer.trainable_variables]


def _one_by_one(*layers: Any) -> _Block:
    def call(x: Any) -> Any:
        for layer in layers:
            x = layer(x)
        return x

    return _Block(call, *layers)


@_network("deep-mlp", "24 dense layers of 256, 2,048 rows")
def _deep_mlp() -> Network:
    import tensorflow as tf

    layer = tf.keras.layers
    hidden = [_one_by_one(layer.Dense(256, activation="gelu")) for _ in range(24)]
    return _classifier([*hidden, layer.Dense(10)], _normal(2048, 256), 10)


def _attention_block(width: int, heads: int) -> _Block:
    import tensorflow as tf

    layer = tf.keras.layers
    first, second = layer.LayerNormalization(), layer.LayerNormalization()
    attention = layer.MultiHeadAttention(heads, width // heads)
    wide, narrow = layer.Dense(4 * width, activation="gelu"), layer.Dense(width)

    def call(x: Any) -> Any:
        n = first(x)
        x = x + attention(n, n)
        return x + narrow(wide(second(x)))

    return _Block(call, first, second, attention, wide, narrow)


@_network("vit", "Vision Transformer of 6 layers, width 128, 16 images of 64 x 64")
def _vit() -> Network:
    import tensorflow as tf

    layer = tf.keras.layers
    patches = _one_by_one(layer.Conv2D(128, 8, 8), layer.Reshape((64, 128)))
    blocks = [patches, *(_attention_block(128, 4) for _ in range(6))]
    head = _one_by_one(layer.LayerNormalization(), layer.GlobalAveragePooling1D(), layer.Dense(100))
    return _classifier([*blocks, head], _normal(16, 64, 64, 3), 100)


@_network("bert", "BERT of 4 layers, width 128, 8 sentences of 128 tokens")
def _bert() -> Network:
    import tensorflow as tf

    layer = tf.keras.layers
    tokens, places = layer.Embedding(2000, 128), layer.Embedding(128, 128)
    embed = _Block(lambda x: tokens(x) + places(tf.range(128)), tokens, places)
    blocks = [embed, *(_attention_block(128, 4) for _ in range(4))]
    head = _one_by_one(layer.LayerNormalization(), layer.Dense(2000))
    words = tf.random.stateless_uniform((8, 128), (models.SEED, 1), 0, 2000, tf.int32)
    return _classifier([*blocks, head], words, 2000)


def _residual_block(channels: int, stride: int) -> _Block:
    import tensorflow as tf

    layer = tf.keras.layers
    convs = [layer.Conv2D(channels, 3, s, "same", use_bias=False) for s in (stride, 1)]
    norms = [layer.GroupNormalization(8) for _ in range(2)]
    short = layer.Conv2D(channels, 1, stride, use_bias=False)

    def call(x: Any) -> Any:
        h = tf.nn.relu(norms[0](convs[0](x)))
        h = norms[1](convs[1](h))
        return tf.nn.relu(h + (short(x) if stride > 1 else x))

    return _Block(call, *convs, *norms, *([short] if stride > 1 else []))


@_network("resnet", "ResNet-20 with group normalisation, 32 images of 32 x 32")
def _resnet() -> Network:
    import tensorflow as tf

    layer = tf.keras.layers
    blocks = [layer.Conv2D(16, 3, padding="same")]
    for channels in (16, 32, 64):
        blocks += [
            _residual_block(channels, 2 if channels > 16 and i == 0 else 1) for i in range(3)
        ]
    head = _one_by_one(layer.GlobalAveragePooling2D(), layer.Dense(10))
    return _classifier([*blocks, head], _normal(32, 32, 32, 3), 10)


@_network("unet", "U-Net of 4 levels, 4 images of 128 x 128")
def _unet() -> Network:
    import tensorflow as tf

    layer = tf.keras.layers

    def block(channels: int) -> _Block:
        return _one_by_one(
            *(layer.Conv2D(channels, 3, padding="same", activation="relu") for _ in range(2))
        )

    widths = (16, 32, 64, 128)
    down = [block(width) for width in widths]
    up = [block(width) for width in widths[-2::-1]]
    wider = [layer.Conv2DTranspose(width, 2, 2) for width in widths[-2::-1]]
    head = layer.Conv2D(4, 1)

    def forward(x: Any, call: Caller) -> Any:
        skips = []
        for one in down[:-1]:
            skips.append(call(one, x))
            x = tf.nn.max_pool2d(skips[-1], 2, 2, "VALID")
        x = call(down[-1], x)
        for one, enlarge in zip(up, wider, strict=True):
            x = call(one, tf.concat([enlarge(x), skips.pop()], -1))
        return head(x)

    labels = tf.random.stateless_uniform((4, 128, 128), (models.SEED, 2), 0, 4, tf.int32)

    def loss(y: Any, logits: Any) -> Any:
        return tf.reduce_mean(
            tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits)
        )

    every = [*down, *up, *wider, head]
    return Network(forward, _variables_of(every), _normal(4, 128, 128, 3), labels, loss)


@_network("vae", "convolutional VAE, 16 images of 64 x 64")
def _vae() -> Network:
    import tensorflow as tf

    layer = tf.keras.layers

    def narrower(channels: int) -> _Block:
        return _one_by_one(
            layer.Conv2D(channels, 3, 2, "same"),
            layer.LayerNormalization(),
            layer.Activation("swish"),
        )

    def wider(channels: int) -> _Block:
        return _one_by_one(
            layer.Conv2DTranspose(channels, 3, 2, "same"),
            layer.LayerNormalization(),
            layer.Activation("swish"),
        )

    first = layer.Conv2D(32, 3, padding="same", activation="swish")
    encoder = [first, *(narrower(c) for c in (32, 64, 128))]
    mean, deviation, grow = layer.Dense(32), layer.Dense(32), layer.Dense(8 * 8 * 128)
    decoder = [wider(64), wider(32), wider(32), layer.Conv2D(3, 3, padding="same")]

    def forward(x: Any, call: Caller) -> Any:
        for block in encoder:
            x = call(block, x)
        flat = tf.reshape(x, (x.shape[0], -1))
        mu, log_variance = mean(flat), deviation(flat)
        noise = tf.random.stateless_normal(mu.shape, (models.SEED, 5))
        x = tf.reshape(grow(mu + tf.exp(0.5 * log_variance) * noise), (-1, 8, 8, 128))
        for block in decoder:
            x = call(block, x)
        distance = tf.reduce_mean(tf.square(mu) + tf.exp(log_variance) - log_variance - 1.0)
        return x, distance

    images = _normal(16, 64, 64, 3)

    def loss(y: Any, outputs: Any) -> Any:
        made, distance = outputs
        return tf.reduce_mean(tf.square(made - y)) + 1e-3 * distance

    every = [*encoder, mean, deviation, grow, *decoder]
    return Network(forward, _variables_of(every), images, images, loss)
