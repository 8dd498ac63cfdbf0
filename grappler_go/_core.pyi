"""What the native module offers (cc/bindings)."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

_Int32 = npt.NDArray[np.int32]

class OpGraph:
    def __init__(
        self, graphdef: bytes, fetches: Sequence[str] = ..., preserve: Sequence[str] = ...
    ) -> None: ...
    num_ops: int
    num_edges: int
    fingerprint: str
    names: list[str]
    ops: list[str]
    op_classes: list[str]
    devices: list[str]
    flags: npt.NDArray[np.uint32]
    in_ptr: _Int32
    in_src: _Int32
    in_port: _Int32
    out_ptr: _Int32
    out_dst: _Int32
    out_port: _Int32
    depth: _Int32
    file_index: _Int32
    colocation_group: _Int32
    variable: _Int32
    graphdef: bytes
    flops: npt.NDArray[np.float64]
    resident_bytes: npt.NDArray[np.int64]
    bytes_moved: npt.NDArray[np.float64]
    cost_known: npt.NDArray[np.uint8]
    has_formula: npt.NDArray[np.uint8]
    @staticmethod
    def flag_names() -> dict[str, int]: ...
    def shape(self, op: int, port: int) -> list[int | None] | None: ...
    def dtype(self, op: int, port: int) -> int: ...
    def output_bytes(self, op: int, port: int) -> int: ...
    def num_outputs(self, op: int) -> int: ...
    def find(self, name: str) -> int: ...
    def attr(self, op: int, key: str) -> bytes: ...
    def __len__(self) -> int: ...

class Machine:
    name: str
    devices: list[dict[str, Any]]
    links: list[dict[str, Any]]
    sources: dict[str, str]
    def __init__(
        self,
        name: str,
        devices: Sequence[Mapping[str, Any]] = ...,
        links: Sequence[Mapping[str, Any]] = ...,
        sources: Mapping[str, str] = ...,
    ) -> None: ...
    @staticmethod
    def from_json(text: str) -> Machine: ...
    def to_json(self) -> str: ...

class Plan:
    fingerprint: str
    num_ops: int
    policy: str
    machine: str
    devices: list[str]
    device: _Int32 | None
    fusion_group: _Int32 | None
    recompute: npt.NDArray[np.uint8] | None
    order: list[tuple[int, int]]
    free_state: bool
    micros_before: float
    micros_after: float
    peak_bytes_before: int
    peak_bytes_after: int
    def __init__(self, graph: OpGraph) -> None: ...
    @staticmethod
    def from_json(text: str) -> Plan: ...
    def to_json(self, graph: OpGraph | None = ...) -> str: ...
    def validate(self, graph: OpGraph) -> None: ...
    def copy(self) -> Plan: ...
    @property
    def num_groups(self) -> int: ...
    @property
    def num_moved(self) -> int: ...
    @property
    def num_recomputed(self) -> int: ...
    @property
    def empty(self) -> bool: ...

class PolicyInput:
    op_type: _Int32
    op_features: npt.NDArray[np.float32]
    edge_src: _Int32
    edge_dst: _Int32
    edge_features: npt.NDArray[np.float32]
    device_features: npt.NDArray[np.float32]
    link_features: npt.NDArray[np.float32]
    op_device_micros: npt.NDArray[np.float32]
    unit: _Int32
    allowed: npt.NDArray[np.float32]
    graph: OpGraph
    machine: Machine
    graphdef: bytes
    deadline_s: float

class Policy:
    @property
    def name(self) -> str: ...
    def decide(
        self,
        graph: OpGraph,
        machine: Machine,
        timeout_s: float | None = ...,
        free_state: bool = ...,
    ) -> dict[str, np.ndarray] | Plan: ...

class PythonPolicy(Policy):
    def __init__(self, callable: Callable[[PolicyInput], Any], name: str = ...) -> None: ...

def compute_features(
    graph: OpGraph, machine: Machine, free_state: bool = ...
) -> dict[str, np.ndarray]: ...
def with_local_rates(machine: Machine) -> Machine: ...
def local_machine_path() -> str: ...
def local_machine_state() -> str: ...
def cpu_model() -> str: ...
def op_micros(
    graph: OpGraph, machine: Machine
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]: ...
def roofline_micros(
    graph: OpGraph, machine: Machine, device: int = ...
) -> npt.NDArray[np.float64]: ...
def schema_json() -> str: ...
def op_feature_names() -> list[str]: ...
def device_feature_names() -> list[str]: ...
def op_vocabulary() -> list[str]: ...
def build_plan(
    graph: OpGraph,
    machine: Machine,
    logits: Mapping[str, npt.ArrayLike],
    options: Mapping[str, Any] = ...,
) -> tuple[Plan, dict[str, Any]]: ...
def placement_units(
    graph: OpGraph, machine: Machine, free_state: bool = ...
) -> dict[str, np.ndarray]: ...
def simulate(
    graph: OpGraph,
    machine: Machine,
    plans: list[Plan],
    logits: Mapping[str, npt.ArrayLike] = ...,
    options: Mapping[str, Any] = ...,
    plan_options: Mapping[str, Any] = ...,
    threads: int = ...,
    timeline: bool = ...,
) -> list[dict[str, Any]]: ...
def apply_plan(plan: Plan, graph: OpGraph) -> bytes: ...
def verify_rewrite(graph: OpGraph, graphdef: bytes, devices: Sequence[str] = ...) -> None: ...
def optimize(
    graphdef: bytes,
    fetches: Sequence[str],
    preserve: Sequence[str],
    config: Mapping[str, Any] | None = ...,
    keep_graphdef: bool = ...,
) -> dict[str, Any]: ...
def set_config(config: Mapping[str, Any]) -> None: ...
def current_config() -> dict[str, Any]: ...
def load_policy(spec: str) -> Policy: ...
def reports() -> list[dict[str, Any]]: ...
def clear_reports() -> None: ...
def take_captured() -> list[dict[str, Any]]: ...
def registration_error() -> str: ...
def killed_by_environment() -> bool: ...
