"""Classical numerics without weights: they have no training step, and run once when
they are captured (each takes seconds at most)."""

import tensorflow as tf

from grappler_go_training.workloads import layers
from grappler_go_training.workloads.registry import workload
from grappler_go_training.workloads.workload import Made


@workload("heat-small", "pde", training=False, size=128, steps=20)
@workload("heat-large", "pde", training=False, size=512, steps=50)
def heat(size: int, steps: int) -> Made:
    """The heat equation in the plane by explicit steps, periodic, unrolled."""

    def solve(u: tf.Tensor) -> tf.Tensor:
        for step in range(steps):
            with tf.name_scope(f"step{step}"):
                around = sum(tf.roll(u, shift, axis) for shift in (-1, 1) for axis in (0, 1))
                u = u + 0.2 * (around - 4.0 * u)
        return u

    return solve, (layers.normal(size, size),)


@workload("wave-equation", "pde", training=False, size=256, steps=30)
def wave_equation(size: int, steps: int) -> Made:
    """The wave equation by leapfrog, stencils as slices of a padded field, unrolled."""

    def solve(u: tf.Tensor, before: tf.Tensor) -> tf.Tensor:
        for step in range(steps):
            with tf.name_scope(f"step{step}"):
                p = tf.pad(u, [[1, 1], [1, 1]])
                laplacian = p[2:, 1:-1] + p[:-2, 1:-1] + p[1:-1, 2:] + p[1:-1, :-2] - 4.0 * u
                u, before = 2.0 * u - before + 0.1 * laplacian, u
        return u

    return solve, (layers.normal(size, size), layers.normal(size, size, salt=2))


