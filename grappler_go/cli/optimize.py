"""Writes a plan into a SavedModel: it then runs fast without the plugin.

One signature's graph gets the decisions as attributes and devices of ordinary
nodes. Whoever loads the result (TensorFlow Serving, C++, Python) runs it with
stock TensorFlow. Outputs are compared before anything is written; where nothing
would be gained, nothing is written and the exit status is 3.

Examples:
  grappler-go optimize model/1 model_fast/1
  grappler-go optimize --signature=embed --decisions=fusion model/1 model_fast/1
  grappler-go optimize --inputs=batch.npz model/1 model_fast/1
"""

from absl import flags

import grappler_go
from grappler_go.cli import common

USAGE = "[flags] IN OUT"
FLAGS = common.new_flags()
common.define_settings(FLAGS)
common.define_json(FLAGS)
flags.DEFINE_string("signature", "serving_default", "Which signature.", flag_values=FLAGS)
flags.DEFINE_string(
    "inputs",
    None,
    "An .npz file with an array for each input, to compare outputs on. "
    "Without it inputs are made up.",
    flag_values=FLAGS,
)
flags.DEFINE_bool(
    "fuse_unknown_shapes",
    False,
    "Compile groups whose shapes the signature leaves open, once for each shape met.",
    flag_values=FLAGS,
)

NOTHING_TO_GAIN = 3


def run(args: list[str]) -> int:
    """Writes OUT."""
    if len(args) != 2:
        raise common.UsageError("optimize needs IN and OUT")
    common.import_tensorflow()
    settings = common.settings_from(FLAGS)
    settings.pop("budget_ms", None)  # offline: there is nobody waiting
    if FLAGS.fuse_unknown_shapes:
        settings["advanced"] = {"fuse_unknown_shapes": True}
    inputs = None
    if FLAGS.inputs:
        import numpy as np

        with np.load(FLAGS.inputs) as arrays:
            inputs = {name: arrays[name] for name in arrays.files}
    report = grappler_go.optimize_saved_model(
        args[0], args[1], signature=FLAGS.signature, example_inputs=inputs, **settings
    )
    if FLAGS.json:
        common.print_json(report.to_dict())
    else:
        common.OUT.print(str(report), markup=False)
        common.OUT.print(f"written: {args[1]}" if report.applied else "nothing written")
    return 0 if report.applied else NOTHING_TO_GAIN
