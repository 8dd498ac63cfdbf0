"""The tables of what `grappler-go evaluate` found."""

import json
import math
import pathlib
import statistics
from typing import Any

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
    return about + table_text.rows(head, table) + "\n" + _shorter(rows, methods, means)


_AS_PLACED = "as TensorFlow places it"


def _step_cell(step_us: float | None, seconds: list[float]) -> str:
    if step_us is None:
        return ""
    took = f" ({sum(seconds) / len(seconds):.2g})"
    return (f"{table_text.figure(step_us / 1e3)}" if math.isfinite(step_us) else "OOM") + took


def _shorter(rows: list[Any], methods: list[str], means: dict[tuple[str, str], float]) -> str:
    """Each of the policy's methods against each of the others, and the best of these."""
    own = (*results.METHODS, results.SEARCH, results.SEQUENTIAL)
    judged = [one for one in methods if one in own]
    others = [one for one in methods if one not in judged]
    cases = list(dict.fromkeys(row.case for row in rows))
    means = dict(means)
    for case in cases:
        fits = [
            means[case, one] for one in others if math.isfinite(means.get((case, one), math.inf))
        ]
        if fits:
            means[case, "the best of these"] = min(fits)
        means[case, _AS_PLACED] = next(row.default_us for row in rows if row.case == case)
    table = []
    for other in [_AS_PLACED, *others, "the best of these"]:
        row = [other]
        for one in judged:
            ratios = [
                means[case, one] / means[case, other]
                for case in cases
                if all(math.isfinite(means.get((case, k), math.inf)) for k in (one, other))
            ]
            if not ratios:
                row.append("")
                continue
            mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
            row.append(f"{1 - mean:.1%} ({1 - max(ratios):.1%} to {1 - min(ratios):.1%})")
        table.append(row)
    return table_text.rows(["step shorter than with", *judged], table)


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
