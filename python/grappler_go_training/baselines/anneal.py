"""Simulated annealing of placements."""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from grappler_go_training.baselines.budget import Budget, Judge
from grappler_go_training.baselines.coarsen import group_units
from grappler_go_training.baselines.expert import human_expert
from grappler_go_training.baselines.problem import Problem

if TYPE_CHECKING:
    from grappler_go import Plan

_Ints = npt.NDArray[np.int64]

# Above this many units they are moved in groups: a search of hundreds of plans can do
# nothing with 80,000 separate choices.
MAX_GROUPS = 512
# Worse plans are accepted with a probability of 1/e when they are this much worse than
# the best start, at the start and at the end of the search.
_HOT, _COLD = 0.03, 0.0003


def simulated_annealing(problem: Problem, budget: Budget, seed: int) -> "Plan":
    """Random changes to the better of TensorFlow's and the expert's placement, accepted
    by the simulator under a falling temperature; returns the best plan seen.

    Source: Kirkpatrick, Gelatt and Vecchi, "Optimization by Simulated Annealing" (Science
    1983), the search that GO compares with. GO gives neither moves nor schedule. Ours: a
    change moves a run of neighbouring groups to one device, long runs early and single
    groups late; the temperature falls geometrically over the budget's plans; a step out
    of memory counts as longer (budget.energy).
    """
    name = "simulated_annealing"
    judge = Judge(problem.graph, problem.machine, budget)
    starts = [problem.plan(name), human_expert(problem, budget, seed)]
    if len(problem.movable) == 0 or judge.left < len(starts):
        return starts[0]
    search = Groups(problem, starts[1])
    states = [search.home(), search.from_plan(starts[1])]
    random = np.random.default_rng(seed)
    energies = judge.energies([search.plan(state, name) for state in states])
    if len(energies) < len(states):  # out of time already
        return starts[0]
    best = state = states[int(np.argmin(energies))]
    best_energy = current = scale = min(energies)
    total = max(judge.left, 1)
    while judge.left > 0:
        progress = 1.0 - judge.left / total
        temperature = scale * _HOT * (_COLD / _HOT) ** progress
        changed = search.neighbour(state, random, progress)
        energies = judge.energies([search.plan(changed, name)])
        if not energies:  # out of time
            break
        worse = energies[0] - current
        if worse <= 0 or random.random() < np.exp(-worse / max(temperature, 1e-12)):
            state, current = changed, energies[0]
        if current < best_energy:
            best, best_energy = state, current
    return search.plan(best, name)


class Groups:
    """A placement as one device for each group of units, [num_groups].

    Args:
      problem: as it is.
      start: a placement that has to be among these: what it puts on different devices is
        in different groups.
    """

    def __init__(self, problem: Problem, start: "Plan") -> None:
        self._problem = problem
        self._group = group_units(problem, MAX_GROUPS, self._devices(start))
        self._first = np.unique(self._group[problem.movable], return_index=True)[1]
        self._first = problem.movable[self._first]
        self.num_groups = len(self._first)
        # By group, the devices it may be on.
        self.choices = [np.flatnonzero(problem.allowed[unit]) for unit in self._first]

    def home(self) -> _Ints:
        return self._problem.unit_home[self._first]

    def from_plan(self, plan: "Plan") -> _Ints:
        """Each group where the plan has its first unit."""
        return self._devices(plan)[self._first]

    def _devices(self, plan: "Plan") -> _Ints:
        """[num_units]"""
        problem = self._problem
        if plan.device is None:
            return problem.unit_home
        device = plan.device[problem.first_op].astype(np.int64)
        return np.where(device < 0, problem.unit_home, device)

    def plan(self, state: _Ints, name: str) -> "Plan":
        device = self._problem.unit_home.copy()
        grouped = self._group >= 0
        device[grouped] = state[self._group[grouped]]
        return self._problem.placed(device, name)

    def random(self, random: np.random.Generator) -> _Ints:
        picks = random.random(self.num_groups)
        return np.array(
            [
                choices[int(pick * len(choices))]
                for choices, pick in zip(self.choices, picks, strict=True)
            ],
            np.int64,
        )

    def neighbour(self, state: _Ints, random: np.random.Generator, progress: float) -> _Ints:
        """A run of groups, up to a quarter of all at the start and one at the end of the
        search, on one device."""
        longest = max(1.0, self.num_groups / 4) ** (1.0 - progress)
        length = int(random.integers(1, int(longest) + 1))
        start = int(random.integers(0, self.num_groups - length + 1))
        device = int(random.choice(self.choices[start]))
        changed = state.copy()
        for group in range(start, start + length):
            if device in self.choices[group]:
                changed[group] = device
        return changed
