"""Makes a policy, as enable() takes it, of a training run.

The folder gets a SavedModel of plain mathematics, schema.json and card.json, which says
what the policy was trained on and with which settings. With --with_costs the table of what
ops cost that ships decides alone where there is one device, and of fusion on all machines
that are not simulated; the network is then loaded only where there are several devices.

Examples:
  grappler-go export runs/mine my_policy
  grappler-go explain graphs/7c1a.pb --policy=my_policy
  python -c 'import grappler_go; grappler_go.enable(policy="my_policy")'
"""

import pathlib

from absl import flags

from grappler_go.cli import common, train

USAGE = "[flags] RUN FOLDER"
FLAGS = common.new_flags()
common.define_json(FLAGS)
flags.DEFINE_string("name", None, "The policy's name; without it the folder's.", flag_values=FLAGS)
flags.DEFINE_bool(
    "with_costs", False, "The table of op costs decides on one device.", flag_values=FLAGS
)


def run(args: list[str]) -> int:
    """Writes the policy's folder."""
    if len(args) != 2:
        raise common.UsageError("export needs the folder of a run and one for the policy")
    out = pathlib.Path(args[1])
    if out.exists() and not (out / "schema.json").exists() and any(out.iterdir()):
        raise common.UsageError(f"{out} holds something else than a policy; name another folder")
    if (pathlib.Path(args[0]) / "schema.json").exists():
        raise common.UsageError(f"{args[0]} is a policy already; copy the folder")
    run_folder = train.go_module("run_folder", "export")
    network, config, checkpoint = run_folder.load_network(args[0])
    card = run_folder.card(config, checkpoint)
    name = FLAGS.name or out.name
    train.go_module("export", "export").export_policy(
        network, card, str(out), name, with_costs=FLAGS.with_costs
    )
    size = sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
    if FLAGS.json:
        common.print_json({"folder": str(out), "name": name, "bytes": size, "card": card})
    else:
        common.OUT.print(f"wrote {out}: {name}, {size / 1e6:.1f} MB, of {checkpoint}")
        common.OUT.print(f'use it: grappler_go.enable(policy="{out}")')
    return 0
