"""Measures a program under TensorFlow's default, jit, auto-clustering, ours, and ours tuned.

Each mode runs in a process of its own with equal weights and inputs; all are
warmed up, then take turns in rounds. Printed for each: the median of a step and
its 10th to 90th percentile; the speed-up against the default (median of the
rounds, and the lowest and highest round); the first step, with compilation; peak
memory of the process; the largest difference of outputs from the default,
relative to the largest value of that output.

PROGRAM is a built-in one (--list), <a model of keras.applications>-infer or
-train, or module:function: called without arguments, it returns a step (a
tf.function or a Python function) or a pair of a step and its arguments. workload:NAME is
one that policies are trained on (python -m grappler_go_training.workloads list).
The modes kept and given_back, which --modes may name, tell where a gain comes from:
TensorFlow alone while freed memory is kept, and ours without that (keep_memory=False).
A mode that crashes or hangs gets a row that says so. The mode tuned is ours with the plan
that grappler_go.tune finds for the program in --tune_minutes; --tuned_plans keeps it, and
what is kept is not tuned again.

`bench overhead` measures the pass itself: what each phase costs on graphs of
about 1,000, 10,000 and 80,000 nodes, beside TensorFlow's own Grappler.

`bench gains` measures many real programs in every mode, training and inference, from
networks to numerics: speed-ups, first step, break-even steps, peak memory, outputs, and
geometric means. PROGRAM... are some of them, or any others. With --out, a run that was
stopped goes on where it was; --machine is a file of op times that ours decides with. Tuning,
which takes --tune_minutes of each program, is left out by --modes.
Needs the training package.

`bench outputs` compares outputs and gradients of one step with the pass on and
off, under a policy that wants every op compiled:
PROGRAM..., or without any all built-in ones and all of keras.applications. With
--out, a sweep that was stopped goes on where it was.

`bench baselines` places the paper's programs, or --workloads, on 2, 4 or 8 simulated
P100s with each baseline of --baselines, variables and all, and simulates a step: a
table of step times and one of the seconds that planning took. OOM: some device's
memory is too small. With --out, what is in the file already is not worked out again.

`bench simulator` times the simulator on graphs of those sizes: plans a second on one core
and on all.

`bench fidelity` runs plans of each PROGRAM (random and greedy fusions, recomputations,
and placements on two single-core workers) and simulates them: rank correlation over
plans that differ by more than 5 %, share of pairs in the right order, median errors of
time, of its ratio to the step without a plan, and of peak memory; beside it TensorFlow's
own cost model on the same placements. Needs the training package; --out as above, with
the plans beside it: --simulate_again compares what was measured with the simulator and
the costs (--machine) of today, and runs nothing. --ops says which types of ops are off.

`bench memory` trains steps with a memory limit: peak of memory as measured and step time
in turns, at --limits of TensorFlow's own peak; beside it tf.recompute_grad put by hand
around a program's layers, √n checkpointing (with the training package), and ours with what
those take as its limit. Without PROGRAM, training steps whose activations are most of
their memory; --out as above.

Examples:
  grappler-go bench transformer-train
  grappler-go bench mobilenetv2-train --batch=16 --modes=default,ours
  grappler-go bench train:make_step --rounds=20 --policy=my_policy
  grappler-go bench lstm-train mlp-train --save=results.json --chart=results.png
  grappler-go bench overhead --json
  grappler-go bench gains --out=gains.jsonl --chart=gains.png
  grappler-go bench gains vae-train black-scholes --modes=default,ours --rounds=10
  grappler-go bench outputs resnet50-train lstm-infer --image_size=96 --batch=2
  grappler-go bench baselines --workloads=rnnlm-2,gnmt-2 --baselines=human_expert,metis,heft
  grappler-go bench baselines --out=baselines.jsonl --seeds=0,1,2 --chart=baselines.png
  grappler-go bench memory deep-mlp vit --limits=0.6,0.4 --out=memory.jsonl --chart=memory.png
  grappler-go bench fidelity mlp-train dlrm-train --plans=10 --out=fidelity.jsonl --chart=f.png
  grappler-go bench fidelity mlp-train --ops --machine=machine.json
  grappler-go bench fidelity --simulate_again --out=fidelity.jsonl --machine=machine.json
"""

from typing import Any

from absl import flags

from grappler_go.bench import harness, models, outputs
from grappler_go.cli import (
    bench_baselines,
    bench_fidelity,
    bench_gains,
    bench_memory,
    bench_outputs,
    bench_overhead,
    bench_simulator,
    bench_table,
    common,
)

