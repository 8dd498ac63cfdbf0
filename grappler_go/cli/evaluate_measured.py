"""`grappler-go evaluate --measured`: placements that are run, not simulated."""

import math
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from absl import flags

from grappler_go import settings
from grappler_go.cli import bench_table, common, results_file, train


def run(policy: Any, methods: Sequence[str], seed: int, values: flags.FlagValues) -> int:
    """Places, runs and compares; 1 when something could not be measured.

    Args:
      policy: of judged.load().
      methods: which.
      seed: of what draws.
      values: the parsed flags of evaluate.

    Raises:
      UsageError: a flag makes no sense here.
    """
    if not values.graphs:
        raise common.UsageError(
            "--measured needs --graphs=PROGRAM,...: those of `grappler-go bench --list`, "
            "workloads, or module:function"
        )
    measured = train.go_module("measured", "evaluate")
    results = common.training_module("policy_results", "evaluate")
    machine = settings.parse_devices(values.machine, must_exist=False) if values.machine else None
    found = {}
    if values.out:
        found = results_file.read(values.out, results.MeasuredRow, "evaluate --measured")
    with bench_table.progress_bar(len(values.graphs), "evaluate") as bar:
        task = bar.task_ids[0]
        for number, program in enumerate(values.graphs):
            rows = measured.measure(
                policy,
                [program],
                methods,
                seed,
                measured.baselines.Budget(values.plans, values.max_seconds),
                machine,
                done=found,
                on_progress=lambda text: bar.update(task, description=text),
            )
            for row in rows:
                found[row.key] = row
                if values.out:
                    results_file.append(values.out, row.to_dict())
            bar.update(task, completed=number + 1)
    budget = values.plans, values.max_seconds
    keys = [(program, one, seed, *budget) for program in values.graphs for one in methods]
    rows = [found[key] for key in keys if key in found]
    _tell(results, rows, methods, values.json)
    return 1 if any(row.error for row in rows) else 0


def _tell(results: ModuleType, rows: Sequence[Any], methods: Sequence[str], as_json: bool) -> None:
    means = results.mean_ratios(rows)
    if as_json:
        summary = {method: None if math.isnan(mean) else mean for method, mean in means.items()}
        common.print_json({"rows": [row.to_dict() for row in rows], "ratios": summary})
        return
    columns = ("as it stands, ms", *methods)
    table = common.new_table(
        "two workers: measured step over that without a plan (as simulated)",
        *("program", *columns),
        right=columns,
    )
    by_program: dict[str, dict[str, Any]] = {}
    for row in rows:
        by_program.setdefault(row.program, {})[row.method] = row
    for program, told in by_program.items():
        before = [row.default_ms for row in told.values() if row.default_ms]
        table.add_row(
            program,
            f"{sorted(before)[len(before) // 2]:.4g}" if before else "",
            *(_ratio_text(told.get(method)) for method in methods),
        )
    table.add_row("geometric mean", "", *(f"{means.get(m, math.nan):.2f}" for m in methods))
    common.OUT.print(table)
    for row in rows:
        if row.error:
            common.OUT.print(f"  {row.program}: {row.method}: {row.error}", markup=False)


def _ratio_text(row: Any) -> str:
    if row is None or row.ratio is None:
        return "" if row is None else "failed"
    simulated = row.simulated_ms / row.simulated_default_ms
    return f"{row.ratio:.2f} ({simulated:.2f})"
