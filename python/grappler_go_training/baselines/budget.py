"""How much a baseline may spend, and the judge that keeps count."""

import dataclasses
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import grappler_go

if TYPE_CHECKING:
    from grappler_go import Machine, OpGraph, Plan, Simulation

# What a byte too many costs: a step that needs twice the memory of a device counts
# as eleven times as long, so that a search is led back to plans that fit.
_OVERFLOW_PENALTY = 10.0


@dataclasses.dataclass(frozen=True)
class Budget:
    """What one baseline may spend on one graph.

    Attributes:
      plans: plans that may be simulated.
      seconds: seconds after which no further plan is simulated; None: no limit. A
        search that runs into it is not repeatable. Algorithms that simulate nothing
        or a fixed number of plans are not interrupted.
    """

    plans: int = 200
    seconds: float | None = None

    def __post_init__(self) -> None:
        if self.plans < 0:
            raise ValueError(f"a budget of {self.plans} plans: expected 0 or more")
        if self.seconds is not None and not self.seconds >= 0:
            raise ValueError(f"a budget of {self.seconds} seconds: expected 0 or more")


class Judge:
    """Simulates plans until the budget is spent.

    Attributes:
      spent: plans simulated so far.
    """

    def __init__(self, graph: "OpGraph", machine: "Machine", budget: Budget) -> None:
        self._graph = graph
        self._machine = machine
        self._budget = budget
        self._started = time.monotonic()
        self.spent = 0

    @property
    def left(self) -> int:
        """Plans that may still be simulated."""
        seconds = self._budget.seconds
        if seconds is not None and time.monotonic() - self._started >= seconds:
            return 0
        return self._budget.plans - self.spent

    def simulate(self, plans: "Sequence[Plan]") -> "list[Simulation]":
        """The first `left` of the plans, simulated."""
        within = plans[: self.left]
        self.spent += len(within)
        return grappler_go.simulate_plans(self._graph, within, self._machine)

    def energies(self, plans: "Sequence[Plan]") -> list[float]:
        """energy() of the first `left` of the plans."""
        return [energy(simulation) for simulation in self.simulate(plans)]


def energy(simulation: "Simulation") -> float:
    """What searches minimise: milliseconds of the step, more where memory is short."""
    overflow = sum(
        max(0, device.peak_bytes - device.memory_bytes) / device.memory_bytes
        for device in simulation.devices
        if device.memory_bytes > 0
    )
    return simulation.step_ms * (1.0 + _OVERFLOW_PENALTY * overflow)
