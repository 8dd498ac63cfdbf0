"""When the ops and transfers of a simulated step ran: as arrays, as a trace for
Perfetto, as a picture."""

import dataclasses
import json
import os
import pathlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from grappler_go._core import OpGraph

_COLORS = {
    "forward": "#2f6fed",
    "backward": "#9aa5b1",
    "group": "#27ab83",
    "clone": "#e9b949",
    "transfer": "#cf1124",
}


@dataclasses.dataclass(frozen=True)
class Timeline:
    """Every task and transfer of a simulated step, in the order in which they ended.

    Attributes:
      graph: what ran.
      devices: names of the machine's devices.
      tasks: columns, each [num_tasks]: op (a group's first), group (-1: not one),
        run (in a loop: which), is_clone, device, start and end (microseconds). What
        takes no time (constants, views) is left out.
      transfers: columns, each [num_transfers]: op and port (the tensor; port -1: a
        control edge), src and dst (devices), bytes, start and end (microseconds).
    """

    graph: "OpGraph"
    devices: tuple[str, ...]
    tasks: Mapping[str, npt.NDArray[Any]]
    transfers: Mapping[str, npt.NDArray[Any]]

    def to_chrome_trace(self, path: str | os.PathLike[str]) -> None:
        """Writes the trace event format, for ui.perfetto.dev or chrome://tracing: a
        process for each device and for the links, a thread for each op running side
        by side.

        https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU

        Raises:
          OSError: the file cannot be written.
        """
        trace = {"traceEvents": list(self._events()), "displayTimeUnit": "ms"}
        pathlib.Path(path).write_text(json.dumps(trace), encoding="utf-8")

    def _events(self) -> Iterator[dict[str, Any]]:
        links = self._links()
        for pid, name in enumerate([*self.devices, "links"]):
            yield {"ph": "M", "pid": pid, "name": "process_name", "args": {"name": name}}
            yield {"ph": "M", "pid": pid, "name": "process_sort_index", "args": {"sort_index": pid}}
        for tid, (src, dst) in enumerate(links):
            name = f"{_short(self.devices[src])} to {_short(self.devices[dst])}"
            yield {
                "ph": "M",
                "pid": len(self.devices),
                "tid": tid,
                "name": "thread_name",
                "args": {"name": name},
            }
        names, ops = self.graph.names, self.graph.ops
        kinds = self.kinds()
        columns = {name: values.tolist() for name, values in self.tasks.items()}
        for k, lane in enumerate(self.lanes().tolist()):
            op, group = columns["op"][k], columns["group"][k]
            args = {"op": ops[op], "run": columns["run"][k], "kind": kinds[k]}
            if group >= 0:
                args["group"] = group
            yield {
                "ph": "X",
                "pid": columns["device"][k],
                "tid": lane,
                "ts": columns["start"][k],
                "dur": columns["end"][k] - columns["start"][k],
                "name": f"group {group} ({names[op]}, ...)" if group >= 0 else names[op],
                "cat": kinds[k],
                "args": args,
            }
        columns = {name: values.tolist() for name, values in self.transfers.items()}
        for k, op in enumerate(columns["op"]):
            port = columns["port"][k]
            yield {
                "ph": "X",
                "pid": len(self.devices),
                "tid": links[columns["src"][k], columns["dst"][k]],
                "ts": columns["start"][k],
                "dur": columns["end"][k] - columns["start"][k],
                "name": f"^{names[op]}" if port < 0 else f"{names[op]}:{port}",
                "cat": "transfer",
                "args": {"bytes": columns["bytes"][k]},
            }

    def kinds(self) -> list[str]:
        """Of each task: "forward", "backward", "group" or "clone"."""
        backward = self.graph.flags & self.graph.flag_names()["backward"]
        kinds = np.where(backward[self.tasks["op"]] != 0, "backward", "forward")
        kinds = np.where(self.tasks["group"] >= 0, "group", kinds)
        return list(np.where(self.tasks["is_clone"] != 0, "clone", kinds).tolist())

    def lanes(self) -> npt.NDArray[np.int32]:
        """Of each task: a number, of its device, such that tasks with the same one do
        not overlap; the lowest that is free when the task starts."""
        lanes = np.zeros(len(self.tasks["op"]), np.int32)
        free_from: dict[int, list[float]] = {}
        starts = self.tasks["start"].tolist()
        ends = self.tasks["end"].tolist()
        devices = self.tasks["device"].tolist()
        for k in np.lexsort((self.tasks["end"], self.tasks["start"])).tolist():
            of_device = free_from.setdefault(devices[k], [])
            lane = next((i for i, free in enumerate(of_device) if free <= starts[k]), None)
            if lane is None:
                lane = len(of_device)
                of_device.append(0.0)
            of_device[lane] = ends[k]
            lanes[k] = lane
        return lanes

    def _links(self) -> dict[tuple[int, int], int]:
        """The links in use, numbered."""
        pairs = zip(self.transfers["src"].tolist(), self.transfers["dst"].tolist(), strict=True)
        return {pair: number for number, pair in enumerate(sorted(set(pairs)))}

    def draw(self, path: str | os.PathLike[str], title: str = "") -> None:
        """Draws a row for each device and one for each link in use.

        Args:
          path: where the picture goes; its ending says what kind.
          title: a line above it.

        Raises:
          ImportError: no matplotlib; pip install grappler-go[chart].
          OSError, ValueError: the file cannot be written, or is of no known kind.
        """
        from matplotlib.figure import Figure
        from matplotlib.patches import Patch

        links = self._links()
        rows = len(self.devices) + len(links)
        figure = Figure(figsize=(10, 1.2 + 0.45 * rows), layout="constrained")
        axes = figure.subplots()
        used = self._draw_tasks(axes) + self._draw_transfers(axes, links)
        labels = [_short(name) for name in self.devices]
        labels += [f"{_short(self.devices[a])} to {_short(self.devices[b])}" for a, b in links]
        axes.set_yticks(range(rows), labels)
        axes.set_ylim(rows - 0.5, -0.5)
        axes.set_xlim(left=0)
        axes.set_xlabel("milliseconds")
        axes.spines[["top", "right"]].set_visible(False)
        figure.legend(
            handles=[Patch(color=_COLORS[kind], label=kind) for kind in _COLORS if kind in used],
            loc="outside upper center",
            ncols=len(_COLORS),
            frameon=False,
            fontsize=8,
        )
        if title:
            figure.text(0.99, -0.02, title, ha="right", va="top", fontsize=7, color="#52606d")
        figure.savefig(path, dpi=150, bbox_inches="tight")

    def _draw_tasks(self, axes: "Axes") -> list[str]:
        kinds, lanes = np.array(self.kinds()), self.lanes()
        for device in range(len(self.devices)):
            here = self.tasks["device"] == device
            height = 0.8 / max(1, int(lanes[here].max(initial=0)) + 1)
            for kind in _COLORS:
                for lane in np.unique(lanes[here & (kinds == kind)]).tolist():
                    some = here & (kinds == kind) & (lanes == lane)
                    low = device - 0.4 + lane * height
                    _draw_bars(axes, self.tasks, some, low, height, _COLORS[kind])
        return sorted(set(kinds.tolist()))

    def _draw_transfers(self, axes: "Axes", links: Mapping[tuple[int, int], int]) -> list[str]:
        for (src, dst), number in links.items():
            some = (self.transfers["src"] == src) & (self.transfers["dst"] == dst)
            low = len(self.devices) + number - 0.2
            _draw_bars(axes, self.transfers, some, low, 0.4, _COLORS["transfer"])
        return ["transfer"] if links else []


def _draw_bars(
    axes: "Axes",
    spans: Mapping[str, npt.NDArray[Any]],
    which: npt.NDArray[np.bool_],
    low: float,
    height: float,
    color: str,
) -> None:
    start, end = spans["start"][which] / 1e3, spans["end"][which] / 1e3
    bars = list(zip(start.tolist(), (end - start).tolist(), strict=True))
    axes.broken_barh(bars, (low, height * 0.95), facecolors=color, linewidth=0)


def _short(device: str) -> str:
    """ "/job:worker/replica:0/task:1/device:CPU:0" -> "worker/1/CPU:0"; the local
    job's devices without a job."""
    parts = dict(part.split(":", 1) for part in device.strip("/").split("/"))
    name = parts.get("device", device)
    if parts.get("job", "localhost") == "localhost":
        return name
    return f"{parts['job']}/{parts.get('task', '0')}/{name}"
