"""Simulates one step of a graph: its time, the devices' use, their memory.

Nothing runs, and the machine need not exist. The graph may be a recorded GraphDef
(.pb) or a folder of them, a SavedModel, a built-in program (see grappler-go bench
--list), or module:function. With --plan, the step is simulated without and with it.
A machine is one that ships (grappler-go machines lists them), a JSON file
(grappler_go.local_machine().to_json() writes one) or names of devices; without
--machine: the devices that the graph and the plan name. Times are rooflines of the
machine's rates. --trace opens in ui.perfetto.dev.

Examples:
  grappler-go simulate transformer-train
  grappler-go simulate step.pb --plan=step.plan.json --trace=step.trace.json
  grappler-go simulate step.pb --plan=step.plan.json --machine=p100x8 --chart=step.png
  grappler-go simulate step.pb --machine=CPU:0,CPU:1 --json
"""

import pathlib
from typing import TYPE_CHECKING

from absl import flags

import grappler_go
from grappler_go.cli import common

if TYPE_CHECKING:
    from grappler_go.simulation import Simulation

USAGE = "[flags] GRAPH"
FLAGS = common.new_flags()
common.define_json(FLAGS)
flags.DEFINE_string("plan", None, "What is decided for the graph (.json).", flag_values=FLAGS)
flags.DEFINE_list(
    "machine",
    None,
    "One that ships, such as p100x4, a machine's JSON file, or names such as CPU:0,CPU:1.",
    flag_values=FLAGS,
)
flags.DEFINE_string("trace", None, "Write a trace for Perfetto here (.json).", flag_values=FLAGS)
flags.DEFINE_string("chart", None, "Draw the step here (.png, .svg, .pdf).", flag_values=FLAGS)
flags.DEFINE_string("signature", "serving_default", "Of a SavedModel.", flag_values=FLAGS)
flags.DEFINE_enum(
    "links",
    "one_at_a_time",
    ["one_at_a_time", "equal_shares"],
    "How a link carries several transfers.",
    flag_values=FLAGS,
)
flags.DEFINE_integer(
    "inter_op_threads",
    0,
    "Ops that a CPU runs side by side; 0: as many as it has cores.",
    lower_bound=0,
    flag_values=FLAGS,
)


def run(args: list[str]) -> int:
    """Prints it."""
    if len(args) != 1:
        raise common.UsageError("simulate needs one graph")
    common.import_tensorflow()
    captured = common.graphs_of(args[0], FLAGS.signature)[0]
    graph = captured.op_graph()
    plan = grappler_go.load_plan(FLAGS.plan) if FLAGS.plan else None
    machine = common.devices_from(FLAGS.machine) if FLAGS.machine else None
    options = {"links": FLAGS.links, "inter_op_threads": FLAGS.inter_op_threads}
    told: dict[str, Simulation] = {}
    if plan is not None:
        told["without the plan"] = grappler_go.simulate(graph, None, machine, **options)
    name = "with the plan" if plan is not None else "as it stands"
    told[name] = grappler_go.simulate(
        graph, plan, machine, timeline=bool(FLAGS.trace or FLAGS.chart), **options
    )
    _write_files(args[0], told[name])
    if FLAGS.json:
        common.print_json({name: result.to_dict() for name, result in told.items()})
        return 0
    for title, result in told.items():
        _show(title, result)
    uncosted = grappler_go.uncosted_ops(graph, machine)
    if uncosted:
        common.OUT.print(
            f"  {sum(row.ops for row in uncosted)} ops of {len(uncosted)} kinds count as their "
            "dispatch only: no formula, or a shape is unknown; grappler-go explain lists them"
        )
    return 0


def _write_files(target: str, result: "Simulation") -> None:
    timeline = result.timeline
    if timeline is None:
        return
    if FLAGS.trace:
        timeline.to_chrome_trace(FLAGS.trace)
    if FLAGS.chart:
        title = f"{pathlib.Path(target).name}: {result.step_ms:.3g} ms, simulated"
        with common.drawing(FLAGS.chart):
            timeline.draw(FLAGS.chart, title)


def _show(title: str, result: "Simulation") -> None:
    out = common.OUT
    numbers = ("busy ms", "busy", "tasks", "peak MB", "resident MB", "memory MB")
    table = common.new_table(f"{title}: {result.step_ms:.4g} ms", "device", *numbers, right=numbers)
    for device in result.devices:
        share = device.busy_ms / result.step_ms if result.step_ms else 0.0
        limit = f"{device.memory_bytes / 1e6:,.0f}" if device.memory_bytes else ""
        table.add_row(
            device.name,
            f"{device.busy_ms:.4g}",
            f"{share:.0%}",
            str(device.tasks),
            f"{device.peak_bytes / 1e6:,.1f}" + (" too much" if device.out_of_memory else ""),
            f"{device.resident_bytes / 1e6:,.1f}",
            limit,
        )
    out.print(table)
    if result.transfers:
        out.print(
            f"  {result.transfers} transfers of {result.transfer_bytes / 1e6:,.1f} MB, "
            f"{result.transfer_ms:.4g} ms on the links"
        )
    for count, what in (
        (result.unknown_outputs, "tensors of unknown size count as nothing"),
        (result.loops_unrolled, "loops run as often as they do"),
        (result.loops_run_once, "loops of unknown length run once"),
        (result.ops_in_branches, "ops of conditionals run, those of branches not taken too"),
        (result.ops_elsewhere, "ops that the graph puts elsewhere run on the first device"),
    ):
        if count:
            out.print(f"  {count} {what}")
