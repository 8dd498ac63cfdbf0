"""Whether malloc is told to keep what is freed: settings of a whole process, hence each in a
process of its own."""

import re

import helpers
import pytest

PROLOGUE = """
import resource
import tensorflow as tf, grappler_go
from grappler_go import native
kept = lambda: native.core().keeps_freed_memory()
"""


def test_it_is_kept_while_the_pass_is_on():
    done = helpers.run_python(
        PROLOGUE
        + """
print(kept())
grappler_go.enable()
print(kept())
grappler_go.disable()
print(kept())
"""
    )
    assert done.stdout.split() == ["False", "True", "False"]


def test_it_is_not_where_settings_speak_against_it():
    """One after the other in a process: once it is kept, it stays so."""
    against = [
        "keep_memory=False",
        "memory_limit='4GB'",
        "memory_limit=0.5",
        "decisions=('fusion',)",
        "policy=None",
    ]
    each = [
        f"grappler_go.enable({settings})\nprint(kept())\ngrappler_go.disable()\n"
        for settings in [*against, ""]
    ]
    done = helpers.run_python(PROLOGUE + "".join(each))
    assert dict(zip([*against, "nothing"], done.stdout.split(), strict=True)) == {
        **dict.fromkeys(against, "False"),
        "nothing": "True",
    }


def test_a_step_does_not_fault_its_memory_in_again():
    faults = """
grappler_go.enable(SETTINGS)
@tf.function
def step(x):
    y = x * 2.0
    for _ in range(3):
        y = tf.concat([y[:1], y[1:]], 0)
    return tf.reduce_sum(y)
x = tf.random.normal([5_000_000])  # 20 MB a tensor
def faults_of(steps):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(steps):
        step(x)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults_of(3)
# The least of several: until the threads' timing has shown every order, the heap may grow.
print(min(faults_of(5) for _ in range(4)))
"""
    # So that malloc gives back each tensor, without the adaptation that depends on chance.
    # With oneDNN, where the CPU has AVX-512, TensorFlow has a pool for tensors instead.
    env = {"MALLOC_MMAP_THRESHOLD_": "131072", "TF_ENABLE_ONEDNN_OPTS": "0"}
    kept, given_back = (
        int(helpers.run_python(PROLOGUE + faults.replace("SETTINGS", settings), env=env).stdout)
        for settings in ("", "keep_memory=False")
    )
    assert given_back > 20_000
    assert kept < given_back / 3


def test_anything_but_a_bool_is_refused():
    import grappler_go

    with pytest.raises(TypeError, match="keep_memory='no': expected True or False"):
        grappler_go.enable(keep_memory="no")


def test_the_docs_name_what_is_set():
    source = (helpers.ROOT / "cc/plugin/freed_memory.cc").read_text()
    docs = (helpers.ROOT / "docs/use.md").read_text()
    assert set(re.findall(r"M_[A-Z_]+", source)) == set(re.findall(r"M_[A-Z_]+", docs))
