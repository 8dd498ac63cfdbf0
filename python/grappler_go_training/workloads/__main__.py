"""Lists workloads and captures their graphs.

Examples:
  # What there is: family, split, devices, and what is in the cache.
  python -m grappler_go_training.workloads list
  python -m grappler_go_training.workloads list --split=test --json
  # Capture some, a side of the split, or all. What is there is not done again, so a
  # stopped run goes on where it was. Each graph is captured in a process of its own.
  python -m grappler_go_training.workloads capture rnnlm-2 gnmt-8
  python -m grappler_go_training.workloads capture --split=train
  python -m grappler_go_training.workloads capture --all
  # Keep them elsewhere.
  GRAPPLER_GO_WORKLOADS=/data/graphs python -m grappler_go_training.workloads capture --all
"""

import argparse
import json
import os
import sys
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# pylint: disable=wrong-import-position
from rich import progress
from rich.console import Console
from rich.table import Table

from grappler_go_training.workloads import batch, registry
from grappler_go_training.workloads.workload import SPLITS

OUT, ERR = Console(), Console(stderr=True)


def main(argv: list[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = _parser()
    args = parser.parse_args(argv)
    if args.command == "list":
        return _list(args)
    if args.command == "capture":
        if bool(args.names) + bool(args.split or args.family) + args.all != 1:
            parser.error("capture needs names of workloads, or --split or --family, or --all")
        return _capture(args)
    parser.print_help()
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m grappler_go_training.workloads",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command")
    for name, about in (("list", "what there is"), ("capture", "fill the cache")):
        command = commands.add_parser(name, help=about, description=about)
        command.add_argument("--split", choices=SPLITS, help="only this side of the split")
        command.add_argument("--family", choices=sorted(registry.SPLIT_OF), help="only this one")
        command.add_argument("--json", action="store_true", help="print JSON")
    commands.choices["list"].add_argument(
        "--markdown", action="store_true", help="print the table of docs/workloads.md"
    )
    command.add_argument("names", nargs="*", metavar="NAME", help="of workloads")
    command.add_argument("--all", action="store_true", help="every workload")
    command.add_argument(
        "--timeout", type=float, default=1800.0, help="seconds for one graph (default 1800)"
    )
    return parser


def _list(args: argparse.Namespace) -> int:
    if args.markdown:
        print(registry.markdown_table(), end="")
        return 0
    chosen = [registry.get(n) for n in registry.names(family=args.family, split=args.split)]
    rows = [{**w.to_dict(), "captured": w.cache_file().is_file()} for w in chosen]
    if args.json:
        print(json.dumps(rows, indent=1))
        return 0
    table = Table("workload", "family", "split", "training", "devices", "captured", box=None)
    for row in rows:
        table.add_row(
            row["name"],
            row["family"],
            row["split"],
            "yes" if row["training"] else "",
            str(row["num_devices"]),
            "yes" if row["captured"] else "",
        )
    OUT.print(table)
    return 0


def _capture(args: argparse.Namespace) -> int:
    try:
        chosen = (
            [registry.get(name).name for name in args.names]
            if args.names
            else registry.names(family=args.family, split=args.split)
        )
    except ValueError as error:
        ERR.print(f"{error}; `list` has them all", markup=False)
        return 2
    with progress.Progress(
        progress.TextColumn("{task.description:32.32}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TimeElapsedColumn(),
        console=ERR,
    ) as bar:
        task = bar.add_task("", total=len(chosen))
        rows = batch.capture_all(
            chosen,
            timeout=args.timeout,
            on_start=lambda name: bar.update(task, description=name),
            on_done=lambda row: bar.advance(task),
        )
    if args.json:
        print(json.dumps(rows, indent=1))
    else:
        _show(rows)
    return 1 if any(row["error"] for row in rows) else 0


def _show(rows: list[dict[str, Any]]) -> None:
    table = Table(box=None)
    for title in ("workload", "ops", "backward", "MB", "seconds", "unknown", "uncosted", ""):
        table.add_column(title, justify="left" if title in ("workload", "") else "right")
    for row in rows:
        if row["error"]:
            table.add_row(row["name"], *[""] * 6, row["error"])
            continue
        table.add_row(
            row["name"],
            f"{row['ops']:,}",
            f"{row['backward_ops']:,}",
            f"{row['bytes'] / 1e6:.2f}",
            "" if row["seconds"] is None else f"{row['seconds']:.1f}",
            f"{row['unknown_outputs']:,}",
            f"{row['uncosted_share']:.1%}",
            "was there" if row["seconds"] is None else "",
        )
    OUT.print(table)


if __name__ == "__main__":
    sys.exit(main())
