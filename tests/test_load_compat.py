"""One built library works under the oldest and the newest TensorFlow we support.

Each test runs a program in a process of its own, under this Python and, where
GRAPPLER_GO_OTHER_PYTHON names one (`make test-compat` does), under that one too:
an environment with another TensorFlow and without this package, so that what it
loads is the library built here.
"""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys

import pytest

_ROOT = pathlib.Path(__file__).resolve().parent.parent
_OTHER = os.environ.get("GRAPPLER_GO_OTHER_PYTHON")

_TRAIN = """
import json
import numpy as np
import tensorflow as tf
import grappler_go
from grappler_go.native import library_path

def compile_all(x):
    # Everything pays, so that the test sees decisions applied on any machine.
    n = len(x.op_type)
    return {
        "fusion": np.ones(n, np.float32),
        "op_micros": np.full(n, 100.0, np.float32),
        "fused_micros": np.full(n, 1.0, np.float32),
    }

def step(x, w):
    with tf.GradientTape() as tape:
        tape.watch(w)
        h = x
        for _ in range(6):
            h = tf.nn.gelu(tf.matmul(h, w)) + 0.1 * h
        loss = tf.reduce_mean(h * h)
    return loss, tape.gradient(loss, w)

tf.random.set_seed(0)
x, w = tf.random.normal((64, 128), seed=1), 0.05 * tf.random.normal((128, 128), seed=2)
plain = [t.numpy() for t in tf.function(step)(x, w)]
with grappler_go.scope(policy=compile_all, decisions=("fusion",)):
    ours = [t.numpy() for t in tf.function(step)(x, w)]
difference = max(float(np.max(np.abs(a - b) / (np.abs(a).max() + 1e-12)))
                 for a, b in zip(plain, ours))
print("RESULT " + json.dumps({
    "tensorflow": tf.__version__,
    "library": str(library_path()),
    "applied": any(r.applied for r in grappler_go.reports()),
    "difference": difference,
}))
"""

_SWITCH = """
import json
import tensorflow as tf
import grappler_go
grappler_go.load()
seen = {}
for on in (True, False):
    tf.config.optimizer.set_experimental_options({"use_plugin_optimizers": on})
    grappler_go.clear_reports()
    tf.function(lambda x: tf.reduce_sum(tf.matmul(x, x) + on))(tf.ones((8, 8)))
    seen[str(on)] = len(grappler_go.reports())
print("RESULT " + json.dumps({"tensorflow": tf.__version__, "seen": seen}))
"""

PYTHONS = [
    pytest.param(sys.executable, id="this-tensorflow"),
    pytest.param(
        _OTHER,
        id="other-tensorflow",
        marks=pytest.mark.skipif(not _OTHER, reason="make test-compat names another Python"),
    ),
]


def _run(python: str, program: str) -> dict:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GRAPPLER_GO")}
    environment.update(PYTHONPATH=str(_ROOT), TF_CPP_MIN_LOG_LEVEL="1")
    done = subprocess.run(
        [python, "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    results = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    assert results, done.stdout[-3000:]
    return json.loads(results[-1][len("RESULT ") :])


@pytest.mark.parametrize("python", PYTHONS)
def test_a_training_step_is_rewritten_and_computes_the_same(python):
    result = _run(python, _TRAIN)
    assert pathlib.Path(result["library"]).parent == _ROOT / "grappler_go"
    assert result["applied"], result
    assert result["difference"] < 1e-4, result


@pytest.mark.parametrize("python", PYTHONS)
def test_tensorflows_own_switch_decides_whether_graphs_are_seen(python):
    result = _run(python, _SWITCH)
    assert result["seen"]["True"] > 0, result
    assert result["seen"]["False"] == 0, result


@pytest.mark.skipif(not _OTHER, reason="make test-compat names another Python")
def test_the_two_tensorflows_differ():
    # Guards the test itself: the same version twice would prove nothing.
    program = "import json, tensorflow as tf; print('RESULT ' + json.dumps(tf.__version__))"
    assert _run(sys.executable, program) != _run(_OTHER, program)
