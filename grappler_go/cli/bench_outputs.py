"""`grappler-go bench outputs`: are outputs the same with the pass on and off?"""

import json
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

from grappler_go.bench import models, outputs
from grappler_go.cli import bench_table, common

_NUMBERS = (
    *("groups", "ops in them"),
    *("outputs", "last digit", "gradients", "last digit"),
)


def every_program() -> list[str]:
    """The built-in programs and the models of keras.applications, which are
    inferred with and trained one step."""
    common.import_tensorflow()
    kinds = ("infer", "train")
    return [
        *models.names(),
        *(f"{name}-{kind}" for name in models.applications() for kind in kinds),
    ]


def run(programs: list[str], options: Mapping[str, Any], out: str | None, as_json: bool) -> int:
    """Compares; 1 when a program's outputs differ or it could not be compared.

    Args:
      programs: which; empty for every one.
      options: arguments of outputs.compare.
      out: a file that gets a JSON line for each program; those that are in it
        already are not run again.
      as_json: print JSON instead of a table.
    """
    programs = programs or every_program()
    found = _read(out) if out else {}
    with bench_table.progress_bar(len(programs), "outputs") as bar:
        for program in programs:
            bar.update(bar.task_ids[0], description=f"outputs: {program}")
            if program not in found:
                found[program] = outputs.compare(program, **options)
                if out:
                    _append(out, found[program])
            bar.update(bar.task_ids[0], advance=1)
    compared = [found[program] for program in programs]
    if as_json:
        common.print_json([comparison.to_dict() for comparison in compared])
    else:
        _show(compared)
    return 0 if all(comparison.equal for comparison in compared) else 1


def _show(compared: Iterable[outputs.Comparison]) -> None:
    title = (
        "difference between pass on and off, relative; "
        "last digit: when only that of the weights is changed"
    )
    table = common.new_table(title, "program", *_NUMBERS, right=_NUMBERS)
    for one in compared:
        if one.error:
            table.add_row(one.program, "failed", *[""] * (len(_NUMBERS) - 1))
            continue
        trained = one.program.endswith("-train")
        table.add_row(
            one.program,
            f"{one.groups:,}",
            f"{one.grouped_ops:,}",
            f"{one.difference:.1e}",
            f"{one.sensitivity:.1e}",
            f"{one.gradient_difference:.1e}" if trained else "",
            f"{one.gradient_sensitivity:.1e}" if trained else "",
            style=None if one.equal else "red",
        )
    common.OUT.print(table)
    for one in compared:
        if one.error:
            common.OUT.print(f"  {one.program} failed: {one.error}", markup=False)
        elif not one.groups:
            common.OUT.print(f"  {one.program} left alone: {one.outcome}", markup=False)


def _read(path: str) -> dict[str, outputs.Comparison]:
    file = pathlib.Path(path)
    if not file.exists():
        return {}
    found = {}
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        try:
            values = json.loads(line)
            values.pop("equal", None)
            found[values["program"]] = outputs.Comparison(**values)
        except (ValueError, TypeError, KeyError) as error:
            raise common.UsageError(f"{path}, line {number}: not a comparison ({error})") from error
    return found


def _append(path: str, comparison: outputs.Comparison) -> None:
    file = pathlib.Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(comparison.to_dict()) + "\n")
