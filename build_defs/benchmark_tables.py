"""Writes the tables of README.md and docs/benchmarks.md from docs/results.

    python build_defs/benchmark_tables.py          # rewrites them
    python build_defs/benchmark_tables.py --check  # fails if they are not up to date

A table stands between `<!-- table: FILE -->` and `<!-- end -->`; FILE is what
`grappler-go bench --save` wrote, `bench overhead`, `bench simulator` and `bench memory` among
them, or `bench outputs --out` or `bench fidelity --out`.
Between `<!-- section: FILE -->` and `<!-- end -->` stands a whole section, about what
`bench baselines --out` wrote, and between `<!-- placement: FILE -->` and `<!-- end -->` a
few rows of that; between `<!-- gains: FILE -->` and `<!-- end -->` the table of what
`bench gains --out` wrote, and between `<!-- gain: FILE -->` and `<!-- end -->` what that adds
up to, with its picture; between `<!-- policy: FILE -->` and `<!-- end -->` what
`grappler-go evaluate --out` wrote, and between `<!-- measured: FILE -->` and `<!-- end -->`
what that wrote with --measured, and between `<!-- ablations: FILE -->` and `<!-- end -->` what
that wrote of networks with parts left out; between `<!-- decisions: FILE -->` and `<!-- end -->`
what it wrote with several --decides. Between `<!-- targets: FOLDER -->` and `<!-- end -->`
stands what several of these files add up to, beside the figures of GO's paper. Nothing as long
as there is no such file. A table without its file says so.
"""

import json
import pathlib
import re
import sys
from collections.abc import Callable
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "python"), str(ROOT / "build_defs")]

import policy_tables  # noqa: E402
import table_text  # noqa: E402

