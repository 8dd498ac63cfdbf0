"""Compares a policy with the baselines at equal budget, in the simulator.

"policy" is the policy's first choice, one plan; "policy_best" the best of that and of as
many samples as the budget has plans or seconds; "policy_search" what the core's search,
joint_search among the baselines, makes of the policy's scores, and "zero_shot" the same with
as few plans as the pass simulates, whatever the budget; "sequential_search" what the search
finds for one decision after the other. "fine_tuned" is the best plan that the policy sees
while it learns on this graph alone and a search goes on from; "go_one" that of a new network
(the paper's GO-one).
Baselines that search get the
same budget, and their plans run ready ops by critical path where that is faster. With --out
results are kept as JSON lines, and what is there is not done again.

With --measured nothing but devices is decided, and placements are run: on a TensorFlow
cluster of two workers on this machine, each on a core of its own, in turns with the program
on one of them. --graphs then names programs as for `grappler-go bench`, and --machine whose
times the simulator goes by: the file of `grappler-go calibrate --workers=2`.

POLICY is the folder of a run, a checkpoint, or a policy that was exported, of which only
policy_best cannot be asked.

Examples:
  grappler-go evaluate runs/go --graphs=gnmt-2,amoebanet --seeds=0,1,2
  # What ships, on placement alone.
  grappler-go evaluate go-1.0 --decides=device --methods=policy,policy_search,metis
  grappler-go evaluate runs/mine --graphs=graphs --machine=local
  # 50 steps of 16 plans, from the policy and from nothing.
  grappler-go evaluate go-1.0 --graphs=rnnlm-2 --plans=800 --methods=fine_tuned,go_one
  # Placements, judged by TensorFlow's own cost model, too.
  grappler-go evaluate go-1.0 --decides=device --judge --out=placement.jsonl
  # Equal seconds rather than plans.
  grappler-go evaluate runs/go --graphs=gnmt-2 --plans=100000 --max_seconds=10
  grappler-go evaluate runs/go --split=validation --out=results.jsonl --json
  # For real, on two workers.
  grappler-go evaluate go-1.0 --measured --graphs=rnnlm-train,wavenet-train \
    --methods=policy_search,human_expert,metis,m_etf
"""

import dataclasses
import pathlib
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any

from absl import flags

from grappler_go.cli import bench_table, common, evaluate_measured, results_file, train

USAGE = "[flags] POLICY"
FLAGS = common.new_flags()
common.define_json(FLAGS)
flags.DEFINE_list(
    "graphs",
    [],
    "Workloads, recorded .pb files, or folders of these. Without it the paper's.",
    flag_values=FLAGS,
)
flags.DEFINE_enum(
    "split",
    None,
    ["train", "validation", "test"],
    "All workloads of this side, in place of --graphs.",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "machine",
    None,
    "'local', a machine that ships or its file. Without it: as many P100s as a workload is "
    "for, for recorded graphs 'local'.",
    flag_values=FLAGS,
)
flags.DEFINE_list(
    "methods",
    [],
    "policy, policy_best, policy_search, zero_shot, fine_tuned, go_one, sequential_search and "
    "baselines; "
    "without it the first three and the baselines of the policy's training.",
    flag_values=FLAGS,
)
flags.DEFINE_list(
    "decides",
    ["device", "fusion", "schedule", "recompute"],
    "What is to be decided; the rest is as TensorFlow would have it.",
    flag_values=FLAGS,
)
flags.DEFINE_list("seeds", ["0"], "Each of them once.", flag_values=FLAGS)
flags.DEFINE_integer("plans", 100, "Plans that each may simulate.", 1, flag_values=FLAGS)
flags.DEFINE_float("max_seconds", None, "Seconds that each may take.", 0.0, flag_values=FLAGS)
flags.DEFINE_string("out", None, "A file of JSON lines that grows.", flag_values=FLAGS)
flags.DEFINE_bool(
    "judge",
    False,
    "Ask TensorFlow's own cost model of each placement, too; needs --decides=device.",
    flag_values=FLAGS,
)
flags.DEFINE_bool("measured", False, "Run placements on two workers.", flag_values=FLAGS)


