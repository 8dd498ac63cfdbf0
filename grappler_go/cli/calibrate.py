"""Times this machine's ops and writes a machine file for the simulator and the pass.

Each op type at several sizes, run by TensorFlow and compiled by XLA, what a compiled
group costs to start, what memory costs, and, with --workers=2, sending tensors between
two single-core workers on this machine. About eight minutes; leave the machine alone
meanwhile: one case is timed again and again, and what was timed while it took longer than
before is timed once more in the end. Where that does not help, you are told. A run that was
stopped goes on where it was.

From then on grappler_go.enable() decides with these times on this machine, and
--machine=FILE simulates with them. GRAPPLER_GO_MACHINE names another file; 0: none.

Examples:
  grappler-go calibrate
  grappler-go calibrate --workers=2 --out=two_workers.json
  grappler-go simulate step.pb --machine=two_workers.json
"""

import pathlib
import shutil

from absl import flags

from grappler_go import devices
from grappler_go.cli import bench_table, common

USAGE = "[flags]"
# Times of a machine that is left alone vary by less.
_MOST_UNSTEADY = 1.15
FLAGS = common.new_flags()
common.define_json(FLAGS)
flags.DEFINE_string(
    "out",
    None,
    "The machine file. Without it the one that the pass uses on this machine.",
    flag_values=FLAGS,
)
flags.DEFINE_string("folder", None, "Where timings are kept meanwhile.", flag_values=FLAGS)
flags.DEFINE_integer(
    "workers",
    0,
    "2: two workers of one core each, and the link between them; needs --out.",
    flag_values=FLAGS,
)
flags.DEFINE_bool("again", False, "Forget what was timed before.", flag_values=FLAGS)


def run(args: list[str]) -> int:
    """Times, fits, writes."""
    if args:
        raise common.UsageError("calibrate takes no arguments")
    if FLAGS.workers and not FLAGS.out:
        raise common.UsageError("--workers needs --out=FILE: the pass plans for one process")
    out = pathlib.Path(FLAGS.out) if FLAGS.out else devices.calibrated_machine_path()
    if out is None:
        raise common.UsageError("GRAPPLER_GO_MACHINE=0 switches the machine file off; name --out")
    common.import_tensorflow()
    session = common.training_module("calibrate.session", "calibrate")
    machines = common.training_module("calibrate.machine", "calibrate")
    folder = pathlib.Path(FLAGS.folder) if FLAGS.folder else out.parent / "calibration"
    if FLAGS.again:
        shutil.rmtree(folder, ignore_errors=True)
    with bench_table.progress_bar(1, "calibrate") as bar:
        task = bar.task_ids[0]
        timings = session.time_machine(
            folder,
            workers=FLAGS.workers,
            on_progress=lambda done, total, what: bar.update(
                task, completed=done, total=total, description=f"calibrate: {what:30.30}"
            ),
        )
    if timings.unsteadiness > _MOST_UNSTEADY:
        common.complain(
            f"something else ran meanwhile: the same product took up to "
            f"{timings.unsteadiness:.1f} times as long. Leave the machine alone and time it "
            "again: --again"
        )
    machine = machines.machine_of(timings)
    out.parent.mkdir(parents=True, exist_ok=True)
    written = out.with_name(out.name + ".new")
    written.write_text(machine.to_json(), encoding="utf-8")
    written.replace(out)
    if FLAGS.json:
        print(machine.to_json(), end="")
        return 0
    for label, why in timings.failed.items():
        common.complain(f"not timed: {label}: {why}")
    common.OUT.print(f"wrote {out}: {machine.name}, {len(timings.samples)} cases")
    common.OUT.print(f"grappler-go machines {out} shows it")
    return 0
