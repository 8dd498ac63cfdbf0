"""Inputs of the GO network for tests, and a small network."""

import json
from typing import Any

import numpy as np
from grappler_go_training.go import config, inputs, network

from grappler_go import _core

SCHEMA = json.loads(_core.schema_json())


def small_network(**settings: Any) -> network.GoNetwork:
    """Of random weights, with segments of 8 ops."""
    sizes = {"width": 16, "ffn_width": 16, "segment": 8, "sage_layers": 1}
    return network.GoNetwork(config.NetworkConfig(**{**sizes, **settings}), SCHEMA)


def column(name: str) -> int:
    return SCHEMA["op_features"].index(name)


def random_inputs(
    num_ops: int, num_devices: int = 3, num_edges: int = 0, seed: int = 0
) -> inputs.GraphInputs:
    """Every device differs from the others; units of one op; everything is allowed."""
    rng = np.random.default_rng(seed)

    def floats(*shape: int) -> np.ndarray:
        return rng.uniform(0, 10, shape).astype(np.float32)

    ends = np.sort(rng.integers(0, max(num_ops, 1), (2, num_edges)), 0).astype(np.int32)
    links = floats(num_devices, num_devices, 2)
    links[np.arange(num_devices), np.arange(num_devices)] = 0
    return inputs.GraphInputs(
        op_type=rng.integers(0, 100, num_ops).astype(np.int32),
        op_features=rng.uniform(0, 3, (num_ops, len(SCHEMA["op_features"]))).astype(np.float32),
        edge_src=ends[0],
        edge_dst=ends[1],
        edge_features=floats(num_edges, 1),
        device_features=floats(num_devices, len(SCHEMA["device_features"])),
        link_features=links,
        op_device_micros=floats(num_ops, num_devices),
        unit=np.arange(num_ops, dtype=np.int32),
        allowed=np.ones((num_ops, num_devices), np.float32),
    )


def random_actions(
    num_ops: int, num_devices: int, network_config: config.NetworkConfig, seed: int = 0
) -> network.Actions:
    rng = np.random.default_rng(seed)
    limits = (num_devices, network_config.fusion_levels, network_config.schedule_levels, 2)
    return network.Actions(*(rng.integers(0, n, num_ops).astype(np.int32) for n in limits))
