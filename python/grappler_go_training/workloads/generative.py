"""Networks that make images: variational autoencoder, diffusion, adversarial."""

from typing import Any

import tensorflow as tf

from grappler_go_training.workloads import layers, steps
from grappler_go_training.workloads.registry import both, workload
from grappler_go_training.workloads.workload import Made


@both("vae-small", "vae", width=16, size=32, batch=64)
@both("vae-large", "vae", width=64, size=64, batch=64)
def vae(width: int, size: int, batch: int, training: bool) -> Made:
    """A convolutional variational autoencoder (Kingma, Welling 2014), 64 latent numbers;
    inference decodes the mean."""
    layer = tf.keras.layers
    images = tf.keras.Input((size, size, 3), batch_size=batch)
    x = images
    for level in range(3):
        x = layer.Conv2D(width * 2**level, 3, 2, "same", activation="relu")(x)
    encoder = tf.keras.Model(images, layer.Dense(2 * 64)(layer.Flatten()(x)))
    latent = tf.keras.Input((64,), batch_size=batch)
    side = size // 8
    x = layer.Dense(side * side * 4 * width, activation="relu")(latent)
    x = layer.Reshape((side, side, 4 * width))(x)
    for level in reversed(range(3)):
        x = layer.Conv2DTranspose(width * 2**level, 3, 2, "same", activation="relu")(x)
    decoder = tf.keras.Model(latent, layer.Conv2D(3, 3, padding="same")(x))
    pixels = tf.random.stateless_uniform((batch, size, size, 3), (layers.SEED, 1))
    if not training:
        return lambda x: tf.sigmoid(decoder(encoder(x)[:, :64])), (pixels,)

    def loss(x: tf.Tensor) -> tf.Tensor:
        mean, log_variance = tf.split(encoder(x, training=True), 2, 1)
        drawn = mean + tf.exp(0.5 * log_variance) * tf.random.normal(mean.shape)
        logits = decoder(drawn, training=True)
        rebuilt = tf.reduce_sum(
            tf.nn.sigmoid_cross_entropy_with_logits(labels=x, logits=logits), [1, 2, 3]
        )
        divergence = 0.5 * tf.reduce_sum(
            tf.square(mean) + tf.exp(log_variance) - log_variance - 1.0, 1
        )
        return tf.reduce_mean(rebuilt + divergence)

    weights = [v.value for net in (encoder, decoder) for v in net.trainable_variables]
    return steps.training_step(loss, weights, "adam"), (pixels,)


def _noise_predictor(width: int, size: int, batch: int) -> tf.keras.Model:
    """A U-Net of residual blocks with group normalisation, the time added to each, and
    attention at the lowest level (Ho et al. 2020, appendix B)."""
    layer = tf.keras.layers
    images = tf.keras.Input((size, size, 3), batch_size=batch)
    times = tf.keras.Input((width,), batch_size=batch)
    time = layer.Dense(4 * width, activation="silu")(times)

    def block(x: Any, channels: int) -> Any:
        h = layer.Activation("silu")(layer.GroupNormalization(8)(x))
        h = layer.Conv2D(channels, 3, padding="same")(h)
        h = layer.Add()([h, layer.Reshape((1, 1, channels))(layer.Dense(channels)(time))])
        h = layer.Activation("silu")(layer.GroupNormalization(8)(h))
        h = layer.Conv2D(channels, 3, padding="same")(h)
        return layer.Add()([h, x if x.shape[-1] == channels else layer.Conv2D(channels, 1)(x)])

    x = layer.Conv2D(width, 3, padding="same")(images)
    skips = []
    for level in range(3):
        x = block(x, width * 2**level)
        skips.append(x)
        x = layer.Conv2D(width * 2**level, 3, 2, "same")(x)
    x = block(x, width * 4)
    rows = layer.Reshape((x.shape[1] * x.shape[2], x.shape[3]))(layer.GroupNormalization(8)(x))
    rows = layer.MultiHeadAttention(4, width)(rows, rows)
    x = block(layer.Add()([x, layer.Reshape(x.shape[1:])(rows)]), width * 4)
    for level in reversed(range(3)):
        x = layer.Conv2D(width * 2**level, 3, padding="same")(layer.UpSampling2D()(x))
        x = block(layer.Concatenate()([x, skips[level]]), width * 2**level)
    x = layer.Activation("silu")(layer.GroupNormalization(8)(x))
    return tf.keras.Model([images, times], layer.Conv2D(3, 3, padding="same")(x))


