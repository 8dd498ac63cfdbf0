"""The first steps of a newly planned function, timed against the original.

While the guard is on, each step that a program asks for is run once, as ever: some of
the first with the plan, some as TensorFlow alone runs them. Both compute the same step,
so a training goes on unharmed. When ours turns out slower by more than the noise, the
original is used from then on, and the report of the graph says so.

How: every function that is called eagerly (a tf.function, Keras' steps, a concrete
function) goes through Context.call_function of TensorFlow's eager context, with options
that say how its graph is to be optimised. TensorFlow keeps what it made of a function
for each set of options. The guard shadows that method on the one context object, takes
the pass out of the options for a step of the original, and is gone when the attribute
is deleted. Nothing is traced twice.

What it cannot do: a function inside another is judged with it. Stateful random ops draw
from a generator inside their kernel, of which both versions have one of their own with
the same seed: for the timed steps they draw the same numbers twice. Calls to remote
workers return before the step is done, so its time is not seen.

A careful guard, which is what enable() switches on by itself, leaves functions with such
ops to their plan where the program seeds them, and those that are so large that optimising
them twice would be felt; and it goes back to the original also where the plan seems to gain
nothing. It tries a function that was left alone, and is called often all the same, with a plan
that is not predicted to gain, but might (kOnTrial in cc/plugin/call_mode.h). What it goes back
to has updates of variables done by kernels (kUpdatesAlone), which are no guess.

Where a function has loops that XLA can run as a whole (loops.py), what is planned and timed
is a copy of it with these.
"""

import dataclasses
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from grappler_go import kernel_state, native
from grappler_go import loops as loops_lib
from grappler_go import report as report_lib
from grappler_go.tuning import judge

# Rounds of one step each, after one of each that is not counted (compilation).
_MOST_ROUNDS = 10
# A function that was called as often without a plan is worth the compilation of one that
# need not gain: whoever calls it a few times only is spared that.
CALLS_BEFORE_TRIAL = 50
# So many steps with a plan and without, and the guard has decided.
MOST_STEPS = 2 * (_MOST_ROUNDS + 1)
# Above this, TensorFlow's own optimisation of the original, which nobody would have
# needed, takes more than a few seconds (`grappler-go bench overhead`).
_MOST_NODES = 20_000
# A plan that is neither slower nor faster beyond the noise stays, to a careful guard, if it
# seems to gain this much: in doubt a graph is left alone.
_LEAST_SPEEDUP = 1.05
# How the outcome in a report ends where the plan is used no longer.
GONE_BACK = "than the original, which is used from here on"
# How the policy is called, in a report, whose plan grappler_go.tune() found: it ran already.
_TUNED = "tuned: "
# And where it found none (cc/plugin/optimize.cc).
_LEFT_BY_TUNING = "plan cache"

_Call = Callable[[bytes, list[Any], int], Any]
# Name of a function -> that of the one to call from now on; else what is known of it.
_Functions = dict[bytes, "_Way | _Trial | _Waiting | bytes"]


@dataclasses.dataclass
class Tuning:
    """What grappler_go.tune() wants of the hook: loops are compiled, and it times them itself.

    Attributes:
      within_s: a function whose loops are expected to take longer to compile is left as it is.
      compiled: functions whose loops were.
      left_out: how many were left for that.
    """

    within_s: float
    compiled: list[loops_lib.Compiled] = dataclasses.field(default_factory=list)
    left_out: int = 0

    def takes(self, found: loops_lib.Compiled) -> bool:
        """Whether it is to run with its loops compiled."""
        if found.compile_s > self.within_s:
            self.left_out += 1
            return False
        self.compiled.append(found)
        return True


class Guarding(NamedTuple):
    """What is guarded.

    Attributes:
      generation: of the settings (control.py).
      careful: functions that two versions might not share the state of are not.
      loops: what compiled loops keep to; None: loops are left to TensorFlow.
      tuning: None but in grappler_go.tune(), where nothing is timed here.
    """

    generation: int
    careful: bool
    loops: loops_lib.Settings | None = None
    tuning: Tuning | None = None