DOCS = ROOT / "docs"
PAGES = (ROOT / "README.md", DOCS / "benchmarks.md")
_TITLES = {"default": "TensorFlow", "jit": "jit", "auto": "auto", "ours": "grappler-go"}
_TITLES |= {"kept": "TensorFlow, memory kept", "given_back": "grappler-go, not kept"}
_TABLE = re.compile(r"(<!-- table: (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)
_SECTION = re.compile(r"(<!-- section: (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)
_GAINS = re.compile(r"(<!-- gains: (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)
_GAIN = re.compile(r"(<!-- gain: (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)
_OF_POLICIES = re.compile(
    r"(<!-- (policy|measured|decisions|ablations): (\S+) -->\n).*?(<!-- end -->)", re.DOTALL
)
_FIGURES = re.compile(r"(<!-- targets: (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)
_FEW = re.compile(r"(<!-- placement: (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)
_BASELINES = """## What a placement policy has to beat

`grappler-go bench baselines --budget={plans} --max_seconds={seconds}
--out=docs/results/{name}`, {where}: one step of each of the
paper's programs on simulated P100s, as many as the paper took, placed by each
baseline. Variables are placed with the ops that use them, and nothing here ran:
these are milliseconds of the simulator. OOM: some GPU's 16 GiB are too few.
Searches (simulated_annealing, genetic, hdp) simulated {plans} plans, or as many as
{seconds} s allow (what is under way then is finished): HDP's, which the paper gave
hours on each graph, has hardly learned by then. Of metis and kahip, whose results
depend on the seed, the mean of seeds 0, 1
and 2. In brackets: seconds that planning took.

![Simulated steps by baseline, seed 0](results/baselines.png)

"""
_PLACEMENT = """## Placement, simulated

What a learned placement has to beat: milliseconds of a simulated step on as many P100s
as GO's paper took, from `grappler-go bench baselines`
([all programs and baselines](docs/benchmarks.md#what-a-placement-policy-has-to-beat)).

"""
_PICTURE = """
![A step of rnnlm-4 on four simulated GPUs](docs/results/timeline.png)

rnnlm-4 as human_expert places it, a layer to a GPU: each device's ops, and below them what the
links carry.
"""
# Of the many, for the README.
_SOME_ROWS = ("rnnlm-4", "gnmt-4", "transformer-xl-4", "inception-v3-b32", "wavenet-4x36")
_BY_KIND = (
    *("tensorflow_default", "one_device", "human_expert", "metis", "kahip", "mtkahypar"),
    *("m_topo", "m_etf", "m_sct", "heft", "simulated_annealing", "genetic", "hdp"),
)
_SOME_COLUMNS = ("tensorflow_default", "human_expert", "metis", "m_sct", "simulated_annealing")


def rendered(page: str) -> str:
    """The page with its tables as the results say."""
    page = _TABLE.sub(lambda found: found[1] + _table(found[2]) + found[3], page)
    page = _SECTION.sub(lambda found: found[1] + _section(found[2]) + found[3], page)
    page = _GAINS.sub(lambda found: found[1] + _gains(found[2]) + found[3], page)
    page = _GAIN.sub(lambda found: found[1] + _gain(found[2]) + found[3], page)
    page = _OF_POLICIES.sub(
        lambda found: found[1] + _of_policies(found[2], found[3]) + found[4], page
    )
    page = _FIGURES.sub(
        lambda found: found[1] + policy_tables.targets(DOCS / found[2]) + found[3], page
    )
    return _FEW.sub(lambda found: found[1] + _placement(found[2]) + found[3], page)


def _section(name: str) -> str:
    path = DOCS / "results" / name
    if not path.exists():
        return ""
    cells = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    said = {
        key: " or ".join(dict.fromkeys(f"{cell[of]:g}" for cell in cells))
        for key, of in (("plans", "plans"), ("seconds", "max_seconds"))
    }
    where = " and ".join(dict.fromkeys(cell["where"] for cell in cells))
    return _BASELINES.format(name=name, where=where, **said) + _baselines(cells) + "\n"


def _placement(name: str) -> str:
    """A few rows for the README."""
    path = DOCS / "results" / name
    if not path.exists():
        return ""
    cells = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    some = [c for c in cells if c["workload"] in _SOME_ROWS and c["baseline"] in _SOME_COLUMNS]
    some.sort(key=lambda cell: _SOME_ROWS.index(cell["workload"]))
    return _PLACEMENT + _baselines(some) + _PICTURE


def _baselines(cells: list[dict[str, Any]]) -> str:
    """Workloads are rows, baselines columns; of several seeds the mean."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for cell in cells:
        groups.setdefault((cell["workload"], cell["baseline"]), []).append(cell)
    # Seeds and workloads may have been added in any order.
    names = sorted(dict.fromkeys(name for _, name in groups), key=_BY_KIND.index)
    rows = []
    for workload in dict.fromkeys(workload for workload, _ in groups):
        gpus = next(cell["machine"] for cell in cells if cell["workload"] == workload)
        row = [f"{workload} ({gpus})"]
        row += [_placed(groups.get((workload, name), [])) for name in names]
        rows.append(row)
    return table_text.rows(["ms a step (s to plan)", *names], rows)


def _placed(cells: list[dict[str, Any]]) -> str:
    if not cells:
        return ""
    if any(cell["error"] for cell in cells):
        return "failed"
    seconds = sum(cell["seconds"] for cell in cells) / len(cells)
    if any(cell["out_of_memory"] for cell in cells):
        return f"OOM ({seconds:.2g})"
    step = sum(cell["step_ms"] for cell in cells) / len(cells)
    return f"{table_text.figure(step)} ({seconds:.2g})"


def _of_policies(what: str, name: str) -> str:
    path = DOCS / "results" / name
    makers = {
        "policy": policy_tables.simulated,
        "measured": policy_tables.measured,
        "decisions": policy_tables.decisions,
        "ablations": policy_tables.ablations,
    }
    return makers[what](path) if path.exists() else ""


_GAINS_HEAD = (
    *("program", "TensorFlow, ms", "jit", "auto", "grappler-go", "tuned"),
    *("first step, s", "break-even, steps", "peak, MB", "difference", "tuning, s"),
)


def _gains(name: str) -> str:
    """A row a program, sorted by ours, and their geometric means."""
    path = DOCS / "results" / name
    if not path.exists():
        return ""
    sys.path.insert(0, str(ROOT))
    from grappler_go.bench import gains

    lines = path.read_text(encoding="utf-8").splitlines()
    rows = [gains.Row.from_dict(json.loads(line)) for line in lines]
    rows.sort(key=lambda row: -(row.speedup("ours") or 0.0))
    summary = gains.summarize(rows)
    where = " and ".join(dict.fromkeys(row.where for row in rows))
    means = summary.geometric_means
    totals = (
        ("geometric mean", means),
        ("of families no training sees", summary.held_out_means),
        ("against the best of the first three", summary.against_best),
        ("slowest", summary.slowest),
    )
    table = [[row.program, *_gains_cells(row)] for row in rows]
    table += [[f"*{title}*", "", *_ratios(numbers.get), *[""] * 5] for title, numbers in totals]
    told = (
        f"The best of TensorFlow, jit and auto for each program, in the geometric mean: "
        f"{means['best of others']:.2f}x. Of {summary.compiled} programs in which a group was "
        f"compiled, {summary.break_even} win the first steps back within "
        f"{gains.BREAK_EVEN_STEPS} steps; {summary.taken_back} were taken back by the guard.\n"
    )
    if summary.tuned:
        told += f"{summary.tuning_text}\n"
    return f"{where}.\n\n" + table_text.rows(list(_GAINS_HEAD), table) + "\n" + told


_GAIN_TEXT = """{programs} programs, training and inference, from networks to numerics: speed-up
over TensorFlow's default, {where}
([program by program](docs/benchmarks.md#many-programs), with the command).

![speed-ups of many programs](docs/results/{stem}.png)

"""


def _gain(name: str) -> str:
    """Sums and the picture of a file of `bench gains`, for the README."""
    path = DOCS / "results" / name
    if not path.exists():
        return ""
    from grappler_go.bench import gains

    lines = path.read_text(encoding="utf-8").splitlines()
    rows = [gains.Row.from_dict(json.loads(line)) for line in lines]
    summary = gains.summarize(rows)
    where = " and ".join(dict.fromkeys(row.where for row in rows))
    means, slowest = summary.geometric_means, summary.slowest
    modes = [mode for mode in ("jit", "auto", "ours", "tuned") if mode in means]
    titles = [_TITLES.get(mode, mode) for mode in modes]
    head = [f"{len(rows)} programs", *titles, "best of TensorFlow, jit and auto for each"]
    table = [
        ["geometric mean", *(f"{means[mode]:.2f}x" for mode in modes)],
        ["the slowest", *(f"{slowest[mode]:.2f}x" for mode in modes), ""],
    ]
    table[0].append(f"{means['best of others']:.2f}x")
    text = _GAIN_TEXT.format(programs=len(rows), where=where, stem=path.stem)
    return text + table_text.rows(head, table)


def _ratios(speedup: Callable[[str], float | None]) -> list[str]:
    cells = []
    for mode in ("jit", "auto", "ours", "tuned"):
        value = speedup(mode)
        text = "" if value is None else f"{value:.2f}x"
        cells.append(f"**{text}**" if text and mode == "ours" else text)
    return cells


def _gains_cells(row: Any) -> list[str]:
    default, ours = row.results["default"], row.results.get("ours")
    cells = [
        "failed" if default.error else table_text.figure(default.median_ms),
        *_ratios(row.speedup),
    ]
    if ours is None or row.speedup("ours") is None:
        return [*cells, *[""] * 4, row.tuning_text]
    return [
        *cells,
        f"{default.first_ms / 1e3:.1f}-{ours.first_ms / 1e3:.1f}",
        row.break_even_text,
        f"{default.peak_mb:,.0f}-{ours.peak_mb:,.0f}",
        f"{ours.difference:.0e}",
        row.tuning_text,
    ]


def _table(name: str) -> str:
    path = DOCS / "results" / name
    if path.suffix == ".jsonl":
        if not path.exists():
            return "Not measured yet.\n"
        lines = path.read_text(encoding="utf-8").splitlines()
        read = [json.loads(line) for line in lines]
        return _fidelity(name, read) if "simulated_ms" in read[0] else _outputs(read)
    stored = json.loads(path.read_text(encoding="utf-8"))
    for key, table in (
        ("graphs", _overhead),
        ("simulator", _simulator),
        ("memory", _memory),
        ("programs", _programs_of),
    ):
        if key in stored:
            return _origin(stored["environment"]) + table(stored)
    raise ValueError(f"{path}: no known result")


def _origin(where: dict[str, Any]) -> str:
    return (
        f"`{where['command']}`, {where['date']}, {where['cores']} cores of {where['cpu']}, "
        f"TensorFlow {where['tensorflow']}.\n\n"
    )


def _simulator(stored: dict[str, Any]) -> str:
    head = [
        *("machine", "ops", "a plan, ms"),
        *("plans/s on one core", "plans/s on all"),
    ]
    rows = [
        [
            f"{one['machine']} ({_count(one['devices'], 'device')})",
            f"{one['ops']:,}",
            *(table_text.figure(one[key]) for key in ("one_ms", "plans_per_s")),
            f"{table_text.figure(one['batch_per_s'])} on {_count(one['cores'], 'core')}",
        ]
        for one in stored["simulator"]
    ]
    return table_text.rows(head, rows)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


_TARGETS = {
    "spearman": "rank correlation of 0.9 or above",
    "time_error": "median error of the time of 15 % or below",
    "memory_error": "median error of the peak of 10 % or below",
    "judge_agrees": "90 % of pairs or more as Grappler's cost model has them",
}


def _fidelity(name: str, read: list[dict[str, Any]]) -> str:
    """A row a program, and which targets are met."""
    from grappler_go_training.measure.agreement import Row, summarize

    rows = [Row(**values) for values in read]
    found = summarize(rows)
    keys = (
        *("pairs_right", "time_error", "ratio_error", "memory_error", "above_resident_error"),
        *("judge_right", "judge_agrees", "spread"),
    )
    judged = any(one.judge_right is not None for one in found)
    shown = [key for key in keys if judged or not key.startswith("judge")]
    titles = dict(
        zip(
            keys,
            (
                *("pairs in order", "time", "ratio", "peak", "above variables"),
                *("Grappler's pairs", "same as Grappler's", "noise"),
            ),
            strict=True,
        )
    )
    table = [
        [
            one.program,
            f"{one.plans} of {one.plans + one.failed}",
            "" if one.spearman is None else f"{one.spearman:.2f}",
            *(_percent(getattr(one, key)) for key in shown),
        ]
        for one in found
    ]
    kinds = {"one_process": "one process", "cluster": "two workers of one core each"}
    where = " and ".join(sorted({row.where for row in rows if row.where}))
    costs = " and ".join(sorted({row.machine for row in rows}))
    run_in = " and ".join(kinds[kind] for kind in sorted({row.kind for row in rows}))
    origin = f"docs/results/{name}: {run_in}, {where}; costs: {costs}.\n\n"
    head = ["program", "plans", "Spearman", *(titles[key] for key in shown)]
    return origin + table_text.rows(head, table) + "\n" + _reached(found)


def _reached(found: list[Any]) -> str:
    """Which targets are met on how many programs; where they are not, by how much."""
    lines = []
    for key, target in _TARGETS.items():
        known = [one for one in found if getattr(one, key) is not None]
        if not known:
            continue
        missed = {one.program: one.missed[key] for one in known if key in one.missed}
        text = f"- A {target}: {len(known) - len(missed)} of {len(known)} programs"
        if missed:
            told = [
                f"{program} {value:.2f}" if key == "spearman" else f"{program} {value:.0%}"
                for program, value in missed.items()
            ]
            text += f"; missed on {', '.join(told)}"
        lines.append(text + ".\n")
    return "".join(lines)


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.0%}"


def _memory(stored: dict[str, Any]) -> str:
    """Programs are rows; of each mode the measured share of the peak and the time."""
    compared = [one for one in stored["memory"] if not one["error"]]
    names = list(dict.fromkeys(mode["name"] for one in compared for mode in one["modes"]))
    names.sort(key=_MEMORY_MODES.index)
    rows = []
    for one in compared:
        modes = {mode["name"]: mode for mode in one["modes"]}
        rows.append([one["program"], *(_memory_cell(modes.get(name)) for name in names)])
    return table_text.rows(["peak (step time)", *names], rows)


_MEMORY_MODES = (
    *("default", "limit 0.8", "limit 0.6", "limit 0.4"),
    *("by hand", "at by hand", "sqrt n", "at sqrt n"),
)


def _memory_cell(mode: dict[str, Any] | None) -> str:
    if mode is None:
        return ""
    if mode["error"]:
        return "failed"
    if mode["name"] == "default":
        return f"{mode['peak_bytes'] / 1e6:,.0f} MB ({table_text.figure(mode['median_ms'])} ms)"
    mark = "**" if mode["fits"] else ""
    return f"{mark}{mode['peak_share']:.2f}{mark} ({mode['time_ratio']:.2f}x)"


def _programs_of(stored: dict[str, Any]) -> str:
    return _programs(stored["programs"])


def _programs(programs: dict[str, dict[str, dict[str, Any]]]) -> str:
    modes = [mode for mode in _TITLES if any(mode in results for results in programs.values())]
    rows = []
    for program, results in programs.items():
        rows.append([program, *(_cell(mode, results.get(mode)) for mode in modes)])
    return table_text.rows(
        ["median ms a step (speed-up, range)", *(_TITLES[m] for m in modes)], rows
    )


def _cell(mode: str, result: dict[str, Any] | None) -> str:
    if result is None:
        return ""
    if result["error"]:
        return "failed"
    if mode == "default":
        return table_text.figure(result["median_ms"])
    return (
        f"{table_text.figure(result['median_ms'])} (**{result['speedup']:.2f}x**, "
        f"{result['speedup_low']:.2f}-{result['speedup_high']:.2f})"
    )


def _overhead(stored: dict[str, Any]) -> str:
    graphs = stored["graphs"]
    phases = ("parse", "features", "policy", "plan", "rewrite", "verify")
    rows = [[p, *(f"{g['phases_ms'].get(p, 0):.3g}" for g in graphs)] for p in phases]
    for title, key in (
        ("all but the policy", "core_ms"),
        ("TensorFlow's own Grappler", "tensorflow_ms"),
        ("graph, MB", "graph_mb"),
        ("result, MB", "result_mb"),
        ("extra memory, MB", "extra_mb"),
        ("extra memory with the shipped policy's, MB", "policy_mb"),
        ("policy, for four GPUs", "several_ms"),
        ("extra memory meanwhile, MB", "several_mb"),
    ):
        if any(g.get(key) is None for g in graphs):
            continue
        rows.append(
            [title, *(f"{g[key]:,.3g}" if g[key] < 1e3 else f"{g[key]:,.0f}" for g in graphs)]
        )
    head = ["milliseconds a graph", *(f"{g['nodes']:,} nodes" for g in graphs)]
    small = f"\nA graph too small to matter: {stored['small_graph_micros']:.0f} microseconds.\n"
    return table_text.rows(head, rows) + small


def _outputs(compared: list[dict[str, Any]]) -> str:
    rows = []
    for one in sorted(compared, key=lambda one: str(one["program"])):
        trained = one["program"].endswith("-train")
        rows.append(
            [
                one["program"],
                f"{one['grouped_ops']:,} in {one['groups']:,}",
                _number(one["difference"], one["sensitivity"]),
                _number(one["gradient_difference"], one["gradient_sensitivity"]) if trained else "",
            ]
        )
    return table_text.rows(
        ["program", "ops in groups", "outputs (last digit)", "gradients (last digit)"], rows
    )


def _number(difference: float, sensitivity: float) -> str:
    return f"{difference:.0e} ({sensitivity:.0e})"


def main(arguments: list[str]) -> int:
    """Rewrites, or with --check compares; 1 when a page is not up to date."""
    stale = 0
    for path in PAGES:
        page = path.read_text(encoding="utf-8")
        wanted = rendered(page)
        if arguments != ["--check"]:
            path.write_text(wanted, encoding="utf-8")
        elif page != wanted:
            print(f"{path} is not what docs/results say: python build_defs/benchmark_tables.py")
            stale = 1
    return stale


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
