"""Switching the pass on and off in this process.

Two switches are in line: the pass's own configuration (process-wide, in the
native library) and TensorFlow's option `use_plugin_optimizers`. enable() and
disable() set both; TensorFlow's own switch works on its own after load().

TensorFlow optimises a traced function once for each set of its options. Settings
of ours are not among them, so a changed setting also changes an option that is
(`min_graph_nodes`, a bound of 4 nodes by default; any bound below that means the
same), and functions that were traced already are optimised anew.
"""

import collections
import contextlib
import json
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from grappler_go import devices as devices_lib
from grappler_go import guard as guard_lib
from grappler_go import loops as loops_lib
from grappler_go import native, settings
from grappler_go.plan_cache import PlanCacheLike
from grappler_go.settings import DECISIONS, DevicesLike, PolicyLike

_SWITCH = "use_plugin_optimizers"
_GENERATION = "min_graph_nodes"

_lock = threading.RLock()
_loaded = False
# A user's own bound above this is left alone: ours would not mean the same.
_DEFAULT_MIN_GRAPH_NODES = 4
# Settings -> the (negative) bound that stands for them, and the configuration,
# which keeps alive the objects whose identity is in the key.
_generations: collections.OrderedDict[Any, tuple[int, dict[str, Any]]] = collections.OrderedDict()
_MAX_GENERATIONS = 64
_last_generation = 0


def load() -> None:
    """Registers the pass with TensorFlow; the program runs as before.

    After it, TensorFlow's own switch decides:

        tf.config.optimizer.set_experimental_options({"use_plugin_optimizers": True})

    turns the pass on with the shipped policy, False turns it off. The switch is
    set to False here unless the program has set it already or GRAPPLER_GO=1 is
    in the environment. Sessions of TensorFlow 1 have the switch in their
    ConfigProto, where it is on by default: they are optimised from here on.

    Calling it again does nothing, or, after disable(), makes TensorFlow's switch
    work again.

    Raises:
      RuntimeError: another plugin has taken the CPU, or this TensorFlow is too
        old; the message says which.
      ValueError: GRAPPLER_GO in the environment is neither 0 nor 1.
    """
    if native.killed_by_environment():
        return
    with _lock:
        _register()
        core = native.core()
        if core.current_config()["enabled"]:
            return
        core.set_config(
            settings.native_config(
                policy="default",
                devices=None,
                decisions=DECISIONS,
                memory_limit=None,
                budget_ms=None,
                min_gain=None,
                record=None,
                advanced=None,
            )
        )
        if _SWITCH not in options():
            set_options({_SWITCH: False})


