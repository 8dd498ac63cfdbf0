"""What the commands share: settings as flags, tables and JSON, graphs by any name."""

import contextlib
import importlib
import json
import math
import os
import pathlib
import sys
import tempfile
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any

from absl import flags
from rich.console import Console
from rich.table import Table

from grappler_go.bench import process

if TYPE_CHECKING:
    from grappler_go.captured import CapturedGraph

# What is asked for goes to standard output, everything else to standard error.
OUT = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
ERR = Console(stderr=True, highlight=False, soft_wrap=True)


class UsageError(Exception):
    """The arguments make no sense; the message says what is expected."""


def import_tensorflow() -> None:
    """Imports TensorFlow without the lines it prints to standard error while it is
    not initialised yet, which no log level keeps back. A failure to import is left
    to whoever needs TensorFlow next."""
    sys.stderr.flush()
    saved = os.dup(2)
    with tempfile.TemporaryFile() as chatter:
        os.dup2(chatter.fileno(), 2)
        try:
            with contextlib.suppress(ImportError):
                importlib.import_module("tensorflow")
        finally:
            os.dup2(saved, 2)
            os.close(saved)


def training_module(name: str, command: str) -> ModuleType:
    """A module of grappler_go_training, on which this package does not depend.

    Raises:
      UsageError: it, or what it needs, is not installed; says what to install.
    """
    try:
        return importlib.import_module(f"grappler_go_training.{name}")
    except ImportError as error:
        what = error.name or f"grappler_go_training.{name}"
        raise UsageError(
            f"{command} needs {what}, which is not installed: pip install 'grappler-go[train]'"
        ) from error


def complain(message: str) -> None:
    """One message on standard error."""
    ERR.print("grappler-go: " + message, markup=False)


def one_line(error: BaseException) -> str:
    """An exception as a user wants to read it."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}"
    if str(error).startswith("in user code:"):
        return process.told(error)
    text = str(error).strip().splitlines()
    return text[0] if text else type(error).__name__


def wants_help(module: ModuleType, arguments: Sequence[str]) -> bool:
    """Whether --help is among the command's own arguments (and not, say, among
    those of a script that it runs)."""
    for argument in arguments:
        if argument in ("-h", "--help"):
            return True
        if argument == "--" or (not argument.startswith("-") and not module.FLAGS.is_gnu_getopt()):
            return False
    return False


def new_flags(*, options_first: bool = False) -> flags.FlagValues:
    """Flags of one command. options_first: what follows the first argument that
    is not a flag belongs to somebody else."""
    values = flags.FlagValues()
    values.set_gnu_getopt(not options_first)
    return values


def define_json(values: flags.FlagValues, text: str = "Print JSON instead of tables.") -> None:
    """--json, which every command has."""
    flags.DEFINE_bool("json", False, text, flag_values=values)


@contextlib.contextmanager
def output_aside(aside: bool) -> Iterator[None]:
    """What a script prints meanwhile goes to standard error where `aside`, so that
    standard output is the command's own. Processes that it starts included."""
    if not aside:
        yield
        return
    sys.stdout.flush()
    saved = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(saved, 1)
        os.close(saved)


def define_settings(values: flags.FlagValues, *, policy: bool = True) -> None:
    """The arguments of grappler_go.enable() as flags."""
    if policy:
        flags.DEFINE_string(
            "policy",
            "default",
            "Who decides: 'default', a policy's folder, a plan's file, or module:function.",
            flag_values=values,
        )
    flags.DEFINE_list(
        "devices",
        None,
        "Where ops may be placed: 'all', names such as CPU:0,CPU:1, a machine that ships (see "
        "grappler-go machines) or its JSON file. Without it: the devices that a graph uses "
        "already.",
        flag_values=values,
    )
    flags.DEFINE_list(
        "decisions",
        ["device", "fusion", "memory"],
        "Which kinds of decision may be made.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "memory_limit",
        None,
        "Peak above which ops are recomputed: 4GB, 512MiB, or 0.6 for that share of the peak "
        "predicted without a limit.",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "budget_ms", None, "Milliseconds the pass may spend on a graph.", 1, flag_values=values
    )
    flags.DEFINE_float(
        "min_gain",
        None,
        "Predicted gain, as a share of the step, below which a graph is left alone.",
        0.0,
        1.0,
        flag_values=values,
    )
    flags.DEFINE_float(
        "compile_budget_s",
        None,
        "Predicted seconds that compiling the groups of a graph may take; what does not fit in "
        "is left out. 20 without it.",
        0.0,
        flag_values=values,
    )


