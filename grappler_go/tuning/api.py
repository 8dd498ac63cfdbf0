"""tune(): what it does, and what it returns."""

import dataclasses
import itertools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from grappler_go import captured, control, native, settings
from grappler_go import plan_cache as cache_lib
from grappler_go.tuning import candidates as candidates_lib
from grappler_go.tuning import judge
from grappler_go.tuning.candidates import Candidate
from grappler_go.tuning.race import Progress, Race, Runner
from grappler_go.tuning.state import Variables
from grappler_go.tuning.target import Target, target_of
from grappler_go.tuning.with_loops import WithLoops

# What enable() allows by itself: a plan that would be taken untuned is among those tried.
_LEAST_COMPILE_BUDGET_S = 20.0


@dataclasses.dataclass(frozen=True)
class Row:
    """One way to run the function.

    Attributes:
      name: what it compiles.
      groups, ops: compiled groups, and ops in them.
      first_s: seconds of its first step, compilation included; NaN: not run.
      step_ms: median milliseconds of a step; NaN: not timed.
      speedup: the default's time divided by its own, median of rounds in which both
        ran; NaN: not timed.
      rounds: how many.
      state: "default", "best", "slower" (than the default or another plan, or no faster than
        the default by more than the noise), "failed", "skipped", or "racing" where time was
        up before it could be judged.
      why: of all but the first two, in words.
      loops: compiled as a whole.
    """

    name: str
    groups: int
    ops: int
    first_s: float
    step_ms: float
    speedup: float
    rounds: int
    state: str
    why: str
    loops: int = 0


@dataclasses.dataclass(frozen=True)
class Tuned:
    """What tune() found.

    Attributes:
      name: of the function.
      verdict: "plan": a plan (or compiled loops alone, which none of `plans` is for) is
        faster by more than the noise. "default": TensorFlow's
        default is best. "undecided": there was not the time to tell.
      best: name of the winner; "TensorFlow's default" unless the verdict is "plan".
      speedup: of the winner over the default, on rounds of its own, after the others
        were out; 1.0 unless the verdict is "plan".
      low, high: 95 % confidence interval of that; of the best plan that was judged.
      table: the default first, then plans in the order in which they were tried.
      graphs: how many graphs of the function are large enough to be planned.
      seconds: that tuning took; compile_seconds of it for first steps.
      cached: files that were written.
      notes: what else is worth knowing: what could not be put back, why nothing was
        written.
      plans: the winner's, by fingerprint of the graph; empty unless the verdict is "plan".
      loops: how many the winner has XLA run as a whole.
    """

    name: str
    verdict: str
    best: str
    speedup: float
    low: float
    high: float
    table: tuple[Row, ...]
    graphs: int
    seconds: float
    compile_seconds: float
    cached: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    plans: dict[str, Any] = dataclasses.field(default_factory=dict)
    loops: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for json.dumps; NaN where nothing was measured."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        values["table"] = [dataclasses.asdict(row) for row in self.table]
        values["cached"], values["notes"] = list(self.cached), list(self.notes)
        del values["plans"]
        return values

    def __str__(self) -> str:
        if self.verdict == "plan":
            text = f"{self.best}: {self.speedup:.2f}x ({self.low:.2f}-{self.high:.2f})"
        elif self.verdict == "default":
            text = "TensorFlow's default is best"
        else:
            text = "undecided"
        return f"{self.name}: {text}, in {self.seconds:.0f} s"


@dataclasses.dataclass(frozen=True)
class _Forms:
    """Graphs of the function as it is, and of its copy with loops compiled."""

    graphs: list[captured.CapturedGraph]
    with_loops: WithLoops


