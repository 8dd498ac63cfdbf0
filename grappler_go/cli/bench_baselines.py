"""`grappler-go bench baselines`: what a placement policy has to beat."""

import importlib
from collections.abc import Iterable, Sequence
from types import ModuleType
from typing import Any

from absl import flags

from grappler_go.bench import chart
from grappler_go.cli import bench_table, common, results_file

# Step times are drawn relative to this one.
_REFERENCE = "human_expert"
_PACKAGE = "grappler_go_training"
_COLUMNS = 7


def define_flags(values: flags.FlagValues) -> None:
    """--workloads, --baselines, --seeds, --budget and --max_seconds."""
    flags.DEFINE_list(
        "workloads", [], "baselines: which; without it the paper's.", flag_values=values
    )
    flags.DEFINE_list(
        "baselines", [], "baselines: which; without it all that place ops.", flag_values=values
    )
    flags.DEFINE_list("seeds", ["0"], "baselines: each of them once.", flag_values=values)
    flags.DEFINE_integer(
        "budget", 200, "baselines: plans that a search may simulate.", 1, flag_values=values
    )
    flags.DEFINE_float(
        "max_seconds",
        None,
        "baselines: after which a search simulates no further plan; how far it comes then "
        "depends on the machine.",
        0.0,
        flag_values=values,
    )


def training_module(name: str) -> ModuleType:
    """A module of grappler_go_training, which this package does not depend on.

    Raises:
      UsageError: it, or what it needs, is not installed; says what to install.
    """
    try:
        return importlib.import_module(f"{_PACKAGE}.{name}")
    except ImportError as error:
        what = error.name or f"{_PACKAGE}.{name}"
        raise common.UsageError(
            f"bench baselines needs {what}, which is not installed: pip install "
            "'grappler-go[train,baselines]'"
        ) from error


def run(values: flags.FlagValues) -> int:
    """Sweeps, with what --out has already left out; 1 when a baseline made no plan."""
    baselines = training_module("baselines")
    workloads = training_module("workloads")
    names = values.baselines or [
        name for name, one in baselines.BASELINES.items() if one.decides == "device"
    ]
    programs = values.workloads or list(workloads.names(paper=True))
    try:
        seeds = [int(seed) for seed in values.seeds]
    except ValueError:
        raise common.UsageError(f"--seeds={','.join(values.seeds)}: expected numbers") from None
    _check(names, baselines.BASELINES, "baseline")
    _check(programs, workloads.names(), "workload")
    wanted = [
        (program, name, seed, values.budget, values.max_seconds)
        for program in programs
        for name in names
        for seed in seeds
    ]
    found = {}
    if values.out:
        found = results_file.read(values.out, baselines.Cell, "bench baselines")
    missing = len([key for key in wanted if key not in found])
    with bench_table.progress_bar(missing, "baselines") as bar:
        task = bar.task_ids[0]
        for cell in baselines.sweep(
            workloads.get,
            programs,
            names,
            seeds,
            baselines.Budget(values.budget, values.max_seconds),
            done=found,
            progress=lambda text: bar.update(task, description=text),
        ):
            found[cell.key] = cell
            if values.out:
                results_file.append(values.out, cell.to_dict())
            bar.update(task, advance=1)
    cells = [found[key] for key in wanted]
    if values.json:
        common.print_json([cell.to_dict() for cell in cells])
    else:
        _show(cells, programs, names)
    if values.chart:
        _draw(cells, values.chart)
    return 1 if any(cell.error for cell in cells) else 0


def _check(names: Sequence[str], known: Iterable[str], what: str) -> None:
    known = list(known)
    for name in names:
        if name not in known:
            raise common.UsageError(f"no {what} {name!r}; there are {', '.join(known)}")


def step_text(cells: Sequence[Any]) -> str:
    """The mean step of the seeds in milliseconds; OOM where one of them does not fit."""
    if any(cell.error for cell in cells):
        return "failed"
    if any(cell.out_of_memory for cell in cells):
        return "OOM"
    return f"{_mean([cell.step_ms for cell in cells]):,.4g}"


def _mean(numbers: Sequence[float]) -> float:
    return sum(numbers) / len(numbers)


def _show(cells: Sequence[Any], programs: Sequence[str], names: Sequence[str]) -> None:
    groups: dict[tuple[str, str], list[Any]] = {}
    for cell in cells:
        groups.setdefault((cell.workload, cell.baseline), []).append(cell)

    def seconds(group: Sequence[Any]) -> str:
        return f"{_mean([cell.seconds for cell in group]):.3g}"

    for title, text in (
        ("milliseconds of a simulated step", step_text),
        ("seconds to make the plan", seconds),
    ):
        # As many columns at a time as a terminal has room for.
        for first in range(0, len(names), _COLUMNS):
            columns = names[first : first + _COLUMNS]
            table = common.new_table(title, "workload", *columns, right=columns)
            for program in programs:
                table.add_row(program, *(text(groups[program, name]) for name in columns))
            common.OUT.print(table)
            common.OUT.print()
    for cell in cells:
        if cell.error:
            common.OUT.print(f"  {cell.workload}: {cell.baseline}: {cell.error}", markup=False)


def _draw(cells: Sequence[Any], path: str) -> None:
    steps: dict[str, dict[str, list[float]]] = {}
    for cell in cells:
        if not cell.error and not cell.out_of_memory:
            steps.setdefault(cell.workload, {}).setdefault(cell.baseline, []).append(cell.step_ms)
    rows = {}
    for program, by_name in steps.items():
        means = {name: _mean(numbers) for name, numbers in by_name.items()}
        reference = means.get(_REFERENCE, min(means.values()))
        rows[program] = {name: step / reference for name, step in means.items()}
    label = f"simulated step, relative to {_REFERENCE} (where it has none: to the shortest)"
    with common.drawing(path):
        chart.draw_relative(rows, path, label)
