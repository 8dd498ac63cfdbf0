"""Writes the tables of README.md and docs/benchmarks.md from docs/results.

    python build_defs/benchmark_tables.py          # rewrites them
    python build_defs/benchmark_tables.py --check  # fails if they are not up to date

A table stands between `<!-- table: FILE -->` and `<!-- end -->`; FILE is what
`grappler-go bench --save` wrote, `bench overhead`, `bench simulator`, `bench fidelity` and
`bench memory` among them, or `bench outputs --out`.
Between `<!-- section: FILE -->` and `<!-- end -->` stands a whole section, about what
`bench baselines --out` wrote, and between `<!-- placement: FILE -->` and `<!-- end -->` a
few rows of that; nothing as long as there is no such file.
"""

import json
import pathlib
import re
import sys
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = (ROOT / "README.md", DOCS / "benchmarks.md")
_TITLES = {"default": "TensorFlow", "jit": "jit", "auto": "auto", "ours": "grappler-go"}
_TABLE = re.compile(r"(<!-- table: (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)
_SECTION = re.compile(r"(<!-- section: (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)
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
    return _rows(["ms a step (s to plan)", *names], rows)


def _placed(cells: list[dict[str, Any]]) -> str:
    if not cells:
        return ""
    if any(cell["error"] for cell in cells):
        return "failed"
    seconds = sum(cell["seconds"] for cell in cells) / len(cells)
    if any(cell["out_of_memory"] for cell in cells):
        return f"OOM ({seconds:.2g})"
    step = sum(cell["step_ms"] for cell in cells) / len(cells)
    return f"{_figure(step)} ({seconds:.2g})"


def _table(name: str) -> str:
    path = DOCS / "results" / name
    if path.suffix == ".jsonl":
        lines = path.read_text(encoding="utf-8").splitlines()
        return _outputs([json.loads(line) for line in lines])
    stored = json.loads(path.read_text(encoding="utf-8"))
    for key, table in (
        ("graphs", _overhead),
        ("simulator", _simulator),
        ("fidelity", _fidelity),
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


def _rows(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _simulator(stored: dict[str, Any]) -> str:
    head = [
        *("machine", "ops", "a plan, ms"),
        *("plans/s on one core", "plans/s on all"),
    ]
    rows = [
        [
            f"{one['machine']} ({_count(one['devices'], 'device')})",
            f"{one['ops']:,}",
            *(_figure(one[key]) for key in ("one_ms", "plans_per_s")),
            f"{_figure(one['batch_per_s'])} on {_count(one['cores'], 'core')}",
        ]
        for one in stored["simulator"]
    ]
    return _rows(head, rows)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _fidelity(stored: dict[str, Any]) -> str:
    head = [
        *("program", "plans", "Spearman", "pairs in order", "time", "ratio", "peak"),
        *("above variables", "Grappler's pairs", "same as ours", "noise"),
    ]
    keys = (
        *("pairs_right", "time_error", "ratio_error", "memory_error", "above_resident_error"),
        *("judge_right", "judge_agrees", "spread"),
    )
    rows = [
        [
            one["program"] + ("" if one["kind"] == "one_process" else ", two workers"),
            f"{one['plans']} of {one['plans'] + one['failed']}",
            "" if one["spearman"] is None else f"{one['spearman']:.2f}",
            *("" if one[key] is None else f"{one[key]:.0%}" for key in keys),
        ]
        for one in stored["fidelity"]
    ]
    return f"Costs: {stored['machine']}.\n\n" + _rows(head, rows)


def _memory(stored: dict[str, Any]) -> str:
    """Programs are rows; of each mode the measured share of the peak and the time."""
    compared = [one for one in stored["memory"] if not one["error"]]
    names = list(dict.fromkeys(mode["name"] for one in compared for mode in one["modes"]))
    names.sort(key=_MEMORY_MODES.index)
    rows = []
    for one in compared:
        modes = {mode["name"]: mode for mode in one["modes"]}
        rows.append([one["program"], *(_memory_cell(modes.get(name)) for name in names)])
    return _rows(["peak (step time)", *names], rows)


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
        return f"{mode['peak_bytes'] / 1e6:,.0f} MB ({_figure(mode['median_ms'])} ms)"
    mark = "**" if mode["fits"] else ""
    return f"{mark}{mode['peak_share']:.2f}{mark} ({mode['time_ratio']:.2f}x)"


def _programs_of(stored: dict[str, Any]) -> str:
    return _programs(stored["programs"])


def _programs(programs: dict[str, dict[str, dict[str, Any]]]) -> str:
    modes = [mode for mode in _TITLES if any(mode in results for results in programs.values())]
    rows = []
    for program, results in programs.items():
        rows.append([program, *(_cell(mode, results.get(mode)) for mode in modes)])
    return _rows(["median ms a step (speed-up, range)", *(_TITLES[m] for m in modes)], rows)


def _cell(mode: str, result: dict[str, Any] | None) -> str:
    if result is None:
        return ""
    if result["error"]:
        return "failed"
    if mode == "default":
        return _figure(result["median_ms"])
    return (
        f"{_figure(result['median_ms'])} (**{result['speedup']:.2f}x**, "
        f"{result['speedup_low']:.2f}-{result['speedup_high']:.2f})"
    )


def _figure(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


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
    ):
        rows.append(
            [title, *(f"{g[key]:,.3g}" if g[key] < 1e3 else f"{g[key]:,.0f}" for g in graphs)]
        )
    head = ["milliseconds a graph", *(f"{g['nodes']:,} nodes" for g in graphs)]
    small = f"\nA graph too small to matter: {stored['small_graph_micros']:.0f} microseconds.\n"
    return _rows(head, rows) + small


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
    return _rows(
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