def tune(
    fn: Callable[..., Any],
    *args: Any,
    budget_s: float = 60.0,
    policy: settings.PolicyLike = "default",
    devices: settings.DevicesLike = None,
    plan_cache: cache_lib.PlanCacheLike = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> Tuned:
    """Runs a function under many plans and keeps the fastest for every later process.

    Plans take turns with each other and with TensorFlow's default; the slower half is
    left out again and again. Where the function has loops that enable() would have XLA run
    as a whole, plans are tried with that and without. The winner must be faster than the
    default by more than the noise, or the verdict is "TensorFlow's default is best". Either
    goes into the plan cache, where grappler_go.enable() finds it, in this process and in
    others on the same kind of machine with the same TensorFlow.

    The function runs a few hundred times. All variables of the process (weights,
    optimizer slots, metrics, generators) are put back afterwards, also when it raises;
    while it runs their copies take as much memory again. What reaches outside TensorFlow
    (files, Python functions, queues, tables) is refused.

    Args:
      fn: a tf.function, a method of a tf.Module that is one, a concrete function, a
        Python function that can be traced, or a Keras model compiled with
        jit_compile=False.
      *args: its arguments; of a model, a batch of inputs for predict(), inputs and
        targets for a training step, or a tf.data.Dataset of both. A plan is for the
        shapes of these.
      budget_s: seconds that it may take, compilation included. A compilation that
        has begun is not interrupted; one that is not expected to fit in is not begun.
      policy, devices: as for enable().
      plan_cache: as for enable(); False: nothing is written.
      on_progress: called before each thing that takes time.

    Raises:
      ValueError: the function cannot be tuned (CannotTuneError), or an argument.
      RuntimeError: GRAPPLER_GO=0 is in the environment, or as enable().
      What fn raises; its variables are put back.

    Example:
      tuned = grappler_go.tune(train_step, x, y, budget_s=120)
      print(tuned, tuned.table)
    """
    if native.killed_by_environment():
        raise RuntimeError("GRAPPLER_GO=0 is in the environment: no plan can be tried")
    if not budget_s > 0:
        raise ValueError(f"budget_s={budget_s!r}: expected seconds above 0")
    began = time.perf_counter()
    folders = cache_lib.folders_of(plan_cache)
    with control.restored():
        control.disable()
        target = target_of(fn, args)
        variables = Variables()
        try:
            tuned, forms = _tune(target, began, budget_s, policy, devices, on_progress)
        finally:
            control.disable()
            variables.restore()
    if variables.left_out:
        left_out = ", ".join(variables.left_out)
        tuned = _noted(tuned, f"variables that could not be put back: {left_out}")
    if folders and tuned.verdict != "undecided":
        tuned = _store(tuned, forms, folders, devices, budget_s)
    control.forget()
    return dataclasses.replace(tuned, seconds=time.perf_counter() - began)


def _tune(
    target: Target,
    began: float,
    budget_s: float,
    policy: settings.PolicyLike,
    devices: settings.DevicesLike,
    on_progress: Callable[[Progress], None] | None,
) -> tuple[Tuned, _Forms]:
    with_loops = WithLoops(target.run, budget_s / 2)
    seen = captured.capture(target.run, trace=False) if with_loops.compiled else with_loops.graphs
    if not seen:
        raise ValueError(
            f"{target.name}: no graph reached the pass; is it compiled with jit_compile=True?"
        )
    forms = _Forms(_distinct(seen), with_loops)

    def candidates(graphs: Sequence[captured.CapturedGraph], loops: int) -> Iterator[Candidate]:
        return candidates_lib.candidates(
            graphs,
            policy=policy,
            devices=devices,
            compile_budget_s=max(budget_s / 2, _LEAST_COMPILE_BUDGET_S),
            loops=loops,
        )

    # In turns: where time is short, the last of both are left out.
    pairs = itertools.zip_longest(
        candidates(with_loops.graphs, with_loops.loops) if with_loops.loops else (),
        candidates(forms.graphs, 0),
    )
    tries = [one for pair in pairs for one in pair if one is not None]
    runners = [
        Runner(one.name, _switch_to(one, devices, with_loops), one.compile_s) for one in tries
    ]
    spent = time.perf_counter() - began
    race = Race(
        target.run,
        Runner("TensorFlow's default", _switch(_decides_nothing, devices)),
        runners,
        budget_s - spent,
        on_progress or (lambda _: None),
    )
    race.run()
    tuned = _result(target, race, tries, began)
    if with_loops.takes_too_long:
        tuned = _noted(
            tuned,
            "compiled loops were not tried: compiling them is expected to take longer than half "
            "the budget",
        )
    return tuned, forms


def _distinct(graphs: Sequence[captured.CapturedGraph]) -> list[captured.CapturedGraph]:
    """One graph may come twice, from two callers."""
    key = native.core().plan_cache_key
    return list({key(graph.op_graph())["file_name"]: graph for graph in graphs}.values())


def _decides_nothing(_: object) -> None:
    return None


def _switch_to(
    one: Candidate, devices: settings.DevicesLike, with_loops: WithLoops
) -> Callable[[], None]:
    # One object for each: by its identity TensorFlow keeps what it made of the plan.
    plans = list(one.plans.values())
    plain = _switch(settings.parse_policy(plans) if plans else _decides_nothing, devices)
    if not one.loops:
        return plain

    def switch() -> None:
        plain()
        with_loops.switch_on()

    return switch


def _switch(policy: settings.PolicyLike, devices: settings.DevicesLike) -> Callable[[], None]:
    def switch() -> None:
        control.enable(
            policy,
            devices,
            # Memory, so that freed memory is kept for all of them alike, as it will be for
            # the winner; the plans recompute nothing.
            decisions=("fusion", "memory"),
            min_gain=0.0,
            budget_ms=60_000,
            plan_cache=False,
            # Where the default is stored, the pass does not touch the graph at all.
            advanced={"fuse_updates": policy is not _decides_nothing},
        )

    return switch


def _result(target: Target, race: Race, tries: Sequence[Candidate], began: float) -> Tuned:
    rows = [_row(race.default, Candidate("TensorFlow's default", {}, 0.0), race.default)]
    rows += [
        _row(runner, one, race.default) for runner, one in zip(race.others, tries, strict=True)
    ]
    verdict, best, plans, loops = "undecided", "TensorFlow's default", {}, 0
    notes = list(target.notes)
    judged = race.verdict
    if judged is not None and judged.faster and race.winner is not None:
        verdict, best = "plan", race.winner.name
        won = tries[race.others.index(race.winner)]
        plans, loops = dict(won.plans), won.loops
    elif judged is not None or all(r.state in ("slower", "failed") for r in race.others):
        # With nothing to compile there is nothing to try.
        verdict = "default"
    else:
        notes.append(
            "the budget was too short to compile a plan and to time it: the default stays, and "
            "nothing is written"
        )
    return Tuned(
        name=target.name,
        verdict=verdict,
        best=best,
        speedup=judged.speedup if judged is not None and verdict == "plan" else 1.0,
        low=judged.low if judged is not None else math.nan,
        high=judged.high if judged is not None else math.nan,
        table=tuple(rows),
        graphs=len({f for one in tries if not one.loops for f in one.plans}),
        seconds=time.perf_counter() - began,
        compile_seconds=sum(r.first_s for r in race.others if not math.isnan(r.first_s)),
        notes=tuple(notes),
        plans=plans,
        loops=loops,
    )


def _row(runner: Runner, one: Candidate, default: Runner) -> Row:
    return Row(
        runner.name,
        one.num_groups,
        one.num_ops,
        runner.first_s,
        judge.median(runner.readings) * 1e3,
        1.0 if runner is default else runner.ratio,
        len(runner.readings),
        "default" if runner is default else runner.state,
        runner.why,
        one.loops,
    )


def _noted(tuned: Tuned, note: str) -> Tuned:
    return dataclasses.replace(tuned, notes=(*tuned.notes, note))


def _store(
    tuned: Tuned,
    forms: _Forms,
    folders: Sequence[str],
    devices: settings.DevicesLike,
    budget_s: float,
) -> Tuned:
    machine = settings.parse_devices(devices)
    timed = [row for row in tuned.table[1:] if not math.isnan(row.step_ms)]
    best = next((row for row in timed if row.state == "best"), None)
    best = best or min(timed, key=lambda row: row.step_ms, default=None)
    measured = {
        "default_ms": tuned.table[0].step_ms if timed else 0.0,
        "plan_ms": best.step_ms if best else 0.0,
        "speedup": tuned.speedup,
        "candidate": tuned.best,
        "function": tuned.name,
        "seconds": tuned.seconds,
        "budget_s": budget_s,
    }
    written, failed = [], ""
    for graph in _distinct(forms.with_loops.graphs) if tuned.loops else forms.graphs:
        op_graph = graph.op_graph()
        plan = tuned.plans.get(op_graph.fingerprint)
        if op_graph.num_ops < 16 and plan is None:
            continue  # the pass leaves it alone without looking
        try:
            written.append(cache_lib.store(folders, op_graph, machine, plan, measured))
        except OSError as error:
            failed = str(error)
    # Only what was run was judged.
    if any(row.loops and not math.isnan(row.first_s) for row in tuned.table):
        verdict = cache_lib.LOOPS if tuned.loops else cache_lib.NO_LOOPS
        names = settings.device_names(machine)
        for one in forms.with_loops.compiled:
            of_loops = {**measured, "loops": one.loops}
            try:
                written.append(cache_lib.store_loops(folders, one.key, names, verdict, of_loops))
            except OSError as error:
                failed = str(error)
    tuned = dataclasses.replace(tuned, cached=tuple(written))
    return _noted(tuned, failed) if failed else tuned
