"""What the arguments of enable() mean: checked, and in the native core's terms."""

import collections
import math
import numbers
import os
import pathlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from grappler_go import advanced as advanced_lib
from grappler_go import devices as devices_lib
from grappler_go import native
from grappler_go import plan_cache as plan_cache_lib

if TYPE_CHECKING:
    from grappler_go._core import Machine, Plan, Policy

# What a policy may be given as, and devices.
PolicyLike: TypeAlias = (
    "str | os.PathLike[str] | Callable[..., Any] | Policy | Plan | Sequence[Plan] | None"
)
DevicesLike: TypeAlias = "str | os.PathLike[str] | Sequence[str] | Machine | None"

# "CPU:0", "/job:worker/task:1/device:GPU:0"; no path of a file ends like that.
_DEVICE_NAME = re.compile(r"(/.*)?[A-Za-z_]+:[0-9]+")

DECISIONS = ("device", "fusion", "memory")

_UNITS = {
    "": 1,
    "B": 1,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KIB": 2**10,
    "MIB": 2**20,
    "GIB": 2**30,
    "TIB": 2**40,
}


def parse_memory_limit(value: int | float | str | None) -> dict[str, int | float]:
    """What the predicted peak should not pass, as `_core.set_config` takes it:
    {"memory_limit": bytes, "memory_fraction": share of the peak without a limit}, both 0
    for no limit.

    Args:
      value: None (no limit), bytes as an int, a fraction of the peak that is predicted
        without a limit as a float between 0 and 1, or either as text: "4GB", "512 MiB",
        "0.6".

    Raises:
      ValueError: none of these.
    """
    limit: dict[str, int | float] = {"memory_limit": 0, "memory_fraction": 0.0}
    if value is None:
        return limit
    number, unit = value, ""
    if isinstance(value, str):
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?|\.\d+)\s*([A-Za-z]*)\s*", value)
        if match and match[2].upper() in _UNITS:
            number, unit = float(match[1]), match[2].upper()
    if isinstance(number, float) and 0 < number < 1 and not unit:
        return {**limit, "memory_fraction": number}
    is_bytes = isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool))
    if is_bytes and isinstance(number, int | float) and number * _UNITS[unit] >= 1:
        return {**limit, "memory_limit": int(number * _UNITS[unit])}
    raise ValueError(
        f"memory_limit={value!r}: expected bytes (an int above 0), a fraction of the peak "
        'without a limit (a float between 0 and 1), or text such as "4GB", "512MiB" or "0.6"'
    )


def parse_decisions(value: Sequence[str]) -> dict[str, bool]:
    """{"device": ..., "fusion": ..., "memory": ...}.

    Raises:
      TypeError: no names.
      ValueError: another kind of decision is named.
    """
    if not isinstance(value, Iterable):
        raise TypeError(f"decisions={value!r}: expected some of {', '.join(DECISIONS)}")
    names = (value,) if isinstance(value, str) else tuple(value)
    for name in names:
        if name not in DECISIONS:
            raise ValueError(f"decisions={value!r}: {name!r} is none of {', '.join(DECISIONS)}")
    return {name: name in names for name in DECISIONS}


def parse_policy(value: PolicyLike) -> "Policy | None":
    """The policy object behind what a user may give.

    What a text may be is read in one place, cc/policy/load_policy.h.

    Raises:
      TypeError: not something that a policy can be made from.
      ValueError: a folder or file that is not a policy; the message says why.
    """
    core = native.core()
    if value is None or isinstance(value, core.Policy):
        return value
    if isinstance(value, core.Plan):
        return _policy_of_plans([value])
    if isinstance(value, list | tuple) and all(isinstance(v, core.Plan) for v in value):
        return _policy_of_plans(value)
    if isinstance(value, str | os.PathLike):
        spec = os.fspath(value)
        return _load_policy(str(native.default_policy_path()) if spec == "default" else spec)
    if callable(value):
        return core.PythonPolicy(value, _name_of(value))
    raise TypeError(
        f"policy={value!r}: expected a path, a callable, a Policy, a Plan, a list of plans, or None"
    )


def _name_of(function: Callable[..., Any]) -> str:
    name = getattr(function, "__qualname__", type(function).__qualname__)
    module = getattr(function, "__module__", None) or type(function).__module__
    return f"python:{module}:{name}"


def _policy_of_plans(plans: Sequence["Plan"]) -> "Policy":
    """Answers each plan's graph with that plan and decides nothing for others."""
    by_fingerprint = {plan.fingerprint: plan for plan in plans}

    def saved_plans(policy_input: Any) -> "Plan | None":
        return by_fingerprint.get(policy_input.graph.fingerprint)

    makers = sorted({plan.policy for plan in plans if plan.policy})
    return native.core().PythonPolicy(saved_plans, "plan:" + (",".join(makers) or "hand"))


# A SavedModel takes a while to load and stays warm; scopes come and go.
_loaded: collections.OrderedDict[tuple[Any, ...], "Policy"] = collections.OrderedDict()
_MAX_LOADED = 8


