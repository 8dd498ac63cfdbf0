"""Runs a Python script unchanged with the pass on.

The script sees its own arguments and its own environment; the exit status is the
script's. Flags of grappler-go come before the script. A flag that is not given has the
value of its variable, such as GRAPPLER_GO_MIN_GAIN for --min_gain. GRAPPLER_GO=0 in the
environment wins: the script then runs as TensorFlow alone would run it.

Examples:
  grappler-go run train.py --epochs=3
  grappler-go run --decisions=fusion --min_gain=0.1 --reports train.py
  grappler-go run --record=graphs train.py      # stores each graph for training
  grappler-go run --json train.py > reports.json
  grappler-go run --guard --plan_cache=/shared/plans train.py
"""

import os
import pathlib
import traceback
from typing import Any

from absl import flags

import grappler_go
from grappler_go import native
from grappler_go.cli import common, variables

USAGE = "[flags] SCRIPT [the script's arguments]"
FLAGS = common.new_flags(options_first=True)
common.define_settings(FLAGS)
flags.DEFINE_string("record", None, "A folder to store each graph in.", flag_values=FLAGS)
flags.DEFINE_bool(
    "reports", False, "At the end, a line for each graph on standard error.", flag_values=FLAGS
)
flags.DEFINE_bool(
    "guard",
    None,
    "Time the first steps of a newly planned function against the original, and go back to it "
    "where that is faster. Without it: with the default policy, and where nothing but times can "
    "tell the two apart.",
    flag_values=FLAGS,
)
flags.DEFINE_list(
    "plan_cache", None, "Folders of plans that grappler-go tune made; 0: none.", flag_values=FLAGS
)
flags.DEFINE_bool(
    "keep_memory", True, "Malloc keeps what a step frees for the next step.", flag_values=FLAGS
)
common.define_json(FLAGS, "At the end, every graph's report as JSON.")


def run(args: list[str]) -> int:
    """Runs the script in this process."""
    _check_script(args)
    settings = _settings()
    try:
        with common.output_aside(FLAGS.json):
            status = run_script(args, settings)
    finally:
        if FLAGS.reports:
            for report in grappler_go.reports():
                common.ERR.print(str(report), markup=False)
    if FLAGS.json:
        reports = [report.to_dict() for report in grappler_go.reports()]
        common.print_json({"reports": reports, "exit_status": status})
    return status


def _settings() -> dict[str, Any]:
    """The flags, and for those not given the variables, as arguments of enable()."""
    common.search_current_folder()
    from_environment = set()
    if not native.killed_by_environment():
        common.import_tensorflow()
        from_environment = variables.set_defaults(FLAGS)
    settings = common.settings_from(FLAGS)
    if FLAGS.record:
        settings["record"] = FLAGS.record
    if FLAGS.plan_cache is not None:
        settings["plan_cache"] = FLAGS.plan_cache != ["0"] and FLAGS.plan_cache
    elif "policy" in from_environment and os.environ.get("GRAPPLER_GO_PLANS"):
        # Both are of the environment: plans come before the policy, as for the library.
        settings["plan_cache"] = True
    settings["guard"] = FLAGS.guard
    settings["keep_memory"] = FLAGS.keep_memory
    return settings


def _check_script(args: list[str]) -> None:
    if not args:
        raise common.UsageError("which script?")
    if not pathlib.Path(args[0]).exists():
        raise FileNotFoundError(f"no such script: {args[0]}")


def run_script(args: list[str], settings: dict[str, Any]) -> int:
    """Runs a script with settings, and shows what it raises as Python would.

    Args:
      args: the script and its arguments.
      settings: of grappler_go.enable().

    Returns:
      The script's exit status.

    Raises:
      UsageError, FileNotFoundError: there is no script.
      What enable() raises.
    """
    _check_script(args)
    common.import_tensorflow()
    # First by itself, so that a wrong setting is our error and not the script's.
    grappler_go.enable(**settings)
    try:
        grappler_go.run_script(args[0], args[1:], **settings)
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        common.ERR.print(str(end.code), markup=False)
        return 1
    except Exception as error:  # the script's own
        traceback.print_exception(error)
        return 1
    return 0
