"""`grappler-go bench fidelity`: how far the simulator is from what is measured."""

import dataclasses
import importlib
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from absl import flags

from grappler_go import settings
from grappler_go.cli import bench_table, common

_NUMBERS = (
    *("plans", "Spearman", "pairs", "time", "ratio", "peak", "above vars"),
    *("Grappler's", "both", "noise"),
)
# Of a program's types of ops, those that are shown.
_MOST_TYPES = 15


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
    flags.DEFINE_bool(
        "simulate_again",
        False,
        "fidelity: run nothing; simulate the plans that --out was measured with once more, "
        "after the simulator or the machine's costs have changed.",
        flag_values=values,
    )
    flags.DEFINE_bool(
        "ops",
        False,
        "fidelity: run no plans; profile a step of each program and show which types of ops "
        "take longer or shorter than the simulator says.",
        flag_values=values,
    )
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
    if values.simulate_again and (not values.out or programs):
        raise common.UsageError("--simulate_again takes --out=FILE and no programs: all in it")
    fidelity = _training_module("fidelity")
    machine = settings.parse_devices(values.machine, must_exist=False) if values.machine else None
    common.import_tensorflow()
    if values.ops:
        return _run_ops(programs or fidelity.PROGRAMS, machine, values)
    with bench_table.progress_bar(1, "fidelity") as bar:

        def tell(progress: Any) -> None:
            bar.update(
                bar.task_ids[0],
                total=progress.total,
                completed=progress.done,
                description=f"fidelity: {progress.text}",
            )

        if values.simulate_again:
            rows, left = fidelity.simulate_again(values.out, machine, tell)
        else:
            comparison = fidelity.Fidelity(
                programs=programs or fidelity.PROGRAMS,
                kinds=values.kinds,
                plans=values.plans,
                machine=machine,
                out=values.out,
                timeout_s=values.timeout,
            )
            rows, left = comparison.run(tell), 0
    if left:
        common.complain(f"{left} rows have no plan beside {values.out} and are as they were")
    agreements = _training_module("agreement").summarize(rows)
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


def _run_ops(programs: Sequence[str], machine: Any, values: flags.FlagValues) -> int:
    op_times = _training_module("op_times")
    told: dict[str, list[Any]] = {}
    with bench_table.progress_bar(len(programs), "profiling") as bar:
        for program in programs:
            told[program] = op_times.compare(program, machine, timeout_s=values.timeout)
            bar.advance(bar.task_ids[0])
    if values.json:
        rows = {name: [dataclasses.asdict(one) for one in each] for name, each in told.items()}
        common.print_json({"op_times": rows})
        return 0
    numbers = ("ops", "measured us", "simulated us", "difference")
    for program, each in told.items():
        measured = sum(one.measured_us for one in each)
        table = common.new_table(
            f"{program}: {measured / 1e3:.3g} ms in kernels, "
            f"{sum(one.simulated_us for one in each) / 1e3:.3g} ms simulated",
            *("op", "class", *numbers),
            right=numbers,
        )
        for one in each[:_MOST_TYPES]:
            off = one.simulated_us - one.measured_us
            table.add_row(
                one.op, one.op_class, str(one.ops), f"{one.measured_us:,.0f}",
                f"{one.simulated_us:,.0f}", f"{off / measured:+.1%}",
            )  # fmt: skip
        common.OUT.print(table)
    return 0


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