def enable(
    policy: PolicyLike = "default",
    devices: DevicesLike = None,
    decisions: Sequence[str] = DECISIONS,
    memory_limit: int | float | str | None = None,
    budget_ms: int | None = None,
    min_gain: float | None = None,
    record: str | os.PathLike[str] | None = None,
    advanced: Mapping[str, Any] | None = None,
    compile_budget_s: float | None = None,
    plan_cache: PlanCacheLike = None,
    guard: bool | None = None,
    keep_memory: bool = True,
) -> None:
    """Turns the pass on, for functions not yet traced and for those that are.

    It is on in the whole process. Where a thread has run functions before,
    TensorFlow keeps that thread's old options: it goes on with what it had.

    Args:
      policy: who decides. "default" is the policy that ships with the package.
        A path: a policy's folder, a plan's file, or a folder of plans. A
        callable, or its name as "module:function": called with a PolicyInput
        for each graph, returns a dict of arrays (device [N,D], fusion [N],
        schedule [N], recompute [N]), a Plan, or None. A Policy, a Plan, a list
        of plans. None: nothing is decided, graphs are only recorded.
      devices: where ops may be placed. None: the devices that a graph uses
        already. "all": everything TensorFlow lists. Names as a list or with
        commas ("CPU:0,CPU:1"), a Machine, the path of a machine's JSON file, or
        a machine that ships. All but None start TensorFlow's runtime, after
        which logical devices cannot be configured.
      decisions: which of "device", "fusion", "memory" may be made.
      memory_limit: predicted peak above which ops are recomputed for the
        backward pass, variables and arguments included: bytes as an int, "4GB",
        "512MiB", or a float between 0 and 1 for that share of the peak predicted
        without a limit. None: nothing is recomputed.
      budget_ms: milliseconds that the pass may spend on one graph, the policy
        included; past it, the graph is left alone. None: 2000.
      min_gain: predicted gain, as a share of the step, below which a graph is
        left alone. None: 0.08.
      record: a folder in which every graph the pass sees is stored.
      advanced: other settings by name, such as min_ops (smaller graphs are left
        alone); grappler_go/advanced.py has them all.
      compile_budget_s: seconds, as predicted, that the first step of a graph may
        spend on compiling groups; those that gain the least for it are left out.
        None: 20.
      plan_cache: folders with plans that grappler_go.tune() measured, looked
        through before the policy is asked: a path, several, or False for none. None:
        those of GRAPPLER_GO_PLANS, or ~/.cache/grappler-go/plans, with the policy
        "default"; none with another.
      guard: the first steps of a newly planned function are run in turns with and
        without the plan; if it is slower by more than the noise, the original is
        used from then on, and the report says so (grappler_go/guard.py has the
        limits). None: where the policy is "default", and nothing but times can tell
        the two apart: not where an op has a random generator of its own. True:
        whatever the policy and the function. False: nowhere.
      keep_memory: malloc keeps the memory that a step frees for the next step, which
        then need not fault it in again: the process holds on to its peak. Only with
        glibc's malloc, with "memory" among the decisions, and without a
        memory_limit. False: as TensorFlow alone would have it.

    Raises:
      RuntimeError: as load().
      ValueError, TypeError: an argument, or as load(); the message says what is expected.
      OSError: a file or folder that cannot be read or made.

    Nothing happens, quietly, when GRAPPLER_GO=0 is in the environment.

    Example:
      grappler_go.enable(decisions=("fusion",), min_gain=0.1)
    """
    if native.killed_by_environment():
        return
    if guard is not None:
        settings.check_switch("guard", guard)
    with _lock:
        _register()
        config = settings.native_config(
            policy=policy,
            devices=devices,
            decisions=decisions,
            memory_limit=memory_limit,
            budget_ms=budget_ms,
            min_gain=min_gain,
            record=record,
            advanced=advanced,
            compile_budget_s=compile_budget_s,
            plan_cache=plan_cache,
            keep_memory=keep_memory,
        )
        native.core().set_config(config)
        careful = guard is None
        guards = settings.is_default_policy(policy) if careful else bool(guard)
        generation = _generation_of((*_key(config, policy), guards, careful), config)
        _switch_on(generation)
        if guards:
            guard_lib.switch_on(guard_lib.Guarding(generation, careful, _loop_settings()))
        else:
            guard_lib.switch_off()


def _loop_settings() -> loops_lib.Settings | None:
    """None: loops are left to TensorFlow."""
    config = native.core().current_config()
    if not config["compile_loops"] or not config["fusion"]:
        return None
    # What XLA keeps of a loop for its gradient is no memory that the pass could predict.
    if config["memory_limit"] > 0 or config["memory_fraction"] > 0:
        return None
    return loops_lib.Settings(
        config["compile_budget_s"],
        config["max_shapes"],
        tuple(config["plan_folders"]),
        settings.device_names(config["machine"]),
    )


def disable() -> None:
    """Turns the pass off: every function runs as TensorFlow alone would run it.

    Does nothing when it was never on.
    """
    with _lock:
        if not _loaded:
            return
        guard_lib.switch_off()
        core = native.core()
        core.set_config({**core.current_config(), "enabled": False})
        changed: dict[str, Any] = {_SWITCH: False}
        if options().get(_GENERATION, 0) < 0:
            changed[_GENERATION] = None
        set_options(changed)


@contextlib.contextmanager
def scope(policy: PolicyLike = "default", **kwargs: Any) -> Iterator[None]:
    """The pass is on inside, and as it was before afterwards.

    The configuration belongs to the process, not to the thread: use it from one
    thread at a time.

    Args:
      policy: as for enable().
      **kwargs: as for enable().

    Example:
      with grappler_go.scope(min_gain=0.2):
          model.fit(x, y)
    """
    with restored():
        enable(policy, **kwargs)
        yield


