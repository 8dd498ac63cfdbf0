"""`grappler-go bench gains`: what turning us on gains, over many programs."""

import json
import pathlib
from collections.abc import Sequence
from typing import Any

from absl import flags

from grappler_go.bench import chart, gains, gains_programs, harness
from grappler_go.bench.chart import TITLES
from grappler_go.cli import bench_table, common

_NUMBERS = (
    *("TensorFlow", "jit", "auto", "ours", "tuned"),
    *("first s", "break-even", "peak MB", "difference", "tuning s"),
)


def run(programs: list[str], options: dict[str, Any], values: flags.FlagValues) -> int:
    """Measures; 1 when a mode failed.

    Args:
      programs: which; empty for all of gains_programs. Others than those are programs as
        for `bench PROGRAM`.
      options: arguments of harness.compare; "modes" among them.
      values: the parsed flags of bench.

    Raises:
      UsageError: a file of --out that is none of ours.
    """
    wanted = programs or list(gains_programs.BY_NAME)
    # Workers find the packages that this process has imported.
    common.training_module("workloads", "bench gains")
    found = read(values.out) if values.out else {}
    missing = [name for name in wanted if name not in found]
    parts = harness.num_parts(options["modes"], options["rounds"])
    with bench_table.progress_bar(len(missing) * parts, "gains") as bar:
        task = bar.task_ids[0]
        for number, name in enumerate(missing, 1):
            label = f"{number} of {len(missing)}, {name}"
            program = gains_programs.BY_NAME.get(
                name, gains_programs.Program(name, name, "", options["batch"])
            )
            kept = {key: value for key, value in options.items() if key != "batch"}
            found[name] = gains.measure(
                program,
                progress=lambda text, label=label: bar.update(  # type: ignore[misc]
                    task, advance=1, description=f"{label}: {text}"
                ),
                **kept,
            )
            if values.out:
                append(values.out, found[name])
    rows = [found[name] for name in wanted]
    summary = gains.summarize(rows)
    told = {"gains": [row.to_dict() for row in rows], "summary": summary.to_dict()}
    where = bench_table.hand_out_values(told, values)
    if not values.json:
        _show(rows, summary)
    if values.chart:
        note = "{cores} cores of {cpu}; TensorFlow {tensorflow}; {date}".format(**where)
        with common.drawing(values.chart):
            chart.draw_gains({row.program: row.results for row in rows}, values.chart, note)
    failed = any(result.error for row in rows for result in row.results.values())
    return 1 if failed else 0


def _show(rows: Sequence[gains.Row], summary: gains.Summary) -> None:
    title = (
        "TensorFlow: ms a step; the others: speed-up. first s: the first step, TensorFlow's and "
        "ours;\nbreak-even: steps; peak MB: TensorFlow's and ours; difference: ours"
    )
    table = common.new_table(title, "program", *_NUMBERS, right=_NUMBERS)
    for row in rows:
        table.add_row(row.program, *_cells(row))
    table.add_section()
    means = summary.geometric_means
    table.add_row(
        "geometric mean",
        "",
        *(_ratio(means.get(mode)) for mode in ("jit", "auto", "ours", "tuned")),
    )
    table.add_row(
        *("slowest", ""),
        *(_ratio(summary.slowest.get(mode)) for mode in ("jit", "auto", "ours", "tuned")),
    )
    common.OUT.print(table)
    if "ours" in means:
        common.OUT.print(
            f"best of TensorFlow, jit and auto for each program: {means['best of others']:.2f}x; "
            f"ours is {summary.against_best['ours']:.2f} of that. "
            f"{summary.break_even} of {summary.compiled} programs in which a group was compiled "
            f"win the first steps back within {gains.BREAK_EVEN_STEPS} steps; "
            f"{summary.taken_back} were taken back by the guard."
        )
    if summary.tuned:
        common.OUT.print(summary.tuning_text, markup=False)
    for row in rows:
        for mode, result in row.results.items():
            if result.error:
                text = f"  {row.program}: {TITLES[mode]} failed: {result.error}"
                common.OUT.print(text, markup=False)


def _cells(row: gains.Row) -> list[str]:
    default = row.results["default"]
    cells = ["failed" if default.error else f"{default.median_ms:.3g}"]
    for mode in ("jit", "auto", "ours", "tuned"):
        result = row.results.get(mode)
        failed = result is not None and bool(result.error)
        cells.append("failed" if failed else _ratio(row.speedup(mode)))
    ours = row.results.get("ours")
    if row.speedup("ours") is None or ours is None:
        return [*cells, *[""] * 4, row.tuning_text]
    return [
        *cells,
        f"{default.first_ms / 1e3:.2g}-{ours.first_ms / 1e3:.2g}",
        row.break_even_text,
        f"{default.peak_mb:,.0f}-{ours.peak_mb:,.0f}",
        f"{ours.difference:.0e}",
        row.tuning_text,
    ]


def _ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}x"


def read(path: str) -> dict[str, gains.Row]:
    """What append() wrote, by program; nothing where there is no such file.

    Raises:
      UsageError: a line is something else.
    """
    file = pathlib.Path(path)
    if not file.exists():
        return {}
    found = {}
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        try:
            row = gains.Row.from_dict(json.loads(line))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise common.UsageError(
                f"{path}, line {number}: not a row of bench gains ({error})"
            ) from error
        found[row.program] = row
    return found


def append(path: str, row: gains.Row) -> None:
    """Adds a row, a line of JSON, to a file."""
    file = pathlib.Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(row.to_dict()) + "\n")
