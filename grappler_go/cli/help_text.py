"""Help made from the commands' docstrings and flags."""

import textwrap
from collections.abc import Mapping
from types import ModuleType

from absl import flags
from rich.markup import escape

from grappler_go.cli.common import OUT, new_table

_INTRODUCTION = """\
[bold]grappler-go[/] makes TensorFlow programs faster: a Grappler pass compiles together the ops
for which that pays. By default that is told from what ops were measured to cost.

usage: grappler-go COMMAND ...
"""


def print_overview(commands: Mapping[str, ModuleType]) -> None:
    """All commands, a line each."""
    OUT.print(_INTRODUCTION)
    table = new_table("commands", "", "")
    table.show_header = False
    for name, module in commands.items():
        table.add_row("  " + name, summary(module))
    OUT.print(table)
    OUT.print("\ngrappler-go COMMAND --help tells more. Start with: grappler-go doctor")


def summary(module: ModuleType) -> str:
    """The first line of a command's docstring."""
    return (module.__doc__ or "").strip().splitlines()[0]


def print_command(name: str, module: ModuleType) -> None:
    """Usage, what it does, its flags, examples."""
    body = textwrap.dedent((module.__doc__ or "").strip())
    text, _, examples = body.partition("\nExamples:\n")
    OUT.print(f"usage: [bold]grappler-go {name}[/] {escape(module.USAGE)}\n")
    OUT.print(escape(text.strip()))
    rows = list(_flag_rows(module.FLAGS))
    if rows:
        OUT.print()
        table = new_table("flags", "", "")
        table.show_header = False
        for left, right in rows:
            table.add_row("  " + escape(left), escape(right))
        OUT.print(table)
    if examples:
        OUT.print("\n[bold]examples[/]")
        OUT.print(escape(textwrap.indent(textwrap.dedent(examples).rstrip(), "  ")))


def _flag_rows(values: flags.FlagValues) -> list[tuple[str, str]]:
    rows = []
    for name in sorted(values):
        flag = values[name]
        if flag.boolean:
            left, default = f"--[no]{name}" if flag.default else f"--{name}", ""
        else:
            default = ""
            if flag.default not in (None, [], ""):
                shown = ",".join(flag.default) if isinstance(flag.default, list) else flag.default
                default = f" [{shown}]"
            left = f"--{name}="
        rows.append((left, f"{flag.help}{default}"))
    return rows
