"""Results as a bar chart. Needs matplotlib: pip install grappler-go[chart]."""

import os
from collections.abc import Mapping

from grappler_go.bench.harness import Result

TITLES = {
    "default": "TensorFlow",
    "jit": "jit_compile=True",
    "auto": "auto-clustering",
    "ours": "grappler-go",
    "tuned": "grappler-go, tuned",
    "kept": "TensorFlow, memory kept",
    "given_back": "grappler-go, not kept",
}
_COLORS = {"jit": "#9aa5b1", "auto": "#cbd2d9", "ours": "#2f6fed", "tuned": "#12b886"}
_COLORS |= {"kept": "#7b8794", "given_back": "#91b4f7"}
_TICKS = (0.02, 0.05, 0.1, 0.2, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10)
_MARKERS = {"jit": ("x", "#7b8794"), "auto": ("+", "#7b8794"), "tuned": ("D", _COLORS["tuned"])}


def draw_relative(
    rows: Mapping[str, Mapping[str, float]], path: str | os.PathLike[str], label: str
) -> None:
    """A row of points for each program, one for each of its numbers, by name.

    Args:
      rows: program -> name -> a ratio; 1 is marked.
      path: where the picture goes; its ending says what kind.
      label: of the axis.

    Raises:
      ImportError: no matplotlib.
      OSError, ValueError: the file cannot be written, or is of no known kind.
    """
    import matplotlib
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(name for numbers in rows.values() for name in numbers))
    colors = matplotlib.colormaps["tab20"]
    markers = "osD^v<>P*X"
    figure = Figure(figsize=(8, 1.6 + 0.3 * len(rows)), layout="constrained")
    axes = figure.subplots()
    for k, name in enumerate(names):
        points = [(row[name], y) for y, row in enumerate(rows.values()) if name in row]
        axes.scatter(
            [x for x, _ in points],
            [y for _, y in points],
            s=24,
            marker=markers[k % len(markers)],
            color=colors(k % 20),
            label=name,
        )
    axes.axvline(1.0, color="black", linewidth=0.8)
    axes.set_yticks(range(len(rows)), list(rows))
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    low, high = axes.get_xlim()
    if high < 10 * low:  # else the powers of ten are enough
        axes.xaxis.set_minor_formatter("{x:g}")
    axes.set_xlabel(label)
    axes.grid(axis="y", linewidth=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper center", ncols=4, frameon=False, fontsize=8)
    figure.savefig(path, dpi=150, bbox_inches="tight")


def draw(
    programs: Mapping[str, Mapping[str, Result]], path: str | os.PathLike[str], note: str
) -> None:
    """Speed-ups over TensorFlow's default, a group of bars for each program.

    Args:
      programs: program -> mode -> result; failed modes have no bar.
      path: where the picture goes; its ending says what kind.
      note: one line below the picture, such as the machine.

    Raises:
      ImportError: no matplotlib.
      OSError, ValueError: the file cannot be written, or is of no known kind.
    """
    from matplotlib.figure import Figure

    modes = [mode for mode in _COLORS if any(mode in results for results in programs.values())]
    height = 0.8 / max(1, len(modes))
    figure = Figure(figsize=(8, 1.2 + 0.35 * len(modes) * len(programs)), layout="constrained")
    axes = figure.subplots()
    for place, mode in enumerate(modes):
        for row, results in enumerate(programs.values()):
            result = results.get(mode)
            if result is None or result.error or not result.speedup:
                continue
            y = row + (place - (len(modes) - 1) / 2) * height
            spread = [
                [max(0.0, result.speedup - result.speedup_low)],
                [max(0.0, result.speedup_high - result.speedup)],
            ]
            axes.barh(
                y,
                result.speedup,
                height * 0.9,
                xerr=spread,
                color=_COLORS[mode],
                error_kw={"elinewidth": 0.8, "ecolor": "#52606d", "capsize": 2},
                label=TITLES[mode] if row == 0 else None,
            )
            label = f" {result.speedup:.2f}x"
            axes.text(result.speedup_high, y, label, va="center", fontsize=8)
    axes.axvline(1.0, color="black", linewidth=0.8)
    axes.set_yticks(range(len(programs)), list(programs))
    axes.invert_yaxis()
    axes.set_xlim(left=0)
    axes.margins(x=0.12)
    axes.set_xlabel("speed-up over TensorFlow's default (median and range of the rounds)")
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper center", ncols=3, frameon=False, fontsize=8)
    figure.text(0.99, -0.02, note, ha="right", va="top", fontsize=7, color="#52606d")
    figure.savefig(path, dpi=150, bbox_inches="tight")


def draw_gains(
    programs: Mapping[str, Mapping[str, Result]], path: str | os.PathLike[str], note: str
) -> None:
    """Speed-ups over TensorFlow's default, sorted by ours: a bar for ours, marks for the
    others, on a logarithmic axis.

    Args:
      programs: program -> mode -> result; a program without ours has no row, and failed
        modes have no mark.
      path: where the picture goes; its ending says what kind.
      note: one line below the picture, such as the machine.

    Raises:
      ImportError: no matplotlib.
      OSError, ValueError: the file cannot be written, or is of no known kind.
    """
    from matplotlib.figure import Figure

    def speedup(program: str, mode: str) -> float:
        result = programs[program].get(mode)
        return 0.0 if result is None or result.error else result.speedup

    names = sorted(
        (program for program in programs if speedup(program, "ours") > 0),
        key=lambda program: speedup(program, "ours"),
        reverse=True,
    )
    figure = Figure(figsize=(8, 1.6 + 0.22 * len(names)), layout="constrained")
    axes = figure.subplots()
    # A bar from 1 to the speed-up: to the left where ours is slower.
    axes.barh(
        range(len(names)),
        [speedup(program, "ours") - 1.0 for program in names],
        0.7,
        left=1.0,
        color=_COLORS["ours"],
        label=TITLES["ours"],
    )
    for mode, (marker, color) in _MARKERS.items():
        points = [(s, y) for y, name in enumerate(names) if (s := speedup(name, mode)) > 0]
        if points:
            xs, ys = zip(*points, strict=True)
            axes.scatter(xs, ys, s=28, color=color, marker=marker, label=TITLES[mode])
    axes.axvline(1.0, color="black", linewidth=0.8)
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.invert_yaxis()
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    ticks = [tick for tick in _TICKS if low <= tick <= high]
    axes.set_xticks(ticks, [f"{tick:g}x" for tick in ticks])
    axes.minorticks_off()
    axes.set_xlabel("speed-up over TensorFlow's default (median of the rounds)")
    axes.grid(axis="x", linewidth=0.3)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper center", ncols=4, frameon=False, fontsize=8)
    figure.text(0.99, -0.02, note, ha="right", va="top", fontsize=7, color="#52606d")
    figure.savefig(path, dpi=150, bbox_inches="tight")
