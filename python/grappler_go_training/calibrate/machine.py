"""From timings to a machine file that the simulator and the pass read."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.optimize

from grappler_go import native
from grappler_go_training.calibrate import fit, op_cases, session

if TYPE_CHECKING:
    from grappler_go import Machine

# Cases this long say what rates the machine reaches; shorter ones are mostly dispatch.
_LONG_MICROS = 50.0
_COMMAND = "grappler-go calibrate"


def machine_of(timings: session.Timings) -> "Machine":
    """The machine that was timed, with a calibration for each of its devices.

    Args:
      timings: of a whole machine, or with hops, and then the machine has two workers.

    Raises:
      ValueError: too few cases were timed to fit anything.
    """
    cases = {case.label: case for case in op_cases.all_cases()}
    timed = [cases[sample.label] for sample in timings.samples]
    if not timed:
        raise ValueError("no op case was timed; the reasons: " + _reasons(timings.failed))
    work = [fit.work_of(case) for case in timed]
    model = fit.fit(timed, timings.samples)
    device = {
        "type": "CPU",
        "memory_bytes": timings.about["memory_bytes"],
        "cores": timings.about["cores"],
        "calibration": _calibration(timings, model),
        **_rates(work, [sample.tf_micros for sample in timings.samples]),
    }
    names = ["/job:localhost/replica:0/task:0/device:CPU:0"]
    links: list[dict[str, Any]] = []
    if timings.hops:
        names = [f"/job:worker/replica:0/task:{task}/device:CPU:0" for task in (0, 1)]
        link = _link(timings.hops)
        links = [{"src": a, "dst": b, **link} for a, b in ((0, 1), (1, 0))]
    command = f"{_COMMAND} --workers=2" if timings.hops else _COMMAND
    about = timings.about
    return native.core().Machine(
        f"{about['cpu']}, {about['cores']} cores"
        if not timings.hops
        else f"two workers of one core each, {about['cpu']}",
        devices=[{"name": name, **device} for name in names],
        links=links,
        sources={
            "calibration": f"timed by {command} under TensorFlow {about['tensorflow']}",
            **_steadiness(timings),
            "gflops": "the most that any timed op reached",
            "gbytes_per_s": "the most that an element-wise op beyond the cache reached",
            "achieved": "the median of the timed ops' shares of that, for ops that were not timed",
            **({"links": f"timed by {command}, over loopback"} if timings.hops else {}),
        },
    )


def _steadiness(timings: session.Timings) -> dict[str, str]:
    if not timings.watched:
        return {}
    times, most = len(timings.watched), timings.unsteadiness
    return {
        "steadiness": f"one product, timed {times} times meanwhile, "
        f"took up to {most:.2f} times its quickest"
    }


def _calibration(timings: session.Timings, model: fit.CostModel) -> dict[str, Any]:
    about = timings.about
    return {
        "cpu": about["cpu"],
        "cores": about["cores"],
        "tensorflow": about["tensorflow"],
        "new_us_per_mb": timings.memory["new"],
        "cold_read_us_per_mb": timings.memory["cold_read"],
        "group_launch_us": timings.launch["group_launch_micros"],
        "group_tensor_us": timings.launch["group_tensor_micros"],
        "group_output_us_per_mb": timings.launch["group_output_micros_per_mb"],
        "ops": _tables(model.by_op),
        "classes": _tables(model.by_class),
    }


def _tables(tables: Mapping[str, np.ndarray]) -> dict[str, Any]:
    return {
        name: {"executor": _rounded(table[0]), "group": _rounded(table[1])}
        for name, table in sorted(tables.items())
    }


def _rounded(terms: np.ndarray) -> list[float]:
    return [float(f"{term:.5g}") for term in terms]


def _rates(work: Sequence[fit.Work], micros: Sequence[float]) -> dict[str, Any]:
    """Peak rates, and what share of the nearer one the median op reaches."""
    long = [(w, m) for w, m in zip(work, micros, strict=True) if m >= _LONG_MICROS]
    if not long:
        return {"gflops": 1.0, "gbytes_per_s": 1.0}
    gflops = max(1e-3, *(w.flops / m / 1e3 for w, m in long))
    # What fits into a cache, or is a view of its input, says nothing of memory.
    streaming = [
        w.bytes_moved / m / 1e3
        for w, m in long
        if w.op_class == "elementwise" and w.bytes_moved > fit.CACHE_BYTES
    ]
    gbytes = max(1e-3, *streaming) if streaming else 1.0
    shares = [max(w.flops / m / 1e3 / gflops, w.bytes_moved / m / 1e3 / gbytes) for w, m in long]
    share = min(1.0, max(0.01, float(np.median(shares))))
    return {
        "gflops": round(gflops, 1),
        "gbytes_per_s": round(gbytes, 1),
        "achieved": {"default": {"gflops": share, "gbytes_per_s": share}},
    }


def _link(hops: Sequence[tuple[int, float, float]]) -> dict[str, float]:
    """Latency and bandwidth, and what either end's processors are busy with."""
    megabytes = [4e-6 * elements for elements, _, _ in hops]
    latency, per_megabyte = _line(megabytes, [micros for _, micros, _ in hops])
    cpu, cpu_per_megabyte = _line(megabytes, [micros for _, _, micros in hops])
    return {
        "latency_us": round(latency, 2),
        "gbytes_per_s": round(1e3 / max(per_megabyte, 0.1), 3),
        "cpu_us": round(cpu, 2),
        "cpu_us_per_mb": round(cpu_per_megabyte, 2),
    }


def _line(megabytes: Sequence[float], micros: Sequence[float]) -> tuple[float, float]:
    """(at none, for each), by non-negative least squares on relative errors."""
    values = np.maximum(micros, 0.1)
    design = np.stack([np.ones(len(values)), np.asarray(megabytes)], 1)
    found, _ = scipy.optimize.nnls(design / values[:, None], np.ones(len(values)))
    return float(found[0]), float(found[1])


def _reasons(failed: Mapping[str, str]) -> str:
    return "; ".join(sorted(set(failed.values()))[:3]) or "none"
