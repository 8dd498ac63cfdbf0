"""Runs three real models four ways and prints them side by side.

A Transformer's training step (the GPT that nanoGPT's README trains on a CPU),
MobileNetV2's training step and Inception-v3's inference, each under TensorFlow's
default, jit_compile=True, auto-clustering and grappler-go. The exit status is 1 when
outputs of ours differ from the default's by more than 1e-4 relative, or when ours is
more than 5 % slower. What looks slower is timed again, twice as long, before it
counts: on a shared machine even a graph that was left alone may seem slower once.

Examples:
  grappler-go demo
  grappler-go demo --save=demo.json --chart=demo.png
"""

from collections.abc import Sequence

from absl import flags

from grappler_go.bench import harness
from grappler_go.bench.harness import Result
from grappler_go.cli import bench, bench_table, common

USAGE = "[flags]"
FLAGS = common.new_flags()
common.define_json(FLAGS)
bench_table.define_files(FLAGS)
flags.DEFINE_integer("rounds", 5, "Turns of each mode.", 2, flag_values=FLAGS)
flags.DEFINE_string("policy", "default", "Who decides.", flag_values=FLAGS)

# One step: a second starts from weights that Adam has moved, and Adam turns a
# difference in the last digit of a gradient near zero into one of the learning
# rate. The first step's loss and gradients say whether the graph is the same.
COMPARE_STEPS = 1
PROGRAMS = ("chargpt-train", "mobilenetv2-train", "inceptionv3-infer")
MAX_DIFFERENCE = 1e-4
MIN_SPEEDUP = 0.95


def run(args: list[str]) -> int:
    """Runs it; 1 when something is not as it should be."""
    if args:
        raise common.UsageError("demo takes no arguments; to measure a program of yours: bench")
    programs: dict[str, dict[str, Result]] = {}
    problems = []
    for program in PROGRAMS:
        results = _measure(program, FLAGS.rounds, harness.UNTUNED)
        if not results["ours"].error and results["ours"].speedup < MIN_SPEEDUP:
            again = _measure(program, 2 * FLAGS.rounds, ("default", "ours"))
            results = {**results, **again}
        programs[program] = results
        problems += [f"{program}: {problem}" for problem in problems_of(results)]
        if not FLAGS.json:
            bench.show(program, results)
    bench_table.hand_out(programs, FLAGS, problems=problems)
    if not FLAGS.json:
        for problem in problems:
            common.OUT.print(problem, style="red", markup=False)
        if not problems:
            common.OUT.print("same outputs, none slower", style="green")
    return 1 if problems else 0


def _measure(program: str, rounds: int, modes: Sequence[str]) -> dict[str, Result]:
    return bench.measure(
        program,
        {
            "modes": modes,
            "rounds": rounds,
            "compare_steps": COMPARE_STEPS,
            "settings": {"policy": FLAGS.policy},
        },
    )


def problems_of(results: dict[str, Result]) -> list[str]:
    """What is wrong with ours, in words; empty when nothing is. That jit or
    auto-clustering fails is theirs."""
    for mode in ("default", "ours"):
        if results[mode].error:
            return [f"{mode} failed: {results[mode].error}"]
    ours, found = results["ours"], []
    if not ours.difference <= MAX_DIFFERENCE:
        found.append(f"outputs differ by {ours.difference:.1e}, allowed are {MAX_DIFFERENCE:.0e}")
    if ours.speedup < MIN_SPEEDUP:
        found.append(f"slower than the default: {ours.speedup:.2f}x, at least {MIN_SPEEDUP} wanted")
    return found
