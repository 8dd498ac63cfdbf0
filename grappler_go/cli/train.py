"""Trains a policy on workloads and on recorded graphs, in a folder.

First the policy imitates the best baseline of each graph, then it learns by PPO in the
simulator. A run that was stopped, by Ctrl-C or otherwise, goes on from its last checkpoint
as if it had not been: give the same command again. steps.jsonl in the folder has the
curves, as has curves/ for TensorBoard.

--config names a JSON file with fields of TrainConfig, --set changes single ones; lists are
separated by commas, fields of the network are called network.width and so on. Without
either, a run that is in the folder goes on with its own.

Examples:
  # Record what you run, then train on it for this machine.
  grappler-go record graphs train.py
  grappler-go train runs/mine --set recorded=graphs --set machines=local
  # A small policy in minutes.
  grappler-go train runs/small --set workloads=gcn-train,bert-tiny-train --set steps=100
  # From a file; over 8 processes; without one of the network's parts.
  grappler-go train runs/go --config=go.json --set ray_workers=8
  grappler-go train runs/ablation --config=go.json --no_superposition
  # What ships, on your own graphs alone.
  grappler-go train runs/ours --policy=go-1.0 --set recorded=graphs --set machines=local \\
    --set workloads= --set synthetic=0
  # All fields, with what they mean.
  grappler-go train --fields
"""

import contextlib
import pathlib
import signal
import threading
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from absl import flags

from grappler_go.cli import bench_table, common

USAGE = "[flags] FOLDER"
FLAGS = common.new_flags()
common.define_json(FLAGS)
_ABLATIONS = ("superposition", "recurrence", "attention")


def define_config(values: flags.FlagValues) -> None:
    """--config, --set and the ablations."""
    flags.DEFINE_string("config", None, "A JSON file of TrainConfig.", flag_values=values)
    flags.DEFINE_multi_string(
        "set", [], "FIELD=VALUE, again and again: one field of TrainConfig.", flag_values=values
    )
    for part in _ABLATIONS:
        flags.DEFINE_bool(
            f"no_{part}", False, f"The network without its {part}.", flag_values=values
        )
    flags.DEFINE_integer(
        "iterations", None, "Passes of the network; 1 for the ablation.", 1, flag_values=values
    )


define_config(FLAGS)
flags.DEFINE_string(
    "policy",
    None,
    "The run, checkpoint or policy whose network is trained further. Without it: a new one.",
    flag_values=FLAGS,
)
flags.DEFINE_bool("fields", False, "List the fields of TrainConfig and stop.", flag_values=FLAGS)


def run(args: list[str]) -> int:
    """Trains; 0 when all steps were done, 130 when the run was stopped."""
    train_config = go_module("train_config", "train")
    if FLAGS.fields:
        print(train_config.TrainConfig.__doc__)
        print("network: " + train_config.NetworkConfig.__doc__)
        return 0
    if len(args) != 1:
        raise common.UsageError("train needs a folder to train in")
    base = _of_folder(args[0], train_config)
    network = None
    if FLAGS.policy:
        network, of_policy, _ = go_module("run_folder", "train").load_network(FLAGS.policy)
        base = base or of_policy
    config = config_from(FLAGS, train_config, base)
    if network is not None and config.network != of_policy.network:
        raise common.UsageError("the network of --policy is as it is: leave its parts alone")
    train = go_module("train", "train")
    with training_bar("train") as on_progress, stopped_by_signals() as should_stop:
        result = train.train(
            config,
            args[0],
            start_from=network,
            on_progress=on_progress,
            should_stop=should_stop,
        )
    for name, why in result.skipped:
        common.complain(f"left out: {name}: {why}")
    tell(result, FLAGS.json)
    return 0 if result.finished else 130


def go_module(name: str, command: str) -> ModuleType:
    """A module of grappler_go_training.go."""
    common.training_module("go", command)  # legacy Keras, before TensorFlow
    common.import_tensorflow()
    return common.training_module(f"go.{name}", command)


def config_from(values: flags.FlagValues, train_config: ModuleType, base: Any) -> Any:
    """The TrainConfig that the flags ask for.

    Raises:
      UsageError: a field that there is not, or a value that makes no sense.
    """
    try:
        if values.config:
            base = train_config.read(values.config)
        changed = train_config.parse_assignments(values.set)
        changed |= {f"network.{part}": False for part in _ABLATIONS if values[f"no_{part}"].value}
        if values.iterations is not None:
            changed["network.iterations"] = values.iterations
        return train_config.from_dict(changed, base)
    except ValueError as error:
        raise common.UsageError(str(error)) from error


def _of_folder(folder: str, train_config: ModuleType) -> Any:
    file = pathlib.Path(folder) / "config.json"
    return train_config.read(file) if file.exists() else None


@contextlib.contextmanager
def training_bar(label: str) -> Iterator[Any]:
    """Something to give train() as on_progress."""
    with bench_table.progress_bar(1, label) as bar:
        task = bar.task_ids[0]

        def on_progress(what: str, done: int, total: int, row: dict[str, float]) -> None:
            shown = what
            for name, text in (
                ("imitation/cross_entropy", "cross-entropy"),
                ("charts/reward", "reward"),
                ("losses/approx_kl", "kl"),
            ):
                if name in row:
                    shown += f", {text} {row[name]:.4g}"
            bar.update(task, completed=done, total=total, description=f"{shown} ({done}/{total})")

        yield on_progress


@contextlib.contextmanager
def stopped_by_signals() -> Iterator[Any]:
    """What says whether Ctrl-C was pressed or the process was asked to end. A second time
    ends it at once."""
    asked = threading.Event()
    before: dict[int, Any] = {}

    def ask(number: int, frame: Any) -> None:
        asked.set()
        for one, handler in before.items():
            signal.signal(one, handler)
        common.complain("stops after this step, with a checkpoint; again: at once")

    for number in (signal.SIGINT, signal.SIGTERM):
        before[number] = signal.signal(number, ask)
    try:
        yield asked.is_set
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def tell(result: Any, as_json: bool) -> None:
    """A run's result, as JSON or as a table."""
    if as_json:
        common.print_json(
            {
                "steps": result.steps,
                "finished": result.finished,
                "checkpoint": str(result.checkpoint),
                "ratios": result.ratios,
                "mean_ratio": result.mean_ratio,
                "skipped": [list(pair) for pair in result.skipped],
            }
        )
        return
    if result.ratios:
        table = common.new_table(
            "the policy's first choice against the best baseline, simulated",
            *("case", "greedy / baseline", "best seen ms"),
            right=("greedy / baseline", "best seen ms"),
        )
        for name, ratio in result.ratios.items():
            best = result.best[name]
            seen = "OOM" if best.out_of_memory else f"{best.step_us / 1e3:,.4g}"
            table.add_row(name, f"{ratio:.3f}", seen)
        common.OUT.print(table)
        common.OUT.print(f"geometric mean: {result.mean_ratio:.3f}")
    state = "done" if result.finished else "stopped"
    common.OUT.print(f"{state} after {result.steps} steps: {result.checkpoint}")
