"""`grappler-go bench fidelity`: how far the simulator is from what is measured."""

import importlib
from types import ModuleType
from typing import Any

from absl import flags

from grappler_go import settings
from grappler_go.cli import bench_table, common

_NUMBERS = (
    *("plans", "Spearman", "pairs", "time", "ratio", "peak", "above vars"),
    *("Grappler's", "both", "noise"),
)


def define_flags(values: flags.FlagValues) -> None:
    """The flags that no other benchmark has."""
    flags.DEFINE_string(
        "machine",
        None,
        "fidelity: whose costs are simulated: a machine that ships, or its JSON file. gains: "
        "the file of op times that ours decides with.",
        flag_values=values,
    )
    flags.DEFINE_integer("plans", 30, "fidelity: plans of each program.", 2, flag_values=values)
    flags.DEFINE_list(
        "kinds",
        ["one_process", "cluster"],
        "fidelity: how plans are run: in one process, on a cluster of two workers.",
        flag_values=values,
    )


def run(programs: list[str], values: flags.FlagValues) -> int:
    """Measures and compares; 1 when a plan could not be measured.

    Args:
      programs: which; empty for those of the training package.
      values: the parsed flags of bench.

    Raises:
      UsageError: the training package is not there, or a flag makes no sense.
    """
    fidelity = _training_module("fidelity")
    machine = settings.parse_devices(values.machine, must_exist=False) if values.machine else None
    common.import_tensorflow()
    comparison = fidelity.Fidelity(
        programs=programs or fidelity.PROGRAMS,
        kinds=values.kinds,
        plans=values.plans,
        machine=machine,
        out=values.out,
        timeout_s=values.timeout,
    )
    with bench_table.progress_bar(1, "fidelity") as bar:

        def tell(progress: Any) -> None:
            bar.update(
                bar.task_ids[0],
                total=progress.total,
                completed=progress.done,
                description=f"fidelity: {progress.text}",
            )

        rows = comparison.run(tell)
    agreements = fidelity.summarize(rows)
    told = {
        "fidelity": [one.to_dict() for one in agreements],
        "machine": machine.name if machine is not None else "default rates",
        "failed": [row.to_dict() for row in rows if row.error is not None],
    }
    where = bench_table.hand_out_values(told, values)
    if not values.json:
        _show(agreements, rows)
    if values.chart:
        note = "{cores} cores of {cpu}; TensorFlow {tensorflow}; {date}".format(**where)
        with common.drawing(values.chart):
            _training_module("chart").draw(rows, values.chart, note)
    return 1 if any(row.error is not None for row in rows) else 0


def _training_module(name: str) -> ModuleType:
    """grappler_go does not depend on the package that makes policies: it is looked for
    when it is needed."""
    try:
        return importlib.import_module(f"grappler_go_training.measure.{name}")
    except ImportError as error:
        raise common.UsageError(
            f"bench fidelity needs the training package ({error}): "
            "pip install 'grappler-go[baselines,chart]'"
        ) from None


def _show(agreements: list[Any], rows: list[Any]) -> None:
    title = (
        "simulated against measured: pairs in the right order; median errors of time, of its\n"
        "ratio to the step without a plan, and of peak memory; pairs that Grappler's cost model\n"
        "has right, and that both have in one order"
    )
    table = common.new_table(title, "program", "run in", *_NUMBERS, right=_NUMBERS)
    for one in agreements:
        table.add_row(
            one.program,
            "one process" if one.kind == "one_process" else "two workers",
            str(one.plans) + (f" ({one.failed} failed)" if one.failed else ""),
            "" if one.spearman is None else f"{one.spearman:.2f}",
            *(
                "" if share is None else f"{share:.0%}"
                for share in (
                    *(one.pairs_right, one.time_error, one.ratio_error, one.memory_error),
                    *(one.above_resident_error, one.judge_right, one.judge_agrees, one.spread),
                )
            ),
        )
    common.OUT.print(table)
    for row in rows:
        if row.error is not None:
            text = f"  {row.program}, {row.kind}, {row.plan} failed: {row.error}"
            common.OUT.print(text, markup=False)
