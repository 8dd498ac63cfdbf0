"""The tables of what `grappler-go evaluate` found."""

import dataclasses
import json
import math
import pathlib
import statistics
from typing import Any, NamedTuple

import table_text
from grappler_go_training import policy_results as results


def _lines(path: pathlib.Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def simulated(path: pathlib.Path) -> str:
    """What `evaluate` found: cases are rows, methods columns, means over seeds; below them
    the geometric mean of how much shorter steps are than each other method's."""
    rows = [results.Row(**json.loads(line)) for line in _lines(path)]
    where = " and ".join(dict.fromkeys(row.where for row in rows))
    policies = " and ".join(dict.fromkeys(row.policy for row in rows if row.policy))
    seeds = sorted({row.seed for row in rows})
    plans = " or ".join(f"{plans:,}" for plans in dict.fromkeys(row.plans for row in rows))
    about = (
        f"Policy: {policies}; seeds {', '.join(map(str, seeds))}; {plans} simulated plans for "
        f"each; seconds on {where}.\n\n"
    )
    methods = list(dict.fromkeys(row.method for row in rows))
    means = results.mean_steps(rows)
    seconds: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        seconds.setdefault((row.case, row.method), []).append(row.seconds)
    table = []
    for case in dict.fromkeys(row.case for row in rows):
        default = next(row.default_us for row in rows if row.case == case)
        cells = [
            _step_cell(means.get((case, one)), seconds.get((case, one), [])) for one in methods
        ]
        table.append([case, table_text.figure(default / 1e3), *cells])
    head = ["ms a step (s to plan)", _AS_PLACED, *methods]
    text = about + table_text.rows(head, table) + "\n" + _shorter(_SHORTER, rows, methods)
    judged = [_as_judged(row) for row in rows if row.judge_us and row.judge_default_us]
    return text + "\n" + _shorter(_SHORTER_JUDGED, judged, methods) if judged else text


_SHORTER = "step shorter than with"
_SHORTER_JUDGED = "the same placements, shorter by Grappler's own cost model than with"


def _as_judged(row: results.Row) -> results.Row:
    return dataclasses.replace(row, step_us=row.judge_us, default_us=row.judge_default_us)


_AS_PLACED = "as TensorFlow places it"


def _step_cell(step_us: float | None, seconds: list[float]) -> str:
    if step_us is None:
        return ""
    took = f" ({sum(seconds) / len(seconds):.2g})"
    return (f"{table_text.figure(step_us / 1e3)}" if math.isfinite(step_us) else "OOM") + took


def _shorter(head: str, rows: list[Any], methods: list[str]) -> str:
    """Each of the policy's methods against each of the others, and the best of these."""
    judged, others = _judged(methods)
    shares = _shares(rows)
    table = [
        [other, *(shares.get((one, other), "") for one in judged)]
        for other in (_AS_PLACED, *others, _BEST)
    ]
    return table_text.rows([head, *judged], table)


_BEST = "the best of these"


class _Figure(NamedTuple):
    """How much shorter steps are with a method than with another one."""

    what: str
    file: str
    method: str
    other: str
    paper: str
    target: str


_PLACED, _JOINT = "policy_placement_1000.jsonl", "policy_joint_1000.jsonl"
_LEARNED = "policy_learned.jsonl"
_SEARCHED = results.POLICY_SEARCH
_FIGURES = (
    _Figure(
        "everything together, shorter than as TensorFlow places it",
        *(_JOINT, _SEARCHED, _AS_PLACED, "33 to 60 %", "33 % on each"),
    ),
    _Figure(
        "placement, shorter than human_expert",
        *(_PLACED, _SEARCHED, "human_expert", "20.5 %", "25 %"),
    ),
    _Figure("placement, shorter than HDP", _PLACED, _SEARCHED, "hdp", "18.2 %", "20 %"),
    _Figure(
        "placement, shorter than the best of the baselines",
        *(_PLACED, _SEARCHED, _BEST, "", "5 %, never more than 1 % longer"),
    ),
    _Figure(
        "everything together, shorter than one decision after the other",
        *(_JOINT, _SEARCHED, results.SEQUENTIAL, "7.8 %", "10 %"),
    ),
    _Figure(
        "zero-shot, shorter than GO-one",
        *(_LEARNED, results.ZERO_SHOT, results.GO_ONE, "a little longer", "at most 3 % longer"),
    ),
    _Figure("the same, its first choice alone", _LEARNED, results.POLICY, results.GO_ONE, "", ""),
    _Figure(
        "fine-tuned, shorter than GO-one",
        *(_LEARNED, results.FINE_TUNED, results.GO_ONE, "equal", "shorter"),
    ),
)


def targets(folder: pathlib.Path) -> str:
    """What the files of a folder add up to, beside the paper's figures and what we are after."""
    table = []
    for figure in _FIGURES:
        path = folder / figure.file
        ours = ""
        if path.exists():
            rows = [results.Row(**json.loads(line)) for line in _lines(path)]
            ours = _shares(rows).get((figure.method, figure.other), "")
        table.append([figure.what, figure.paper, figure.target, ours])
    table.append([*_search_time(folder / _PLACED)])
    return table_text.rows(["simulated, in the mean", "the paper", "target", "ours"], table)


def _search_time(path: pathlib.Path) -> tuple[str, str, str, str]:
    """How many times longer HDP took for as many plans, in the mean over cases."""
    text = ("placement, search time against HDP", "15 times less", "30 times less")
    if not path.exists():
        return (*text, "")
    seconds: dict[tuple[str, str], list[float]] = {}
    for line in _lines(path):
        row = results.Row(**json.loads(line))
        seconds.setdefault((row.case, row.method), []).append(row.seconds)
    ratios = [
        statistics.mean(took) / statistics.mean(seconds[case, results.POLICY_SEARCH])
        for (case, method), took in seconds.items()
        if method == "hdp" and (case, results.POLICY_SEARCH) in seconds
    ]
    if not ratios:
        return (*text, "")
    mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
    return (*text, f"{mean:.0f} times less ({min(ratios):.0f} to {max(ratios):.0f})")


def _shares(rows: list[Any]) -> dict[tuple[str, str], str]:
    """By (method, other), over the cases in which both fit, how much shorter a step is in the
    geometric mean, and the least and the most."""
    means = dict(results.mean_steps(rows))
    cases = list(dict.fromkeys(row.case for row in rows))
    methods = list(dict.fromkeys(row.method for row in rows))
    judged, others = _judged(methods)
    for case in cases:
        fits = [
            means[case, one] for one in others if math.isfinite(means.get((case, one), math.inf))
        ]
        if fits:
            means[case, _BEST] = min(fits)
        means[case, _AS_PLACED] = next(row.default_us for row in rows if row.case == case)
    found = {}
    for one in judged:
        for other in (_AS_PLACED, *methods, _BEST):
            ratios = [
                means[case, one] / means[case, other]
                for case in cases
                if all(math.isfinite(means.get((case, k), math.inf)) for k in (one, other))
            ]
            if ratios:
                mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
                found[one, other] = (
                    f"{1 - mean:.1%} ({1 - max(ratios):.1%} to {1 - min(ratios):.1%})"
                )
    return found


def _judged(methods: list[str]) -> tuple[list[str], list[str]]:
    """(methods of a policy and searches like its own, baselines)."""
    own = (*results.METHODS, results.SEARCH, results.SEQUENTIAL)
    return [one for one in methods if one in own], [one for one in methods if one not in own]


def decisions(path: pathlib.Path) -> str:
    """What `evaluate` found when different things were to be decided, by one method: cases are
    rows, columns what was decided; in the end by how much steps are shorter than as TensorFlow
    places them, in the geometric mean."""
    rows = [results.Row(**json.loads(line)) for line in _lines(path)]
    asked = sorted(dict.fromkeys(row.decides for row in rows), key=lambda text: text.count(","))
    means = {text: results.mean_steps([r for r in rows if r.decides == text]) for text in asked}
    default = {row.case: row.default_us for row in rows}
    (method,) = {row.method for row in rows}
    table = []
    logs: dict[str, list[float]] = {text: [] for text in asked}
    for case, as_placed in default.items():
        steps = [means[text].get((case, method), math.nan) for text in asked]
        for text, step in zip(asked, steps, strict=True):
            if math.isfinite(step):
                logs[text].append(math.log(step / as_placed))
        cells = [table_text.figure(step / 1e3) if math.isfinite(step) else "OOM" for step in steps]
        table.append([case, table_text.figure(as_placed / 1e3), *cells])
    shorter = [f"{1 - math.exp(sum(one) / len(one)):.1%}" for one in logs.values()]
    table.append(["shorter, in the mean", "", *shorter])
    about = (
        f"Method: {method}; {' and '.join(dict.fromkeys(row.policy for row in rows))}; "
        f"{rows[0].plans:,} simulated plans; seeds "
        f"{', '.join(map(str, sorted({row.seed for row in rows})))}.\n\n"
    )
    heads = [text.replace(",", ", ") for text in asked]
    return about + table_text.rows(["ms a step", _AS_PLACED, *heads], table)


def ablations(path: pathlib.Path) -> str:
    """What `evaluate` found of runs "<what was left out>-<seed>": each by the geometric mean
    over cases of its first choice's step as a share of that as TensorFlow places it."""
    rows = [results.Row(**json.loads(line)) for line in _lines(path)]
    shares: dict[str, dict[str, list[float]]] = {}
    missed: dict[str, int] = {}
    for row in rows:
        variant, _, seed = row.policy.partition(" ")[0].rpartition("-")
        missed.setdefault(variant, 0)
        of_seed = shares.setdefault(variant, {}).setdefault(seed, [])
        if row.step_us is None or row.out_of_memory:
            missed[variant] += 1
        else:
            of_seed.append(math.log(row.step_us / row.default_us))
    cases = len({row.case for row in rows})
    where = " and ".join(dict.fromkeys(row.where for row in rows))
    table = []
    for variant, by_seed in shares.items():
        means = [math.exp(sum(logs) / len(logs)) for logs in by_seed.values()]
        spread = f"{min(means):.3f} to {max(means):.3f}"
        table.append([variant, f"{sum(means) / len(means):.3f}", spread, str(missed[variant])])
    about = (
        f"{cases} graphs of the validation families; {len(next(iter(shares.values())))} seeds; "
        f"{where}.\n\n"
    )
    head = ["network", "step as a share of that as TensorFlow places it", "by seed", "OOM"]
    return about + table_text.rows(head, table)


def measured(path: pathlib.Path) -> str:
    """What `evaluate --measured` found: programs are rows, methods columns. Of each the time
    as a share of that without a plan, and in brackets the share that was simulated."""
    rows = [results.MeasuredRow(**json.loads(line)) for line in _lines(path)]
    methods = list(dict.fromkeys(row.method for row in rows))
    machines = " and ".join(dict.fromkeys(row.machine for row in rows if row.machine))
    where = " and ".join(dict.fromkeys(row.where for row in rows))
    plans = " or ".join(f"{plans:,}" for plans in dict.fromkeys(row.plans for row in rows))
    policies = " and ".join(dict.fromkeys(row.policy for row in rows if row.policy))
    about = (
        f"Policy: {policies}; {plans} simulated plans for each; costs: {machines}; run on "
        f"{where}.\n\n"
    )
    table = []
    for program in dict.fromkeys(row.program for row in rows):
        of_program = [row for row in rows if row.program == program]
        alone = [row.default_ms for row in of_program if row.default_ms is not None]
        spread = max((row.spread for row in of_program if row.spread is not None), default=0.0)
        cells = [_measured_cell(of_program, method) for method in methods]
        before = table_text.figure(statistics.median(alone)) if alone else ""
        table.append([program, before, *cells, f"{spread:.0%}"])
    means = results.mean_ratios(rows)
    table.append(["geometric mean", "", *(f"{means[method]:.2f}" for method in methods), ""])
    return about + table_text.rows(["program", "on one worker, ms", *methods, "noise"], table)


def _measured_cell(rows: list[Any], method: str) -> str:
    for row in rows:
        if row.method == method:
            if row.ratio is None:
                return "failed"
            return f"{row.ratio:.2f} ({row.simulated_ms / row.simulated_default_ms:.2f})"
    return ""