def _load_policy(spec: str) -> "Policy":
    key = (spec, _stamp(spec))
    if key not in _loaded:
        _loaded[key] = native.core().load_policy(spec)
        while len(_loaded) > _MAX_LOADED:
            _loaded.popitem(last=False)
    _loaded.move_to_end(key)
    return _loaded[key]


def _stamp(spec: str) -> tuple[tuple[str, int, int], ...]:
    """Changes when a file of the policy does; empty for what is not on disk."""
    path = pathlib.Path(spec)
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    stats = [(str(file), file.stat()) for file in files if file.is_file()]
    return tuple((name, stat.st_mtime_ns, stat.st_size) for name, stat in stats)


def parse_devices(value: DevicesLike, must_exist: bool = True) -> "Machine | None":
    """The machine behind what a user may give: here, on the command line, in enable().

    Args:
      value: a Machine; "all", this process's or its cluster's devices; the name of a
        machine that ships with the package ("p100x4"); a machine's JSON file; names of
        devices, as a list or with commas ("CPU:0,CPU:1").
      must_exist: refuse devices that TensorFlow does not have.

    Raises:
      OSError: a file that cannot be read.
      TypeError: none of these.
      ValueError: a malformed machine, or, with must_exist, a device that
        TensorFlow does not have.
    """
    if value is None:
        return None
    if isinstance(value, str) and value == "all":
        return devices_lib.local_machine()
    if isinstance(value, native.core().Machine):
        machine = value
    elif isinstance(value, str) and all(map(_DEVICE_NAME.fullmatch, _at_commas(value))):
        machine = devices_lib.machine_of(_at_commas(value))
    elif isinstance(value, str | os.PathLike):
        machine = devices_lib.load_machine(value)
    elif isinstance(value, Sequence) and all(isinstance(name, str) for name in value):
        machine = devices_lib.machine_of(list(value))
    else:
        raise TypeError(
            f"devices={value!r}: expected 'all', names such as CPU:0, a Machine, one that ships, "
            "its file, or None"
        )
    if must_exist:
        devices_lib.check_devices_exist(machine)
    return machine


def _at_commas(text: str) -> list[str]:
    return [part.strip() for part in text.split(",")]


def _number(value: Any, expected: str) -> float:
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(expected)
    return float(value)


def check_switch(name: str, value: object) -> None:
    """Refuses what is neither True nor False.

    Raises:
      TypeError: that.
    """
    if not isinstance(value, bool):
        raise TypeError(f"{name}={value!r}: expected True or False")


def is_default_policy(policy: PolicyLike) -> bool:
    """Whether the policy that ships decides, and not one that was named."""
    return isinstance(policy, str) and policy == "default"


def device_names(machine: "Machine | None") -> tuple[str, ...]:
    """Of a machine that was configured; none where none was."""
    return () if machine is None else tuple(device["name"] for device in machine.devices)


def native_config(
    *,
    policy: PolicyLike,
    devices: DevicesLike,
    decisions: Sequence[str],
    memory_limit: int | float | str | None,
    budget_ms: int | None,
    min_gain: float | None,
    record: str | os.PathLike[str] | None,
    advanced: Mapping[str, Any] | None,
    compile_budget_s: float | None = None,
    plan_cache: plan_cache_lib.PlanCacheLike = None,
    keep_memory: bool = True,
    devices_must_exist: bool = True,
) -> dict[str, Any]:
    """The arguments of enable() as what `_core.set_config` takes.

    What is None keeps the native default.
    """
    config: dict[str, Any] = {"enabled": True, "capture": False}
    config.update(parse_decisions(decisions))
    config.update(parse_memory_limit(memory_limit))
    if budget_ms is not None:
        expected = f"budget_ms={budget_ms!r}: expected milliseconds above 0"
        if not 0 < _number(budget_ms, expected) < math.inf:
            raise ValueError(expected)
        config["budget_ms"] = int(budget_ms)
    if min_gain is not None:
        expected = f"min_gain={min_gain!r}: expected a share of the step, from 0 to 1"
        if not 0 <= _number(min_gain, expected) < 1:
            raise ValueError(expected)
        config["min_gain"] = float(min_gain)
    if compile_budget_s is not None:
        expected = f"compile_budget_s={compile_budget_s!r}: expected seconds, 0 or more"
        if not 0 <= _number(compile_budget_s, expected) < math.inf:
            raise ValueError(expected)
        config["compile_budget_s"] = float(compile_budget_s)
    check_switch("keep_memory", keep_memory)
    config["keep_memory"] = keep_memory
    # Who names a policy of his own wants to see that one at work.
    looks_up = is_default_policy(policy) or plan_cache is not None
    config["plan_folders"] = plan_cache_lib.folders_of(plan_cache) if looks_up else []
    config.update(advanced_lib.check({} if advanced is None else advanced))
    config["record_dir"] = ""
    if record is not None:
        if not isinstance(record, str | os.PathLike):
            raise TypeError(f"record={record!r}: expected a folder")
        folder = pathlib.Path(record).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        config["record_dir"] = str(folder)
    config["machine"] = parse_devices(devices, devices_must_exist)
    config["policy"] = parse_policy(policy)
    return config
