"""`grappler-go bench simulator`: how many plans a second the simulator judges."""

from collections.abc import Sequence

from absl import flags

from grappler_go.bench import simulator_speed
from grappler_go.cli import bench_table, common

# One CPU of many cores, and devices with links between them.
MACHINES = ["cpu-server", "p100x8"]
_NUMBERS = ("ops", "devices", "a plan, ms", "plans/s, 1 core", "plans/s, all")


def run(sizes: Sequence[int], values: flags.FlagValues) -> int:
    """Times graphs of about those many ops. values: --json and --save."""
    common.import_tensorflow()
    found = []
    with bench_table.progress_bar(len(sizes), "simulator") as bar:
        for size in sizes:
            bar.update(bar.task_ids[0], description=f"simulator: about {size:,} ops")
            found += simulator_speed.measure(size, MACHINES)
            bar.update(bar.task_ids[0], advance=1)
    bench_table.hand_out_values({"simulator": [one.to_dict() for one in found]}, values)
    if not values.json:
        _show(found)
    return 0


def _show(found: Sequence[simulator_speed.Speed]) -> None:
    table = common.new_table("steps simulated", "machine", *_NUMBERS, right=_NUMBERS)
    for one in found:
        table.add_row(
            one.machine,
            f"{one.ops:,}",
            str(one.devices),
            f"{one.one_ms:.3g}",
            f"{one.plans_per_s:,.0f}",
            f"{one.batch_per_s:,.0f}",
        )
    common.OUT.print(table)
