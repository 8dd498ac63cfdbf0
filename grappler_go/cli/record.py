"""Stores the graphs of a program, as the pass sees them, in a folder.

Nothing is decided and nothing changed. Each graph becomes <fingerprint>.pb, a
GraphDef, with the names of its outputs beside it: material for explain, for
plans, and for training a policy on the graphs you run.

Examples:
  grappler-go record graphs train.py --epochs=1
  grappler-go record --json graphs train.py     # which files are new
  grappler-go explain graphs
"""

import pathlib

from grappler_go.cli import common
from grappler_go.cli.run import run_script

USAGE = "[flags] FOLDER SCRIPT [the script's arguments]"
FLAGS = common.new_flags(options_first=True)
common.define_json(FLAGS)


def run(args: list[str]) -> int:
    """Runs the script in this process."""
    if len(args) < 2:
        raise common.UsageError("record needs a folder and a script")
    folder = pathlib.Path(args[0])
    before = set(folder.glob("*.pb"))
    with common.output_aside(FLAGS.json):
        status = run_script(args[1:], {"policy": None, "record": folder})
    new = sorted(set(folder.glob("*.pb")) - before)
    if FLAGS.json:
        common.print_json(
            {
                "folder": str(folder),
                "new": [path.name for path in new],
                "graphs": len(before) + len(new),
                "exit_status": status,
            }
        )
    else:
        common.ERR.print(f"{len(new)} new graphs in {folder}, {len(before)} were there")
    return status
