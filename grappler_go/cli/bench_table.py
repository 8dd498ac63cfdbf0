"""Results of the harness as tables, files and charts; used by bench and demo."""

import json
import pathlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from absl import flags
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from grappler_go.bench import chart, environment
from grappler_go.bench.chart import TITLES
from grappler_go.bench.harness import Result
from grappler_go.cli import common

_NUMBERS = ("median ms", "10-90 %", "speed-up", "rounds", "first ms", "peak MB", "difference")


def table_of(program: str, results: Mapping[str, Result]) -> Table:
    """One program: a row for each mode."""
    table = common.new_table(program, "mode", *_NUMBERS, right=_NUMBERS)
    for mode, result in results.items():
        if result.error:
            table.add_row(TITLES[mode], "failed", *[""] * (len(_NUMBERS) - 1))
            continue
        has_base = result.speedup > 0
        table.add_row(
            TITLES[mode],
            f"{result.median_ms:.3g}",
            f"{result.low_ms:.3g}-{result.high_ms:.3g}",
            f"{result.speedup:.2f}x" if has_base else "",
            f"{result.speedup_low:.2f}-{result.speedup_high:.2f}" if has_base else "",
            f"{result.first_ms:,.0f}",
            f"{result.peak_mb:,.0f}",
            f"{result.difference:.1e}" if has_base and mode != "default" else "",
        )
    return table


def print_errors(results: Mapping[str, Result]) -> None:
    """Why a mode has no numbers, below its table: once where several have the same reason."""
    failed: dict[str, list[str]] = {}
    for mode, result in results.items():
        if result.error:
            failed.setdefault(result.error, []).append(TITLES[mode])
    for error, titles in failed.items():
        common.OUT.print(f"  {', '.join(titles)} failed: {error}", markup=False)


def print_reports(results: Mapping[str, Result]) -> None:
    """What our pass did, for the graphs that it changed or might have."""
    from grappler_go import Report

    ours = results.get("ours")
    if ours is None or ours.error:
        return
    reports = [Report.from_dict(values) for values in ours.reports]
    largest = sorted(reports, key=lambda report: -report.num_nodes)
    for report in [r for r in largest if r.applied] or largest[:1]:
        common.OUT.print(f"  {report}", markup=False)


def print_tuning(results: Mapping[str, Result]) -> None:
    """What tuning found and how long that took."""
    tuned = results.get("tuned")
    if tuned is not None and tuned.verdict:
        found = "undecided" if tuned.verdict == "undecided" else tuned.plan
        text = f"  tuned in {tuned.tuning_s:.0f} s of {tuned.budget_s:.0f}: {found}"
        common.OUT.print(text, markup=False)


def define_files(values: flags.FlagValues) -> None:
    """--save and --chart, where results go beside the screen."""
    flags.DEFINE_string("save", None, "Store the results here, as JSON.", flag_values=values)
    flags.DEFINE_string(
        "chart", None, "Draw the speed-ups here (.png, .svg, .pdf).", flag_values=values
    )


def hand_out(
    programs: Mapping[str, Mapping[str, Result]], values: flags.FlagValues, **more: Any
) -> None:
    """Prints JSON, stores it and draws the chart: what the flags ask for.

    Raises:
      UsageError: a chart without matplotlib, or of a kind that it cannot draw.
    """
    told = {
        "programs": {
            program: {mode: result.to_dict() for mode, result in results.items()}
            for program, results in programs.items()
        },
        **more,
    }
    where = hand_out_values(told, values)
    if values.chart:
        note = "{cores} cores of {cpu}; TensorFlow {tensorflow}; {date}".format(**where)
        with common.drawing(values.chart):
            chart.draw(programs, values.chart, note)


def hand_out_values(told: Mapping[str, Any], values: flags.FlagValues) -> dict[str, Any]:
    """Prints and stores results as JSON, with where they come from, which is
    returned."""
    where = environment.describe()
    told = {"environment": where, **told}
    if values.json:
        common.print_json(told)
    if values.save:
        file = pathlib.Path(values.save)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(common.to_json_value(told), indent=1) + "\n", encoding="utf-8")
    return where


@contextmanager
def progress_bar(total: int, label: str) -> Iterator[Progress]:
    """A progress display on standard error; silent where that is no terminal."""
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        console=common.ERR,
        transient=True,
    ) as progress:
        progress.add_task(label, total=total)
        yield progress