_lock = threading.Lock()
_installed_on: Any = None  # the context whose method is shadowed
_current: Guarding | None = None
# By generation, as TensorFlow's own cache is: what was judged once is not judged again
# when the program comes back to the same settings.
_by_generation: dict[int, _Functions] = {}


def switch_on(guarding: Guarding) -> None:
    """Guards functions that are planned under these settings.

    Raises:
      RuntimeError: this TensorFlow calls functions in another way; not from a careful
        guard, which is then off.
    """
    global _current, _installed_on
    from tensorflow.python.eager import context

    ctx = context.context()
    with _lock:
        if _current == guarding and _installed_on is ctx:
            return
        _remove()
        if not callable(getattr(ctx, "call_function", None)):
            if guarding.careful:
                return
            raise RuntimeError(
                f"guard=True does not work with TensorFlow {native.tensorflow().__version__}, "
                "which calls functions in another way than 2.16 to 2.21"
            )
        functions = _by_generation.setdefault(guarding.generation, {})
        ctx.call_function = _guarded(ctx, functions, guarding)
        _current, _installed_on = guarding, ctx


def switch_off() -> None:
    """TensorFlow's own method is back; what was judged is kept."""
    with _lock:
        _remove()


def current() -> Guarding | None:
    """What is guarded; None: the guard is off."""
    return _current


def is_undecided() -> bool:
    """Whether steps of some function are still being timed."""
    return _has(_Trial)


def is_waiting() -> bool:
    """Whether some function that was left alone is to be tried after more calls."""
    return _has(_Waiting)


def _has(kind: type) -> bool:
    if _current is None:
        return False
    return any(isinstance(f, kind) for f in list(_by_generation[_current.generation].values()))


def _remove() -> None:
    global _current, _installed_on
    if _installed_on is not None:
        vars(_installed_on).pop("call_function", None)
    _current = _installed_on = None


class _Way(NamedTuple):
    """One of two ways to run a function.

    Attributes:
      function: its name, or that of the copy whose loops are compiled.
      options: of the call, made from those that TensorFlow would take; None: those.
      mode: what the pass is to do for it (cc/plugin/call_mode.h).
    """

    function: bytes
    options: Callable[[Any], Any] | None = None
    mode: str = "usual"


@dataclasses.dataclass
class _Waiting:
    """A function without a plan, which is tried with one after so many calls."""

    calls: int = 0