@workload("burgers-spectral", "pde", training=False, size=4096, steps=20)
def burgers(size: int, steps: int) -> Made:
    """Burgers' equation, derivatives by Fourier transforms, classical Runge-Kutta."""
    frequency = tf.complex(tf.zeros((size // 2 + 1,)), tf.range(size // 2 + 1.0))

    def slope(u: tf.Tensor) -> tf.Tensor:
        spectrum = tf.signal.rfft(u)
        first = tf.signal.irfft(frequency * spectrum, [size])
        second = tf.signal.irfft(frequency * frequency * spectrum, [size])
        return 1e-3 * second - u * first

    def solve(u: tf.Tensor) -> tf.Tensor:
        h = 1e-4
        for step in range(steps):
            with tf.name_scope(f"step{step}"):
                a = slope(u)
                b = slope(u + 0.5 * h * a)
                c = slope(u + 0.5 * h * b)
                d = slope(u + h * c)
                u = u + h / 6.0 * (a + 2.0 * b + 2.0 * c + d)
        return u

    return solve, (layers.normal(size),)


@workload("conjugate-gradients-small", "linear-solver", training=False, size=256, steps=20)
@workload("conjugate-gradients-large", "linear-solver", training=False, size=1024, steps=50)
def conjugate_gradients(size: int, steps: int) -> Made:
    """Solves A x = b for a symmetric positive A, unrolled."""
    root = layers.normal(size, size)
    matrix = tf.matmul(root, root, transpose_b=True) / size + tf.eye(size)

    def solve(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
        x, r, p, norm = tf.zeros_like(b), b, b, tf.reduce_sum(b * b)
        for step in range(steps):
            with tf.name_scope(f"step{step}"):
                ap = tf.linalg.matvec(a, p)
                length = norm / tf.reduce_sum(p * ap)
                x, r = x + length * p, r - length * ap
                norm, before = tf.reduce_sum(r * r), norm
                p = r + norm / before * p
        return x

    return solve, (matrix, layers.normal(size, salt=2))


@workload("power-iteration", "linear-solver", training=False, size=512, steps=40)
def power_iteration(size: int, steps: int) -> Made:
    """The largest eigenvalues by orthogonal iteration, in a while loop."""

    def solve(a: tf.Tensor, start: tf.Tensor) -> tf.Tensor:
        def again(step: tf.Tensor, vectors: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            product = tf.matmul(a, vectors)
            return step + 1, product / tf.norm(product, axis=0, keepdims=True)

        _, vectors = tf.while_loop(lambda step, _: step < steps, again, (0, start))
        return tf.reduce_sum(vectors * tf.matmul(a, vectors), 0)

    return solve, (layers.normal(size, size), layers.normal(size, 16, salt=2))


@workload("n-body-small", "n-body", training=False, bodies=256, steps=5)
@workload("n-body-large", "n-body", training=False, bodies=1024, steps=10)
def n_body(bodies: int, steps: int) -> Made:
    """Gravity between all pairs, leapfrog, unrolled."""

    def acceleration(x: tf.Tensor, mass: tf.Tensor) -> tf.Tensor:
        apart = x[None, :, :] - x[:, None, :]
        cubed = (tf.reduce_sum(tf.square(apart), 2) + 1e-2) ** -1.5
        return tf.reduce_sum(apart * (cubed * mass[None, :])[:, :, None], 1)

    def simulate(x: tf.Tensor, v: tf.Tensor, mass: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        for step in range(steps):
            with tf.name_scope(f"step{step}"):
                v = v + 0.005 * acceleration(x, mass)
                x = x + 0.01 * v
                v = v + 0.005 * acceleration(x, mass)
        return x, v

    args = layers.normal(bodies, 3), layers.normal(bodies, 3, salt=2)
    return simulate, (*args, tf.abs(layers.normal(bodies, salt=3)))


@workload("kalman-small", "filter", training=False, states=8, steps=20, batch=64)
@workload("kalman-large", "filter", training=False, states=32, steps=50, batch=64)
def kalman(states: int, steps: int, batch: int) -> Made:
    """A batch of Kalman filters, gains by Cholesky factors, unrolled."""
    motion = tf.eye(states) + 0.01 * layers.normal(states, states)
    seen = states // 2
    observe = layers.normal(seen, states, salt=2)

    def estimate(measured: tf.Tensor) -> tf.Tensor:
        x, p = tf.zeros((batch, states, 1)), tf.eye(states, batch_shape=[batch])
        for step in range(steps):
            with tf.name_scope(f"step{step}"):
                x = tf.matmul(motion, x)
                p = tf.matmul(tf.matmul(motion, p), motion, transpose_b=True) + 0.1 * tf.eye(states)
                cross = tf.matmul(observe, p)
                spread = tf.matmul(cross, observe, transpose_b=True) + tf.eye(seen)
                gain = tf.linalg.cholesky_solve(tf.linalg.cholesky(spread), cross)
                surprise = measured[:, step, :, None] - tf.matmul(observe, x)
                x = x + tf.matmul(gain, surprise, transpose_a=True)
                p = p - tf.matmul(gain, cross, transpose_a=True)
        return x

    return estimate, (layers.normal(batch, steps, seen, salt=3),)


@workload("k-means-small", "clustering", training=False, points=2_000, clusters=16, steps=10)
@workload("k-means-large", "clustering", training=False, points=50_000, clusters=64, steps=20)
def k_means(points: int, clusters: int, steps: int) -> Made:
    """Lloyd's algorithm in 16 dimensions, unrolled."""

    def cluster(x: tf.Tensor, centers: tf.Tensor) -> tf.Tensor:
        for step in range(steps):
            with tf.name_scope(f"step{step}"):
                far = tf.reduce_sum(centers**2, 1) - 2.0 * tf.matmul(x, centers, transpose_b=True)
                nearest = tf.argmin(far, 1)
                total = tf.math.unsorted_segment_sum(x, nearest, clusters)
                count = tf.math.unsorted_segment_sum(tf.ones((points, 1)), nearest, clusters)
                centers = total / tf.maximum(count, 1.0)
        return centers

    return cluster, (layers.normal(points, 16), layers.normal(clusters, 16, salt=2))
