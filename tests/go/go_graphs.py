"""Tiny graphs, cases and settings for the tests of training."""

import contextlib
from collections.abc import Iterator

from grappler_go_training import workloads
from grappler_go_training.go import machines, train_config
from grappler_go_training.go.environment import Case, make_case
from grappler_go_training.go.machines import Target
from grappler_go_training.go.teacher import TeacherCache

import grappler_go

# isort: split
import tensorflow as tf

NETWORK = {"width": 16, "heads": 2, "ffn_width": 16, "segment": 32, "sage_layers": 1}
NETWORK |= {"trunk_layers": 1, "fusion_levels": 4, "schedule_levels": 4}
# The network has tests of its own.
NETWORK |= {"attention": False, "superposition": False, "recurrence": False}


@contextlib.contextmanager
def traced_nothing() -> Iterator[None]:
    """Inside, functions of TensorFlow run as Python: to trace them takes longer than what
    they do with graphs this small."""
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(False)


def config(**changed) -> train_config.TrainConfig:
    """Small in every way."""
    values = {
        "imitation_steps": 1,
        "steps": 1,
        "samples": 4,
        "graphs_per_step": 2,
        "update_epochs": 1,
        "baselines": ["one_device", "human_expert", "priority_fusion"],
        "baseline_plans": 5,
        "threads": 2,
        "network": NETWORK,
    }
    return train_config.from_dict(values | changed)


def two_gpus(memory_bytes: int | None = None) -> Target:
    """Two P100s, of any memory."""
    machine = grappler_go.load_machine("p100x2")
    if memory_bytes is not None:
        devices = [{**device, "memory_bytes": memory_bytes} for device in machine.devices]
        machine = grappler_go.Machine("two small GPUs", devices=devices, links=machine.links)
    return Target(machine, True, "gpus")


def one_cpu() -> Target:
    """A CPU on which ops have been timed."""
    return Target(machines.timed_cpu(), False, "cpu")


def graph(seed: int = 1, num_ops: int = 60) -> grappler_go.CapturedGraph:
    """Two or more branches, with gradients."""
    return workloads.synthetic(seed, num_ops, kind="layered", training=True, width=64, batch=16)


def case(target: Target, seed: int = 1, name: str = "synthetic", num_ops: int = 60) -> Case:
    """A random graph on a machine."""
    settings = config()
    cache = TeacherCache(None, settings.baselines, settings.baseline_plans)
    return make_case(name, "synthetic", graph(seed, num_ops), target, cache.get)
