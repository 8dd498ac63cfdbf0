"""Measures op costs on this machine and makes the scorer policy from them.

Examples:
  # Time every op case (about 10 minutes; a stopped run goes on where it was).
  python -m grappler_go_training.scorer measure --samples=samples.jsonl
  # Fit, print the errors, write the policy folder. Several files, of several
  # machines, give a policy between them.
  python -m grappler_go_training.scorer export --samples=samples.jsonl \
      --out=my_policy
  # What a compiled group costs beside its ops (grappler_go.enable takes them).
  python -m grappler_go_training.scorer launch
  # What memory costs element-wise ops (constants of cc/plan/op_micros.cc).
  python -m grappler_go_training.scorer memory
  # Use it.
  python -c 'import grappler_go; grappler_go.enable(policy="my_policy")'
"""

import dataclasses
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# pylint: disable=g-import-not-at-top,wrong-import-position
import numpy as np
import tensorflow as tf
from absl import app, flags
from rich import console as rich_console
from rich import progress, table

from grappler_go import native
from grappler_go_training.calibrate import fit, launch, measure, memory, op_cases
from grappler_go_training.scorer import export
from grappler_go_training.scorer.fitted import fit_files

_SAMPLES = flags.DEFINE_list(
    "samples", ["samples.jsonl"], "Where the timings are kept; export takes several files."
)
_OUT = flags.DEFINE_string("out", "scorer_policy", "Policy folder to write.")
_ONLY = flags.DEFINE_string("only", "", "Measure only op types whose name contains this.")


def main(argv: list[str]) -> int:
    commands = {"measure": _measure, "launch": _launch, "memory": _memory, "export": _export}
    if len(argv) != 2 or argv[1] not in commands:
        print(__doc__)
        return 2
    # As in the steps whose time is predicted: the pass keeps what they free.
    native.core().keep_freed_memory(True)
    return commands[argv[1]]()


def _measure() -> int:
    if len(_SAMPLES.value) != 1:
        print("measure writes one file: --samples=FILE")
        return 2
    tf.get_logger().setLevel("ERROR")
    cases = [c for c in op_cases.all_cases() if _ONLY.value in c.op]
    measure.labels(cases)
    with progress.Progress(
        progress.TextColumn("{task.description:40.40}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TimeRemainingColumn(),
    ) as bar:
        task = bar.add_task("", total=len(cases))
        measure.measure_cases(
            cases,
            _SAMPLES.value[0],
            lambda done, _, label: bar.update(task, completed=done, description=label),
        )
    return 0


def _launch() -> int:
    costs = launch.measure_launch(lambda done, total: print(f"{done} of {total}", flush=True))
    for name, value in dataclasses.asdict(costs).items():
        print(f"{name} = {value:.1f}")
    return 0


def _memory() -> int:
    costs = memory.measure_memory(lambda done, total: print(f"{done} of {total}", flush=True))
    for name, value in dataclasses.asdict(costs).items():
        print(f"{name} = {value:.1f} microseconds per MB")
    return 0


def _export() -> int:
    try:
        fitted = fit_files(_SAMPLES.value)
    except ValueError as error:
        print(error)
        return 1
    errors = fit.relative_errors(fitted.model, fitted.cases, fitted.samples)
    _print_errors(fitted.cases, errors)
    export.export_policy(fitted.model, export.card_of(fitted), _OUT.value)
    print(f"wrote {_OUT.value}")
    return 0


def _print_errors(cases, errors: np.ndarray) -> None:
    rows = table.Table(title="median relative error of the fit")
    for column in ("op", "cases", "executor", "cluster"):
        rows.add_column(column, justify="left" if column == "op" else "right")
    ops = [c.op for c in cases]
    for op in sorted(set(ops)):
        own = errors[[o == op for o in ops]]
        rows.add_row(op, str(len(own)), *(f"{x:.2f}" for x in np.nanmedian(own, axis=0)))
    rows.add_row("all", str(len(ops)), *(f"{x:.2f}" for x in np.nanmedian(errors, axis=0)))
    rich_console.Console().print(rows)


if __name__ == "__main__":
    app.run(main)