def run(args: list[str]) -> int:
    """Evaluates; 1 when a method made no plan."""
    if len(args) != 1:
        raise common.UsageError("evaluate needs the folder of a run or a policy, or a checkpoint")
    try:
        seeds = [int(seed) for seed in FLAGS.seeds]
    except ValueError:
        raise common.UsageError(f"--seeds={','.join(FLAGS.seeds)}: expected numbers") from None
    evaluate = train.go_module("evaluate", "evaluate")
    results = common.training_module("policy_results", "evaluate")
    baselines = evaluate.baselines
    policy = train.go_module("judged", "evaluate").load(args[0])
    methods = list(FLAGS.methods)
    if not methods:
        methods = [results.POLICY, results.POLICY_BEST, results.POLICY_SEARCH]
        if not policy.draws:
            methods.remove(results.POLICY_BEST)
        methods += policy.baselines or train.go_module("train_config", "evaluate").BASELINES
    try:
        evaluate.check(
            policy,
            methods,
            FLAGS.decides,
            baselines.Budget(FLAGS.plans, FLAGS.max_seconds),
            FLAGS.judge,
        )
    except ValueError as error:
        raise common.UsageError(str(error)) from error
    if FLAGS.measured:
        if len(seeds) != 1 or FLAGS.split:
            raise common.UsageError("--measured takes one seed, and programs by --graphs")
        return evaluate_measured.run(policy, methods, seeds[0], FLAGS)
    names = _graph_names(evaluate)
    found = results_file.read(FLAGS.out, results.Row, "evaluate") if FLAGS.out else {}
    rows: list[Any] = []
    unread: list[str] = []
    with bench_table.progress_bar(len(names), "evaluate") as bar:
        task = bar.task_ids[0]

        def cases() -> Iterator[Any]:
            for name in names:
                bar.update(task, description=f"{name}: its graph")
                try:
                    yield evaluate.case_of(name, FLAGS.machine)
                except (OSError, ValueError, RuntimeError) as error:
                    unread.append(f"{name}: {common.one_line(error)}")
                bar.update(task, advance=1)

        for row in evaluate.evaluate(
            policy,
            cases(),
            methods,
            seeds,
            baselines.Budget(FLAGS.plans, FLAGS.max_seconds),
            FLAGS.decides,
            done=found,
            judge=FLAGS.judge,
            on_progress=lambda text: bar.update(task, description=text),
        ):
            found[row.key] = row
            if FLAGS.out:
                results_file.append(FLAGS.out, row.to_dict())
    rows = [
        row
        for row in found.values()
        if row.method in methods
        and set(row.decides.split(",")) == set(FLAGS.decides)
        and row.policy in ("", policy.name)
    ]
    for line in unread:
        common.complain(f"left out: {line}")
    _tell(results, rows, methods)
    return 1 if unread or any(row.error for row in rows) else 0


def _graph_names(evaluate: ModuleType) -> list[str]:
    if FLAGS.split and FLAGS.graphs:
        raise common.UsageError("--graphs or --split, not both")
    if FLAGS.split:
        return list(evaluate.workloads.names(split=FLAGS.split))
    if not FLAGS.graphs:
        return list(evaluate.workloads.names(paper=True))
    names: list[str] = []
    for name in FLAGS.graphs:
        folder = pathlib.Path(name)
        names += sorted(map(str, folder.glob("*.pb"))) if folder.is_dir() else [name]
    if not names:
        raise common.UsageError(f"--graphs={','.join(FLAGS.graphs)}: no recorded graph is there")
    return names


def _tell(results: ModuleType, rows: Sequence[Any], methods: Sequence[str]) -> None:
    summary = results.summarize(rows)
    if FLAGS.json:
        common.print_json(
            {
                "rows": [row.to_dict() for row in rows],
                "summary": [dataclasses.asdict(one) for one in summary],
            }
        )
        return
    means = results.mean_steps(rows)
    table = common.new_table("milliseconds of a simulated step", "case", *methods, right=methods)
    for case in dict.fromkeys(row.case for row in rows):
        table.add_row(case, *(_step_text(means.get((case, method))) for method in methods))
    common.OUT.print(table)
    columns = ("step / best baseline", "cases", "out of memory", "seconds")
    table = common.new_table("in the mean", "method", *columns, right=columns)
    for one in summary:
        numbers = f"{one.ratio:.3f}", str(one.cases), str(one.misses), f"{one.seconds:.3g}"
        table.add_row(one.method, *numbers)
    common.OUT.print(table)
    for row in rows:
        if row.error:
            common.OUT.print(f"  {row.case}: {row.method}: {row.error}", markup=False)


def _step_text(step_us: float | None) -> str:
    if step_us is None:
        return ""
    return f"{step_us / 1e3:,.4g}" if step_us < float("inf") else "OOM"
