"""grappler-go COMMAND [arguments]: finds the command and runs it.

A command is a module of this package with
  a docstring   its help: the first line is the summary, "Examples:" the last part
  USAGE         its arguments, one line
  FLAGS         an absl FlagValues of its own
  run(args)     does it; returns the exit status
"""

import difflib
import importlib
import os
import sys
from collections.abc import Sequence
from types import ModuleType

from absl import flags

from grappler_go.bench import process
from grappler_go.cli import common, help_text

# Name -> module. In the order in which the help lists them.
COMMANDS = {
    "demo": "demo",
    "bench": "bench",
    "run": "run",
    "record": "record",
    "optimize": "optimize",
    "explain": "explain",
    "tune": "tune",
    "plan": "plan",
    "simulate": "simulate",
    "machines": "machines",
    "calibrate": "calibrate",
    "train": "train",
    "finetune": "finetune",
    "evaluate": "evaluate",
    "export": "export",
    "doctor": "doctor",
    "library": "library",
}


def command_module(name: str) -> ModuleType:
    """The module of a command."""
    return importlib.import_module(f"grappler_go.cli.{COMMANDS[name]}")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command.

    Args:
      argv: arguments without the program's name; None: those of the process.

    Returns:
      The exit status: 0 all went well, 1 it did not (the reason is on standard
      error), 2 the arguments make no sense.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("help", "-h", "--help"):
        if len(arguments) > 1 and arguments[1] in COMMANDS:
            return _run(arguments[1], ["--help"])
        help_text.print_overview({name: command_module(name) for name in COMMANDS})
        return 0
    if arguments[0] == "--version":
        import grappler_go

        print(grappler_go.__version__)
        return 0
    if arguments[0] not in COMMANDS:
        near = difflib.get_close_matches(arguments[0], COMMANDS, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        common.complain(f"no command {arguments[0]!r}{hint} Try: grappler-go help")
        return 2
    return _run(arguments[0], arguments[1:])


def _run(name: str, arguments: list[str]) -> int:
    module = command_module(name)
    if common.wants_help(module, arguments):
        help_text.print_command(name, module)
        return 0
    # Before TensorFlow is imported: its start-up chatter is not our output. Where the output is
    # a script's, it is the script's user who says what of it he wants to see.
    if module.FLAGS.is_gnu_getopt():
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        positional = module.FLAGS([name, *arguments])[1:]
        return module.run(positional)
    except (flags.Error, common.UsageError) as error:
        common.complain(f"{error}\nTry: grappler-go {name} --help")
        return 2
    except (OSError, ValueError, TypeError, RuntimeError) as error:
        common.complain(common.one_line(error) + process.where(error))
        return 1
    except KeyboardInterrupt:
        common.complain("interrupted")
        return 130
