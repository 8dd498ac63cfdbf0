"""The GO policy: runs the tests of tests/keras2, each file in a process of its own."""

import importlib.util
import pathlib
import subprocess
import sys

import helpers
import pytest

_FILES = sorted((pathlib.Path(__file__).parent / "keras2").glob("test_*.py"))


@pytest.mark.parametrize("file", _FILES, ids=lambda file: file.stem)
def test_with_keras_2(file):
    if not importlib.util.find_spec("tensorflow_gnn"):
        pytest.skip("needs tensorflow-gnn")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", str(file)],
        env=helpers.environment(TF_USE_LEGACY_KERAS="1", GRAPPLER_GO_MACHINE="0"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_keras_3_in_the_process_is_an_error_that_says_what_to_do():
    done = helpers.run_python(
        "import tensorflow as tf; tf.keras.Sequential(); import grappler_go_training.go",
        check=False,
    )
    assert "set TF_USE_LEGACY_KERAS=1" in done.stderr
