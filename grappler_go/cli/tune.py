"""Runs a program under many plans and keeps the fastest for every later process.

PROGRAM is a built-in one (grappler-go bench --list), <a model of
keras.applications>-infer or -train, or module:function: called without arguments, it
returns a step (a tf.function, a Python function or a Keras model) or a pair of a step
and its arguments.

Plans of the policy and of wilder kinds take turns with TensorFlow's default, and the
slower half is left out again and again. Compilation counts against --budget. The winner
has to be faster than the default by more than the noise; otherwise "TensorFlow's default
is best". Either goes into the plan cache (--cache, GRAPPLER_GO_PLANS, or
~/.cache/grappler-go/plans), where grappler_go.enable() finds it. The program's variables
are put back; a program with effects outside TensorFlow is refused.

Exit status: 0 a plan was found, 3 the default is best, 4 the budget was too short.

Examples:
  grappler-go tune chargpt-train --budget=120
  grappler-go tune train:make_step --cache=/shared/plans
  grappler-go tune lstm-infer wavenet-infer --json --nowrite
"""

import math
from typing import Any

from absl import flags
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

from grappler_go.cli import common

USAGE = "[flags] PROGRAM..."
FLAGS = common.new_flags()
common.define_json(FLAGS)
flags.DEFINE_float("budget", 60.0, "Seconds for each program.", 0.1, flag_values=FLAGS)
flags.DEFINE_string(
    "policy", "default", "Whose plans are tried at several settings.", flag_values=FLAGS
)
flags.DEFINE_list("devices", None, "As of grappler-go run.", flag_values=FLAGS)
flags.DEFINE_list(
    "cache",
    None,
    "Folders of tuned plans; the first that can be written into gets it.",
    flag_values=FLAGS,
)
flags.DEFINE_bool("write", True, "Write the winner into the plan cache.", flag_values=FLAGS)
flags.DEFINE_integer(
    "batch", 0, "Batch of a built-in program; 0 for its own.", 0, flag_values=FLAGS
)

_STATUS = {"plan": 0, "default": 3, "undecided": 4}


def run(args: list[str]) -> int:
    """Tunes each; the exit status is the last one's that is not 0."""
    if not args:
        raise common.UsageError("which program? grappler-go bench --list shows the built-in ones")
    common.import_tensorflow()
    common.search_current_folder()
    status = 0
    results = {}
    for name in args:
        tuned = _tune(name)
        results[name] = tuned.to_dict()
        if not FLAGS.json:
            show(name, tuned)
        status = _STATUS[tuned.verdict] or status
    if FLAGS.json:
        common.print_json(results)
    return status


def _tune(name: str) -> Any:
    import grappler_go
    from grappler_go.bench import models

    program = models.build(name, models.Options(batch=FLAGS.batch))
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[left]}"),
        console=common.ERR,
        transient=True,
    ) as bar:
        task = bar.add_task(f"{name}: tracing", total=FLAGS.budget, left="")

        def on_progress(progress: Any) -> None:
            best = ""
            if progress.best:
                best = f"; best so far {progress.best_ratio:.2f}x: {progress.best}"
            bar.update(
                task,
                completed=progress.elapsed_s,
                description=f"{name}: {progress.phase} {progress.what}{best}",
                left=f"{progress.left_s:.0f} s left",
            )

        with common.output_aside(FLAGS.json):
            return grappler_go.tune(
                program.step,
                *program.args,
                budget_s=FLAGS.budget,
                policy=FLAGS.policy,
                devices=common.devices_from(FLAGS.devices) if FLAGS.devices else None,
                plan_cache=(FLAGS.cache or None) if FLAGS.write else False,
                on_progress=on_progress,
            )


def show(name: str, tuned: Any) -> None:
    """The table and what came of it."""
    numbers = ("groups", "ops", "first s", "step ms", "speed-up", "rounds")
    table = common.new_table(name, "plan", *numbers, "", right=numbers)
    for row in tuned.table:
        table.add_row(
            row.name,
            f"{row.groups}" if row.groups else "",
            f"{row.ops:,}" if row.ops else "",
            _number(row.first_s, ".3g"),
            _number(row.step_ms, ".3g"),
            _number(row.speedup, ".2f", "x"),
            f"{row.rounds}" if row.rounds else "",
            _outcome(row),
        )
    common.OUT.print(table)
    common.OUT.print(str(tuned), markup=False)
    for note in tuned.notes:
        common.OUT.print(f"  {note}", markup=False)
    for path in tuned.cached:
        common.OUT.print(f"  written: {path}", markup=False)
    common.OUT.print()


def _outcome(row: Any) -> str:
    """What became of it. Why one is "slower" says so itself, and of one that is merely no
    faster that it is."""
    if row.state == "slower":
        return row.why
    return f"{row.state}: {row.why}" if row.why else row.state


def _number(value: float, form: str, unit: str = "") -> str:
    return "" if math.isnan(value) else f"{value:{form}}{unit}"