@dataclasses.dataclass
class _Trial:
    """A planned function whose first steps are timed.

    Attributes:
      plan, without: the ways to run it.
      report_ids: of its graphs.
      planned, original: seconds of steps, the first of each (None) not counted.
    """

    plan: _Way
    without: _Way
    report_ids: list[int]
    planned: list[float | None] = dataclasses.field(default_factory=list)
    original: list[float | None] = dataclasses.field(default_factory=list)

    def next_is_planned(self) -> bool:
        """Whose turn it is: who went second in the last round goes first in this one."""
        done = len(self.planned) + len(self.original)
        is_second = done % 2 == 1
        planned_first = (done // 2) % 2 == 0
        return planned_first != is_second

    def verdict(self) -> judge.Verdict | None:
        """Once there is one."""
        rounds = min(len(self.planned), len(self.original)) - 1
        if len(self.planned) != len(self.original) or rounds < judge.LEAST_ROUNDS:
            return None
        base = [s for s in self.original if s is not None]
        own = [s for s in self.planned if s is not None]
        found = judge.judge(base, own)
        return found if found.slower or found.faster or rounds >= _MOST_ROUNDS else None


def _guarded(ctx: Any, functions: _Functions, guarding: Guarding) -> _Call:
    """What stands in for ctx.call_function."""
    tensorflows: _Call = ctx.call_function
    careful = guarding.careful
    lock = threading.Lock()

    def call_function(name: bytes, tensor_inputs: list[Any], num_outputs: int) -> Any:
        found = functions.get(name)
        if isinstance(found, bytes):
            return tensorflows(found, tensor_inputs, num_outputs)
        if isinstance(found, _Way):
            return run(found, tensor_inputs, num_outputs)
        if found is None:
            return first_call(name, tensor_inputs, num_outputs)
        if isinstance(found, _Waiting):
            return waited(found, name, tensor_inputs, num_outputs)
        return timed(found, name, tensor_inputs, num_outputs)

    def first_call(name: bytes, inputs: list[Any], num_outputs: int) -> Any:
        core = native.core()
        last = core.last_report_id()
        compiled = with_loops(name, inputs)
        planned = name if compiled is None else compiled.name
        try:
            return tensorflows(planned, inputs, num_outputs)
        finally:
            seen = core.reports(last)
            report_lib.add_function([report["id"] for report in seen], name.decode())
            if compiled is not None:
                report_loops(seen, compiled.loops)
            reports = [report for report in seen if report["applied"]]
            # Recomputing buys memory with time: slower is what was asked for.
            for_memory = any(report["recomputed"] or report["ordered"] for report in reports)
            is_guess = (compiled is not None and not (careful and compiled.is_tuned)) or (
                reports and not (careful and is_better_left(name, reports))
            )
            functions[name] = planned
            if is_guess and not for_memory and guarding.tuning is None:
                ids = [report["id"] for report in (reports or seen)]
                # A kernel of TensorFlow's in the place of many ops is no guess, and stays.
                updates = careful and any(report["updates"] for report in reports)
                without = _updates_alone(ctx, name) if updates else _original(name)
                functions[name] = _Trial(_Way(planned), without, ids, planned=[None])
            elif compiled is None and may_be_tried(name, seen):
                functions[name] = _Waiting()

    def with_loops(name: bytes, inputs: list[Any]) -> loops_lib.Compiled | None:
        if guarding.loops is None:
            return None
        # In doubt, and whatever this TensorFlow does otherwise than those that we know: the
        # program gets the function that it asked for.
        try:
            if not loops_lib.has_loops(ctx, name.decode()) or keeps_state(name):
                return None
            found = loops_lib.compile_in(ctx, name, inputs, guarding.loops)
        except Exception:
            return None
        if found is not None and guarding.tuning is not None and not guarding.tuning.takes(found):
            return None
        return found

    def report_loops(seen: list[dict[str, Any]], count: int) -> None:
        """Says so of the function's own graph, the largest."""
        if not seen:
            return
        largest = max(seen, key=lambda report: report["num_nodes"])
        note = "" if largest["applied"] else f"else left alone: {largest['outcome']}"
        native.core().amend_report(largest["id"], True, "applied", note, count)

    def may_be_tried(name: bytes, seen: list[dict[str, Any]]) -> bool:
        """Whether a function was planned, in vain, and a plan that gains nothing after all
        would be noticed."""
        if not careful or guarding.tuning is not None:
            return False
        if any(report["groups"] or report["policy"] == _LEFT_BY_TUNING for report in seen):
            return False
        if not any(report["micros_before"] or report["updates"] for report in seen):
            return False
        if sum(report["num_nodes"] for report in seen) > _MOST_NODES or keeps_state(name):
            return False
        return _again(ctx.function_call_options) is not None

    def waited(waiting: _Waiting, name: bytes, inputs: list[Any], num_outputs: int) -> Any:
        with lock:
            waiting.calls += 1
            is_time = waiting.calls >= CALLS_BEFORE_TRIAL and functions[name] is waiting
            if is_time:
                functions[name] = name  # for other threads, meanwhile
        if not is_time:
            return tensorflows(name, inputs, num_outputs)
        core = native.core()
        last = core.last_report_id()
        plan = _Way(name, _again, "on_trial")
        try:
            return run(plan, inputs, num_outputs)
        finally:
            seen = core.reports(last)
            ids = [report["id"] for report in seen]
            report_lib.add_function(ids, name.decode())
            if any(report["groups"] for report in seen):
                functions[name] = _Trial(plan, _Way(name), ids, planned=[None], original=[None])

    def is_better_left(name: bytes, reports: list[dict[str, Any]]) -> bool:
        return (
            all(report["policy"].startswith(_TUNED) for report in reports)
            or not any(report["groups"] or report["moved"] for report in reports)
            or sum(report["num_nodes"] for report in reports) > _MOST_NODES
            or keeps_state(name)
        )

    def keeps_state(name: bytes) -> bool:
        try:
            return kernel_state.is_kept_by(ctx, name)
        # The program has its result, and nothing may come between: what cannot be looked
        # at is not timed.
        except Exception:
            return True

    def timed(trial: _Trial, name: bytes, inputs: list[Any], num_outputs: int) -> Any:
        planned = trial.next_is_planned()
        began = time.perf_counter()
        # A step that raises is no reading; the exception is the program's.
        result = run(trial.plan if planned else trial.without, inputs, num_outputs)
        seconds = time.perf_counter() - began
        with lock:
            readings = trial.planned if planned else trial.original
            readings.append(seconds if readings else None)
            found = trial.verdict()
            if found is not None:
                stays = trial.plan if _settle(trial, found, careful) else trial.without
                functions[name] = stays.function if stays == _Way(stays.function) else stays
        return result

    def run(way: _Way, inputs: list[Any], num_outputs: int) -> Any:
        if way.options is None:
            return tensorflows(way.function, inputs, num_outputs)
        options = ctx.function_call_options
        ctx.function_call_options = way.options(options) or options
        core = native.core()
        core.set_call_mode(way.mode)
        try:
            return tensorflows(way.function, inputs, num_outputs)
        finally:
            core.set_call_mode("usual")
            ctx.function_call_options = options

    return call_function


def _settle(trial: _Trial, found: judge.Verdict, careful: bool) -> bool:
    """Whether the plan stays."""
    core = native.core()
    gains_nothing = careful and not found.faster and found.speedup < _LEAST_SPEEDUP
    stays = not (found.slower or gains_nothing)
    text = (
        f"guard: {found.speedup:.2f}x the original's speed "
        f"({found.low:.2f}-{found.high:.2f}, {found.rounds} steps of each)"
    )
    outcome = "applied"
    if not stays:
        how = "slower" if found.slower else "no faster"
        outcome = f"{how} {GONE_BACK}"
        if trial.without.mode == "updates_alone":
            text += "; updates of variables stay done by kernels"
    for number in trial.report_ids:
        core.amend_report(number, stays, outcome, text)
    return stays


def _original(name: bytes) -> _Way:
    return _Way(name, _without_plugins)


def _updates_alone(ctx: Any, name: bytes) -> _Way:
    """Where options are such that TensorFlow would not make it anew: the original."""
    if _again(ctx.function_call_options) is None:
        return _original(name)
    return _Way(name, _again, "updates_alone")


# What MemoryOptimizer takes where the option of that name is empty (memory_optimizer.h).
_DEFAULT_SCOPE = "gradients/"
_changed: dict[tuple[bytes, str], Any] = {}


def _without_plugins(options: Any) -> Any:
    """The same options of a function call, but for plugin optimizers, which are off."""

    def change(rewrites: Any) -> bool:
        rewrites.use_plugin_optimizers = type(rewrites).OFF
        return True

    return _with(options, "without plugins", change)


def _again(options: Any) -> Any:
    """Options that say the same in other words, so that TensorFlow makes the function anew;
    None where there are no others."""

    def change(rewrites: Any) -> bool:
        was_default = not rewrites.memory_optimizer_target_node_name_scope
        rewrites.memory_optimizer_target_node_name_scope = _DEFAULT_SCOPE
        return was_default

    return _with(options, "again", change)


def _with(options: Any, name: str, change: Callable[[Any], bool]) -> Any:
    """Options of a function call with a change to those of graph rewrites, made once for each
    by its name; None where it cannot be made."""
    key = (options.config_proto_serialized, name)
    if key not in _changed:
        from tensorflow.core.protobuf import config_pb2
        from tensorflow.python.eager import context

        config = config_pb2.ConfigProto.FromString(options.config_proto_serialized)
        is_made = change(config.graph_options.rewrite_options)
        changed = context.FunctionCallOptions(options.executor_type, config)
        _changed[key] = changed if is_made else None
    return _changed[key]
