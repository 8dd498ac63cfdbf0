"""How often TensorFlow compiles what we group: once for each shape that is known, for a few
shapes, and never for one that is not."""

import helpers

# Counts what XLA dumps: a module for each compilation.
_PROGRAM = """
import glob, os, sys
import tensorflow as tf
import grappler_go

@tf.function(**eval(sys.argv[2]))
def step(x, y):
    y = tf.tanh(tf.matmul(y, y) + 1.0)
    for _ in range(12):
        y = tf.tanh(y * y + 1.0)
    for _ in range(12):
        x = tf.tanh(x * x + 1.0)
    return x, y

grappler_go.enable(
    policy="grappler_go.bench.everything:decide",
    min_gain=0.0,
    advanced={"min_group_ops": 2, **eval(sys.argv[3])},
)
counts = []
for rows in (2, 3, 4, 5, 6, 7, 2, 3):
    x, y = step(tf.ones((rows, 64)), tf.ones((16, 16)))
    assert x.shape == (rows, 64)
    counts.append(len(glob.glob(os.path.join(sys.argv[1], "*before_optimizations.txt"))))
print(*counts)
"""


def _compilations(tmp_path, function="{}", advanced="{}"):
    """Compilations after each call with another number of rows, two of which come back."""
    env = helpers.environment(XLA_FLAGS=f"--xla_dump_to={tmp_path} --xla_dump_hlo_as_text")
    done = helpers.run_python(_PROGRAM, str(tmp_path), function, advanced, env=env)
    return [int(count) for count in done.stdout.split()]


def test_what_has_an_unknown_shape_is_never_compiled_and_the_rest_once(tmp_path):
    signature = "{'input_signature': [tf.TensorSpec([None, 64]), tf.TensorSpec([16, 16])]}"
    assert _compilations(tmp_path, signature) == [1] * 8


def test_a_function_traced_for_each_shape_is_compiled_for_the_first_few(tmp_path):
    first, *rest = _compilations(tmp_path, advanced="{'max_shapes': 3}")
    assert first > 0
    assert rest == [2 * first, *[3 * first] * 6]
