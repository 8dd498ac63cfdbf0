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
ops to their plan, and those that are so large that optimising them twice would be felt; and
it goes back to the original also where the plan seems to gain nothing.

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
# So many steps, and the guard has decided.
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

_Call = Callable[[bytes, list[Any], int], Any]
# Name of a function -> that of the one to call from now on; else what is known of it.
_Functions = dict[bytes, "_Trial | bytes"]


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
    if _current is None:
        return False
    trials = list(_by_generation[_current.generation].values())
    return any(isinstance(trial, _Trial) and not trial.reverted for trial in trials)


def _remove() -> None:
    global _current, _installed_on
    if _installed_on is not None:
        vars(_installed_on).pop("call_function", None)
    _current = _installed_on = None


@dataclasses.dataclass
class _Trial:
    """A planned function whose first steps are timed.

    Attributes:
      function: the one that was planned, with its loops compiled or as it was.
      report_ids: of its graphs.
      planned, original: seconds of steps, the first of each (None) not counted.
      reverted: the original is used.
    """

    function: bytes
    report_ids: list[int]
    planned: list[float | None] = dataclasses.field(default_factory=list)
    original: list[float | None] = dataclasses.field(default_factory=list)
    reverted: bool = False

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
        arguments = (name, tensor_inputs, num_outputs)
        if found is None:
            return first_call(arguments)
        if found.reverted:
            return as_original(arguments)
        return timed(found, arguments)

    def first_call(arguments: tuple[bytes, list[Any], int]) -> Any:
        core = native.core()
        last = core.last_report_id()
        name, inputs, num_outputs = arguments
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
                functions[name] = _Trial(planned, ids, planned=[None])

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

    def is_better_left(name: bytes, reports: list[dict[str, Any]]) -> bool:
        return (
            all(report["policy"].startswith(_TUNED) for report in reports)
            # A kernel of TensorFlow's in the place of many ops is no guess.
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

    def timed(trial: _Trial, arguments: tuple[bytes, list[Any], int]) -> Any:
        planned = trial.next_is_planned()
        began = time.perf_counter()
        # A step that raises is no reading; the exception is the program's.
        name, inputs, num_outputs = arguments
        result = (
            tensorflows(trial.function, inputs, num_outputs) if planned else as_original(arguments)
        )
        seconds = time.perf_counter() - began
        with lock:
            readings = trial.planned if planned else trial.original
            readings.append(seconds if readings else None)
            found = trial.verdict()
            if found is not None:
                _settle(trial, found, careful)
                functions[name] = trial if trial.reverted else trial.function
        return result

    def as_original(arguments: tuple[bytes, list[Any], int]) -> Any:
        options = ctx.function_call_options
        ctx.function_call_options = _without_plugins(options)
        try:
            return tensorflows(*arguments)
        finally:
            ctx.function_call_options = options

    return call_function


def _settle(trial: _Trial, found: judge.Verdict, careful: bool) -> None:
    core = native.core()
    gains_nothing = careful and not found.faster and found.speedup < _LEAST_SPEEDUP
    trial.reverted = found.slower or gains_nothing
    text = (
        f"guard: {found.speedup:.2f}x the original's speed "
        f"({found.low:.2f}-{found.high:.2f}, {found.rounds} steps of each)"
    )
    outcome = "applied"
    if trial.reverted:
        how = "slower" if found.slower else "no faster"
        outcome = f"{how} {GONE_BACK}"
    for number in trial.report_ids:
        core.amend_report(number, not trial.reverted, outcome, text)


_without: dict[bytes, Any] = {}


def _without_plugins(options: Any) -> Any:
    """The same options of a function call, but for plugin optimizers, which are off."""
    from tensorflow.core.protobuf import config_pb2, rewriter_config_pb2
    from tensorflow.python.eager import context

    serialized = options.config_proto_serialized
    if serialized not in _without:
        config = config_pb2.ConfigProto.FromString(serialized)
        rewrites = config.graph_options.rewrite_options
        rewrites.use_plugin_optimizers = rewriter_config_pb2.RewriterConfig.OFF
        _without[serialized] = context.FunctionCallOptions(options.executor_type, config)
    return _without[serialized]