@both("diffusion-small", "diffusion", width=32, size=32, batch=16)
@both("diffusion-large", "diffusion", width=64, size=64, batch=16)
def diffusion(width: int, size: int, batch: int, training: bool) -> Made:
    """Denoising diffusion (Ho et al. 2020): predict the noise at a random step of 1000;
    inference is one step of sampling."""
    network = _noise_predictor(width, size, batch)

    def times_of(step: tf.Tensor) -> tf.Tensor:
        frequency = 1.0 / 10_000.0 ** (tf.range(0.0, width, 2.0) / width)
        angle = tf.cast(step, tf.float32)[:, None] * frequency[None, :]
        return tf.concat([tf.sin(angle), tf.cos(angle)], 1)

    beta = tf.linspace(1e-4, 0.02, 1000)
    kept = tf.math.cumprod(1.0 - beta)
    images = layers.normal(batch, size, size, 3)
    number = layers.tokens(1000, batch, salt=2)

    def sample(x: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
        noise = network([x, times_of(step)], training=False)
        b, k = (tf.reshape(tf.gather(of, step), (-1, 1, 1, 1)) for of in (beta, kept))
        mean = (x - b / tf.sqrt(1.0 - k) * noise) / tf.sqrt(1.0 - b)
        return mean + tf.sqrt(b) * tf.random.normal(x.shape)

    def loss(x: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
        noise = tf.random.normal(x.shape)
        k = tf.reshape(tf.gather(kept, step), (-1, 1, 1, 1))
        mixed = tf.sqrt(k) * x + tf.sqrt(1.0 - k) * noise
        guess = network([mixed, times_of(step)], training=True)
        return tf.reduce_mean(tf.square(guess - noise))

    if not training:
        return sample, (images, number)
    weights = [v.value for v in network.trainable_variables]
    return steps.training_step(loss, weights, "adam"), (images, number)


@workload("gan-small", "gan", training=True, width=32, size=32, batch=32)
@workload("gan-large", "gan", training=True, width=64, size=64, batch=64)
def gan(width: int, size: int, batch: int) -> Made:
    """DCGAN (Radford et al. 2016): one step of the discriminator and of the generator."""
    layer = tf.keras.layers
    latent = tf.keras.Input((100,), batch_size=batch)
    side = size // 8
    x = layer.Reshape((side, side, 4 * width))(layer.Dense(side * side * 4 * width)(latent))
    for level in reversed(range(2)):
        x = layer.ReLU()(layer.BatchNormalization()(x))
        x = layer.Conv2DTranspose(width * 2**level, 4, 2, "same")(x)
    x = layer.ReLU()(layer.BatchNormalization()(x))
    x = layer.Conv2DTranspose(3, 4, 2, "same", activation="tanh")(x)
    generator = tf.keras.Model(latent, x)
    images = y = tf.keras.Input((size, size, 3), batch_size=batch)
    for level in range(3):
        y = layer.LeakyReLU(negative_slope=0.2)(layer.Conv2D(width * 2**level, 4, 2, "same")(y))
    discriminator = tf.keras.Model(images, layer.Dense(1)(layer.Flatten()(y)))

    def error(logits: tf.Tensor, real: float) -> tf.Tensor:
        labels = tf.fill(logits.shape, real)
        return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels=labels, logits=logits))

    def judged(x: tf.Tensor, z: tf.Tensor) -> tf.Tensor:
        made = generator(z, training=True)
        return error(discriminator(x), 1.0) + error(discriminator(made), 0.0)

    def fooled(x: tf.Tensor, z: tf.Tensor) -> tf.Tensor:
        return error(discriminator(generator(z, training=True)), 1.0)

    parts = [
        steps.training_step(loss, [v.value for v in net.trainable_variables], "adam")
        for loss, net in ((judged, discriminator), (fooled, generator))
    ]
    args = layers.normal(batch, size, size, 3), layers.normal(batch, 100, salt=2)
    return lambda x, z: [part(x, z) for part in parts], args
