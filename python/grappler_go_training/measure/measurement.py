"""What measuring one plan gave, and a folder that keeps it."""

import dataclasses
import hashlib
import json
import os
import pathlib
import statistics
from typing import TYPE_CHECKING, Any

from grappler_go.bench import environment

if TYPE_CHECKING:
    from grappler_go import Plan

# Raise it when what a stored measurement means changes.
_CACHE_VERSION = 1


@dataclasses.dataclass(frozen=True)
class Measurement:
    """One plan, run.

    Attributes:
      error: why there are no numbers; None when there are.
      median_ms: of the readings.
      readings_ms: milliseconds a step, each the mean of some steps in a row.
      reference_readings_ms: the same graph without the plan, read in turns with it in the
        same process. As many.
      first_step_ms: the first step under the plan: Grappler and compilation included.
      peak_bytes: by device, what TensorFlow's allocator held at most during a step:
        variables and arguments, and what the step took above them. What XLA's compiled
        code and oneDNN keep outside of the allocator is not in it.
      resident_bytes: by device, what was there before the step.
    """

    error: str | None = None
    median_ms: float = 0.0
    readings_ms: tuple[float, ...] = ()
    reference_readings_ms: tuple[float, ...] = ()
    first_step_ms: float = 0.0
    peak_bytes: dict[str, int] = dataclasses.field(default_factory=dict)
    resident_bytes: dict[str, int] = dataclasses.field(default_factory=dict)

    @property
    def reference_ms(self) -> float:
        """Median of the readings without the plan; 0 when there are none."""
        return statistics.median(self.reference_readings_ms) if self.reference_readings_ms else 0.0

    @property
    def ratio(self) -> float:
        """Median over the turns of (with the plan / without it): less than 1 is faster.
        What disturbs the machine for longer than a turn cancels out. 0 without readings."""
        turns = zip(self.readings_ms, self.reference_readings_ms, strict=True)
        ratios = [with_plan / without for with_plan, without in turns]
        return statistics.median(ratios) if ratios else 0.0

    @property
    def total_peak_bytes(self) -> int:
        """Of all devices together."""
        return sum(self.peak_bytes.values())

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Measurement":
        """The reverse of to_dict().

        Raises:
          TypeError: there are fields that a measurement does not have.
        """
        for name in ("readings_ms", "reference_readings_ms"):
            values = {**values, name: tuple(values.get(name, ()))}
        return cls(**values)


class Cache:
    """Measurements in a folder, one file each, by everything that they depend on: the
    program, the plan's decisions, how it was run, the machine and TensorFlow's version.
    Failures are not kept: a worker may have died of something that is gone.

    Args:
      folder: made if missing; None: nothing is kept.
    """

    def __init__(self, folder: str | os.PathLike[str] | None) -> None:
        self._folder = None if folder is None else pathlib.Path(folder)
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True)
        where = environment.describe()
        self._where = [where[key] for key in ("cpu", "cores", "tensorflow")]

    def key(self, program: str, plan: "Plan | None", **how: Any) -> str:
        """Equal for what gives the same measurement."""
        told = [_CACHE_VERSION, program, _decisions(plan), how, self._where]
        text = json.dumps(told, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def get(self, key: str) -> Measurement | None:
        """None: not measured yet, or the file was cut off."""
        if self._folder is None:
            return None
        try:
            text = (self._folder / f"{key}.json").read_text(encoding="utf-8")
            return Measurement.from_dict(json.loads(text))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def put(self, key: str, measurement: Measurement) -> None:
        """Keeps it, unless it is a failure."""
        if self._folder is None or measurement.error is not None:
            return
        draft = self._folder / f".{key}.{os.getpid()}"
        draft.write_text(json.dumps(measurement.to_dict()) + "\n", encoding="utf-8")
        draft.replace(self._folder / f"{key}.json")


def _decisions(plan: "Plan | None") -> dict[str, Any]:
    """What a plan decides; not who made it, for which machine, and what it predicts."""
    if plan is None or plan.empty:
        return {}
    arrays = {name: getattr(plan, name) for name in ("device", "fusion_group", "recompute")}
    told: dict[str, Any] = {k: v.tolist() for k, v in arrays.items() if v is not None}
    return {
        **told,
        "graph": plan.fingerprint,
        "devices": list(plan.devices),
        "order": sorted(plan.order),
    }
