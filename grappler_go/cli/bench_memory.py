"""`grappler-go bench memory`: what training steps take with the peak of memory held down."""

import json
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from absl import flags

from grappler_go.bench import chart, memory, memory_programs
from grappler_go.cli import bench_table, common

_NUMBERS = ("limit MB", "predicted", "peak MB", "share", "step ms", "time", "difference")


def define_flags(values: flags.FlagValues) -> None:
    """The flags that no other benchmark has."""
    flags.DEFINE_list(
        "limits",
        ["0.6", "0.4"],
        "memory: limits, as shares of the measured peak without one.",
        flag_values=values,
    )


def run(programs: Sequence[str], settings: Mapping[str, Any], values: flags.FlagValues) -> int:
    """Measures; 1 when a program or a mode failed.

    Args:
      programs: which; empty for those of bench.memory_programs.
      settings: arguments of grappler_go.enable() for ours.
      values: the parsed flags of bench.

    Raises:
      UsageError: a limit that is no share, or a file of --out that is something else.
    """
    limits = [_share(text) for text in values.limits]
    programs = list(programs) or memory_programs.names()
    found = _read(values.out) if values.out else {}
    total = len(programs)
    with bench_table.progress_bar(total, "memory") as bar:
        for program in programs:

            def tell(text: str, program: str = program) -> None:
                bar.update(bar.task_ids[0], description=f"{program}: {text}")

            if program not in found:
                found[program] = memory.compare(
                    program,
                    limits,
                    settings=settings,
                    batch=values.batch,
                    rounds=values.rounds,
                    timeout_s=values.timeout,
                    progress=tell,
                )
                if values.out and not found[program].error:
                    _append(values.out, found[program])
            bar.update(bar.task_ids[0], advance=1)
    compared = [found[program] for program in programs]
    where = bench_table.hand_out_values({"memory": [one.to_dict() for one in compared]}, values)
    if not values.json:
        _show(compared, limits)
    if values.chart:
        note = "{cores} cores of {cpu}; TensorFlow {tensorflow}; {date}".format(**where)
        with common.drawing(values.chart):
            chart.draw_relative(
                {
                    one.program: {
                        mode.name: mode.time_ratio
                        for mode in one.modes
                        if not mode.error and mode.name != memory.DEFAULT
                    }
                    for one in compared
                },
                values.chart,
                f"step time / TensorFlow's ({note})",
            )
    return 1 if any(one.error or any(m.error for m in one.modes) for one in compared) else 0


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = 0.0
    if not 0 < share < 1:
        raise common.UsageError(
            f"--limits={text}: expected shares between 0 and 1, such as 0.6,0.4"
        )
    return share


def _show(compared: Iterable[memory.Comparison], limits: Sequence[float]) -> None:
    for one in compared:
        if one.error:
            common.OUT.print(f"{one.program} failed: {one.error}", markup=False)
            continue
        table = common.new_table(one.program, "mode", *_NUMBERS, "fits", right=_NUMBERS)
        for mode in one.modes:
            if mode.error:
                table.add_row(mode.name, "failed", *[""] * len(_NUMBERS))
                continue
            table.add_row(
                mode.name,
                f"{mode.limit_bytes / 1e6:,.0f}" if mode.limit_bytes else "",
                f"{mode.predicted_bytes / 1e6:,.0f}" if mode.predicted_bytes else "",
                f"{mode.peak_bytes / 1e6:,.0f}",
                f"{mode.peak_share:.2f}",
                f"{mode.median_ms:.3g}",
                f"{mode.time_ratio:.2f}",
                f"{mode.difference:.1e}",
                ("yes" if mode.fits else "no") if mode.limit_bytes else "",
            )
        common.OUT.print(table)
        for mode in one.modes:
            if mode.error:
                common.OUT.print(f"  {mode.name} failed: {mode.error}", markup=False)
    for limit in limits:
        modes = [one.mode(memory.limit_mode(limit)) for one in compared if not one.error]
        fit = [mode for mode in modes if mode.fits]
        within = [mode for mode in fit if mode.time_ratio <= 1.15]
        common.OUT.print(
            f"limit {limit:g}: {len(fit)} of {len(modes)} fit, "
            f"{len(within)} of them with at most 15 % more step time",
            markup=False,
        )


def _read(path: str) -> dict[str, memory.Comparison]:
    file = pathlib.Path(path)
    if not file.exists():
        return {}
    found = {}
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        try:
            one = memory.Comparison.from_dict(json.loads(line))
        except (ValueError, TypeError, KeyError) as error:
            raise common.UsageError(f"{path}, line {number}: not a comparison ({error})") from error
        found[one.program] = one
    return found


def _append(path: str, one: memory.Comparison) -> None:
    file = pathlib.Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(one.to_dict()) + "\n")
