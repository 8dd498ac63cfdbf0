"""Lists the machines that ship, or shows one: its devices, its links, its sources.

A machine may be one of those by name or a JSON file. Copy one to describe your own:
--json prints it as a file that --machine and grappler_go.load_machine() read.

Examples:
  grappler-go machines
  grappler-go machines v100x8
  grappler-go machines p100x4 --json > mine.json
"""

import collections
from typing import TYPE_CHECKING, Any

import grappler_go
from grappler_go.cli import common

if TYPE_CHECKING:
    from grappler_go._core import Machine

USAGE = "[flags] [MACHINE]"
FLAGS = common.new_flags()
common.define_json(FLAGS)


def run(args: list[str]) -> int:
    """Prints them."""
    if len(args) > 1:
        raise common.UsageError("machines takes one machine, or none for a list")
    common.import_tensorflow()
    if args:
        machine = grappler_go.load_machine(args[0])
        if FLAGS.json:
            print(machine.to_json(), end="")
        else:
            _show(machine)
        return 0
    machines = {name: grappler_go.load_machine(name) for name in grappler_go.machine_names()}
    if FLAGS.json:
        common.print_json({name: machine.name for name, machine in machines.items()})
        return 0
    table = common.new_table("machines", "name", "what", "devices")
    for name, machine in machines.items():
        kinds = collections.Counter(device["type"] for device in machine.devices)
        table.add_row(name, machine.name, ", ".join(f"{n} {kind}" for kind, n in kinds.items()))
    common.OUT.print(table)
    common.OUT.print("\ngrappler-go machines NAME shows the numbers and where they come from")
    return 0


def _show(machine: "Machine") -> None:
    numbers = ("GFLOP/s", "GB/s", "memory GB", "cores", "dispatch us")
    table = common.new_table(machine.name, "device", *numbers, right=numbers)
    for device in machine.devices:
        table.add_row(
            _short(device),
            f"{device['gflops']:,g}",
            f"{device['gbytes_per_s']:g}",
            f"{device['memory_bytes'] / 1e9:,.1f}" if device["memory_bytes"] else "",
            str(device["cores"]),
            f"{device['dispatch_us']:g}",
        )
    common.OUT.print(table)
    for device_type, fractions in _achieved(machine).items():
        common.OUT.print()
        columns = ("of GFLOP/s", "of GB/s")
        table = common.new_table(f"{device_type}: what ops achieve", "", *columns, right=columns)
        for op_class, achieved in fractions.items():
            table.add_row(op_class, f"{achieved['gflops']:g}", f"{achieved['gbytes_per_s']:g}")
        common.OUT.print(table)
    _show_links(machine)
    if machine.sources:
        common.OUT.print()
        table = common.new_table("sources", "", "")
        table.show_header = False
        for what, source in machine.sources.items():
            table.add_row(what, source)
        common.OUT.print(table)


def _show_links(machine: "Machine") -> None:
    """How many links there are of each speed."""
    if not machine.links:
        return
    common.OUT.print()
    columns = {"gbytes_per_s": "GB/s", "latency_us": "latency us"}
    # Of a CPU at either end, where there is one.
    of_cpus = {"cpu_us": "CPU us", "cpu_us_per_mb": "CPU us/MB"}
    if any(link[field] for link in machine.links for field in of_cpus):
        columns |= of_cpus
    numbers = (*columns.values(), "links")
    table = common.new_table("links", *numbers, "for example", right=numbers)
    kinds: dict[tuple[float, ...], list[dict[str, Any]]] = {}
    for link in machine.links:
        kinds.setdefault(tuple(link[field] for field in columns), []).append(link)
    for costs, links in sorted(kinds.items(), reverse=True):
        ends = (machine.devices[links[0][end]] for end in ("src", "dst"))
        example = " to ".join(_short(device) for device in ends)
        table.add_row(*(f"{cost:g}" for cost in costs), str(len(links)), example)
    common.OUT.print(table)


def _achieved(machine: "Machine") -> dict[str, dict[str, dict[str, float]]]:
    """For each type of device, the fractions that differ from those of the class of
    everything else, and these. Of the first such device: they rarely differ."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for device in machine.devices:
        achieved = device["achieved"]
        found.setdefault(
            device["type"],
            {
                "default" if name == "other" else name: values
                for name, values in achieved.items()
                if name == "other" or values != achieved["other"]
            },
        )
    return found


def _short(device: dict[str, Any]) -> str:
    """ ".../device:GPU:1" -> "GPU:1"."""
    return str(device["name"]).rpartition("device:")[2]
