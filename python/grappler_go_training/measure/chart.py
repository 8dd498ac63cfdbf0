"""Measured against simulated, as a scatter plot."""

import os
from collections.abc import Sequence

from grappler_go_training.measure.agreement import Row

_MARKERS = {"one_process": "o", "cluster": "^"}


def draw(rows: Sequence[Row], path: str | os.PathLike[str], note: str) -> None:
    """Time and peak memory, a dot for each plan, a colour for each program.

    Args:
      rows: those that failed have no dot.
      path: where the picture goes; its ending says what kind.
      note: one line below the picture.

    Raises:
      ImportError: no matplotlib.
      OSError, ValueError: the file cannot be written, or is of no known kind.
    """
    import matplotlib
    from matplotlib.figure import Figure

    good = [row for row in rows if row.error is None]
    programs = list(dict.fromkeys(row.program for row in good))
    colors = matplotlib.colormaps["tab20"]
    figure = Figure(figsize=(10, 5), layout="constrained")
    for axes, title, xs, ys in zip(
        figure.subplots(1, 2),
        ("milliseconds of a step", "peak memory, MB"),
        ([row.ms for row in good], [row.peak_bytes / 1e6 for row in good]),
        ([row.simulated_ms for row in good], [row.simulated_peak_bytes / 1e6 for row in good]),
        strict=True,
    ):
        for row, x, y in zip(good, xs, ys, strict=True):
            color = colors(programs.index(row.program) % 20)
            axes.scatter(x, y, s=14, alpha=0.7, color=color, marker=_MARKERS[row.kind])
        if good:
            ends = [min(*xs, *ys), max(*xs, *ys)]
            axes.plot(ends, ends, color="black", linewidth=0.8, zorder=0)
            axes.set_xscale("log")
            axes.set_yscale("log")
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("measured")
        axes.set_ylabel("simulated")
        axes.spines[["top", "right"]].set_visible(False)
    for number, program in enumerate(programs):
        figure.axes[0].scatter([], [], s=14, color=colors(number % 20), label=program)
    figure.axes[0].scatter([], [], s=14, color="gray", marker="^", label="(two workers)")
    figure.legend(loc="outside right center", frameon=False, fontsize=8)
    figure.text(0.99, -0.02, note, ha="right", va="top", fontsize=7, color="#52606d")
    figure.savefig(path, dpi=150, bbox_inches="tight")