def settings_from(values: flags.FlagValues) -> dict[str, Any]:
    """The settings flags as arguments of grappler_go.enable(), all of them plain values."""
    found: dict[str, Any] = {"decisions": tuple(values.decisions)}
    if "policy" in values:
        found["policy"] = values.policy
        search_current_folder()
    if values.devices:
        found["devices"] = devices_from(values.devices)
    if values.memory_limit is not None:
        found["memory_limit"] = values.memory_limit
    for key in ("budget_ms", "min_gain", "compile_budget_s"):
        if values[key].value is not None:
            found[key] = values[key].value
    return found


def devices_from(texts: list[str]) -> str | list[str]:
    """--devices or --machine as what grappler_go takes: one text may name a machine
    or its file, several are devices."""
    return texts[0] if len(texts) == 1 else list(texts)


def search_current_folder() -> None:
    """Has the module of a policy module:function looked for in the current folder
    first, as `python -m` does."""
    if "" not in sys.path:
        sys.path.insert(0, "")


def print_json(value: Any) -> None:
    """JSON on standard output. What has no place in JSON (NaN, infinity) is null."""
    print(json.dumps(to_json_value(value), indent=2, allow_nan=False))


def to_json_value(value: Any) -> Any:
    """Plain values, NaN and infinity as None."""
    if isinstance(value, dict):
        return {str(key): to_json_value(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [to_json_value(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


@contextlib.contextmanager
def drawing(path: str) -> Iterator[None]:
    """Around what draws a chart into a file that the user named.

    Raises:
      UsageError: there is no matplotlib, or it draws no file of that kind.
    """
    try:
        yield
    except ImportError:
        raise UsageError(
            "--chart needs matplotlib: pip install matplotlib, or leave the flag out"
        ) from None
    except ValueError as error:
        raise UsageError(f"--chart={path}: {error}") from None


def new_table(title: str, *columns: str, right: Sequence[str] = ()) -> Table:
    """A table with a title on the left; the columns named in `right` hold numbers."""
    table = Table(title=title, title_justify="left", title_style="bold", pad_edge=False, box=None)
    for column in columns:
        is_right = column in right
        table.add_column(
            column,
            justify="right" if is_right else "left",
            no_wrap=is_right,
            header_style="underline",
        )
    return table


def graphs_of(target: str, signature: str = "serving_default") -> "list[CapturedGraph]":
    """The graphs behind what a user may name, the largest first.

    Args:
      target: a GraphDef file that record or CapturedGraph.save wrote (.pb), a folder
        of those, a SavedModel, a built-in program, or module:function.
      signature: of a SavedModel.

    Raises:
      ValueError: nothing of these.
    """
    from grappler_go import captured
    from grappler_go.bench import models

    path = pathlib.Path(target)
    if path.is_file():
        return [captured.CapturedGraph.load(path)]
    if (path / "saved_model.pb").is_file():
        return [_signature_graph(path, signature)]
    if path.is_dir():
        graphs = captured.load_captured(path)
        if not graphs:
            raise ValueError(f"{target} has neither a SavedModel nor a recorded graph (.pb) in it")
        return sorted(graphs, key=lambda graph: len(graph.graphdef), reverse=True)
    program = models.build(target)
    graphs = captured.capture(program.step, *program.args)
    if not graphs:
        raise ValueError(f"{target}: no graph reached the pass")
    return graphs


def _signature_graph(path: pathlib.Path, signature: str) -> "CapturedGraph":
    from grappler_go import native, saved_model

    root = native.tensorflow().saved_model.load(str(path))
    if signature not in root.signatures:
        known = ", ".join(sorted(root.signatures))
        raise ValueError(f"{path} has no signature {signature!r}; it has {known}")
    function = root.signatures[signature]
    return saved_model.graph_of(function, saved_model.make_inputs(function))
