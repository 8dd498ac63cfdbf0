"""`grappler-go bench overhead`: what the pass itself costs."""

from collections.abc import Mapping, Sequence
from typing import Any

from absl import flags

from grappler_go.bench import overhead
from grappler_go.cli import bench_table, common


def run(sizes: Sequence[int], settings: Mapping[str, Any], values: flags.FlagValues) -> int:
    """Measures graphs of about those many nodes and prints a column for each.
    values: --json and --save."""
    measured = []
    with bench_table.progress_bar(len(sizes) + 1, "overhead") as bar:
        task = bar.task_ids[0]
        for size in sizes:
            bar.update(task, advance=1, description=f"overhead: about {size:,} nodes")
            measured.append(overhead.measure(size, settings))
        small_us = overhead.small_graph_micros(settings)
    told = {"graphs": [m.to_dict() for m in measured], "small_graph_micros": small_us}
    bench_table.hand_out_values(told, values)
    if not values.json:
        _show(measured)
        common.OUT.print(f"a graph too small to matter: {small_us:.1f} microseconds")
    return 0


def _show(measured: Sequence[overhead.Overhead]) -> None:
    numbers = tuple(f"{m.nodes:,} nodes" for m in measured)
    table = common.new_table("milliseconds a graph", "", *numbers, right=numbers)
    for phase in overhead.PHASES:
        table.add_row(phase, *(f"{m.phases_ms.get(phase, 0):.3g}" for m in measured))
    table.add_section()
    table.add_row("all but the policy", *(f"{m.core_ms:.3g}" for m in measured))
    table.add_row("TensorFlow's own Grappler", *(f"{m.tensorflow_ms:,.0f}" for m in measured))
    table.add_row("graph, MB", *(f"{m.graph_mb:.3g}" for m in measured))
    table.add_row("extra memory, MB", *(f"{m.extra_mb:.3g}" for m in measured))
    table.add_row("its result, MB", *(f"{m.result_mb:.3g}" for m in measured))
    table.add_row("extra with the policy, MB", *(f"{m.policy_mb:.3g}" for m in measured))
    if all(m.several_ms is not None for m in measured):
        table.add_row("policy, for four GPUs", *(f"{m.several_ms:.3g}" for m in measured))
        table.add_row("extra meanwhile, MB", *(f"{m.several_mb:.3g}" for m in measured))
    table.add_section()
    table.add_row("outcome", *(m.outcome for m in measured))
    table.add_row("of compiling everything", *(m.everything_outcome for m in measured))
    common.OUT.print(table)