USAGE = (
    "[flags] PROGRAM... | gains [PROGRAM...] | overhead | simulator | outputs [PROGRAM...]"
    " | baselines | fidelity [PROGRAM...] | memory [PROGRAM...]"
)
FLAGS = common.new_flags()
common.define_settings(FLAGS)
common.define_json(FLAGS)
bench_table.define_files(FLAGS)
bench_fidelity.define_flags(FLAGS)
bench_memory.define_flags(FLAGS)
flags.DEFINE_list(
    "modes",
    list(harness.UNTUNED),
    f"Which of {', '.join(harness.MODES)}; gains: all by itself.",
    flag_values=FLAGS,
)
flags.DEFINE_float(
    "tune_minutes",
    2.0,
    "What tuning a program may take, for the mode tuned.",
    0.001,
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "tuned_plans",
    None,
    "A folder that keeps what tuning found; what it has already is not tuned again.",
    flag_values=FLAGS,
)
flags.DEFINE_integer("rounds", 10, "Turns of each mode.", 1, flag_values=FLAGS)
flags.DEFINE_float(
    "round_seconds", 0.5, "About how long a turn lasts; at least a step.", 0.0, flag_values=FLAGS
)
flags.DEFINE_integer(
    "batch", 0, "Batch of a built-in program; 0 for its own.", 0, flag_values=FLAGS
)
flags.DEFINE_float(
    "timeout", 300.0, "Seconds after which a mode is given up.", 1.0, flag_values=FLAGS
)
flags.DEFINE_bool("list", False, "List the built-in programs.", flag_values=FLAGS)
flags.DEFINE_integer(
    "image_size",
    0,
    "outputs: height and width for keras.applications; 0 for their own.",
    0,
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "out",
    None,
    "gains, outputs, baselines, fidelity, memory: a file that gets a JSON line a program or a "
    "plan.",
    flag_values=FLAGS,
)
flags.DEFINE_list(
    "nodes",
    ["1000", "10000", "80000"],
    "overhead, simulator: sizes of graph, in nodes.",
    flag_values=FLAGS,
)
bench_baselines.define_flags(FLAGS)


def run(args: list[str]) -> int:
    """Measures; 1 when a mode failed."""
    if FLAGS.list:
        return _list()
    if args == ["overhead"]:
        sizes = [int(size) for size in FLAGS.nodes]
        return bench_overhead.run(sizes, common.settings_from(FLAGS), FLAGS)
    if args == ["baselines"]:
        return bench_baselines.run(FLAGS)
    if args == ["simulator"]:
        return bench_simulator.run([int(size) for size in FLAGS.nodes], FLAGS)
    if args[:1] == ["outputs"]:
        return bench_outputs.run(args[1:], _outputs_options(), FLAGS.out, FLAGS.json)
    if args[:1] == ["fidelity"]:
        return bench_fidelity.run(args[1:], FLAGS)
    if args[:1] == ["gains"]:
        modes = FLAGS.modes if FLAGS["modes"].present else [*harness.UNTUNED, harness.TUNED]
        _check_modes(modes)
        options = {**_options(), "modes": modes, "machine": FLAGS.machine or ""}
        return bench_gains.run(args[1:], options, FLAGS)
    if args[:1] == ["memory"]:
        return bench_memory.run(args[1:], common.settings_from(FLAGS), FLAGS)
    if not args:
        raise common.UsageError("which program? --list shows the built-in ones")
    _check_modes(FLAGS.modes)
    _check_programs(args)
    programs = {}
    for program in args:
        programs[program] = measure(program, _options())
        if message := programs[program]["default"].no_program:
            common.complain(message)
        elif not FLAGS.json:
            show(program, programs[program])
    bench_table.hand_out(programs, FLAGS)
    failed = any(result.error for results in programs.values() for result in results.values())
    return 1 if failed else 0


def _check_programs(programs: list[str]) -> None:
    """Before any is measured. What a module of the user's has in it only a worker finds out:
    running it here as well could take long."""
    if any(":" not in program and program not in models.names() for program in programs):
        common.import_tensorflow()  # of keras.applications, perhaps
    for program in programs:
        models.check(program)


def _check_modes(modes: list[str]) -> None:
    for mode in modes:
        if mode not in harness.MODES:
            raise common.UsageError(f"no mode {mode!r}; there are {', '.join(harness.MODES)}")


def _options() -> dict[str, object]:
    return {
        "modes": FLAGS.modes,
        "rounds": FLAGS.rounds,
        "round_seconds": FLAGS.round_seconds,
        "batch": FLAGS.batch,
        "timeout_s": FLAGS.timeout,
        "settings": common.settings_from(FLAGS),
        "tune_s": 60 * FLAGS.tune_minutes,
        "tuned_plans": FLAGS.tuned_plans or "",
    }


def measure(program: str, options: dict[str, object]) -> dict[str, harness.Result]:
    """harness.compare with a progress bar."""
    modes = options.get("modes", harness.UNTUNED)
    total = harness.num_parts(modes, options.get("rounds", 10))  # type: ignore[arg-type]
    with bench_table.progress_bar(total, program) as bar:
        task = bar.task_ids[0]
        return harness.compare(
            program,
            progress=lambda text: bar.update(task, advance=1, description=f"{program}: {text}"),
            **options,  # type: ignore[arg-type]
        )


def show(program: str, results: dict[str, harness.Result]) -> None:
    """The table, what failed, and what our pass did."""
    common.OUT.print(bench_table.table_of(program, results))
    bench_table.print_errors(results)
    bench_table.print_reports(results)
    bench_table.print_tuning(results)
    common.OUT.print()


def _list() -> int:
    if FLAGS.json:
        common.print_json(models.names())
        return 0
    for name, about in models.names().items():
        common.OUT.print(f"{name:20} {about}", markup=False)
    common.OUT.print("and every model of keras.applications: resnet50-train, nasnetmobile-infer")
    return 0


def _outputs_options() -> dict[str, object]:
    """Everything is wanted, but what was asked for by a flag."""
    settings: dict[str, Any] = {
        "min_gain": 0.0,
        "budget_ms": 60_000,
        "compile_budget_s": 1e9,
        **common.settings_from(FLAGS),
    }
    if not FLAGS["policy"].present:
        settings["policy"] = outputs.EVERYTHING
    return {
        "settings": settings,
        "batch": FLAGS.batch,
        "image_size": FLAGS.image_size,
        "timeout_s": FLAGS.timeout,
    }