def refresh() -> None:
    """Has TensorFlow optimise every function anew that it optimised before.

    For a Python policy that has changed its mind: the same settings otherwise
    mean the same decisions. Does nothing when the pass is off.
    """
    with _lock:
        if is_enabled():
            core = native.core()
            core.set_config(core.current_config())  # forgets what was decided
            generation = next_generation()
            _switch_on(generation)
            guarding = guard_lib.current()
            if guarding is not None:
                guard_lib.switch_on(guarding._replace(generation=generation))


def forget() -> None:
    """What was decided under any settings counts no longer, also where the program comes
    back to settings that it had before: plans were measured meanwhile."""
    with _lock:
        _generations.clear()
        refresh()


def is_enabled() -> bool:
    """Whether the pass would look at a function that this thread traces now."""
    if native.killed_by_environment() or not _loaded:
        return False
    return bool(native.core().current_config()["enabled"]) and options().get(_SWITCH, True)


@contextlib.contextmanager
def restored() -> Iterator[None]:
    """Puts the configuration and TensorFlow's switch back afterwards."""
    if native.killed_by_environment():
        yield
        return
    with _lock:
        _register()
        config = native.core().current_config()
        before = options()
        guarded = guard_lib.current()
    try:
        yield
    finally:
        with _lock:
            native.core().set_config(config)
            set_options({key: before.get(key) for key in (_SWITCH, _GENERATION)})
            if guarded is None:
                guard_lib.switch_off()
            else:
                guard_lib.switch_on(guarded)


def capture_only() -> None:
    """The pass looks at graphs, keeps their bytes, and changes nothing."""
    with _lock:
        guard_lib.switch_off()
        core = native.core()
        config = {**core.current_config(), "enabled": True, "policy": None, "capture": True}
        core.set_config({**config, "policy_spec": "", "record_dir": "", "min_ops": 0})
        _switch_on(next_generation())


def _register() -> None:
    """Has TensorFlow load the library, once."""
    global _loaded
    if _loaded:
        return
    # The library says that it is "not enabled" by such a value: then it must not be.
    native.check_environment()
    tf = native.tensorflow()
    path = native.library_path()
    if not path.is_file():
        raise RuntimeError(f"{path} is missing; it is built by `pip install .`")
    with devices_lib.visible_devices_kept():
        from tensorflow.python.framework import load_library

        try:
            load_library.load_pluggable_device_library(str(path))
        except (tf.errors.OpError, RuntimeError) as error:
            raise RuntimeError(getattr(error, "message", str(error))) from None
    # TensorFlow aborts when a plugin refuses, so ours never does; it tells.
    if reason := native.core().registration_error():
        raise RuntimeError(reason)
    _loaded = True


def options() -> dict[str, Any]:
    """TensorFlow's optimizer options, as far as they are set."""
    return native.tensorflow().config.optimizer.get_experimental_options()


def set_options(changed: dict[str, Any]) -> None:
    """Sets some of them; None takes an option back to TensorFlow's default."""
    native.tensorflow().config.optimizer.set_experimental_options(changed)


def _switch_on(generation: int) -> None:
    changed: dict[str, Any] = {_SWITCH: True}
    if options().get(_GENERATION, 0) <= _DEFAULT_MIN_GRAPH_NODES:
        changed[_GENERATION] = generation
    set_options(changed)


def _key(config: Mapping[str, Any], policy: PolicyLike) -> tuple[Any, ...]:
    """Equal for settings that lead to equal decisions."""
    plain = {k: v for k, v in config.items() if k not in ("policy", "machine")}
    machine = config["machine"]
    # A callable is wrapped anew by each enable(); what counts is the callable.
    maker = policy if callable(policy) else config["policy"]
    return (
        json.dumps(plain, sort_keys=True),
        machine.to_json() if machine is not None else "",
        id(maker),
    )


def _generation_of(key: tuple[Any, ...], config: dict[str, Any]) -> int:
    if key not in _generations:
        _generations[key] = (next_generation(), config)
        while len(_generations) > _MAX_GENERATIONS:
            _generations.popitem(last=False)
    _generations.move_to_end(key)
    return _generations[key][0]


def next_generation() -> int:
    """Of settings that never were before."""
    global _last_generation
    _last_generation -= 1
    return _last_generation
