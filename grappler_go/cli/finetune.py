"""Lets a policy learn on for one graph, and writes the best plan it found.

GRAPH is a recorded .pb file or a workload. Without --policy the network learns from
scratch (the paper's GO-one). What is written into FOLDER is a run like any other: it goes
on where it was stopped, and `export` makes a policy of it. plan.json in it is for
enable(policy=...) where the graph's variables stay where they are.

Examples:
  grappler-go finetune runs/one graphs/7c1a.pb --policy=runs/mine
  grappler-go finetune runs/wavenet wavenet-2x18 --policy=runs/go --machine=p100x2
  # From scratch, longer.
  grappler-go finetune runs/scratch rnnlm-2 --machine=p100x2 --set steps=500
"""

import pathlib

from absl import flags

from grappler_go.cli import common, train

USAGE = "[flags] FOLDER GRAPH"
FLAGS = common.new_flags()
common.define_json(FLAGS)
train.define_config(FLAGS)
flags.DEFINE_string(
    "policy",
    None,
    "The folder of a training run, or a checkpoint. Without it: from scratch.",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "machine",
    None,
    "'local', a machine that ships (see grappler-go machines) or its file. Without it: the "
    "workload's, or for a recorded graph 'local'.",
    flag_values=FLAGS,
)


def run(args: list[str]) -> int:
    """Learns on; 0 when all steps were done, 130 when the run was stopped."""
    if len(args) != 2:
        raise common.UsageError("finetune needs a folder to train in and a graph")
    folder, graph = args
    train_config = train.go_module("train_config", "finetune")
    finetune = train.go_module("finetune", "finetune")
    evaluate = train.go_module("evaluate", "finetune")
    network, base = None, train_config.TrainConfig()
    if FLAGS.policy:
        network, base, _ = train.go_module("run_folder", "finetune").load_network(FLAGS.policy)
    base = finetune.finetune_config(base, from_scratch=network is None)
    config = train.config_from(FLAGS, train_config, base)
    if network is not None and config.network != base.network:
        raise common.UsageError("the network of --policy is as it is: leave its parts alone")
    case = evaluate.case_of(graph, FLAGS.machine)
    with train.training_bar("finetune") as on_progress, train.stopped_by_signals() as should_stop:
        result = finetune.finetune(case, config, folder, network, on_progress, should_stop)
    train.tell(result, FLAGS.json)
    if not result.finished:
        return 130
    plan = result.best[case.name].plan
    plan.policy = "go:finetuned"
    file = pathlib.Path(folder) / "plan.json"
    file.write_text(plan.to_json(case.graph), encoding="utf-8")
    if not FLAGS.json:
        common.OUT.print(f"wrote {file}")
    return 0
